//! What happens to a daemon between its start and its end: told, killed, cut off, attacked.
#![forbid(unsafe_code)]

mod closing;
mod commands;
mod disk;
mod ending;
mod faults;
mod interfaces;
mod kernels;
mod logs;
mod processes;
mod reload;
mod silence;
mod storm;

use std::process::ExitCode;

use klopf_tests::{Case, Daemon, Need, Result, Stage, Wire, run};

/// The sequence of the doors of these tests.
const PORTS: [u16; 3] = [42000, 23000, 1337];

fn main() -> ExitCode {
    let mut cases: Vec<Case> = Vec::new();
    cases.extend(closing::cases());
    cases.extend(commands::cases());
    cases.extend(disk::cases());
    cases.extend(ending::cases());
    cases.extend(faults::cases());
    cases.extend(interfaces::cases());
    cases.extend(kernels::cases());
    cases.extend(logs::cases());
    cases.extend(processes::cases());
    cases.extend(reload::cases());
    cases.extend(silence::cases());
    cases.extend(storm::cases());
    run(cases)
}

/// The same test for both faces of the daemon, with a sender of packets.
fn both(name: &'static str, needs: &'static [Need], test: fn(&Stage, Daemon) -> Result) -> impl Iterator<Item = Case> {
    [Daemon::Klopfd, Daemon::Face].into_iter().map(move |daemon| {
        let needs: Vec<Need> = Wire::NEEDS.iter().chain(needs).copied().collect();
        Case::new(format!("{name}_{}", daemon.name()), &needs, move |stage| test(stage, daemon))
    })
}
