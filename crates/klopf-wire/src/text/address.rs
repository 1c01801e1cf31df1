//! The address beside a code.

use std::net::IpAddr;

/// Bytes at most between the two.
const NEAR: usize = 200;

/// The nearest address behind a place, or else before it.
pub(super) fn beside(text: &str, start: usize, end: usize) -> Option<IpAddr> {
    let behind = text.get(end..)?;
    let before = text.get(..start)?;
    let near_behind = (0..=NEAR.min(behind.len())).rev().find_map(|at| behind.get(..at))?;
    let near_before = (before.len().saturating_sub(NEAR)..=before.len()).find_map(|at| before.get(at..))?;
    words(near_behind).find_map(read).or_else(|| words(near_before).rev().find_map(read))
}

/// What may be an address: nothing but its characters.
fn words(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_hexdigit() || c == '.' || c == ':'))
}

/// An address, perhaps at the end of a sentence or behind a colon.
fn read(word: &str) -> Option<IpAddr> {
    let cut = [word, word.trim_end_matches(['.', ':']), word.trim_matches(['.', ':'])];
    cut.into_iter().find_map(|word| word.parse().ok())
}
