//! What keeper and watch say to each other: messages of fixed size, each decoder total.
//!
//! The keeper tells the watch what to look for ([`Down`]); the watch tells the keeper what it saw ([`Up`]). Nothing
//! the watch can say names more than a door, a key, addresses and numbers.

mod bytes;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use klopf_brief::Verdict;
use klopf_engine::{
    Door, DoorId, Earliest, Form, Hold, Hours, Key, KeyRef, Mark, MayAsk, Network, Refusal, Sealed, SealedRefusal,
    SourceId, Ways,
};
use klopf_spa::encoded::Template;
use klopf_spa::{Name, Psk, Public, ServerKey, Shape};
use klopf_sys::Depth;
use klopf_trail::Place;
use klopf_wire::line::Preset;
use klopf_wire::{FlagMask, Knock, Port, Proto, TcpFlags};
use zeroize::Zeroizing;

use self::bytes::{Reader, Writer};
use crate::plan::{Factor, LogLines, Spelling};

/// Bytes of a message to the watch.
pub(crate) const DOWN_SIZE: usize = 128;
/// Bytes of a message to the keeper.
pub(crate) const UP_SIZE: usize = 96;
/// Counters of a mark in one message.
const RECENT_AT_ONCE: usize = 11;
/// Bytes of a second factor's secret at most.
const LONGEST_SECRET: usize = 64;

/// Formats of logs, by their numbers from 1 on.
const PRESETS: [Preset; 3] = [Preset::Iptables, Preset::Nft, Preset::Ufw];
/// Guestbooks of a door at most.
const MOST_BOOKS: usize = 32;
/// Ranges of ports in one message.
const PORTS_AT_ONCE: usize = 31;
/// Ports of a sequence at most.
const MOST_PORTS: usize = 32;

/// To the watch. Doors and sight are collected, and come into force whole with their commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Down {
    /// Forget what was collected and is not in force.
    Begin,
    /// A door, without its sequences and ways, and what may be asked for.
    Door(Door),
    /// How sealed knocks may open the door before.
    Ways(Ways),
    /// What sealed knocks may ask for at the door before, but for ports.
    MayAsk(MayAsk),
    /// Ports that they may ask for there, as many as [`PORTS_AT_ONCE`].
    AskPorts(Vec<(u16, u16)>),
    /// A sequence of the door before.
    Sequence(Vec<Port>),
    /// What sealed knocks call the door before.
    Called(Name),
    /// The encoded sequences of the door before.
    Spelling(Spelling),
    /// What sealed knocks are sealed for, what they look like, by how many milliseconds a clock may be wrong, and since
    /// when, in milliseconds since 1970, it is known what was accepted.
    Server(ServerKey, Shape, u64, Earliest),
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
    /// With a descriptor: a packet socket that keeps so much of each packet.
    Ring(Depth),
    /// A log; what is looked for in its lines comes in pieces, see [`Down::log`].
    Log(SourceId, Option<Preset>, bool),
    /// Some bytes of a text.
    Text(Piece),
    /// The text so far is the prefix of the log before.
    LogPrefix,
    /// The text so far is a pattern of the log before.
    LogPattern,
    /// With a descriptor: whenever there is something to read from it, files of logs have changed.
    LogChanges,
    /// With a descriptor: the newest file of a log, and where reading is to go on.
    LogFile(SourceId, Place),
    /// With a descriptor: a group of NFLOG.
    LogPackets(SourceId),
    /// With a descriptor: what journalctl prints.
    LogJournal(SourceId),
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
    /// Where reading has got in one of the files of a log, the oldest first; whether it is the last one.
    Place(SourceId, Place, bool),
    /// Bytes of where reading has got in the journal; whether they are the last ones.
    Cursor(SourceId, Piece, bool),
    /// How many lines of a log were read, and hits and tokens were found in them, by this watch.
    LogCounts(SourceId, [u64; 3]),
}

/// Some bytes of something longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    bytes: [u8; Self::MOST],
    length: u8,
}

impl Piece {
    /// Bytes of one piece at most.
    const MOST: usize = 80;

    /// All of something in pieces; one empty piece of nothing.
    pub(crate) fn all(bytes: &[u8]) -> Vec<Self> {
        let piece = |part: &[u8]| {
            let mut piece = Self { bytes: [0; Self::MOST], length: u8::try_from(part.len()).unwrap_or(0) };
            piece.bytes.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
            piece
        };
        let all: Vec<_> = bytes.chunks(Self::MOST).map(piece).collect();
        if all.is_empty() { vec![piece(&[])] } else { all }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length.into()).unwrap_or_default()
    }
}

impl Down {
    /// What may be asked for at a door, in as many messages as it takes.
    pub(crate) fn may_ask(may_ask: &MayAsk) -> Vec<Self> {
        let rest = MayAsk { ports: Vec::new(), ..may_ask.clone() };
        let ports = may_ask.ports.chunks(PORTS_AT_ONCE).map(|ports| Self::AskPorts(ports.to_vec()));
        [Self::MayAsk(rest)].into_iter().chain(ports).collect()
    }

    /// All of a mark, in as many messages as it takes.
    pub(crate) fn marks(id: [u8; 8], mark: &Mark) -> Vec<Self> {
        let part = |recent: &[u64]| {
            Self::Mark(id, Mark::new(mark.floor(), recent.iter().copied(), mark.uses(), mark.device()))
        };
        let parts = mark.recent().chunks(RECENT_AT_ONCE).map(part);
        if mark.recent().is_empty() { vec![part(&[])] } else { parts.collect() }
    }

    /// A log and all that is looked for in it.
    pub(crate) fn log(id: SourceId, lines: &LogLines) -> Vec<Self> {
        let LogLines { preset, prefix, patterns, tokens } = lines;
        let mut all = vec![Self::Log(id, *preset, *tokens)];
        let mut text = |text: &str, is: Self| {
            all.extend(Piece::all(text.as_bytes()).into_iter().map(Self::Text));
            all.push(is);
        };
        prefix.iter().for_each(|prefix| text(prefix, Self::LogPrefix));
        patterns.iter().for_each(|pattern| text(pattern, Self::LogPattern));
        all
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
                out.u8(13).put(key.bytes()).u8(shape.number()).u64(*window).u64(earliest.all).u64(earliest.packets);
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
            Self::MayAsk(MayAsk { hold, prefix, prefix6, flags, .. }) => {
                out.u8(30).maybe_u64(*hold).u8(*prefix).u8(*prefix6).u8(*flags);
            }
            Self::AskPorts(ports) => {
                let ports = ports.get(..PORTS_AT_ONCE).unwrap_or(ports);
                out.u8(31).u8(u8::try_from(ports.len()).unwrap_or(0));
                for (first, last) in ports {
                    out.u16(*first).u16(*last);
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
            Self::Log(id, preset, tokens) => {
                let preset = PRESETS.iter().position(|known| Some(known) == preset.as_ref());
                out.u8(40).u16(id.0).u8(preset.map_or(0, |place| u8::try_from(place + 1).unwrap_or(0))).bool(*tokens);
            }
            Self::Text(piece) => drop(out.u8(41).text(piece.bytes())),
            Self::LogPrefix => drop(out.u8(42)),
            Self::LogPattern => drop(out.u8(43)),
            Self::LogChanges => drop(out.u8(44)),
            Self::LogFile(id, place) => drop(out.u8(45).u16(id.0).place(place)),
            Self::LogPackets(id) => drop(out.u8(46).u16(id.0)),
            Self::LogJournal(id) => drop(out.u8(47).u16(id.0)),
            Self::Ring(depth) => drop(out.u8(48).bool(*depth == Depth::Whole)),
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
                let may_ask = MayAsk::default();
                Self::Door(Door {
                    id,
                    sequences,
                    one_time,
                    flags,
                    target,
                    within,
                    strict,
                    second_factor,
                    ways,
                    may_ask,
                })
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
            13 => {
                let (key, shape, window) = (ServerKey::new(from.take()?), Shape::of(from.u8()?)?, from.u64()?);
                Self::Server(key, shape, window, Earliest { all: from.u64()?, packets: from.u64()? })
            }
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
            30 => {
                let (hold, prefix, prefix6, flags) = (from.maybe_u64()?, from.u8()?, from.u8()?, from.u8()?);
                Self::MayAsk(MayAsk { ports: Vec::new(), hold, prefix, prefix6, flags })
            }
            31 => {
                let count = usize::from(from.u8()?);
                Self::AskPorts((0..count).map(|_| Some((from.u16()?, from.u16()?))).collect::<Option<_>>()?)
            }
            22 => Self::Sheet(from.u16()?),
            23 => Self::Source(SourceId(from.u16()?), from.bool()?, from.name()?),
            25 => Self::Spelling(Spelling { template: Template::read(from.take()?)?, pause: from.u64()? }),
            40 => {
                let (id, preset, tokens) = (SourceId(from.u16()?), from.u8()?, from.bool()?);
                let preset = match usize::from(preset).checked_sub(1) {
                    Some(place) => Some(*PRESETS.get(place)?),
                    None => None,
                };
                Self::Log(id, preset, tokens)
            }
            41 => Self::Text(from.piece()?),
            42 => Self::LogPrefix,
            43 => Self::LogPattern,
            44 => Self::LogChanges,
            45 => Self::LogFile(SourceId(from.u16()?), from.place()?),
            46 => Self::LogPackets(SourceId(from.u16()?)),
            47 => Self::LogJournal(SourceId(from.u16()?)),
            48 => Self::Ring(if from.bool()? { Depth::Whole } else { Depth::Headers }),
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
                let Sealed { key, source, form, counter, ahead, device, hold, asks } = sealed;
                out.u8(12).u32(door.0).address(address).source(&source).form(form);
                out.u32(key.0).u64(counter).bool(ahead).put(&device);
                let (kind, ms) = match hold {
                    Hold::AsDoor => (0, 0),
                    Hold::AtMost(ms) => (1, ms),
                    Hold::Exactly(ms) => (2, ms),
                };
                out.u8(kind).u64(ms).bool(offer.is_some()).u32(offer.unwrap_or(0)).asks(asks);
            }
            Self::SealedRefused(SealedRefusal { key, door, source, form, address, why, clock_ahead, burnt }) => {
                out.u8(13).maybe_u64(key.map(|key| key.0.into())).maybe_u64(door.map(|door| door.0.into()));
                out.source(&source).form(form).maybe_address(address).u8(why.number());
                out.maybe_u64(clock_ahead.map(i64::cast_unsigned)).maybe_u64(burnt);
            }
            Self::Burnt { key, form, counter } => drop(out.u8(14).u32(key.0).form(form).u64(counter)),
            Self::Place(id, place, last) => drop(out.u8(15).u16(id.0).place(&place).bool(last)),
            Self::Cursor(id, piece, last) => drop(out.u8(16).u16(id.0).bool(last).text(piece.bytes())),
            Self::LogCounts(id, counts) => {
                out.u8(17).u16(id.0);
                for count in counts {
                    out.u64(count);
                }
            }
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
                let (form, key, counter) = (from.form()?, KeyRef(from.u32()?), from.u64()?);
                let (ahead, device) = (from.bool()?, from.take()?);
                let hold = match (from.u8()?, from.u64()?) {
                    (0, 0) => Hold::AsDoor,
                    (1, ms) => Hold::AtMost(ms),
                    (2, ms) => Hold::Exactly(ms),
                    _ => return None,
                };
                let (offered, offer) = (from.bool()?, from.u32()?);
                let sealed = Sealed { key, source, form, counter, ahead, device, hold, asks: from.asks()? };
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
            15 => Self::Place(SourceId(from.u16()?), from.place()?, from.bool()?),
            16 => {
                let (id, last) = (SourceId(from.u16()?), from.bool()?);
                Self::Cursor(id, from.piece()?, last)
            }
            17 => Self::LogCounts(SourceId(from.u16()?), [from.u64()?, from.u64()?, from.u64()?]),
            14 => Self::Burnt { key: KeyRef(from.u32()?), form: from.form()?, counter: from.u64()? },
            _ => return None,
        })
    }
}
