//! How much of what many may cause is told one by one: a bucket of lines, and a count of the rest.

use klopf_engine::{Budget, Millis};

/// Lines at once.
const BURST: u32 = 512;
/// Lines a second in the long run.
const PER_SECOND: u32 = 16;
/// Milliseconds after which a count of what was not told is told.
const PAUSE: u64 = 10_000;

/// Decides what is told.
#[derive(Debug)]
pub(super) struct Telling {
    budget: Budget,
    silenced: u64,
    /// When the count is to be told.
    next: Option<u64>,
}

impl Default for Telling {
    fn default() -> Self {
        Self { budget: Budget::new(BURST, PER_SECOND), silenced: 0, next: None }
    }
}

impl Telling {
    /// Whether a line may be told now; if not, it is counted.
    pub(super) fn may(&mut self, now: u64) -> bool {
        let may = self.budget.take(Millis(now));
        if !may {
            self.silenced += 1;
            self.next.get_or_insert(now + PAUSE);
        }
        may
    }

    /// When [`Telling::silenced`] has something to tell.
    pub(super) fn next(&self) -> Option<u64> {
        self.next
    }

    /// How many lines were not told, if it is time to say so.
    pub(super) fn silenced(&mut self, now: u64) -> Option<u64> {
        self.next.filter(|&next| next <= now)?;
        self.next = None;
        Some(std::mem::take(&mut self.silenced))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_as_some_lines_and_a_count() {
        let mut telling = Telling::default();
        let told = (0..100_000).filter(|_| telling.may(5)).count() as u64;
        assert_eq!((told, telling.next()), (u64::from(BURST), Some(5 + PAUSE)));
        assert_eq!(telling.silenced(5 + PAUSE - 1), None);
        assert_eq!(telling.silenced(5 + PAUSE), Some(100_000 - u64::from(BURST)));
        assert_eq!((telling.next(), telling.may(5 + PAUSE)), (None, true));
    }
}
