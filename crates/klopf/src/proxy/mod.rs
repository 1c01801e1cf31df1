//! A SOCKS5 proxy on the loopback interface, for programs that cannot knock.

mod serve;

pub(crate) use serve::{Connector, serve};
