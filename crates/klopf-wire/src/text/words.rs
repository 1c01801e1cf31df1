//! Words of the English list of BIP-39, each of eleven bits.

use std::collections::VecDeque;

use bip39::Language::English;

use super::check::check;
use super::{LENGTHS, Place};

/// Bits of a word.
const BITS: usize = 11;

/// Whether it is a word of the list, in any case.
#[must_use]
pub fn is_word(word: &str) -> bool {
    English.find_word(&word.to_ascii_lowercase()).is_some()
}

pub(super) fn write(body: &[u8]) -> String {
    let mut numbers: Vec<u16> = Vec::new();
    let (mut held, mut bits) = (0_u32, 0);
    for byte in body {
        (held, bits) = (held << 8 | u32::from(*byte), bits + 8);
        if bits >= BITS {
            bits -= BITS;
            numbers.push(low(held >> bits));
        }
    }
    if bits > 0 {
        numbers.push(low(held << (BITS - bits)));
    }
    numbers.push(low(check(body).into()));
    let words: Vec<&str> =
        numbers.iter().filter_map(|number| English.word_list().get(usize::from(*number)).copied()).collect();
    words.join(" ")
}

/// The last eleven bits.
fn low(number: u32) -> u16 {
    u16::try_from(number & 0x7ff).unwrap_or_default()
}

/// A word of the list, and where it begins.
struct Word {
    number: u16,
    start: usize,
}

/// All of them, also those that overlap, as in [`plain`](super::plain).
pub(super) fn find(text: &str) -> Vec<Place> {
    let longest = LENGTHS.iter().map(|length| count(*length)).max().unwrap_or_default();
    let mut found = Vec::new();
    let mut run: VecDeque<Word> = VecDeque::with_capacity(longest + 1);
    for (start, word) in split(text) {
        let Some(number) = English.find_word(&word.to_ascii_lowercase()) else {
            run.clear();
            continue;
        };
        run.push_back(Word { number, start });
        if run.len() > longest {
            run.pop_front();
        }
        found.extend(LENGTHS.iter().filter_map(|length| ends(&run, *length, start + word.len())));
    }
    found
}

/// The words of ASCII letters, and where they begin.
fn split(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let words = text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
    words.map(|word| (word.as_ptr().addr() - text.as_ptr().addr(), word))
}

/// A body of so many bytes that ends with the last word.
fn ends(run: &VecDeque<Word>, length: usize, end: usize) -> Option<Place> {
    let skipped = run.len().checked_sub(count(length))?;
    let mut words = run.iter().skip(skipped);
    let start = words.clone().next()?.start;
    let sum = words.next_back()?.number;
    let mut body = Vec::with_capacity(length);
    let (mut held, mut bits) = (0_u32, 0);
    for word in words {
        (held, bits) = (held << BITS | u32::from(word.number), bits + BITS);
        while bits >= 8 && body.len() < length {
            bits -= 8;
            body.push(u8::try_from(held >> bits & 0xff).unwrap_or_default());
        }
    }
    let rest = held & ((1 << bits) - 1);
    let whole = body.len() == length && rest == 0 && low(check(&body).into()) == sum;
    whole.then_some(Place { body, start, end })
}

/// Of how many words a body of so many bytes is.
const fn count(bytes: usize) -> usize {
    (bytes * 8).div_ceil(BITS) + 1
}
