//! Hits on ports: encoded sequences, in packets and in logs.
#![forbid(unsafe_code)]

mod logs;
mod packets;
mod play;

use std::process::ExitCode;

use klopf_tests::{Case, run};

fn main() -> ExitCode {
    let mut cases: Vec<Case> = Vec::new();
    cases.extend(logs::cases());
    cases.extend(packets::cases());
    run(cases)
}
