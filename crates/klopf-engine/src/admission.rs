//! Who gets as far as the public-key work.
//!
//! All who come here have passed the outer seal, so they were invited, or have it from somebody who was. Origins can be
//! spoofed: a budget delays, and nobody is locked out or punished for trying.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;

use crate::budget::{Bucket, Rate};
use crate::hash::Keyed;
use crate::{Millis, Refusal};

/// Nonces that are remembered.
const NONCES: usize = 1 << 16;
/// Origins that are remembered. More than can use up anything in the time in which a bucket is full again, so whoever
/// is forgotten loses nothing, and gains nothing.
const ORIGINS: usize = 1 << 16;
/// Attempts of one origin with one key: more than a person's programs make, and a few milliseconds of work a second.
const EACH: Rate = Rate::per_second(256, 32);
/// Attempts of all origins together.
const ALL: Rate = Rate::per_second(4096, 2000);

/// Decides who is admitted.
pub(crate) struct Admission {
    nonces: Nonces,
    origins: Origins,
    all: Bucket,
}

impl Admission {
    pub(crate) fn new(key: [u8; 16]) -> Self {
        Self { nonces: Nonces::new(Keyed(key)), origins: Origins::new(Keyed(key)), all: ALL.full() }
    }

    /// Admits a packet once, if there is budget for it.
    pub(crate) fn admit(&mut self, now: Millis, origin: IpAddr, id: [u8; 8], nonce: [u8; 12]) -> Result<(), Refusal> {
        if self.nonces.seen.contains(&nonce) {
            return Err(Refusal::Replayed);
        }
        // Of one key, so that nobody takes from others behind the same translation of addresses.
        let origin = (Origin::of(origin), id);
        let mut bucket = self.origins.bucket(origin);
        // The origin's comes first, so that what one sends in vain takes nothing from all.
        if !bucket.take(EACH, now) || !self.all.take(ALL, now) {
            return Err(Refusal::TooManyPackets);
        }
        self.origins.put(origin, bucket);
        self.nonces.remember(nonce);
        Ok(())
    }
}

/// The nonces that were admitted last.
struct Nonces {
    seen: HashSet<[u8; 12], Keyed>,
    /// Oldest first.
    order: VecDeque<[u8; 12]>,
}

impl Nonces {
    fn new(hash: Keyed) -> Self {
        Self { seen: HashSet::with_hasher(hash), order: VecDeque::new() }
    }

    fn remember(&mut self, nonce: [u8; 12]) {
        if self.order.len() >= NONCES
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        self.seen.insert(nonce);
        self.order.push_back(nonce);
    }
}

/// Whose budget it is: an IPv4 address, or the first half of an IPv6 one, for a customer has all of the second.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Origin {
    V4(u32),
    V6([u8; 8]),
}

impl Origin {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::V4(v4.to_bits()),
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, g, h, ..] = v6.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// An origin, and the key that its packets show.
type Who = (Origin, [u8; 8]);

/// What origins have left. Two tables of half the bound: when the younger is full, the older is emptied and takes its
/// turn, so those that were not admitted for the longest time are forgotten, without a look at each.
struct Origins {
    younger: HashMap<Who, Bucket, Keyed>,
    older: HashMap<Who, Bucket, Keyed>,
}

impl Origins {
    fn new(hash: Keyed) -> Self {
        Self { younger: HashMap::with_hasher(hash), older: HashMap::with_hasher(hash) }
    }

    fn bucket(&self, origin: Who) -> Bucket {
        let known = self.younger.get(&origin).or_else(|| self.older.get(&origin));
        known.copied().unwrap_or(EACH.full())
    }

    fn put(&mut self, origin: Who, bucket: Bucket) {
        if self.younger.len() >= ORIGINS / 2 {
            std::mem::swap(&mut self.younger, &mut self.older);
            self.younger.clear();
        }
        self.younger.insert(origin, bucket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: [u8; 8] = [5; 8];

    fn admission() -> Admission {
        Admission::new([7; 16])
    }

    fn nonce(number: u64) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&number.to_le_bytes());
        nonce
    }

    fn v4(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    /// How many packets of one origin are admitted at a moment.
    fn admitted(admission: &mut Admission, now: u64, origin: IpAddr, nonces: std::ops::Range<u64>) -> usize {
        nonces.filter(|&number| admission.admit(Millis(now), origin, ID, nonce(number)).is_ok()).count()
    }

    #[test]
    fn a_packet_is_admitted_once_from_wherever_it_comes() {
        let mut admission = admission();
        let [first, again, elsewhere] = [1, 1, 2].map(|from| admission.admit(Millis(5), v4(from), ID, nonce(1)));
        assert_eq!((first, again, elsewhere), (Ok(()), Err(Refusal::Replayed), Err(Refusal::Replayed)));
    }

    #[test]
    fn so_many_nonces_are_remembered_and_no_more() {
        let mut admission = admission();
        let most = NONCES as u64;
        for number in 0..most + 10 {
            let (now, origin) = (number * 10, v4(u32::try_from(number).unwrap()));
            assert_eq!(admission.admit(Millis(now), origin, ID, nonce(number)), Ok(()));
            assert!(admission.nonces.order.len() <= NONCES && admission.nonces.seen.len() <= NONCES);
        }
        let mut ask = |number| admission.admit(Millis(most * 20), v4(0), ID, nonce(number));
        assert_eq!([ask(10), ask(most), ask(9)], [Err(Refusal::Replayed), Err(Refusal::Replayed), Ok(())]);
    }

    #[test]
    fn an_origin_that_used_up_its_budget_waits_and_others_do_not() {
        let mut admission = admission();
        assert_eq!(admitted(&mut admission, 1000, v4(1), 0..1000), 256);
        assert_eq!(admitted(&mut admission, 1000, v4(2), 1000..1001), 1);
        assert_eq!(admission.admit(Millis(1031), v4(1), ID, nonce(999)), Err(Refusal::TooManyPackets));
        assert_eq!(admission.admit(Millis(1032), v4(1), ID, nonce(999)), Ok(()), "a packet sent again counts then");
        assert_eq!(admitted(&mut admission, 9250, v4(1), 2000..3000), 256, "trying costs nothing");
    }

    #[test]
    fn who_floods_with_one_key_takes_nothing_from_another_behind_the_same_address() {
        let mut admission = admission();
        assert_eq!(admitted(&mut admission, 1000, v4(1), 0..1000), 256);
        assert_eq!(admission.admit(Millis(1000), v4(1), [6; 8], nonce(5000)), Ok(()));
    }

    #[test]
    fn a_customer_with_many_ipv6_addresses_is_one_origin() {
        let mut admission = admission();
        let v6 = |net: u16, host: u16| IpAddr::from([0x2001, 0xdb8, 0, net, host, 0, 0, 1]);
        let hosts = (0..1000).filter(|&host| admission.admit(Millis(1), v6(1, host), ID, nonce(host.into())).is_ok());
        assert_eq!(hosts.count(), 256);
        assert_eq!(admission.admit(Millis(1), v6(2, 0), ID, nonce(5000)), Ok(()));
    }

    #[test]
    fn all_origins_together_have_a_budget_that_refills() {
        let mut admission = admission();
        let mut flood = |now: u64, from: u32| {
            let each = |number: &u32| admission.admit(Millis(now), v4(*number), ID, nonce(u64::from(*number))).is_ok();
            (from..from + 10_000).filter(each).count()
        };
        assert_eq!([flood(5000, 0), flood(5500, 10_000), flood(60_000, 20_000)], [4096, 1000, 4096]);
    }

    #[test]
    fn what_one_origin_sends_in_vain_takes_nothing_from_all() {
        let mut admission = admission();
        assert_eq!(admitted(&mut admission, 1, v4(1), 10_000..20_000), 256);
        let others = (2..5000).filter(|&from| admission.admit(Millis(1), v4(from), ID, nonce(from.into())).is_err());
        assert_eq!(others.count(), 4998 - (4096 - 256));
    }

    #[test]
    fn a_flood_of_origins_stays_bounded() {
        let mut admission = admission();
        for number in 0..100_000u32 {
            let now = u64::from(number) / 2;
            let _ = admission.admit(Millis(now), v4(number), ID, nonce(u64::from(number) + 1000));
            assert!(admission.origins.younger.len() + admission.origins.older.len() <= ORIGINS);
        }
    }

    #[test]
    fn no_flood_makes_the_table_forget_who_has_no_full_budget() {
        let mut admission = admission();
        let flood = |admission: &mut Admission, now: u64, numbers: std::ops::Range<u32>| {
            numbers.filter(|&n| admission.admit(Millis(now), v4(n), ID, nonce(u64::from(n) + 1000)).is_ok()).count()
        };
        let half = u32::try_from(ORIGINS / 2).unwrap();
        for from in (10..half).step_by(1000) {
            flood(&mut admission, u64::from(from), from..(from + 1000).min(half));
        }
        let now = u64::from(half) + 10_000;
        assert_eq!(admitted(&mut admission, now, v4(1), 0..300), 256);
        let others = flood(&mut admission, now, half..half + 100);
        assert!(
            others == 100 && admission.origins.older.contains_key(&(Origin::of(v4(1)), ID)),
            "the tables took turns"
        );
        assert_eq!(admission.admit(Millis(now), v4(1), ID, nonce(299)), Err(Refusal::TooManyPackets));
        // The greatest flood that gets through, for as long as it takes until the budget is full again but for one.
        for ms in 1..7900u32 {
            flood(&mut admission, now + u64::from(ms), half + 100 + ms * 2..half + 102 + ms * 2);
        }
        assert_eq!(admitted(&mut admission, now + 7900, v4(1), 400..900), 252);
    }
}
