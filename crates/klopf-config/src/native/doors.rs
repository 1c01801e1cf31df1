//! The sections `[door.NAME]`.

use std::ops::Range;
use std::time::Duration;

use klopf_wire::Port;
use toml::de::DeTable;

use super::report::{Key, Report, Value, Wrong, in_order};
use super::{Door, values};
use crate::scan;
use crate::suggest::nearest;

pub(super) const KEYS: [&str; 6] = ["sequence", "within", "on-open", "on-close", "open-for", "always-allow"];

/// Keys that are known but not yet read, why not, and what to do.
pub(super) const LATER: [(&str, &str, &str); 5] = [
    (
        "guard",
        "this version cannot guard ports yet; the door can only run commands",
        "remove `guard`, and open the port with `on-open`",
    ),
    (
        "keys",
        "this version cannot open sealed knocks yet; the door opens by its sequence",
        "remove `keys`, and give the door a `sequence`",
    ),
    (
        "closed",
        "this version cannot guard ports yet, so it cannot choose how a closed one looks",
        "remove `closed`, and drop or reject with the host's own firewall",
    ),
    (
        "if-klopfd-dies",
        "this version cannot guard ports yet, so there is nothing to open when klopfd dies",
        "remove `if-klopfd-dies`",
    ),
    ("via", "this version knows only one way to knock, the sequence", "remove `via`"),
];

const WITHIN: Duration = Duration::from_secs(5);
const LONGEST_WITHIN: Duration = Duration::from_secs(3600);
const LONGEST_OPEN: Duration = Duration::from_secs(30 * 86400);
const MOST_PORTS: usize = 32;
const NAME_CHARS: usize = 64;
const PLACEHOLDERS: [&str; 4] = ["ip", "door", "key", "port"];

/// The doors in file order.
pub(super) fn read_all(table: &DeTable<'_>, report: &mut Report<'_>) -> Vec<Door> {
    let mut doors = Vec::new();
    let mut places = Vec::new();
    for (key, value) in in_order(table) {
        check_name(key, report);
        let Some(table) = value.get_ref().as_table() else {
            let text = format!("door `{}` must be a section", key.get_ref());
            let help = format!("write `[door.{}]`, and its keys below", key.get_ref());
            report.fault(value.span(), Wrong::new(text, help));
            continue;
        };
        let (door, place) = read(key, table, report);
        doors.push(door);
        places.push(place);
    }
    let sequences: Vec<_> = doors.iter().map(|door| ((), door.name.as_str(), door.sequence.as_slice())).collect();
    for (index, text) in scan::shared(&sequences) {
        let place = places.get(index).cloned().unwrap_or_default();
        report.warn(place, Wrong::new(text, "fine if that is meant; else change one of the sequences"));
    }
    doors
}

/// The door and where its sequence is. A sequence with faults is empty.
fn read(name: &Key<'_>, table: &DeTable<'_>, report: &mut Report<'_>) -> (Door, Range<usize>) {
    let mut door = Door {
        name: name.get_ref().to_string(),
        sequence: Vec::new(),
        within: WITHIN,
        on_open: None,
        on_close: None,
        open_for: None,
        always_allow: Vec::new(),
    };
    let mut sequence_at = None;
    for (key, value) in in_order(table) {
        match key.get_ref().as_ref() {
            "sequence" => {
                sequence_at = Some(value.span());
                door.sequence = sequence(&door.name, value, report).unwrap_or_default();
            }
            "within" => door.within = duration("within", value, LONGEST_WITHIN, report).unwrap_or(WITHIN),
            "open-for" => door.open_for = duration("open-for", value, LONGEST_OPEN, report),
            "on-open" => door.on_open = command("on-open", value, report),
            "on-close" => door.on_close = command("on-close", value, report),
            "always-allow" => {
                for value in report.list("always-allow", value, r#"["192.0.2.0/24"]"#).unwrap_or_default() {
                    let text = report.string("always-allow", value, r#"["192.0.2.0/24"]"#);
                    let network = text.and_then(|text| report.checked(value.span(), values::network(text)));
                    door.always_allow.extend(network);
                }
            }
            other => match LATER.iter().find(|(later, ..)| *later == other) {
                Some((_, text, help)) => report.fault(key.span(), Wrong::new(*text, *help)),
                None => {
                    if nearest(other, &KEYS) == Some("sequence") {
                        sequence_at = Some(key.span());
                    }
                    report.unknown_key(key, &format!("door `{}`", door.name), &KEYS);
                }
            },
        }
    }
    if sequence_at.is_none() {
        let help = r#"add a line such as `sequence = ["42000", "1337", "23000/udp"]`"#;
        report.missing(name.span(), Wrong::new(format!("door `{}` has no sequence", door.name), help));
    }
    if !in_order(table).iter().any(|(key, _)| matches!(key.get_ref().as_ref(), "on-open" | "on-close")) {
        let text = format!("nothing happens when door `{}` opens", door.name);
        report.warn(name.span(), Wrong::new(text, r#"add `on-open`, e.g. `on-open = ["/etc/init.d/ssh", "start"]`"#));
    }
    (door, sequence_at.unwrap_or_default())
}

fn check_name(key: &Key<'_>, report: &mut Report<'_>) {
    let name = key.get_ref();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if !(1..=NAME_CHARS).contains(&name.len()) || !name.chars().all(plain) {
        let text = format!("`{name}` cannot be the name of a door");
        report.fault(key.span(), Wrong::new(text, "take 1 to 64 of the characters A-Z, a-z, 0-9, `_`, `.` and `-`"));
    }
}

/// Nothing if there is a fault in it.
fn sequence(door: &str, list: &Value<'_>, report: &mut Report<'_>) -> Option<Vec<Port>> {
    let elements = report.list("sequence", list, r#"["42000", "1337", "23000/udp"]"#)?;
    if elements.is_empty() {
        report.fault(list.span(), Wrong::new("the sequence is empty", "write the ports to hit, at best three or more"));
        return None;
    }
    if let Some(first) = elements.get(MOST_PORTS) {
        let help = "leave out ports until there are 32 or fewer";
        report.fault(first.span(), Wrong::new("the sequence has more than 32 ports", help));
        return None;
    }
    let ports: Vec<_> = elements
        .iter()
        .map(|element| {
            let port = match element.get_ref().as_integer() {
                Some(n) => values::plain_port(i64::from_str_radix(n.as_str(), n.radix()).ok()),
                None => values::port(report.string("sequence", element, r#"["42000", 1337, "23000/udp"]"#)?),
            };
            report.checked(element.span(), port)
        })
        .collect();
    let ports = ports.into_iter().collect::<Option<Vec<_>>>()?;
    if let Some(why) = scan::weakness(&ports) {
        let text = format!("a port scan could hit the sequence of `{door}`: {why}");
        report.warn(list.span(), Wrong::new(text, scan::HELP));
    }
    Some(ports)
}

fn duration(key: &str, value: &Value<'_>, most: Duration, report: &mut Report<'_>) -> Option<Duration> {
    let text = report.string(key, value, r#""30s""#)?;
    report.checked(value.span(), values::duration(text, most))
}

fn command(key: &str, list: &Value<'_>, report: &mut Report<'_>) -> Option<Vec<String>> {
    let example = r#"["/usr/bin/logger", "open for {ip}"]"#;
    if list.get_ref().as_str().is_some() {
        let text = format!("`{key}` must be a list, for no shell takes it apart");
        report.fault(list.span(), Wrong::new(text, format!("write it like `{key} = {example}`")));
        return None;
    }
    let elements = report.list(key, list, example)?;
    let Some(program) = elements.first() else {
        let wrong = Wrong::new(format!("`{key}` names no program"), format!("write it like `{key} = {example}`"));
        report.fault(list.span(), wrong);
        return None;
    };
    if program.get_ref().as_str().is_some_and(|path| !path.starts_with('/')) {
        let text = "the program must be an absolute path";
        report.fault(program.span(), Wrong::new(text, "begin it with `/`, e.g. `/usr/bin/logger`"));
    }
    let mut arguments = Vec::new();
    for element in elements {
        let Some(text) = report.string(key, element, example) else { continue };
        check_placeholders(text, element, report);
        arguments.push(text.to_owned());
    }
    Some(arguments)
}

/// Warns of `{...}` that is nearly a placeholder, or one that nothing fills in.
fn check_placeholders(text: &str, element: &Value<'_>, report: &mut Report<'_>) {
    for piece in text.split('{').skip(1) {
        let Some((word, _)) = piece.split_once('}') else { continue };
        let meant = PLACEHOLDERS.iter().find(|known| known.eq_ignore_ascii_case(word)).copied();
        match meant.or_else(|| nearest(word, &PLACEHOLDERS)) {
            Some("key" | "port") if meant == Some(word) => {
                let text = format!("a sequence has nothing to put in place of `{{{word}}}`");
                report.warn(element.span(), Wrong::new(text, "use `{ip}` or `{door}`, or leave it out"));
            }
            Some(meant) if meant != word => {
                let text = format!("`{{{word}}}` is left as it is");
                report.warn(element.span(), Wrong::new(text, format!("did you mean `{{{meant}}}`?")));
            }
            Some(_) | None => {}
        }
    }
}
