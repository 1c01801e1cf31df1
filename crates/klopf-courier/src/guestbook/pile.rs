//! What was found on a page and is to be offered: a bounded part of it, and nobody who fills the page can tell which, so that
//! nobody's entries hide another's for ever.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::BuildHasher;
use std::net::IpAddr;

use klopf_brief::Body;

/// What is kept of each end of a page, where new entries are.
pub(crate) const END: usize = 256;
/// What is kept of all that lies between, by chance.
const BETWEEN: usize = 16_384;

/// What may be a token, a share or a code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// By which it is remembered.
    pub(crate) name: u64,
    pub(crate) body: Body,
    pub(crate) address: Option<IpAddr>,
}

/// What is to be offered.
#[derive(Debug, Default)]
pub(crate) struct Pile {
    names: HashSet<u64>,
    first: VecDeque<Candidate>,
    last: VecDeque<Candidate>,
    /// In an order of chance.
    between: BTreeMap<u64, Candidate>,
    chance: RandomState,
    left_out: bool,
}

impl Pile {
    /// Adds what comes next on the page, unless it is there.
    pub(crate) fn add(&mut self, candidate: Candidate) {
        if !self.names.insert(candidate.name) {
            return;
        }
        if self.first.len() < END {
            return self.first.push_back(candidate);
        }
        self.last.push_back(candidate);
        if self.last.len() > END
            && let Some(between) = self.last.pop_front()
        {
            self.between.insert(self.chance.hash_one(between.name), between);
        }
        if self.between.len() > BETWEEN {
            self.left_out |= self.between.pop_last().is_some();
        }
    }

    /// What is to be offered next: from the beginning, from the end, and then by chance.
    pub(crate) fn next(&mut self) -> Option<Candidate> {
        let next = self.first.pop_front().or_else(|| self.last.pop_back());
        next.or_else(|| self.between.pop_first().map(|(_, candidate)| candidate))
    }

    /// Puts back what could not be offered.
    pub(crate) fn put_back(&mut self, candidate: Candidate) {
        self.first.push_front(candidate);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.last.is_empty() && self.between.is_empty()
    }

    /// Whether the page had more than what is kept.
    pub(crate) const fn left_out(&self) -> bool {
        self.left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pile(count: u64) -> Pile {
        let mut pile = Pile::default();
        for name in (0..count).chain(0..count / 2) {
            pile.add(Candidate { name, body: Body::new(&[1]).unwrap(), address: None });
        }
        pile
    }

    fn all(mut pile: Pile) -> Vec<u64> {
        std::iter::from_fn(|| pile.next()).map(|candidate| candidate.name).collect()
    }

    #[test]
    fn all_of_a_page_is_offered_once_its_ends_first() {
        let names = all(pile(2000));
        assert!(names.iter().take(2 * END).all(|name| *name < 256 || *name >= 1744));
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), 2000);
        assert!(names.len() == 2000 && !pile(2000).left_out() && pile(0).is_empty());
    }

    #[test]
    fn of_too_much_each_has_its_chance() {
        let all_of = || all(pile(30_000));
        let (one, other) = (all_of(), all_of());
        assert!(pile(30_000).left_out() && one.len() == 2 * END + BETWEEN && one != other);
        // 16,384 of 29,488 each time.
        let found = (0..40).filter(|_| all_of().contains(&15_000)).count();
        assert!((6..=37).contains(&found), "{found}");
    }
}
