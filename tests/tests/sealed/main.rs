//! Sealed knocks: one packet, a key for each person, and nothing else opens.
#![forbid(unsafe_code)]

mod opens;
mod play;
mod replays;
mod terms;

use std::process::ExitCode;

use klopf_tests::{Case, run};

fn main() -> ExitCode {
    let mut cases: Vec<Case> = Vec::new();
    cases.extend(opens::cases());
    cases.extend(replays::cases());
    cases.extend(terms::cases());
    run(cases)
}
