//! The command a person types, on Linux, macOS and Windows, and the face of the old `knock`.
//!
//! Sends knocks, checks files, and on Linux asks the daemon of this host. Only that part needs anything that only one
//! system has, and only `unlock` and `doctor` know of the gate: they must work when nothing else does.
#![forbid(unsafe_code)]

mod check;
mod cli;
mod connect;
#[cfg(target_os = "linux")]
mod daemon;
#[cfg(target_os = "linux")]
mod doctor;
mod explain;
mod export;
mod face;
mod failure;
mod hits;
mod import;
#[cfg(target_os = "linux")]
mod invite;
mod man;
mod open;
mod outbox;
mod page;
mod person;
mod profile;
mod proxy;
#[cfg(test)]
mod scratch;
mod send;
mod sequence;
#[cfg(target_os = "linux")]
mod setup;
mod shell;
mod terminal;
mod times;
mod token;

use std::fmt::Display;
use std::io::Write;

pub use cli::{command, run};
pub use face::knock;

/// A line for stdout. A reader that went away must not keep the rest of a knock from being sent.
fn say(line: impl Display) {
    let _ = writeln!(anstream::stdout(), "{line}");
}

/// A line for stderr.
fn complain(line: impl Display) {
    let _ = writeln!(anstream::stderr(), "{line}");
}
