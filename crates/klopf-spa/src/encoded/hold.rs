//! For how long, in six bits: durations that people name.

/// Seconds of a minute, an hour, a day.
const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;
const DAY: u32 = 24 * HOUR;
/// How many steps each of what length, and after what: from 10 s to 30 days.
const STEPS: [(u8, u32, u32); 7] = [
    (5, 10, 0),
    (10, MINUTE, 0),
    (10, 5 * MINUTE, 10 * MINUTE),
    (11, HOUR, HOUR),
    (5, 2 * HOUR, 12 * HOUR),
    (14, DAY, 0),
    (8, 2 * DAY, 14 * DAY),
];

/// The seconds of an index below 64; 0: as long as the door says.
pub(super) fn seconds(index: u8) -> Option<u32> {
    let mut left = index;
    if left == 0 {
        return Some(0);
    }
    for (count, step, after) in STEPS {
        if left <= count {
            return Some(after + step * u32::from(left));
        }
        left -= count;
    }
    None
}

/// The index of so many seconds; none where there is none.
pub(super) fn index(wanted: u32) -> Option<u8> {
    (0..64).find(|index| seconds(*index) == Some(wanted))
}

/// Whether an encoded sequence can say that it is for so many seconds.
#[must_use]
pub fn is_hold(seconds: u32) -> bool {
    index(seconds).is_some()
}

/// The longest time in seconds that can be said and is not longer, but 10 s at least; 0, as long as the door says, stays 0.
#[must_use]
pub fn round_hold(wanted: u32) -> u32 {
    let fits = |seconds: &u32| *seconds <= wanted;
    (0..64).filter_map(seconds).filter(fits).max().filter(|found| *found > 0 || wanted == 0).unwrap_or(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_rises_from_ten_seconds_to_thirty_days_and_has_what_people_name() {
        let all: Vec<u32> = (0..64).map(|index| seconds(index).unwrap()).collect();
        assert!(all.is_sorted_by(|a, b| a < b));
        assert_eq!((all[0], all[1], all[63], seconds(64)), (0, 10, 30 * DAY, None));
        for named in
            [30, MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 8 * HOUR, 12 * HOUR, DAY, 7 * DAY]
        {
            assert!(is_hold(named), "{named}");
        }
        // Twice as long is always there to choose, and mostly less is.
        assert!(all.windows(2).skip(1).all(|pair| pair[1] <= 2 * pair[0]));
        assert_eq!(
            (0..64).map(|at| index(all[at]).map(usize::from)).collect::<Vec<_>>(),
            (0..64).map(Some).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_time_is_rounded_down_but_not_to_nothing() {
        for (wanted, said) in [(0, 0), (1, 10), (10, 10), (59, 50), (90, 60), (3599, 3300), (u32::MAX, 30 * DAY)] {
            assert_eq!((round_hold(wanted), is_hold(wanted)), (said, wanted == said), "{wanted}");
        }
    }
}
