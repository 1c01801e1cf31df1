//! What is counted instead of being logged packet by packet.

use crate::Refusal;

/// Counts since the start. Each has a stable name for status pages and logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that were some door's business.
    pub knocks: u64,
    /// Attempts that were begun.
    pub attempts: u64,
    /// Attempts that ended with a wrong hit.
    pub wrong_hits: u64,
    /// Attempts that ran out of time.
    pub timeouts: u64,
    /// Attempts that gave way to newer ones because the table was full.
    pub evicted: u64,
    /// Sealed knocks that were authentic.
    pub sealed: u64,
    /// Sequences that were completed, and sealed knocks, that were granted.
    pub granted: u64,
    /// How often each refusal was given, by its number.
    pub refusals: [u64; Refusal::ALL.len()],
}

impl Counters {
    /// How often a refusal was given.
    #[must_use]
    pub fn refused(&self, why: Refusal) -> u64 {
        self.refusals.get(usize::from(why.number())).copied().unwrap_or_default()
    }

    /// All counts with their names; refusals are last, in the order of their numbers.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 7 + Refusal::ALL.len()] {
        let mut named = [("", 0); 7 + Refusal::ALL.len()];
        let own = [
            ("knocks", self.knocks),
            ("attempts", self.attempts),
            ("wrong-hits", self.wrong_hits),
            ("timeouts", self.timeouts),
            ("evicted", self.evicted),
            ("sealed-knocks", self.sealed),
            ("granted", self.granted),
        ];
        let refusals = Refusal::ALL.map(|why| (why.name(), self.refused(why)));
        for (place, count) in named.iter_mut().zip(own.into_iter().chain(refusals)) {
            *place = count;
        }
        named
    }

    /// Both together.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        let refusals = std::array::from_fn(|number| {
            let of = |counters: &Self| counters.refusals.get(number).copied().unwrap_or_default();
            of(self) + of(other)
        });
        Self {
            knocks: self.knocks + other.knocks,
            attempts: self.attempts + other.attempts,
            wrong_hits: self.wrong_hits + other.wrong_hits,
            timeouts: self.timeouts + other.timeouts,
            evicted: self.evicted + other.evicted,
            sealed: self.sealed + other.sealed,
            granted: self.granted + other.granted,
            refusals,
        }
    }

    /// Counts a refusal.
    pub(crate) fn refuse(&mut self, why: Refusal) {
        if let Some(count) = self.refusals.get_mut(usize::from(why.number())) {
            *count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_count_has_a_name_of_its_own_and_every_refusal_its_count() {
        let mut counters = Counters { granted: 100, ..Counters::default() };
        for why in Refusal::ALL {
            (0..=why.number()).for_each(|_| counters.refuse(why));
        }
        let named = counters.named();
        let names: BTreeSet<_> = named.iter().map(|(name, _)| *name).filter(|name| !name.is_empty()).collect();
        assert_eq!(names.len(), named.len());
        assert!(named.contains(&("granted", 100)) && named.contains(&("no-packet", 1)));
        assert_eq!(named.last(), Some(&("wrong-flags", 25)));
    }
}
