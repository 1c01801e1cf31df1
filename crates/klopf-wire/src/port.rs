//! Ports, protocols and TCP flags: the words of a sequence.

use std::fmt;

/// A transport protocol that a knock may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Proto {
    /// TCP, protocol number 6.
    Tcp,
    /// UDP, protocol number 17.
    Udp,
}

impl Proto {
    /// The lower-case name, `tcp` or `udp`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Proto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One port of one protocol, the element of a sequence. Displayed as `42000/tcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// The protocol.
    pub proto: Proto,
    /// The port number, 0 to 65535.
    pub number: u16,
}

impl Port {
    /// A TCP port.
    #[must_use]
    pub const fn tcp(number: u16) -> Self {
        Self { proto: Proto::Tcp, number }
    }

    /// A UDP port.
    #[must_use]
    pub const fn udp(number: u16) -> Self {
        Self { proto: Proto::Udp, number }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.proto)
    }
}

/// The flag bits of a TCP header as on the wire (RFC 9293, section 3.1), `FIN` the lowest; 0 for UDP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Begins a connection.
    pub const SYN: Self = Self(0x02);
    /// Resets a connection.
    pub const RST: Self = Self(0x04);
    /// Asks for delivery at once.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement number is valid.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer is valid.
    pub const URG: Self = Self(0x20);
}

/// Which TCP flags a door asks for. Flags in neither set are free. UDP always fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FlagMask {
    /// Flags that must be set.
    pub set: u8,
    /// Flags that must be clear.
    pub clear: u8,
}

impl FlagMask {
    /// Any TCP packet.
    pub const ANY: Self = Self { set: 0, clear: 0 };
    /// The first packet of a connection: SYN and no ACK.
    pub const OPENING: Self = Self { set: TcpFlags::SYN.0, clear: TcpFlags::ACK.0 };

    /// Whether a packet with these flags counts.
    #[must_use]
    pub const fn fits(self, flags: TcpFlags) -> bool {
        flags.0 & self.set == self.set && flags.0 & self.clear == 0
    }

    /// The flags that both masks ask for: what fits either, fits this.
    #[must_use]
    pub const fn common(self, other: Self) -> Self {
        Self { set: self.set & other.set, clear: self.clear & other.clear }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_asks_only_for_its_own_flags() {
        let both = TcpFlags(TcpFlags::SYN.0 | TcpFlags::ACK.0);
        assert!(FlagMask::ANY.fits(both));
        assert!(FlagMask::OPENING.fits(TcpFlags::SYN));
        assert!(!FlagMask::OPENING.fits(both));
        assert!(FlagMask { set: TcpFlags::SYN.0, clear: 0 }.fits(both));
        assert!(!FlagMask { set: TcpFlags::SYN.0, clear: 0 }.fits(TcpFlags::RST));
    }

    #[test]
    fn what_fits_one_mask_fits_the_common_one() {
        let common = FlagMask::OPENING.common(FlagMask { set: TcpFlags::SYN.0, clear: 0 });
        assert_eq!(common, FlagMask { set: TcpFlags::SYN.0, clear: 0 });
    }
}
