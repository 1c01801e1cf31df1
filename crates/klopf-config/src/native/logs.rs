//! The sections `[log.NAME]`.

use klopf_spa::Name;
use klopf_wire::line::{Patterns, Preset};
use toml::de::DeTable;

use super::report::{Entry, Key, Report, Value, Wrong, in_order};
use super::sources::{Sources, Written, named, same};
use super::{Door, Way, values};

pub(super) const KEYS: [&str; 7] = ["file", "journal", "nflog", "preset", "prefix", "patterns", "tokens"];

/// More logs are a fault.
const MOST: usize = 16;
/// The keys that say where a log is.
const FROM: [&str; 3] = ["file", "journal", "nflog"];
const PATTERN: &str = "['^(?<src>[0-9a-f.:]+) .* dport=(?<dport>[0-9]+)']";

/// `[log.NAME]`: a log that tells of hits, or in whose lines tokens come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Unique among the logs.
    pub name: Name,
    /// Where it is.
    pub from: LogFrom,
    /// A format that is known.
    pub preset: Option<Preset>,
    /// What stands directly before the words of the preset.
    pub prefix: Option<String>,
    /// Regular expressions, at most 16.
    pub patterns: Vec<String>,
    /// Whether its lines may hold tokens; if there is neither `preset` nor `patterns`, they may. Never with [`LogFrom::Nflog`].
    pub tokens: bool,
}

/// Where a log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogFrom {
    /// A file, by absolute path.
    File(String),
    /// systemd's journal: `kernel`, or a unit such as `nginx.service`.
    Journal(String),
    /// What a firewall rule sends to this group of NFLOG.
    Nflog(u16),
}

impl Log {
    /// Whether it tells of hits.
    #[must_use]
    pub fn tells_of_hits(&self) -> bool {
        self.preset.is_some() || !self.patterns.is_empty() || matches!(self.from, LogFrom::Nflog(_))
    }

    /// What reads its lines. `None` only for a log that is not from a file without faults.
    #[must_use]
    pub fn reader(&self) -> Option<Patterns> {
        Patterns::new(self.preset, self.prefix.as_deref(), &self.patterns).ok()
    }
}

/// The logs in file order.
pub(super) fn read_all(table: &DeTable<'_>, report: &mut Report<'_>) -> Vec<Written<Log>> {
    named(table, "log", report, read)
}

fn read(name: &Key<'_>, table: &DeTable<'_>, report: &mut Report<'_>) -> Option<Log> {
    let before = report.faults();
    let entries = in_order(table);
    let (mut from, mut preset, mut prefix, mut tokens) = (None, None, None, None);
    let (mut patterns, mut is_first) = (Vec::new(), true);
    for (key, value) in &entries {
        match key.get_ref().as_ref() {
            word if FROM.contains(&word) => {
                if !std::mem::take(&mut is_first) {
                    let text = format!("log `{}` is in more than one place", report.name(name));
                    let help = "have one of `file`, `journal` and `nflog`, or make a section for each";
                    report.fault(key.span(), Wrong::new(text, help));
                }
                from = place(word, value, report);
            }
            word @ "preset" => {
                let all = [Preset::Iptables, Preset::Nft, Preset::Ufw];
                preset = report.choice(word, value, all.map(|preset| (preset.name(), preset)));
            }
            word @ "prefix" => prefix = report.string(word, value, r#""KNOCK ""#),
            "patterns" => patterns = own(value, report),
            word @ "tokens" => tokens = report.boolean(word, value),
            _ => report.unknown_key(key, &format!("log `{}`", report.name(name)), &KEYS),
        }
    }
    let at = |word: &str| entries.iter().find(|(key, _)| key.get_ref() == word);
    if is_first {
        let text = format!("log `{}` says nothing of where it is", report.name(name));
        let help = r#"add `file = "/var/log/kern.log"`, `journal = "kernel"` or `nflog = 5`"#;
        report.missing(name.span(), Wrong::new(text, help));
    }
    let of_lines = at("nflog").is_none();
    if of_lines {
        if let Some((_, value)) = at("prefix") {
            // A preset with a fault is one.
            let preset = preset.or_else(|| at("preset").map(|_| Preset::Nft));
            let wrong = prefix.and_then(|prefix| Patterns::new(preset, Some(prefix), &[]).err());
            tell(wrong, value, &[], report);
        }
        nothing_to_find(name, &entries, tokens, report);
    } else {
        for (key, _) in entries.iter().filter(|(key, _)| !FROM.contains(&key.get_ref().as_ref())) {
            let word = key.get_ref().as_ref();
            if KEYS.contains(&word) {
                let help = "remove the line: what comes by `nflog` are packets, and no lines";
                report.fault(key.span(), Wrong::new(format!("`{word}` is for logs of lines"), help));
            }
        }
    }
    let tokens = tokens.unwrap_or_else(|| of_lines && preset.is_none() && patterns.is_empty());
    let (name, prefix) = (Name::new(name.get_ref())?, prefix.map(str::to_owned));
    let log = Log { name, from: from?, preset, prefix, patterns, tokens };
    (report.faults() == before).then_some(log)
}

/// Reads the value of one of [`FROM`].
fn place(word: &str, value: &Value<'_>, report: &mut Report<'_>) -> Option<LogFrom> {
    match word {
        "file" => {
            let path = report.string(word, value, r#""/var/log/kern.log""#)?;
            let wrong = match path {
                _ if !path.starts_with('/') => Err(Wrong::new("`file` must be an absolute path", "begin it with `/`")),
                _ if path.ends_with('/') => Err(Wrong::new("`file` names no file", "write the path of the log itself")),
                _ => Ok(LogFrom::File(path.to_owned())),
            };
            report.checked(value.span(), wrong)
        }
        "journal" => {
            let unit = report.string(word, value, r#""kernel""#)?;
            let wrong = |help: String| {
                Wrong::new(format!("`{unit}` is neither `kernel` nor a unit"), format!("{help}; or `kernel`"))
            };
            let read = match unit {
                "kernel" => Ok(unit.to_owned()),
                // It becomes an argument.
                _ if unit.starts_with('-') => Err(wrong("write a name as `systemctl` shows it".to_owned())),
                _ => values::unit(unit).map_err(|other| wrong(other.help)),
            };
            report.checked(value.span(), read).map(LogFrom::Journal)
        }
        _ => report.integer(word, value, (0, i64::from(u16::MAX)), "5").map(LogFrom::Nflog),
    }
}

/// The patterns, whatever is wrong with them.
fn own(list: &Value<'_>, report: &mut Report<'_>) -> Vec<String> {
    let elements = report.list("patterns", list, PATTERN).unwrap_or_default();
    if elements.is_empty() && list.get_ref().is_array() {
        let help = format!("write regular expressions, as in `patterns = {PATTERN}`, or remove the line");
        report.fault(list.span(), Wrong::new("`patterns` has no pattern", help));
    }
    let texts: Vec<_> = elements.iter().map(|element| report.string("patterns", element, PATTERN)).collect();
    let Some(own) = texts.into_iter().map(|text| text.map(str::to_owned)).collect::<Option<Vec<_>>>() else {
        return Vec::new();
    };
    tell(Patterns::new(None, None, &own).err(), list, &elements, report);
    own
}

/// Tells what is wrong with a prefix or with patterns, each at its place.
fn tell(
    all: Option<Vec<klopf_wire::line::Wrong>>,
    value: &Value<'_>,
    elements: &[&Value<'_>],
    report: &mut Report<'_>,
) {
    for wrong in all.into_iter().flatten() {
        let element = wrong.pattern.and_then(|index| elements.get(index).copied());
        report.fault(element.unwrap_or(value).span(), Wrong::new(wrong.text, wrong.help));
    }
}

/// Tells of a log of lines in which nothing is looked for, or hardly what is meant.
fn nothing_to_find(name: &Key<'_>, entries: &[Entry<'_, '_>], tokens: Option<bool>, report: &mut Report<'_>) {
    let at = |word: &str| entries.iter().find(|(key, _)| key.get_ref() == word);
    if at("preset").or_else(|| at("patterns")).is_some() {
        return;
    }
    let help = "add `preset = \"nft\"` (or `iptables`, `ufw`), or `patterns`";
    if let Some((key, _)) = at("tokens").filter(|_| tokens == Some(false)) {
        let text = format!("log `{}` is read for neither hits nor tokens", report.name(name));
        report.missing(key.span(), Wrong::new(text, format!("{help}, or remove the line")));
    }
    if let Some((_, value)) = at("journal").filter(|(_, value)| value.get_ref().as_str() == Some("kernel")) {
        let text = format!("log `{}` is read for tokens only, which the kernel does not write", report.name(name));
        report.warn(value.span(), Wrong::new(text, help));
    }
}

/// Checks the logs together.
pub(super) fn check(sources: &Sources, report: &mut Report<'_>) {
    if let Some(first) = sources.logs.get(MOST) {
        let wrong = Wrong::new(format!("there are more than {MOST} logs"), "remove those that no door needs");
        report.fault(first.at.clone(), wrong);
    }
    let same_log = |one: &Log, other: &Log| one.from == other.from;
    same(&sources.logs, same_log, report, |one, other| {
        let help = "make one of them, with the patterns of both: else each hit counts twice";
        Wrong::new(format!("logs `{one}` and `{other}` are the same"), help)
    });
    if let Some(span) = sources.written.as_ref().filter(|_| sources.watched.log && sources.logs.is_empty()) {
        let help = r#"add `[log.kern]` with `file = "/var/log/kern.log"`, or leave out `log`"#;
        report.warn(span.clone(), Wrong::new("`sources` has `log`, and there is no `[log.NAME]`", help));
    }
}

/// Warns of logs that are read for nothing. `doors` as in [`super::sources::use_of`]; `by_hits` open by hits in logs.
pub(super) fn use_of(sources: &Sources, doors: &[&Door], by_hits: &[&Door], report: &mut Report<'_>) {
    for written in &sources.logs {
        let name = &written.name;
        if !sources.watched.log {
            let text = format!("log `{name}` is not read: `sources` leaves out `log`");
            report.warn(written.at.clone(), Wrong::new(text, "add `log` to `sources`, or remove the section"));
            continue;
        }
        let Some(log) = &written.sound else { continue };
        let of_use = |door: &Door| {
            let by_hits = log.tells_of_hits() && (!door.sequence.is_empty() || door.encoded.is_some());
            door.takes(Way::Log) && (log.tokens && !door.second_factor || by_hits)
        };
        if !doors.iter().any(|door| of_use(door)) && (by_hits.is_empty() || !log.tells_of_hits()) {
            let text = format!("no door opens by log `{name}`, so it is read for nothing");
            let help = match log.tokens {
                true => "let a door have `log` in its `via`, and a key that may open it, or remove the section",
                false => "let a door have a `sequence` or `encoded`, and `log` in its `via`, or remove the section",
            };
            report.warn(written.at.clone(), Wrong::new(text, help));
        }
    }
}
