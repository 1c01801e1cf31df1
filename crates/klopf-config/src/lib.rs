//! Text to a checked configuration: `klopf.toml` and `knockd.conf`.
//!
//! This crate knows text and nothing else: it opens no file, reads no environment and no clock, and does not know
//! who runs. Every function is total: any input gives a value or faults that say where they are and what to do.
#![forbid(unsafe_code)]

mod check;
mod fault;
mod import;
pub mod knockd;
pub mod native;
mod scan;
mod suggest;

pub use check::{Check, check, check_files, is_native};
pub use fault::{Fault, Faults, Level};
pub use import::{Imported, import};
pub use native::{client, profile};
pub use scan::weakness;
