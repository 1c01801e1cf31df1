//! What a packet looks like.

use crate::packet::Random;

/// What a packet is dressed as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Nothing: random bytes.
    #[default]
    None,
}

/// Lengths of a sealed part, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengths {
    first: usize,
    last: usize,
}

impl Lengths {
    /// One of them.
    pub fn draw(self, random: Random<'_>) -> usize {
        let mut bytes = [0; 8];
        random(&mut bytes);
        let many = u64::try_from(self.last - self.first + 1).unwrap_or(1);
        self.first + usize::try_from(u64::from_be_bytes(bytes) % many).unwrap_or(0)
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn has(self, length: usize) -> bool {
        (self.first..=self.last).contains(&length)
    }
}

/// What stands before and behind a sealed part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dress {
    /// Before.
    pub before: Vec<u8>,
    /// Behind.
    pub after: Vec<u8>,
}

/// A datagram taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undressed<'a> {
    /// Before the sealed part.
    pub before: &'a [u8],
    /// The sealed part.
    pub sealed: &'a [u8],
    /// Behind it.
    pub after: &'a [u8],
}

impl Shape {
    /// The lengths of a sealed part.
    #[must_use]
    pub fn lengths(self) -> Lengths {
        Lengths { first: 288, last: 1200 }
    }

    /// The bytes before and behind a sealed part.
    pub fn dress(self, _length: usize, _unix_ms: u64, _random: Random<'_>) -> Dress {
        Dress::default()
    }

    /// Finds the sealed part.
    #[must_use]
    pub fn undress(self, datagram: &[u8]) -> Option<Undressed<'_>> {
        Some(Undressed { before: &[], sealed: datagram, after: &[] })
    }
}

impl Shape {
    /// Its number in an invitation.
    #[must_use]
    pub const fn number(self) -> u8 {
        0
    }

    /// The shape of a number.
    #[must_use]
    pub const fn of(number: u8) -> Option<Self> {
        if number == 0 { Some(Self::None) } else { None }
    }
}
