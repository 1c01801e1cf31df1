//! Time, of two kinds.

/// Milliseconds of a monotonic clock. Never wall-clock time: a sequence must not end because a clock was set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// The moment `ms` milliseconds later.
    #[must_use]
    pub const fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds since `earlier`, 0 if that lies in the future.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The time of day, which clients know too. Only what people wrote down in its terms is measured by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wall {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub unix_ms: u64,
    /// Minutes of local time since Monday 0:00, 0 to 10,079.
    pub minute_of_week: u16,
}

impl Wall {
    /// Seconds since 1970.
    pub(crate) const fn unix_s(self) -> u64 {
        self.unix_ms / 1000
    }

    /// By how many milliseconds a clock that shows `time` is ahead of this one; negative if it is behind.
    pub(crate) fn ahead(self, time: u64) -> i64 {
        match time.checked_sub(self.unix_ms) {
            Some(ahead) => i64::try_from(ahead).unwrap_or(i64::MAX),
            None => i64::try_from(self.unix_ms - time).map_or(i64::MIN, |behind| -behind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_ahead_or_behind_by_any_number() {
        let at = |unix_ms| Wall { unix_ms, minute_of_week: 0 };
        assert_eq!([at(1000).ahead(1001), at(1000).ahead(1000), at(1000).ahead(1)], [1, 0, -999]);
        assert_eq!([at(0).ahead(u64::MAX), at(u64::MAX).ahead(0)], [i64::MAX, i64::MIN]);
    }
}
