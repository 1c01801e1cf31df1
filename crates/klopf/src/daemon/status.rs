//! `klopf status`: how things stand, for people and for programs.

use std::fmt::Write;
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use klopf_control::{AskError, Client, Closed, Guards, IfKlopfdDies, OpenedBy, Reply, Request, Status, Table};
use serde::Serialize;

use super::Place;
use super::ask::{refused, unheard};
use crate::person::mine;
use crate::profile::Opened;
use crate::say;
use crate::terminal::{table, wrapped};
use crate::times::span;

const PATIENCE: Duration = Duration::from_secs(5);
/// Refusals that are shown one by one.
const REFUSALS: usize = 10;
/// Columns of a line that is wrapped, and of the ports of a door.
const WIDTH: usize = 80;
const GUARDS: usize = 24;
/// What further lines begin with.
const INDENT: &str = "  ";
/// A blank at which no line ends.
const TOGETHER: char = '\u{a0}';
/// Counters by name: what one and what more are called.
const WORDS: [(&str, &str, &str); 20] = [
    ("packets", "packet seen", "packets seen"),
    ("knocks", "hit", "hits"),
    ("attempts", "attempt begun", "attempts begun"),
    ("granted", "right knock", "right knocks"),
    ("wrong-hits", "wrong hit", "wrong hits"),
    ("timeouts", "too slow", "too slow"),
    ("attempts-now", "attempt under way", "attempts under way"),
    ("too-many-grants", "right knock too many", "right knocks too many"),
    ("evicted", "attempt forgotten", "attempts forgotten"),
    ("lost-since-last-asked", "packet lost since last asked", "packets lost since last asked"),
    ("dropped-messages", "message dropped", "messages dropped"),
    ("bad-network-header", "bad IP header", "bad IP headers"),
    ("bad-transport-header", "bad TCP or UDP header", "bad TCP or UDP headers"),
    ("later-fragment", "later fragment", "later fragments"),
    ("sealed-knocks", "sealed knock", "sealed knocks"),
    ("unknown-key", "of an unknown key", "of unknown keys"),
    ("no-packet", "datagram that was no knock", "datagrams that were no knocks"),
    ("no-token", "text that was no token", "texts that were no tokens"),
    ("needs-shares", "not in shares", "not in shares"),
    ("other-protocol", "packet of another protocol", "packets of other protocols"),
];

pub(super) fn run(place: &Place, json: bool) -> ExitCode {
    let mine = mine();
    let asked = Client::ask(&place.socket, &Request::Status, PATIENCE).and_then(|mut client| client.reply(PATIENCE));
    match asked {
        Ok(Some(Reply::Status(status))) => {
            if json {
                say(serde_json::to_string(&Both { status: &status, opened: &mine.opened }).unwrap_or_default());
            } else {
                let mine = if mine.opened.is_empty() { String::new() } else { format!("\n{}", mine.shown()) };
                say(format!("{}\n{mine}", shown(&status).trim_end()).trim_end());
            }
            ExitCode::SUCCESS
        }
        Ok(Some(Reply::Failed { why, help })) => refused(&why, help.as_deref()),
        Ok(Some(_)) => unheard(&AskError::Strange, place),
        Ok(None) => unheard(&AskError::NoAnswer, place),
        Err(error) if mine.has_profiles && without_daemon(&error, place) => {
            mine.tell(json);
            ExitCode::SUCCESS
        }
        Err(error) => {
            if !json && !mine.opened.is_empty() {
                say(mine.shown());
            }
            unheard(&error, place)
        }
    }
}

/// What the daemon says, and what this person has opened elsewhere.
#[derive(Serialize)]
struct Both<'a> {
    #[serde(flatten)]
    status: &'a Status,
    opened: &'a [Opened],
}

/// Whether this host is no server, or its daemon none of this person's business.
fn without_daemon(error: &AskError, place: &Place) -> bool {
    match error {
        AskError::NoDaemon => !fs::exists(&place.config).unwrap_or(true),
        AskError::NotAllowed => true,
        AskError::NoAnswer | AskError::Strange | AskError::System(_) => false,
    }
}

/// Ends in an empty line.
fn shown(status: &Status) -> String {
    let mut text = headline(status);
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
        table(&mut text, ["LEASE", "WHO", "ADDRESS", "LEFT", "CONNECTIONS"], leases(status));
    }
    if !status.sources.is_empty() {
        table(&mut text, ["READS", "NAME", "NOW", "LAST WELL", "NEXT", "TAKEN"], sources(status));
        source_troubles(&mut text, status);
    }
    refusals(&mut text, status);
    let counts = counts(status);
    if !counts.is_empty() {
        let lines = wrapped(&format!("Since the start: {counts}"), WIDTH - INDENT.len());
        let _ = writeln!(text, "{}", lines.join(&format!("\n{INDENT}")).replace(TOGETHER, " "));
    }
    text
}

/// One line or some.
fn headline(status: &Status) -> String {
    let mut lines = match status.guards {
        Guards::Guarded => "Guarded.\n".to_owned(),
        Guards::Trial => {
            let left = status.trial_left_ms.map(|ms| format!(", {} s left", ms.div_ceil(1000))).unwrap_or_default();
            format!(
                "ON TRIAL{left}: undone then, unless somebody comes in from outside.\n\
                 Knock from another machine and log in; klopf lock shows what to type there.\n"
            )
        }
        Guards::Unlocked => "UNLOCKED: nothing is guarded until: klopf lock\n".to_owned(),
        Guards::None => "Nothing to guard: no door has a `guard`.\n".to_owned(),
    };
    match status.table {
        Table::Shared => {
            lines.push_str("The table in the kernel is shared: klopfd restores what others change.\n");
        }
        Table::None if matches!(status.guards, Guards::Guarded | Guards::Trial) => {
            lines.push_str("BUT THERE IS NO TABLE in the kernel.\n");
        }
        Table::Owned | Table::None => {}
    }
    lines
}

fn doors(status: &Status) -> Vec<[String; 6]> {
    let rows = |door: &klopf_control::DoorStatus| {
        let (now, dies) = match (door.guarded, door.closed) {
            _ if door.guard.is_empty() => ("-", "-"),
            (false, _) => ("open to all", "-"),
            (true, Closed::Drop) => ("closed (drop)", dies(door.if_klopfd_dies)),
            (true, Closed::Reject) => ("closed (reject)", dies(door.if_klopfd_dies)),
        };
        let mut guard = wrapped(&door.guard.join(" "), GUARDS).into_iter();
        let first = guard.next().filter(|ports| !ports.is_empty()).unwrap_or_else(|| "-".to_owned());
        let leases =
            door.max_leases.map_or_else(|| door.leases.to_string(), |most| format!("{} of {most}", door.leases));
        let row = [door.name.clone(), door.sequence_length.to_string(), first, now.into(), dies.into(), leases];
        let further = |ports: String| {
            let mut row: [String; 6] = Default::default();
            row[2] = ports;
            row
        };
        std::iter::once(row).chain(guard.map(further)).collect::<Vec<_>>()
    };
    status.doors.iter().flat_map(rows).collect()
}

const fn dies(what: IfKlopfdDies) -> &'static str {
    match what {
        IfKlopfdDies::StayClosed => "stays closed",
        IfKlopfdDies::Open => "opens",
    }
}

fn leases(status: &Status) -> Vec<[String; 5]> {
    let row = |lease: &klopf_control::LeaseStatus| {
        let who = lease.who.clone().unwrap_or_else(|| {
            match lease.by {
                OpenedBy::Sequence => "a sequence",
                OpenedBy::Packet => "a sealed knock",
                OpenedBy::Mail => "a mail",
                OpenedBy::Guestbook => "a guestbook",
                OpenedBy::Encoded => "an encoded sequence",
                OpenedBy::Log => "a log",
                OpenedBy::Hand => "by hand",
                OpenedBy::Adopted => "an earlier klopfd",
            }
            .to_owned()
        });
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        // Where the knock came from is told where it is not the same.
        let from = lease.origin.map(|origin| origin.to_string()).filter(|origin| *origin != lease.address);
        let from = from.map(|origin| format!(" (from {origin})")).unwrap_or_default();
        let at = lease.port.map(|port| format!(" (port {port})")).unwrap_or_default();
        [
            format!("{}{at}", lease.door),
            who,
            format!("{}{from}", lease.address),
            or_dash(lease.left_ms.map(span)),
            or_dash(lease.connections.map(|count| count.to_string())),
        ]
    };
    status.leases.iter().map(row).collect()
}

fn sources(status: &Status) -> Vec<[String; 6]> {
    let row = |source: &klopf_control::SourceStatus| {
        [
            source.way().to_owned(),
            source.name.clone(),
            source.trouble.clone().unwrap_or_else(|| source.state.clone()),
            source.last_good_ms_ago.map_or_else(|| "never".to_owned(), |ms| format!("{} ago", span(ms))),
            source.next_ms.map_or_else(|| "-".to_owned(), |ms| format!("in {}", span(ms))),
            source.taken.to_string(),
        ]
    };
    status.sources.iter().map(row).collect()
}

/// What is wrong with mailboxes and guestbooks.
fn source_troubles(text: &mut String, status: &Status) {
    let mut any = false;
    for (source, words) in status.sources.iter().filter_map(|source| Some((source, source.text.as_ref()?))) {
        let lines = wrapped(&format!("{}: {words}", source.name), WIDTH - INDENT.len());
        let _ = writeln!(text, "{}", lines.join(&format!("\n{INDENT}")));
        any = true;
    }
    if any {
        text.push('\n');
    }
}

/// The counts that are not zero, in words: the most telling ones first.
fn counts(status: &Status) -> String {
    let known = WORDS.iter().filter_map(|(name, one, more)| {
        let count = *status.counters.get(*name)?;
        Some((count, if count == 1 { *one } else { *more }))
    });
    let other = status.counters.iter().filter(|(name, _)| !WORDS.iter().any(|(known, ..)| known == name));
    let all = known.chain(other.map(|(name, count)| (*count, name.as_str()))).filter(|(count, _)| *count > 0);
    all.map(|(count, what)| format!("{count}{TOGETHER}{what}")).collect::<Vec<_>>().join(", ")
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
        let origin = refusal.origin.map_or_else(|| "somebody".to_owned(), |origin| origin.to_string());
        let via = refusal.via.as_ref().map(|via| format!(" by {via}")).unwrap_or_default();
        let line = format!("{origin}{via} at {}, {ago} ago: {}", refusal.door, refusal.text);
        let lines = wrapped(&line, WIDTH - 2 * INDENT.len());
        let _ = writeln!(text, "{INDENT}{}", lines.join(&format!("\n{INDENT}{INDENT}")));
    }
    if let Some(more) = status.refusals.len().checked_sub(REFUSALS).filter(|more| *more > 0) {
        let _ = writeln!(text, "  and {more} before; all of them: klopf status --json");
    }
    text.push('\n');
}

#[cfg(test)]
mod tests;
