//! `klopf keys`: who may open what, on which terms.

use std::process::ExitCode;

use klopf_config::native::{Config, Hours, Key, Network, Way};
use klopf_sys::clock;

use super::draft;
use super::failure::Failure;
use super::tell::moment;
use crate::daemon::Place;
use crate::say;
use crate::terminal::table;
use crate::terminal::wrapped;
use crate::times::span;

/// Columns of the terms.
const WIDTH: usize = 50;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

pub(super) fn run(place: &Place) -> Result<ExitCode, Failure> {
    let files = draft::read(&place.config)?;
    let config = draft::checked(&files, &place.config.with_file_name(""))?;
    say(shown(&config, clock::wall_ms() / 1000).trim_end());
    Ok(ExitCode::SUCCESS)
}

/// `now` is in seconds since 1970.
pub(super) fn shown(config: &Config, now: u64) -> String {
    if config.keys.is_empty() {
        return "There is no key. To make one: klopf invite NAME --door DOOR".to_owned();
    }
    let mut rows = Vec::new();
    for key in &config.keys {
        let may = |door: &&klopf_config::native::Door| Config::may_open(key, door) && door.takes(Way::Packet);
        let doors: Vec<&str> = config.doors.iter().filter(may).map(|door| door.name.as_str()).collect();
        let doors = if doors.is_empty() { "-".to_owned() } else { doors.join(" ") };
        let mut terms = wrapped(&terms(key, now).join(", "), WIDTH).into_iter();
        rows.push([key.name.to_string(), doors, terms.next().unwrap_or_default()]);
        rows.extend(terms.map(|terms| [String::new(), String::new(), terms]));
    }
    let mut text = String::new();
    table(&mut text, ["KEY", "DOORS", "TERMS"], rows);
    text
}

/// What its file says; whether it was used yet, only klopfd knows.
fn terms(key: &Key, now: u64) -> Vec<String> {
    let mut terms = Vec::new();
    if let Some(end) = key.expires {
        terms.push(format!("{} {}", if end <= now { "EXPIRED" } else { "expires" }, moment(end)));
    }
    if let Some(begin) = key.not_before.filter(|begin| *begin > now) {
        terms.push(format!("not before {}", moment(begin)));
    }
    if let Some(end) = key.join_before {
        let text = if end <= now { "was to be joined before" } else { "to be joined before" };
        terms.push(format!("{text} {}", moment(end)));
    }
    terms.push(if key.once { "one device" } else { "any device" }.to_owned());
    if let Some(most) = key.max_uses {
        terms.push(format!("{most} uses"));
    }
    if let Some(time) = key.max_open_for {
        terms.push(format!("for {} at most", span(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))));
    }
    terms.extend(key.hours.iter().map(hours));
    terms.extend(key.networks.iter().map(|Network { address, prefix }| format!("for {address}/{prefix}")));
    if key.no_clock {
        terms.push("no clock".to_owned());
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
