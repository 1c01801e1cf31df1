//! Hours of the week: `mon-fri 08:00-18:00`.

use super::report::Wrong;
use crate::suggest::nearest;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MIDNIGHT: u16 = 24 * 60;

/// Days of the week and a time of the day, by the clock of the server. A time that passes midnight belongs to the day on
/// which it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// Monday to Sunday.
    pub days: [bool; 7],
    /// The first minute of the day, below 1440.
    pub from: u16,
    /// The minute before which it ends, at most 1440; below `from` it is one of the next day. Never the same as `from`.
    pub to: u16,
}

impl Hours {
    /// Whether a moment is in it: `weekday` from 0, Monday, to 6, and the minute of the day.
    #[must_use]
    pub fn contains(&self, weekday: u8, minute: u16) -> bool {
        let on = |day: u8| self.days.get(usize::from(day % 7)).copied().unwrap_or_default();
        if self.from < self.to {
            return on(weekday) && (self.from..self.to).contains(&minute);
        }
        on(weekday) && minute >= self.from || on(weekday % 7 + 6) && minute < self.to
    }
}

/// `mon-fri 08:00-18:00`, `sat,sun 10:00-12:00`, or without days for every day.
pub(super) fn parse(text: &str) -> Result<Hours, Wrong> {
    let wrong = |help: String| Err(Wrong::new(format!("`{text}` is no time of the week"), help));
    let words: Vec<_> = text.split_ascii_whitespace().collect();
    let (named, times) = match words.as_slice() {
        [times] => (None, *times),
        [named, times] => (Some(*named), *times),
        _ => return wrong("write it like `mon-fri 08:00-18:00`".into()),
    };
    let days = match named.map(days) {
        None => [true; 7],
        Some(Ok(days)) => days,
        Some(Err(word)) => {
            return wrong(match nearest(word, &DAYS) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "the days are `mon`, `tue`, `wed`, `thu`, `fri`, `sat` and `sun`".into(),
            });
        }
    };
    let ends = times.split_once('-').map(|(from, to)| (minute(from), minute(to)));
    let Some((Some(from), Some(to))) = ends else {
        return wrong("write the time from 00:00 to 24:00, like `08:00-18:00`".into());
    };
    if from == to || from == MIDNIGHT {
        return wrong("let it end later than it begins; the whole day is `00:00-24:00`".into());
    }
    Ok(Hours { days, from, to })
}

/// The days of `mon-fri`, `fri-mon` or `mon,wed,fri`, else the word that is none.
fn days(text: &str) -> Result<[bool; 7], &str> {
    let number = |word: &str| DAYS.iter().position(|day| word.eq_ignore_ascii_case(day));
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (from, to) = (number(first).ok_or(first)?, number(last).ok_or(last)?);
        let length = (to + 7 - from) % 7;
        for (day, is) in days.iter_mut().enumerate() {
            *is |= (day + 7 - from) % 7 <= length;
        }
    }
    Ok(days)
}

/// `08:00` in minutes; `8:00` will do.
fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !(1..=2).contains(&hours.len()) || minutes.len() != 2 || !digits(hours) || !digits(minutes) {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let whole = hours * 60 + minutes;
    (minutes < 60 && whole <= MIDNIGHT).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, weekday: u8, time: &str) -> bool {
        parse(text).ok().unwrap().contains(weekday, minute(time).unwrap())
    }

    #[test]
    fn days_are_read() {
        for (text, expected) in [
            ("mon-fri", "1111100"),
            ("fri-mon", "1000111"),
            ("mon,wed,fri", "1010100"),
            ("sun", "0000001"),
            ("SAT,Sun", "0000011"),
            ("mon-tue,thu-thu", "1101000"),
            ("mon-sun", "1111111"),
            ("tue-mon", "1111111"),
        ] {
            let read: String = days(text).unwrap().iter().map(|is| if *is { '1' } else { '0' }).collect();
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn hours_begin_with_their_first_minute_and_end_before_their_last() {
        let text = "mon-fri 08:00-18:00";
        for (weekday, time, inside) in
            [(0, "07:59", false), (0, "08:00", true), (4, "17:59", true), (4, "18:00", false), (5, "09:00", false)]
        {
            assert_eq!(at(text, weekday, time), inside, "{weekday} {time}");
        }
        assert!((0..7).all(|day| at("9:00-10:00", day, "09:30")), "every day");
        assert!(at("sun 00:00-24:00", 6, "23:59") && at("sun 00:00-24:00", 6, "00:00"));
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let text = "sun,wed 22:00-06:00";
        for (weekday, time, inside) in [
            (6, "22:00", true),
            (6, "21:59", false),
            (0, "05:59", true),
            (0, "06:00", false),
            (0, "22:00", false),
            (6, "03:00", false),
            (2, "03:00", false),
            (3, "03:00", true),
        ] {
            assert_eq!(at(text, weekday, time), inside, "{weekday} {time}");
        }
        assert!((0..7).all(|day| at("22:00-06:00", day, "00:00") && !at("22:00-06:00", day, "12:00")));
        assert!(at("mon 22:00-00:00", 0, "23:59") && !at("mon 22:00-00:00", 1, "00:00"));
    }

    #[test]
    fn what_are_no_hours_is_told() {
        let form = "write it like `mon-fri 08:00-18:00`";
        let time = "write the time from 00:00 to 24:00, like `08:00-18:00`";
        let names = "the days are `mon`, `tue`, `wed`, `thu`, `fri`, `sat` and `sun`";
        let later = "let it end later than it begins; the whole day is `00:00-24:00`";
        for (text, help) in [
            ("", form),
            ("mon fri 08:00-18:00", form),
            ("mon 08:00 - 18:00", form),
            ("mon", time),
            ("mon 8-18", time),
            ("mon 08:00-24:01", time),
            ("mon 08:60-09:00", time),
            ("mon 008:00-09:00", time),
            ("mon +8:00-09:00", time),
            ("08:00-18:00-20:00", time),
            ("montag 08:00-18:00", names),
            ("mon, 08:00-18:00", names),
            ("1-5 08:00-18:00", names),
            ("mon-fry 08:00-18:00", "did you mean `fri`?"),
            ("08:00-08:00", later),
            ("24:00-08:00", later),
        ] {
            assert_eq!(parse(text).err().map(|wrong| wrong.help).as_deref(), Some(help), "{text}");
        }
    }
}
