//! Sealed knocks: one packet, a key for each person, and nothing else opens.
#![forbid(unsafe_code)]

mod forged;
mod opens;
mod packets;
mod play;
mod ports;
mod replays;
mod terms;

use std::process::ExitCode;

use klopf_tests::{Case, run};

fn main() -> ExitCode {
    let mut cases: Vec<Case> = Vec::new();
    cases.extend(forged::cases());
    cases.extend(opens::cases());
    cases.extend(packets::cases());
    cases.extend(ports::cases());
    cases.extend(replays::cases());
    cases.extend(terms::cases());
    run(cases)
}
