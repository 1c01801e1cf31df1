//! What is remembered of many origins for a while, within bounds.

use std::collections::HashMap;
use std::hash::Hash;

use crate::Millis;
use crate::hash::Keyed;

/// A table of what was met lately, which forgets by halves: what is older than the time, and, when there is too much, what was not
/// met for longest.
///
/// Those that are met for the first times are kept apart from those that were met more often, so that a flood of strangers pushes out
/// itself.
pub struct Recent<K, V> {
    fresh: Halves<K, V>,
    known: Halves<K, V>,
}

/// How much of the table is whose.
struct Halves<K, V> {
    now: HashMap<K, V, Keyed>,
    before: HashMap<K, V, Keyed>,
    turned: Millis,
    /// In each half.
    most: usize,
    /// Milliseconds for which a half is filled.
    time: u64,
}

impl<K: Eq + Hash + Copy, V> Recent<K, V> {
    /// An empty table of at most `most` strangers and as many that are known. What was not met for `time` milliseconds is forgotten
    /// at some moment before twice as many. `key` must be random.
    #[must_use]
    pub fn new(most: usize, time: u64, key: [u8; 16]) -> Self {
        let halves = || Halves {
            now: HashMap::with_hasher(Keyed(key)),
            before: HashMap::with_hasher(Keyed(key)),
            turned: Millis(0),
            most: (most / 2).max(1),
            time,
        };
        Self { fresh: halves(), known: halves() }
    }

    /// Takes what is remembered, if anything, to be put back with [`Recent::put`].
    pub fn take(&mut self, now: Millis, key: &K) -> Option<V> {
        self.forget(now);
        self.known.take(key).or_else(|| self.fresh.take(key))
    }

    /// Remembers something, as that of a stranger or of somebody known.
    pub fn put(&mut self, now: Millis, key: K, value: V, known: bool) {
        self.forget(now);
        let half = if known { &mut self.known } else { &mut self.fresh };
        half.put(now, key, value);
    }

    /// Forgets what is too old.
    pub fn forget(&mut self, now: Millis) {
        self.fresh.forget(now);
        self.known.forget(now);
    }

    /// When [`Recent::forget`] has something to do.
    #[must_use]
    pub fn next(&self) -> Option<Millis> {
        [&self.fresh, &self.known].into_iter().filter_map(Halves::next).min()
    }

    /// How much is remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        [&self.fresh, &self.known].iter().map(|halves| halves.now.len() + halves.before.len()).sum()
    }

    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Eq + Hash + Copy, V> Halves<K, V> {
    fn take(&mut self, key: &K) -> Option<V> {
        self.now.remove(key).or_else(|| self.before.remove(key))
    }

    fn put(&mut self, now: Millis, key: K, value: V) {
        if self.now.is_empty() && self.before.is_empty() {
            self.turned = now;
        }
        if self.now.len() >= self.most {
            self.turn(now);
        }
        self.now.insert(key, value);
    }

    fn forget(&mut self, now: Millis) {
        if self.next().is_some_and(|next| next <= now) {
            self.turn(now);
        }
    }

    fn turn(&mut self, now: Millis) {
        // A new map, and not an emptied one: a flood must not keep its memory.
        let empty = HashMap::with_hasher(*self.now.hasher());
        self.before = std::mem::replace(&mut self.now, empty);
        self.turned = now;
    }

    fn next(&self) -> Option<Millis> {
        let something = !self.now.is_empty() || !self.before.is_empty();
        something.then(|| self.turned.plus(self.time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(most: usize) -> Recent<u32, u32> {
        Recent::new(most, 1000, [3; 16])
    }

    #[test]
    fn what_is_put_back_is_remembered_and_what_is_not_met_is_forgotten() {
        let mut table = table(100);
        assert_eq!((table.next(), table.take(Millis(0), &7)), (None, None));
        table.put(Millis(500), 7, 1, false);
        assert_eq!(table.next(), Some(Millis(1500)));
        assert_eq!(table.take(Millis(1499), &7), Some(1));
        assert!(table.is_empty());
        table.put(Millis(1499), 7, 2, true);
        assert_eq!(table.take(Millis(2499), &7), Some(2), "it is in the half before");
        table.put(Millis(2499), 7, 3, true);
        table.forget(Millis(3499));
        assert_eq!(table.len(), 1);
        table.forget(Millis(4499));
        assert!(table.is_empty() && table.next().is_none());
    }

    #[test]
    fn a_flood_of_strangers_pushes_out_itself() {
        let mut table = table(1000);
        table.put(Millis(0), 1, 10, true);
        table.put(Millis(0), 2, 20, false);
        for stranger in 100..10_100 {
            table.put(Millis(1), stranger, 0, false);
            assert!(table.len() <= 1001);
        }
        assert_eq!((table.take(Millis(2), &1), table.take(Millis(2), &2)), (Some(10), None));
    }

    #[test]
    fn among_those_that_are_known_the_ones_that_were_not_met_give_way() {
        let mut table = table(10);
        for round in 0..100 {
            let met = table.take(Millis(round), &1);
            assert_eq!(met.is_some(), round > 0, "{round}");
            table.put(Millis(round), 1, 0, true);
            (0..4)
                .for_each(|other| table.put(Millis(round), 1000 + u32::try_from(round).unwrap() * 4 + other, 0, true));
        }
        assert!(table.len() <= 10);
    }
}
