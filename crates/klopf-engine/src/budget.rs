//! Buckets of tokens.

use crate::Millis;

/// How often something may happen: so many times at once, and so many in the long run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    burst: u32,
    /// What a millisecond brings.
    gain: u64,
    /// What a token costs.
    price: u64,
}

impl Rate {
    /// So many at once, and so many a second.
    pub(crate) const fn per_second(burst: u32, count: u32) -> Self {
        Self { burst, gain: count as u64, price: 1000 }
    }

    /// So many at once, and another one after so many milliseconds.
    pub(crate) const fn one_in(burst: u32, ms: u64) -> Self {
        Self { burst, gain: 1, price: ms }
    }

    /// A full bucket.
    pub(crate) const fn full(self) -> Bucket {
        Bucket { left: self.most(), filled: Millis(0) }
    }

    const fn most(self) -> u64 {
        (self.burst as u64).saturating_mul(self.price)
    }
}

/// What is left, apart from its [`Rate`], so that it is small where there are many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    left: u64,
    filled: Millis,
}

impl Bucket {
    /// Whether there is a token.
    pub(crate) fn has_one(&self, rate: Rate, now: Millis) -> bool {
        self.refilled(rate, now).left >= rate.price
    }

    /// Takes a token; false if there is none.
    pub(crate) fn take(&mut self, rate: Rate, now: Millis) -> bool {
        *self = self.refilled(rate, now);
        match self.left.checked_sub(rate.price) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    fn refilled(self, rate: Rate, now: Millis) -> Self {
        let gained = now.since(self.filled).saturating_mul(rate.gain);
        Self { left: self.left.saturating_add(gained).min(rate.most()), filled: now.max(self.filled) }
    }
}

/// A rate and its bucket.
#[derive(Clone, Debug)]
pub struct Budget {
    rate: Rate,
    bucket: Bucket,
}

impl Budget {
    /// A full bucket: `burst` tokens at once, and `per_second` in the long run.
    #[must_use]
    pub fn new(burst: u32, per_second: u32) -> Self {
        let rate = Rate::per_second(burst, per_second);
        Self { rate, bucket: rate.full() }
    }

    /// Takes a token; false if there is none.
    pub fn take(&mut self, now: Millis) -> bool {
        self.bucket.take(self.rate, now)
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

    #[test]
    fn a_slow_rate_gives_one_at_a_time() {
        let rate = Rate::one_in(2, 60_000);
        let mut bucket = rate.full();
        let takes = [1, 1, 1, 60_000, 60_001, 60_001].map(|now| bucket.take(rate, Millis(now)));
        assert_eq!(takes, [true, true, false, false, true, false]);
        assert!(!bucket.has_one(rate, Millis(120_000)));
        assert!(bucket.has_one(rate, Millis(120_001)));
    }
}
