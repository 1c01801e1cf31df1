//! The text carriers: bytes as text that survives mail programs, guestbooks and people, and back (`docs/PROTOCOL.md`,
//! section 5, "As text"). What the bytes are is nobody's business here.

mod address;
mod characters;
mod check;
mod markup;
mod plain;
mod prose;
mod words;

use std::borrow::Cow;
use std::cmp::Reverse;
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
    // Some words of a longer body are a code by chance, most often without an address. With one it may be real, and a
    // stranger has put words around it.
    let counts = |(found, inside): &(Found, bool)| !inside || found.body.len() != ADDRESSED || found.address.is_some();
    all(text).filter(counts).map(|(found, _)| found)
}

/// The one body in a text that somebody has typed; none if there is none, or more than one.
#[must_use]
pub fn read(text: &str) -> Option<Found> {
    let mut all = all(text).filter(|(_, inside)| !inside);
    all.next().filter(|_| all.next().is_none()).map(|(found, _)| found)
}

/// All bodies, each once, and whether it lies inside another one.
fn all(text: &str) -> impl Iterator<Item = (Found, bool)> {
    let text = characters::cleaned(text);
    let bare = markup::blanked(&text);
    let mut places = places(&bare);
    if matches!(bare, Cow::Owned(_)) {
        // What looks like a tag may begin in one entry and end in another, with a third in between.
        places.extend(self::places(&text));
    }
    places.sort_by_key(|(place, _)| (place.start, Reverse(place.end)));
    let (mut seen, mut last_end) = (BTreeSet::new(), 0);
    places.into_iter().filter_map(move |(Place { body, end, .. }, address)| {
        if !seen.insert((body.clone(), address)) {
            return None;
        }
        let inside = end <= last_end;
        last_end = last_end.max(end);
        Some((Found { body, address }, inside))
    })
}

/// Where there are bodies in a text, with the address beside each.
fn places(text: &str) -> Vec<(Place, Option<IpAddr>)> {
    let places = plain::find(text).into_iter().chain(words::find(text)).chain(prose::find(text));
    let with_address = |place: Place| {
        let addressed = place.body.len() == ADDRESSED;
        let address = if addressed { address::beside(text, place.start, place.end) } else { None };
        (place, address)
    };
    places.map(with_address).collect()
}

/// Whether a character may stand in the midst of a word of base32 that a program has broken: blanks, the mark of a
/// quotation.
fn joins(c: char) -> bool {
    c.is_whitespace() || c == '>'
}

#[cfg(test)]
mod tests;
