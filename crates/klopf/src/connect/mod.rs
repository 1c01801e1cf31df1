//! Connecting through a door: knock, connect, knock again if nobody answers.

mod pipe;
mod race;
mod reach;

pub(crate) use pipe::{join, pipe};
pub(crate) use reach::{Knocking, Reach, Unreached};
