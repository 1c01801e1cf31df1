//! How long to wait until the next look. Pure: chance is an argument.

use std::time::Duration;

/// Nothing is left alone for longer, unless it is looked at less often anyway.
pub(crate) const LONGEST: Duration = Duration::from_secs(3600);

/// The pause after so many failures in a row, 0 for none: twice as long after each, up to 16 times `every` or an hour,
/// whichever is less, but no shorter than `every`; and ten percent more or less than that, by chance. A server may ask
/// for more, up to an hour.
pub(crate) fn pause(every: Duration, failures: u32, asked: Option<Duration>, chance: u32) -> Duration {
    let most = every.saturating_mul(16).min(LONGEST).max(every);
    let grown = every.saturating_mul(1 << failures.min(4)).min(most);
    // From 90 to 110 percent.
    let jittered = grown.mul_f64(0.9 + 0.2 * f64::from(chance) / f64::from(u32::MAX));
    let least = if failures == 0 { Duration::ZERO } else { every };
    jittered.max(least).max(asked.unwrap_or_default().min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: u32 = u32::MAX / 2;

    fn seconds(every: u64, failures: u32, asked: Option<u64>) -> u64 {
        let pause = pause(Duration::from_secs(every), failures, asked.map(Duration::from_secs), MIDDLE);
        (pause + Duration::from_millis(500)).as_secs()
    }

    #[test]
    fn pauses_grow_with_failures_up_to_a_bound() {
        let grown: Vec<_> = (0..7).map(|failures| seconds(60, failures, None)).collect();
        assert_eq!(grown, [60, 120, 240, 480, 960, 960, 960]);
        assert_eq!(seconds(1800, 9, None), 3600);
        assert_eq!(seconds(86_400, 9, None), 86_400);
    }

    #[test]
    fn a_server_may_ask_for_more_but_not_for_everything() {
        assert_eq!(
            [seconds(60, 1, Some(300)), seconds(60, 1, Some(5)), seconds(60, 1, Some(1 << 40))],
            [300, 120, 3600]
        );
    }

    #[test]
    fn chance_changes_it_by_ten_percent() {
        let every = Duration::from_secs(100);
        assert_eq!([0, u32::MAX].map(|chance| pause(every, 0, None, chance).as_secs()), [90, 110]);
        assert_eq!(pause(Duration::from_secs(86_400), 1, None, 0).as_secs(), 86_400);
    }
}
