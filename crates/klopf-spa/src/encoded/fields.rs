//! What an encoded sequence says, in bits.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::bits::{BitReader, Bits};
use super::{Fields, Whom, hold};
use crate::knock::usable;

/// Bits of the time, and of the salt.
pub(super) const TIME: usize = 10;
pub(super) const SALT: usize = 6;
/// Of both: what of the mark is sent.
pub(super) const MARK: usize = TIME + SALT;
/// Seconds for which the time stays the same.
const UNIT: u64 = 8;
/// Marks of a unit.
const SALTS: u64 = 1 << SALT;
/// Units after which what is sent of the time comes again.
const ROUND: u64 = 1 << TIME;

/// What an encoded sequence says. What its template has no field for is none, or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whom to let in, and the length of the prefix: 32 or 128 for a single address. None: the address that the hits come from.
    pub allow: Option<(IpAddr, u8)>,
    /// To which port; none: to all that the door guards. Never 0.
    pub port: Option<u16>,
    /// For how many seconds, one of those that [`super::is_hold`] knows; 0: as long as the door says.
    pub hold: u32,
    /// The flags, below 16; the first is the lowest bit.
    pub flags: u8,
}

/// When a sequence was made, and which it was of all made then; no two of a key have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(pub u64);

impl Mark {
    /// The first mark of a moment, in seconds since 1970.
    #[must_use]
    pub const fn at(unix_seconds: u64) -> Self {
        // The greatest of all moments share one.
        Self((unix_seconds / UNIT).saturating_mul(SALTS))
    }

    /// Its time in seconds since 1970: the beginning of eight seconds.
    #[must_use]
    pub const fn time(self) -> u64 {
        self.0 / SALTS * UNIT
    }
}

/// None if there is no room for what it says, or it says what nobody may.
pub(super) fn write(fields: Fields, claim: &Claim, mark: Mark) -> Option<Bits> {
    let mut bits = Bits::default();
    match (fields.whom, claim.allow) {
        (Whom::Observed, None) => {}
        (Whom::V4, Some((IpAddr::V4(v4), 32))) => bits.push(v4.to_bits().into(), 32),
        (Whom::V4Net, Some((IpAddr::V4(v4), prefix @ 1..=32))) => {
            bits.push(v4.to_bits().into(), 32);
            bits.push((prefix - 1).into(), 5);
        }
        (Whom::V6, Some((IpAddr::V6(v6), 128))) => bits.push(v6.to_bits(), 128),
        (Whom::V6Net, Some((IpAddr::V6(v6), prefix @ 1..=128))) => {
            bits.push(v6.to_bits(), 128);
            bits.push((prefix - 1).into(), 7);
        }
        _ => return None,
    }
    if let Some((address, prefix)) = claim.allow {
        network(address, prefix)?;
    }
    let port = claim.port.map_or(Some(0), |port| (port != 0).then_some(port))?;
    for (there, value, count) in [
        (fields.port, port.into(), 16),
        (fields.hold, hold::index(claim.hold)?.into(), 6),
        (fields.flags, u128::from(claim.flags), 4),
    ] {
        match there {
            true if value < 1 << count => bits.push(value, count),
            false if value == 0 => {}
            _ => return None,
        }
    }
    bits.push(mark.0.into(), MARK);
    Some(bits)
}

/// Reads what [`write()`] has written, but for the mark.
pub(super) fn read(fields: Fields, bits: &Bits) -> Option<Claim> {
    let mut from = BitReader::new(bits);
    let mut take = |there: bool, count: usize| if there { from.take(count) } else { Some(0) };
    let allow = match fields.whom {
        Whom::Observed => None,
        Whom::V4 | Whom::V4Net => {
            let address = Ipv4Addr::from_bits(take(true, 32)?.try_into().ok()?);
            let less = if fields.whom == Whom::V4Net { take(true, 5)? } else { 31 };
            Some((address.into(), u8::try_from(less).ok()? + 1))
        }
        Whom::V6 | Whom::V6Net => {
            let address = Ipv6Addr::from_bits(take(true, 128)?);
            let less = if fields.whom == Whom::V6Net { take(true, 7)? } else { 127 };
            Some((address.into(), u8::try_from(less).ok()? + 1))
        }
    };
    if let Some((address, prefix)) = allow {
        network(address, prefix)?;
    }
    let port = u16::try_from(take(fields.port, 16)?).ok().filter(|port| *port != 0);
    let hold = hold::seconds(take(fields.hold, 6)?.try_into().ok()?)?;
    let flags = take(fields.flags, 4)?.try_into().ok()?;
    Some(Claim { allow, port, hold, flags })
}

/// The mark that bits end in: of all that end so the one whose time is nearest to now, in seconds since 1970.
pub(super) fn mark(bits: &Bits, now: u64) -> Option<Mark> {
    let mut from = BitReader::new(bits);
    from.part(bits.len().checked_sub(MARK)?)?;
    let (time, salt) = (u64::try_from(from.take(TIME)?).ok()?, u64::try_from(from.take(SALT)?).ok()?);
    let earliest = (now / UNIT).saturating_sub(ROUND / 2);
    let unit = earliest + time.wrapping_sub(earliest) % ROUND;
    Some(Mark(unit.checked_mul(SALTS)? + salt))
}

/// The network, if a lease can be for it, and its address is its first.
fn network(address: IpAddr, prefix: u8) -> Option<(IpAddr, u8)> {
    let beyond = match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    };
    let first = beyond.checked_shl(prefix.into()).unwrap_or(0) == 0;
    Some((usable(address)?, prefix)).filter(|_| first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(mark: Mark) -> Bits {
        let mut bits = Bits::default();
        bits.push(mark.0.into(), MARK);
        bits
    }

    #[test]
    fn a_mark_is_read_by_who_is_at_most_68_minutes_off() {
        let made = 1_790_000_000;
        let of = Mark(Mark::at(made).0 + 63);
        assert_eq!((of.time(), Mark::at(made + 8).0), (made / 8 * 8, of.0 + 1));
        for (now, right) in [
            (made - 4080, true),
            (made - 4104, false),
            (made, true),
            (made + 4096, true),
            (made + 4104, false),
            (0, false),
            (u64::MAX, false),
        ] {
            assert_eq!(mark(&sent(of), now) == Some(of), right, "{now}");
        }
        for early in [0, 1, 8, 4095, 4096, 10_000] {
            assert_eq!(mark(&sent(Mark::at(early)), early), Some(Mark::at(early)));
        }
    }

    proptest::proptest! {
        #[test]
        fn of_all_times_the_nearest_is_meant(now in 8192_u64..1 << 40, off in -4000_i64..4000, salt in 0_u64..64) {
            let of = Mark(Mark::at(now.checked_add_signed(off).unwrap()).0 + salt);
            assert_eq!(mark(&sent(of), now), Some(of));
        }
    }
}
