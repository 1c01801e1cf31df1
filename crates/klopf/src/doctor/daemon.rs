//! The daemon: whether it answers, guards and watches.

use std::fs;

use klopf_control::{AskError, Guards, Status, Table};

use super::finding::Findings;
use super::host::Host;
use crate::daemon::{Place, left, service};
use crate::times::span;

const ABOUT: &str = "klopfd";

pub(super) fn check(host: &Host, place: &Place, findings: &mut Findings) {
    let Some(status) = &host.status else {
        return unheard(host.unheard.as_ref(), place, findings);
    };
    let before = findings.faults(ABOUT);
    guards(status, findings);
    for trouble in &status.troubles {
        findings.warn(ABOUT, format!("it has reported: {trouble}"), "mend what it names; its log tells more");
    }
    for source in &status.sources {
        if let Some(text) = &source.text {
            let text = format!("{} {}: {text}", source.way(), source.name);
            findings.warn(ABOUT, text, "docs/letters.md says what to do about each trouble");
        }
    }
    watch(status.pid, findings);
    for door in &status.doors {
        if status.guards == Guards::Guarded && !door.guard.is_empty() && !door.guarded {
            let text = format!("door {} is not guarded, though it should be", door.name);
            findings.wrong(ABOUT, text, format!("its log says why; {}", service("restart")));
        }
        if door.max_leases.is_some_and(|most| door.leases >= usize::try_from(most).unwrap_or(usize::MAX)) {
            let text = format!("door {} has all its {} leases: nobody else gets in", door.name, door.leases);
            findings.warn(ABOUT, text, format!("raise max-leases, or end some: klopf revoke {}", door.name));
        }
    }
    let differs = host.config.is_some() && stale(host, status);
    if differs {
        let text = "it works with other doors than the file has";
        findings.warn(ABOUT, text, "sudo klopf reload, or restart it; perhaps it reads another file");
    }
    if findings.faults(ABOUT) == before {
        let up = span(status.uptime_ms);
        let what = if status.guards == Guards::Guarded { "guarded" } else { "nothing to guard" };
        findings.fine(ABOUT, format!("{}, pid {}, up {up}, {what}", status.version, status.pid));
    }
}

fn unheard(error: Option<&AskError>, place: &Place, findings: &mut Findings) {
    let socket = place.socket.display();
    match error {
        Some(AskError::NoDaemon) | None => findings.wrong(
            ABOUT,
            format!("it does not run: nobody listens at {socket}. {}", left(place).replace('\n', " ")),
            format!("{}; its log says why it ended, and klopf check what is wrong with its file", service("start")),
        ),
        Some(AskError::NoAnswer) => findings.wrong(
            ABOUT,
            format!("it does not answer at {socket}: it is stopped, or hangs"),
            format!("{}; that cuts nothing", service("restart")),
        ),
        Some(error) => {
            findings.wrong(ABOUT, format!("{error} ({socket})"), format!("if it was upgraded: {}", service("restart")))
        }
    }
}

fn guards(status: &Status, findings: &mut Findings) {
    match status.guards {
        Guards::Unlocked => findings.wrong(
            ABOUT,
            "unlocked: no port is guarded, by klopf unlock or a trial that nobody confirmed",
            "sudo klopf lock, which closes on trial and shows what to type on another machine",
        ),
        Guards::Trial => findings.warn(
            ABOUT,
            "the guards are on trial, and undone at its end",
            "knock from another machine and log in; klopf status says how much time is left",
        ),
        Guards::Guarded if status.table == Table::None => {
            findings.wrong(ABOUT, "its table is not in the kernel", format!("its log says why; {}", service("restart")))
        }
        Guards::Guarded | Guards::None => {}
    }
}

/// The process that reads packets is a child of the daemon.
fn watch(pid: u32, findings: &mut Findings) {
    let Ok(children) = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")) else { return };
    let named =
        |child: &&str| fs::read(format!("/proc/{child}/cmdline")).is_ok_and(|words| words.starts_with(b"klopf: watch"));
    let Some(watch) = children.split_whitespace().find(named) else {
        let remedy = format!("klopfd starts it again by itself; if not: {}", service("restart"));
        return findings.wrong(ABOUT, "the process that watches packets is not there", remedy);
    };
    let status = fs::read_to_string(format!("/proc/{watch}/status")).unwrap_or_default();
    if status.lines().any(|line| line.starts_with("State:\tT") || line.starts_with("State:\tZ")) {
        let text = format!("the process that watches packets (pid {watch}) is stopped");
        findings.wrong(ABOUT, text, format!("kill -CONT {watch}, or {}", service("restart")));
    }
}

/// Whether the daemon has other doors than the file.
fn stale(host: &Host, status: &Status) -> bool {
    let mut file: Vec<(&str, Vec<String>)> = host
        .doors()
        .iter()
        .map(|door| (door.name.as_str(), door.guard.iter().map(ToString::to_string).collect()))
        .collect();
    let mut runs: Vec<(&str, Vec<String>)> =
        status.doors.iter().map(|door| (door.name.as_str(), door.guard.clone())).collect();
    file.sort();
    runs.sort();
    file != runs
}
