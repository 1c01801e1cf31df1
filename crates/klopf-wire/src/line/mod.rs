//! Logs: hits out of lines, packets out of NFLOG's messages, lines out of systemd's journal. What is in a log, strangers may have
//! written: bytes are bytes here, and everything is linear in how many there are.

pub mod journal;
mod kernel;
pub mod nflog;
mod patterns;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use memchr::memmem;

pub use self::patterns::{MOST_PATTERNS, Patterns, Wrong};
use crate::{Knock, Port, TcpFlags};

/// A longer line is no hit, in bytes without its end. The kernel's have some 300.
pub const LONGEST: usize = 2048;

/// A hit that a line tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Who sent it, as far as the line says; never an IPv4 address written as an IPv6 one if a pattern read it.
    pub src: IpAddr,
    /// To whom. `None`: the line does not say.
    pub dst: Option<IpAddr>,
    /// Source port. `None`: the line does not say.
    pub from_port: Option<u16>,
    /// Protocol and destination port.
    pub port: Port,
    /// TCP flags, SYN alone if the line does not say; none for UDP.
    pub flags: TcpFlags,
}

impl Hit {
    /// The packet that it tells of. Where the line does not say to whom it went, that is an address that nobody has, and where it does not
    /// say from which port, 0.
    #[must_use]
    pub fn knock(&self) -> Knock {
        let Self { src, dst, from_port, port, flags } = *self;
        let nobody = if src.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        Knock { origin: src, from_port: from_port.unwrap_or(0), to: dst.unwrap_or(nobody), port, flags }
    }
}

/// A format that is known: that of the kernel's own log lines, by whichever tool the rule is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// `-j LOG`.
    Iptables,
    /// `log`.
    Nft,
    /// What ufw blocks: without a prefix of one's own, `[UFW BLOCK] ` or `[UFW LIMIT BLOCK] ` stands before it. What it calls
    /// `AUDIT` comes again as `BLOCK`.
    Ufw,
}

impl Preset {
    /// As in a configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Iptables => "iptables",
            Self::Nft => "nft",
            Self::Ufw => "ufw",
        }
    }
}

/// Why a line is no hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Miss {
    /// It is longer than [`LONGEST`].
    Long,
    /// It is not as the kernel writes them, or no pattern matches.
    Other,
    /// It is as the kernel writes them, and what precedes it is not the prefix.
    Prefix,
    /// The packet was sent by this host: `IN=` is empty.
    Sent,
    /// The packet is a fragment.
    Fragment,
    /// Neither TCP nor UDP.
    Protocol,
    /// There is no destination port, or none that is a number up to 65535.
    Port,
    /// There is no source address, or one that is none.
    Address,
}

impl Miss {
    /// What to tell whoever wonders.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Long => "it is longer than 2,048 bytes",
            Self::Other => "it is not as the kernel writes lines, or no pattern matches it",
            Self::Prefix => "the prefix does not stand directly before `IN=`",
            Self::Sent => "this host sent the packet: `OUT=` is set, and `IN=` is not",
            Self::Fragment => "the packet is a fragment",
            Self::Protocol => "the packet is neither TCP nor UDP",
            Self::Port => "no `DPT=` or `dport` in it is a port",
            Self::Address => "no `SRC=` or `src` in it is an address",
        }
    }
}

/// Whether a line seems to be a firewall's, so that somebody may have meant it to count.
#[must_use]
pub fn looks_like_a_firewalls(line: &[u8]) -> bool {
    let has = |word: &str| memmem::find(line, word.as_bytes()).is_some();
    (has("SRC=") && has("DST=")) || (has("IN=") && has("OUT="))
}

#[cfg(test)]
mod tests;
