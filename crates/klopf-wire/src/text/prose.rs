//! An entry as a friendly person would write it: bits choose sentences, and words for the gaps in them.
//!
//! The grammar of a language is a file (see `prose/README.md`). Reading back takes no guesses: no two sentences
//! begin with the same word, and each gap is one word of a list without doubles. Case, accents, punctuation and line
//! ends do not count.

mod grammar;

use std::sync::LazyLock;

use self::grammar::{Grammar, Piece, Sentence};
use super::check::{check, checked};
use super::{LENGTHS, Language, Place, Random};

static ENGLISH: LazyLock<Grammar> = LazyLock::new(|| Grammar::read(include_str!("prose/en.txt")));
static GERMAN: LazyLock<Grammar> = LazyLock::new(|| Grammar::read(include_str!("prose/de.txt")));

pub(super) fn write(body: &[u8], language: Language, random: Random<'_>) -> String {
    let grammar: &Grammar = match language {
        Language::English => &ENGLISH,
        Language::German => &GERMAN,
    };
    let bytes = [body, &check(body).to_be_bytes()].concat();
    let mut bits = Bits { bytes: &bytes, at: 0, random };
    let mut sentences = Vec::new();
    while bits.at < bytes.len() * 8 {
        let Some(sentence) = grammar.sentences.get(bits.take(grammar.bits)) else { break };
        let mut text = String::new();
        for piece in &sentence.pieces {
            match piece {
                Piece::Fixed(fixed) => text.push_str(fixed),
                Piece::Gap(list) => {
                    let list = grammar.list(*list);
                    text.push_str(list.words.get(bits.take(list.bits)).map_or("", String::as_str));
                }
            }
        }
        sentences.push(text);
    }
    sentences.join(" ")
}

/// The bits to write, and random ones behind them.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    random: Random<'a>,
}

impl Bits<'_> {
    /// The next few of them as a number.
    fn take(&mut self, count: usize) -> usize {
        (0..count).fold(0, |number, _| {
            let bit = match self.bytes.get(self.at / 8) {
                Some(byte) => byte >> (7 - self.at % 8) & 1,
                None => {
                    let mut byte = [0];
                    (self.random)(&mut byte);
                    byte[0] & 1
                }
            };
            self.at += 1;
            number << 1 | usize::from(bit)
        })
    }
}

pub(super) fn find(text: &str) -> Vec<Place> {
    let words = Words { text, places: words(text) };
    let mut found = find_in(&ENGLISH, &words);
    found.extend(find_in(&GERMAN, &words));
    found
}

/// The words of a text.
struct Words<'a> {
    text: &'a str,
    /// Where each begins and ends. A page may have a million.
    places: Vec<(u32, u32)>,
}

impl Words<'_> {
    fn place(&self, word: usize) -> Option<(usize, usize)> {
        let (start, end) = *self.places.get(word)?;
        Some((usize::try_from(start).ok()?, usize::try_from(end).ok()?))
    }

    /// A word as it counts.
    fn folded(&self, word: usize) -> Option<String> {
        let (start, end) = self.place(word)?;
        let mut folded = String::new();
        self.text.get(start..end)?.chars().for_each(|c| grammar::fold_into(c, &mut folded));
        Some(folded)
    }
}

/// All of them, also those that overlap, as in [`plain`](super::plain).
fn find_in(grammar: &Grammar, words: &Words<'_>) -> Vec<Place> {
    (0..words.places.len()).flat_map(|first| entry(grammar, words, first)).collect()
}

/// What the sentences that begin with a word may be.
fn entry(grammar: &Grammar, words: &Words<'_>, first: usize) -> Vec<Place> {
    let longest = LENGTHS.iter().max().map_or(0, |length| (length + 2) * 8);
    let (mut bits, mut next, mut found) = (Vec::new(), first, Vec::new());
    let Some((start, _)) = words.place(first) else { return found };
    while bits.len() < longest {
        let before = bits.len();
        let Some((number, sentence)) = words.folded(next).and_then(|word| grammar.beginning(&word)) else { break };
        push(&mut bits, number, grammar.bits);
        let Some(end) = parse(grammar, sentence, words, next, &mut bits) else { break };
        next = end;
        let Some((_, end)) = words.place(next - 1) else { break };
        for length in LENGTHS {
            let needed = (length + 2) * 8;
            if (before + 1..=bits.len()).contains(&needed)
                && let Some(body) = bits.get(..needed).map(bytes).and_then(checked)
            {
                found.push(Place { body, start, end });
            }
        }
    }
    found
}

/// Reads a sentence from a word on; the word behind it, if it is one.
fn parse(
    grammar: &Grammar,
    sentence: &Sentence,
    words: &Words<'_>,
    first: usize,
    bits: &mut Vec<bool>,
) -> Option<usize> {
    let mut next = first;
    for expected in &sentence.words {
        let word = words.folded(next)?;
        match expected {
            Piece::Fixed(fixed) if *fixed == word => {}
            Piece::Fixed(_) => return None,
            Piece::Gap(list) => {
                let list = grammar.list(*list);
                push(bits, *list.numbers.get(&word)?, list.bits);
            }
        }
        next += 1;
    }
    Some(next)
}

fn push(bits: &mut Vec<bool>, number: usize, count: usize) {
    bits.extend((0..count).rev().map(|bit| number >> bit & 1 == 1));
}

fn bytes(bits: &[bool]) -> Vec<u8> {
    bits.chunks(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit))).collect()
}

/// Where the words of a text begin and end: runs of letters, with their accents. None from 4 GB on.
fn words(text: &str) -> Vec<(u32, u32)> {
    let mut words: Vec<(u32, u32)> = Vec::new();
    let mut open = false;
    for (start, c) in text.char_indices() {
        let (Ok(start), Ok(end)) = (u32::try_from(start), u32::try_from(start + c.len_utf8())) else { break };
        open = c.is_alphabetic() || (open && grammar::is_accent(c));
        match words.last_mut().filter(|word| word.1 == start) {
            Some(word) if open => word.1 = end,
            None if open => words.push((start, end)),
            _ => {}
        }
    }
    words
}

#[cfg(test)]
mod tests;
