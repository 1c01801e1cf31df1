//! The key `books` of a profile: `books.vault = { shares = 2, of = ["a", "b", "c"] }`, or a section `[books]`.

use klopf_spa::Name;

use super::super::report::{Entry, Report, Value, Wrong, in_order};
use super::{Books, MOST};

const KEYS: [&str; 2] = ["shares", "of"];
const EXAMPLE: &str = r#"{ shares = 2, of = ["a", "b", "c"] }"#;
/// So many shares a token can have (PROTOCOL.md, section 5).
const MOST_BOOKS: usize = 8;

pub(super) fn read(value: &Value<'_>, report: &mut Report<'_>) -> Vec<Books> {
    let Some(table) = value.get_ref().as_table() else {
        report.mistyped("books", value, "a table", &format!("{{ vault = {EXAMPLE} }}"));
        return Vec::new();
    };
    if table.len() > MOST {
        let text = format!("`books` has more than {MOST} doors");
        report.fault(value.span(), Wrong::new(text, "leave some out"));
        return Vec::new();
    }
    in_order(table).into_iter().filter_map(|entry| of_door(entry, report)).collect()
}

fn of_door((key, value): Entry<'_, '_>, report: &mut Report<'_>) -> Option<Books> {
    let wrong = || Wrong::new("`books` names no door", "write 1 to 64 characters of A-Z a-z 0-9 _ . -");
    let door = report.checked(key.span(), Name::new(key.get_ref()).ok_or_else(wrong));
    let Some(table) = value.get_ref().as_table() else {
        report.mistyped("books.DOOR", value, "a table", EXAMPLE);
        return None;
    };
    let (mut shares, mut of) = (None, None);
    for (key, value) in in_order(table) {
        match key.get_ref().as_ref() {
            word @ "shares" => shares = report.integer::<u8>(word, value, (2, 8), "2"),
            "of" => of = books(value, report),
            _ => report.unknown_key(key, "`books`", &KEYS),
        }
    }
    for word in KEYS.into_iter().filter(|word| !table.contains_key(*word)) {
        let text = format!("`{word}` is missing in `books`");
        report.missing(key.span(), Wrong::new(text, format!("write it like `books.DOOR = {EXAMPLE}`")));
    }
    let (shares, of) = (shares?, of?);
    if of.len() < usize::from(shares) {
        let text = format!("{} guestbooks cannot have {shares} shares of a token", of.len());
        report.fault(value.span(), Wrong::new(text, "name more guestbooks, or write a smaller number"));
        return None;
    }
    Some(Books { door: door?, shares, of })
}

fn books(list: &Value<'_>, report: &mut Report<'_>) -> Option<Vec<Name>> {
    let example = r#"["a", "b", "c"]"#;
    let elements = report.list("of", list, example)?;
    if !(2..=MOST_BOOKS).contains(&elements.len()) {
        let text = format!("a token is split among 2 to {MOST_BOOKS} guestbooks");
        report.fault(list.span(), Wrong::new(text, format!("write it like `of = {example}`")));
        return None;
    }
    let mut names = Vec::<Name>::new();
    let mut sound = true;
    for element in elements {
        let text = report.string("of", element, example);
        let help = "write names of guestbooks, each once, of A-Z a-z 0-9 _ . -";
        let wrong = || Wrong::new("`of` has no name of another guestbook here", help);
        let name = text.and_then(|text| {
            let name = Name::new(text).filter(|name| !names.contains(name));
            report.checked(element.span(), name.ok_or_else(wrong))
        });
        sound &= name.is_some();
        names.extend(name);
    }
    sound.then_some(names)
}
