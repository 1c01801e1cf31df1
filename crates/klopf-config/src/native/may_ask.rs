//! `may-ask` of a door: what a sealed knock may ask for besides whom to let in.

use std::time::Duration;

use klopf_spa::encoded::Whom;

use super::doors::{LONGEST_OPEN, Place};
use super::report::{Report, Value, Wrong, in_order};
use super::{Door, PortRange, values};

const KEYS: [&str; 5] = ["ports", "for", "prefix", "prefix6", "flags"];
const EXAMPLE: &str = r#"{ ports = ["tcp/22"], for = "8h", prefix = 24 }"#;
const MOST_RANGES: usize = 64;
const FLAGS: i64 = 4;

/// What sealed knocks may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MayAsk {
    /// One of these ports, at most 64 ranges; unless written, of those that are guarded.
    pub ports: Option<Vec<PortRange>>,
    /// The longest time, at most 30 d, whatever `open-for` is; unless written, that.
    pub hold: Option<Duration>,
    /// The shortest prefix of a network, 8 to 32; unless written 32, a single address.
    pub prefix: u8,
    /// The same for IPv6, 32 to 128.
    pub prefix6: u8,
    /// Which flags, the first in the lowest bit; unless written all four.
    pub flags: u8,
}

impl Default for MayAsk {
    fn default() -> Self {
        Self { ports: None, hold: None, prefix: 32, prefix6: 128, flags: 0b1111 }
    }
}

impl Door {
    /// The ports that a sealed knock may ask for alone.
    #[must_use]
    pub fn askable(&self) -> &[PortRange] {
        self.may_ask.ports.as_deref().unwrap_or(&self.guard)
    }
}

/// The value of `may-ask`; what has a fault is as if it was not written.
pub(super) fn read(value: &Value<'_>, place: &mut Place, report: &mut Report<'_>) -> MayAsk {
    let mut may_ask = MayAsk::default();
    let Some(table) = value.get_ref().as_table() else {
        report.mistyped("may-ask", value, "a table", EXAMPLE);
        return may_ask;
    };
    for (key, value) in in_order(table) {
        match key.get_ref().as_ref() {
            "ports" => may_ask.ports = ports(value, place, report),
            "for" => {
                let text = report.string("for", value, r#""8h""#).map(|text| values::duration(text, LONGEST_OPEN));
                may_ask.hold = text.and_then(|time| report.checked(value.span(), time));
            }
            word @ "prefix" => may_ask.prefix = report.integer(word, value, (8, 32), "24").unwrap_or(may_ask.prefix),
            word @ "prefix6" => {
                may_ask.prefix6 = report.integer(word, value, (32, 128), "56").unwrap_or(may_ask.prefix6);
            }
            "flags" => {
                let elements = report.list("flags", value, "[0, 1]").unwrap_or_default();
                let flags =
                    elements.into_iter().filter_map(|one| report.integer::<u8>("flags", one, (0, FLAGS - 1), "0"));
                may_ask.flags = flags.fold(0, |mask, flag| mask | 1 << flag);
            }
            _ => report.unknown_key(key, "`may-ask`", &KEYS),
        }
    }
    may_ask
}

fn ports(list: &Value<'_>, place: &mut Place, report: &mut Report<'_>) -> Option<Vec<PortRange>> {
    let example = r#"["tcp/22", "tcp/8000-8010"]"#;
    let elements = report.list("ports", list, example)?;
    if let Some(first) = elements.get(MOST_RANGES) {
        let help = "leave out ports, or write neighbours as a range: `tcp/8000-8010`";
        report.fault(first.span(), Wrong::new("`may-ask` names more than 64 ranges of ports", help));
        return None;
    }
    let mut ports = Vec::new();
    for element in elements {
        let text = report.string("ports", element, example);
        if let Some(range) = text.and_then(|text| report.checked(element.span(), values::port_range(text))) {
            ports.push(range);
            place.askable.push((range, element.span()));
        }
    }
    Some(ports)
}

/// Looks for ports that are not guarded, and for what an encoded sequence says and nobody may ask for.
pub(super) fn check(door: &Door, place: &Place, report: &mut Report<'_>) {
    for (range, span) in place.askable.iter().filter(|_| !door.guard.is_empty()) {
        if !door.guard.iter().any(|guarded| guarded.common(range) == Some(*range)) {
            let text = format!("door `{}` does not guard {range}", door.name);
            let help = "leave it out, or add it to `guard`: a port that is open to all need not be asked for";
            report.fault(span.clone(), Wrong::new(text, help));
            continue;
        }
        // A knock gives a number alone.
        let others = door.guard.iter().filter(|guarded| guarded.proto != range.proto);
        let mut common = others.filter_map(|other| other.common(&PortRange { proto: other.proto, ..*range }));
        let named = |other: &PortRange| door.askable().iter().any(|askable| askable.common(other) == Some(*other));
        if let Some(other) = common.find(|other| !named(other)) {
            let text = format!("a knock that asks for {range} opens {other}, too: it says no protocol");
            report.warn(span.clone(), Wrong::new(text, "make a door of its own for one of them"));
        }
    }
    let Some((encoded, span)) = door.encoded.zip(place.encoded.clone()) else { return };
    let fields = encoded.template.fields;
    let refused = [
        (fields.port && door.askable().is_empty() && place.guard.is_none(), "port", r#"ports = ["tcp/22"]"#),
        (fields.whom == Whom::V4Net && door.may_ask.prefix == 32, "network", "prefix = 24"),
        (fields.whom == Whom::V6Net && door.may_ask.prefix6 == 128, "network", "prefix6 = 56"),
        (fields.flags && door.may_ask.flags == 0, "flag", "flags = [0, 1]"),
    ];
    for (_, what, example) in refused.into_iter().filter(|(refused, ..)| *refused) {
        let text = format!("a sequence of `{}` may name a {what}, and none is granted", door.name);
        report.warn(span.clone(), Wrong::new(text, format!("allow some: `may-ask = {{ {example} }}`")));
    }
}
