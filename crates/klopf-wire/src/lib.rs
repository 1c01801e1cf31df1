//! Bytes from outside to checked values.
//!
//! This crate knows bytes and nothing else: no keys, doors, clocks, sockets or files. Every function is total:
//! any input gives a value or a named [`Malformed`], never a panic.
#![forbid(unsafe_code)]

pub mod line;
mod packet;
mod port;
mod port_set;
pub mod socks;
pub mod stun;
pub mod text;

pub use packet::{Knock, Malformed, parse_datagram, parse_packet};
pub use port::{FlagMask, Port, Proto, TcpFlags};
pub use port_set::PortSet;
