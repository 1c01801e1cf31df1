//! The values of `knockd.conf`.

use std::net::IpAddr;

use klopf_wire::{FlagMask, Port, Proto, TcpFlags};

use super::Target;
use super::lines::{Part, decoded};

/// The most hits in a sequence.
const MOST_PORTS: usize = 32;

/// Something to be said about a part of a line.
#[derive(Debug)]
pub(super) struct Note<'a> {
    pub(super) at: Part<'a>,
    pub(super) text: String,
    pub(super) help: String,
}

impl<'a> Note<'a> {
    pub(super) fn new(at: Part<'a>, text: impl Into<String>, help: impl Into<String>) -> Self {
        Self { at, text: text.into(), help: help.into() }
    }
}

/// A sequence and what is wrong or odd about it.
#[derive(Debug, Default)]
pub(super) struct Hits<'a> {
    pub(super) ports: Vec<Port>,
    pub(super) faults: Vec<Note<'a>>,
    pub(super) warnings: Vec<Note<'a>>,
}

/// `port[:protocol]`, separated by commas.
pub(super) fn sequence<'a>(door: &str, value: Part<'a>) -> Hits<'a> {
    let mut hits = Hits::default();
    if value.bytes.is_empty() {
        let text = format!("config: section {door}: the knock sequence has no ports");
        hits.faults.push(Note::new(value, text, "write the ports to hit, e.g. `7000,9000:udp,8000`"));
        return hits;
    }
    for (i, element) in value.split(b',').enumerate() {
        if i == MOST_PORTS {
            let text = format!("config: section {door}: too many ports in knock sequence");
            hits.faults.push(Note::new(element, text, "leave out ports until there are 32 or fewer"));
            break;
        }
        let mut fields = element.split(b':');
        let number = fields.next().and_then(|field| port_number(door, field, &mut hits));
        let proto = fields.next().map_or(Some(Proto::Tcp), |field| protocol(door, field, &mut hits));
        if let Some(third) = fields.next() {
            let text = format!("`{}` is ignored", decoded(third.bytes));
            hits.warnings.push(Note::new(third, text, "an element is `port` or `port:protocol`; leave out the rest"));
        }
        hits.ports.extend(number.zip(proto).map(|(number, proto)| Port { proto, number }));
    }
    hits
}

fn port_number<'a>(door: &str, field: Part<'a>, hits: &mut Hits<'a>) -> Option<u16> {
    let trimmed = field.trimmed();
    let shown = decoded(trimmed.bytes);
    let (value, rest) = leading_number(trimmed.bytes);
    let mut fault = |text: String, help: &str| {
        hits.faults.push(Note::new(trimmed, format!("config: section {door}: {text}"), help));
        None
    };
    if trimmed.bytes.is_empty() {
        return fault("an element of the knock sequence is empty".into(), "remove the comma, or write a port");
    }
    let junk = !rest.is_empty();
    match value {
        None => fault(format!("port {shown} is not a number"), "write the port's number"),
        Some(0) if junk => fault(format!("port {shown} is not a number"), "write the port's number in decimal"),
        Some(_) if trimmed.bytes.starts_with(b"-") => {
            fault(format!("port {shown} is negative"), "ports are 0 to 65535")
        }
        Some(value) => match u16::try_from(value) {
            Err(_) => fault(format!("port {} is invalid", decoded(field.bytes)), "ports are 0 to 65535"),
            Ok(number) => {
                if junk {
                    let text = format!("`{shown}` is taken for port {number}");
                    let help = "separate ports by commas; there are no comments behind a value";
                    hits.warnings.push(Note::new(trimmed, text, help));
                } else if number == 0 {
                    let text = "port 0 is reserved, and most programs cannot hit it";
                    hits.warnings.push(Note::new(trimmed, text, "take another port"));
                }
                Some(number)
            }
        },
    }
}

fn protocol<'a>(door: &str, field: Part<'a>, hits: &mut Hits<'a>) -> Option<Proto> {
    let field = field.trimmed();
    let found = [Proto::Tcp, Proto::Udp].into_iter().find(|p| field.bytes.eq_ignore_ascii_case(p.name().as_bytes()));
    if found.is_none() {
        let text = format!("config: section {door}: unknown protocol in knock sequence");
        hits.faults.push(Note::new(field, text, "write `tcp` or `udp`"));
    }
    found
}

/// `fin`, `!ack` and the like: the bit and whether it must be set.
pub(super) fn flag(name: &[u8]) -> Option<(u8, bool)> {
    let (name, set) = name.strip_prefix(b"!").map_or((name, true), |name| (name, false));
    let flag = match name.to_ascii_uppercase().as_slice() {
        b"FIN" => TcpFlags::FIN,
        b"SYN" => TcpFlags::SYN,
        b"RST" => TcpFlags::RST,
        b"PSH" => TcpFlags::PSH,
        b"ACK" => TcpFlags::ACK,
        b"URG" => TcpFlags::URG,
        _ => return None,
    };
    Some((flag.0, set))
}

/// Whether no TCP packet can fit.
pub(super) fn contradicts_itself(mask: FlagMask) -> bool {
    mask.set & mask.clear != 0
}

/// Whole seconds as C's atoi reads them, and whether the value is such a number and nothing else.
pub(super) fn seconds(value: &[u8]) -> (i32, bool) {
    let (number, rest) = leading_number(value);
    let clamped = number.unwrap_or(0).clamp(i64::from(i32::MIN), i64::from(i32::MAX));
    (i32::try_from(clamped).unwrap_or(0), number.is_some_and(|n| n >= 0 && n == clamped) && rest.is_empty())
}

pub(super) fn target(value: &[u8]) -> Target {
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse::<IpAddr>().ok().filter(|address| address.to_string() == text))
        .map_or(Target::Never, Target::Address)
}

/// The number a text begins with, kept within `i64`, and what follows it.
fn leading_number(text: &[u8]) -> (Option<i64>, &[u8]) {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let length = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    let Some((digits, rest)) = digits.split_at_checked(length).filter(|(digits, _)| !digits.is_empty()) else {
        return (None, text);
    };
    let value = digits.iter().fold(0i64, |n, digit| n.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    (Some(if negative { -value } else { value }), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Hits<'_> {
        sequence("d", Part { bytes: text.as_bytes(), at: 0 })
    }

    #[test]
    fn sequences_are_read() {
        for (text, ports, warnings) in [
            ("1", vec![Port::tcp(1)], 0),
            ("1, 2 : UDP ,3:Tcp", vec![Port::tcp(1), Port::udp(2), Port::tcp(3)], 0),
            ("65535,+5,007", vec![Port::tcp(65535), Port::tcp(5), Port::tcp(7)], 0),
            ("0", vec![Port::tcp(0)], 1),
            ("5:udp:junk", vec![Port::udp(5)], 1),
            ("5 # c, 6", vec![Port::tcp(5), Port::tcp(6)], 1),
            ("5x;1.5", vec![Port::tcp(5)], 1),
        ] {
            let hits = read(text);
            assert!(hits.faults.is_empty(), "{text}: {:?}", hits.faults);
            assert_eq!((hits.ports, hits.warnings.len()), (ports, warnings), "{text}");
        }
    }

    #[test]
    fn wrong_sequences_are_refused() {
        for (text, faults) in [
            ("", &["the knock sequence has no ports"][..]),
            ("5,", &["an element of the knock sequence is empty"]),
            (":udp", &["an element of the knock sequence is empty"]),
            ("ssh,5", &["port ssh is not a number"]),
            ("0x10", &["port 0x10 is not a number"]),
            ("-1", &["port -1 is negative"]),
            ("-0", &["port -0 is negative"]),
            ("65536", &["port 65536 is invalid"]),
            ("5, 70000 x", &["port  70000 x is invalid"]),
            ("99999999999999999999999", &["port 99999999999999999999999 is invalid"]),
            ("5:", &["unknown protocol in knock sequence"]),
            ("5:icmp", &["unknown protocol in knock sequence"]),
            (
                "70000:icmp,x",
                &["port 70000 is invalid", "unknown protocol in knock sequence", "port x is not a number"],
            ),
        ] {
            let found: Vec<_> = read(text).faults.into_iter().map(|n| n.text).collect();
            let expected: Vec<_> = faults.iter().map(|f| format!("config: section d: {f}")).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn at_most_32_ports() {
        assert!(read(&["1"; 32].join(",")).faults.is_empty());
        let long = ["1"; 40].join(",");
        let hits = read(&long);
        assert_eq!(hits.faults.len(), 1);
        assert_eq!(hits.faults[0].text, "config: section d: too many ports in knock sequence");
        assert_eq!(hits.faults[0].at.at, 64, "at the first one too many");
    }

    #[test]
    fn seconds_are_read_like_atoi() {
        for (text, value, plain) in [
            ("5", 5, true),
            ("+4", 4, true),
            ("0", 0, true),
            ("", 0, false),
            ("12abc", 12, false),
            ("abc", 0, false),
            ("-3", -3, false),
            ("1.9", 1, false),
            ("++4", 0, false),
            ("99999999999999999999", i32::MAX, false),
            ("-99999999999999999999", i32::MIN, false),
        ] {
            assert_eq!(seconds(text.as_bytes()), (value, plain), "{text}");
        }
    }

    #[test]
    fn flags_are_read() {
        for (text, read) in [
            ("syn", Some((2, true))),
            ("!aCk", Some((16, false))),
            ("URG", Some((32, true))),
            ("", None),
            ("!", None),
            ("!!syn", None),
            (" syn", None),
            ("ece", None),
        ] {
            assert_eq!(flag(text.as_bytes()), read, "{text}");
        }
    }

    #[test]
    fn targets_are_compared_as_text() {
        for (text, read) in [
            ("10.0.0.1", Target::Address([10, 0, 0, 1].into())),
            ("fd00::1", Target::Address("fd00::1".parse().unwrap())),
            ("::ffff:1.2.3.4", Target::Address("::ffff:1.2.3.4".parse().unwrap())),
            ("FD00::1", Target::Never),
            ("fd00:0::1", Target::Never),
            ("10.0.0.01", Target::Never),
            ("localhost", Target::Never),
            ("", Target::Never),
        ] {
            assert_eq!(target(text.as_bytes()), read, "{text}");
        }
    }
}
