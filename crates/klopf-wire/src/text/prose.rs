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
    let words = words(text);
    let mut found = find_in(&ENGLISH, &words);
    found.extend(find_in(&GERMAN, &words));
    found
}

/// A word as it counts, and where it stands.
struct Word {
    folded: String,
    start: usize,
    end: usize,
}

/// All of them, also those that overlap, as in [`plain`](super::plain).
fn find_in(grammar: &Grammar, words: &[Word]) -> Vec<Place> {
    (0..words.len()).flat_map(|first| entry(grammar, words, first)).collect()
}

/// What the sentences that begin with a word may be.
fn entry(grammar: &Grammar, words: &[Word], first: usize) -> Vec<Place> {
    let longest = LENGTHS.iter().max().map_or(0, |length| (length + 2) * 8);
    let (mut bits, mut next, mut found) = (Vec::new(), first, Vec::new());
    let Some(start) = words.get(first).map(|word| word.start) else { return found };
    while bits.len() < longest {
        let before = bits.len();
        let Some((number, sentence)) = words.get(next).and_then(|word| grammar.beginning(&word.folded)) else { break };
        push(&mut bits, number, grammar.bits);
        let Some(end) = parse(grammar, sentence, words, next, &mut bits) else { break };
        next = end;
        let Some(end) = words.get(next - 1).map(|word| word.end) else { break };
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
fn parse(grammar: &Grammar, sentence: &Sentence, words: &[Word], first: usize, bits: &mut Vec<bool>) -> Option<usize> {
    let mut next = first;
    for expected in &sentence.words {
        let word = &words.get(next)?.folded;
        match expected {
            Piece::Fixed(fixed) if fixed == word => {}
            Piece::Fixed(_) => return None,
            Piece::Gap(list) => {
                let list = grammar.list(*list);
                push(bits, *list.numbers.get(word)?, list.bits);
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

/// The words of a text, each a run of letters.
fn words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut open = false;
    for (start, c) in text.char_indices() {
        let end = start + c.len_utf8();
        if c.is_alphabetic() {
            if !open {
                words.push(Word { folded: String::new(), start, end });
            }
            open = true;
        } else if !grammar::is_accent(c) {
            open = false;
        }
        if let Some(word) = words.last_mut().filter(|_| open) {
            grammar::fold_into(c, &mut word.folded);
            word.end = end;
        }
    }
    words
}

#[cfg(test)]
mod tests;
