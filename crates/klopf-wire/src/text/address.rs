//! The address beside a code.

use std::net::IpAddr;

/// Characters at most between the two.
const NEAR: usize = 200;
/// Bytes of a text that may be an address, with a word before and a port behind it.
const LONGEST: usize = 80;

/// The nearest address behind a place, or else before it.
pub(super) fn beside(text: &str, start: usize, end: usize) -> Option<IpAddr> {
    let (before, behind) = (text.get(..start)?, text.get(end..)?);
    let near = |length: usize, at: Option<(usize, char)>| at.map_or(length, |(at, _)| at);
    let last = near(behind.len(), behind.char_indices().nth(NEAR));
    // An address that is near is read to its end.
    let slice = (last + LONGEST..behind.len()).find_map(|at| behind.get(..at)).unwrap_or(behind);
    let found = runs(slice).filter(|(at, _)| *at <= last).find_map(|(_, run)| read(run));
    found.or_else(|| {
        let first = before.char_indices().rev().nth(NEAR - 1).map_or(0, |(at, _)| at);
        let from =
            (0..=first.saturating_sub(LONGEST)).rev().find(|at| before.is_char_boundary(*at)).unwrap_or_default();
        let near = runs(before.get(from..)?).filter(|(at, run)| from + at + run.len() >= first);
        near.filter_map(|(_, run)| read(run)).last()
    })
}

/// The longest parts of a text that have nothing in them but letters, digits, dots and colons, and where they begin.
fn runs(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    let parts = text.split(|c: char| {
        let of_address = c.is_alphanumeric() || matches!(c, '.' | ':');
        !of_address
    });
    parts.filter_map(move |part| {
        let begin = text.get(at..)?.find(part)? + at;
        at = begin + part.len();
        (!part.is_empty()).then_some((begin, part))
    })
}

/// An address, perhaps at the end of a sentence, behind a word and a colon, or with a port.
fn read(run: &str) -> Option<IpAddr> {
    let bare = run.trim_end_matches(['.', ':']);
    let label = |text: &str| text.contains(|c: char| !c.is_ascii_hexdigit());
    let behind_word = bare.split_once(':').filter(|(word, _)| word.is_empty() || label(word)).map(|(_, rest)| rest);
    let rest = behind_word.unwrap_or(bare);
    let before_port = rest.split_once(':').map(|(address, _)| address).filter(|address| address.contains('.'));
    [Some(run), Some(bare), behind_word, before_port]
        .into_iter()
        .flatten()
        .filter(|text| text.contains(|c: char| c.is_ascii_hexdigit()))
        .find_map(|text| text.parse().ok())
}
