//! What was accepted once.
//!
//! Of each key the greatest counters are kept, and a floor above which all others must be (`docs/PROTOCOL.md`, section
//! 6). A knock that overtakes another counts, and no knock counts twice, whatever the clocks say. A key is never
//! forgotten: what would be forgotten could be played again.

use std::collections::HashMap;

use crate::hash::Keyed;
use crate::source::Form;

/// What was accepted of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    floor: u64,
    /// Ascending, each above the floor.
    recent: Vec<u64>,
    uses: u32,
    device: Option<[u8; 16]>,
}

impl Mark {
    /// How many counters are kept at most, of whatever form.
    pub const MOST: usize = 256;

    /// A mark as it was written down. Counters may come in any order; those not above the floor are left out, and
    /// with too many of them the floor rises.
    #[must_use]
    pub fn new(floor: u64, recent: impl IntoIterator<Item = u64>, uses: u32, device: Option<[u8; 16]>) -> Self {
        let mut mark = Self { floor, recent: Vec::new(), uses, device };
        for counter in recent {
            mark.accept(counter, Self::MOST);
        }
        mark
    }

    /// The counter above which new ones must be; 0 at first, so that no counter is 0.
    #[must_use]
    pub const fn floor(&self) -> u64 {
        self.floor
    }

    /// The greatest counters that were accepted, ascending.
    #[must_use]
    pub fn recent(&self) -> &[u64] {
        &self.recent
    }

    /// How often something was granted.
    #[must_use]
    pub const fn uses(&self) -> u32 {
        self.uses
    }

    /// The device that was first, if one was bound.
    #[must_use]
    pub const fn device(&self) -> Option<[u8; 16]> {
        self.device
    }

    fn is_new(&self, counter: u64) -> bool {
        counter > self.floor && self.recent.binary_search(&counter).is_err()
    }

    /// At most so many are kept then.
    fn accept(&mut self, counter: u64, most: usize) -> bool {
        let Some(place) = self.recent.binary_search(&counter).err().filter(|_| counter > self.floor) else {
            return false;
        };
        if self.recent.len() < most {
            self.recent.insert(place, counter);
        } else if let Some(behind) = place.checked_sub(1) {
            self.floor = self.recent.remove(0);
            self.recent.insert(behind, counter);
        } else {
            self.floor = counter; // it is the smallest itself
        }
        true
    }

    /// Takes in what another mark of the same key has accepted.
    fn merge(&mut self, other: &Self) {
        self.floor = self.floor.max(other.floor);
        self.recent.retain(|&counter| counter > other.floor);
        for &counter in &other.recent {
            self.accept(counter, Self::MOST);
        }
        self.uses = self.uses.max(other.uses);
        self.device = other.device.or(self.device);
    }
}

/// The marks of all keys, by the keys' ids. Some 100 bytes a key, and 256 more with all its
/// counters, or 2,048 for tokens.
#[derive(Clone, Debug)]
pub struct Marks(HashMap<[u8; 8], Mark, Keyed>);

impl Marks {
    /// No marks. `key` must be random, so that nobody can choose ids that collide.
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        Self(HashMap::with_hasher(Keyed(key)))
    }

    /// The mark of a key; none if nothing was ever accepted of it.
    #[must_use]
    pub fn get(&self, id: [u8; 8]) -> Option<&Mark> {
        self.0.get(&id)
    }

    /// Whether a counter would be accepted.
    #[must_use]
    pub fn is_new(&self, id: [u8; 8], counter: u64) -> bool {
        self.get(id).map_or(counter > 0, |mark| mark.is_new(counter))
    }

    /// Accepts a counter, once; false if it was accepted before or is not above the floor. As many are kept as the form
    /// [asks for](Form::keeps).
    #[must_use]
    pub fn accept(&mut self, id: [u8; 8], counter: u64, form: Form) -> bool {
        self.is_new(id, counter) && self.0.entry(id).or_default().accept(counter, form.keeps())
    }

    /// Counts that something was granted; returns how often by now.
    pub fn count_use(&mut self, id: [u8; 8]) -> u32 {
        let mark = self.0.entry(id).or_default();
        mark.uses = mark.uses.saturating_add(1);
        mark.uses
    }

    /// Binds the key to a device, unless it is bound; whether it is this one's now.
    pub fn bind_device(&mut self, id: [u8; 8], device: [u8; 16]) -> bool {
        *self.0.entry(id).or_default().device.get_or_insert(device) == device
    }

    /// Puts a mark in place of the one that is there.
    pub fn set(&mut self, id: [u8; 8], mark: Mark) {
        self.0.insert(id, mark);
    }

    /// Adds what a mark has accepted to the one that is there: no counter that either has seen is new, the greater
    /// number of uses counts, and the device is the added one's if it has one.
    pub fn merge(&mut self, id: [u8; 8], mark: &Mark) {
        self.0.entry(id).or_default().merge(mark);
    }

    /// All marks, in no order.
    pub fn iter(&self) -> impl Iterator<Item = ([u8; 8], &Mark)> {
        self.0.iter().map(|(&id, mark)| (id, mark))
    }

    /// How many keys have a mark.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no key has a mark.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const ID: [u8; 8] = [1; 8];

    fn marks() -> Marks {
        Marks::new([7; 16])
    }

    fn accepts(marks: &mut Marks, counters: impl IntoIterator<Item = u64>) -> Vec<bool> {
        counters.into_iter().map(|counter| marks.accept(ID, counter, Form::Packet)).collect()
    }

    #[test]
    fn a_counter_is_accepted_once_in_any_order() {
        let mut marks = marks();
        assert_eq!(accepts(&mut marks, [5, 3, 5, 3, 4, 0, u64::MAX]), [true, true, false, false, true, false, true]);
        assert!(marks.accept([2; 8], 5, Form::Packet), "each key has its own");
    }

    #[test]
    fn the_smallest_of_too_many_becomes_the_floor() {
        let mut marks = marks();
        assert!(accepts(&mut marks, (10..42).rev()).iter().all(|&new| new));
        assert_eq!(marks.get(ID).map(Mark::floor), Some(0));
        assert_eq!(accepts(&mut marks, [50, 10, 9, 1]), [true, false, false, false]);
        assert_eq!(marks.get(ID).map(Mark::floor), Some(10));
        let mut low = self::marks();
        accepts(&mut low, 10..42);
        assert_eq!(accepts(&mut low, [5, 5, 4, 6, 6]), [true, false, false, true, false], "it may be the new one");
        assert_eq!(low.get(ID), Some(&Mark::new(6, 10..42, 0, None)));
    }

    #[test]
    fn two_hundred_tokens_may_be_read_from_the_last_to_the_first() {
        let mut marks = marks();
        assert!((1..=256).rev().all(|counter| marks.accept(ID, counter, Form::Token)));
        assert!(marks.accept(ID, 300, Form::Token) && !marks.is_new(ID, 1) && marks.is_new(ID, 257));
    }

    #[test]
    fn what_is_asked_leaves_no_trace() {
        let marks = marks();
        assert!(marks.is_new(ID, 1) && !marks.is_new(ID, 0));
        assert!(marks.is_empty());
    }

    #[test]
    fn a_refused_counter_makes_no_mark() {
        let mut marks = marks();
        assert!(!marks.accept(ID, 0, Form::Packet));
        assert!(marks.is_empty());
    }

    #[test]
    fn a_device_is_bound_once_and_uses_are_counted() {
        let mut marks = marks();
        assert!(marks.bind_device(ID, [1; 16]) && marks.bind_device(ID, [1; 16]));
        assert!(!marks.bind_device(ID, [2; 16]));
        assert_eq!([marks.count_use(ID), marks.count_use(ID)], [1, 2]);
        marks.set(ID, Mark::new(0, [], u32::MAX, Some([2; 16])));
        assert_eq!((marks.count_use(ID), marks.bind_device(ID, [2; 16])), (u32::MAX, true));
    }

    #[test]
    fn a_mark_that_was_written_down_wrongly_is_put_right() {
        let mark = Mark::new(5, (1..=264).rev().chain([40, 7]), 3, None);
        assert_eq!((mark.floor(), mark.recent()), (8, (9..=264).collect::<Vec<_>>().as_slice()));
    }

    #[test]
    fn a_key_with_few_knocks_takes_little_memory() {
        let mut marks = marks();
        assert!(marks.accept(ID, 1, Form::Packet));
        assert!(size_of::<Mark>() <= 64 && marks.get(ID).is_some_and(|mark| mark.recent.capacity() <= 4));
        accepts(&mut marks, 2..1000);
        assert!(marks.get(ID).is_some_and(|mark| mark.recent.capacity() <= Form::Packet.keeps()));
    }

    /// The rule as it is written: all that was ever accepted, and a floor.
    #[derive(Default)]
    struct Model {
        accepted: BTreeSet<u64>,
        recent: BTreeSet<u64>,
        floor: u64,
    }

    impl Model {
        fn accept(&mut self, counter: u64) -> bool {
            if counter <= self.floor || self.recent.contains(&counter) {
                return false;
            }
            assert!(self.accepted.insert(counter), "no counter is accepted twice");
            self.recent.insert(counter);
            if self.recent.len() > Form::Packet.keeps() {
                self.floor = self.recent.pop_first().unwrap();
            }
            true
        }
    }

    proptest! {
        #[test]
        fn marks_do_as_the_rule_says(counters in prop::collection::vec((0u64..4, 0u64..60), 0..400)) {
            let (mut marks, mut model) = (marks(), Model::default());
            for (far, near) in counters {
                let counter = far * 40 + near;
                let (new, accepted) = (marks.is_new(ID, counter), marks.accept(ID, counter, Form::Packet));
                prop_assert_eq!(new, accepted);
                prop_assert_eq!(accepted, model.accept(counter));
                let mark = marks.get(ID).cloned().unwrap_or_default();
                prop_assert_eq!(mark.floor(), model.floor);
                prop_assert!(mark.recent().iter().eq(&model.recent));
            }
        }

        #[test]
        fn a_mark_that_was_written_down_goes_on_as_before(
            before in prop::collection::vec(0u64..200, 0..100),
            after in prop::collection::vec(0u64..200, 0..100),
        ) {
            let (mut marks, mut restored) = (marks(), marks());
            accepts(&mut marks, before);
            let mark = marks.get(ID).cloned().unwrap_or_default();
            restored.set(ID, Mark::new(mark.floor(), mark.recent().iter().copied(), mark.uses(), mark.device()));
            prop_assert_eq!(accepts(&mut marks, after.iter().copied()), accepts(&mut restored, after));
        }

        /// Whatever is added in whatever order, nothing that either side has accepted is accepted again.
        #[test]
        fn nothing_is_new_after_a_merge_that_was_not_before(
            ours in prop::collection::vec(0u64..100, 0..80),
            theirs in prop::collection::vec(0u64..100, 0..80),
        ) {
            let (mut marks, mut other) = (marks(), marks());
            accepts(&mut marks, ours);
            accepts(&mut other, theirs);
            let new: Vec<bool> = (0..110).map(|n| marks.is_new(ID, n) && other.is_new(ID, n)).collect();
            marks.merge(ID, &other.get(ID).cloned().unwrap_or_default());
            let merged: Vec<bool> = (0..110).map(|n| marks.is_new(ID, n)).collect();
            let kept = marks.get(ID).map_or(0, |mark| mark.recent().len());
            prop_assert!(kept <= Mark::MOST);
            // The floor may have risen over counters that neither has seen, but never fallen below one that was.
            prop_assert!(merged.iter().zip(&new).all(|(after, before)| *before || !after));
        }
    }
}
