//! `encoded` of a door: what spells a sealed knock in port numbers (`docs/PROTOCOL.md`, section 10).

use std::collections::BTreeSet;
use std::time::Duration;

use klopf_spa::encoded::{Fields, Template, Transport, Whom};
use klopf_wire::Proto;

use super::{fields, ports, proto};
use crate::native::report::{Report, Value, Wrong, in_order};
use crate::native::{Door, PortRange, values};

const KEYS: [&str; 4] = ["ports", "proto", "fields", "within"];
const EXAMPLE: &str = r#"{ ports = "40000-40255", fields = ["addr", "port"] }"#;
const WITHIN: Duration = Duration::from_secs(60);
const LONGEST_WITHIN: Duration = Duration::from_secs(3600);
/// More spans are a fault: each hit is looked up in all of them.
pub(in crate::native) const MOST: usize = 16;
/// Without `fields`.
const FIELDS: Fields = Fields { whom: Whom::V4, port: false, hold: false, flags: false };

/// Which encoded sequences open a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// What they are made of.
    pub template: Template,
    /// The longest pause between two hits, at most 1 h.
    pub within: Duration,
}

impl Encoded {
    /// The ports that are hit.
    #[must_use]
    pub fn ports(&self) -> PortRange {
        let Template { span, transport, .. } = self.template;
        let proto = match transport {
            Transport::Tcp => Proto::Tcp,
            Transport::Udp => Proto::Udp,
        };
        PortRange { proto, first: span.first(), last: span.first().saturating_add(span.size() - 1) }
    }
}

/// The value of `encoded`; nothing if there is a fault in it.
pub(in crate::native) fn read(value: &Value<'_>, report: &mut Report<'_>) -> Option<Encoded> {
    let Some(table) = value.get_ref().as_table() else {
        report.mistyped("encoded", value, "a table", EXAMPLE);
        return None;
    };
    let before = report.faults();
    let (mut span, mut transport, mut said, mut within) = (None, Transport::Tcp, None, WITHIN);
    for (key, value) in in_order(table) {
        match key.get_ref().as_ref() {
            "ports" => {
                let text = report.string("ports", value, r#""40000-40255""#);
                span = text.and_then(|text| report.checked(value.span(), ports(text)));
            }
            "proto" => {
                let text = report.string("proto", value, r#""udp""#);
                let read = text.and_then(|text| report.checked(value.span(), proto(text)));
                transport = read.unwrap_or(Transport::Tcp);
            }
            "fields" => said = read_fields(value, report),
            "within" => {
                let text = report.string("within", value, r#""60s""#);
                let time = text.map(|text| values::duration(text, LONGEST_WITHIN));
                within = time.and_then(|time| report.checked(value.span(), time)).unwrap_or(within);
            }
            _ => report.unknown_key(key, "`encoded`", &KEYS),
        }
    }
    if span.is_none() && report.faults() == before {
        let help = format!("add the ports that are hit: `encoded = {EXAMPLE}`");
        report.missing(value.span(), Wrong::new("`encoded` needs `ports`", help));
    }
    let fields = said.unwrap_or(FIELDS);
    let template = Template { span: span?, transport, fields };
    (report.faults() == before).then_some(Encoded { template, within })
}

/// The place of the first door whose span is one too many.
pub(in crate::native) fn beyond(doors: &[Door]) -> Option<usize> {
    let mut spans = BTreeSet::new();
    doors.iter().position(|door| {
        let template = door.encoded.map(|encoded| encoded.template);
        spans.extend(template.map(|template| (template.span, template.transport)));
        spans.len() > MOST
    })
}

/// Nothing if there is a fault in them.
fn read_fields(list: &Value<'_>, report: &mut Report<'_>) -> Option<Fields> {
    let example = r#"["addr", "port"]"#;
    let elements = report.list("fields", list, example)?;
    let words: Vec<_> = elements.iter().map(|element| report.string("fields", element, example)).collect();
    report.checked(list.span(), fields(words.into_iter().collect::<Option<Vec<_>>>()?))
}
