//! Sealed knocks: one packet, a key for each person, and nothing else opens.
#![forbid(unsafe_code)]

mod clock;
mod forged;
mod opens;
mod packets;
mod play;
mod ports;
mod reload;
mod replays;
mod silence;
mod terms;

use std::process::ExitCode;

use klopf_tests::{Case, run};

fn main() -> ExitCode {
    let mut cases: Vec<Case> = Vec::new();
    cases.extend(clock::cases());
    cases.extend(forged::cases());
    cases.extend(opens::cases());
    cases.extend(packets::cases());
    cases.extend(ports::cases());
    cases.extend(reload::cases());
    cases.extend(replays::cases());
    cases.extend(silence::cases());
    cases.extend(terms::cases());
    run(cases)
}
