//! What of a file must not be shown in a fault.
//!
//! It goes by lines and not by the document, which a fault may have put in disorder: below `[key.NAME]`, and in a file of
//! `keys.d`, a line is shown as it is only if it begins with a key that is no secret. Anywhere else everything behind
//! the word `psk` or `totp`, and everything that looks like a key, is left out.

use super::{daemon, doors, keys, packet};
use crate::suggest::nearest;

/// A word that is longer may be a secret in the place of a key: no key is so long, and no secret so short.
pub(super) const LONGEST_WORD: usize = 14;
/// So many characters have keys.
const KEY_LENGTHS: [usize; 2] = [43, 86];
/// So many characters of base32 has the shortest secret of a second factor.
const SHORTEST_FACTOR: usize = 16;
/// A run of as many characters of base64url looks like a secret.
const LOOKS_SECRET: usize = 40;

/// Sections without secrets.
const OPEN: [&str; 3] = ["daemon", "door", "packet"];

/// For each line the number of characters from its beginning that may be shown; none: all of them.
pub(super) fn shown_of_lines(source: &str, is_key: bool) -> Vec<Option<usize>> {
    let mut reader = Reader { private: is_key, hidden: is_key, list: false };
    source
        .split('\n')
        .map(|line| {
            let shown = reader.shown(line)?;
            let (shown, rest) = line.split_at_checked(shown).unwrap_or(("", line));
            (!rest.trim().is_empty()).then(|| shown.chars().count())
        })
        .collect()
}

/// A line of which only the first characters are shown, and the place in it; a place behind them is moved to their end.
pub(super) fn masked(line: &str, shown: usize, column: usize, width: usize) -> (usize, String, usize) {
    let begin = line.char_indices().nth(shown).map_or(line.len(), |(at, _)| at);
    let (begin, rest) = line.split_at_checked(begin).unwrap_or(("", line));
    let mask = if rest.starts_with(['"', '\'']) { "\"…\"" } else { "…" };
    let length = mask.chars().count();
    let column = column.min(shown + 1);
    (column, format!("{begin}{mask}"), width.clamp(1, shown + 1 + length - column))
}

/// A message without words that look like a secret which stands in the wrong place; in a key's file those of base32 do, too.
pub(super) fn without_secrets(message: &str, is_key: bool) -> String {
    let base32 = |word: &str| word.bytes().all(|byte| byte.is_ascii_alphabetic() || (b'2'..=b'7').contains(&byte));
    let looks_secret =
        |word: &str| KEY_LENGTHS.contains(&word.len()) || is_key && word.len() >= SHORTEST_FACTOR && base32(word);
    let mut shown = String::new();
    for part in message.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_') {
        let word = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
        let (word, rest) = part.split_at_checked(word.len()).unwrap_or((part, ""));
        shown.push_str(if looks_secret(word) { "…" } else { word });
        shown.push_str(rest);
    }
    shown
}

struct Reader {
    /// In a section of a key.
    private: bool,
    /// Whether a line that begins with no key belongs to a secret.
    hidden: bool,
    /// In a list of a key's section that is no secret, until it is closed.
    list: bool,
}

impl Reader {
    /// The bytes of a line that may be shown; none: all of them.
    fn shown(&mut self, line: &str) -> Option<usize> {
        let indent = line.len() - line.trim_start().len();
        if let Some((section, end)) = header(line) {
            self.private = !OPEN.contains(&section);
            let secret = secret_from(line, end).into_iter().chain(long_from(line)).min();
            self.hidden = self.private || secret.is_some();
            self.list = false;
            return if self.private { Some(secret.unwrap_or(end).min(end)) } else { secret };
        }
        if let Some((path, at)) = assignment(line) {
            let words: Vec<_> = path.split('.').map(|word| word.trim_matches([' ', '\t', '"', '\''])).collect();
            let last = words.last().copied().unwrap_or_default();
            let first = words.first().copied().unwrap_or_default();
            // Keys may be written without a header as well: `key.laptop.psk`.
            self.private |= first == "key" || words.len() > 1 && !OPEN.contains(&first);
            let disclosed = !self.private && !self.hidden;
            let public = is_public(last) || disclosed && nearest(last, &keys::SECRET).is_none();
            let secret = match last {
                _ if !public => {
                    let short = words.iter().all(|word| word.len() <= LONGEST_WORD);
                    Some(if short { at } else { indent })
                }
                // Its only value is `totp`.
                "second-factor" => named_from(line, at, "psk").into_iter().chain(long_from(line)).min(),
                _ => secret_from(line, at),
            };
            self.list = secret.is_none() && line.matches('[').count() > line.matches(']').count();
            self.hidden = secret.is_some() || self.private && !self.list;
            return secret;
        }
        self.hidden |= line.trim_start().starts_with("key");
        if self.hidden {
            return Some(indent);
        }
        if self.list && self.private && line.contains(']') {
            (self.list, self.hidden) = (false, true);
        }
        let secret = secret_from(line, 0);
        self.hidden |= secret.is_some();
        secret
    }
}

/// The section that a header names first, and where the header ends.
fn header(line: &str) -> Option<(&str, usize)> {
    let inside = line.trim_start().trim_start_matches('[');
    let start = line.len() - inside.len();
    let name = inside.split(['.', ']', ' ', '#', '\r']).next().unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !line.trim_start().starts_with('[') || name.len() > LONGEST_WORD || !name.bytes().all(plain) {
        return None;
    }
    let closing = inside.find(']').map_or(inside.len(), |at| at + 1);
    let double = inside.get(closing..).is_some_and(|rest| rest.starts_with(']'));
    Some((name, start + closing + usize::from(double)))
}

/// What stands before `=`, if that may be a key, and where the value begins.
fn assignment(line: &str) -> Option<(&str, usize)> {
    let (path, value) = line.split_once('=')?;
    let plain = |c: char| c.is_alphanumeric() || "_-. \t\"'".contains(c);
    (!path.trim().is_empty() && path.chars().all(plain)).then(|| (path, line.len() - value.trim_start().len()))
}

fn is_public(word: &str) -> bool {
    let known = daemon::KEYS.iter().chain(&doors::KEYS).chain(&packet::KEYS).chain(&keys::KEYS);
    known.filter(|known| !keys::SECRET.contains(known)).any(|known| *known == word)
}

/// Where something begins that may be a secret: the value behind the name of one, no sooner than at `from`, or a long run.
fn secret_from(line: &str, from: usize) -> Option<usize> {
    let named = keys::SECRET.iter().filter_map(|word| named_from(line, from, word));
    named.chain(long_from(line)).min()
}

/// Where the value behind a word begins.
fn named_from(line: &str, from: usize, word: &str) -> Option<usize> {
    let rest = line.get(from..)?.to_ascii_lowercase();
    let end = rest.find(word)? + word.len();
    let behind = rest.get(end..)?;
    let value = behind.trim_start_matches(['"', '\'', ' ', '\t', '=', ':']);
    let between = behind.len() - value.len();
    let quoted = behind.get(..between).is_some_and(|between| between.ends_with(['"', '\'']));
    Some(from + end + between - usize::from(quoted))
}

/// Where the first run begins that is long enough for a key.
fn long_from(line: &str) -> Option<usize> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let run = line.split(|c| !part(c)).find(|run| run.len() >= LOOKS_SECRET)?;
    let at = line.find(run)?;
    let quoted = line.get(..at).is_some_and(|before| before.ends_with(['"', '\'']));
    Some(at - usize::from(quoted))
}
