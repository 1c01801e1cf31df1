//! The daemon: wiring, and nothing that decides.
//!
//! `keeper` is the process with rights: it reads the configuration through one of two faces (`native`, `knockd`),
//! opens what must be opened, and runs the gate. `watch` is the process without any: it reads packets and recognises
//! knocks. They speak in messages of fixed size (`message`). `names` is a third one that looks names up for `knockd -l`.
#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

mod control;
mod exit;
mod face;
mod host;
mod keeper;
mod knockd;
mod message;
mod names;
mod native;
mod plan;
mod role;
mod unit;
mod watch;

use std::io::Write;
use std::process::ExitCode;

/// The program `klopfd`.
#[must_use]
pub fn klopfd() -> ExitCode {
    role::helper().unwrap_or_else(native::main)
}

/// The program `knockd`.
#[must_use]
pub fn knockd() -> ExitCode {
    role::helper().unwrap_or_else(knockd::main)
}

/// Tells the service manager, if there is one.
fn notify(state: &[sd_notify::NotifyState<'_>]) {
    // Without a service manager there is nobody to tell, and nothing to do about it.
    let _ = sd_notify::notify(state);
}

/// A line on standard error; there may be nobody to read it.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// A line on standard output; there may be nobody to read it.
fn print(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
