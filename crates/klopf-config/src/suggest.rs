//! Did you mean?

/// The known word that was most likely meant, if any is near enough. Case, `_` and `-` do not matter.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    if word.len() > 40 {
        return None;
    }
    let word = plain(word);
    known
        .iter()
        .map(|candidate| (distance(&word, &plain(candidate)), *candidate))
        .filter(|(distance, candidate)| *distance <= 2 && distance * 2 < candidate.len())
        .min()
        .map(|(_, candidate)| candidate)
}

/// `a`, `b` and `c`, each in backquotes.
pub(crate) fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn plain(word: &str) -> String {
    word.to_ascii_lowercase().replace('_', "-")
}

/// Levenshtein's distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (1..=b.chars().count()).collect();
    let mut last = row.len();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        last = i + 1;
        for (cell, to) in row.iter_mut().zip(b.chars()) {
            let up = *cell;
            last = (up + 1).min(last + 1).min(diagonal + usize::from(from != to));
            diagonal = up;
            *cell = last;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found() {
        let known = ["sequence", "within", "on-open", "on-close", "log"];
        for (word, meant) in [
            ("sequense", Some("sequence")),
            ("SEQUENCE", Some("sequence")),
            ("on_open", Some("on-open")),
            ("withn", Some("within")),
            ("lag", Some("log")),
            ("la", None),
            ("port", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, &known), meant, "{word}");
        }
    }

    #[test]
    fn distances() {
        for (a, b, d) in [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)] {
            assert_eq!(distance(a, b), d, "{a} {b}");
        }
    }
}
