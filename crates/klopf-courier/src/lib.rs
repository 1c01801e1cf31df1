//! The courier: fetches mails and guestbooks, looks for what may be a token, a share or a code, and offers that to the
//! watch. It is a process of its own, without rights and without any key.
//!
//! Each source has a thread, which talks to the others by its `outlet` alone. The main thread, the `post`, carries
//! offers to the watch, answers back, and reports to the keeper.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

mod board;
mod desk;
mod fault;
mod guestbook;
mod mail;
mod outlet;
mod post;
mod seen;
mod source;
mod start;
pub mod texts;
mod tls;

pub use start::main;
