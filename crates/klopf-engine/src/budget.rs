//! A bucket of tokens.

use crate::Millis;

/// How often something may happen: so many times at once, and so many a second in the long run.
#[derive(Clone, Debug)]
pub struct Budget {
    burst: u32,
    per_second: u32,
    /// Thousandths of a token.
    left: u64,
    filled: Millis,
}

impl Budget {
    /// A full bucket.
    #[must_use]
    pub fn new(burst: u32, per_second: u32) -> Self {
        Self { burst, per_second, left: u64::from(burst) * 1000, filled: Millis(0) }
    }

    /// Takes a token; false if there is none.
    pub fn take(&mut self, now: Millis) -> bool {
        let gained = now.since(self.filled).saturating_mul(u64::from(self.per_second));
        self.left = self.left.saturating_add(gained).min(u64::from(self.burst) * 1000);
        self.filled = now.max(self.filled);
        match self.left.checked_sub(1000) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_used_up_and_refills() {
        let mut budget = Budget::new(2, 10);
        let takes = [5000, 5000, 5000, 5099, 5100, 5100].map(|now| budget.take(Millis(now)));
        assert_eq!(takes, [true, true, false, false, true, false]);
        assert!(!budget.take(Millis(4000)), "a clock that goes back gives nothing");
    }
}
