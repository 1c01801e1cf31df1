//! Knocks, claims, shares and sequences, read in the plainest way, by the tables of the protocol.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use klopf_spa::{Claim, Knock, Name, Share, encoded};

/// A knock with its signature, which is not looked at.
pub(super) fn knock(bytes: &[u8]) -> Option<Knock> {
    let length = usize::from(*bytes.get(59)?);
    if bytes.len() != 60 + length + 64 || bytes[..2] != [1, 1] {
        return None;
    }
    let number = |at: usize| u64::from_be_bytes(array(&bytes[at..at + 8]));
    let allow = match bytes[34] {
        0 if bytes[35..51] == [0; 16] => None,
        4 if bytes[39..51] == [0; 12] => Some(IpAddr::from(array::<4>(&bytes[35..39]))),
        6 => Some(IpAddr::from(array::<16>(&bytes[35..51]))),
        _ => return None,
    };
    let code = u32::from_be_bytes(array(&bytes[55..59]));
    if allow.is_some_and(is_refused) || (1_000_000..u32::MAX).contains(&code) {
        return None;
    }
    Some(Knock {
        time: number(2),
        counter: number(10),
        device: array(&bytes[18..34]),
        allow,
        hold: u32::from_be_bytes(array(&bytes[51..55])),
        code: (code != u32::MAX).then_some(code),
        door: Name::new(std::str::from_utf8(&bytes[60..60 + length]).ok()?)?,
    })
}

/// A claim.
pub(super) fn claim(bytes: &[u8]) -> Option<Claim> {
    let (address, rest) = match (bytes.len(), bytes.first()?) {
        (21, 0x14) => (IpAddr::from(array::<4>(&bytes[1..5])), &bytes[5..]),
        (33, 0x16) => (IpAddr::from(array::<16>(&bytes[1..17])), &bytes[17..]),
        _ => return None,
    };
    let counter = rest[8..14].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let (door, time) = (array(&rest[..4]), u32::from_be_bytes(array(&rest[4..8])));
    let hold = u16::from_be_bytes(array(&rest[14..]));
    (!is_refused(address)).then_some(Claim { address, door, time, counter, hold })
}

/// Bits of what a sequence says before its hint, with a template that is described so.
pub(super) fn sequence_bits(described: [u8; 5]) -> usize {
    let fields = described[0];
    let is = |bit: u8, size: usize| if fields & bit == 0 { 0 } else { size };
    [0, 32, 37, 128, 135][usize::from(fields & 7)] + is(8, 16) + is(16, 6) + is(32, 4) + 16
}

/// The mark that these bits end in, for a server at this time.
pub(super) fn mark(bits: &[bool], now: u64) -> u64 {
    let low = small::<u64>(number(&bits[bits.len() - 16..]));
    let unit = (now / 8 - 512..now / 8 + 512).find(|unit| unit % 1024 == low / 64).expect("one of 1024");
    unit * 64 + low % 64
}

/// What a sequence says with these bits.
pub(super) fn sequence(described: [u8; 5], bits: &[bool]) -> Option<encoded::Claim> {
    let fields = described[0];
    let mut rest = bits;
    let mut take = |size: usize| {
        let (taken, after) = rest.split_at(size);
        rest = after;
        number(taken)
    };
    let allow = match fields & 7 {
        0 => None,
        1 => Some((IpAddr::from(small::<u32>(take(32)).to_be_bytes()), 32)),
        2 => Some((IpAddr::from(small::<u32>(take(32)).to_be_bytes()), small::<u8>(take(5)) + 1)),
        3 => Some((IpAddr::from(take(128).to_be_bytes()), 128)),
        _ => Some((IpAddr::from(take(128).to_be_bytes()), small::<u8>(take(7)) + 1)),
    };
    let mut field = |bit: u8, size: usize| if fields & bit == 0 { 0 } else { take(size) };
    let (port, hold, flags) = (small(field(8, 16)), small::<u32>(field(16, 6)), small(field(32, 4)));
    if let Some((address, prefix)) = allow {
        let after = match address {
            IpAddr::V4(v4) => u64::from(v4.to_bits()) % (1 << (32 - prefix)) != 0,
            IpAddr::V6(v6) => prefix < 128 && v6.to_bits() << prefix != 0,
        };
        if after || is_refused(address) {
            return None;
        }
    }
    let (minute, hour, day) = (60, 3600, 86_400);
    let hold = match hold {
        0..=5 => 10 * hold,
        6..=15 => (hold - 5) * minute,
        16..=25 => 5 * (hold - 13) * minute,
        26..=36 => (hold - 24) * hour,
        37..=41 => 2 * (hold - 30) * hour,
        42..=55 => (hold - 41) * day,
        _ => 2 * (hold - 48) * day,
    };
    Some(encoded::Claim { allow, port: (port != 0).then_some(port), hold, flags })
}

fn number(bits: &[bool]) -> u128 {
    bits.iter().fold(0, |sum, bit| sum << 1 | u128::from(*bit))
}

fn small<T: TryFrom<u128>>(number: u128) -> T {
    number.try_into().ok().expect("so few bits")
}

/// A share of its part.
pub(super) fn share(part: &[u8]) -> Option<Share> {
    let (head, values) = part.split_at_checked(5)?;
    let share = Share { group: array(&head[..4]), k: head[4] / 16, x: head[4] % 16, values: values.to_vec() };
    is_share(&share).then_some(share)
}

fn is_share(share: &Share) -> bool {
    (2..9).contains(&share.k) && (1..9).contains(&share.x) && [49, 61].contains(&share.values.len())
}

/// The token of shares: the polynomial through them at 0.
pub(super) fn token(shares: &[Share]) -> Option<Vec<u8>> {
    let first = shares.first()?;
    let fits = |(at, share): (usize, &Share)| {
        let kin = share.group == first.group && share.k == first.k && share.values.len() == first.values.len();
        kin && is_share(share) && !shares[..at].iter().any(|other| other.x == share.x)
    };
    if shares.len() != usize::from(first.k) || !shares.iter().enumerate().all(fits) {
        return None;
    }
    let value = |at: usize| {
        shares.iter().fold(0, |sum, share| {
            let others = shares.iter().filter(|other| other.x != share.x);
            let term =
                others.fold(share.values[at], |term, other| times(times(term, other.x), inverse(other.x ^ share.x)));
            sum ^ term
        })
    };
    Some((0..first.values.len()).map(value).collect())
}

/// In GF(2^8), modulo x^8 + x^4 + x^3 + x^2 + 1.
fn times(a: u8, b: u8) -> u8 {
    (0..8).rev().fold(0, |product: u8, bit| {
        let doubled = product << 1 ^ if product & 0x80 == 0 { 0 } else { 0x1d };
        doubled ^ if b >> bit & 1 == 0 { 0 } else { a }
    })
}

/// What times it is 1.
fn inverse(a: u8) -> u8 {
    (1..=255).find(|b| times(a, *b) == 1).unwrap_or_default()
}

/// The addresses that nobody may claim.
fn is_refused(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [first, ..] = v4.octets();
            first == 127 || (224..240).contains(&first) || [Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST].contains(&v4)
        }
        IpAddr::V6(v6) => {
            let mapped = v6.segments()[..6] == [0, 0, 0, 0, 0, 0xffff];
            mapped || v6.octets()[0] == 0xff || [Ipv6Addr::UNSPECIFIED, Ipv6Addr::LOCALHOST].contains(&v6)
        }
    }
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("so many bytes")
}
