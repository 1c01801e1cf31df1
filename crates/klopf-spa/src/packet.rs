//! Sealing a knock into a packet, and opening one.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use hpke::aead::{AeadCtxR, ChaCha20Poly1305};
use hpke::kdf::{HkdfSha256, Kdf as _};
use hpke::kem::X25519HkdfSha256 as Kem;
use hpke::{OpModeR, OpModeS, PskBundle, Serializable};

use crate::chance::Fixed;
use crate::decap::{Recipient, Sender};
use crate::keys::derive;
use crate::knock::{BEFORE_DOOR, SIGNATURE};
use crate::shape::Dress;
use crate::{KeyId, Knock, Psk, Public, Seed, ServerKey, ServerPublic, Shape};

const NONCE: usize = 12;
const TAG: usize = 16;
/// The key's id, the encapsulated key and a length.
const MIDDLE: usize = 8 + 32 + 2;
/// The longest datagram that is looked at, in bytes.
pub const LONGEST: usize = 1500;
const INFO: &[u8] = b"klopf packet 1";

/// Fills bytes with chance.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// Seals a knock: the whole payload of a datagram. `unix_ms` is only for the looks of a shape.
#[must_use]
pub fn seal(
    way: (&ServerPublic, Shape),
    own: (&Seed, &Psk),
    knock: &Knock,
    unix_ms: u64,
    random: Random<'_>,
) -> Vec<u8> {
    let (server, shape) = way;
    let mut chance = Chance { nonce: [0; NONCE], ephemeral: [0; 32], length: 0, dress: Dress::default() };
    random(&mut chance.nonce);
    random(&mut chance.ephemeral);
    chance.length = shape.lengths().draw(random);
    chance.dress = shape.dress(chance.length, unix_ms, random);
    seal_with(server, own, knock, &chance)
}

/// All about a packet that is chance.
pub(crate) struct Chance {
    pub(crate) nonce: [u8; NONCE],
    /// What HPKE derives its ephemeral key from.
    pub(crate) ephemeral: [u8; 32],
    /// Bytes of the sealed part.
    pub(crate) length: usize,
    pub(crate) dress: Dress,
}

pub(crate) fn seal_with(server: &ServerPublic, (seed, psk): (&Seed, &Psk), knock: &Knock, chance: &Chance) -> Vec<u8> {
    let id = seed.public().id();
    let mut out = chance.dress.before.clone();
    out.extend(chance.nonce);
    let mut middle = inner(server, seed, psk, &id, knock, chance.ephemeral).unwrap_or_default();
    middle.resize(chance.length.saturating_sub(NONCE + TAG).max(middle.len()), 0);
    let aad = [&*chance.dress.before, &chance.dress.after].concat();
    let tag = outer(server)
        .and_then(|key| {
            let nonce = Nonce::assume_unique_for_key(chance.nonce);
            key.seal_in_place_separate_tag(nonce, Aad::from(&aad), &mut middle).ok()
        })
        .map(|tag| tag.as_ref().to_vec())
        .unwrap_or_default();
    out.extend(middle);
    out.extend(tag);
    out.extend(&chance.dress.after);
    out
}

/// The middle without its padding. None only where `server` is no key.
fn inner(
    server: &ServerPublic,
    seed: &Seed,
    psk: &Psk,
    id: &KeyId,
    knock: &Knock,
    ephemeral: [u8; 32],
) -> Option<Vec<u8>> {
    let mode = OpModeS::AuthPsk(seed.exchange(), PskBundle::new(psk.bytes(), &id.0).ok()?);
    let recipient = server.exchange()?;
    let mut chance = Fixed(ephemeral);
    let (enc, mut context) =
        hpke::setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, Kem>(&mode, &recipient, INFO, &mut chance).ok()?;
    let enc: [u8; 32] = enc.to_bytes().into();
    let mut plain = knock.encode();
    let signature = seed.signing()?.sign(&signed(server, id, &enc, &plain));
    plain.extend(signature.as_ref());
    let sealed = context.seal(&plain, &[]).ok()?;
    let length = u16::try_from(sealed.len()).ok()?;
    Some([&id.0[..], &enc, &length.to_be_bytes(), &sealed].concat())
}

/// What the signature is made over.
fn signed(server: &ServerPublic, id: &KeyId, enc: &[u8; 32], knock: &[u8]) -> Vec<u8> {
    [b"klopf knock 1", &server.0[..], &id.0, enc, knock].concat()
}

fn outer(server: &ServerPublic) -> Option<LessSafeKey> {
    let key = derive::<32>(&server.0, "klopf packet 1 outer");
    UnboundKey::new(&CHACHA20_POLY1305, &*key).ok().map(LessSafeKey::new)
}

/// Why a datagram is no knock of somebody who was invited. Each has the name that the protocol gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotOpened {
    /// `no-packet`: nothing that somebody who was invited has sent.
    NoPacket,
    /// `unknown-key`: by a key that is not, or no longer, known.
    UnknownKey,
    /// `forged`: not by that key, or not a knock.
    Forged,
}

impl NotOpened {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoPacket => "no-packet",
            Self::UnknownKey => "unknown-key",
            Self::Forged => "forged",
        }
    }
}

/// Room for a packet while it is looked at, so that none is asked for each time.
pub struct Scratch {
    middle: [u8; LONGEST],
    dress: [u8; LONGEST],
}

impl Default for Scratch {
    fn default() -> Self {
        Self { middle: [0; LONGEST], dress: [0; LONGEST] }
    }
}

/// A packet that somebody who was invited has made, and that is not opened yet.
#[derive(Clone, Copy, Debug)]
pub struct Checked<'a> {
    /// Different for each packet.
    pub nonce: [u8; NONCE],
    /// Whose it says it is.
    pub id: KeyId,
    enc: [u8; 32],
    /// None if what follows the encapsulated key has not its form.
    sealed: Option<&'a [u8]>,
}

/// Which key a packet to this server says it is by, as anybody who was invited can see; none if it is no such packet.
#[must_use]
pub fn outer_id(server: &ServerPublic, shape: Shape, datagram: &[u8]) -> Option<KeyId> {
    unwrapped(&outer(server)?, shape, datagram, &mut Scratch::default()).map(|checked| checked.id)
}

/// Opens the outer seal.
fn unwrapped<'a>(outer: &LessSafeKey, shape: Shape, datagram: &[u8], scratch: &'a mut Scratch) -> Option<Checked<'a>> {
    let parts = shape.undress(datagram)?;
    let (nonce, sealed) = parts.sealed.split_first_chunk::<NONCE>()?;
    let (before, after) = (parts.before.len(), parts.after.len());
    let dress = scratch.dress.get_mut(..before + after)?;
    dress.get_mut(..before)?.copy_from_slice(parts.before);
    dress.get_mut(before..)?.copy_from_slice(parts.after);
    let middle = scratch.middle.get_mut(..sealed.len())?;
    middle.copy_from_slice(sealed);
    let opened = outer.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(&*dress), middle).ok()?;
    let (id, rest) = opened.split_first_chunk::<8>()?;
    let (enc, rest) = rest.split_first_chunk::<32>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let parts = rest.split_at_checked(u16::from_be_bytes(*length).into());
    let padded = parts.filter(|(_, padding)| padding.iter().all(|byte| *byte == 0));
    Some(Checked { nonce: *nonce, id: KeyId(*id), enc: *enc, sealed: padded.map(|(sealed, _)| sealed) })
}

/// Opens packets: the server's key, and those of all people.
pub struct Opener {
    recipient: Option<Recipient>,
    public: ServerPublic,
    outer: Option<LessSafeKey>,
    shape: Shape,
    /// By id.
    people: Vec<Person>,
}

struct Person {
    id: KeyId,
    number: u32,
    sender: Sender,
    psk: Psk,
}

impl Opener {
    /// An opener that knows nobody.
    #[must_use]
    pub fn new(server: &ServerKey, shape: Shape) -> Self {
        let public = server.public();
        Self { recipient: Recipient::new(server, public), public, outer: outer(&public), shape, people: Vec::new() }
    }

    /// Takes the keys of people, each with a number by which the caller knows it. Of two with one id the first counts.
    pub fn people(&mut self, people: impl IntoIterator<Item = (u32, Public, Psk)>) {
        let person = |(number, public, psk): (u32, Public, Psk)| Person {
            id: public.id(),
            number,
            sender: Sender::new(public),
            psk,
        };
        self.people = people.into_iter().map(person).collect();
        self.people.sort_by_key(|person| person.id);
        self.people.dedup_by_key(|person| person.id);
    }

    /// The cheap check, which opens the outer seal. Nobody who was not invited gets further.
    ///
    /// # Errors
    /// [`NotOpened::NoPacket`].
    pub fn check<'a>(&self, datagram: &[u8], scratch: &'a mut Scratch) -> Result<Checked<'a>, NotOpened> {
        self.checked(datagram, scratch).ok_or(NotOpened::NoPacket)
    }

    fn checked<'a>(&self, datagram: &[u8], scratch: &'a mut Scratch) -> Option<Checked<'a>> {
        unwrapped(self.outer.as_ref()?, self.shape, datagram, scratch)
    }

    /// The number of a key; none if it is not known.
    #[must_use]
    pub fn number(&self, id: KeyId) -> Option<u32> {
        self.person(id).map(|person| person.number)
    }

    fn person(&self, id: KeyId) -> Option<&Person> {
        let place = self.people.binary_search_by_key(&id, |person| person.id).ok()?;
        self.people.get(place)
    }

    /// Opens a packet: the number of the key by which it was made, and what it says.
    ///
    /// # Errors
    /// [`NotOpened::UnknownKey`] or [`NotOpened::Forged`].
    pub fn open(&self, packet: &Checked<'_>) -> Result<(u32, Knock), NotOpened> {
        let person = self.person(packet.id).ok_or(NotOpened::UnknownKey)?;
        let knock = self.opened(packet, person).ok_or(NotOpened::Forged)?;
        Ok((person.number, knock))
    }

    fn opened(&self, packet: &Checked<'_>, person: &Person) -> Option<Knock> {
        let secret = self.recipient.as_ref()?.decap(&person.sender, &packet.enc)?;
        let psk = PskBundle::new(person.psk.bytes(), &person.id.0).ok()?;
        let mode = OpModeR::AuthPsk(person.sender.public.exchange()?, psk);
        let context = HkdfSha256::combine_secrets::<ChaCha20Poly1305, Kem, _>(&mode, secret, INFO);
        let plain = AeadCtxR::from(context).open(packet.sealed?, &[]).ok()?;
        let (knock, covered, signature) = Knock::decode(&plain)?;
        let message = signed(&self.public, &person.id, &packet.enc, covered);
        person.sender.public.verifies(&message, signature).then_some(knock)
    }
}

/// The least bytes that a sealed part can have, with the longest name of a door.
pub(crate) const NEEDED: usize = NONCE + MIDDLE + BEFORE_DOOR + 64 + SIGNATURE + TAG + TAG;
const _: () = assert!(NEEDED <= 288);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knock::tests::knock;

    /// A counter of chance: bytes that differ each time.
    fn chance() -> impl FnMut(&mut [u8]) {
        let mut next = 0_u64;
        move |out| {
            for part in out.chunks_mut(8) {
                next = next.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mixed = (next ^ (next >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                part.copy_from_slice(&mixed.to_le_bytes()[..part.len()]);
            }
        }
    }

    fn server() -> ServerKey {
        ServerKey::new([1; 32])
    }

    fn opener() -> Opener {
        let mut opener = Opener::new(&server(), Shape::None);
        opener.people([(7, Seed::new([2; 32]).public(), Psk::new([3; 32]))]);
        opener
    }

    fn sealed(seed: u8, psk: u8, server: &ServerKey) -> Vec<u8> {
        let (seed, psk) = (Seed::new([seed; 32]), Psk::new([psk; 32]));
        seal((&server.public(), Shape::None), (&seed, &psk), &knock(), 0, &mut chance())
    }

    fn open(opener: &Opener, datagram: &[u8]) -> Result<(u32, Knock), NotOpened> {
        let mut scratch = Scratch::default();
        opener.check(datagram, &mut scratch).and_then(|packet| opener.open(&packet))
    }

    #[test]
    fn a_packet_opens_for_its_server_and_says_what_was_sealed() {
        let (mut random, opener, mut scratch) = (chance(), opener(), Scratch::default());
        let (seed, psk) = (Seed::new([2; 32]), Psk::new([3; 32]));
        for _ in 0..100 {
            let packet = seal((&server().public(), Shape::None), (&seed, &psk), &knock(), 0, &mut random);
            assert!((288..=1200).contains(&packet.len()));
            let checked = opener.check(&packet, &mut scratch).unwrap();
            assert_eq!(opener.number(checked.id), Some(7));
            assert_eq!(opener.open(&checked), Ok((7, knock())));
        }
    }

    #[test]
    fn no_packet_opens_with_a_changed_bit() {
        let (opener, packet) = (opener(), sealed(2, 3, &server()));
        let open = |datagram: &[u8]| open(&opener, datagram);
        for bit in 0..packet.len() * 8 {
            let mut changed = packet.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&changed), Err(NotOpened::NoPacket), "bit {bit}");
        }
        assert_eq!(open(&packet[..packet.len() - 1]), Err(NotOpened::NoPacket));
        assert_eq!(open(&[&packet[..], &[0]].concat()), Err(NotOpened::NoPacket));
    }

    #[test]
    fn who_is_not_known_or_has_another_key_is_told_apart() {
        let opener = opener();
        let open = |datagram: &[u8]| open(&opener, datagram);
        assert_eq!(open(&sealed(9, 3, &server())), Err(NotOpened::UnknownKey));
        assert_eq!(open(&sealed(2, 9, &server())), Err(NotOpened::Forged));
        assert_eq!(open(&sealed(2, 3, &ServerKey::new([9; 32]))), Err(NotOpened::NoPacket));
        for length in [0, 1, 11, 287, 288, 1200, 1201, 1500, 9000] {
            assert_eq!(open(&vec![0; length]), Err(NotOpened::NoPacket), "{length}");
        }
    }
}
