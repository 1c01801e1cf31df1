//! Attempts, recognition and decision: events in, effects out.
//!
//! This crate knows doors, and time as an argument. It opens no socket or file, reads no clock and no random
//! source, and has no unsafe code; a test of it takes milliseconds and can play hours.
//!
//! One way through: [`Engine::observe`] takes an [`Observation`], `recognise` follows the attempts of its origin, a
//! finished sequence becomes a [`Recognised`], `decide` turns that into a [`Decision`], and what is to be done
//! comes out as a list of [`Effect`]s.
#![forbid(unsafe_code)]

mod attempts;
mod budget;
mod counters;
mod decide;
mod door;
mod engine;
mod lists;
mod recognise;
#[cfg(test)]
mod tests;
mod time;

pub use budget::Budget;
pub use counters::Counters;
pub use decide::{Decision, Grant, Refusal};
pub use door::{Door, DoorId, Observation};
pub use engine::{Effect, Engine, Limits};
pub use recognise::Recognised;
pub use time::Millis;
