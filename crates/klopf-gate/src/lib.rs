//! Carries grants out: starts commands, keeps leases, and closes again what it opened.
//!
//! The gate knows commands and times, and is told what to do in [`Order`]s that are complete: it knows no key, no
//! packet and no configuration, and reads nothing that comes from outside. It never waits: who calls it tells it
//! the time, and which processes have ended.
#![forbid(unsafe_code)]

mod command;
mod event;
mod gate;
mod journal;
#[cfg(test)]
mod tests;

pub use command::Command;
pub use event::{Event, Refusal};
pub use gate::{Gate, Order};
pub use journal::{Journal, JournalError};
