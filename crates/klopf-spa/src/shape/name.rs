//! Names of hosts as people give them, which no list has.

use super::draw::Draw;

const FIRST: [&str; 12] = ["www", "api", "cdn", "mail", "static", "img", "app", "m", "auth", "media", "edge", "login"];
const LAST: [&str; 24] = [
    "com", "com", "com", "com", "net", "net", "org", "org", "io", "de", "fr", "nl", "eu", "co", "app", "dev", "info",
    "se", "ch", "it", "es", "pl", "cz", "us",
];
const CONSONANTS: &[u8] = b"bcdfghjklmnprstvwzbdlmnrst";
const VOWELS: &[u8] = b"aeiouaeioy";
/// The longest that a name is, in bytes.
pub(super) const LONGEST: usize = 35;

/// A name like `static.velomar.net`: two or three labels, at most [`LONGEST`] bytes.
pub(super) fn host(draw: &mut Draw<'_>) -> String {
    let mut name = String::new();
    if !draw.once_in(3) {
        name.push_str(draw.one_of(&FIRST));
        if draw.once_in(4) {
            name.push(char::from(draw.one_of(b"123456789")));
        }
        name.push('.');
    }
    for _ in 0..draw.between(2, 5) {
        name.push_str(&syllable(draw));
    }
    if draw.once_in(5) {
        name.push('-');
        for _ in 0..draw.between(1, 2) {
            name.push_str(&syllable(draw));
        }
    }
    name.push('.');
    name.push_str(draw.one_of(&LAST));
    name
}

fn syllable(draw: &mut Draw<'_>) -> String {
    let mut letters = vec![draw.one_of(CONSONANTS), draw.one_of(VOWELS)];
    if draw.once_in(3) {
        letters.push(draw.one_of(b"nrstlmxk"));
    }
    letters.into_iter().map(char::from).collect()
}
