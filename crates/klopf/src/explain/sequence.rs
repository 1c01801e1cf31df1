//! An encoded sequence, hit by hit and bit by bit.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use klopf_spa::encoded::{Anatomy, Claim, Mark, Template, Transport, anatomy, shown};
use klopf_spa::{KeyId, Own, ServerPublic};

use crate::open::date;
use crate::times::span;

/// A key, as `klopf_spa::encoded` takes it.
pub(crate) type Key<'a> = (&'a ServerPublic, KeyId, &'a Own);

/// What symbols say with a key, for people. `opened` is what comes of them, if they are a knock by this key for this door. No key is in it.
pub(crate) fn sequence(
    (door, template): (&str, &Template),
    key: Key<'_>,
    symbols: &[u16],
    opened: Option<(Claim, Mark)>,
    now: u64,
) -> String {
    let mut out = String::new();
    let (Some(sent), Some(fields)) = (anatomy(template, symbols), shown(key, template, symbols)) else { return out };
    let _ = writeln!(out, "\n{}", heading(template));
    out += &hits(template, symbols, &fields, &sent);
    let _ = writeln!(out, "\nSent in them, the fields and the hint hidden by what follows from the tag and the key:");
    for (name, bits) in [("fields", &sent.hidden), ("hint", &sent.hint), ("tag", &sent.tag)] {
        row(&mut out, name, bits, "");
    }
    let title = match opened {
        Some(_) => "What they say:",
        None => "What they would say if they were by this key, which they are not:",
    };
    let _ = writeln!(out, "\n{title}");
    for (name, bits) in &fields {
        row(&mut out, name, bits, &meaning(name, bits, key.1, opened, now));
    }
    let verdict = match opened {
        Some(_) => format!("right: by the key {}, for the door {door}, and nobody has changed a bit", key.1),
        None => format!("wrong for the key {} and the door {door}", key.1),
    };
    row(&mut out, "tag", &sent.tag, &verdict);
    out
}

/// How many hits there are to be, and where.
pub(super) fn heading(template: &Template) -> String {
    let Template { span, transport, .. } = template;
    let proto = match transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    };
    let last = span.first().saturating_add(span.size() - 1);
    let bits = span.size().trailing_zeros();
    format!(
        "{} hits on {proto}/{}-{last}; a port less {} is {} bits of payload and one for the place, even or odd:",
        template.length(),
        span.first(),
        span.first(),
        bits - 1
    )
}

/// A line for each hit.
fn hits(template: &Template, symbols: &[u16], fields: &[(&'static str, String)], sent: &Anatomy) -> String {
    let data = usize::try_from(template.span.size().trailing_zeros()).unwrap_or(8) - 1;
    let mut ends = Vec::new();
    let mut end = 0;
    let tag = ("tag", sent.tag.len());
    for (name, count) in fields.iter().map(|(name, bits)| (*name, bits.len())).chain([tag]) {
        end += count;
        ends.push((name, end));
    }
    let mut out = String::new();
    for (index, symbol) in symbols.iter().enumerate() {
        let (first, last) = (index * data, (index + 1) * data);
        let mut begin = 0;
        let mut parts = Vec::new();
        for (name, end) in &ends {
            if first < *end && begin < last {
                parts.push(*name);
            }
            begin = *end;
        }
        let port = template.span.port(*symbol).unwrap_or_default();
        let _ = writeln!(
            out,
            "  {:>2}  {port:>5}  {symbol:>5} = {:0data$b} {}  {}",
            index + 1,
            symbol >> 1,
            symbol & 1,
            parts.join(", ")
        );
    }
    out
}

/// A name, its bits over as many lines as they take, and what they mean.
fn row(out: &mut String, name: &str, bits: &str, meaning: &str) {
    const IN_A_LINE: usize = 32;
    let lines: Vec<&str> =
        (0..bits.len()).step_by(IN_A_LINE).filter_map(|at| bits.get(at..bits.len().min(at + IN_A_LINE))).collect();
    for (index, line) in lines.iter().enumerate() {
        let groups: Vec<&str> =
            (0..line.len()).step_by(8).filter_map(|at| line.get(at..line.len().min(at + 8))).collect();
        let (name, last) = (if index == 0 { name } else { "" }, index + 1 == lines.len());
        let meaning = if last { meaning } else { "" };
        let text = format!("  {name:<6}  {:<35}  {meaning}", groups.join(" "));
        let _ = writeln!(out, "{}", text.trim_end());
    }
}

/// What the bits of a field mean.
fn meaning(name: &str, bits: &str, id: KeyId, opened: Option<(Claim, Mark)>, now: u64) -> String {
    let number = u128::from_str_radix(bits, 2).unwrap_or_default();
    let Some((claim, mark)) = opened else {
        let begins = id.0.first().is_some_and(|first| u128::from(first >> 2) == number);
        return match name {
            "hint" if begins => "as the key's id begins".to_owned(),
            "hint" => "not as the key's id begins".to_owned(),
            _ => String::new(),
        };
    };
    match name {
        "addr" if bits.len() == 32 => {
            u32::try_from(number).map(Ipv4Addr::from).unwrap_or(Ipv4Addr::UNSPECIFIED).to_string()
        }
        "addr" => Ipv6Addr::from(number).to_string(),
        "net" => format!("/{}", number + 1),
        "port" if number == 0 => "all that the door guards".to_owned(),
        "port" => number.to_string(),
        "for" => match claim.hold {
            0 => "as long as the door says".to_owned(),
            hold => span(u64::from(hold) * 1000),
        },
        "flag" => match flags(claim.flags) {
            set if set.is_empty() => "none is set".to_owned(),
            set => format!("set: {set}"),
        },
        "time" => made(mark, now),
        "salt" => format!("{number}; the mark is {}, and none counts twice", mark.0),
        "hint" => format!("as the key's id begins: {id}"),
        _ => String::new(),
    }
}

/// `0, 2`.
fn flags(flags: u8) -> String {
    let set: Vec<String> = (0..4).filter(|flag| flags >> flag & 1 == 1).map(|flag: u8| flag.to_string()).collect();
    set.join(", ")
}

/// When a sequence was made.
pub(super) fn made(mark: Mark, now: u64) -> String {
    let time = mark.time();
    let text = |seconds: u64| span(seconds * 1000);
    match now.checked_sub(time) {
        Some(age) => format!("{}, {} ago", date(time), text(age)),
        None => format!("{}, {} from now", date(time), text(time - now)),
    }
}

/// What a sequence asks for, in a line.
pub(super) fn asked(claim: &Claim) -> String {
    let whom = match claim.allow {
        None => "whoever hits".to_owned(),
        Some((address, 32)) if address.is_ipv4() => address.to_string(),
        Some((address, 128)) => address.to_string(),
        Some((address, prefix)) => format!("{address}/{prefix}"),
    };
    let port = claim.port.map_or_else(String::new, |port| format!(", port {port}"));
    let hold = if claim.hold == 0 { String::new() } else { format!(", for {}", span(u64::from(claim.hold) * 1000)) };
    let set = flags(claim.flags);
    let set = if set.is_empty() { set } else { format!(", flags {set}") };
    format!("for {whom}{port}{hold}{set}")
}

#[cfg(test)]
mod tests {
    use klopf_spa::encoded::{Fields, Span, Whom, open, seal};
    use klopf_spa::{Psk, ServerKey, door_hash};

    use super::*;

    #[test]
    fn every_hit_and_every_field_is_told_and_no_key() {
        let server = ServerKey::new([1; 32]).public();
        let psk = Psk::new([3; 32]);
        let (id, own) = (KeyId([7; 8]), Own::psk(&psk));
        let fields = Fields { whom: Whom::V4Net, port: true, hold: true, flags: true };
        let template = Template { span: Span::new(40_000, 40_255).unwrap(), transport: Transport::Tcp, fields };
        let claim = Claim { allow: Some(([192, 0, 2, 0].into(), 24)), port: Some(22), hold: 3600, flags: 0b0101 };
        let now = 1_800_000_040;
        let (symbols, _) = seal((&server, id, &own), "ssh", &template, &claim, Mark::at(now - 40)).unwrap();
        let opened = open((&server, id, &own), door_hash("ssh"), &template, &symbols, now);
        let text = sequence(("ssh", &template), (&server, id, &own), &symbols, opened, now);
        for told in [
            "22 hits on tcp/40000-40255",
            "192.0.2.0",
            "/24",
            "  22\n",
            "1h00m",
            "set: 0, 2",
            "2027-01-15 08:00:00 UTC, 40s ago",
            "right: by the key",
        ] {
            assert!(text.contains(told), "{told}:\n{text}");
        }
        for symbol in &symbols {
            let port = template.span.port(*symbol).unwrap();
            assert!(text.contains(&format!("  {port}  ")), "{text}");
        }
        for secret in [psk.text(), server.text()] {
            assert!(!text.contains(&secret[..8]));
        }
        let wrong = sequence(("ssh", &template), (&server, KeyId([0xff; 8]), &own), &symbols, None, now);
        assert!(wrong.contains("which they are not") && wrong.contains("not as the key's id begins"), "{wrong}");
        assert_eq!(asked(&claim), "for 192.0.2.0/24, port 22, for 1h00m, flags 0, 2");
    }
}
