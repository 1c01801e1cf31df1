//! What of a file must not be shown in a fault.
//!
//! It goes by lines and not by the document, which a fault may have put in disorder: below `[key.NAME]`, and in a file of
//! `keys.d`, a line is shown as it is only if it begins with a key that is no secret, and so it is below `[mail.NAME]` and
//! `[guestbook.NAME]`, where passwords are put by mistake. Anywhere else everything behind the word `psk` or `totp`, behind
//! `password =`, and everything that looks like a key, is left out. Of an address the password is left out, and the query.

use super::{daemon, doors, guestbooks, keys, mails, packet, sources};
use crate::suggest::nearest;

/// A word that is longer may be a secret in the place of a key: no key is so long, and no secret so short.
pub(super) const LONGEST_WORD: usize = 14;
/// So many characters have keys.
const KEY_LENGTHS: [usize; 2] = [43, 86];
/// So many characters of base32 has the shortest secret of a second factor.
const SHORTEST_FACTOR: usize = 16;
/// A run of as many characters of base64url looks like a secret.
const LOOKS_SECRET: usize = 40;

/// Sections without secrets; the last two are in profiles.
const OPEN: [&str; 6] = ["daemon", "door", "packet", "log", "books", "encoded"];
/// Sections with them.
const PRIVATE: [&str; 3] = ["key", "mail", "guestbook"];
/// What stands before a password that should not be there.
const PASSWORD: [&str; 3] = ["password", "passwd", "passphrase"];
/// Stands between the scheme of an address and the rest.
const ADDRESS: &str = "://";

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
    let message = without_address(message);
    let mut shown = String::new();
    for part in message.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_') {
        let word = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
        let (word, rest) = part.split_at_checked(word.len()).unwrap_or((part, ""));
        shown.push_str(if looks_secret(word) { "…" } else { word });
        shown.push_str(rest);
    }
    shown
}

/// A message without what may be secret in an address, up to the end of what is quoted.
fn without_address(message: &str) -> String {
    let quoted = message.rfind('`').unwrap_or(message.len());
    let address = message.get(..quoted).and_then(|before| address_from(before, 0, false));
    match address.and_then(|at| Some((message.get(..at)?, message.get(quoted..)?))) {
        Some((before, behind)) => format!("{before}…{behind}"),
        None => message.to_owned(),
    }
}

struct Reader {
    /// In a section of a key, a mail or a guestbook.
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
            // Keys may be written without a header as well: `key.laptop.psk`. And a profile has a `mail` that is an address.
            let is_text = first == "mail" && words.len() == 1 && line.get(at..).is_some_and(|v| v.starts_with('"'));
            self.private |= PRIVATE.contains(&first) && !is_text || words.len() > 1 && !OPEN.contains(&first);
            let disclosed = !self.private && !self.hidden;
            let harmless = nearest(last, &keys::SECRET).is_none() && !sources::is_password(last);
            let public = is_public(last) || disclosed && harmless;
            let secret = match last {
                _ if !public => {
                    let short = words.iter().all(|word| word.len() <= LONGEST_WORD);
                    Some(if short { at } else { indent })
                }
                "imap" | "url" => address_from(line, at, true).into_iter().chain(secret_from(line, at)).min(),
                // Where a path belongs there may be the password itself.
                "password-file" => Some(at).filter(|at| !is_absolute(line, *at)),
                // Its only value is `totp`.
                "second-factor" => named_from(line, at, "psk").into_iter().chain(long_from(line)).min(),
                _ => secret_from(line, at),
            };
            self.list = secret.is_none() && line.matches('[').count() > line.matches(']').count();
            self.hidden = secret.is_some() || self.private && !self.list;
            return secret;
        }
        self.hidden |= PRIVATE.iter().any(|section| line.trim_start().starts_with(section));
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
    let known = known.chain(&mails::KEYS).chain(&guestbooks::KEYS);
    known.filter(|known| !keys::SECRET.contains(known)).any(|known| *known == word)
}

/// Where something begins that may be a secret: the value behind the name of one, no sooner than at `from`, or a long run.
fn secret_from(line: &str, from: usize) -> Option<usize> {
    let named = keys::SECRET.iter().filter_map(|word| named_from(line, from, word));
    let passwords = PASSWORD.iter().filter_map(|word| password_from(line, from, word));
    named.chain(long_from(line)).chain(passwords).chain(address_from(line, from, false)).min()
}

/// Where the value begins of which a word says that it is a password: something stands between them.
fn password_from(line: &str, from: usize, word: &str) -> Option<usize> {
    let rest = line.get(from..)?.to_ascii_lowercase();
    let mut ends = rest.match_indices(word).map(|(at, _)| at + word.len());
    ends.find_map(|end| {
        let behind = rest.get(end..)?;
        let value = behind.trim_start_matches(['"', '\'', ' ', '\t', '=', ':']);
        let between = behind.get(..behind.len() - value.len())?;
        let quoted = between.ends_with(['"', '\'']);
        between.contains(['=', ':']).then(|| from + end + between.len() - usize::from(quoted))
    })
}

/// Where in an address something begins that may be a secret: a password before the `@`, or all behind a `?`. With `whole` it
/// is one even without `://`.
fn address_from(line: &str, from: usize, whole: bool) -> Option<usize> {
    let rest = line.get(from..)?;
    let begin = rest.find(ADDRESS).map(|at| at + ADDRESS.len()).or_else(|| whole.then_some(0))?;
    let address = rest.get(begin..)?;
    let password = match address.rfind('@').and_then(|at| address.get(..at)) {
        Some(user) => user.find(':'),
        // No port, so it may be a password, and the rest was forgotten.
        None => address.find(':').filter(|at| !followed_by_digit(address, *at) && !address.starts_with('[')),
    };
    let query = address.find('?');
    password.into_iter().chain(query).min().map(|at| from + begin + at + 1)
}

fn followed_by_digit(text: &str, at: usize) -> bool {
    text.as_bytes().get(at + 1).is_some_and(u8::is_ascii_digit)
}

/// Whether a value is the absolute path of a file.
fn is_absolute(line: &str, at: usize) -> bool {
    line.get(at..).is_some_and(|value| value.starts_with("\"/") || value.starts_with("'/"))
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
