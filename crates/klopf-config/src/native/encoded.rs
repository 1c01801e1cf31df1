//! `encoded` of a door: what spells a sealed knock in port numbers (`docs/PROTOCOL.md`, section 10).

use std::collections::BTreeSet;
use std::time::Duration;

use klopf_spa::encoded::{Fields, Span, Template, Transport, Whom};
use klopf_wire::Proto;

use super::report::{Report, Value, Wrong, in_order};
use super::{Door, PortRange, values};
use crate::suggest::{listed, nearest};

const KEYS: [&str; 4] = ["ports", "proto", "fields", "within"];
const EXAMPLE: &str = r#"{ ports = "40000-40255", fields = ["addr", "port"] }"#;
const WITHIN: Duration = Duration::from_secs(60);
const LONGEST_WITHIN: Duration = Duration::from_secs(3600);
/// More spans are a fault: each hit is looked up in all of them.
pub(super) const MOST: usize = 16;
const PROTOS: [(&str, Transport); 2] = [("tcp", Transport::Tcp), ("udp", Transport::Udp)];
/// The words of `fields`.
const FIELDS: [&str; 6] = ["addr", "addr6", "net", "port", "for", "flag"];

/// Which encoded sequences open a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// What they are made of.
    pub template: Template,
    /// From the first hit to the last, at most 1 h.
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

/// Reads the ports of a span, such as `40000-40255`.
///
/// # Errors
/// Says what is wrong and what to do.
pub fn ports(text: &str) -> Result<Span, String> {
    read_ports(text).map_err(told)
}

/// Reads `tcp` or `udp`.
///
/// # Errors
/// Says what to write.
pub fn proto(text: &str) -> Result<Transport, String> {
    let found = PROTOS.iter().find(|(word, _)| *word == text).map(|(_, transport)| *transport);
    found.ok_or_else(|| format!("`{text}` is no protocol that ports are hit by: write `tcp` or `udp`"))
}

/// Reads what a sequence says: some of the words `addr`, `addr6`, `net`, `port`, `for` and `flag`.
///
/// # Errors
/// Says what is wrong and what to do.
pub fn fields<'t>(words: impl IntoIterator<Item = &'t str>) -> Result<Fields, String> {
    let mut fields = NOTHING;
    let added = words.into_iter().try_for_each(|word| add(&mut fields, word));
    added.and_then(|()| whole(fields)).map_err(told)
}

/// The words of some fields, in the order in which they are sent.
#[must_use]
pub fn words(fields: Fields) -> Vec<&'static str> {
    let whom: &[&str] = match fields.whom {
        Whom::Observed => &[],
        Whom::V4 => &["addr"],
        Whom::V4Net => &["addr", "net"],
        Whom::V6 => &["addr6"],
        Whom::V6Net => &["addr6", "net"],
    };
    let others = [(fields.port, "port"), (fields.hold, "for"), (fields.flags, "flag")];
    whom.iter().copied().chain(others.into_iter().filter(|(there, _)| *there).map(|(_, word)| word)).collect()
}

/// A template as the value of `encoded`.
#[must_use]
pub fn text(template: &Template) -> String {
    let Template { span, transport, fields } = *template;
    let last = span.first().saturating_add(span.size() - 1);
    let proto = PROTOS.iter().find(|(_, other)| *other == transport).map_or("", |(word, _)| word);
    let words: Vec<String> = words(fields).iter().map(|word| format!("\"{word}\"")).collect();
    format!("{{ ports = \"{}-{last}\", proto = \"{proto}\", fields = [{}] }}", span.first(), words.join(", "))
}

/// The value of `encoded`; nothing if there is a fault in it.
pub(super) fn read(value: &Value<'_>, report: &mut Report<'_>) -> Option<Encoded> {
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
                span = text.and_then(|text| report.checked(value.span(), read_ports(text)));
            }
            "proto" => {
                transport = report.choice("proto", value, PROTOS).unwrap_or(Transport::Tcp);
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
    let fields = said.unwrap_or(Fields { whom: Whom::V4, ..NOTHING.fields });
    let template = Template { span: span?, transport, fields };
    (report.faults() == before).then_some(Encoded { template, within })
}

/// The place of the first door whose span is one too many.
pub(super) fn beyond(doors: &[Door]) -> Option<usize> {
    let mut spans = BTreeSet::new();
    doors.iter().position(|door| {
        let template = door.encoded.map(|encoded| encoded.template);
        spans.extend(template.map(|template| (template.span, template.transport)));
        spans.len() > MOST
    })
}

fn read_ports(text: &str) -> Result<Span, Wrong> {
    let (first, last) = text.split_once('-').unwrap_or((text, ""));
    let number = |text: &str| text.parse::<u16>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let (Some(first), Some(last)) = (number(first), number(last)) else {
        return Err(Wrong::new(
            format!("`{text}` are no ports"),
            "write the first and the last of them: `40000-40255`",
        ));
    };
    Span::new(first, last).ok_or_else(|| {
        let help = match first.checked_add(255).filter(|_| first > 0) {
            Some(last) => format!("take a power of two from 256 to 32768 of them: `{first}-{last}`"),
            None => "take a power of two from 256 to 32768 of them: `40000-40255`".to_owned(),
        };
        Wrong::new(format!("`{text}` are no ports that can spell something"), help)
    })
}

/// Fields that are being read: a network may be named before its address.
#[derive(Clone, Copy)]
struct Said {
    fields: Fields,
    net: bool,
}

const NOTHING: Said =
    Said { fields: Fields { whom: Whom::Observed, port: false, hold: false, flags: false }, net: false };

fn read_fields(list: &Value<'_>, report: &mut Report<'_>) -> Option<Fields> {
    let example = r#"["addr", "port"]"#;
    let mut said = NOTHING;
    for element in report.list("fields", list, example)? {
        let Some(word) = report.string("fields", element, example) else { continue };
        let added = add(&mut said, word);
        report.checked(element.span(), added);
    }
    report.checked(list.span(), whole(said))
}

fn add(said: &mut Said, word: &str) -> Result<(), Wrong> {
    let twice = || Err(Wrong::new(format!("`{word}` is there already"), "leave it out here"));
    let once = |place: &mut bool| if std::mem::replace(place, true) { twice() } else { Ok(()) };
    let Said { fields, net } = said;
    match word {
        "addr" | "addr6" if fields.whom != Whom::Observed => {
            let help = "take one of `addr` (IPv4) and `addr6` (IPv6); a second door may have the other";
            Err(Wrong::new("a sequence has one address", help))
        }
        "addr" => {
            fields.whom = Whom::V4;
            Ok(())
        }
        "addr6" => {
            fields.whom = Whom::V6;
            Ok(())
        }
        "net" => once(net),
        "port" => once(&mut fields.port),
        "for" => once(&mut fields.hold),
        "flag" => once(&mut fields.flags),
        other => {
            let help = match nearest(other, &FIELDS) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("the fields are {}", listed(&FIELDS)),
            };
            Err(Wrong::new(format!("`{other}` is no field"), help))
        }
    }
}

fn whole(said: Said) -> Result<Fields, Wrong> {
    let whom = match (said.fields.whom, said.net) {
        (Whom::Observed, true) => {
            return Err(Wrong::new("`net` needs an address", "add `addr` or `addr6`, or leave it out"));
        }
        (Whom::V4, true) => Whom::V4Net,
        (Whom::V6, true) => Whom::V6Net,
        (whom, _) => whom,
    };
    Ok(Fields { whom, ..said.fields })
}

fn told(Wrong { text, help }: Wrong) -> String {
    format!("{text}: {help}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_from_their_words() {
        for all in [vec![], vec!["addr"], vec!["addr", "net", "port"], vec!["addr6", "net", "port", "for", "flag"]] {
            assert_eq!(fields(all.iter().copied()).map(words), Ok(all));
        }
        assert_eq!(fields(["net", "addr"]).map(|fields| fields.whom), Ok(Whom::V4Net));
    }

    #[test]
    fn ports_are_hit_by_tcp_or_udp() {
        assert_eq!((proto("tcp"), proto("udp")), (Ok(Transport::Tcp), Ok(Transport::Udp)));
        assert!(proto("TCP").is_err_and(|told| told.contains("write `tcp` or `udp`")));
    }

    #[test]
    fn what_is_wrong_is_told_with_what_to_do() {
        for (text, told) in [
            (
                "40000-40100",
                "`40000-40100` are no ports that can spell something: take a power of two from 256 to 32768 of them: `40000-40255`",
            ),
            ("65500-65600", "`65500-65600` are no ports: write the first and the last of them: `40000-40255`"),
            (
                "0-255",
                "`0-255` are no ports that can spell something: take a power of two from 256 to 32768 of them: `40000-40255`",
            ),
            ("40000", "`40000` are no ports: write the first and the last of them: `40000-40255`"),
        ] {
            assert_eq!(ports(text), Err(told.to_owned()));
        }
        for (list, told) in [
            (vec!["adr"], "`adr` is no field: did you mean `addr`?"),
            (vec!["net"], "`net` needs an address: add `addr` or `addr6`, or leave it out"),
            (vec!["port", "port"], "`port` is there already: leave it out here"),
            (
                vec!["addr", "addr6"],
                "a sequence has one address: take one of `addr` (IPv4) and `addr6` (IPv6); a second door may have the other",
            ),
        ] {
            assert_eq!(fields(list), Err(told.to_owned()));
        }
    }
}
