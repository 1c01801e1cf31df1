//! Attempts, recognition and decision: events in, effects out.
//!
//! This crate knows doors, and time as an argument. It opens no socket or file, reads no clock and no random
//! source, and has no unsafe code; a test of it takes milliseconds and can play hours.
//!
//! One way through: [`Engine::observe`] takes an [`Observation`], `recognise` follows the attempts of its origin, a
//! finished sequence becomes a [`Recognised`], `decide` turns that into a [`Decision`], and what is to be done
//! comes out as a list of [`Effect`]s.
//!
//! Another for sealed knocks: [`Engine::admit`] says whether one is worth opening; what was in it comes back as a
//! [`Claim`] to [`Engine::observe_claim`], `sealed` decides on the terms of its [`Key`], and the rest is the same. It
//! knows no cryptography.
#![forbid(unsafe_code)]

mod admission;
mod asks;
mod attempts;
mod budget;
mod claim;
mod codes;
mod counters;
mod decide;
mod door;
mod engine;
mod hash;
mod key;
mod lists;
mod marks;
mod recent;
mod recognise;
mod refusal;
mod sealed;
mod source;
#[cfg(test)]
mod tests;
mod time;
mod uses;

pub use asks::{Asks, MayAsk};
pub use budget::Budget;
pub use claim::{Claim, Code, Sealed, SealedRefusal};
pub use counters::Counters;
pub use decide::{Decision, Grant};
pub use door::{Door, DoorId, Observation};
pub use engine::{Effect, Engine, Limits};
pub use key::{Hold, Hours, Key, KeyRef, Network};
pub use marks::{Mark, Marks};
pub use recent::Recent;
pub use recognise::Recognised;
pub use refusal::Refusal;
pub use sealed::Earliest;
pub use source::{Books, Form, Source, SourceId, Ways};
pub use time::{Millis, Wall};
pub use uses::Uses;
