//! Values in messages: numbers are little-endian, and what is not there takes as much room as what is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use klopf_engine::{Asks, Books, Form, Source, SourceId};
use klopf_spa::Name;
use klopf_trail::Place;
use klopf_wire::{Port, Proto};

use super::Piece;

/// Fills a message from its start; the rest stays zero. What does not fit is left out: no message here is so long.
pub(super) struct Writer<const N: usize> {
    pub(super) bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Writer<N> {
    pub(super) fn new() -> Self {
        Self { bytes: [0; N], at: 0 }
    }

    pub(super) fn put(&mut self, more: &[u8]) -> &mut Self {
        if let Some(place) = self.bytes.get_mut(self.at..self.at + more.len()) {
            place.copy_from_slice(more);
            self.at += more.len();
        }
        self
    }

    pub(super) fn u8(&mut self, value: u8) -> &mut Self {
        self.put(&[value])
    }

    pub(super) fn u16(&mut self, value: u16) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    pub(super) fn u32(&mut self, value: u32) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    pub(super) fn u64(&mut self, value: u64) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    pub(super) fn bool(&mut self, value: bool) -> &mut Self {
        self.u8(value.into())
    }

    pub(super) fn maybe_u64(&mut self, value: Option<u64>) -> &mut Self {
        self.bool(value.is_some()).u64(value.unwrap_or(0))
    }

    pub(super) fn maybe_address(&mut self, value: Option<IpAddr>) -> &mut Self {
        self.bool(value.is_some()).address(value.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
    }

    /// At most 127 bytes.
    pub(super) fn text(&mut self, text: &[u8]) -> &mut Self {
        self.u8(u8::try_from(text.len()).unwrap_or(0)).put(text)
    }

    pub(super) fn place(&mut self, place: &Place) -> &mut Self {
        let Place { dev, ino, offset, check } = *place;
        self.u64(dev).u64(ino).u64(offset).u64(check)
    }

    pub(super) fn source(&mut self, source: &Source) -> &mut Self {
        match source {
            Source::Packet(origin) => self.u8(0).address(*origin),
            Source::Mail(mail) => self.u8(1).u16(mail.0).put(&[0; 15]),
            Source::Guestbooks(books) => {
                self.u8(2).u8(u8::try_from(books.all().len()).unwrap_or(0));
                for place in 0..Books::MOST {
                    self.u16(books.all().get(place).map_or(0, |book| book.0));
                }
                self
            }
            Source::Log(log) => self.u8(3).u16(log.0).put(&[0; 15]),
        }
    }

    pub(super) fn form(&mut self, form: Form) -> &mut Self {
        match form {
            Form::Packet => self.u8(0).u16(0),
            Form::Token => self.u8(1).u16(0),
            Form::Shares(count) => self.u8(2).u16(count.into()),
            Form::Code(sheet) => self.u8(3).u16(sheet),
            Form::Encoded => self.u8(4).u16(0),
        }
    }

    pub(super) fn asks(&mut self, Asks { port, prefix, flags }: Asks) -> &mut Self {
        self.bool(port.is_some()).u16(port.unwrap_or(0)).bool(prefix.is_some()).u8(prefix.unwrap_or(0)).u8(flags)
    }

    pub(super) fn port(&mut self, port: Port) -> &mut Self {
        self.u8(u8::from(port.proto == Proto::Udp)).u16(port.number)
    }

    pub(super) fn address(&mut self, address: IpAddr) -> &mut Self {
        match address {
            IpAddr::V4(v4) => self.u8(4).put(&v4.octets()).put(&[0; 12]),
            IpAddr::V6(v6) => self.u8(6).put(&v6.octets()),
        }
    }
}

/// Takes a message apart from its start.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// A message must have exactly its size.
    pub(super) fn of<const N: usize>(bytes: &'a [u8]) -> Option<Self> {
        (bytes.len() == N).then_some(Self(bytes))
    }

    pub(super) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (&taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    pub(super) fn bool(&mut self) -> Option<bool> {
        self.u8().filter(|&value| value < 2).map(|value| value == 1)
    }

    pub(super) fn maybe_u64(&mut self) -> Option<Option<u64>> {
        let there = self.bool()?;
        self.u64().map(|value| Some(value).filter(|_| there))
    }

    pub(super) fn maybe_address(&mut self) -> Option<Option<IpAddr>> {
        let there = self.bool()?;
        self.address().map(|address| Some(address).filter(|_| there))
    }

    pub(super) fn text(&mut self, most: usize) -> Option<&'a [u8]> {
        let length = usize::from(self.u8()?);
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        (length <= most).then_some(text)
    }

    pub(super) fn piece(&mut self) -> Option<Piece> {
        Piece::all(self.text(Piece::MOST)?).first().copied()
    }

    pub(super) fn place(&mut self) -> Option<Place> {
        Some(Place { dev: self.u64()?, ino: self.u64()?, offset: self.u64()?, check: self.u64()? })
    }

    pub(super) fn name(&mut self) -> Option<Name> {
        Name::new(std::str::from_utf8(self.text(64)?).ok()?)
    }

    pub(super) fn source(&mut self) -> Option<Source> {
        match self.u8()? {
            0 => Some(Source::Packet(self.address()?)),
            1 => {
                let mail = SourceId(self.u16()?);
                self.take::<15>().map(|_| Source::Mail(mail))
            }
            2 => {
                let count = usize::from(self.u8()?);
                let books: Vec<_> = (0..Books::MOST).map(|_| self.u16().map(SourceId)).collect::<Option<_>>()?;
                Some(Source::Guestbooks(Books::new(books.get(..count)?.iter().copied())))
            }
            3 => {
                let log = SourceId(self.u16()?);
                self.take::<15>().map(|_| Source::Log(log))
            }
            _ => None,
        }
    }

    pub(super) fn form(&mut self) -> Option<Form> {
        match (self.u8()?, self.u16()?) {
            (0, 0) => Some(Form::Packet),
            (1, 0) => Some(Form::Token),
            (2, count) => u8::try_from(count).ok().map(Form::Shares),
            (3, sheet) => Some(Form::Code(sheet)),
            (4, 0) => Some(Form::Encoded),
            _ => None,
        }
    }

    pub(super) fn asks(&mut self) -> Option<Asks> {
        let (one, port, network, prefix) = (self.bool()?, self.u16()?, self.bool()?, self.u8()?);
        Some(Asks { port: one.then_some(port), prefix: network.then_some(prefix), flags: self.u8()? })
    }

    pub(super) fn port(&mut self) -> Option<Port> {
        let proto = if self.bool()? { Proto::Udp } else { Proto::Tcp };
        Some(Port { proto, number: self.u16()? })
    }

    pub(super) fn address(&mut self) -> Option<IpAddr> {
        let (family, bytes) = (self.u8()?, self.take::<16>()?);
        match (family, bytes.first_chunk::<4>()) {
            (4, Some(&v4)) => Some(Ipv4Addr::from(v4).into()),
            (6, _) => Some(Ipv6Addr::from(bytes).into()),
            _ => None,
        }
    }
}
