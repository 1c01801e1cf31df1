//! The first datagram of a QUIC client that resumes a session, with the sealed part as its early data.
//!
//! Two packets in one datagram (RFC 9000, section 12.2): an Initial one with a ClientHello, and a 0-RTT one. Everybody
//! can open the Initial packet, for its keys follow from its connection ID (RFC 9001, section 5.2). So it is made as a
//! client makes it. The key of the 0-RTT packet only client and server have, so what comes after its length field looks
//! random to all others: packet number, ciphertext, tag. This is the sealed part. The Initial packet does not cover it.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey, quic};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};

use super::draw::Draw;
use super::reader::Reader;
use super::{Dress, Lengths, Undressed};

mod hello;

pub(super) const LENGTHS: Lengths = Lengths { first: 288, last: 608, step: 1 };

/// QUIC version 1.
const VERSION: [u8; 4] = [0, 0, 0, 1];
/// The first byte of a packet without its last four bits, which are protected.
const INITIAL: u8 = 0xc0;
const ZERO_RTT: u8 = 0xd0;
const KIND: u8 = 0xf0;
/// Version 1 has no longer connection IDs.
const LONGEST_ID: u8 = 20;
/// A client's first datagram is as long at least (RFC 9000, section 14.1).
const LEAST: usize = 1200;
/// To how many bytes clients fill it up.
const FILLED: [usize; 6] = [LEAST, LEAST, LEAST, 1216, 1228, 1232];
const CRYPTO: u8 = 0x06;
const TAG: usize = 16;
/// From which on a number takes four bytes.
const TWO_BYTES: usize = 1 << 14;

pub(super) fn dress(length: usize, draw: &mut Draw<'_>) -> Option<Dress> {
    let destination_length = draw.between(8, LONGEST_ID.into());
    let destination = draw.bytes(destination_length);
    let source_length = draw.one_of(&[0, 0, 3, 4, 8, 8]);
    let source = draw.bytes(source_length);
    let ids = [&VERSION[..], &with_length(&destination)?, &with_length(&source)?].concat();

    let hello = hello::client_hello(&source, draw)?;
    let mut frames = vec![CRYPTO, 0];
    frames.extend(two_bytes(hello.len())?);
    frames.extend(hello);
    let number_length = draw.between(1, 4);
    let early = [&[ZERO_RTT | u8::try_from(draw.below(16)).ok()?][..], &ids, &two_bytes(length)?].concat();
    let others = 1 + ids.len() + 1 + 2 + number_length + TAG + early.len() + length;
    // The rest is PADDING frames, which are zeros.
    frames.resize(frames.len().max(draw.one_of(&FILLED).saturating_sub(others)), 0);

    let mut before = initial(&destination, &ids, number_length, frames)?;
    before.extend(early);
    Some(Dress { before, after: Vec::new() })
}

/// A whole Initial packet of the client, with packet number 0 in so many bytes and no token.
fn initial(destination: &[u8], ids: &[u8], number_length: usize, mut frames: Vec<u8>) -> Option<Vec<u8>> {
    let mut header = vec![INITIAL | u8::try_from(number_length - 1).ok()?];
    header.extend(ids);
    header.push(0);
    header.extend(two_bytes(number_length + frames.len() + TAG)?);
    let number_at = header.len();
    header.resize(number_at + number_length, 0);

    let keys = Keys::of_client(destination)?;
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &keys.key).ok()?);
    // Nonce of packet 0; the key is of this packet alone, for its connection ID is random.
    let nonce = Nonce::assume_unique_for_key(keys.iv);
    key.seal_in_place_append_tag(nonce, Aad::from(&header), &mut frames).ok()?;

    let mut packet = [header, frames].concat();
    // The sample begins where a packet number of four bytes would end.
    let sample = packet.get(number_at + 4..number_at + 4 + 16)?;
    let [first, mask @ ..] =
        quic::HeaderProtectionKey::new(&quic::AES_128, &keys.protection).ok()?.new_mask(sample).ok()?;
    *packet.first_mut()? ^= first & 0x0f;
    packet.iter_mut().skip(number_at).take(number_length).zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    Some(packet)
}

/// The keys of a client's Initial packets.
struct Keys {
    key: [u8; 16],
    iv: [u8; 12],
    protection: [u8; 16],
}

impl Keys {
    /// Those for this connection ID of the server's (RFC 9001, section 5.2).
    fn of_client(destination: &[u8]) -> Option<Self> {
        const SALT: [u8; 20] = [
            0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb,
            0x7f, 0x0a,
        ];
        let initial = Salt::new(HKDF_SHA256, &SALT).extract(destination);
        let client = Prk::new_less_safe(HKDF_SHA256, &expand::<32>(&initial, "client in")?);
        Some(Self {
            key: expand(&client, "quic key")?,
            iv: expand(&client, "quic iv")?,
            protection: expand(&client, "quic hp")?,
        })
    }
}

/// HKDF-Expand-Label of TLS 1.3 without context (RFC 8446, section 7.1).
fn expand<const N: usize>(secret: &Prk, label: &str) -> Option<[u8; N]> {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let label = [b"tls13 ", label.as_bytes()].concat();
    let info = [&u16::try_from(N).ok()?.to_be_bytes()[..], &with_length(&label)?, &[0]];
    let mut out = [0; N];
    secret.expand(&info, Length(N)).ok()?.fill(&mut out).ok()?;
    Some(out)
}

/// A number of RFC 9000, section 16, in two bytes.
fn two_bytes(number: usize) -> Option<[u8; 2]> {
    let number = u16::try_from(number).ok().filter(|number| usize::from(*number) < TWO_BYTES)?;
    Some((number | 0x4000).to_be_bytes())
}

/// Bytes after their length in one byte.
fn with_length(bytes: &[u8]) -> Option<Vec<u8>> {
    Some([&[u8::try_from(bytes.len()).ok()?], bytes].concat())
}

pub(super) fn undress(datagram: &[u8]) -> Option<Undressed<'_>> {
    if datagram.len() < LEAST {
        return None;
    }
    let mut from = Reader(datagram);
    let ids = long_header(&mut from, INITIAL)?;
    let token = from.varint()?;
    from.bytes(token)?;
    let length = from.varint()?;
    from.bytes(length)?;
    let same = long_header(&mut from, ZERO_RTT)? == ids;
    let length = from.varint()?;
    (same && length == from.left()).then(|| Undressed::cut(datagram, length, 0)).flatten()
}

/// The connection IDs, the server's and the client's, of a packet of this kind.
fn long_header<'a>(from: &mut Reader<'a>, kind: u8) -> Option<[&'a [u8]; 2]> {
    let (first, version) = (from.u8()?, from.take()?);
    let mut id = || from.u8().filter(|length| *length <= LONGEST_ID).and_then(|length| from.bytes(length.into()));
    let ids = [id()?, id()?];
    (first & KIND == kind && version == VERSION).then_some(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_rfc_9001_appendix_a() {
        let keys = Keys::of_client(&0x8394_c8f0_3e51_5708_u64.to_be_bytes()).unwrap();
        assert_eq!(keys.key, 0x1f36_9613_dd76_d546_7730_efcb_e3b1_a22d_u128.to_be_bytes());
        assert_eq!(keys.iv[..], 0xfa04_4b2f_42a3_fd3b_46fb_255c_u128.to_be_bytes()[4..]);
        assert_eq!(keys.protection, 0x9f50_449e_04a0_e810_283a_1e99_33ad_edd2_u128.to_be_bytes());
    }
}
