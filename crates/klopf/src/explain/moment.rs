//! When a line of a log was written.

/// Seconds of an hour, and of a day.
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment as a log has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// Milliseconds since 1970.
    Exact(u64),
    /// The same, in some time zone that is not told.
    Local(u64),
}

impl Moment {
    /// Milliseconds since 1970, but for the time zone.
    pub(super) const fn ms(self) -> u64 {
        match self {
            Self::Exact(ms) | Self::Local(ms) => ms,
        }
    }

    /// The seconds since 1970 that may be meant, so that each is near one of them.
    pub(super) fn candidates(self) -> Vec<u64> {
        match self {
            Self::Exact(ms) => vec![ms / 1000],
            // Zones are 14 hours off at most; a mark is read by who is an hour off.
            Self::Local(ms) => {
                (0..=14).map(|step| (ms / 1000).saturating_add(step * 2 * HOUR).saturating_sub(14 * HOUR)).collect()
            }
        }
    }
}

/// The moment with which a line begins: as of RFC 5424 and journald, or as syslog has written it ever since, where the year is the last in
/// which it is not after `now` (in seconds since 1970).
pub(super) fn read(line: &[u8], now: u64) -> Option<Moment> {
    let line = line.get(..line.len().min(64))?;
    let text = std::str::from_utf8(line).unwrap_or_else(|error| {
        line.get(..error.valid_up_to()).and_then(|good| std::str::from_utf8(good).ok()).unwrap_or_default()
    });
    let text = match text.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        Some((_, rest)) => rest.trim_start_matches("1 "),
        None => text,
    };
    exact(text).or_else(|| local(text, now))
}

fn exact(text: &str) -> Option<Moment> {
    let (date, rest) = text.split_once(['T', ' '])?;
    let mut parts = date.split('-');
    let (year, month, day) = (number(parts.next()?, 4)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    if parts.next().is_some() {
        return None;
    }
    let (clock, rest) = rest.split_at_checked(8)?;
    let seconds = of_day(clock)?;
    let fraction = rest.strip_prefix(['.', ',']);
    let digits = fraction.map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    let ms = fraction.and_then(|rest| rest.get(..digits.min(3))).map_or(0, |digits| {
        digits.parse::<u64>().unwrap_or(0) * [1000, 100, 10, 1].get(digits.len()).copied().unwrap_or(1)
    });
    let zone = fraction.map_or(Some(rest), |rest| rest.get(digits..))?;
    let ms = (days(year, month, day)? * DAY + seconds) * 1000 + ms;
    if zone.starts_with('Z') {
        return Some(Moment::Exact(ms));
    }
    let (sign, zone) = zone.split_at_checked(1)?;
    let minutes = || {
        let hours = number(zone.get(..2)?, 2)?;
        let behind = zone.get(2..)?;
        Some(hours * 60 + number(behind.strip_prefix(':').unwrap_or(behind).get(..2)?, 2)?)
    };
    match (sign, minutes()) {
        ("+", Some(minutes)) => ms.checked_sub(minutes * 60_000).map(Moment::Exact),
        ("-", Some(minutes)) => Some(Moment::Exact(ms + minutes * 60_000)),
        _ => Some(Moment::Local(ms)),
    }
}

fn local(text: &str, now: u64) -> Option<Moment> {
    let mut words = text.split_whitespace();
    let (month, day, clock) = (words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|name| *name == month)?;
    let month = u64::try_from(month).ok()? + 1;
    let day = day.parse::<u64>().ok().filter(|day| (1..=31).contains(day))?;
    let seconds = of_day(clock.get(..8)?)?;
    // A year has 365 days and a quarter; the one that fits is this or the one before.
    let year = 1970 + now / (DAY * 1461 / 4);
    let fitting = [year + 1, year, year - 1].into_iter().find_map(|year| {
        let at = days(year, month, day)? * DAY + seconds;
        (at <= now + DAY).then_some(at)
    });
    fitting.map(|at| Moment::Local(at * 1000))
}

/// `12:30:05` in seconds.
fn of_day(clock: &str) -> Option<u64> {
    let mut parts = clock.split(':');
    let (hour, minute, second) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * HOUR + minute * 60 + second)
}

fn number(text: &str, digits: usize) -> Option<u64> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// Days since 1970-01-01 in the Gregorian calendar; years begin in March, so that a leap day is the last one.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year < 1970 {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day = (153 * month + 2) / 5 + day - 1;
    (365 * year + year / 4 - year / 100 + year / 400 + day).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23T09:12:01Z.
    const THEN: u64 = 1_795_425_121;

    #[test]
    fn moments_are_read_as_programs_write_them() {
        for (line, moment) in [
            ("2026-11-23T09:12:01.250000+00:00 gate kernel: x", Moment::Exact(THEN * 1000 + 250)),
            ("2026-11-23T10:12:01+01:00 gate", Moment::Exact(THEN * 1000)),
            ("2026-11-23T04:12:01-0500 gate", Moment::Exact(THEN * 1000)),
            ("2026-11-23T09:12:01Z", Moment::Exact(THEN * 1000)),
            ("<4>1 2026-11-23T09:12:01.5Z gate", Moment::Exact(THEN * 1000 + 500)),
            ("2026-11-23 09:12:01 gate", Moment::Local(THEN * 1000)),
            ("Nov 23 09:12:01 gate kernel: x", Moment::Local(THEN * 1000)),
            ("Nov 23 09:12:01 gate \u{fffd}", Moment::Local(THEN * 1000)),
        ] {
            assert_eq!(read(line.as_bytes(), THEN + 100), Some(moment), "{line}");
        }
        assert_eq!(read(b"Dec 31 23:59:59 gate", 1_798_761_605), Some(Moment::Local(1_798_761_599_000)));
        assert_eq!(read(b"Dec  1 00:00:00 gate", THEN), Some(Moment::Local((1_796_083_200 - 365 * DAY) * 1000)));
        for line in ["", "kernel: IN=", "2026-13-01T00:00:00Z", "Nov 23", "Foo 23 09:12:01", "2026-11-23T25:00:00Z"] {
            assert_eq!(read(line.as_bytes(), THEN), None, "{line}");
        }
    }

    #[test]
    fn whatever_the_zone_is_one_of_the_candidates_is_near() {
        let all = Moment::Local(THEN * 1000).candidates();
        for minutes in (-14 * 60..=14 * 60_i64).step_by(15) {
            let meant = THEN.checked_add_signed(minutes * 60).unwrap();
            assert!(all.iter().any(|candidate| candidate.abs_diff(meant) <= HOUR), "{minutes}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_read_without_panic(line: Vec<u8>, text: String, now in 0_u64..1 << 40) {
            let _ = (read(&line, now), read(text.as_bytes(), now));
        }
    }
}
