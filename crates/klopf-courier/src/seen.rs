//! What was offered and answered before. It forgets, but only after many others have come.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};

/// Values that are remembered for certain; twice as many are at most. A page has no more: the shortest body is of 21
/// characters.
const REMEMBERED: usize = 131_072;

/// A bounded memory. Of a value only a keyed hash is kept, so that strangers cannot choose two that are the same.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    key: RandomState,
    young: HashSet<u64>,
    old: HashSet<u64>,
}

impl Seen {
    /// The number by which a value is remembered.
    pub(crate) fn name(&self, value: impl Hash) -> u64 {
        self.key.hash_one(value)
    }

    /// Whether a value is remembered; then it is remembered for longer.
    pub(crate) fn knows(&mut self, name: u64) -> bool {
        if self.young.contains(&name) {
            return true;
        }
        let known = self.old.contains(&name);
        if known {
            self.add(name);
        }
        known
    }

    /// Remembers a value.
    pub(crate) fn add(&mut self, name: u64) {
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name);
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_still_there_stays_known_and_what_is_gone_is_forgotten() {
        let mut seen = Seen::default();
        seen.add(7);
        seen.add(8);
        for name in 100..600_000 {
            assert!(seen.knows(7));
            seen.add(name);
            assert!(seen.young.len() + seen.old.len() <= 2 * REMEMBERED);
        }
        assert!(!seen.knows(8) && !seen.knows(100));
        assert!(seen.knows(600_000 - u64::try_from(REMEMBERED).unwrap() / 2));
        seen.clear();
        assert!(!seen.knows(7));
    }

    #[test]
    fn values_have_names_of_their_own() {
        let seen = Seen::default();
        assert_eq!(seen.name(("a", 1)), seen.name(("a", 1)));
        assert_ne!(seen.name(("a", 1)), seen.name(("a", 2)));
    }
}
