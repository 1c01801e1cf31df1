//! The sections `[door.NAME]`.

use std::ops::Range;
use std::time::Duration;

use klopf_spa::Name;
use klopf_wire::Port;
use toml::de::DeTable;

use super::report::{Entry, Key, Report, Value, Wrong, in_order};
use super::{
    Closed, Door, IfKlopfdDies, MayAsk, PortRange, Way, actions, encoded, guard, may_ask, tokens, values, ways,
};
use crate::scan;
use crate::suggest::nearest;

pub(super) const KEYS: [&str; 24] = [
    "sequence",
    "encoded",
    "within",
    "guard",
    "open-for",
    "closed",
    "if-klopfd-dies",
    "extend-while-connected",
    "close-on-disconnect",
    "max-leases",
    "allow-prefix",
    "allow-prefix6",
    "forward",
    "always-allow",
    "start",
    "on-open",
    "on-close",
    "may-ask",
    "keys",
    "second-factor",
    "via",
    "guestbooks",
    "quorum",
    "valid-for",
];

const WITHIN: Duration = Duration::from_secs(5);
const SHARE_WITHIN: Duration = Duration::from_secs(3600);
const VALID_FOR: Duration = Duration::from_secs(86400);
const LONGEST_WITHIN: Duration = Duration::from_secs(3600);
pub(super) const LONGEST_OPEN: Duration = Duration::from_secs(30 * 86400);
const MOST_PORTS: usize = 32;

/// Where in the file a door and its keys are written.
#[derive(Default)]
pub(super) struct Place {
    pub(super) name: Range<usize>,
    pub(super) sequence: Option<Range<usize>>,
    pub(super) encoded: Option<Range<usize>>,
    pub(super) guard: Option<Range<usize>>,
    pub(super) via: Option<Range<usize>>,
    pub(super) second_factor: Option<Range<usize>>,
    pub(super) guestbooks: Option<Range<usize>>,
    pub(super) quorum: Option<Range<usize>>,
    pub(super) valid_for: Option<Range<usize>>,
    /// The names that `guestbooks` has.
    pub(super) books: Vec<(Name, Range<usize>)>,
    /// The names that `keys` has, without `"*"`.
    pub(super) keys: Vec<(Name, Range<usize>)>,
    /// Arguments with `{key}`.
    pub(super) key_words: Vec<Range<usize>>,
    /// Other placeholders, and the arguments that have them.
    pub(super) words: Vec<(&'static str, Range<usize>)>,
    /// When opening commands are run that wait.
    pub(super) late: Vec<(Range<usize>, Duration)>,
    /// Ports that may be asked for.
    pub(super) askable: Vec<(PortRange, Range<usize>)>,
    /// Whether there is a fault in what says who may open it.
    pub(super) unsure: bool,
}

/// The doors in file order, and their places.
pub(super) fn read_all(table: &DeTable<'_>, report: &mut Report<'_>) -> (Vec<Door>, Vec<Place>) {
    let mut doors = Vec::new();
    let mut places = Vec::<Place>::new();
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
        let place = places.get(index).and_then(|place| place.sequence.clone()).unwrap_or_default();
        report.warn(place, Wrong::new(text, "fine if that is meant; else change one of the sequences"));
    }
    if let Some(index) = encoded::beyond(&doors) {
        let text = format!("encoded sequences have more than {} different ranges of ports", encoded::MOST);
        let place = places.get(index).and_then(|place| place.encoded.clone()).unwrap_or_default();
        report.fault(place, Wrong::new(text, "let doors share them: a sequence says for which door it is"));
    }
    for (index, wrong) in guard::conflicts(&doors) {
        report.missing(places.get(index).and_then(|place| place.guard.clone()).unwrap_or_default(), wrong);
    }
    (doors, places)
}

/// The door and its place. A sequence with faults or without effect is empty, and so is a guard of which not everything is known.
fn read(name: &Key<'_>, table: &DeTable<'_>, report: &mut Report<'_>) -> (Door, Place) {
    let mut door = unwritten(name.get_ref().to_string());
    let mut place = Place { name: name.span(), ..Place::default() };
    let mut terms_known = true;
    let entries = in_order(table);
    for (key, value) in &entries {
        match key.get_ref().as_ref() {
            "sequence" => {
                place.sequence = Some(value.span());
                door.sequence = sequence(&door.name, value, report).unwrap_or_default();
            }
            "encoded" => {
                place.encoded = Some(value.span());
                door.encoded = encoded::read(value, report);
                place.unsure |= door.encoded.is_none();
            }
            "within" => {
                let within = duration("within", value, LONGEST_WITHIN, report);
                door.within = within.unwrap_or(WITHIN);
                door.share_within = within.unwrap_or(SHARE_WITHIN);
            }
            "open-for" => door.open_for = duration("open-for", value, LONGEST_OPEN, report),
            word @ "on-open" => door.on_open = actions::read(word, value, &mut place, report),
            word @ "on-close" => door.on_close = actions::read(word, value, &mut place, report),
            "may-ask" => door.may_ask = may_ask::read(value, &mut place, report),
            "always-allow" => {
                for value in report.list("always-allow", value, r#"["192.0.2.0/24"]"#).unwrap_or_default() {
                    let text = report.string("always-allow", value, r#"["192.0.2.0/24"]"#);
                    let network = text.and_then(|text| report.checked(value.span(), values::network(text)));
                    door.always_allow.extend(network);
                }
            }
            "guard" => {
                place.guard = Some(value.span());
                door.guard = guard::ports(value, report).unwrap_or_default();
            }
            name if guard::NEED_GUARD.contains(&name) => {
                let known = guard::read(name, value, &mut door, report).is_some();
                terms_known &= known || !guard::TERMS.contains(&name);
            }
            name if ways::KEYS.contains(&name) => {
                place.unsure |= ways::read(name, value, &mut door, &mut place, report).is_none();
            }
            name if tokens::KEYS.contains(&name) => {
                place.unsure |= tokens::read(name, value, &mut door, &mut place, report).is_none();
            }
            other => {
                match nearest(other, &KEYS) {
                    Some("sequence") => place.sequence = Some(key.span()),
                    Some("guard") => place.guard = Some(key.span()),
                    Some(meant) => terms_known &= !guard::TERMS.contains(&meant),
                    None => {}
                }
                place.unsure = true;
                report.unknown_key(key, &format!("door `{}`", door.name), &KEYS);
            }
        }
    }
    if !place.unsure {
        place.unsure = tokens::check_quorum(&door, &place, report).is_none();
    }
    match place.guard {
        Some(_) => guard::check_forward(&entries, &door, report),
        None => without_guard(name, &entries, report),
    }
    actions::check(&door, &place, report);
    may_ask::check(&door, &place, report);
    if !terms_known {
        door.guard.clear();
    }
    if !door.takes(Way::Sequence) && !door.takes(Way::Log) {
        door.sequence.clear();
    }
    (door, place)
}

/// A door of which nothing but the name is written.
fn unwritten(name: String) -> Door {
    Door {
        name,
        sequence: Vec::new(),
        encoded: None,
        keys: None,
        second_factor: false,
        via: None,
        within: WITHIN,
        share_within: SHARE_WITHIN,
        valid_for: VALID_FOR,
        guestbooks: None,
        quorum: 1,
        on_open: Vec::new(),
        on_close: Vec::new(),
        may_ask: MayAsk::default(),
        open_for: None,
        always_allow: Vec::new(),
        guard: Vec::new(),
        closed: Closed::Drop,
        if_klopfd_dies: IfKlopfdDies::StayClosed,
        extend_while_connected: false,
        close_on_disconnect: false,
        max_leases: None,
        allow_prefix: 32,
        allow_prefix6: 128,
        forward: None,
        start: None,
    }
}

/// Looks for what needs a guard, and for commands, without which nothing is left.
fn without_guard(name: &Key<'_>, entries: &[Entry<'_, '_>], report: &mut Report<'_>) {
    for (key, _) in entries.iter().filter(|(key, _)| guard::NEED_GUARD.contains(&key.get_ref().as_ref())) {
        let text = format!("`{}` needs `guard`", key.get_ref());
        let help = r#"add the ports to close, e.g. `guard = ["tcp/22"]`, or remove it"#;
        report.missing(key.span(), Wrong::new(text, help));
    }
    if !entries.iter().any(|(key, _)| matches!(key.get_ref().as_ref(), "on-open" | "on-close")) {
        let text = format!("nothing happens when door `{}` opens", name.get_ref());
        let help = r#"add `guard = ["tcp/22"]`, or a command: `on-open = ["/etc/init.d/ssh", "start"]`"#;
        report.warn(name.span(), Wrong::new(text, help));
    }
}

fn check_name(key: &Key<'_>, report: &mut Report<'_>) {
    let name = key.get_ref();
    if Name::new(name).is_none() {
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
