//! A SOCKS5 proxy on the loopback interface, for programs that cannot knock.

mod serve;
mod socks;

pub(crate) use serve::{Connector, serve};
pub use socks::{Read, Reply, SocksHost, SocksRequest, greeting, request};
