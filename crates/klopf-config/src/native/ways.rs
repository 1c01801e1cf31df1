//! The keys of a door that say who may open it, and how.

use klopf_spa::Name;

use super::doors::Place;
use super::report::{Report, Value, Wrong};
use super::{Door, KeyList, Way};
use crate::suggest::{listed, nearest};

pub(super) const KEYS: [&str; 3] = ["keys", "second-factor", "via"];

const WAYS: [(&str, Way); 6] = [
    ("packet", Way::Packet),
    ("sequence", Way::Sequence),
    ("encoded", Way::Encoded),
    ("log", Way::Log),
    ("mail", Way::Mail),
    ("guestbook", Way::Guestbook),
];

/// As it is written in `via`.
pub(super) fn word(way: Way) -> &'static str {
    WAYS.into_iter().find(|(_, other)| *other == way).map_or("", |(word, _)| word)
}

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
        "keys" => door.keys = keys(value, place, report),
        "via" => {
            place.via = Some(value.span());
            door.via = via(value, report);
        }
        "second-factor" => {
            place.second_factor = Some(value.span());
            door.second_factor = report.choice(key, value, [("totp", true)]).unwrap_or_default();
        }
        _ => {}
    }
    (report.faults() == before).then_some(())
}

fn keys(list: &Value<'_>, place: &mut Place, report: &mut Report<'_>) -> Option<KeyList> {
    let example = r#"["laptop", "phone"]"#;
    let elements = report.list("keys", list, example)?;
    if elements.is_empty() {
        let help = r#"write names of keys, `["*"]` for every key, or remove the line"#;
        report.fault(list.span(), Wrong::new("`keys` names no key", help));
    }
    let (mut names, mut all) = (Vec::new(), false);
    for element in elements {
        match report.string("keys", element, example) {
            Some("*") => all = true,
            Some(text) => {
                let help = "write a name as in `[key.NAME]`, or `*` for every key";
                let wrong = || Wrong::new(format!("`{text}` cannot be the name of a key"), help);
                let name = report.checked(element.span(), Name::new(text).ok_or_else(wrong));
                names.extend(name.map(|name| (name, element.span())));
            }
            None => {}
        }
    }
    let list = names.iter().map(|(name, _)| name.clone()).collect();
    place.keys = names;
    Some(if all { KeyList::All } else { KeyList::Named(list) })
}

fn via(list: &Value<'_>, report: &mut Report<'_>) -> Option<Vec<Way>> {
    let example = r#"["packet", "sequence"]"#;
    let elements = report.list("via", list, example)?;
    let words = WAYS.map(|(word, _)| word);
    if elements.is_empty() {
        let help = format!("write some of {}, or remove the line for all that is configured", listed(&words));
        report.fault(list.span(), Wrong::new("`via` names no way to knock", help));
    }
    let mut ways = Vec::new();
    for element in elements {
        let Some(text) = report.string("via", element, example) else { continue };
        if let Some((_, way)) = WAYS.iter().find(|(word, _)| *word == text) {
            if !ways.contains(way) {
                ways.push(*way);
            }
            continue;
        }
        let help = match nearest(text, &words) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("the ways are {}", listed(&words)),
        };
        report.fault(element.span(), Wrong::new(format!("`{text}` is no way to knock"), help));
    }
    Some(ways)
}
