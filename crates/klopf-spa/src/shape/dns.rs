//! A DNS query with the sealed part as padding.
//!
//! Padding (RFC 7830) is the one EDNS option that may have any length and any content, that all resolvers take, and that
//! nobody has a reason to look into. An option from the range for experiments would be reported as unknown, at that
//! length above all. That its length is chance is one of the policies of RFC 8467.

use super::draw::Draw;
use super::reader::Reader;
use super::{Dress, Lengths, Undressed, name};

pub(super) const LENGTHS: Lengths = Lengths { first: 288, last: 1120, step: 1 };

/// Recursion desired.
const RD: u16 = 0x0100;
/// Recursion desired, and the answer's authenticity told (RFC 6840, section 5.7).
const RD_AD: u16 = 0x0120;
/// Opcode and the bit of an answer: zeros in a query.
const NO_QUERY: u16 = 0xf800;
/// One question, one additional record.
const COUNTS: [u8; 8] = [0, 1, 0, 0, 0, 0, 0, 1];
/// A, AAAA and HTTPS (RFC 9460), as often as clients ask for them.
const TYPES: [u16; 6] = [1, 1, 1, 28, 28, 65];
const IN: u16 = 1;
const OPT: u16 = 41;
/// What resolvers and stubs say that they take over UDP.
const SIZES: [u16; 6] = [1232, 1232, 1232, 1400, 1472, 4096];
/// DNSSEC wanted, in the flags of OPT.
const DO: u16 = 0x8000;
const COOKIE: u16 = 10;
const PADDING: u16 = 12;
/// Servers renew a cookie that is older, in seconds (RFC 9018, section 4.3).
const COOKIE_AGE: usize = 1800;

pub(super) fn dress(length: usize, unix_ms: u64, draw: &mut Draw<'_>) -> Option<Dress> {
    let mut out = draw.array::<2>().to_vec();
    out.extend(draw.one_of(&[RD, RD, RD_AD]).to_be_bytes());
    out.extend(COUNTS);
    question(&mut out, draw)?;
    let cookie = cookie(unix_ms, draw)?;
    out.push(0);
    out.extend(OPT.to_be_bytes());
    out.extend(draw.one_of(&SIZES).to_be_bytes());
    out.extend([0, 0]);
    out.extend(draw.one_of(&[0, 0, DO]).to_be_bytes());
    out.extend(u16::try_from(cookie.len() + 4 + length).ok()?.to_be_bytes());
    out.extend(cookie);
    out.extend(PADDING.to_be_bytes());
    out.extend(u16::try_from(length).ok()?.to_be_bytes());
    Some(Dress { before: out, after: Vec::new() })
}

fn question(out: &mut Vec<u8>, draw: &mut Draw<'_>) -> Option<()> {
    let mut name = name::host(draw).into_bytes();
    // Some resolvers mix cases so that answers are harder to forge.
    if draw.once_in(4) {
        let mix = draw.array::<{ name::LONGEST }>();
        name.iter_mut().zip(mix).filter(|(_, mix)| mix & 1 == 1).for_each(|(letter, _)| letter.make_ascii_uppercase());
    }
    for label in name.split(|byte| *byte == b'.') {
        out.push(u8::try_from(label.len()).ok()?);
        out.extend(label);
    }
    out.push(0);
    out.extend(draw.one_of(&TYPES).to_be_bytes());
    out.extend(IN.to_be_bytes());
    Some(())
}

/// A cookie (RFC 7873): none, the client's, or with the one that the server has given before (RFC 9018).
fn cookie(unix_ms: u64, draw: &mut Draw<'_>) -> Option<Vec<u8>> {
    if draw.once_in(3) {
        return Some(Vec::new());
    }
    let mut value = draw.array::<8>().to_vec();
    let age = u64::try_from(draw.below(COOKIE_AGE)).ok()?;
    // The time of a cookie is a counter that turns over, so it is cut to 32 bits.
    let given = (unix_ms / 1000).checked_sub(age).and_then(|given| u32::try_from(given % (1 << 32)).ok());
    if let Some(given) = given.filter(|_| draw.once_in(2)) {
        value.extend([1, 0, 0, 0]);
        value.extend(given.to_be_bytes());
        value.extend(draw.array::<8>());
    }
    let length = u16::try_from(value.len()).ok()?;
    Some([&COOKIE.to_be_bytes()[..], &length.to_be_bytes(), &value].concat())
}

pub(super) fn undress(datagram: &[u8]) -> Option<Undressed<'_>> {
    let mut from = Reader(datagram);
    let _id = from.u16()?;
    let flags = from.u16()?;
    if flags & NO_QUERY != 0 || from.take()? != COUNTS {
        return None;
    }
    loop {
        match from.u8()? {
            0 => break,
            length @ 1..=63 => from.bytes(length.into())?,
            _ => return None,
        };
    }
    let (_type, class) = (from.u16()?, from.u16()?);
    let (root, kind) = (from.u8()?, from.u16()?);
    let (_size, _flags) = (from.u16()?, from.take::<4>()?);
    if (class, root, kind) != (IN, 0, OPT) || usize::from(from.u16()?) != from.left() {
        return None;
    }
    loop {
        let (option, length) = (from.u16()?, from.u16()?);
        let value = from.bytes(length.into())?;
        if option == PADDING {
            return (from.left() == 0).then(|| Undressed::cut(datagram, value.len(), 0)).flatten();
        }
    }
}
