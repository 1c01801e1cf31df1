//! The person: invited once, and from then on `ssh host` just works.
#![forbid(unsafe_code)]

mod device;
mod invited;
mod page;
mod ssh;
mod ways;

use std::process::ExitCode;

use klopf_tests::{Case, run};

fn main() -> ExitCode {
    let mut cases: Vec<Case> = Vec::new();
    cases.extend(invited::cases());
    cases.extend(page::cases());
    cases.extend(ssh::cases());
    cases.extend(ways::cases());
    run(cases)
}
