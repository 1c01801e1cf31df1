//! Tokens, shares and codes: what a text says.

use std::fmt::Write;

use klopf_spa::{Name, door_hash, is_code_of, open_share, open_token, read_code};
use klopf_wire::text::{self, Found};

use super::bytes::rows;
use super::lore::Lore;
use crate::open::date;
use crate::times::span;

/// Bytes of a code.
const CODE: usize = 11;
/// Bytes of tokens, for an IPv4 address and for an IPv6 one.
const TOKENS: [usize; 2] = [49, 61];

/// All that a text holds, and whether there was something that is by a key that is known.
pub(super) fn told(lore: &Lore, typed: &str, now: u64) -> Option<(String, bool)> {
    let mut out = String::new();
    let mut sound = false;
    let mut any = false;
    for Found { body, address } in text::find(typed).take(32) {
        any = true;
        if body.len() == CODE {
            let (text, known) = code(lore, &body);
            out += &text;
            let _ = match address {
                Some(address) => writeln!(out, "Beside it stands {address}, which is let in."),
                None => writeln!(out, "No address stands beside it, so it opens nothing: write one behind it."),
            };
            sound |= known;
        } else if TOKENS.contains(&body.len()) {
            let (text, known) = token(lore, &body, now);
            out += &text;
            sound |= known;
        } else {
            let (text, known) = share(lore, &body);
            out += &text;
            sound |= known;
        }
        out.push('\n');
    }
    any.then_some((out, sound))
}

fn token(lore: &Lore, body: &[u8], now: u64) -> (String, bool) {
    let address = if body.len() == 49 { 4 } else { 16 };
    let family = if address == 4 { "IPv4" } else { "IPv6" };
    let mut out = format!("A token, {} bytes, for an {family} address:\n", body.len());
    let sealed = body.len() - 12 - 16;
    rows(
        &mut out,
        body,
        &[
            (8, "chance".to_owned()),
            (4, "the beginning of the key's id, hidden by a key of the server's".to_owned()),
            (sealed, "sealed with the key (AES-256-GCM-SIV): what it says".to_owned()),
            (16, "tag: nobody has changed a bit".to_owned()),
        ],
    );
    let candidates = lore.of_token(body);
    let opened = candidates.iter().find_map(|(key, own)| Some((key, open_token(&lore.server, key.id, own, body)?)));
    let Some((key, claim)) = opened else {
        let why = match candidates.as_slice() {
            [] => "It is by no key that is known here, or for another server.",
            _ => {
                "It names a key that is known here, but is not sealed with it: it was changed, or is of another device."
            }
        };
        let _ = writeln!(out, "{why}");
        return (out, false);
    };
    let _ = writeln!(out, "Sealed by the key {}, {}. It says:", key.name, key.id);
    let made = u64::from(claim.time);
    let age = match now.checked_sub(made) {
        Some(age) => format!("{} ago", span(age * 1000)),
        None => format!("{} from now", span((made - now) * 1000)),
    };
    let hold =
        if claim.hold == 0 { "as long as the door says".to_owned() } else { span(u64::from(claim.hold) * 60_000) };
    for (what, value) in [
        ("for", claim.address.to_string()),
        ("door", door_of(lore, claim.door)),
        ("made", format!("{}, {age}", date(made))),
        ("number", format!("{}; none counts twice", claim.counter)),
        ("for how long", hold),
    ] {
        let _ = writeln!(out, "  {what:<12}  {value}");
    }
    (out, true)
}

fn share(lore: &Lore, body: &[u8]) -> (String, bool) {
    let mut out = format!("A share of a token, {} bytes:\n", body.len());
    rows(
        &mut out,
        body,
        &[
            (body.len() - 16, "sealed with a key of the server's, for one guestbook (AES-256-GCM-SIV)".to_owned()),
            (16, "tag: nobody has changed a bit".to_owned()),
        ],
    );
    let opened = lore.books.iter().find_map(|book| Some((book, open_share(&lore.server, book, body)?)));
    let Some((book, share)) = opened else {
        let books: Vec<&str> = lore.books.iter().map(|book| &**book).collect();
        let known = if books.is_empty() { "none is known".to_owned() } else { books.join(", ") };
        let _ = writeln!(out, "It is for none of the guestbooks that are known here ({known}), or for another server.");
        return (out, false);
    };
    let group = share.group.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let _ = writeln!(out, "For the guestbook {book}. It says:");
    let _ = writeln!(out, "  which token   {group}, the same in all its shares");
    let _ = writeln!(out, "  needed        {} shares, each in its guestbook; this is number {}", share.k, share.x);
    let _ = writeln!(out, "  values        {} bytes, of no use alone", share.values.len());
    (out, true)
}

fn code(lore: &Lore, body: &[u8]) -> (String, bool) {
    let mut out = format!("A code of paper, {} bytes:\n", body.len());
    rows(
        &mut out,
        body,
        &[
            (7, "tag: made with the key, for the door and this place of the sheet".to_owned()),
            (4, "the place, and the beginning of the key's id, hidden by a key of the server's".to_owned()),
        ],
    );
    let read = read_code(&lore.server, body);
    let found = lore.of_code(body).into_iter().find_map(|(key, own)| {
        let fits = |name: &&Name| is_code_of(&lore.server, key.id, own, door_hash(name), body);
        lore.doors.iter().map(|door| &door.name).find(fits).map(|door| (key, door))
    });
    let (Some((key, door)), Some(read)) = (found, read) else {
        out.push_str("It is by no key, or for no door, that is known here.\n");
        return (out, false);
    };
    let _ = writeln!(
        out,
        "By the key {} for the door {door}: number {} of sheet {}. It counts once.",
        key.name,
        read.place.index + 1,
        read.place.sheet
    );
    (out, true)
}

fn door_of(lore: &Lore, hash: [u8; 4]) -> String {
    let known = lore.doors.iter().find(|door| door_hash(&door.name) == hash);
    known.map_or_else(|| "one that is not known here".to_owned(), |door| door.name.to_string())
}
