//! The key `encoded` of a profile: `encoded.ssh = { ports = "40000-40255", proto = "tcp", fields = ["addr"] }`, or a section `[encoded]`.

use klopf_spa::{EncodedDoor, Name};

use super::super::encoded;
use super::super::report::{Entry, Report, Value, Wrong, in_order};
use super::MOST;

pub(super) fn read(value: &Value<'_>, report: &mut Report<'_>) -> Vec<EncodedDoor> {
    let Some(table) = value.get_ref().as_table() else {
        report.mistyped("encoded", value, "a table", r#"{ ssh = { ports = "40000-40255", fields = ["addr"] } }"#);
        return Vec::new();
    };
    if table.len() > MOST {
        let text = format!("`encoded` has more than {MOST} doors");
        report.fault(value.span(), Wrong::new(text, "leave some out"));
        return Vec::new();
    }
    let of_door = |(key, value): Entry<'_, '_>| {
        let wrong = || Wrong::new("`encoded` names no door", "write 1 to 64 characters of A-Z a-z 0-9 _ . -");
        let door = report.checked(key.span(), Name::new(key.get_ref()).ok_or_else(wrong));
        let template = encoded::read(value, report)?.template;
        Some(EncodedDoor { door: door?, template })
    };
    in_order(table).into_iter().filter_map(of_door).collect()
}
