//! A request of an NTP client with Network Time Security, with the sealed part as its cookie.
//!
//! A cookie is what the server once gave the client, and has any length and any content (RFC 8915, section 5.4). All
//! else that is secret in such a request is random, or looks so.

use super::draw::Draw;
use super::reader::Reader;
use super::{Dress, Lengths, Undressed};

/// Fields are whole words of 4 bytes.
pub(super) const LENGTHS: Lengths = Lengths { first: 288, last: 1072, step: 4 };

/// No leap second, version 4, client.
const CLIENT: u8 = 0x23;
/// Of the header (RFC 5905, section 7.3), in bytes.
const HEADER: usize = 48;
const UNIQUE_IDENTIFIER: u16 = 0x0104;
const COOKIE: u16 = 0x0204;
const PLACEHOLDER: u16 = 0x0304;
const AUTHENTICATOR: u16 = 0x0404;
/// Type and length.
const FIELD: usize = 4;
/// Nonce and tag of AEAD_AES_SIV_CMAC_256 around nothing, in bytes each.
const HALF: usize = 16;
/// The authenticator with type and length, and the lengths of its two parts.
const LAST_FIELD: usize = FIELD + 4 + 2 * HALF;
/// The longest cookie that leaves room for as long a placeholder.
const DOUBLE: usize = 544;

pub(super) fn dress(length: usize, draw: &mut Draw<'_>) -> Option<Dress> {
    let mut before = vec![CLIENT, 0, u8::try_from(draw.between(4, 10)).ok()?];
    // Clients tell nothing about themselves; chrony writes 32 for its precision, others 0.
    before.push(draw.one_of(&[0, 32]));
    before.resize(HEADER - 8, 0);
    // Not the time: the server only gives it back, so clients take chance.
    before.extend(draw.array::<8>());
    field(&mut before, UNIQUE_IDENTIFIER, 32)?;
    before.extend(draw.array::<32>());
    field(&mut before, COOKIE, length)?;

    let mut after = Vec::new();
    // A client asks for another cookie for each that was lost.
    if length <= DOUBLE && draw.once_in(8) {
        field(&mut after, PLACEHOLDER, length)?;
        after.resize(after.len() + length, 0);
    }
    field(&mut after, AUTHENTICATOR, LAST_FIELD - FIELD)?;
    for _ in 0..2 {
        after.extend(u16::try_from(HALF).ok()?.to_be_bytes());
    }
    after.extend(draw.array::<{ 2 * HALF }>());
    Some(Dress { before, after })
}

/// Writes type and length of a field with a body of so many bytes.
fn field(out: &mut Vec<u8>, kind: u16, body: usize) -> Option<()> {
    out.extend(kind.to_be_bytes());
    out.extend(u16::try_from(FIELD + body).ok()?.to_be_bytes());
    Some(())
}

pub(super) fn undress(datagram: &[u8]) -> Option<Undressed<'_>> {
    let mut from = Reader(datagram);
    if from.bytes(HEADER)?.first() != Some(&CLIENT) {
        return None;
    }
    let (UNIQUE_IDENTIFIER, _) = read_field(&mut from)? else { return None };
    let (COOKIE, sealed) = read_field(&mut from)? else { return None };
    let after = from.left();
    loop {
        match read_field(&mut from)? {
            (PLACEHOLDER, body) if body.len() == sealed.len() => {}
            (AUTHENTICATOR, body) if body.len() + FIELD == LAST_FIELD && from.left() == 0 => break,
            _ => return None,
        }
    }
    Undressed::cut(datagram, sealed.len(), after)
}

/// Type and body of a field.
fn read_field<'a>(from: &mut Reader<'a>) -> Option<(u16, &'a [u8])> {
    let (kind, length) = (from.u16()?, from.u16()?);
    Some((kind, from.bytes(usize::from(length).checked_sub(FIELD)?)?))
}
