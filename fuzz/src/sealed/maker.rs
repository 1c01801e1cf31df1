//! Seals what the fuzzer gives, right or wrong, by the page of the protocol and not by the code that opens it.

use std::convert::Infallible;

use aes_gcm_siv::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce as TokenNonce};
use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::Ed25519KeyPair;
use data_encoding::HEXLOWER;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256 as Kem;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, Kem as _, OpModeS, PskBundle, Serializable};
use klopf_spa::{KeyId, Psk, Seed, ServerKey, ServerPublic, Shape};

const NONCE: [u8; 12] = *b"fuzzed nonce";
const SIGNATURE: usize = 64;

/// Somebody who was invited, with all keys at hand.
pub(super) struct Maker {
    pub(super) server: ServerKey,
    pub(super) public: ServerPublic,
    pub(super) seed: Seed,
    pub(super) psk: Psk,
    pub(super) id: KeyId,
    outer: LessSafeKey,
    signing: Ed25519KeyPair,
    exchange: [u8; 32],
    /// Always the same, for chance is.
    enc: [u8; 32],
}

/// 32 bytes of their hexadecimal digits.
pub(super) fn array(hex: &str) -> [u8; 32] {
    HEXLOWER.decode(hex.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok()).expect("64 digits")
}

impl Maker {
    pub(super) fn new(server: [u8; 32], seed: [u8; 32], psk: [u8; 32]) -> Self {
        let exchange = derive(&seed, "klopf key 1 x25519");
        let signing = Ed25519KeyPair::from_seed_unchecked(&derive(&seed, "klopf key 1 ed25519")).expect("a seed");
        let (server, seed) = (ServerKey::new(server), Seed::new(seed));
        let public = server.public();
        let outer = UnboundKey::new(&CHACHA20_POLY1305, &derive(public.bytes(), "klopf packet 1 outer"));
        let (id, psk, outer) = (seed.public().id(), Psk::new(psk), LessSafeKey::new(outer.expect("32 bytes")));
        let mut maker = Self { server, public, seed, psk, id, outer, signing, exchange, enc: [0; 32] };
        maker.enc = maker.context().0;
        maker
    }

    /// A datagram of a middle, filled up with zeros; none if it is too long for the shape.
    pub(super) fn outer(&self, shape: Shape, middle: &[u8]) -> Option<Vec<u8>> {
        let lengths = shape.lengths();
        let length =
            (lengths.first..=lengths.last).step_by(lengths.step).find(|length| *length >= middle.len() + 28)?;
        let mut middle = middle.to_vec();
        middle.resize(length - 28, 0);
        let dress = shape.dress(length, 0, &mut |out| out.fill(0x5a));
        let aad = [&*dress.before, &dress.after].concat();
        let nonce = Nonce::assume_unique_for_key(NONCE);
        let tag = self.outer.seal_in_place_separate_tag(nonce, Aad::from(&aad), &mut middle).ok()?;
        Some([&*dress.before, &NONCE, &middle, tag.as_ref(), &dress.after].concat())
    }

    /// A middle of a knock with its signature, sealed by the person.
    pub(super) fn inner(&self, knock: &[u8]) -> Option<Vec<u8>> {
        let (enc, mut context) = self.context();
        let sealed = context.seal(knock, &[]).ok()?;
        let length = u16::try_from(sealed.len()).ok()?;
        Some([&self.id.0[..], &enc, &length.to_be_bytes(), &sealed].concat())
    }

    /// A knock and what the person would sign it with.
    pub(super) fn with_signature(&self, head: &[u8]) -> Vec<u8> {
        let message = [b"klopf knock 1", &self.public.bytes()[..], &self.id.0, &self.enc, head].concat();
        [head, self.signing.sign(&message).as_ref()].concat()
    }

    /// Whether a knock ends in that. There is only one right signature that the person makes.
    pub(super) fn is_signed(&self, knock: &[u8]) -> bool {
        let head = knock.len().checked_sub(SIGNATURE).map(|end| &knock[..end]);
        head.is_some_and(|head| self.with_signature(head) == knock)
    }

    /// A token of a claim.
    pub(super) fn token(&self, claim: &[u8]) -> Vec<u8> {
        let mask = hmac::Key::new(hmac::HMAC_SHA256, &derive(self.public.bytes(), "klopf token 1 mask"));
        let tag = hmac::sign(&mask, &NONCE[..8]);
        let hidden = self.id.0.iter().zip(tag.as_ref()).take(4).map(|(id, mask)| id ^ mask);
        let head: Vec<u8> = NONCE[..8].iter().copied().chain(hidden).collect();
        let head: [u8; 12] = head.try_into().expect("eight and four bytes");
        let cipher = Aes256GcmSiv::new(&derive(self.psk.bytes(), "klopf token 1 seal").into());
        let aad = [b"klopf token 1", &self.public.bytes()[..], &self.id.0].concat();
        let sealed = cipher.encrypt(&TokenNonce::from(head), Payload { msg: claim, aad: &aad }).expect("it is short");
        [&head[..], &sealed].concat()
    }

    /// A share for a guestbook, of its part.
    pub(super) fn share(&self, book: &str, part: &[u8]) -> Vec<u8> {
        let cipher = Aes256GcmSiv::new(&derive(self.public.bytes(), "klopf share 1").into());
        let aad = [b"klopf share 1", book.as_bytes()].concat();
        cipher.encrypt(&TokenNonce::default(), Payload { msg: part, aad: &aad }).expect("it is short")
    }

    /// The symbols of a sequence whose template is described so, for a door, of the bits before the hint.
    pub(super) fn sequence(&self, door: &str, described: [u8; 5], said: &[bool], mark: u64) -> Vec<u16> {
        let each = usize::from(described[4]) - 1;
        let count = (said.len() + 6 + 64).div_ceil(each);
        let key = |key: &[u8], info| hmac::Key::new(hmac::HMAC_SHA256, &derive(key, info));
        let door = digest(&SHA256, &[b"klopf door", door.as_bytes()].concat());
        let context = [b"klopf encoded 1", &self.public.bytes()[..], &self.id.0, &door.as_ref()[..4], &described];
        let signed = [&context.concat()[..], &mark.to_be_bytes(), &bytes_of(said)].concat();
        let tag = hmac::sign(&key(self.psk.bytes(), "klopf encoded 1 seal"), &signed);
        let tag = &bits_of(tag.as_ref())[..count * each - said.len() - 6];
        let hide = hmac::sign(&key(self.psk.bytes(), "klopf encoded 1 hide"), &bytes_of(tag));
        let mask = hmac::sign(&key(self.public.bytes(), "klopf encoded 1 mask"), &bytes_of(tag));
        let xor = |a: &[bool], b: &[u8]| a.iter().zip(bits_of(b)).map(|(a, b)| a ^ b).collect::<Vec<_>>();
        let payload = [xor(said, hide.as_ref()), xor(&bits_of(&self.id.0)[..6], mask.as_ref()), tag.to_vec()].concat();
        let symbol =
            |(at, bits): (u16, &[bool])| bits.iter().fold(0, |sum, bit| sum * 2 + u16::from(*bit)) * 2 + at % 2;
        (0..).zip(payload.chunks(each)).map(symbol).collect()
    }

    fn context(&self) -> ([u8; 32], hpke::aead::AeadCtxS<ChaCha20Poly1305, HkdfSha256, Kem>) {
        let private = <Kem as hpke::Kem>::PrivateKey::from_bytes(&self.exchange).expect("32 bytes");
        let public = Kem::sk_to_pk(&private);
        let psk = PskBundle::new(self.psk.bytes(), &self.id.0).expect("it is long enough");
        let recipient = <Kem as hpke::Kem>::PublicKey::from_bytes(self.public.bytes()).expect("a key");
        let mode = OpModeS::AuthPsk((private, public), psk);
        let made = hpke::setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, Kem>(
            &mode,
            &recipient,
            b"klopf packet 1",
            &mut Same,
        );
        let (enc, context) = made.expect("good keys");
        (enc.to_bytes().into(), context)
    }
}

fn derive(key: &[u8], info: &str) -> [u8; 32] {
    struct Length;
    impl KeyType for Length {
        fn len(&self) -> usize {
            32
        }
    }
    let mut out = [0; 32];
    let key = Salt::new(HKDF_SHA256, b"klopf").extract(key);
    key.expand(&[info.as_bytes()], Length).and_then(|okm| okm.fill(&mut out)).expect("32 bytes");
    out
}

fn bits_of(bytes: &[u8]) -> Vec<bool> {
    bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect()
}

/// Filled up with zeros.
fn bytes_of(bits: &[bool]) -> Vec<u8> {
    let byte = |bits: &[bool]| (0..8).fold(0, |sum, at| sum * 2 + u8::from(bits.get(at) == Some(&true)));
    bits.chunks(8).map(byte).collect()
}

/// The same bytes each time, so that an input always does the same.
struct Same;

impl TryRng for Same {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0x5a5a_5a5a)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0x5a5a_5a5a_5a5a_5a5a)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.fill(0x5a);
        Ok(())
    }
}

impl TryCryptoRng for Same {}
