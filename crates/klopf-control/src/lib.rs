//! What `klopf` and `klopfd` say to each other over the control socket.
//!
//! A connection carries one request, a line of JSON, and then the replies to it, a line each, until the daemon closes.
//! The names in the JSON are stable: `klopf status --json` prints them. This crate knows the words and the lines; it
//! does not know what they do.
#![forbid(unsafe_code)]

#[cfg(unix)]
mod client;
mod lines;
mod request;
mod status;

#[cfg(unix)]
pub use client::{AskError, Client};
pub use lines::{Lines, TooLong};
pub use request::{Reply, Request, TrialNews};
pub use status::{
    Closed, DoorStatus, Guards, IfKlopfdDies, KeyStatus, LeaseStatus, OpenedBy, RefusalStatus, SourceStatus, Status,
    Table,
};

/// The socket's name in the runtime directory.
pub const SOCKET: &str = "control.sock";

/// The longest request, in bytes without the end of its line.
pub const LONGEST_REQUEST: usize = 64 << 10;
/// The longest reply, in bytes without the end of its line: ten thousand leases have room.
pub const LONGEST_REPLY: usize = 4 << 20;
