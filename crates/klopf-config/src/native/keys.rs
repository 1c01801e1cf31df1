//! The sections `[key.NAME]`, and the files of `keys.d`.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use klopf_spa::{KeyError, Name, Psk, Public};
use toml::de::{DeTable, DeValue};

use super::report::{Report, Value, Wrong, in_order};
use super::{Hours, Key, Network, Totp, hours, moment, values};

pub(super) const KEYS: [&str; 14] = [
    "public",
    "psk",
    "doors",
    "not-before",
    "expires",
    "join-before",
    "once",
    "hours",
    "max-uses",
    "max-open-for",
    "networks",
    "no-clock",
    "totp",
    "revoked-sheets",
];

/// Values of these are never shown.
pub(super) const SECRET: [&str; 2] = ["psk", "totp"];

const LONGEST_OPEN: Duration = Duration::from_secs(30 * 86400);
const MOST_HOURS: usize = 64;
/// Codes have 11 bits for it (PROTOCOL.md, section 5).
const LAST_SHEET: u16 = 2047;

/// A key as it is written, which may have faults.
pub(super) struct Written {
    /// As in the file; not always a name.
    pub(super) name: String,
    /// Which file it is in, 0 for `klopf.toml`.
    pub(super) file: usize,
    /// The header, or in a file of its own the first line.
    pub(super) at: Range<usize>,
    pub(super) public: Option<(Public, Range<usize>)>,
    /// What it says of its doors.
    pub(super) doors: Vec<(Name, Range<usize>)>,
    /// Nothing if there is a fault in it.
    pub(super) key: Option<Key>,
}

/// The keys of `klopf.toml`, in file order.
pub(super) fn read_all(table: &DeTable<'_>, report: &mut Report<'_>) -> Vec<Written> {
    let mut keys = Vec::new();
    for (key, value) in in_order(table) {
        let name = key.get_ref();
        let Some(table) = value.get_ref().as_table() else {
            let text = format!("key `{}` must be a section", report.name(key));
            report.fault(key.span(), Wrong::new(text, "write `[key.NAME]`, and its keys below"));
            continue;
        };
        if Name::new(name).is_none() {
            let help = "take 1 to 64 of the characters A-Z, a-z, 0-9, `_`, `.` and `-`";
            report.fault(key.span(), Wrong::new(format!("`{}` cannot be the name of a key", report.name(key)), help));
        }
        keys.push(read(name, 0, key.span(), table, report));
    }
    keys
}

/// The key of a file in `keys.d`, whose name is that of the file without `.toml`.
pub(super) fn read_file(file_name: &str, file: usize, table: &DeTable<'_>, report: &mut Report<'_>) -> Written {
    let name = Path::new(file_name).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if Name::new(name).is_none() {
        let help = "rename it to 1 to 64 of the characters A-Z, a-z, 0-9, `_`, `.` and `-`, and `.toml`";
        report.fault(0..0, Wrong::new(format!("a file `{name}.toml` names no key"), help));
    }
    read(name, file, 0..0, table, report)
}

fn read(name: &str, file: usize, at: Range<usize>, table: &DeTable<'_>, report: &mut Report<'_>) -> Written {
    let before = report.faults();
    let (mut public, mut psk, mut totp) = (None, None, None);
    let (mut doors, mut not_before, mut expires, mut join_before) = (None, None, None, None);
    let (mut once, mut no_clock, mut max_uses, mut max_open_for) = (false, false, None, None);
    let (mut hours, mut networks, mut revoked_sheets) = (Vec::new(), Vec::new(), Vec::new());
    let entries = in_order(table);
    for (key, value) in &entries {
        match key.get_ref().as_ref() {
            word @ "public" => {
                public = of_base64(word, value, Public::parse, report).map(|public| (public, value.span()));
            }
            word @ "psk" => psk = of_base64(word, value, Psk::parse, report),
            "totp" => totp = self::totp(value, report),
            "doors" => doors = self::doors(value, report),
            word @ "not-before" => not_before = moment(word, value, report),
            word @ "expires" => expires = moment(word, value, report).map(|moment| (moment, value.span())),
            word @ "join-before" => join_before = moment(word, value, report),
            word @ "once" => once = report.boolean(word, value).unwrap_or_default(),
            word @ "no-clock" => no_clock = report.boolean(word, value).unwrap_or_default(),
            word @ "max-uses" => max_uses = report.integer(word, value, (1, u32::MAX.into()), "10"),
            word @ "max-open-for" => {
                let text = report.string(word, value, r#""1h""#);
                max_open_for = text.and_then(|text| report.checked(value.span(), values::duration(text, LONGEST_OPEN)));
            }
            "hours" => hours = self::hours(value, report),
            "networks" => networks = self::networks(value, report),
            "revoked-sheets" => revoked_sheets = sheets(value, report),
            "key" if file > 0 => {
                let help = "write its keys into the file as they are, without a section";
                report.fault(key.span(), Wrong::new(format!("this file is key `{name}` as a whole"), help));
            }
            _ => report.unknown_key(key, &format!("key `{name}`"), &KEYS),
        }
    }
    let has = |word: &str| entries.iter().any(|(key, _)| key.get_ref() == word);
    // They are below that header.
    let within = file > 0 && has("key");
    for (word, characters) in [("public", 86), ("psk", 43)] {
        if !has(word) && !within {
            let help = format!("add a line `{word} = \"...\"` of {characters} characters, as `klopf invite` makes it");
            report.missing(at.clone(), Wrong::new(format!("key `{name}` has no `{word}`"), help));
        }
    }
    if let (Some(begin), Some((end, at))) = (not_before, &expires)
        && *end <= begin
    {
        let help = "write a later moment, or remove one of the two";
        report.fault(at.clone(), Wrong::new(format!("key `{name}` expires before its `not-before`"), help));
    }
    let listed = doors.clone().unwrap_or_default();
    let sound = report.faults() == before;
    let key = match (Name::new(name), &public, psk) {
        (Some(name), Some((public, _)), Some(psk)) if sound => Some(Key {
            name,
            public: *public,
            psk,
            doors: doors.map(|doors| doors.into_iter().map(|(door, _)| door).collect()),
            not_before,
            expires: expires.map(|(moment, _)| moment),
            join_before,
            once,
            hours,
            max_uses,
            max_open_for,
            networks,
            no_clock,
            totp,
            revoked_sheets,
        }),
        _ => None,
    };
    Written { name: name.to_owned(), file, at, public, doors: listed, key }
}

/// A key in base64url. What it says is not repeated: it may be a secret.
fn of_base64<T>(
    word: &str,
    value: &Value<'_>,
    parse: impl Fn(&str) -> Result<T, KeyError>,
    report: &mut Report<'_>,
) -> Option<T> {
    let text = report.string(word, value, "\"...\"")?;
    let help = "copy it once more, whole and without spaces";
    report.checked(value.span(), parse(text).map_err(|error| Wrong::new(format!("`{word}`: {error}"), help)))
}

fn totp(value: &Value<'_>, report: &mut Report<'_>) -> Option<Totp> {
    let text = report.string("totp", value, "\"...\"")?;
    report.checked(value.span(), Totp::parse(text))
}

fn doors(list: &Value<'_>, report: &mut Report<'_>) -> Option<Vec<(Name, Range<usize>)>> {
    let elements = report.list("doors", list, r#"["ssh"]"#)?;
    if elements.is_empty() {
        let help = r#"write names of doors, or remove the line: then those open whose `keys` name it"#;
        report.fault(list.span(), Wrong::new("`doors` names no door", help));
    }
    let mut doors = Vec::new();
    for element in elements {
        let Some(text) = report.string("doors", element, r#"["ssh"]"#) else { continue };
        let wrong = || Wrong::new(format!("`{text}` cannot be the name of a door"), "write a name as in `[door.NAME]`");
        let name = report.checked(element.span(), Name::new(text).ok_or_else(wrong));
        doors.extend(name.map(|name| (name, element.span())));
    }
    Some(doors)
}

fn moment(word: &str, value: &Value<'_>, report: &mut Report<'_>) -> Option<u64> {
    let example = "2027-01-01T00:00:00Z";
    let DeValue::Datetime(written) = value.get_ref() else {
        report.mistyped(word, value, "a date and time", example);
        return None;
    };
    report.checked(value.span(), moment::parse(word, written))
}

fn hours(list: &Value<'_>, report: &mut Report<'_>) -> Vec<Hours> {
    let example = r#"["mon-fri 08:00-18:00"]"#;
    let elements = report.list("hours", list, example).unwrap_or_default();
    if elements.is_empty() && list.get_ref().is_array() {
        let help = "write times of the week, or remove the line";
        report.fault(list.span(), Wrong::new("`hours` names no time", help));
    }
    if let Some(first) = elements.get(MOST_HOURS) {
        report.fault(first.span(), Wrong::new("`hours` has more than 64 times", "leave some out"));
        return Vec::new();
    }
    let mut all = Vec::new();
    for element in elements {
        let text = report.string("hours", element, example);
        all.extend(text.and_then(|text| report.checked(element.span(), hours::parse(text))));
    }
    all
}

fn networks(list: &Value<'_>, report: &mut Report<'_>) -> Vec<Network> {
    let example = r#"["192.0.2.0/24"]"#;
    let elements = report.list("networks", list, example).unwrap_or_default();
    if elements.is_empty() && list.get_ref().is_array() {
        let help = "write the addresses it may open for, or remove the line";
        report.fault(list.span(), Wrong::new("`networks` names no network", help));
    }
    let mut all = Vec::new();
    for element in elements {
        let text = report.string("networks", element, example);
        all.extend(text.and_then(|text| report.checked(element.span(), values::network(text))));
    }
    all
}

/// Numbers of sheets of codes, each once, in ascending order. An empty list is one from which the last was taken away.
fn sheets(list: &Value<'_>, report: &mut Report<'_>) -> Vec<u16> {
    let mut sheets = BTreeSet::new();
    for element in report.list("revoked-sheets", list, "[17, 2040]").unwrap_or_default() {
        let Some(number) = element.get_ref().as_integer() else {
            report.mistyped("revoked-sheets", element, "an integer", "[17, 2040]");
            continue;
        };
        let number = u16::from_str_radix(number.as_str(), number.radix()).ok();
        let help = "write the number that stands on the sheet";
        let wrong = || Wrong::new(format!("the number of a sheet is 0 to {LAST_SHEET}"), help);
        sheets.extend(report.checked(element.span(), number.filter(|n| *n <= LAST_SHEET).ok_or_else(wrong)));
    }
    sheets.into_iter().collect()
}
