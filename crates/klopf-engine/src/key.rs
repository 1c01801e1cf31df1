//! What the engine knows of a key: no secret, but the terms on which it opens doors.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::{Asks, DoorId, Form, Mark, Refusal, Wall};

/// Names one definition of a key. A key that is defined anew gets a new one, so that a knock can never be judged by
/// terms that it was not checked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyRef(pub u32);

/// A key, on its terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Which one it is.
    pub key: KeyRef,
    /// Its id in packets, by which its [`Mark`] goes on when it is defined anew. No two keys have the same.
    pub id: [u8; 8],
    /// The doors it may open.
    pub doors: BTreeSet<DoorId>,
    /// From when on it opens doors, seconds since 1970.
    pub not_before: Option<u64>,
    /// From when on it no longer does, seconds since 1970.
    pub expires: Option<u64>,
    /// When in the week it opens doors; empty: at any time.
    pub hours: Vec<Hours>,
    /// How often it opens doors.
    pub max_uses: Option<u32>,
    /// The longest lease it gets, milliseconds; with it, one may be longer than the door says.
    pub max_open_for: Option<u64>,
    /// Which addresses it may let in; empty: any.
    pub networks: Vec<Network>,
    /// Whether its device has no clock, so that no knock is too old; counters alone keep them apart.
    pub no_clock: bool,
    /// Before when it must open a door for the first time, seconds since 1970; nothing once it is bound to a device.
    pub join_before: Option<u64>,
    /// Whether it is for one device: the first that opens a door with it.
    pub once: bool,
    /// Sheets of codes that count no more.
    pub revoked_sheets: BTreeSet<u16>,
}

impl Key {
    /// One without doors, and without terms.
    #[must_use]
    pub const fn new(key: KeyRef, id: [u8; 8]) -> Self {
        Self {
            key,
            id,
            doors: BTreeSet::new(),
            not_before: None,
            expires: None,
            hours: Vec::new(),
            max_uses: None,
            max_open_for: None,
            networks: Vec::new(),
            no_clock: false,
            join_before: None,
            once: false,
            revoked_sheets: BTreeSet::new(),
        }
    }

    /// Whether the invitation is good for this device.
    pub(crate) fn invites(&self, device: [u8; 16], mark: &Mark, wall: Wall) -> Result<(), Refusal> {
        match mark.device() {
            Some(first) if self.once && first != device => Err(Refusal::InvitationUsed),
            None if self.join_before.is_some_and(|end| wall.unix_s() >= end) => Err(Refusal::InvitationExpired),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether a grant binds it to the device.
    #[must_use]
    pub const fn binds(&self) -> bool {
        self.once || self.join_before.is_some()
    }

    /// Whether it opens doors now.
    pub(crate) fn is_good(&self, mark: &Mark, begins: bool, wall: Wall) -> Result<(), Refusal> {
        if self.expires.is_some_and(|end| wall.unix_s() >= end) {
            Err(Refusal::Expired)
        } else if self.not_before.is_some_and(|start| wall.unix_s() < start) {
            Err(Refusal::NotYet)
        } else if !self.hours.is_empty() && !self.hours.iter().any(|hours| hours.contain(wall.minute_of_week)) {
            Err(Refusal::WrongHour)
        } else if begins && self.max_uses.is_some_and(|most| mark.uses() >= most) {
            Err(Refusal::UsedUp)
        } else {
            Ok(())
        }
    }

    /// Whether it may let in an address, or the network that is asked for.
    pub(crate) fn may_let_in(&self, address: IpAddr, asks: &Asks) -> bool {
        let whole = |network: &Network| asks.prefix.is_none_or(|prefix| network.prefix <= prefix);
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(address) && whole(network))
    }

    /// Whether it knocks in this form.
    pub(crate) fn knows(&self, form: Form) -> Result<(), Refusal> {
        let revoked = matches!(form, Form::Code(sheet) if self.revoked_sheets.contains(&sheet));
        if revoked { Err(Refusal::SheetRevoked) } else { Ok(()) }
    }

    /// Whether it may open a door of its own now, in this form, for an address or its network and on a device: all of its terms, but for the
    /// second factor; `begins` says whether that would be another use of it. For who does not take the engine's word for it.
    ///
    /// # Errors
    /// The first term that it does not meet.
    pub fn permits(
        &self,
        form: Form,
        (address, asks): (IpAddr, &Asks),
        device: [u8; 16],
        mark: &Mark,
        begins: bool,
        wall: Wall,
    ) -> Result<(), Refusal> {
        self.knows(form)?;
        self.invites(device, mark, wall)?;
        self.is_good(mark, begins, wall)?;
        if self.may_let_in(address, asks) { Ok(()) } else { Err(Refusal::WrongNetwork) }
    }

    /// The same hold, or what this key gets at most where so many milliseconds may be asked for: no lease is longer than the
    /// key itself.
    #[must_use]
    pub fn bounded(&self, hold: Hold, may_ask: Option<u64>, wall: Wall) -> Hold {
        let own = match (hold, self.max_open_for) {
            (Hold::AsDoor, None) => Hold::AsDoor,
            (Hold::AsDoor, Some(most)) => Hold::AtMost(most),
            (Hold::AtMost(ms), most) => Hold::AtMost(most.map_or(ms, |most| ms.min(most))),
            (Hold::Exactly(ms), _) => match self.longest(may_ask) {
                Some(most) => Hold::Exactly(ms.min(most)),
                None => Hold::AtMost(ms),
            },
        };
        let Some(end) = self.expires else { return own };
        let left = end.saturating_mul(1000).saturating_sub(wall.unix_ms);
        match own {
            Hold::AsDoor => Hold::AtMost(left),
            Hold::AtMost(ms) => Hold::AtMost(ms.min(left)),
            Hold::Exactly(ms) => Hold::Exactly(ms.min(left)),
        }
    }

    /// What it gets of the time that is asked for, in seconds; 0: the door's own. So many milliseconds may be asked for at
    /// the door.
    pub(crate) fn hold(&self, asked: u32, may_ask: Option<u64>) -> Hold {
        let ms = u64::from(asked) * 1000;
        match (asked, self.max_open_for, self.longest(may_ask)) {
            (0, None, _) => Hold::AsDoor,
            (0, Some(most), _) => Hold::AtMost(most),
            (_, _, Some(most)) => Hold::Exactly(ms.min(most)),
            (_, _, None) => Hold::AtMost(ms),
        }
    }

    /// The longest lease that it gets where so many milliseconds may be asked for; none: what the door says.
    fn longest(&self, may_ask: Option<u64>) -> Option<u64> {
        [self.max_open_for, may_ask].into_iter().flatten().min()
    }
}

/// A part of the day, on some days of the week, in local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// The days on which it begins: bit 0 is Monday, bit 6 Sunday.
    pub days: u8,
    /// Its first minute, counted from 0:00; 0 to 1439.
    pub from: u16,
    /// The minute at which it is over, 0 to 1440. Unless it is greater than `from` it is one of the next day.
    pub to: u16,
}

const DAY: u16 = 24 * 60;

impl Hours {
    fn contain(self, minute_of_week: u16) -> bool {
        let (day, minute) = (minute_of_week / DAY % 7, minute_of_week % DAY);
        let begins_on = |day: u16| self.days & (1 << (day % 7)) != 0;
        if self.from < self.to {
            begins_on(day) && (self.from..self.to).contains(&minute)
        } else {
            (begins_on(day) && minute >= self.from) || (begins_on(day + 6) && minute < self.to)
        }
    }
}

/// Addresses with the same beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// One of them.
    pub address: IpAddr,
    /// How many bits are the same; more than an address has are all of them.
    pub prefix: u8,
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        let prefix = u32::from(self.prefix);
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.checked_shr(u32::BITS.saturating_sub(prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.checked_shr(u128::BITS.saturating_sub(prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// For how long a sealed knock opens a door. The engine does not know the doors' own times, so this is what the gate's
/// side works the lease out from, with [`Hold::lease`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// As long as the door says.
    AsDoor,
    /// So many milliseconds, but no longer than the door says.
    AtMost(u64),
    /// So many milliseconds, even if the door says less: key or door have a time of their own for what is asked for.
    Exactly(u64),
}

impl Hold {
    /// Milliseconds of a lease at a door that says `door` milliseconds.
    #[must_use]
    pub fn lease(self, door: u64) -> u64 {
        match self {
            Self::AsDoor => door,
            Self::AtMost(ms) => ms.min(door),
            Self::Exactly(ms) => ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u16 = 60;
    const MONDAY: u8 = 1;
    const FRIDAY: u8 = 1 << 4;
    const SUNDAY: u8 = 1 << 6;

    fn at(day: u16, hour: u16, minute: u16) -> u16 {
        day * DAY + hour * HOUR + minute
    }

    #[test]
    fn no_hold_is_longer_than_the_key_may() {
        let key = |max_open_for| Key { max_open_for, ..Key::new(KeyRef(1), [1; 8]) };
        let holds = [Hold::AsDoor, Hold::AtMost(5), Hold::AtMost(900), Hold::Exactly(5), Hold::Exactly(900)];
        let wall = Wall { unix_ms: 1_000_000, minute_of_week: 0 };
        let leases = |most, door| holds.map(|hold| key(most).bounded(hold, None, wall).lease(door));
        assert_eq!(
            leases(None, 100),
            [100, 5, 100, 5, 100],
            "only a key with a time of its own gets more than the door says"
        );
        assert_eq!(leases(Some(300), 100), [100, 5, 100, 5, 300]);
        assert_eq!(leases(Some(50), 100), [50, 5, 50, 5, 50]);
        for (most, asked) in [(None, 0), (None, 7), (Some(3000), 0), (Some(3000), 2), (Some(3000), 7)] {
            for may_ask in [None, Some(1000), Some(5000)] {
                let hold = key(most).hold(asked, may_ask);
                assert_eq!(key(most).bounded(hold, may_ask, wall), hold, "what the engine says is in bounds");
            }
        }
        let expires = |most| Key { expires: Some(1003), ..key(most) };
        assert_eq!(expires(None).bounded(Hold::AsDoor, None, wall).lease(60_000), 3000, "no lease outlives its key");
        assert_eq!(expires(Some(90_000)).bounded(Hold::Exactly(80_000), None, wall).lease(10), 3000);
    }

    #[test]
    fn what_may_be_asked_for_may_be_longer_than_the_door_and_not_than_the_key() {
        let key = |max_open_for| Key { max_open_for, ..Key::new(KeyRef(1), [1; 8]) };
        let leases = |most, may_ask| [0, 5, 50, 500].map(|asked| key(most).hold(asked, may_ask).lease(30_000) / 1000);
        assert_eq!(leases(None, None), [30, 5, 30, 30]);
        assert_eq!(leases(None, Some(60_000)), [30, 5, 50, 60]);
        assert_eq!(leases(None, Some(10_000)), [30, 5, 10, 10]);
        assert_eq!(leases(Some(40_000), Some(60_000)), [30, 5, 40, 40]);
        assert_eq!(leases(Some(90_000), Some(60_000)), [30, 5, 50, 60]);
    }

    #[test]
    fn a_key_lets_in_no_network_wider_than_its_own() {
        let networks = vec![Network { address: "192.0.2.0".parse().unwrap(), prefix: 24 }];
        let (key, address) = (Key { networks, ..Key::new(KeyRef(1), [1; 8]) }, "192.0.2.0".parse().unwrap());
        let may = [None, Some(32), Some(24), Some(23)]
            .map(|prefix| key.may_let_in(address, &Asks { prefix, ..Asks::default() }));
        assert_eq!(may, [true, true, true, false]);
    }

    #[test]
    fn hours_hold_to_the_minute() {
        let office = Hours { days: MONDAY | FRIDAY, from: 8 * HOUR, to: 17 * HOUR };
        let inside = [at(0, 8, 0), at(0, 16, 59), at(4, 12, 0)];
        assert!(inside.iter().all(|&minute| office.contain(minute)));
        let outside = [at(0, 7, 59), at(0, 17, 0), at(1, 12, 0), at(6, 12, 0)];
        assert!(!outside.iter().any(|&minute| office.contain(minute)));
    }

    #[test]
    fn hours_pass_midnight_and_the_end_of_the_week() {
        let night = Hours { days: FRIDAY | SUNDAY, from: 22 * HOUR, to: 6 * HOUR };
        let inside = [at(4, 22, 0), at(4, 23, 59), at(5, 0, 0), at(5, 5, 59), at(6, 23, 59), at(0, 0, 0), at(0, 5, 59)];
        assert!(inside.iter().all(|&minute| night.contain(minute)));
        let outside = [at(4, 5, 59), at(4, 21, 59), at(5, 6, 0), at(5, 22, 0), at(6, 5, 0), at(0, 6, 0), at(0, 22, 0)];
        assert!(!outside.iter().any(|&minute| night.contain(minute)));
    }

    #[test]
    fn a_whole_day_is_written_in_three_ways() {
        for (from, to) in [(0, DAY), (0, 0), (8 * HOUR, 8 * HOUR)] {
            let day = Hours { days: SUNDAY, from, to };
            let minutes = (0..7 * DAY).filter(|&minute| day.contain(minute));
            assert_eq!(minutes.count(), usize::from(DAY), "{from} to {to}");
            assert!(day.contain(at(6, 0, 0) + from) || from > 0);
        }
        assert!(Hours { days: SUNDAY, from: 8 * HOUR, to: 8 * HOUR }.contain(at(0, 7, 59)));
    }

    #[test]
    fn networks_are_compared_by_their_prefix() {
        let network = |address: &str, prefix| Network { address: address.parse().unwrap(), prefix };
        for (network, address, expected) in [
            (network("192.0.2.0", 24), "192.0.2.255", true),
            (network("192.0.2.0", 24), "192.0.3.0", false),
            (network("192.0.2.7", 32), "192.0.2.7", true),
            (network("192.0.2.7", 32), "192.0.2.6", false),
            (network("192.0.2.7", 200), "192.0.2.6", false),
            (network("0.0.0.0", 0), "203.0.113.9", true),
            (network("0.0.0.0", 0), "2001:db8::1", false),
            (network("2001:db8::", 32), "2001:db8:ffff::1", true),
            (network("2001:db8::", 33), "2001:db8:ffff::1", false),
            (network("2001:db8::1", 128), "2001:db8::1", true),
            (network("2001:db8::1", 129), "2001:db8::2", false),
            (network("::", 0), "2001:db8::1", true),
        ] {
            assert_eq!(network.contains(address.parse().unwrap()), expected, "{network:?} {address}");
        }
    }
}
