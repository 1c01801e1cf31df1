//! Carries grants out: guards ports and lets leases through, starts commands, and closes again what it opened.
//!
//! The gate knows the kernel's firewall, commands and times, and is told what to do in [`Order`]s that are complete: it knows no key, no
//! packet and no configuration, and reads nothing that comes from outside. It never waits: who calls it tells it
//! the time, and which processes have ended.
#![forbid(unsafe_code)]

mod command;
mod connections;
mod event;
pub mod firewall;
mod gate;
mod journal;
mod lockfile;
mod order;
mod runner;
mod steps;
#[cfg(test)]
mod tests;

pub use command::Command;
pub use connections::{Connection, Connections, List, Listing, Progress};
pub use event::{Event, Refusal, Why};
pub use firewall::{PID_FILE, UnlockError, Unlocked, unlock};
pub use gate::{Gate, Known, Uses};
pub use journal::{Journal, JournalError};
pub use lockfile::Lockfile;
pub use order::{Action, By, Guarded, Lease, Order, Pass, Scope};
