//! What the hits of an encoded sequence say, and on which ports.

use super::{HINT, TAG, fields};

/// Hits of the longest sequence: a network of IPv6 and all other fields, on 256 ports.
pub const LONGEST: usize = 36;

/// Ports that hits are spelled on: a power of two from 256 to 32,768 of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    first: u16,
    bits: u8,
}

impl Span {
    /// The ports from one to another, both of them in it. None if there are not as many as there may be, or one is 0.
    #[must_use]
    pub fn new(first: u16, last: u16) -> Option<Self> {
        let size = u32::from(last.checked_sub(first).filter(|_| first > 0)?) + 1;
        let bits = u8::try_from(size.trailing_zeros()).ok()?;
        (size.is_power_of_two() && (8..=15).contains(&bits)).then_some(Self { first, bits })
    }

    /// The first port.
    #[must_use]
    pub const fn first(self) -> u16 {
        self.first
    }

    /// How many ports there are.
    #[must_use]
    pub const fn size(self) -> u16 {
        1 << self.bits
    }

    /// What a hit on a port says; none if it is not one of these.
    #[must_use]
    pub fn symbol(self, port: u16) -> Option<u16> {
        port.checked_sub(self.first).filter(|symbol| self.has(*symbol))
    }

    /// The port of a symbol; none if there is no such symbol.
    #[must_use]
    pub fn port(self, symbol: u16) -> Option<u16> {
        self.first.checked_add(symbol).filter(|_| self.has(symbol))
    }

    pub(super) fn has(self, symbol: u16) -> bool {
        symbol < self.size()
    }

    /// Bits of a hit but the one that tells its place.
    pub(super) fn data_bits(self) -> usize {
        usize::from(self.bits) - 1
    }
}

/// How ports are hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// By the first packet of a TCP connection.
    Tcp,
    /// By a UDP datagram.
    Udp,
}

/// What is said of whom to let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Whom {
    /// Nothing: it is the address that the hits come from. Not for hits that are read from a log.
    Observed,
    /// An IPv4 address.
    V4,
    /// An IPv4 network.
    V4Net,
    /// An IPv6 address.
    V6,
    /// An IPv6 network.
    V6Net,
}

/// The fields of a claim, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fields {
    /// Whom to let in.
    pub whom: Whom,
    /// To which port.
    pub port: bool,
    /// For how long.
    pub hold: bool,
    /// Four flags.
    pub flags: bool,
}

impl Fields {
    pub(super) fn bits(self) -> usize {
        let whom = match self.whom {
            Whom::Observed => 0,
            Whom::V4 => 32,
            Whom::V4Net => 32 + 5,
            Whom::V6 => 128,
            Whom::V6Net => 128 + 7,
        };
        let of = |there: bool, bits: usize| if there { bits } else { 0 };
        whom + of(self.port, 16) + of(self.hold, 6) + of(self.flags, 4)
    }

    fn of_byte(byte: u8) -> Option<Self> {
        let whom = match byte & 7 {
            0 => Whom::Observed,
            1 => Whom::V4,
            2 => Whom::V4Net,
            3 => Whom::V6,
            4 => Whom::V6Net,
            _ => return None,
        };
        let has = |bit: u8| byte >> bit & 1 == 1;
        (byte < 1 << 6).then_some(Self { whom, port: has(3), hold: has(4), flags: has(5) })
    }

    fn byte(self) -> u8 {
        let whom = match self.whom {
            Whom::Observed => 0,
            Whom::V4 => 1,
            Whom::V4Net => 2,
            Whom::V6 => 3,
            Whom::V6Net => 4,
        };
        whom | u8::from(self.port) << 3 | u8::from(self.hold) << 4 | u8::from(self.flags) << 5
    }
}

/// What both sides have agreed on, for one door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Template {
    /// The ports.
    pub span: Span,
    /// How they are hit.
    pub transport: Transport,
    /// What is said.
    pub fields: Fields,
}

impl Template {
    /// The number of hits, 7 to [`LONGEST`].
    #[must_use]
    pub fn length(&self) -> usize {
        (self.head_bits() + TAG).div_ceil(self.span.data_bits())
    }

    /// Bits of the tag: all that are left.
    pub(super) fn tag_bits(&self) -> usize {
        (self.length() * self.span.data_bits()).saturating_sub(self.head_bits())
    }

    /// What the tag covers of it, and an invitation says.
    #[must_use]
    pub fn bytes(&self) -> [u8; 5] {
        let Self { span: Span { first, bits }, transport, fields } = *self;
        let transport = match transport {
            Transport::Tcp => 6,
            Transport::Udp => 17,
        };
        let [f0, f1] = first.to_be_bytes();
        [fields.byte(), transport, f0, f1, bits]
    }

    /// Reads [`Template::bytes`]; none if they are none.
    #[must_use]
    pub fn read([fields, transport, f0, f1, bits]: [u8; 5]) -> Option<Self> {
        let first = u16::from_be_bytes([f0, f1]);
        let last = first.checked_add(1_u16.checked_shl(bits.into())?.checked_sub(1)?)?;
        let transport = match transport {
            6 => Transport::Tcp,
            17 => Transport::Udp,
            _ => return None,
        };
        Some(Self { span: Span::new(first, last)?, transport, fields: Fields::of_byte(fields)? })
    }

    fn head_bits(&self) -> usize {
        self.fields.bits() + fields::MARK + HINT
    }
}
