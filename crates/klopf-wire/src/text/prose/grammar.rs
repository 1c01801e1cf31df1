//! A grammar, as its file says.

use std::collections::HashMap;

/// Sentences, and the lists of which the words in their gaps are.
pub(super) struct Grammar {
    pub(super) sentences: Vec<Sentence>,
    /// Bits that choose a sentence.
    pub(super) bits: usize,
    lists: Vec<List>,
    beginnings: HashMap<String, usize>,
}

pub(super) struct Sentence {
    /// As it is written.
    pub(super) pieces: Vec<Piece>,
    /// As it is read: word by word, fixed ones folded.
    pub(super) words: Vec<Piece>,
}

#[derive(Clone)]
pub(super) enum Piece {
    Fixed(String),
    /// A word of the list with this number.
    Gap(usize),
}

/// Words for a gap, a power of two of them.
#[derive(Default)]
pub(super) struct List {
    pub(super) words: Vec<String>,
    /// By the folded word.
    pub(super) numbers: HashMap<String, usize>,
    /// Bits that choose one.
    pub(super) bits: usize,
}

impl Grammar {
    /// Reads a file that is part of this program; the tests show that it is sound.
    pub(super) fn read(file: &str) -> Self {
        let mut names: Vec<&str> = Vec::new();
        let mut lists: Vec<List> = Vec::new();
        let mut lines: Vec<&str> = Vec::new();
        let mut current = None;
        for line in file.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                current = (name != "sentences").then_some(name);
                if current.is_some() {
                    names.push(name);
                    lists.push(List::default());
                }
            } else if current.is_some() {
                lists.iter_mut().last().into_iter().for_each(|list| {
                    list.words.extend(line.split_whitespace().map(str::to_owned));
                });
            } else if !line.is_empty() {
                lines.push(line);
            }
        }
        for list in &mut lists {
            list.numbers = list.words.iter().zip(0..).map(|(word, number)| (folded(word), number)).collect();
            list.bits = bits(list.words.len());
        }
        let sentences: Vec<Sentence> = lines.iter().map(|line| Sentence::read(line, &names)).collect();
        let first = |sentence: &Sentence| match sentence.words.first() {
            Some(Piece::Fixed(word)) => Some(word.clone()),
            _ => None,
        };
        let beginnings =
            sentences.iter().zip(0..).filter_map(|(sentence, number)| Some((first(sentence)?, number))).collect();
        Self { bits: bits(sentences.len()), sentences, lists, beginnings }
    }

    pub(super) fn list(&self, number: usize) -> &List {
        static EMPTY: std::sync::LazyLock<List> = std::sync::LazyLock::new(List::default);
        self.lists.get(number).unwrap_or(&EMPTY)
    }

    /// The sentence that begins with a word, and its number.
    pub(super) fn beginning(&self, word: &str) -> Option<(usize, &Sentence)> {
        let number = *self.beginnings.get(word)?;
        self.sentences.get(number).map(|sentence| (number, sentence))
    }

    #[cfg(test)]
    pub(super) fn beginnings(&self) -> usize {
        self.beginnings.len()
    }

    #[cfg(test)]
    pub(super) fn lists(&self) -> &[List] {
        &self.lists
    }
}

impl Sentence {
    fn read(line: &str, names: &[&str]) -> Self {
        let mut pieces = Vec::new();
        let mut words = Vec::new();
        for part in line.split_inclusive('}') {
            let (fixed, name) = part.strip_suffix('}').and_then(|part| part.split_once('{')).unwrap_or((part, ""));
            pieces.push(Piece::Fixed(fixed.to_owned()));
            let plain = fixed.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
            words.extend(plain.map(|word| Piece::Fixed(folded(word))));
            if let Some(list) = names.iter().position(|known| *known == name) {
                pieces.push(Piece::Gap(list));
                words.push(Piece::Gap(list));
            }
        }
        Self { pieces, words }
    }
}

/// By how many bits one of so many things is chosen.
fn bits(count: usize) -> usize {
    usize::try_from(count.checked_ilog2().unwrap_or_default()).unwrap_or_default()
}

/// A word as it counts: in lower case, without accents, `ß` as `ss`.
pub(super) fn folded(word: &str) -> String {
    let mut folded = String::new();
    word.chars().for_each(|c| fold_into(c, &mut folded));
    folded
}

/// Adds a character of a word as it counts.
pub(super) fn fold_into(c: char, word: &mut String) {
    for c in c.to_lowercase() {
        match c {
            'ä' => word.push('a'),
            'ö' => word.push('o'),
            'ü' => word.push('u'),
            'ß' => word.push_str("ss"),
            _ if is_accent(c) => {}
            _ => word.push(c),
        }
    }
}

/// An accent that stands behind its letter.
pub(super) fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}
