//! The command a person types, on Linux, macOS and Windows, and the face of the old `knock`.
//!
//! Sends knocks and checks files. It knows nothing of the gate or the daemon, and needs nothing that only one
//! system has.
#![forbid(unsafe_code)]

mod check;
mod cli;
mod face;
mod hits;
mod man;
mod send;

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
