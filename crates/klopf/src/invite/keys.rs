//! `klopf keys`: who may open what, on which terms.

use std::process::ExitCode;
use std::time::Duration;

use klopf_config::native::{Config, Hours, Key, Network};
use klopf_control::{Client, KeyStatus, Reply, Request};
use klopf_sys::clock;

use super::draft;
use super::tell::moment;
use crate::daemon::Place;
use crate::failure::Failure;
use crate::terminal::table;
use crate::terminal::wrapped;
use crate::times::span;
use crate::{complain, say};

/// Columns of the terms.
const WIDTH: usize = 45;
/// How long klopfd may take for each step of answering.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between words in whose place no line ends.
const TOGETHER: &str = "\u{a0}";
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

pub(super) fn run(place: &Place) -> Result<ExitCode, Failure> {
    let files = draft::read(&place.config)?;
    let config = draft::checked(&files, &place.config.with_file_name(""))?;
    let known = known(place);
    say(shown(&config, known.as_deref().unwrap_or_default(), clock::wall_ms() / 1000).trim_end());
    if known.is_none() && !config.keys.is_empty() {
        complain("klopfd does not tell whether they were used: klopf status says why.");
    }
    Ok(ExitCode::SUCCESS)
}

/// What klopfd knows of keys.
fn known(place: &Place) -> Option<Vec<KeyStatus>> {
    let mut client = Client::ask(&place.socket, &Request::Status, PATIENCE).ok()?;
    match client.reply(PATIENCE).ok()?? {
        Reply::Status(status) => Some(status.keys),
        _ => None,
    }
}

/// A table; `now` is in seconds since 1970.
pub(super) fn shown(config: &Config, known: &[KeyStatus], now: u64) -> String {
    if config.keys.is_empty() {
        return "There is no key. To make one: klopf invite NAME --door DOOR".to_owned();
    }
    let mut rows = Vec::new();
    for key in &config.keys {
        let may = |door: &&klopf_config::native::Door| draft::has_way(config, key, door);
        let doors: Vec<&str> = config.doors.iter().filter(may).map(|door| door.name.as_str()).collect();
        let doors = if doors.is_empty() { "-".to_owned() } else { doors.join(" ") };
        let known = known.iter().find(|known| known.name == *key.name);
        // A line ends between terms, not in one.
        let terms = terms(key, known, now).iter().map(|term| term.replace(' ', TOGETHER)).collect::<Vec<_>>();
        let mut terms = wrapped(&terms.join(", "), WIDTH).into_iter().map(|line| line.replace(TOGETHER, " "));
        rows.push([key.name.to_string(), doors, used(key, known, now), terms.next().unwrap_or_default()]);
        rows.extend(terms.map(|terms| [String::new(), String::new(), String::new(), terms]));
    }
    let mut text = String::new();
    table(&mut text, ["KEY", "DOORS", "USED", "TERMS"], rows);
    text
}

/// How often it has opened a door.
fn used(key: &Key, known: Option<&KeyStatus>, now: u64) -> String {
    match known {
        None => "-".to_owned(),
        Some(KeyStatus { uses: 0, joined: false, .. }) if key.join_before.is_some_and(|end| end <= now) => {
            "never: too late".to_owned()
        }
        Some(KeyStatus { uses: 0, .. }) => "not yet".to_owned(),
        Some(KeyStatus { uses: 1, .. }) => "once".to_owned(),
        Some(KeyStatus { uses, .. }) => format!("{uses} times"),
    }
}

/// What its file says, but for what is done with.
fn terms(key: &Key, known: Option<&KeyStatus>, now: u64) -> Vec<String> {
    let mut terms = Vec::new();
    if let Some(end) = key.expires {
        terms.push(format!("{} {}", if end <= now { "EXPIRED" } else { "expires" }, moment(end)));
    }
    if let Some(begin) = key.not_before.filter(|begin| *begin > now) {
        terms.push(format!("not before {}", moment(begin)));
    }
    if let Some(end) = key.join_before.filter(|_| known.is_none_or(|known| !known.joined)) {
        let text = if end <= now { "was to be joined before" } else { "to be joined before" };
        terms.push(format!("{text} {}", moment(end)));
    }
    terms.push(if key.once { "one device" } else { "any device" }.to_owned());
    if let Some(most) = key.max_uses {
        terms.push(match known {
            Some(known) => format!("{} of {most} uses left", most.saturating_sub(known.uses)),
            None => format!("{most} uses"),
        });
    }
    if let Some(time) = key.max_open_for {
        terms.push(format!("for {} at most", span(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))));
    }
    terms.extend(key.hours.iter().map(hours));
    terms.extend(key.networks.iter().map(|Network { address, prefix }| format!("for {address}/{prefix}")));
    if key.no_clock {
        terms.push("no clock".to_owned());
    }
    if !key.revoked_sheets.is_empty() {
        let sheets: Vec<String> = key.revoked_sheets.iter().map(ToString::to_string).collect();
        terms.push(format!("revoked sheets {}", sheets.join(" ")));
    }
    if key.totp.is_some() {
        terms.push("one-time codes".to_owned());
    }
    terms
}

fn hours(hours: &Hours) -> String {
    let minute = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    format!("{}{}-{}", days(hours.days), minute(hours.from), minute(hours.to))
}

/// `mon-fri `, or nothing for every day.
fn days(days: [bool; 7]) -> String {
    if days == [true; 7] {
        return String::new();
    }
    let mut runs: Vec<(&str, &str)> = Vec::new();
    let mut before = false;
    for (day, on) in DAYS.into_iter().zip(days) {
        match runs.last_mut().filter(|_| before && on) {
            Some((_, last)) => *last = day,
            None if on => runs.push((day, day)),
            None => {}
        }
        before = on;
    }
    let run = |(first, last)| if first == last { String::from(first) } else { format!("{first}-{last}") };
    runs.into_iter().map(run).collect::<Vec<String>>().join(",") + " "
}
