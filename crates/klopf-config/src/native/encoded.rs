//! What the hits of an encoded sequence say, and on which ports, in the words of `klopf.toml`, of a profile, and of command lines.

mod door;

use klopf_spa::encoded::{Fields, Span, Template, Transport, Whom};

pub use self::door::Encoded;
pub(super) use self::door::{MOST, beyond, read};
use super::report::Wrong;
use crate::suggest::{listed, nearest};

/// How many ports a span may have.
const SIZES: std::ops::RangeInclusive<u32> = 256..=32_768;
const WORDS: [&str; 6] = ["addr", "addr6", "net", "port", "for", "flag"];
const PROTOS: [(&str, Transport); 2] = [("tcp", Transport::Tcp), ("udp", Transport::Udp)];

/// Reads `40000-40255`: a power of two from 256 to 32,768 of ports.
///
/// # Errors
/// What is wrong, and such a span that begins there.
pub fn ports(text: &str) -> Result<Span, Wrong> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |text: &str| text.parse::<u16>().ok().filter(|number| *number > 0 && digits(text));
    let Some((first, last)) = text.split_once('-') else {
        let help = match number(text) {
            Some(first) => format!("write the first and the last: `{}`", suggested(first, 256)),
            None => "write the first and the last: `40000-40255`".to_owned(),
        };
        return Err(Wrong::new(format!("`{text}` is no span of ports"), help));
    };
    let (Some(first), Some(last)) = (number(first.trim()), number(last.trim())) else {
        let help = "ports are 1 to 65535; write `40000-40255`";
        return Err(Wrong::new(format!("`{text}` is no span of ports"), help));
    };
    if let Some(span) = Span::new(first, last) {
        return Ok(span);
    }
    if first > last {
        let turned = format!("{last}-{first}");
        let help = ports(&turned).map_or_else(|wrong| wrong.help, |_| format!("write `{turned}`"));
        return Err(Wrong::new(format!("`{text}` ends before it begins"), help));
    }
    let count = u32::from(last - first) + 1;
    let up = count.clamp(*SIZES.start(), *SIZES.end()).next_power_of_two();
    let help = match up {
        up if up > count && up > *SIZES.start() => {
            format!("write `{}` or `{}`", suggested(first, up / 2), suggested(first, up))
        }
        up => format!("write `{}`", suggested(first, up)),
    };
    Err(Wrong::new(format!("`{text}` is {count} ports, and not a power of two from 256 to 32,768 of them"), help))
}

/// Reads `tcp` or `udp`.
///
/// # Errors
/// What to write.
pub fn proto(text: &str) -> Result<Transport, Wrong> {
    let found = PROTOS.iter().find(|(word, _)| *word == text);
    let wrong = || Wrong::new(format!("`{text}` is no way to hit ports"), "write `tcp` or `udp`");
    found.map(|(_, transport)| *transport).ok_or_else(wrong)
}

/// Reads `addr`, `port` and the others, in any order; none at all is whom the hits come from, and nothing else.
///
/// # Errors
/// The first that is none, comes twice, or does not go with another, and what to write.
pub fn fields<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Fields, Wrong> {
    let mut seen: Vec<&str> = Vec::new();
    for word in words {
        if !WORDS.contains(&word) {
            let help = match nearest(word, &WORDS) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("the fields are {}", listed(&WORDS)),
            };
            return Err(Wrong::new(format!("`{word}` is no field"), help));
        }
        if seen.contains(&word) {
            return Err(Wrong::new(format!("the field `{word}` is there twice"), "leave out one of them"));
        }
        seen.push(word);
    }
    let has = |word: &str| seen.contains(&word);
    let whom = match (has("addr"), has("addr6"), has("net")) {
        (false, false, false) => Whom::Observed,
        (true, false, false) => Whom::V4,
        (true, false, true) => Whom::V4Net,
        (false, true, false) => Whom::V6,
        (false, true, true) => Whom::V6Net,
        (true, true, _) => {
            let help = "write `addr` for IPv4 or `addr6` for IPv6; a door for both is two doors";
            return Err(Wrong::new("a sequence has room for an address of one kind", help));
        }
        (false, false, true) => {
            let help = "write `\"addr\", \"net\"` for networks of IPv4, or `\"addr6\", \"net\"`";
            return Err(Wrong::new("`net` without an address is no network", help));
        }
    };
    Ok(Fields { whom, port: has("port"), hold: has("for"), flags: has("flag") })
}

/// A span as [`ports`] reads it.
#[must_use]
pub fn ports_text(span: Span) -> String {
    format!("{}-{}", span.first(), span.first().saturating_add(span.size() - 1))
}

/// A transport as [`proto`] reads it.
#[must_use]
pub fn proto_word(transport: Transport) -> &'static str {
    PROTOS.iter().find(|(_, other)| *other == transport).map_or("", |(word, _)| word)
}

/// Fields as [`fields()`] reads them, in the order in which they are sent.
#[must_use]
pub fn field_words(fields: Fields) -> Vec<&'static str> {
    let Fields { whom, port, hold, flags } = fields;
    let has = |word: &str| match word {
        "addr" => matches!(whom, Whom::V4 | Whom::V4Net),
        "addr6" => matches!(whom, Whom::V6 | Whom::V6Net),
        "net" => matches!(whom, Whom::V4Net | Whom::V6Net),
        "port" => port,
        "for" => hold,
        _ => flags,
    };
    WORDS.into_iter().filter(|word| has(word)).collect()
}

/// A template as the value of `encoded`, in a profile or in `klopf.toml`.
#[must_use]
pub fn text(template: &Template) -> String {
    let Template { span, transport, fields } = *template;
    let words: Vec<String> = field_words(fields).iter().map(|word| format!("\"{word}\"")).collect();
    let (ports, proto) = (ports_text(span), proto_word(transport));
    format!("{{ ports = \"{ports}\", proto = \"{proto}\", fields = [{}] }}", words.join(", "))
}

/// So many ports from there on, or those before the end where there are not so many.
fn suggested(first: u16, size: u32) -> String {
    let last = u32::from(first).saturating_add(size - 1).min(u16::MAX.into());
    format!("{}-{last}", last + 1 - size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help<T>(read: Result<T, Wrong>) -> Option<String> {
        read.err().map(|wrong| wrong.help)
    }

    #[test]
    fn a_span_is_a_power_of_two_of_ports() {
        for (text, first, size) in [
            ("40000-40255", 40_000, 256),
            ("1-32768", 1, 32_768),
            ("65280 - 65535", 65_280, 256),
            ("1024-17407", 1024, 16_384),
        ] {
            let span = ports(text).ok().unwrap();
            assert_eq!((span.first(), span.size()), (first, size), "{text}");
            assert_eq!(ports_text(span), text.replace(' ', ""));
        }
    }

    #[test]
    fn whoever_writes_another_span_is_told_one_that_is_good() {
        for (text, what) in [
            ("40000", "write the first and the last: `40000-40255`"),
            ("65500", "write the first and the last: `65280-65535`"),
            ("", "write the first and the last: `40000-40255`"),
            ("a-b", "ports are 1 to 65535; write `40000-40255`"),
            ("0-255", "ports are 1 to 65535; write `40000-40255`"),
            ("+1-256", "ports are 1 to 65535; write `40000-40255`"),
            ("40000-65536", "ports are 1 to 65535; write `40000-40255`"),
            ("40255-40000", "write `40000-40255`"),
            ("40000-40010", "write `40000-40255`"),
            ("40000-40256", "write `40000-40255` or `40000-40511`"),
            ("40000-40999", "write `40000-40511` or `40000-41023`"),
            ("65000-65500", "write `65000-65255` or `65000-65511`"),
            ("1-65535", "write `1-32768`"),
            ("65530-65535", "write `65280-65535`"),
        ] {
            assert_eq!(help(ports(text)).as_deref(), Some(what), "{text}");
            for span in what.split('`').skip(1).step_by(2) {
                assert!(ports(span).is_ok(), "{span} was suggested");
            }
        }
    }

    #[test]
    fn fields_are_read_in_any_order_and_written_in_one() {
        for (words, whom, written) in [
            (&[][..], Whom::Observed, &[][..]),
            (&["for", "addr"], Whom::V4, &["addr", "for"]),
            (&["flag", "net", "port", "addr"], Whom::V4Net, &["addr", "net", "port", "flag"]),
            (&["addr6"], Whom::V6, &["addr6"]),
            (&["net", "addr6", "for"], Whom::V6Net, &["addr6", "net", "for"]),
        ] {
            let read = fields(words.iter().copied()).ok().unwrap();
            assert_eq!((read.whom, field_words(read)), (whom, written.to_vec()));
        }
        for (words, what) in [
            (&["addr", "prt"][..], "did you mean `port`?"),
            (&["salt"], "the fields are `addr`, `addr6`, `net`, `port`, `for`, `flag`"),
            (&["port", "port"], "leave out one of them"),
            (&["addr", "addr6"], "write `addr` for IPv4 or `addr6` for IPv6; a door for both is two doors"),
            (&["net", "for"], "write `\"addr\", \"net\"` for networks of IPv4, or `\"addr6\", \"net\"`"),
        ] {
            assert_eq!(help(fields(words.iter().copied())).as_deref(), Some(what), "{words:?}");
        }
    }

    #[test]
    fn ports_are_hit_by_tcp_or_udp() {
        for word in ["tcp", "udp"] {
            assert_eq!(proto(word).ok().map(proto_word), Some(word));
        }
        assert_eq!(help(proto("TCP")).as_deref(), Some("write `tcp` or `udp`"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_and_any_span_suggested_is_one(text in "[0-9]{0,6}-?[0-9]{0,6}") {
            if let Some(help) = help(ports(&text)) {
                for span in help.split('`').skip(1).step_by(2) {
                    assert!(ports(span).is_ok(), "{span} was suggested for {text}");
                }
            }
        }
    }
}
