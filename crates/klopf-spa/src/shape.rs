//! Dresses: what stands around the sealed part of a packet so that it looks like some everyday protocol.
//!
//! A packet of nothing but random bytes can be noticed as just that. A dress makes it well-formed traffic to whoever
//! sorts packets by protocol. It does not depend on the sealed bytes, only on how many they are, so that all of it can be
//! additional data of the seal. What the server takes for dressed is what has the form; who made it, the seal tells.

mod dns;
mod draw;
mod name;
mod ntp;
mod quic;
mod reader;
#[cfg(test)]
mod tests;

use draw::{Draw, scale};

use crate::Random;

/// What a packet looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Nothing: the sealed part alone.
    #[default]
    None,
    /// A query for a name (RFC 1035, RFC 6891).
    Dns,
    /// A request of an NTP client with Network Time Security (RFC 5905, RFC 8915).
    Ntp,
    /// The first datagram of a QUIC client that has been there before (RFC 9000, RFC 9001).
    Quic,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::None, Self::Dns, Self::Ntp, Self::Quic];

    /// Its name, as users write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Dns => "dns",
            Self::Ntp => "ntp",
            Self::Quic => "quic",
        }
    }

    /// The shape with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|shape| shape.name() == name)
    }

    /// Its number in an invitation.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Dns => 1,
            Self::Ntp => 2,
            Self::Quic => 3,
        }
    }

    /// The shape with this number.
    #[must_use]
    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|shape| shape.number() == number)
    }

    /// The UDP port at which such traffic is expected.
    #[must_use]
    pub const fn port(self) -> Option<u16> {
        match self {
            Self::None => None,
            Self::Dns => Some(53),
            Self::Ntp => Some(123),
            Self::Quic => Some(443),
        }
    }

    /// How long the sealed part may be. Whole datagrams stay below 1,233 bytes, which IPv6 carries everywhere.
    #[must_use]
    pub const fn lengths(self) -> Lengths {
        match self {
            Self::None => Lengths { first: 288, last: 1200, step: 1 },
            Self::Dns => dns::LENGTHS,
            Self::Ntp => ntp::LENGTHS,
            Self::Quic => quic::LENGTHS,
        }
    }

    /// A dress for a sealed part of `length` bytes, different each time; empty unless that is one of [`Self::lengths`].
    /// `unix_ms` is 0 where there is no clock; `random` fills its argument with random bytes.
    #[must_use]
    pub fn dress(self, length: usize, unix_ms: u64, random: Random<'_>) -> Dress {
        let mut draw = Draw(random);
        let dress = self.lengths().has(length).then(|| match self {
            Self::None => None,
            Self::Dns => dns::dress(length, unix_ms, &mut draw),
            Self::Ntp => ntp::dress(length, &mut draw),
            Self::Quic => quic::dress(length, &mut draw),
        });
        dress.flatten().unwrap_or_default()
    }

    /// Finds the sealed part in a datagram; none if it is not of this shape. Does not look into what it finds.
    #[must_use]
    pub fn undress(self, datagram: &[u8]) -> Option<Undressed<'_>> {
        let undressed = match self {
            Self::None => Undressed { before: &[], sealed: datagram, after: &[] },
            Self::Dns => dns::undress(datagram)?,
            Self::Ntp => ntp::undress(datagram)?,
            Self::Quic => quic::undress(datagram)?,
        };
        self.lengths().has(undressed.sealed.len()).then_some(undressed)
    }
}

/// What stands around a sealed part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dress {
    /// All bytes before it.
    pub before: Vec<u8>,
    /// All bytes after it.
    pub after: Vec<u8>,
}

/// A datagram, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undressed<'a> {
    /// All bytes before the sealed part.
    pub before: &'a [u8],
    /// The sealed part.
    pub sealed: &'a [u8],
    /// All bytes after it.
    pub after: &'a [u8],
}

impl<'a> Undressed<'a> {
    /// A datagram whose sealed part ends `after` bytes before its end, and is `length` bytes long.
    fn cut(datagram: &'a [u8], length: usize, after: usize) -> Option<Self> {
        let (rest, after) = datagram.split_at_checked(datagram.len().checked_sub(after)?)?;
        let (before, sealed) = rest.split_at_checked(rest.len().checked_sub(length)?)?;
        Some(Self { before, sealed, after })
    }
}

/// The lengths that a sealed part may have, in bytes: from the first to the last in steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengths {
    /// The least.
    pub first: usize,
    /// The greatest, a whole number of steps from the first.
    pub last: usize,
    /// From one to the next.
    pub step: usize,
}

impl Lengths {
    /// Whether this is one of them.
    #[must_use]
    pub fn has(self, length: usize) -> bool {
        (self.first..=self.last).contains(&length) && (length - self.first).is_multiple_of(self.step)
    }

    /// One of them, each as likely as the others.
    #[must_use]
    pub fn draw(self, random: Random<'_>) -> usize {
        let mut bytes = [0; 4];
        random(&mut bytes);
        self.first + self.step * scale(u32::from_be_bytes(bytes), (self.last - self.first) / self.step + 1)
    }
}
