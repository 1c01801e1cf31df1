//! The grammars are sound, and entries survive what guestbooks and mail programs do to them.

use std::collections::BTreeSet;

use super::super::{find, read};
use super::*;

const LANGUAGES: [Language; 2] = [Language::English, Language::German];

fn grammar(language: Language) -> &'static Grammar {
    match language {
        Language::English => &ENGLISH,
        Language::German => &GERMAN,
    }
}

/// Chance that is the same in every run (xorshift64*, Vigna 2016).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next()).unwrap() % count
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn fill(&mut self, out: &mut [u8]) {
        out.iter_mut().for_each(|byte| *byte = self.next().to_le_bytes()[0]);
    }

    fn body(&mut self, length: usize) -> Vec<u8> {
        let mut body = vec![0; length];
        self.fill(&mut body);
        body
    }
}

#[test]
fn no_two_sentences_begin_alike_and_no_list_has_a_word_twice() {
    for language in LANGUAGES {
        let grammar = grammar(language);
        assert_eq!((grammar.sentences.len(), grammar.bits), (32, 5));
        assert_eq!(grammar.beginnings(), 32, "{language:?}: each sentence begins with a fixed word of its own");
        for list in grammar.lists() {
            assert!(list.words.len().is_power_of_two() && list.words.len() >= 8);
            assert_eq!(list.numbers.len(), list.words.len(), "{language:?}: {:?}", list.words.first());
            assert!(list.words.iter().all(|word| word.chars().all(char::is_alphabetic)));
        }
        for sentence in &grammar.sentences {
            // What is written is what is read: as many words, and gaps in the same order.
            let gaps = |pieces: &[Piece]| {
                pieces
                    .iter()
                    .filter_map(|piece| if let Piece::Gap(list) = piece { Some(*list) } else { None })
                    .collect::<Vec<_>>()
            };
            assert_eq!(gaps(&sentence.pieces), gaps(&sentence.words));
            let fixed = sentence
                .pieces
                .iter()
                .filter_map(|piece| if let Piece::Fixed(text) = piece { Some(text.as_str()) } else { None });
            let fixed: String = fixed.collect();
            assert!(fixed.chars().all(|c| c.is_alphabetic() || " ,.!?".contains(c)), "{fixed:?}");
            assert!(fixed.ends_with(['.', '!', '?']) && !fixed.contains(".."));
        }
    }
}

/// The most characters that a body can become: the longest word in every gap.
fn longest(grammar: &Grammar, length: usize) -> usize {
    let of = |sentence: &Sentence| {
        sentence.pieces.iter().fold((grammar.bits, 1), |(bits, characters), piece| match piece {
            Piece::Fixed(text) => (bits, characters + text.chars().count()),
            Piece::Gap(list) => {
                let list = grammar.list(*list);
                let longest = list.words.iter().map(|word| word.chars().count()).max().unwrap_or_default();
                (bits + list.bits, characters + longest)
            }
        })
    };
    let sentences: Vec<(usize, usize)> = grammar.sentences.iter().map(of).collect();
    let mut most = vec![0; (length + 2) * 8 + 1];
    for needed in 1..most.len() {
        most[needed] =
            sentences.iter().map(|(bits, characters)| characters + most[needed.saturating_sub(*bits)]).max().unwrap();
    }
    most.last().unwrap() - 1
}

#[test]
fn a_token_is_never_longer_than_900_characters() {
    for language in LANGUAGES {
        let bounds = [49, 61, 70, 82].map(|length| longest(grammar(language), length));
        assert!(bounds[1] <= 900 && bounds[3] <= 1200, "{language:?}: {bounds:?}");
    }
}

#[test]
fn the_same_body_is_written_differently_at_its_end_and_another_one_everywhere() {
    let mut chance = Chance(7);
    for language in LANGUAGES {
        let entries: BTreeSet<String> = (0..200)
            .map(|_| {
                let body = chance.body(49);
                write(&body, language, &mut |out| chance.fill(out))
            })
            .collect();
        let beginnings: BTreeSet<String> = entries.iter().map(|entry| entry.chars().take(60).collect()).collect();
        assert_eq!((entries.len(), beginnings.len()), (200, 200));
        let body = chance.body(61);
        let twice: BTreeSet<String> = (0..50).map(|_| write(&body, language, &mut |out| chance.fill(out))).collect();
        assert!(twice.len() > 1);
        assert!(twice.iter().all(|entry| read(entry).is_some_and(|found| found.body == body)));
    }
}

/// What books, mail programs and people do to an entry, in ways that leave its words.
fn mangled(entry: &str, chance: &mut Chance) -> String {
    let mut text = match chance.below(4) {
        0 => entry.to_uppercase(),
        1 => entry.to_lowercase(),
        _ => entry.to_owned(),
    };
    if chance.one_in(2) {
        text = wrapped(&text, 20 + chance.below(60), ["\n", "\r\n> ", "<br>\n", "\n\t"][chance.below(4)]);
    }
    if chance.one_in(2) {
        text = text
            .replace('!', [" \u{1f600}!", "!!!", "."][chance.below(3)])
            .replace('.', ["\u{2026}", " .", ". "][chance.below(3)]);
    }
    if chance.one_in(2) {
        text = text.replace(", ", [" , ", ",", "\u{a0}\u{2013} "][chance.below(3)]);
    }
    if chance.one_in(3) {
        // NFD: letters and their accents apart.
        text = text.replace('ä', "a\u{308}").replace('ö', "o\u{308}").replace('ü', "u\u{308}").replace('Ä', "A\u{308}");
    }
    if chance.one_in(3) {
        text = text.replace(' ', ["\u{a0}", "  ", " \u{200b}"][chance.below(3)]);
    }
    if chance.one_in(3) {
        text = format!("\u{201c}{text}\u{201d}");
    }
    if chance.one_in(4) {
        // A book that makes a link of a word.
        let middle = text.split(' ').nth(5).unwrap_or_default().to_owned();
        text = text.replacen(&format!(" {middle} "), &format!(" [{middle}](/) "), 1);
    }
    let before = ["", "Ada, 2026-11-23 12:01\n", "Entry 17 by Bob wrote at noon:\n\n", "Re: hello "][chance.below(4)];
    let after = ["", "\n\n-- \nAda", "\nreply | like | 3 people", " [Ada]"][chance.below(4)];
    format!("{before}{text}{after}")
}

fn wrapped(text: &str, width: usize, with: &str) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in text.split(' ') {
        if column + word.len() > width && column > 0 {
            out.push_str(with);
            column = 0;
        } else if column > 0 {
            out.push(' ');
        }
        out.push_str(word);
        column += word.len() + 1;
    }
    out
}

fn round_trips(language: Language, count: usize) {
    let mut chance = Chance(42);
    let mut by_chance = 0;
    for number in 0..count {
        let body = chance.body(LENGTHS[number % LENGTHS.len()]);
        let entry = write(&body, language, &mut |out| chance.fill(out));
        let text = mangled(&entry, &mut chance);
        let found: Vec<_> = find(&text).map(|found| found.body).collect();
        assert!(found.contains(&body), "{number}: {text}\n{body:?} is none of {found:?}");
        by_chance += found.len() - 1;
    }
    assert!(by_chance < count / 1000, "{by_chance} codes by chance");
}

#[test]
fn fifty_thousand_english_entries_come_through_the_mangler() {
    round_trips(Language::English, 50_000);
}

#[test]
fn fifty_thousand_german_entries_come_through_the_mangler() {
    round_trips(Language::German, 50_000);
}

#[test]
fn entries_stand_one_behind_the_other() {
    let mut chance = Chance(3);
    for language in LANGUAGES {
        let bodies = [49, 61, 70].map(|length| chance.body(length));
        let page: Vec<String> = bodies.iter().map(|body| write(body, language, &mut |out| chance.fill(out))).collect();
        let found: Vec<_> = find(&page.join(" ")).map(|found| found.body).collect();
        assert_eq!(found, bodies);
    }
}

#[test]
fn one_word_that_was_changed_or_left_out_makes_it_nothing() {
    let mut chance = Chance(5);
    let body = chance.body(49);
    let entry = write(&body, Language::English, &mut |out| chance.fill(out));
    let words: Vec<&str> = entry.split(' ').collect();
    for place in 0..words.len() - 12 {
        for instead in ["", "klopf"] {
            let mut words = words.clone();
            words[place] = instead;
            assert_ne!(read(&words.join(" ")).map(|found| found.body), Some(body.clone()), "{place}");
        }
    }
}

#[test]
fn a_page_full_of_beginnings_is_read_at_once() {
    for language in LANGUAGES {
        let grammar = grammar(language);
        let first = &grammar.sentences[0];
        let opener: String = first
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Fixed(text) => text.clone(),
                Piece::Gap(list) => grammar.list(*list).words[0].clone(),
            })
            .collect();
        let page = format!("{opener} ").repeat(2_000_000 / opener.len());
        // Some 35,000 sentences, from each of which no more are read than the longest body has.
        assert!(find(&page).count() < 100);
    }
}
