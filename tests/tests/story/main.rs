//! The story of the talk: the port is closed, somebody knocks right, and `ssh` answers.
#![forbid(unsafe_code)]

mod allowed;
mod client;
mod knockd;
mod mixed;
mod native;
mod strict;

use std::process::ExitCode;

use klopf_tests::{Case, run};

fn main() -> ExitCode {
    let mut cases: Vec<Case> = Vec::new();
    cases.extend(allowed::cases());
    cases.extend(client::cases());
    cases.extend(knockd::cases());
    cases.extend(mixed::cases());
    cases.extend(native::cases());
    cases.extend(strict::cases());
    run(cases)
}
