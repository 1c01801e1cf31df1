//! Many measurements of the same, and how they are told.

/// The value that `percent` of the samples do not exceed (nearest rank); none without samples.
pub(crate) fn percentile(samples: &[f64], percent: usize) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

pub(crate) fn median(samples: &[f64]) -> Option<f64> {
    percentile(samples, 50)
}

/// A figure with about three digits that count, and commas; "-" if there is none.
pub(crate) fn figure(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value.abs() >= 99.5 => whole(value),
        Some(value) if value.abs() >= 9.95 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

/// A whole number with commas.
pub(crate) fn whole(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = if value <= -0.5 { "-".to_owned() } else { String::new() };
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How many times `ours` the other one is.
pub(crate) fn ratio(ours: Option<f64>, other: Option<f64>) -> String {
    match (ours, other) {
        (Some(ours), Some(other)) if ours > 0.0 => format!("{} times", figure(Some(other / ours))),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let samples: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let of = |percent| percentile(&samples, percent);
        assert_eq!([50, 90, 99, 100].map(of), [50.0, 90.0, 99.0, 100.0].map(Some));
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(percentile(&[7.0], 99), Some(7.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn figures_have_the_digits_that_count() {
        let texts =
            [0.0, 0.126, 9.949, 9.96, 99.4, 99.6, 1234.4, 1_234_567.0, -1500.0].map(|value| figure(Some(value)));
        assert_eq!(texts, ["0.00", "0.13", "9.95", "10.0", "99.4", "100", "1,234", "1,234,567", "-1,500"]);
        assert_eq!((figure(None), ratio(Some(0.0), Some(1.0))), ("-".to_owned(), "-".to_owned()));
        assert_eq!(ratio(Some(2.0), Some(5.0)), "2.50 times");
    }
}
