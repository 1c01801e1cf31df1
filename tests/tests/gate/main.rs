//! The gate: ports that are closed, leases that open them, and nobody who is ever locked out.
#![forbid(unsafe_code)]

mod clock;
mod commands;
mod dies;
mod doctor;
mod guards;
mod host;
mod leases;
mod load;
mod others;
mod parts;
mod paths;
mod rejects;
mod restart;
mod services;
mod state;
mod storm;
mod trial;
mod unlock;

use std::process::ExitCode;

use klopf_tests::{Case, run, scene};

fn main() -> ExitCode {
    let mut cases: Vec<Case> = Vec::new();
    cases.extend(clock::cases());
    cases.extend(commands::cases());
    cases.extend(dies::cases());
    cases.extend(doctor::cases());
    cases.extend(guards::cases());
    cases.extend(host::cases());
    cases.extend(leases::cases());
    cases.extend(load::cases());
    cases.extend(others::cases());
    cases.extend(parts::cases());
    cases.extend(paths::cases());
    cases.extend(rejects::cases());
    cases.extend(restart::cases());
    cases.extend(services::cases());
    cases.extend(state::cases());
    cases.extend(storm::cases());
    cases.extend(trial::cases());
    cases.extend(unlock::cases());
    run(cases)
}
