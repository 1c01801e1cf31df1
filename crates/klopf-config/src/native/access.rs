//! Doors and keys together: names that lead nowhere, keys that are written twice, doors that nothing can open.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::doors::Place;
use super::keys::Written;
use super::report::{Report, Wrong};
use super::sources::{self, Sources};
use klopf_spa::encoded::Whom;

use super::{Config, Door, Key, MOST_KEYS, Sections, Way, logs, ways};
use crate::suggest::{listed, nearest};

/// More names are not compared with one that is not known.
const MOST_COMPARED: usize = 1000;

/// Checks everything of which more than one section or file is to be known. The first report is that of `klopf.toml`.
pub(super) fn check(doors: &[Door], read: &Sections, reports: &mut [Report<'_>]) {
    let Sections { places, keys, sources } = read;
    twice(keys, reports);
    if let Some(main) = reports.first_mut() {
        sources::check(sources, places, main);
    }
    // What is not TOML may well have what seems to be missing.
    if reports.iter().any(Report::is_broken) {
        return;
    }
    let unknown = unknown_keys(places, keys, reports);
    unknown_doors(doors, keys, reports);
    let sound: Option<Vec<&Key>> = keys.iter().map(|written| written.key.as_ref()).collect();
    let (Some(sound), [main, ..]) = (sound, &mut *reports) else { return };
    // What leads to a door that nothing opens is no fault of its own.
    let (mut in_use, mut by_hits, mut is_sure) = (Vec::new(), Vec::new(), true);
    for (index, (door, place)) in doors.iter().zip(places).enumerate() {
        if place.unsure || unknown.contains(&index) || main.is_full() {
            is_sure = false;
            continue;
        }
        let opened_by_key = sound.iter().any(|key| Config::may_open(key, door));
        let access = Access { door, place, opened_by_key, sources };
        access.check(main);
        by_hits.extend(Some(door).filter(|_| access.by_hits_in_logs()));
        in_use.extend(Some(door).filter(|_| opened_by_key || !access.by_any()));
    }
    if is_sure {
        sources::use_of(sources, &in_use, main);
        logs::use_of(sources, &in_use, &by_hits, main);
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

/// Who and what opens a door.
struct Access<'c> {
    door: &'c Door,
    place: &'c Place,
    opened_by_key: bool,
    sources: &'c Sources,
}

impl Access<'_> {
    /// Whether it opens this way.
    fn by(&self, way: Way) -> bool {
        self.door.takes(way)
            && match way {
                Way::Packet => self.sources.has(way) && self.opened_by_key,
                Way::Sequence => self.sources.has(way) && self.place.sequence.is_some(),
                Way::Encoded => self.sources.has(way) && self.spelled(),
                Way::Log => self.by_hits_in_logs() || self.by_tokens_in_logs(),
                Way::Mail | Way::Guestbook => self.sources.has(way) && self.by_key_without_code(),
            }
    }

    fn by_key_without_code(&self) -> bool {
        self.opened_by_key && !self.door.second_factor
    }

    /// Whether encoded sequences open it, wherever they are seen.
    fn spelled(&self) -> bool {
        self.place.encoded.is_some() && self.by_key_without_code()
    }

    fn by_hits_in_logs(&self) -> bool {
        let by_hits = self.place.sequence.is_some() || self.spelled();
        by_hits && self.door.takes(Way::Log) && self.sources.has_hits_in_logs()
    }

    fn by_tokens_in_logs(&self) -> bool {
        self.by_key_without_code() && self.door.takes(Way::Log) && self.sources.has_tokens_in_logs()
    }

    fn by_sequence(&self) -> bool {
        self.by(Way::Sequence) || self.place.sequence.is_some() && self.by_hits_in_logs()
    }

    fn by_encoded(&self) -> bool {
        self.by(Way::Encoded) || self.spelled() && self.by_hits_in_logs()
    }

    fn by_any(&self) -> bool {
        let hits = [Way::Packet, Way::Sequence, Way::Encoded, Way::Log];
        hits.into_iter().any(|way| self.by(way)) || self.by_token()
    }

    fn by_token(&self) -> bool {
        self.by(Way::Mail) || self.by(Way::Guestbook) || self.by_tokens_in_logs()
    }

    /// Where hits would be seen that are not.
    fn unseen(&self, way: Way) -> (&'static str, &'static str) {
        if self.door.takes(way) && !self.sources.has(way) {
            ("`sources` leaves out `packet`", "add `packet` to `sources`, or a `[log.NAME]` that tells of hits")
        } else if self.door.takes(Way::Log) {
            ("no log tells of hits", "add a `[log.NAME]` with `preset`, `patterns` or `nflog`")
        } else {
            ("`via` leaves it out", "")
        }
    }

    /// Warns of a door that nothing opens, and of ways that lead nowhere or round its terms.
    fn check(&self, report: &mut Report<'_>) {
        let name = &self.door.name;
        if !self.by(Way::Packet) && !self.by_encoded() && !self.by_token() {
            for span in &self.place.key_words {
                let text = "a sequence has nothing to put in place of `{key}`";
                warn(report, span, text, "use `{ip}` or `{door}`, or leave it out");
            }
        }
        if !self.by_any() {
            return self.by_nothing(report);
        }
        if let Some(sequence) = self.place.sequence.as_ref().filter(|_| !self.by_sequence()) {
            let (why, help) = match self.unseen(Way::Sequence) {
                (why, "") => (why, "add `sequence` to `via`, or remove the sequence"),
                unseen => unseen,
            };
            warn(report, sequence, format!("the sequence of door `{name}` opens nothing: {why}"), help);
        }
        self.twice(report);
        if self.opened_by_key && !Way::BY_KEY.iter().any(|way| self.door.takes(*way)) {
            let span = self.place.keys.first().map_or(&self.place.name, |(_, span)| span);
            let help = "add `packet` to `via`, or take the door from the keys";
            warn(report, span, format!("no key opens door `{name}`: its `via` leaves out `packet`"), help);
        }
        self.encoded(report);
        self.empty_ways(report);
        self.round_second_factor(report);
        self.tokens(report);
    }

    fn by_nothing(&self, report: &mut Report<'_>) {
        let name = &self.door.name;
        let takes_tokens =
            [Way::Mail, Way::Guestbook].iter().any(|way| self.door.takes(*way) && self.sources.has(*way))
                || self.door.takes(Way::Log) && self.sources.has_tokens_in_logs();
        if let Some(second_factor) = self.place.second_factor.as_ref().filter(|_| self.opened_by_key && takes_tokens) {
            let text = format!("door `{name}` asks for a code, which no token has: only `klopf grant` can open it");
            return warn(report, second_factor, text, "add `packet` to `via`, or remove the line");
        }
        if self.door.keys.is_some() && !self.opened_by_key {
            let help = format!("make one: klopf invite NAME --door {name}");
            return warn(report, &self.place.name, format!("there is no key yet that opens door `{name}`"), &help);
        }
        let help = if self.sources.has(Way::Packet) {
            "fine if that is meant; else give it a `sequence`, or `keys`, and let `via` have that way"
        } else {
            "fine if that is meant; else add `packet` to `sources`, or a `[log.NAME]` that tells of hits"
        };
        warn(report, &self.place.name, format!("only `klopf grant` can open door `{name}`"), help);
    }

    /// Warns of a sequence that is seen in packets and again in logs. Encoded ones count once.
    fn twice(&self, report: &mut Report<'_>) {
        let seen = self.door.via.is_none() && self.by(Way::Sequence) && self.by_hits_in_logs();
        let Some(sequence) = self.place.sequence.as_ref().filter(|_| seen) else { return };
        let others = [Way::Packet, Way::Encoded, Way::Mail, Way::Guestbook].into_iter().filter(|way| self.by(*way));
        let via: String = others.map(|way| format!("\"{}\", ", ways::word(way))).collect();
        let help = format!("write `via = [{via}\"sequence\"]`, or `\"log\"` in place of `\"sequence\"`");
        let text = format!(
            "the sequence of door `{}` counts twice, for packets and logs both tell of its hits",
            self.door.name
        );
        warn(report, sequence, text, &help);
    }

    /// Warns of an encoded sequence that opens nothing, or leads round the terms of the door.
    fn encoded(&self, report: &mut Report<'_>) {
        let (Some(span), Some(encoded)) = (&self.place.encoded, &self.door.encoded) else { return };
        let name = &self.door.name;
        if self.door.second_factor {
            let help = "remove `encoded`, or `second-factor`";
            return warn(report, span, format!("door `{name}` asks for a code, which no encoded sequence has"), help);
        }
        if !self.opened_by_key {
            let help = format!("make one: klopf invite NAME --door {name}");
            return warn(report, span, format!("there is no key whose encoded sequences open door `{name}`"), &help);
        }
        if !self.by_encoded() {
            let (why, help) = match self.unseen(Way::Encoded) {
                (_, "") => ("`via` leaves them out", "add `encoded` to `via`, or remove the line"),
                unseen => unseen,
            };
            let text = format!("the encoded sequences of door `{name}` open nothing: {why}");
            return warn(report, span, text, help);
        }
        if encoded.template.fields.whom == Whom::Observed && !self.by(Way::Encoded) {
            let text =
                format!("the encoded sequences of door `{name}` do not say for whom, and no log is believed in that");
            warn(report, span, text, "add `addr` or `addr6` to `fields`");
        }
        let ports = encoded.ports();
        if let Some(common) = self.door.guard.iter().find_map(|guarded| guarded.common(&ports)) {
            let text = format!("door `{name}` guards {common}, which its encoded sequences hit");
            warn(report, span, text, "let `encoded` have other ports");
        }
    }

    /// Warns of what `via` names and does not open the door.
    fn empty_ways(&self, report: &mut Report<'_>) {
        let Some(via) = &self.place.via else { return };
        let name = &self.door.name;
        let with_key = [Way::Packet, Way::Encoded, Way::Mail, Way::Guestbook].into_iter();
        let with_key = with_key.filter(|way| self.door.takes(*way));
        let words: Vec<_> = with_key.filter(|_| !self.opened_by_key).map(ways::word).collect();
        if !words.is_empty() {
            let words = listed(&words);
            let help = format!("name keys in its `keys`, or leave out {words}");
            warn(report, via, format!("no key may open door `{name}`, so it does not open via {words}"), &help);
        }
        for way in [Way::Packet, Way::Sequence, Way::Encoded, Way::Log] {
            let word = ways::word(way);
            if !self.door.takes(way) || self.sources.has(way) {
                continue;
            }
            if way == Way::Log && self.sources.watched.log {
                let text = format!("door `{name}` does not open via `log`: there is no `[log.NAME]`");
                warn(report, via, text, "add `[log.NAME]`, or leave out `log`");
            } else {
                let source = if way == Way::Log { "log" } else { "packet" };
                let text = format!("door `{name}` does not open via `{word}`: `sources` leaves out `{source}`");
                warn(report, via, text, &format!("add `{source}` to `sources`, or leave out `{word}`"));
            }
        }
        if self.door.takes(Way::Log) && self.sources.has(Way::Log) && !self.by(Way::Log) {
            let help = "give it a `sequence` and a log `preset` or `patterns`, or keys and a log `tokens = true`";
            warn(report, via, format!("the logs tell of nothing that opens door `{name}`"), help);
        }
        if self.door.takes(Way::Sequence) && self.place.sequence.is_none() {
            let help = "add a `sequence`, or leave it out of `via`";
            warn(report, via, format!("door `{name}` has no sequence"), help);
        }
        if self.door.takes(Way::Encoded) && self.place.encoded.is_none() {
            let help = "add `encoded = { ports = \"40000-40255\" }`, or leave it out of `via`";
            warn(report, via, format!("door `{name}` has no encoded sequences"), help);
        }
        for way in [Way::Mail, Way::Guestbook].into_iter().filter(|way| self.opened_by_key && self.door.takes(*way)) {
            let word = ways::word(way);
            if !self.sources.has(way) {
                let text = format!("door `{name}` does not open via `{word}`: there is no `[{word}.NAME]`");
                warn(report, via, text, &format!("add `[{word}.NAME]`, or leave out `{word}`"));
            } else if self.door.second_factor {
                let text = format!("door `{name}` asks for a code, so it does not open via `{word}`");
                warn(report, via, text, &format!("leave out `{word}`, or remove `second-factor`"));
            }
        }
    }

    fn round_second_factor(&self, report: &mut Report<'_>) {
        let Some(second_factor) = &self.place.second_factor else { return };
        let name = &self.door.name;
        if self.by_sequence() {
            let help = "add `via = [\"packet\"]`, or remove the sequence";
            let text = format!("the sequence of door `{name}` opens it without a second factor");
            warn(report, second_factor, text, help);
        }
        if !self.by(Way::Packet) {
            let help = "name keys in its `keys`, or remove the line";
            warn(report, second_factor, format!("no key opens door `{name}`, so it asks for no second factor"), help);
        }
    }

    /// Warns of terms for tokens that do not come, or come another way.
    fn tokens(&self, report: &mut Report<'_>) {
        let name = &self.door.name;
        let books = [(&self.place.guestbooks, "guestbooks"), (&self.place.quorum, "quorum")];
        for (span, word) in books.into_iter().filter(|_| !self.by(Way::Guestbook)) {
            let Some(span) = span else { continue };
            let text = format!("`{word}` says nothing: door `{name}` does not open via `guestbook`");
            warn(report, span, text, "let `via` have `guestbook`, and a key open the door, or remove the line");
        }
        if let Some(valid_for) = self.place.valid_for.as_ref().filter(|_| !self.by_token()) {
            let text = format!("`valid-for` says nothing: door `{name}` opens by no tokens");
            warn(report, valid_for, text, "let `via` have `mail`, `guestbook` or `log`, or remove the line");
        }
        let quorum = self.place.quorum.as_ref().filter(|_| self.door.quorum > 1 && self.by(Way::Guestbook));
        let whole = [(self.by(Way::Mail), "mail"), (self.by_tokens_in_logs(), "line of a log")];
        let whole = whole.into_iter().find(|(opens, _)| *opens);
        if let Some((quorum, (_, whole))) = quorum.zip(whole) {
            let others =
                [Way::Packet, Way::Sequence, Way::Encoded, Way::Guestbook].into_iter().filter(|way| self.by(*way));
            let others: Vec<_> = others.map(|way| format!("\"{}\"", ways::word(way))).collect();
            let help = format!("write `via = [{}]`, or remove the line", others.join(", "));
            let text = format!("one {whole} opens door `{name}` by a whole token, without its `quorum`");
            warn(report, quorum, text, &help);
        }
    }
}

fn warn(report: &mut Report<'_>, span: &Range<usize>, text: impl Into<String>, help: &str) {
    report.warn(span.clone(), Wrong::new(text, help));
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
