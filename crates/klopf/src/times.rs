//! Spans of time, as people write and read them.

use std::time::Duration;

/// Reads `30s`, `10m`, `2h` or `1d`.
pub(crate) fn duration(text: &str) -> Result<Duration, &'static str> {
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86400)];
    let read = units.iter().find_map(|(unit, seconds)| {
        let digits = text.strip_suffix(*unit).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse::<u32>().ok().map(|number| Duration::from_secs(u64::from(number) * seconds))
    });
    read.filter(|time| !time.is_zero()).ok_or("a time is written 30s, 10m, 2h or 1d")
}

/// A span of time in at most two units: `45s`, `4m12s`, `3h05m`, `2d04h`.
pub(crate) fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h{:02}m", minutes % 60),
        (..) => format!("{days}d{:02}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit() {
        for (text, seconds) in [("30s", 30), ("10m", 600), ("2h", 7200), ("1d", 86400)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "10", "m", "0s", "-1s", "+1s", "1.5h", "10 m", "1h30m", "99999999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
