//! What keeper and watch say to each other: messages of fixed size, each decoder total.
//!
//! The keeper tells the watch what to look for ([`Down`]); the watch tells the keeper what it saw ([`Up`]). Nothing
//! the watch can say names more than a door, a key, addresses and numbers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use klopf_brief::Verdict;
use klopf_engine::{
    Books, Door, DoorId, Form, Hold, Hours, Key, KeyRef, Mark, Network, Refusal, Sealed, SealedRefusal, Source,
    SourceId, Ways,
};
use klopf_spa::encoded::Template;
use klopf_spa::{Name, Psk, Public, ServerKey, Shape};
use klopf_wire::{FlagMask, Knock, Port, Proto, TcpFlags};
use zeroize::Zeroizing;

use crate::plan::{Factor, Spelling};

/// Bytes of a message to the watch.
pub(crate) const DOWN_SIZE: usize = 128;
/// Bytes of a message to the keeper.
pub(crate) const UP_SIZE: usize = 96;
/// Counters of a mark in one message.
const RECENT_AT_ONCE: usize = 11;
/// Bytes of a second factor's secret at most.
const LONGEST_SECRET: usize = 64;

/// Guestbooks of a door at most.
const MOST_BOOKS: usize = 32;
/// Ports of a sequence at most.
const MOST_PORTS: usize = 32;

/// To the watch. Doors and sight are collected, and come into force whole with their commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Down {
    /// Forget what was collected and is not in force.
    Begin,
    /// A door, without its sequences and ways.
    Door(Door),
    /// How sealed knocks may open the door before.
    Ways(Ways),
    /// A sequence of the door before.
    Sequence(Vec<Port>),
    /// What sealed knocks call the door before.
    Called(Name),
    /// The encoded sequences of the door before.
    Spelling(Spelling),
    /// What sealed knocks are sealed for, what they look like, by how many milliseconds a clock may be wrong, and since
    /// when, in milliseconds since 1970, it is known what was accepted.
    Server(ServerKey, Shape, u64, u64),
    /// A key, without its doors, hours and networks.
    Key(Key),
    /// What opens the packets of the key before.
    Secrets(Public, Psk),
    /// A door that the key before may open.
    KeyDoor(DoorId),
    /// Hours of the key before.
    Hours(Hours),
    /// A network of the key before.
    Network(Network),
    /// The secret of the key's second factor.
    Factor(Factor),
    /// A sheet of the key before that was revoked.
    Sheet(u16),
    /// A mailbox, or with `true` a guestbook, and its name.
    Source(SourceId, bool, Name),
    /// What was accepted of a key, by its id: some of its counters, see [`Down::marks`].
    Mark([u8; 8], Mark),
    /// The doors and keys are complete.
    CommitDoors,
    /// An address of this host, on one interface, or with number 0 on any.
    Local(u32, IpAddr),
    /// The number of a loopback interface.
    Loopback(u32),
    /// The number of an interface that is looked at; without any, all are.
    Interface(u32),
    /// Ports of a protocol, first and last, at which something serves.
    Service(Proto, u16, u16),
    /// The sight is complete; whether services are known.
    CommitSight(bool),
    /// Tell the counts.
    Count,
    /// Say this number back, to show that all is well.
    Ping(u64),
    /// What became of what was offered under this number and was told by [`Up::Sealed`].
    Judged(u32, Verdict),
}

/// To the keeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Up {
    /// The watch is confined and looks.
    Ready { landlock: bool, seccomp: bool },
    /// An origin has got further.
    Stage { door: DoorId, origin: IpAddr, stage: u8 },
    /// An attempt has run out of time.
    TimedOut { door: DoorId, origin: IpAddr, stage: u8 },
    /// A wrong hit has ended an attempt.
    Broken { door: DoorId, origin: IpAddr, stage: u8, at: Port },
    /// Open a door.
    Grant { door: DoorId, address: IpAddr, uses_up: Option<u16> },
    /// A completed sequence that was not granted.
    Refused { door: DoorId, origin: IpAddr },
    /// Open a door to a sealed knock; of one that the courier offered, the number of that.
    Sealed { door: DoorId, address: IpAddr, sealed: Sealed, offer: Option<u32> },
    /// A sealed knock that was not granted.
    SealedRefused(SealedRefusal),
    /// The counter of one of which no more is told: it is used up all the same.
    Burnt { key: KeyRef, form: Form, counter: u64 },
    /// So many stages, time-outs and wrong hits were not told, because there were too many.
    Silenced(u64),
    /// There was a wrong hit: the services may have changed.
    Strange,
    /// A count, by its number.
    Count(u8, u64),
    /// A packet, for debugging.
    Packet(Knock),
    /// The number of the last [`Down::Ping`].
    Pong(u64),
}

impl Down {
    /// All of a mark, in as many messages as it takes.
    pub(crate) fn marks(id: [u8; 8], mark: &Mark) -> Vec<Self> {
        let part = |recent: &[u64]| {
            Self::Mark(id, Mark::new(mark.floor(), recent.iter().copied(), mark.uses(), mark.device()))
        };
        let parts = mark.recent().chunks(RECENT_AT_ONCE).map(part);
        if mark.recent().is_empty() { vec![part(&[])] } else { parts.collect() }
    }

    /// Its bytes, which may hold secrets.
    pub(crate) fn encode(&self) -> Zeroizing<[u8; DOWN_SIZE]> {
        let mut out = Writer::<DOWN_SIZE>::new();
        match self {
            Self::Door(door) => {
                out.u8(1).u32(door.id.0).u64(door.within).u8(door.flags.set).u8(door.flags.clear);
                out.bool(door.strict).bool(door.one_time).bool(door.second_factor).maybe_address(door.target);
            }
            Self::Called(name) => drop(out.u8(12).text(name.as_bytes())),
            Self::Server(key, shape, window, earliest) => {
                out.u8(13).put(key.bytes()).u8(shape.number()).u64(*window).u64(*earliest);
            }
            Self::Key(key) => {
                out.u8(14).u32(key.key.0).put(&key.id).maybe_u64(key.not_before).maybe_u64(key.expires);
                out.maybe_u64(key.max_uses.map(u64::from)).maybe_u64(key.max_open_for).maybe_u64(key.join_before);
                out.bool(key.no_clock).bool(key.once);
            }
            Self::Secrets(public, psk) => drop(out.u8(15).put(public.bytes()).put(psk.bytes())),
            Self::KeyDoor(door) => drop(out.u8(16).u32(door.0)),
            Self::Hours(hours) => drop(out.u8(17).u8(hours.days).u16(hours.from).u16(hours.to)),
            Self::Network(network) => drop(out.u8(18).address(network.address).u8(network.prefix)),
            Self::Factor(secret) => drop(out.u8(19).text(&secret.0)),
            Self::Mark(id, mark) => {
                out.u8(20).put(id).u64(mark.floor()).u32(mark.uses());
                out.bool(mark.device().is_some()).put(&mark.device().unwrap_or_default());
                let recent = mark.recent().get(..RECENT_AT_ONCE).unwrap_or_else(|| mark.recent());
                out.u8(u8::try_from(recent.len()).unwrap_or(0));
                for counter in recent {
                    out.u64(*counter);
                }
            }
            Self::Sequence(ports) => {
                let ports = ports.get(..MOST_PORTS).unwrap_or(ports);
                out.u8(2).u8(u8::try_from(ports.len()).unwrap_or(0));
                for port in ports {
                    out.port(*port);
                }
            }
            Self::CommitDoors => drop(out.u8(3)),
            Self::Local(interface, address) => drop(out.u8(4).u32(*interface).address(*address)),
            Self::Loopback(interface) => drop(out.u8(5).u32(*interface)),
            Self::Service(proto, first, last) => {
                out.u8(6).port(Port { proto: *proto, number: *first }).u16(*last);
            }
            Self::CommitSight(known) => drop(out.u8(7).u8(u8::from(*known))),
            Self::Count => drop(out.u8(8)),
            Self::Begin => drop(out.u8(9)),
            Self::Interface(interface) => drop(out.u8(10).u32(*interface)),
            Self::Ping(number) => drop(out.u8(11).u64(*number)),
            Self::Ways(ways) => {
                let Ways { sequence, encoded, log, packet, mail, guestbooks, quorum, share_within, valid_for } = ways;
                out.u8(21)
                    .bool(*sequence)
                    .bool(*encoded)
                    .bool(*log)
                    .bool(*packet)
                    .bool(*mail)
                    .u8(*quorum)
                    .u64(*share_within)
                    .u64(*valid_for);
                let guestbooks = guestbooks.get(..MOST_BOOKS).unwrap_or(guestbooks);
                out.u8(u8::try_from(guestbooks.len()).unwrap_or(0));
                for book in guestbooks {
                    out.u16(book.0);
                }
            }
            Self::Sheet(sheet) => drop(out.u8(22).u16(*sheet)),
            Self::Source(id, book, name) => drop(out.u8(23).u16(id.0).bool(*book).text(name.as_bytes())),
            Self::Spelling(Spelling { template, pause }) => drop(out.u8(25).put(&template.bytes()).u64(*pause)),
            Self::Judged(offer, verdict) => drop(out.u8(24).u32(*offer).u8(verdict.number())),
        }
        Zeroizing::new(out.bytes)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader::of::<DOWN_SIZE>(bytes)?;
        Some(match from.u8()? {
            1 => {
                let (id, within) = (DoorId(from.u32()?), from.u64()?);
                let flags = FlagMask { set: from.u8()?, clear: from.u8()? };
                let (strict, one_time, second_factor) = (from.bool()?, from.bool()?, from.bool()?);
                let (target, sequences, ways) = (from.maybe_address()?, Vec::new(), Ways::default());
                Self::Door(Door { id, sequences, one_time, flags, target, within, strict, second_factor, ways })
            }
            2 => {
                let count = usize::from(from.u8()?);
                let in_bounds = (1..=MOST_PORTS).contains(&count);
                Self::Sequence((0..count).map(|_| from.port()).collect::<Option<_>>().filter(|_| in_bounds)?)
            }
            3 => Self::CommitDoors,
            4 => Self::Local(from.u32()?, from.address()?),
            5 => Self::Loopback(from.u32()?),
            6 => {
                let Port { proto, number } = from.port()?;
                Self::Service(proto, number, from.u16()?)
            }
            7 => Self::CommitSight(from.bool()?),
            8 => Self::Count,
            9 => Self::Begin,
            10 => Self::Interface(from.u32()?),
            11 => Self::Ping(from.u64()?),
            12 => Self::Called(from.name()?),
            13 => Self::Server(ServerKey::new(from.take()?), Shape::of(from.u8()?)?, from.u64()?, from.u64()?),
            14 => Self::Key(Key {
                key: KeyRef(from.u32()?),
                id: from.take()?,
                not_before: from.maybe_u64()?,
                expires: from.maybe_u64()?,
                max_uses: from.maybe_u64()?.map(u32::try_from).transpose().ok()?,
                max_open_for: from.maybe_u64()?,
                join_before: from.maybe_u64()?,
                no_clock: from.bool()?,
                once: from.bool()?,
                ..Key::new(KeyRef::default(), [0; 8])
            }),
            15 => Self::Secrets(Public::new(from.take()?).ok()?, Psk::new(from.take()?)),
            16 => Self::KeyDoor(DoorId(from.u32()?)),
            17 => Self::Hours(Hours { days: from.u8()?, from: from.u16()?, to: from.u16()? }),
            18 => Self::Network(Network { address: from.address()?, prefix: from.u8()? }),
            19 => Self::Factor(Factor(Zeroizing::new(from.text(LONGEST_SECRET)?.to_vec()))),
            20 => {
                let (id, floor, uses) = (from.take()?, from.u64()?, from.u32()?);
                let (bound, device) = (from.bool()?, from.take()?);
                let count = usize::from(from.u8()?);
                let recent: Vec<u64> = (0..count).map(|_| from.u64()).collect::<Option<_>>()?;
                Self::Mark(id, Mark::new(floor, recent, uses, bound.then_some(device)))
            }
            21 => {
                let (sequence, encoded, log) = (from.bool()?, from.bool()?, from.bool()?);
                let (packet, mail, quorum) = (from.bool()?, from.bool()?, from.u8()?);
                let (share_within, valid_for, count) = (from.u64()?, from.u64()?, usize::from(from.u8()?));
                let books = (0..count).map(|_| from.u16().map(SourceId));
                let guestbooks = books.collect::<Option<Vec<_>>>().filter(|_| count <= MOST_BOOKS)?;
                Self::Ways(Ways { sequence, encoded, log, packet, mail, guestbooks, quorum, share_within, valid_for })
            }
            22 => Self::Sheet(from.u16()?),
            23 => Self::Source(SourceId(from.u16()?), from.bool()?, from.name()?),
            25 => Self::Spelling(Spelling { template: Template::read(from.take()?)?, pause: from.u64()? }),
            24 => Self::Judged(from.u32()?, Verdict::of(from.u8()?)?),
            _ => return None,
        })
    }
}

impl Up {
    pub(crate) fn encode(&self) -> [u8; UP_SIZE] {
        let mut out = Writer::<UP_SIZE>::new();
        match *self {
            Self::Ready { landlock, seccomp } => drop(out.u8(1).u8(u8::from(landlock)).u8(u8::from(seccomp))),
            Self::Stage { door, origin, stage } => drop(out.u8(2).u32(door.0).address(origin).u8(stage)),
            Self::TimedOut { door, origin, stage } => drop(out.u8(3).u32(door.0).address(origin).u8(stage)),
            Self::Grant { door, address, uses_up } => {
                out.u8(4).u32(door.0).address(address);
                out.u8(u8::from(uses_up.is_some())).u16(uses_up.unwrap_or(0));
            }
            Self::Refused { door, origin } => drop(out.u8(5).u32(door.0).address(origin)),
            Self::Silenced(count) => drop(out.u8(6).u64(count)),
            Self::Strange => drop(out.u8(7)),
            Self::Count(which, value) => drop(out.u8(8).u8(which).u64(value)),
            Self::Packet(Knock { origin, from_port, to, port, flags }) => {
                out.u8(9).address(origin).u16(from_port).address(to).port(port).u8(flags.0);
            }
            Self::Broken { door, origin, stage, at } => {
                out.u8(10).u32(door.0).address(origin).u8(stage).port(at);
            }
            Self::Pong(number) => drop(out.u8(11).u64(number)),
            Self::Sealed { door, address, sealed, offer } => {
                let Sealed { key, source, form, counter, device, hold } = sealed;
                out.u8(12).u32(door.0).address(address).source(&source).form(form);
                out.u32(key.0).u64(counter).put(&device);
                let (kind, ms) = match hold {
                    Hold::AsDoor => (0, 0),
                    Hold::AtMost(ms) => (1, ms),
                    Hold::Exactly(ms) => (2, ms),
                };
                out.u8(kind).u64(ms).bool(offer.is_some()).u32(offer.unwrap_or(0));
            }
            Self::SealedRefused(SealedRefusal { key, door, source, form, address, why, clock_ahead, burnt }) => {
                out.u8(13).maybe_u64(key.map(|key| key.0.into())).maybe_u64(door.map(|door| door.0.into()));
                out.source(&source).form(form).maybe_address(address).u8(why.number());
                out.maybe_u64(clock_ahead.map(i64::cast_unsigned)).maybe_u64(burnt);
            }
            Self::Burnt { key, form, counter } => drop(out.u8(14).u32(key.0).form(form).u64(counter)),
        }
        out.bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader::of::<UP_SIZE>(bytes)?;
        Some(match from.u8()? {
            1 => Self::Ready { landlock: from.bool()?, seccomp: from.bool()? },
            2 => Self::Stage { door: DoorId(from.u32()?), origin: from.address()?, stage: from.u8()? },
            3 => Self::TimedOut { door: DoorId(from.u32()?), origin: from.address()?, stage: from.u8()? },
            4 => {
                let (door, address, one_time) = (DoorId(from.u32()?), from.address()?, from.bool()?);
                Self::Grant { door, address, uses_up: Some(from.u16()?).filter(|_| one_time) }
            }
            5 => Self::Refused { door: DoorId(from.u32()?), origin: from.address()? },
            6 => Self::Silenced(from.u64()?),
            7 => Self::Strange,
            8 => Self::Count(from.u8()?, from.u64()?),
            9 => {
                let (origin, from_port) = (from.address()?, from.u16()?);
                let (to, port) = (from.address()?, from.port()?);
                Self::Packet(Knock { origin, from_port, to, port, flags: TcpFlags(from.u8()?) })
            }
            10 => {
                let (door, origin) = (DoorId(from.u32()?), from.address()?);
                Self::Broken { door, origin, stage: from.u8()?, at: from.port()? }
            }
            11 => Self::Pong(from.u64()?),
            12 => {
                let (door, address, source) = (DoorId(from.u32()?), from.address()?, from.source()?);
                let (form, key, counter, device) = (from.form()?, KeyRef(from.u32()?), from.u64()?, from.take()?);
                let hold = match (from.u8()?, from.u64()?) {
                    (0, 0) => Hold::AsDoor,
                    (1, ms) => Hold::AtMost(ms),
                    (2, ms) => Hold::Exactly(ms),
                    _ => return None,
                };
                let (offered, offer) = (from.bool()?, from.u32()?);
                let sealed = Sealed { key, source, form, counter, device, hold };
                Self::Sealed { door, address, sealed, offer: Some(offer).filter(|_| offered) }
            }
            13 => {
                let number = |value: Option<u64>| value.map(u32::try_from).transpose().ok();
                Self::SealedRefused(SealedRefusal {
                    key: number(from.maybe_u64()?)?.map(KeyRef),
                    door: number(from.maybe_u64()?)?.map(DoorId),
                    source: from.source()?,
                    form: from.form()?,
                    address: from.maybe_address()?,
                    why: Refusal::of(from.u8()?)?,
                    clock_ahead: from.maybe_u64()?.map(u64::cast_signed),
                    burnt: from.maybe_u64()?,
                })
            }
            14 => Self::Burnt { key: KeyRef(from.u32()?), form: from.form()?, counter: from.u64()? },
            _ => return None,
        })
    }
}

/// Fills a message from its start; the rest stays zero. What does not fit is left out: no message here is so long.
struct Writer<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Writer<N> {
    fn new() -> Self {
        Self { bytes: [0; N], at: 0 }
    }

    fn put(&mut self, more: &[u8]) -> &mut Self {
        if let Some(place) = self.bytes.get_mut(self.at..self.at + more.len()) {
            place.copy_from_slice(more);
            self.at += more.len();
        }
        self
    }

    fn u8(&mut self, value: u8) -> &mut Self {
        self.put(&[value])
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    fn bool(&mut self, value: bool) -> &mut Self {
        self.u8(value.into())
    }

    fn maybe_u64(&mut self, value: Option<u64>) -> &mut Self {
        self.bool(value.is_some()).u64(value.unwrap_or(0))
    }

    fn maybe_address(&mut self, value: Option<IpAddr>) -> &mut Self {
        self.bool(value.is_some()).address(value.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
    }

    /// At most 127 bytes.
    fn text(&mut self, text: &[u8]) -> &mut Self {
        self.u8(u8::try_from(text.len()).unwrap_or(0)).put(text)
    }

    fn source(&mut self, source: &Source) -> &mut Self {
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

    fn form(&mut self, form: Form) -> &mut Self {
        match form {
            Form::Packet => self.u8(0).u16(0),
            Form::Token => self.u8(1).u16(0),
            Form::Shares(count) => self.u8(2).u16(count.into()),
            Form::Code(sheet) => self.u8(3).u16(sheet),
            Form::Encoded => self.u8(4).u16(0),
        }
    }

    fn port(&mut self, port: Port) -> &mut Self {
        self.u8(u8::from(port.proto == Proto::Udp)).u16(port.number)
    }

    fn address(&mut self, address: IpAddr) -> &mut Self {
        match address {
            IpAddr::V4(v4) => self.u8(4).put(&v4.octets()).put(&[0; 12]),
            IpAddr::V6(v6) => self.u8(6).put(&v6.octets()),
        }
    }
}

/// Takes a message apart from its start.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// A message must have exactly its size.
    fn of<const N: usize>(bytes: &'a [u8]) -> Option<Self> {
        (bytes.len() == N).then_some(Self(bytes))
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (&taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn bool(&mut self) -> Option<bool> {
        self.u8().filter(|&value| value < 2).map(|value| value == 1)
    }

    fn maybe_u64(&mut self) -> Option<Option<u64>> {
        let there = self.bool()?;
        self.u64().map(|value| Some(value).filter(|_| there))
    }

    fn maybe_address(&mut self) -> Option<Option<IpAddr>> {
        let there = self.bool()?;
        self.address().map(|address| Some(address).filter(|_| there))
    }

    fn text(&mut self, most: usize) -> Option<&'a [u8]> {
        let length = usize::from(self.u8()?);
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        (length <= most).then_some(text)
    }

    fn name(&mut self) -> Option<Name> {
        Name::new(std::str::from_utf8(self.text(64)?).ok()?)
    }

    fn source(&mut self) -> Option<Source> {
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

    fn form(&mut self) -> Option<Form> {
        match (self.u8()?, self.u16()?) {
            (0, 0) => Some(Form::Packet),
            (1, 0) => Some(Form::Token),
            (2, count) => u8::try_from(count).ok().map(Form::Shares),
            (3, sheet) => Some(Form::Code(sheet)),
            (4, 0) => Some(Form::Encoded),
            _ => None,
        }
    }

    fn port(&mut self) -> Option<Port> {
        let proto = if self.bool()? { Proto::Udp } else { Proto::Tcp };
        Some(Port { proto, number: self.u16()? })
    }

    fn address(&mut self) -> Option<IpAddr> {
        let (family, bytes) = (self.u8()?, self.take::<16>()?);
        match (family, bytes.first_chunk::<4>()) {
            (4, Some(&v4)) => Some(Ipv4Addr::from(v4).into()),
            (6, _) => Some(Ipv6Addr::from(bytes).into()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn door(target: Option<IpAddr>) -> Door {
        let flags = FlagMask { set: 2, clear: 16 };
        let (id, second_factor) = (DoorId(7), true);
        let ways = Ways::default();
        Door { id, sequences: vec![], one_time: true, flags, target, within: 5000, strict: true, second_factor, ways }
    }

    fn key() -> Key {
        Key {
            not_before: Some(0),
            expires: Some(u64::MAX),
            max_uses: Some(u32::MAX),
            no_clock: true,
            once: true,
            ..Key::new(KeyRef(u32::MAX), [4; 8])
        }
    }

    fn sealed(hold: Hold) -> Sealed {
        let source = Source::Packet(IpAddr::from([9_u16; 8]));
        Sealed { key: KeyRef(7), source, form: Form::Packet, counter: u64::MAX, device: [6; 16], hold }
    }

    /// With all that may be there, or nothing.
    fn refused(some: Option<u32>) -> SealedRefusal {
        let origin = IpAddr::from([192, 0, 2, 7]);
        SealedRefusal {
            key: some.map(KeyRef),
            door: some.map(DoorId),
            source: Source::Mail(SourceId(7)),
            form: Form::Code(2047),
            address: some.map(|_| origin),
            why: Refusal::WrongClock,
            clock_ahead: some.map(|_| -5),
            burnt: some.map(u64::from),
        }
    }

    #[test]
    fn every_message_to_the_watch_comes_through() {
        let v6 = IpAddr::from([1u16, 2, 3, 4, 5, 6, 7, 8]);
        for down in [
            Down::Door(door(None)),
            Down::Door(door(Some(v6))),
            Down::Sequence((0..32).map(|n| if n % 2 == 0 { Port::tcp(n) } else { Port::udp(65535 - n) }).collect()),
            Down::CommitDoors,
            Down::Local(3, v6),
            Down::Loopback(1),
            Down::Interface(70_000),
            Down::Begin,
            Down::Service(Proto::Udp, 1, 65535),
            Down::CommitSight(true),
            Down::Count,
            Down::Ping(u64::MAX - 1),
            Down::Called(Name::new(&"x".repeat(64)).unwrap()),
            Down::Server(ServerKey::new([8; 32]), Shape::Quic, 120_000, u64::MAX),
            Down::Key(key()),
            Down::Secrets(klopf_spa::Seed::new([7; 32]).public(), Psk::new([9; 32])),
            Down::KeyDoor(DoorId(3)),
            Down::Hours(Hours { days: 127, from: 1439, to: 1440 }),
            Down::Network(Network { address: v6, prefix: 128 }),
            Down::Factor(Factor(Zeroizing::new(vec![1; LONGEST_SECRET]))),
            Down::Mark([5; 8], Mark::new(9, 10..21, 3, Some([7; 16]))),
            Down::Mark([5; 8], Mark::new(0, [], 0, None)),
            Down::Ways(Ways { sequence: false, encoded: true, log: true, ..Ways::default() }),
            Down::Ways(Ways { mail: true, guestbooks: (0..32).map(SourceId).collect(), quorum: 8, ..Ways::default() }),
            Down::Sheet(2047),
            Down::Spelling(Spelling { template: Template::read([0x3c, 17, 128, 0, 15]).unwrap(), pause: 60_000 }),
            Down::Source(SourceId(u16::MAX), true, Name::new(&"x".repeat(64)).unwrap()),
            Down::Judged(u32::MAX, Verdict::Later),
        ] {
            assert_eq!(Down::decode(&*down.encode()), Some(down));
        }
    }

    #[test]
    fn every_message_to_the_keeper_comes_through() {
        let (door, origin) = (DoorId(9), IpAddr::from([192, 0, 2, 7]));
        let v6 = IpAddr::from([1u16, 2, 3, 4, 5, 6, 7, 8]);
        let books = Source::Guestbooks(Books::new((0..8).map(|number| SourceId(u16::MAX - number))));
        let knock = Knock { origin, from_port: 1, to: origin, port: Port::udp(53), flags: TcpFlags(0) };
        for up in [
            Up::Ready { landlock: true, seccomp: false },
            Up::Stage { door, origin, stage: 3 },
            Up::TimedOut { door, origin, stage: 31 },
            Up::Grant { door, address: origin, uses_up: None },
            Up::Grant { door, address: origin, uses_up: Some(0) },
            Up::Refused { door, origin },
            Up::Silenced(u64::MAX),
            Up::Strange,
            Up::Count(4, 1 << 40),
            Up::Packet(knock),
            Up::Broken { door, origin, stage: 2, at: Port::udp(65535) },
            Up::Pong(1 << 63),
            Up::Sealed { door, address: v6, sealed: sealed(Hold::Exactly(u64::MAX)), offer: None },
            Up::Sealed { door, address: origin, sealed: sealed(Hold::AsDoor), offer: Some(u32::MAX) },
            Up::Sealed {
                door,
                address: v6,
                sealed: Sealed { source: books, form: Form::Shares(8), ..sealed(Hold::AsDoor) },
                offer: Some(0),
            },
            Up::SealedRefused(refused(None)),
            Up::SealedRefused(refused(Some(1))),
            Up::Burnt { key: KeyRef(5), form: Form::Token, counter: u64::MAX },
            Up::Sealed {
                door,
                address: v6,
                sealed: Sealed { source: Source::Log(SourceId(9)), form: Form::Encoded, ..sealed(Hold::AsDoor) },
                offer: None,
            },
        ] {
            assert_eq!(Up::decode(&up.encode()), Some(up));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..140)) {
            let _ = (Up::decode(&bytes), Down::decode(&bytes));
        }

        #[test]
        fn any_message_of_the_right_size_is_decoded_without_panic(tag in 0u8..28, rest: [u8; 32]) {
            let fill = |size| [tag].into_iter().chain(rest.into_iter().cycle()).take(size).collect::<Vec<u8>>();
            if let Some(up) = Up::decode(&fill(UP_SIZE)) {
                prop_assert_eq!(Up::decode(&up.encode()), Some(up));
            }
            let _ = Down::decode(&fill(DOWN_SIZE));
        }
    }
}
