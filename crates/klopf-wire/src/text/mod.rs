//! The text carriers: bytes as text that survives mail programs, guestbooks and people, and back (`docs/PROTOCOL.md`,
//! section 5, "As text"). What the bytes are is nobody's business here.

mod address;
mod check;
mod markup;
mod plain;
mod prose;
mod words;

use std::collections::BTreeSet;
use std::net::IpAddr;

pub use self::words::is_word;

/// How many bytes a body has.
pub const LENGTHS: [usize; 5] = [11, 49, 61, 70, 82];
/// Bytes of a body that stands beside an address.
const ADDRESSED: usize = 11;

/// What text looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One word of base32.
    Plain,
    /// Words of a list.
    Words,
    /// An entry as a friendly person would write it.
    Prose(Language),
}

/// A language for prose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// German.
    German,
}

/// Fills with random bytes.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// What was found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// As many bytes as one of [`LENGTHS`].
    pub body: Vec<u8>,
    /// The address that stands beside it, if it has 11 bytes.
    pub address: Option<IpAddr>,
}

/// A body and where it stands, in bytes of the text.
struct Place {
    body: Vec<u8>,
    start: usize,
    end: usize,
}

/// A body as text of one line; none if its length is none of [`LENGTHS`].
#[must_use]
pub fn write(body: &[u8], shape: Shape, random: Random<'_>) -> Option<String> {
    LENGTHS.contains(&body.len()).then(|| match shape {
        Shape::Plain => plain::write(body),
        Shape::Words => words::write(body),
        Shape::Prose(language) => prose::write(body, language, random),
    })
}

/// All bodies in a text, in the order in which they begin, each once. Linear in the text's length, however hostile it is.
pub fn find(text: &str) -> impl Iterator<Item = Found> {
    let text = markup::blanked(text);
    let mut places = plain::find(&text);
    places.extend(words::find(&text));
    places.extend(prose::find(&text));
    places.sort_by_key(|place| place.start);
    let mut seen = BTreeSet::new();
    places.into_iter().filter_map(move |Place { body, start, end }| {
        let address = (body.len() == ADDRESSED).then(|| address::beside(&text, start, end)).flatten();
        let found = Found { body, address };
        seen.insert((found.body.clone(), found.address)).then_some(found)
    })
}

/// The one body in a text that somebody has typed; none if there is none, or more than one.
#[must_use]
pub fn read(text: &str) -> Option<Found> {
    let mut all = find(text);
    all.next().filter(|_| all.next().is_none())
}

/// Whether a character may stand in the midst of a word of base32 that a program has broken: blanks, the mark of a
/// quotation, what is not seen.
fn joins(c: char) -> bool {
    c.is_whitespace() || matches!(c, '>' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

#[cfg(test)]
mod tests;
