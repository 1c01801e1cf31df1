//! Values to bytes of fixed size, and back. Numbers are little-endian.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Fills a message from its start; the rest stays zero.
pub(crate) struct Writer<const N: usize> {
    pub(crate) bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Writer<N> {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; N], at: 0 }
    }

    /// What does not fit is left out: no message here is so long.
    pub(crate) fn put(&mut self, more: &[u8]) -> &mut Self {
        if let Some(place) = self.bytes.get_mut(self.at..self.at + more.len()) {
            place.copy_from_slice(more);
            self.at += more.len();
        }
        self
    }

    pub(crate) fn address(&mut self, address: Option<IpAddr>) -> &mut Self {
        match address {
            None => self.put(&[0; 17]),
            Some(IpAddr::V4(v4)) => self.put(&[4]).put(&v4.octets()).put(&[0; 12]),
            Some(IpAddr::V6(v6)) => self.put(&[6]).put(&v6.octets()),
        }
    }
}

/// Takes a message apart from its start.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// A message must have exactly its size.
    pub(crate) fn of<const N: usize>(bytes: &'a [u8]) -> Option<Self> {
        (bytes.len() == N).then_some(Self(bytes))
    }

    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (&taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    pub(crate) fn address(&mut self) -> Option<Option<IpAddr>> {
        let (family, bytes) = (self.u8()?, self.take::<16>()?);
        match (family, bytes.first_chunk::<4>()) {
            (0, _) => Some(None),
            (4, Some(&v4)) => Some(Some(Ipv4Addr::from(v4).into())),
            (6, _) => Some(Some(Ipv6Addr::from(bytes).into())),
            _ => None,
        }
    }
}
