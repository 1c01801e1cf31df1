//! The keys of a door that say which tokens open it.

use std::ops::Range;
use std::time::Duration;

use klopf_spa::Name;

use super::doors::Place;
use super::report::{Report, Value, Wrong};
use super::{Door, values};

pub(super) const KEYS: [&str; 3] = ["guestbooks", "quorum", "valid-for"];

const SHORTEST_VALID: Duration = Duration::from_secs(60);
const LONGEST_VALID: Duration = Duration::from_secs(30 * 86400);
/// So many shares a token can have (PROTOCOL.md, section 5).
const MOST_SHARES: u8 = 8;

/// Reads the value of one of [`KEYS`] into the door; nothing if there is a fault in it.
pub(super) fn read(
    key: &str,
    value: &Value<'_>,
    door: &mut Door,
    place: &mut Place,
    report: &mut Report<'_>,
) -> Option<()> {
    let before = report.faults();
    match key {
        "guestbooks" => {
            place.guestbooks = Some(value.span());
            place.books = books(value, report).unwrap_or_default();
            door.guestbooks = Some(place.books.iter().map(|(name, _)| name.clone()).collect());
        }
        "quorum" => {
            place.quorum = Some(value.span());
            door.quorum = report.integer(key, value, (1, MOST_SHARES.into()), "2").unwrap_or(1);
        }
        "valid-for" => {
            place.valid_for = Some(value.span());
            let text = report.string(key, value, r#""1d""#);
            let valid = text.map(|text| values::duration_from(text, SHORTEST_VALID, LONGEST_VALID));
            door.valid_for = valid.and_then(|valid| report.checked(value.span(), valid)).unwrap_or(door.valid_for);
        }
        _ => {}
    }
    (report.faults() == before).then_some(())
}

/// Whether there are as many guestbooks as the quorum asks for, and no more than a token has shares; nothing if not.
pub(super) fn check_quorum(door: &Door, place: &Place, report: &mut Report<'_>) -> Option<()> {
    let at = place.quorum.clone().filter(|_| door.quorum > 1);
    let Some(at) = at else { return Some(()) };
    let Some(books) = &door.guestbooks else {
        let help = r#"add the guestbooks among which a token is split: `guestbooks = ["a", "b", "c"]`"#;
        report.missing(at, Wrong::new("`quorum` needs `guestbooks`", help));
        return None;
    };
    if let Some((_, ninth)) = place.books.get(usize::from(MOST_SHARES)) {
        let text = format!("a token is split among no more than {MOST_SHARES} guestbooks");
        report.fault(ninth.clone(), Wrong::new(text, "leave some out of `guestbooks`"));
        return None;
    }
    if usize::from(door.quorum) > books.len() {
        let text = format!("{} guestbooks cannot have {} shares of a token", books.len(), door.quorum);
        let text = if books.len() == 1 { text.replacen("guestbooks", "guestbook", 1) } else { text };
        report.fault(at, Wrong::new(text, "name more `guestbooks`, or write a smaller `quorum`"));
        return None;
    }
    Some(())
}

/// Names, each once, in the order of the file.
fn books(list: &Value<'_>, report: &mut Report<'_>) -> Option<Vec<(Name, Range<usize>)>> {
    let example = r#"["a", "b", "c"]"#;
    let elements = report.list("guestbooks", list, example)?;
    if elements.is_empty() {
        let help = "write names of guestbooks, or remove the line for all of them";
        report.fault(list.span(), Wrong::new("`guestbooks` names no guestbook", help));
    }
    let mut books = Vec::<(Name, Range<usize>)>::new();
    for element in elements {
        let Some(text) = report.string("guestbooks", element, example) else { continue };
        let help = "write a name as in `[guestbook.NAME]`";
        let wrong = || Wrong::new(format!("`{text}` cannot be the name of a guestbook"), help);
        let Some(name) = report.checked(element.span(), Name::new(text).ok_or_else(wrong)) else { continue };
        if books.iter().any(|(other, _)| *other == name) {
            let text = format!("`guestbooks` names `{name}` more than once");
            report.fault(element.span(), Wrong::new(text, "leave it out here"));
        } else {
            books.push((name, element.span()));
        }
    }
    Some(books)
}
