//! `klopf status`: how things stand, for people and for programs.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use klopf_control::{AskError, Client, Closed, Guards, IfKlopfdDies, OpenedBy, Reply, Request, Status, Table};

use super::Place;
use super::ask::{refused, unheard};
use crate::say;

const PATIENCE: Duration = Duration::from_secs(5);
/// Refusals that are shown one by one.
const REFUSALS: usize = 10;

pub(super) fn run(place: &Place, json: bool) -> ExitCode {
    let asked = Client::ask(&place.socket, &Request::Status, PATIENCE).and_then(|mut client| client.reply(PATIENCE));
    match asked {
        Ok(Some(Reply::Status(status))) => {
            if json {
                say(status.json());
            } else {
                say(shown(&status).trim_end());
            }
            ExitCode::SUCCESS
        }
        Ok(Some(Reply::Failed { why, help })) => refused(&why, help.as_deref()),
        Ok(Some(_)) => unheard(&AskError::Strange, place),
        Ok(None) => unheard(&AskError::NoAnswer, place),
        Err(error) => unheard(&error, place),
    }
}

/// A span of time in at most two units: `45s`, `4m12s`, `3h05m`, `2d04h`.
pub(crate) fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h{:02}m", minutes % 60),
        (..) => format!("{days}d{:02}h", hours % 24),
    }
}

/// Ends in an empty line.
fn shown(status: &Status) -> String {
    let mut text = format!("{}\n", headline(status));
    for trouble in &status.troubles {
        let _ = writeln!(text, "Trouble: {trouble}");
    }
    let _ = writeln!(text, "klopfd {}, pid {}, up {}\n", status.version, status.pid, span(status.uptime_ms));
    if status.doors.is_empty() {
        text.push_str("There is no door.\n\n");
    } else {
        table(&mut text, ["DOOR", "HITS", "GUARDS", "NOW", "IF KLOPFD DIES", "LEASES"], doors(status));
    }
    if status.leases.is_empty() {
        text.push_str("Nobody is let in.\n\n");
    } else {
        table(&mut text, ["LEASE", "WHO", "FROM", "ADDRESS", "LEFT", "CONNECTIONS"], leases(status));
    }
    refusals(&mut text, status);
    if !status.counters.is_empty() {
        let counts: Vec<_> = status.counters.iter().map(|(name, count)| format!("{count} {name}")).collect();
        let _ = writeln!(text, "Since the start: {}", counts.join(", "));
    }
    text
}

fn headline(status: &Status) -> String {
    let mut line = match status.guards {
        Guards::Guarded => "Guarded.".to_owned(),
        Guards::Trial => {
            let left = status.trial_left_ms.map(|ms| format!(", {} s left", ms.div_ceil(1000))).unwrap_or_default();
            format!("ON TRIAL{left}: undone then, unless somebody comes through from outside.")
        }
        Guards::Unlocked => "UNLOCKED: nothing is guarded until: klopf lock".to_owned(),
        Guards::None => "Nothing to guard: no door has a `guard`.".to_owned(),
    };
    match status.table {
        Table::Shared => line.push_str(" The table in the kernel is shared: klopfd restores what others change."),
        Table::None if matches!(status.guards, Guards::Guarded | Guards::Trial) => {
            line.push_str(" BUT THERE IS NO TABLE in the kernel.");
        }
        Table::Owned | Table::None => {}
    }
    line
}

fn doors(status: &Status) -> Vec<[String; 6]> {
    let row = |door: &klopf_control::DoorStatus| {
        let (now, dies) = match (door.guard.is_empty(), door.guarded) {
            (true, _) => ("-", "-"),
            (false, guarded) => (
                match (guarded, door.closed) {
                    (false, _) => "open to all",
                    (true, Closed::Drop) => "closed (drop)",
                    (true, Closed::Reject) => "closed (reject)",
                },
                match door.if_klopfd_dies {
                    IfKlopfdDies::StayClosed => "stays closed",
                    IfKlopfdDies::Open => "opens",
                },
            ),
        };
        let guard = if door.guard.is_empty() { "-".to_owned() } else { door.guard.join(" ") };
        let leases =
            door.max_leases.map_or_else(|| door.leases.to_string(), |most| format!("{} of {most}", door.leases));
        [door.name.clone(), door.sequence_length.to_string(), guard, now.into(), dies.into(), leases]
    };
    status.doors.iter().map(row).collect()
}

fn leases(status: &Status) -> Vec<[String; 6]> {
    let row = |lease: &klopf_control::LeaseStatus| {
        let who = lease.who.clone().unwrap_or_else(|| {
            match lease.by {
                OpenedBy::Sequence => "a sequence",
                OpenedBy::Hand => "by hand",
                OpenedBy::Adopted => "an earlier klopfd",
            }
            .to_owned()
        });
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        [
            lease.door.clone(),
            who,
            or_dash(lease.origin.map(|origin| origin.to_string())),
            lease.address.clone(),
            or_dash(lease.left_ms.map(span)),
            or_dash(lease.connections.map(|count| count.to_string())),
        ]
    };
    status.leases.iter().map(row).collect()
}

/// How often for each reason, and the last ones.
fn refusals(text: &mut String, status: &Status) {
    if status.refusals.is_empty() {
        return;
    }
    let mut reasons: Vec<(&str, usize)> = Vec::new();
    for refusal in &status.refusals {
        match reasons.iter_mut().find(|(why, _)| *why == refusal.why) {
            Some((_, count)) => *count += 1,
            None => reasons.push((&refusal.why, 1)),
        }
    }
    let counts: Vec<_> = reasons.iter().map(|(why, count)| format!("{count} {why}")).collect();
    let _ = writeln!(text, "Refused lately: {}", counts.join(", "));
    for refusal in status.refusals.iter().take(REFUSALS) {
        let ago = span(refusal.ms_ago);
        let _ = writeln!(text, "  {} at {}, {ago} ago: {}", refusal.origin, refusal.door, refusal.text);
    }
    if let Some(more) = status.refusals.len().checked_sub(REFUSALS).filter(|more| *more > 0) {
        let _ = writeln!(text, "  and {more} before; all of them: klopf status --json");
    }
    text.push('\n');
}

/// Columns under their heads, and an empty line.
fn table<const N: usize>(text: &mut String, heads: [&str; N], rows: Vec<[String; N]>) {
    let heads = heads.map(str::to_owned);
    let mut widths = [0; N];
    for row in std::iter::once(&heads).chain(&rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in std::iter::once(&heads).chain(&rows) {
        let line: String = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}  ")).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push('\n');
}

#[cfg(test)]
mod tests;
