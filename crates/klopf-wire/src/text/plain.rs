//! Base32, perhaps broken by line ends and marks of quotation.

use data_encoding::BASE32_NOPAD;

use super::check::{check, checked};
use super::{LENGTHS, Place, joins};

/// Pieces at most into which a body may be broken: lines are longer than that.
const MOST_PIECES: usize = 16;

pub(super) fn write(body: &[u8]) -> String {
    BASE32_NOPAD.encode(&[body, &check(body).to_be_bytes()].concat()).to_ascii_lowercase()
}

/// A run of characters of base32.
struct Piece {
    start: usize,
    end: usize,
    /// How many characters of base32 there are before it in the text.
    before: usize,
    /// Whether it may go on from the piece before.
    goes_on: bool,
}

/// All of them, also those that overlap: one may be there by chance, or by somebody's will.
pub(super) fn find(text: &str) -> Vec<Place> {
    let pieces = pieces(text);
    let lengths = LENGTHS.map(|length| characters(length + 2));
    let beginning_with = |first| lengths.map(|length| at(text, &pieces, first, length)).into_iter().flatten();
    (0..pieces.len()).flat_map(beginning_with).collect()
}

/// A body of so many characters that begins with a piece, and ends with one.
fn at(text: &str, pieces: &[Piece], first: usize, length: usize) -> Option<Place> {
    let begin = pieces.get(first)?;
    let mut end = begin;
    for piece in pieces.get(first + 1..)?.iter().take(MOST_PIECES - 1) {
        if end.before + (end.end - end.start) - begin.before >= length || !piece.goes_on {
            break;
        }
        end = piece;
    }
    if end.before + (end.end - end.start) - begin.before != length {
        return None;
    }
    let characters = text.get(begin.start..end.end)?.bytes().filter(u8::is_ascii_alphanumeric);
    let upper: Vec<u8> = characters.map(|byte| byte.to_ascii_uppercase()).collect();
    let body = BASE32_NOPAD.decode(&upper).ok().and_then(checked)?;
    Some(Place { body, start: begin.start, end: end.end })
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let (mut open, mut goes_on, mut before, mut hyphen) = (false, false, 0, false);
    for (at, c) in text.char_indices() {
        if is_base32(c) {
            match pieces.last_mut().filter(|_| open) {
                Some(piece) => piece.end = at + 1,
                // A hyphen counts at the end of a line alone.
                None => pieces.push(Piece { start: at, end: at + 1, before, goes_on: goes_on && !hyphen }),
            }
            (open, before) = (true, before + 1);
            (goes_on, hyphen) = (true, false);
            continue;
        }
        open = false;
        match c {
            '\n' | '\r' => hyphen = false,
            '-' | '\u{2010}' if goes_on && !hyphen => hyphen = true,
            _ => goes_on &= joins(c),
        }
    }
    pieces
}

const fn is_base32(c: char) -> bool {
    c.is_ascii_alphabetic() || matches!(c, '2'..='7')
}

/// Of how many characters so many bytes are.
const fn characters(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}
