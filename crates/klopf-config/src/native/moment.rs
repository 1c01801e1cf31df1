//! Moments: `2027-01-01T00:00:00Z`.

use toml::value::{Date, Datetime, Offset};

use super::report::Wrong;

/// Seconds since 1970-01-01T00:00:00Z of a date and time with an offset; parts of a second are left out.
pub(super) fn parse(key: &str, written: &Datetime) -> Result<u64, Wrong> {
    let (Some(date), Some(time)) = (written.date, written.time) else {
        let date = written.date.map_or_else(|| "2027-01-01".to_owned(), |date| date.to_string());
        let help = format!("write it like `{key} = {date}T00:00:00Z`");
        return Err(Wrong::new(format!("`{key}` needs a date and a time"), help));
    };
    let minutes = match written.offset {
        Some(Offset::Z) => 0,
        Some(Offset::Custom { minutes }) => i64::from(minutes),
        None => {
            let help = format!("add Z for UTC, or another offset such as +01:00: `{key} = {written}Z`");
            return Err(Wrong::new(format!("`{key}` does not say in which time zone"), help));
        }
    };
    let of_day = i64::from(time.hour) * 3600 + i64::from(time.minute) * 60 + time.second.map_or(0, i64::from);
    u64::try_from(day(date) * 86400 + of_day - minutes * 60)
        .map_err(|_| Wrong::new(format!("`{key}` is before 1970"), "write a later date"))
}

/// Days since 1970-01-01 in the Gregorian calendar.
fn day(date: Date) -> i64 {
    // Years begin in March here, so that the leap day is the last one.
    let (year, month) = (i64::from(date.year), i64::from(date.month));
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let of_year = (153 * month + 2) / 5 + i64::from(date.day) - 1;
    365 * year + leap_days + of_year - 719_468
}

/// The last second that can be written, the end of the year 9999.
const LAST: u64 = 253_402_300_799;

/// Seconds since 1970-01-01T00:00:00Z as they are written in a file, in UTC; what is later than the year 9999 is its end.
#[must_use]
pub fn text(unix_seconds: u64) -> String {
    let seconds = unix_seconds.min(LAST);
    let (days, of_day) = (seconds / 86400, seconds % 86400);
    // As in `day`: years begin in March, and 400 of them have 146,097 days.
    let days = days + 719_468;
    let (cycle, of_cycle) = (days / 146_097, days % 146_097);
    let year = (of_cycle - of_cycle / 1460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = (400 * cycle + year, if month < 10 { month + 3 } else { month - 9 });
    let year = if month < 3 { year + 1 } else { year };
    format!("{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}Z", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_as_it_is_written() {
        for year in (0..8_029).step_by(29).chain(128..134) {
            for seconds in [0, 1, 59 * 86400 - 1, 59 * 86400, 60 * 86400, 364 * 86400 + 86399, 365 * 86400] {
                let moment = year * 31_556_952 / 86400 * 86400 + seconds;
                let written = text(moment);
                assert_eq!(parse("expires", &written.parse().unwrap()).ok(), Some(moment), "{written}");
            }
        }
        assert_eq!(text(u64::MAX), "9999-12-31T23:59:59Z");
        assert_eq!(text(951_825_600), "2000-02-29T12:00:00Z");
    }

    #[test]
    fn moments_are_seconds_since_1970() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2000-03-01T00:00:00Z", 951_868_800),
            ("2026-11-22T08:00:00Z", 1_795_334_400),
            ("2026-11-22T08:00:00.9Z", 1_795_334_400),
            ("2026-11-22T09:00:00+01:00", 1_795_334_400),
            ("2026-11-22T02:30:00-05:30", 1_795_334_400),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            assert_eq!(parse("expires", &text.parse().unwrap()).ok(), Some(seconds), "{text}");
        }
    }

    #[test]
    fn a_moment_without_a_zone_is_told_how_to_get_one() {
        for (text, help) in [
            (
                "2027-01-01T00:00:00",
                "add Z for UTC, or another offset such as +01:00: `expires = 2027-01-01T00:00:00Z`",
            ),
            ("2027-01-01", "write it like `expires = 2027-01-01T00:00:00Z`"),
            ("08:00:00", "write it like `expires = 2027-01-01T00:00:00Z`"),
            ("1969-12-31T23:59:59Z", "write a later date"),
            ("1970-01-01T00:00:00+00:01", "write a later date"),
        ] {
            let wrong = parse("expires", &text.parse().unwrap()).err();
            assert_eq!(wrong.map(|wrong| wrong.help).as_deref(), Some(help), "{text}");
        }
    }
}
