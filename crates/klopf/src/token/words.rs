//! The words of a code, as a person has typed them.

use klopf_wire::text::{self, Shape, is_word};

use crate::failure::{Failure, code};

/// The bytes of a code.
const LENGTH: usize = 11;
/// Its words, the one that checks the others among them.
const WORDS: usize = 9;

/// The code in its usual writing.
///
/// # Errors
/// Which words are wrong, as far as that can be told.
pub(super) fn checked(typed: &str) -> Result<String, Failure> {
    let found = text::read(typed).filter(|found| found.body.len() == LENGTH);
    if let Some(code) = found.and_then(|found| text::write(&found.body, Shape::Words, &mut |_| ())) {
        return Ok(code);
    }
    let words: Vec<String> =
        typed.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    let strange: Vec<String> = words
        .iter()
        .enumerate()
        .filter(|(_, word)| !is_word(word))
        .map(|(index, word)| format!("{} ({word})", index + 1))
        .collect();
    let why = match (strange.as_slice(), words.len()) {
        ([], WORDS) => {
            "these are words of the list, but no code: one of them is another one, or two stand in each other's place"
                .to_owned()
        }
        ([], number) => format!("a code has {WORDS} words, and these are {number}"),
        ([one], _) => format!("word {one} is none of the list; look at the sheet"),
        (several, _) => format!("the words {} are none of the list; look at the sheet", several.join(", ")),
    };
    Err(Failure::new(code::DATA, format_args!("{why}. Nothing was sent.")))
}
