//! Ports that were hit: what they spell, and if nothing, why.

use std::collections::BTreeSet;
use std::fmt::Write;

use klopf_spa::Name;
use klopf_spa::encoded::{Claim, Mark, Queue, Template, shown};

use super::lore::{KnownDoor, KnownKey, Lore, Reading};
use super::sequence::{asked, heading, made, sequence};
use super::terms::against;
use crate::times::span;

/// For how long a mark is told apart from others, in seconds: so far its time is looked for.
const ROUND: u64 = 8192;
/// How many of those before now are tried: those of a year; and after it: those of a day.
const BEFORE: u64 = 3850;
const AFTER: u64 = 11;

/// All that is to be told of ports in their order, and whether they spell a knock.
pub(super) fn told(lore: &Lore, wanted: Option<&Name>, ports: &[u16], now: u64) -> (String, bool) {
    let mut out = String::new();
    let doors: Vec<(&KnownDoor, Template)> =
        lore.doors.iter().filter_map(|door| Some((door, door.template?))).collect();
    let first = doors.iter().filter(|(door, _)| wanted.is_none_or(|wanted| door.name == *wanted));
    let others = doors.iter().filter(|(door, _)| wanted.is_some_and(|wanted| door.name != *wanted));
    for (door, template) in first.clone().chain(others) {
        let Some(found) = found(lore, door, template, ports, now) else { continue };
        if wanted.is_some_and(|wanted| door.name != *wanted) {
            let _ = writeln!(out, "They are for another door: {}.", door.name);
        }
        out += &found;
        return (out, true);
    }
    for (door, template) in first {
        out += &failed(lore, door, template, ports, now);
    }
    if out.is_empty() {
        out.push_str(
            "No door is known that takes encoded sequences; say what it takes: --ports, --proto and --fields\n",
        );
    }
    (out, false)
}

/// The first sequence that the hits make in the eyes of the server.
fn found(lore: &Lore, door: &KnownDoor, template: &Template, ports: &[u16], now: u64) -> Option<String> {
    let mut queue = Queue::default();
    for (index, port) in ports.iter().enumerate() {
        let Some(symbol) = template.span.symbol(*port) else { continue };
        if !queue.push(symbol) {
            continue;
        }
        for symbols in queue.readings(template.length()) {
            let Some((key, own, claim, mark)) = lore.opened(&door.name, template, &symbols, now) else { continue };
            let mut out = sequence((&door.name, template), lore.key(key, own), &symbols, Some((claim, mark)), now);
            let taken = ports.get(..=index).unwrap_or(ports);
            out += &remarks(template, taken, &symbols);
            if index + 1 < ports.len() {
                let _ = writeln!(
                    out,
                    "Hit {} completes it; what comes behind, as a second pass, changes nothing.",
                    index + 1
                );
            }
            out += &summary(lore, door, key, (&claim, mark), now);
            return Some(out);
        }
    }
    None
}

/// What of the hits is none of the sequence, or not where it was sent.
fn remarks(template: &Template, ports: &[u16], symbols: &[u16]) -> String {
    let mut out = String::from("\n");
    let (mut strange, mut seen, mut doubles) = (Vec::new(), BTreeSet::new(), 0);
    let mut arrived = Vec::new();
    for port in ports {
        match template.span.symbol(*port).filter(|symbol| symbols.contains(symbol)) {
            None => strange.push(port.to_string()),
            Some(symbol) if seen.insert(symbol) => arrived.push(symbol),
            Some(_) => doubles += 1,
        }
    }
    if !strange.is_empty() {
        let _ = writeln!(out, "No part of it: {}.", strange.join(" "));
    }
    if doubles > 0 {
        let _ = writeln!(out, "Came more than once: {doubles} of the hits.");
    }
    if arrived != symbols {
        out.push_str("They came in another order than they were sent; above they stand as they were sent.\n");
    }
    out
}

fn summary(lore: &Lore, door: &KnownDoor, key: &KnownKey, (claim, mark): (&Claim, Mark), now: u64) -> String {
    let mut out = format!("It asks for the door {}, by the key {}, {}.\n", door.name, key.name, asked(claim));
    let against = against(lore, door, key, (claim, mark), now);
    let off = mark.time().abs_diff(now);
    if !against.is_empty() {
        let _ = writeln!(out, "Now it opens nothing: {}.", against.join("; "));
    } else if lore.window.is_none() && off > 68 {
        let off = span(off * 1000);
        let _ = writeln!(out, "It is {off} from this clock's time, and servers take what is new; each counts once.");
    } else {
        out.push_str("It counts once.\n");
    }
    out
}

/// Why nothing comes of the hits for this door.
fn failed(lore: &Lore, door: &KnownDoor, template: &Template, ports: &[u16], now: u64) -> String {
    let mut out = format!("For the door {} they spell nothing.\n{}\n", door.name, heading(template));
    let symbols: Vec<u16> = ports.iter().filter_map(|port| template.span.symbol(*port)).collect();
    let strange: Vec<String> =
        ports.iter().filter(|port| template.span.symbol(**port).is_none()).map(ToString::to_string).collect();
    for (index, port) in ports.iter().enumerate() {
        let again =
            ports.iter().take(index).position(|before| before == port).map(|first| format!("  as hit {}", first + 1));
        let what = match template.span.symbol(*port) {
            None => "none of these ports".to_owned(),
            Some(symbol) => {
                let data = usize::try_from(template.span.size().trailing_zeros()).unwrap_or(8) - 1;
                let place = if symbol & 1 == 0 { "even" } else { "odd" };
                format!(
                    "{symbol:>5} = {:0data$b} {}  for an {place} place{}",
                    symbol >> 1,
                    symbol & 1,
                    again.unwrap_or_default()
                )
            }
        };
        let _ = writeln!(out, "  {:>2}  {port:>5}  {what}", index + 1);
    }
    let mut why = |text: String| {
        let _ = writeln!(out, "- {text}");
    };
    if !strange.is_empty() {
        why(format!("Hits that are none of these ports, and do not count: {}.", strange.len()));
    }
    let (even, odd): (BTreeSet<u16>, BTreeSet<u16>) = symbols.iter().partition(|symbol| **symbol & 1 == 0);
    let (evens, odds) = (template.length().div_ceil(2), template.length() / 2);
    for (kind, there, needed) in [("even", even.len(), evens), ("odd", odd.len(), odds)] {
        if there < needed {
            why(format!(
                "There are {there} different hits for {kind} places, and {needed} are needed; missing: {}.",
                needed - there
            ));
        } else if there > needed {
            why(format!(
                "There are {there} different hits for {kind} places, and a knock has {needed}: some are of something else."
            ));
        }
    }
    let kinds = symbols.iter().map(|symbol| symbol & 1).zip([0, 1].into_iter().cycle());
    if let (Some(at), true) = (kinds.clone().position(|(is, should)| is != should), symbols.len() == template.length())
    {
        why(format!(
            "From hit {} on they are not even and odd by turns; that alone does no harm where neighbours were swapped.",
            at + 1
        ));
    }
    let mut queue = Queue::default();
    for symbol in &symbols {
        queue.push(*symbol);
    }
    let readings: Vec<Reading> = queue.readings(template.length()).collect();
    for reading in &readings {
        if let Some((key, mark)) = elsewhen(lore, door, template, reading, now) {
            why(format!(
                "They were made at another time, with the key {key}: {}. Nobody takes them now.",
                made(mark, now)
            ));
            return out;
        }
    }
    if let Some(reading) = readings.first() {
        match lore.of_sequence(template, reading).as_slice() {
            [] => why(
                "The hint is that of no key here: they were made with another key, or a hit of the last ones, which carry the tag, is wrong."
                    .to_owned(),
            ),
            some => {
                let names: Vec<&str> = some.iter().map(|(key, _)| &*key.name).collect();
                why(format!(
                    "The hint is that of the key {}, as it is for one of 64 by chance, but the tag is not right: a hit is wrong or out \
                     of its order, or they were made for another door or other fields.",
                    names.join(", ")
                ));
            }
        }
        if let [key] = lore.keys.as_slice()
            && let Some(own) = &key.own
            && shown(lore.key(key, own), template, reading).is_some()
        {
            out += &sequence((&door.name, template), lore.key(key, own), reading, None, now);
        }
    }
    out
}

/// When a sequence was made that opens at another time: by which key, and its mark.
fn elsewhen<'l>(
    lore: &'l Lore,
    door: &KnownDoor,
    template: &Template,
    symbols: &[u16],
    now: u64,
) -> Option<(&'l Name, Mark)> {
    let before = (1..=BEFORE).filter_map(|rounds| now.checked_sub(rounds * ROUND));
    let after = (1..=AFTER).filter_map(|rounds| now.checked_add(rounds * ROUND));
    before.chain(after).find_map(|then| {
        let (key, _, _, mark) = lore.opened(&door.name, template, symbols, then)?;
        Some((&key.name, mark))
    })
}
