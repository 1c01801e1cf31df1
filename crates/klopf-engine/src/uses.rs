//! What counts as one use of a key.
//!
//! A client knocks for each family of addresses, and again until it is answered. All its knocks at a door within a minute of the
//! first are one use.

use std::collections::HashMap;

use crate::hash::Keyed;
use crate::{DoorId, Millis};

/// Milliseconds from the first knock of a use to the end of it.
const ONE_USE: u64 = 60_000;
/// With more of them, those that are over are left out.
const MANY: usize = 4096;

/// The uses that are not over.
#[derive(Debug)]
pub struct Uses {
    begun: HashMap<([u8; 8], DoorId), Millis, Keyed>,
    /// With so many they are looked through.
    most: usize,
}

impl Uses {
    /// None. `key` must be random, so that nobody can choose ids that collide.
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        Self { begun: HashMap::with_hasher(Keyed(key)), most: MANY }
    }

    /// Whether a knock of a key at a door would begin a use.
    #[must_use]
    pub fn begins(&self, id: [u8; 8], door: DoorId, now: Millis) -> bool {
        self.begun.get(&(id, door)).is_none_or(|begun| now.since(*begun) >= ONE_USE)
    }

    /// It has begun one.
    pub fn begin(&mut self, id: [u8; 8], door: DoorId, now: Millis) {
        if self.begun.len() >= self.most {
            self.begun.retain(|_, begun| now.since(*begun) < ONE_USE);
            // So that each is looked at a bounded number of times.
            self.most = MANY.max(self.begun.len() * 2);
        }
        self.begun.insert((id, door), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_knocks_at_a_door_within_a_minute_are_one_use() {
        let mut uses = Uses::new([7; 16]);
        let begins = |uses: &Uses, id: u8, door, now| uses.begins([id; 8], DoorId(door), Millis(now));
        assert!(begins(&uses, 1, 1, 5000));
        uses.begin([1; 8], DoorId(1), Millis(5000));
        assert!(!begins(&uses, 1, 1, 5000) && !begins(&uses, 1, 1, 64_999) && begins(&uses, 1, 1, 65_000));
        assert!(begins(&uses, 1, 2, 5000) && begins(&uses, 2, 1, 5000), "each key and door has its own");
    }

    #[test]
    fn uses_that_are_over_take_no_room() {
        let mut uses = Uses::new([7; 16]);
        for number in 0..100_000_u32 {
            uses.begin([1; 8], DoorId(number), Millis(u64::from(number) * 30));
        }
        assert!(uses.begun.len() <= 2 * MANY, "{}", uses.begun.len());
    }
}
