//! Doors and keys together: names that lead nowhere, keys that are written twice, doors that nothing can open.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::doors::Place;
use super::keys::Written;
use super::report::{Report, Wrong};
use super::{Config, Door, Key, MOST_KEYS, Way};
use crate::suggest::nearest;

/// More names are not compared with one that is not known.
const MOST_COMPARED: usize = 1000;

/// Checks everything of which more than one section or file is to be known. The first report is that of `klopf.toml`.
pub(super) fn check(doors: &[Door], places: &[Place], keys: &[Written], reports: &mut [Report<'_>]) {
    twice(keys, reports);
    // What is not TOML may well have what seems to be missing.
    if reports.iter().any(Report::is_broken) {
        return;
    }
    let unknown = unknown_keys(places, keys, reports);
    unknown_doors(doors, keys, reports);
    let sound: Option<Vec<&Key>> = keys.iter().map(|written| written.key.as_ref()).collect();
    let (Some(sound), [main, ..]) = (sound, &mut *reports) else { return };
    for (index, (door, place)) in doors.iter().zip(places).enumerate() {
        if !place.unsure && !unknown.contains(&index) && !main.is_full() {
            let opened_by_key = sound.iter().any(|key| Config::may_open(key, door));
            ways(door, place, opened_by_key, main);
        }
    }
    without_code(doors, keys, reports);
}

/// Names, and public keys, that more than one key has.
fn twice(keys: &[Written], reports: &mut [Report<'_>]) {
    if let Some(first) = keys.get(MOST_KEYS) {
        let wrong = Wrong::new("there are more than 100,000 keys", "remove those that nobody uses");
        at(first, reports, |report| report.fault(first.at.clone(), wrong));
    }
    let mut names = BTreeMap::new();
    let mut publics = BTreeMap::new();
    for written in keys {
        let name = written.name.as_str();
        if let Some(other) = names.insert(name, written) {
            // That of klopf.toml comes first, and has a line that names it.
            let file = reports.get(written.file).map(Report::file).unwrap_or_default();
            let wrong = Wrong::new(format!("key `{name}` is in {file}, too"), "remove one of the two");
            at(other, reports, |report| report.fault(other.at.clone(), wrong));
        }
        let Some((public, place)) = &written.public else { continue };
        if let Some(other) = publics.insert(*public.bytes(), name).filter(|other| *other != name) {
            let text = format!("keys `{other}` and `{name}` are one and the same");
            let wrong = Wrong::new(text, "let each have a `public` of its own, or remove one of the two");
            at(written, reports, |report| report.fault(place.clone(), wrong));
        }
    }
}

/// Tells of names in `keys` of doors that no key has; the doors in which there are such.
fn unknown_keys(places: &[Place], keys: &[Written], reports: &mut [Report<'_>]) -> BTreeSet<usize> {
    let known: BTreeSet<&str> = keys.iter().map(|written| written.name.as_str()).collect();
    let mut doors = BTreeSet::new();
    let Some(main) = reports.first_mut() else { return doors };
    for (index, place) in places.iter().enumerate() {
        for (name, span) in &place.keys {
            if known.contains(&**name) {
                continue;
            }
            doors.insert(index);
            let help = meant(name, &known)
                .unwrap_or_else(|| format!("add `[key.{name}]`, or a file keys.d/{name}.toml, or leave it out"));
            main.fault(span.clone(), Wrong::new(format!("there is no key `{name}`"), help));
        }
    }
    doors
}

fn unknown_doors(doors: &[Door], keys: &[Written], reports: &mut [Report<'_>]) {
    let known: BTreeSet<&str> = doors.iter().map(|door| door.name.as_str()).collect();
    for written in keys {
        for (name, span) in written.doors.iter().filter(|(name, _)| !known.contains(&**name)) {
            let help = meant(name, &known).unwrap_or_else(|| format!("add `[door.{name}]`, or leave it out"));
            let wrong = Wrong::new(format!("there is no door `{name}`"), help);
            at(written, reports, |report| report.fault(span.clone(), wrong));
        }
    }
}

/// Warns of a door that nothing opens, and of ways that lead nowhere or round its second factor.
fn ways(door: &Door, place: &Place, opened_by_key: bool, report: &mut Report<'_>) {
    let name = &door.name;
    let by_packet = opened_by_key && door.takes(Way::Packet);
    let by_sequence = place.sequence.is_some() && door.takes(Way::Sequence);
    let mut warn = |span: &Range<usize>, text: String, help: &str| report.warn(span.clone(), Wrong::new(text, help));
    if !by_packet {
        for span in &place.key_words {
            let text = "a sequence has nothing to put in place of `{key}`".to_owned();
            warn(span, text, "use `{ip}` or `{door}`, or leave it out");
        }
    }
    if !by_packet && !by_sequence {
        let help = "fine if that is meant; else give it a `sequence`, or `keys`, and let `via` have that way";
        return warn(&place.name, format!("only `klopf grant` can open door `{name}`"), help);
    }
    if let Some(sequence) = place.sequence.as_ref().filter(|_| !by_sequence) {
        let help = "add `sequence` to `via`, or remove the sequence";
        warn(sequence, format!("the sequence of door `{name}` opens nothing: `via` leaves it out"), help);
    }
    if opened_by_key && !by_packet {
        let span = place.keys.first().map_or(&place.name, |(_, span)| span);
        let help = "add `packet` to `via`, or take the door from the keys";
        warn(span, format!("no key opens door `{name}`: its `via` leaves out `packet`"), help);
    }
    if let Some(via) = &place.via {
        if door.takes(Way::Packet) && !by_packet {
            let help = "name keys in its `keys`, or leave out `packet`";
            warn(via, format!("no key may open door `{name}`, so it does not open via `packet`"), help);
        }
        if door.takes(Way::Sequence) && !by_sequence {
            warn(via, format!("door `{name}` has no sequence"), "add a `sequence`, or leave it out of `via`");
        }
    }
    if let Some(second_factor) = &place.second_factor {
        if by_sequence {
            let help = "add `via = [\"packet\"]`, or remove the sequence";
            warn(second_factor, format!("the sequence of door `{name}` opens it without a second factor"), help);
        }
        if !by_packet {
            let help = "name keys in its `keys`, or remove the line";
            warn(second_factor, format!("no key opens door `{name}`, so it asks for no second factor"), help);
        }
    }
}

/// Warns of keys without `totp` that may open doors which ask for it.
fn without_code(doors: &[Door], keys: &[Written], reports: &mut [Report<'_>]) {
    let doors: Vec<_> = doors.iter().filter(|door| door.second_factor && door.takes(Way::Packet)).collect();
    for written in keys {
        let Some(key) = written.key.as_ref().filter(|key| key.totp.is_none()) else { continue };
        let barred: Vec<_> = doors.iter().filter(|door| Config::may_open(key, door)).collect();
        let Some(first) = barred.first() else { continue };
        let text = format!("key `{}` can never open door `{}`, which asks for a code", key.name, first.name);
        let wrong = Wrong::new(text, "give the key a `totp`, or take the door from it");
        at(written, reports, |report| report.warn(written.at.clone(), wrong));
    }
}

/// Calls with the report of the key's file.
fn at(written: &Written, reports: &mut [Report<'_>], call: impl FnOnce(&mut Report<'_>)) {
    if let Some(report) = reports.get_mut(written.file) {
        call(report);
    }
}

fn meant(name: &str, known: &BTreeSet<&str>) -> Option<String> {
    let known: Vec<_> = known.iter().take(MOST_COMPARED).copied().collect();
    nearest(name, &known).map(|meant| format!("did you mean `{meant}`?"))
}
