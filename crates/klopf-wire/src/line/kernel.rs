//! The lines that Linux itself writes for `LOG` of iptables and `log` of nft (net/netfilter/nf_log_syslog.c).
//!
//! ```text
//! PREFIXIN=eth0 OUT= MAC=.. SRC=192.0.2.7 DST=198.51.100.1 LEN=60 .. PROTO=TCP SPT=1234 DPT=40000 WINDOW=64240 RES=0x00 SYN URGP=0
//! ```
//!
//! Other programs may write to the same log what strangers choose, such as a wrong user name. So not only must the keys
//! stand in their order: from `IN=` to its end the line must consist of words as the kernel writes them, so that with
//! something behind the stranger's words, as in `Invalid user .. from 192.0.2.9 port 22`, it is none. What stands before is only looked at if there
//! is a prefix, which must directly precede `IN=`. That is no proof: who can end a line, can forge one, and the kernel's
//! lines are best kept in a file of their own.

use std::net::IpAddr;

use memchr::memmem::{self, Finder};

use super::{Hit, LONGEST, Miss, Preset};
use crate::{Port, Proto, TcpFlags};

const UFW: [&[u8]; 2] = [b"[UFW BLOCK] ", b"[UFW LIMIT BLOCK] "];
/// As long as names of interfaces are, in bytes.
const INTERFACE: usize = 15;
/// Those that the flags' byte has. Of `AE`, which is beside it, nobody asks.
const FLAGS: [(&[u8], u8); 8] = [
    (b"CWR", 0x80),
    (b"ECE", 0x40),
    (b"URG", TcpFlags::URG.0),
    (b"ACK", TcpFlags::ACK.0),
    (b"PSH", TcpFlags::PSH.0),
    (b"RST", TcpFlags::RST.0),
    (b"SYN", TcpFlags::SYN.0),
    (b"FIN", TcpFlags::FIN.0),
];

/// Reads the kernel's lines.
#[derive(Clone, Debug)]
pub(super) struct Kernel {
    source: Finder<'static>,
    before: Before,
}

/// What must directly precede `IN=`.
#[derive(Clone, Debug)]
enum Before {
    Anything,
    Ufws,
    Prefix(Vec<u8>),
}

impl Before {
    fn fits(&self, before: &[u8]) -> bool {
        match self {
            Self::Anything => true,
            Self::Ufws => UFW.iter().any(|prefix| before.ends_with(prefix)),
            Self::Prefix(prefix) => before.ends_with(prefix),
        }
    }
}

impl Kernel {
    pub(super) fn new(preset: Preset, prefix: Option<&str>) -> Self {
        let before = match (prefix, preset) {
            (Some(prefix), _) => Before::Prefix(prefix.as_bytes().to_vec()),
            (None, Preset::Ufw) => Before::Ufws,
            (None, Preset::Iptables | Preset::Nft) => Before::Anything,
        };
        Self { source: Finder::new(b" SRC="), before }
    }

    /// The line has no end and is no longer than [`LONGEST`].
    pub(super) fn read(&self, line: &[u8]) -> Result<Hit, Miss> {
        debug_assert!(line.len() <= LONGEST, "looked at before");
        let at = self.source.find(line).ok_or(Miss::Other)?;
        let (head, rest) = line.split_at_checked(at).ok_or(Miss::Other)?;
        let (before, head) = head.split_at_checked(last_in(head).ok_or(Miss::Other)?).ok_or(Miss::Other)?;
        let is_sent = interfaces(head)?;
        if !self.before.fits(before) {
            return Err(Miss::Prefix);
        }
        if is_sent {
            return Err(Miss::Sent);
        }
        packet(rest)
    }
}

/// Where the last `IN=` is that is no `PHYSIN=`.
fn last_in(head: &[u8]) -> Option<usize> {
    memmem::rfind_iter(head, b"IN=").find(|at| !head.get(..*at).is_some_and(|before| before.ends_with(b"PHYS")))
}

/// From `IN=` to what precedes `SRC=`: whether this host has sent the packet.
fn interfaces(head: &[u8]) -> Result<bool, Miss> {
    let mut words = head.split(|byte| *byte == b' ');
    let mut name = |key: &[u8]| {
        let name = words.next().and_then(|word| word.strip_prefix(key)).ok_or(Miss::Other)?;
        (name.len() <= INTERFACE && name.iter().all(u8::is_ascii_graphic)).then_some(name).ok_or(Miss::Other)
    };
    let (into, out) = (name(b"IN=")?, name(b"OUT=")?);
    match (into, out) {
        (b"", b"") => Err(Miss::Other),
        _ if words.all(|word| is_kernels(word) || is_tunnel(word)) => Ok(into.is_empty()),
        _ => Err(Miss::Other),
    }
}

/// From `SRC=` to the end.
fn packet(rest: &[u8]) -> Result<Hit, Miss> {
    let mut words = rest.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let mut address = |key: &[u8]| {
        let text = words.next().and_then(|word| word.strip_prefix(key)).ok_or(Miss::Other)?;
        self::address(text).ok_or(Miss::Address)
    };
    let (src, dst) = (address(b"SRC=")?, address(b"DST=")?);
    if src.is_ipv4() != dst.is_ipv4() {
        return Err(Miss::Other);
    }
    let proto = protocol(&mut words)?;
    let number = words.next().and_then(|word| word.strip_prefix(b"SPT="));
    number.and_then(self::number).ok_or(Miss::Port)?;
    let number = words.next().and_then(|word| word.strip_prefix(b"DPT="));
    let port = Port { proto, number: number.and_then(self::number).ok_or(Miss::Port)? };
    let flags = flags(words, proto)?;
    Ok(Hit { src, dst: Some(dst), port, flags })
}

/// The words up to that which says the protocol.
fn protocol<'w>(words: &mut impl Iterator<Item = &'w [u8]>) -> Result<Proto, Miss> {
    for word in words {
        match word {
            b"PROTO=TCP" => return Ok(Proto::Tcp),
            b"PROTO=UDP" => return Ok(Proto::Udp),
            _ if word.starts_with(b"PROTO=") => return Err(Miss::Protocol),
            _ if word.starts_with(b"FRAG:") => return Err(Miss::Fragment),
            _ if is_kernels(word) && !is_once(word) => {}
            _ => return Err(Miss::Other),
        }
    }
    Err(Miss::Protocol)
}

/// The words behind the ports.
fn flags<'w>(words: impl Iterator<Item = &'w [u8]>, proto: Proto) -> Result<TcpFlags, Miss> {
    let (mut flags, mut says, mut is_over) = (0, false, proto == Proto::Udp);
    for word in words {
        if let Some((_, flag)) = FLAGS.iter().find(|(name, _)| *name == word).filter(|_| !is_over) {
            flags |= flag;
            says = true;
        } else if !is_kernels(word) || is_once(word) {
            return Err(Miss::Other);
        } else if word.starts_with(b"URGP=") {
            (says, is_over) = (true, true);
        }
    }
    Ok(match proto {
        Proto::Tcp if !says => TcpFlags::SYN,
        Proto::Tcp | Proto::Udp => TcpFlags(flags),
    })
}

/// Whether the kernel could have written the word: `KEY`, `KEY=value`, `KEY:value`, or options in parentheses.
fn is_kernels(word: &[u8]) -> bool {
    let key = word.iter().take_while(|byte| !matches!(byte, b'=' | b':' | b'(' | b')')).count();
    let (key, value) = word.split_at_checked(key).unwrap_or_default();
    key.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"=:.()-_@".contains(byte))
}

/// `TUNNEL=192.0.2.1->192.0.2.2`.
fn is_tunnel(word: &[u8]) -> bool {
    word.strip_prefix(b"TUNNEL=")
        .is_some_and(|ends| ends.iter().all(|byte| byte.is_ascii_digit() || b".->".contains(byte)))
}

/// Whether the word has a key that a line has once, and which was there.
fn is_once(word: &[u8]) -> bool {
    let keys: [&[u8]; 7] = [b"IN=", b"OUT=", b"SRC=", b"DST=", b"PROTO=", b"SPT=", b"DPT="];
    keys.iter().any(|key| word.starts_with(key))
}

/// An address as text.
pub(super) fn address(text: &[u8]) -> Option<IpAddr> {
    // The longest is of 45 characters; the parser need not see more.
    str::from_utf8(text.get(..text.len().min(64))?).ok()?.parse().ok()
}

/// A number up to 65535, in digits only.
pub(super) fn number(text: &[u8]) -> Option<u16> {
    let digits = matches!(text.len(), 1..=5) && text.iter().all(u8::is_ascii_digit);
    str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}
