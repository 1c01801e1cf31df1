//! The stages that a packet passes in the watch, one by one: for the benches, and for counting instructions.
#![forbid(unsafe_code)]

pub mod chance;
pub mod stages;
