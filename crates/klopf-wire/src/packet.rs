//! A packet, from its network header on, to the knock it may be.
//!
//! IPv4 with options (RFC 791), IPv6 with extension headers (RFC 8200); of a fragmented packet only the first
//! fragment, which holds the ports. Lengths are believed only as far as bytes are there; checksums are not looked
//! at, for the kernel has not checked them either when a packet socket sees the packet.

use std::net::IpAddr;

use etherparse::{IpNumber, Ipv4Slice, Ipv6Slice, LaxIpSlice};

use crate::{Port, Proto, TcpFlags};

/// One observed hit: who sent what to which port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knock {
    /// The source address the packet showed; anybody can write one.
    pub origin: IpAddr,
    /// The source port.
    pub from_port: u16,
    /// The destination address.
    pub to: IpAddr,
    /// Protocol and destination port.
    pub port: Port,
    /// TCP flags, none for UDP.
    pub flags: TcpFlags,
}

/// Why a packet is no knock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// The network header is broken or cut short.
    Network,
    /// A later fragment: it has no ports.
    Fragment,
    /// Neither TCP nor UDP.
    OtherProtocol,
    /// The transport header is broken or cut short.
    Transport,
}

impl Malformed {
    /// A stable name for counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Network => "bad-network-header",
            Self::Fragment => "later-fragment",
            Self::OtherProtocol => "other-protocol",
            Self::Transport => "bad-transport-header",
        }
    }
}

/// Reads the knock out of a packet that begins at its IPv4 or IPv6 header.
///
/// The packet may be cut behind the transport ports and flags.
///
/// # Errors
/// Says why the packet is none.
pub fn parse_packet(packet: &[u8]) -> Result<Knock, Malformed> {
    todo!()
}
