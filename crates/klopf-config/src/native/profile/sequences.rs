//! The key `encoded` of a profile: `encoded.ssh = { ports = "40000-40255", proto = "tcp", fields = ["addr"] }`, or a section `[encoded]`.

use klopf_spa::encoded::{Template, Transport};
use klopf_spa::{EncodedDoor, Name};

use super::super::encoded;
use super::super::report::{Entry, Report, Value, Wrong, in_order};
use super::MOST;

const KEYS: [&str; 3] = ["ports", "proto", "fields"];
const EXAMPLE: &str = r#"{ ports = "40000-40255", fields = ["addr"] }"#;

pub(super) fn read(value: &Value<'_>, report: &mut Report<'_>) -> Vec<EncodedDoor> {
    let Some(table) = value.get_ref().as_table() else {
        report.mistyped("encoded", value, "a table", &format!("{{ ssh = {EXAMPLE} }}"));
        return Vec::new();
    };
    if table.len() > MOST {
        let text = format!("`encoded` has more than {MOST} doors");
        report.fault(value.span(), Wrong::new(text, "leave some out"));
        return Vec::new();
    }
    in_order(table).into_iter().filter_map(|entry| of_door(entry, report)).collect()
}

/// As it is written behind `encoded."ssh" = `.
pub(super) fn text(template: &Template) -> String {
    let Template { span, transport, fields } = *template;
    let fields: Vec<String> = encoded::field_words(fields).iter().map(|word| format!("\"{word}\"")).collect();
    let (ports, proto) = (encoded::ports_text(span), encoded::proto_word(transport));
    format!("{{ ports = \"{ports}\", proto = \"{proto}\", fields = [{}] }}", fields.join(", "))
}

fn of_door((key, value): Entry<'_, '_>, report: &mut Report<'_>) -> Option<EncodedDoor> {
    let wrong = || Wrong::new("`encoded` names no door", "write 1 to 64 characters of A-Z a-z 0-9 _ . -");
    let door = report.checked(key.span(), Name::new(key.get_ref()).ok_or_else(wrong));
    let Some(table) = value.get_ref().as_table() else {
        report.mistyped("encoded.DOOR", value, "a table", EXAMPLE);
        return None;
    };
    let (mut ports, mut proto, mut fields) = (None, Some(Transport::Tcp), None);
    for (key, value) in in_order(table) {
        match key.get_ref().as_ref() {
            word @ "ports" => {
                let text = report.string(word, value, r#""40000-40255""#);
                ports = text.and_then(|text| report.checked(value.span(), encoded::ports(text)));
            }
            word @ "proto" => {
                let text = report.string(word, value, r#""tcp""#);
                proto = text.and_then(|text| report.checked(value.span(), encoded::proto(text)));
            }
            word @ "fields" => {
                let example = r#"["addr", "port", "for"]"#;
                let elements = report.list(word, value, example)?;
                let words: Vec<_> =
                    elements.iter().filter_map(|element| report.string(word, element, example)).collect();
                let sound = words.len() == elements.len();
                fields = report.checked(value.span(), encoded::fields(words)).filter(|_| sound);
            }
            _ => report.unknown_key(key, "`encoded`", &KEYS),
        }
    }
    for word in ["ports", "fields"].into_iter().filter(|word| !table.contains_key(*word)) {
        let text = format!("`{word}` is missing in `encoded`");
        report.missing(key.span(), Wrong::new(text, format!("write it like `encoded.DOOR = {EXAMPLE}`")));
    }
    Some(EncodedDoor { door: door?, template: Template { span: ports?, transport: proto?, fields: fields? } })
}
