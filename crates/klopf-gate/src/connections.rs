//! Connections as the kernel tracks them: which are up, and cutting one.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::{
    DefaultNla, Emitable, NLA_F_NESTED, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkBuffer,
    NetlinkMessage, NetlinkPayload, Nla,
};
use netlink_packet_netfilter::conntrack::{
    ConntrackAttribute as Attribute, ConntrackMessage, ConntrackMessageType, IPTuple, ProtoInfo, ProtoInfoTCP,
    ProtoTuple, Protocol, Status, Tuple,
};
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily as Family, NetfilterSubsystem,
};
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};

/// How many connections a list holds at most; the rest is left out.
const MOST: usize = 1 << 16;
/// Bytes of a part of an answer: so few that nobody waits long for one to be read.
const PART: usize = 1 << 13;

// Of linux/netfilter/nfnetlink_conntrack.h, as far as the library does not know them.
const GET_STATS: u8 = 5;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_ID: u16 = 12;
const CTA_ZONE: u16 = 18;
const CTA_FILTER: u16 = 25;
const CTA_FILTER_ORIG_FLAGS: u16 = 1;
/// Compares the source address of the first packet; of the kernel's net/netfilter/nf_internals.h.
const BY_SOURCE: u32 = 1;

/// `enum tcp_conntrack` of linux/netfilter/nf_conntrack_tcp.h.
const ESTABLISHED: u8 = 3;
/// From ESTABLISHED to TIME_WAIT: the handshake is done.
const MET: [u8; 5] = [ESTABLISHED, 4, 5, 6, 7];
/// From SYN_SENT to CLOSE_WAIT, and SYN_SENT2: both ends have said SYN. Then come LAST_ACK, TIME_WAIT and CLOSE.
const UP: [u8; 6] = [1, 2, ESTABLISHED, 4, 5, 9];

/// A TCP connection, or an exchange over UDP, as its first packet showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Who began it.
    pub origin: IpAddr,
    /// From which port.
    pub from_port: u16,
    /// To which address, before any translation.
    pub to: IpAddr,
    /// 6 for TCP, 17 for UDP.
    pub proto: u8,
    /// To which port, before any translation.
    pub port: u16,
    /// Whether it goes on: TCP that is not at its end; UDP as long as the kernel remembers it.
    pub up: bool,
    /// Whether the other side took part: TCP with its handshake done, if it has ended since, too; UDP that was answered.
    pub established: bool,
    /// Tells it from a later one between the same ends.
    pub id: Option<[u8; 4]>,
    /// The zone of connection tracking it is in; 0 unless somebody set up others.
    pub zone: u16,
}

/// Access to the kernel's table of connections. Needs CAP_NET_ADMIN.
///
/// Each question has a socket of its own, so that nothing of one that failed is taken for an answer to the next. An
/// answer is there when it is read; nothing here waits.
#[derive(Debug)]
pub struct Connections(());

impl Connections {
    /// Makes sure that the kernel answers.
    ///
    /// # Errors
    /// `Unsupported` if the kernel does not tell of connections, `EPERM` without the right, or as socket(2).
    pub fn open() -> io::Result<Self> {
        let stats = ConntrackMessage::Other { message_type: GET_STATS, attributes: Vec::new() };
        match ask(Family::Unspec, stats.into(), NLM_F_ACK, |_| {}) {
            Ok(()) => Ok(Self(())),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EPROTONOSUPPORT)) => {
                let what = "the kernel does not tell of connections: it has no module nf_conntrack_netlink";
                Err(io::Error::new(io::ErrorKind::Unsupported, what))
            }
            Err(error) => Err(error),
        }
    }

    /// Begins a list of the connections of both families; [`Listing::go_on`] makes it.
    ///
    /// # Errors
    /// As socket(2).
    pub fn begin(&self) -> io::Result<Listing> {
        Ok(Listing { socket: everything()?, begun_again: false, found: Vec::new(), whole: true })
    }

    /// The connections of both families that are wanted, 65,536 at most. Takes half a second where there are 260,000.
    ///
    /// # Errors
    /// What the kernel answers; `InvalidData` if that cannot be read.
    pub fn list(&self, wanted: &dyn Fn(&Connection) -> bool) -> io::Result<Vec<Connection>> {
        let mut listing = self.begin()?;
        loop {
            if let Progress::Done(list) = listing.go_on(usize::MAX, wanted)? {
                return Ok(list.connections);
            }
        }
    }

    /// The connections that an address began, 65,536 at most.
    ///
    /// # Errors
    /// As [`Connections::list`].
    pub fn list_of(&self, address: IpAddr) -> io::Result<Vec<Connection>> {
        let address = address.to_canonical();
        let wanted = |connection: &Connection| connection.origin == address;
        let all = || collect(family(address), ConntrackMessage::Get(Vec::new()).into(), &wanted);
        if address.is_ipv6() {
            return all(); // asked for an address, 6.18 sends the connections of all others
        }
        // A kernel before 5.8 overlooks the filter and sends all.
        match collect(Family::IPv4, begun_by(address), &wanted) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EINVAL)) => all(),
            answer => answer,
        }
    }

    /// Makes the kernel forget a connection: its next packet is a first one. One that is gone already is no error.
    ///
    /// If a socket of this host sends that next packet, the kernel takes it for the one who began, and what comes back for
    /// answers. [`klopf_sys::end_tcp`] is for these.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn cut(&self, connection: &Connection) -> io::Result<()> {
        let ends = [IPTuple::SourceAddress(connection.origin), IPTuple::DestinationAddress(connection.to)];
        let ports = [
            ProtoTuple::Protocol(connection.proto.into()),
            ProtoTuple::SourcePort(connection.from_port),
            ProtoTuple::DestinationPort(connection.port),
        ];
        let mut attributes = vec![Attribute::CtaTupleOrig(vec![Tuple::Ip(ends.into()), Tuple::Proto(ports.into())])];
        attributes.extend(connection.id.map(|id| Attribute::Other(DefaultNla::new(CTA_ID, id.into()))));
        if connection.zone != 0 {
            attributes.push(Attribute::Other(DefaultNla::new(CTA_ZONE, connection.zone.to_be_bytes().into())));
        }
        match ask(family(connection.origin), ConntrackMessage::Delete(attributes).into(), NLM_F_ACK, |_| {}) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            answer => answer,
        }
    }
}

/// A list that is being made, with a socket of its own: readable until it is done.
pub struct Listing {
    socket: Socket,
    begun_again: bool,
    found: Vec<Connection>,
    whole: bool,
}

/// How far a list is.
#[derive(Debug)]
pub enum Progress {
    /// There is more to come.
    More,
    /// This is all.
    Done(List),
}

/// Connections that were listed.
#[derive(Debug, PartialEq, Eq)]
pub struct List {
    /// 65,536 at most.
    pub connections: Vec<Connection>,
    /// Whether none is missing that was there all the time.
    pub whole: bool,
}

impl Listing {
    /// Takes so many parts of the kernel's answer, of some 30 connections each. An answer that breaks off is asked for
    /// once more; if that breaks off, too, what there is must do.
    ///
    /// # Errors
    /// What the kernel answers; `InvalidData` if that cannot be read. Then there is no going on.
    pub fn go_on(&mut self, parts: usize, wanted: &dyn Fn(&Connection) -> bool) -> io::Result<Progress> {
        let mut part = [0; PART];
        for _ in 0..parts {
            let heard = match self.socket.recv(&mut part.as_mut_slice(), 0) {
                Ok(length) => self.take(part.get(..length).unwrap_or_default(), wanted)?,
                // The next part is made when one is read; after one that was not, none comes.
                Err(error) if broke_off(&error) => Heard::Broken,
                Err(error) => return Err(error),
            };
            match heard {
                Heard::Part => {}
                Heard::Broken if !self.begun_again => {
                    *self = Self { socket: everything()?, begun_again: true, found: Vec::new(), whole: true };
                }
                Heard::Broken => return Ok(self.done(false)),
                Heard::End => return Ok(self.done(self.whole)),
            }
        }
        Ok(Progress::More)
    }

    fn take(&mut self, part: &[u8], wanted: &dyn Fn(&Connection) -> bool) -> io::Result<Heard> {
        read(part, &mut |attributes| {
            let Some(connection) = connection(attributes).filter(wanted) else { return };
            if self.found.len() < MOST {
                self.found.push(connection);
            } else {
                self.whole = false;
            }
        })
    }

    fn done(&mut self, whole: bool) -> Progress {
        Progress::Done(List { connections: std::mem::take(&mut self.found), whole })
    }
}

impl AsFd for Listing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        klopf_sys::netlink_fd(&self.socket)
    }
}

/// What a part of an answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// One of several.
    Part,
    /// The last one.
    End,
    /// One of an answer that is not to be relied on: things have changed while it was made, or some of it is lost.
    Broken,
}

fn broke_off(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::EAGAIN))
}

fn everything() -> io::Result<Socket> {
    send(Family::Unspec, ConntrackMessage::Get(Vec::new()).into(), NLM_F_DUMP)
}

fn family(address: IpAddr) -> Family {
    if address.is_ipv4() { Family::IPv4 } else { Family::IPv6 }
}

/// Asks for the connections that an address began. The library's own type would lose the mark of a nested attribute,
/// without which the kernel takes no filter.
fn begun_by(address: IpAddr) -> NetfilterMessageInner {
    let nested = |kind, inner: &dyn Emitable| {
        let mut value = vec![0; inner.buffer_len()];
        inner.emit(&mut value);
        DefaultNla::new(kind | NLA_F_NESTED, value)
    };
    let address = nested(CTA_TUPLE_ORIG, &Tuple::Ip(vec![IPTuple::SourceAddress(address)]));
    let flags = nested(CTA_FILTER, &DefaultNla::new(CTA_FILTER_ORIG_FLAGS, BY_SOURCE.to_ne_bytes().into()));
    NetfilterMessageInner::Other {
        subsys: NetfilterSubsystem::Conntrack,
        message_type: ConntrackMessageType::Get.into(),
        attributes: vec![address, flags],
    }
}

fn collect(
    family: Family,
    request: NetfilterMessageInner,
    wanted: &dyn Fn(&Connection) -> bool,
) -> io::Result<Vec<Connection>> {
    let mut found = Vec::new();
    ask(family, request, NLM_F_DUMP, |attributes| {
        let connection = connection(attributes).filter(|_| found.len() < MOST);
        found.extend(connection.filter(wanted));
    })?;
    Ok(found)
}

/// Sends a request and shows what comes back.
fn ask(
    family: Family,
    request: NetfilterMessageInner,
    flags: u16,
    mut take: impl FnMut(&[Attribute]),
) -> io::Result<()> {
    let socket = send(family, request, flags)?;
    let mut part = [0; PART];
    loop {
        let length = socket.recv(&mut part.as_mut_slice(), 0)?;
        match read(part.get(..length).unwrap_or_default(), &mut take)? {
            Heard::Part => {}
            Heard::End => return Ok(()),
            Heard::Broken => return Err(io::ErrorKind::Interrupted.into()),
        }
    }
}

/// A socket from which the answer to a request is read.
fn send(family: Family, request: NetfilterMessageInner, flags: u16) -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.set_non_blocking(true)?;
    let mut message = NetlinkMessage::from(NetfilterMessage::new(NetfilterHeader::new(family, 0, 0), request));
    message.header.flags = NLM_F_REQUEST | flags;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send_to(&bytes, &SocketAddr::new(0, 0), 0)?;
    Ok(socket)
}

/// Reads a part of an answer.
fn read(part: &[u8], take: &mut impl FnMut(&[Attribute])) -> io::Result<Heard> {
    let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    let mut rest = part;
    while !rest.is_empty() {
        let length = NetlinkBuffer::new_checked(rest).map_err(invalid)?.length();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let message = NetlinkMessage::<NetfilterMessage>::deserialize(rest).map_err(invalid)?;
        if message.header.flags & NLM_F_DUMP_INTR != 0 {
            return Ok(Heard::Broken);
        }
        match message.payload {
            NetlinkPayload::InnerMessage(message) => {
                if let NetfilterMessageInner::Conntrack(ConntrackMessage::New(attributes)) = message.inner {
                    take(&attributes);
                }
            }
            NetlinkPayload::Error(error) => return error.code.map_or(Ok(Heard::End), |_| Err(error.to_io())),
            NetlinkPayload::Done(done) if done.code < 0 => {
                return Err(io::Error::from_raw_os_error(done.code.saturating_neg()));
            }
            NetlinkPayload::Done(_) => return Ok(Heard::End),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(Heard::Part)
}

/// What the kernel says of a connection; none for one that is neither TCP nor UDP.
fn connection(attributes: &[Attribute]) -> Option<Connection> {
    let (mut origin, mut to, mut proto, mut from_port, mut port) = (None, None, None, None, None);
    let (mut state, mut status, mut id, mut zone) = (None, Status::empty(), None, 0);
    for attribute in attributes {
        match attribute {
            Attribute::CtaTupleOrig(tuples) => {
                for tuple in tuples {
                    match tuple {
                        Tuple::Ip(ends) => ends.iter().for_each(|end| match end {
                            IPTuple::SourceAddress(address) => origin = Some(*address),
                            IPTuple::DestinationAddress(address) => to = Some(*address),
                            _ => {}
                        }),
                        Tuple::Proto(parts) => parts.iter().for_each(|part| match part {
                            ProtoTuple::Protocol(number) => proto = Some(*number),
                            ProtoTuple::SourcePort(number) => from_port = Some(*number),
                            ProtoTuple::DestinationPort(number) => port = Some(*number),
                            _ => {}
                        }),
                        _ => {}
                    }
                }
            }
            Attribute::CtaProtoInfo(infos) => state = infos.iter().find_map(tcp_state),
            Attribute::CtaStatus(bits) => status = *bits,
            Attribute::Other(other) if other.kind() == CTA_ID => id = value(other),
            Attribute::Other(other) if other.kind() == CTA_ZONE => zone = value(other).map_or(0, u16::from_be_bytes),
            _ => {}
        }
    }
    let proto = proto.filter(|proto| matches!(proto, Protocol::Tcp | Protocol::Udp))?;
    let answered = status.contains(Status::SeenReply);
    let (up, established) = match proto {
        Protocol::Tcp => {
            let both = answered || status.contains(Status::Assured);
            (state.is_some_and(|state| UP.contains(&state)), state.is_some_and(|state| MET.contains(&state)) && both)
        }
        _ => (true, answered),
    };
    let (origin, from_port, to, port) = (origin?, from_port?, to?, port?);
    Some(Connection { origin, from_port, to, proto: proto.into(), port, up, established, id, zone })
}

fn tcp_state(info: &ProtoInfo) -> Option<u8> {
    let ProtoInfo::TCP(parts) = info else { return None };
    parts.iter().find_map(|part| if let ProtoInfoTCP::State(state) = part { Some(*state) } else { None })
}

/// The value of an attribute that has this length.
fn value<const N: usize>(attribute: &DefaultNla) -> Option<[u8; N]> {
    let mut value = [0; N];
    (attribute.value_len() == N).then(|| attribute.emit_value(&mut value))?;
    Some(value)
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::NetlinkHeader;
    use proptest::prelude::*;

    use super::*;

    const V4: [&str; 2] = ["192.0.2.7", "192.0.2.1"];
    const V6: [&str; 2] = ["2001:db8::7", "2001:db8::1"];

    /// An entry of the table as the kernel sends it.
    fn entry(ends: [&str; 2], proto: Protocol, state: Option<u8>, status: Status) -> Vec<u8> {
        let [origin, to] = ends.map(|end| end.parse().unwrap());
        let ports = vec![ProtoTuple::Protocol(proto), ProtoTuple::SourcePort(40_000), ProtoTuple::DestinationPort(22)];
        let tuple = |from, to| {
            let ends = vec![IPTuple::SourceAddress(from), IPTuple::DestinationAddress(to)];
            vec![Tuple::Ip(ends), Tuple::Proto(ports.clone())]
        };
        let mut attributes = vec![
            Attribute::CtaTupleOrig(tuple(origin, to)),
            Attribute::CtaTupleReply(tuple(to, origin)),
            Attribute::CtaStatus(status),
            Attribute::Other(DefaultNla::new(CTA_ID, vec![1, 2, 3, 4])),
            Attribute::Other(DefaultNla::new(CTA_ZONE, vec![1, 0])),
        ];
        attributes
            .extend(state.map(|state| Attribute::CtaProtoInfo(vec![ProtoInfo::TCP(vec![ProtoInfoTCP::State(state)])])));
        message(NetfilterMessage::new(NetfilterHeader::new(family(origin), 0, 0), ConntrackMessage::New(attributes)))
    }

    fn message(message: impl Into<NetlinkPayload<NetfilterMessage>>) -> Vec<u8> {
        let mut message = NetlinkMessage::new(NetlinkHeader::default(), message.into());
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes
    }

    fn seen(part: &[u8]) -> (io::Result<Heard>, Vec<Connection>) {
        let mut all = Vec::new();
        (read(part, &mut |attributes| all.extend(connection(attributes))), all)
    }

    #[test]
    fn an_entry_is_read_as_its_first_packet_showed_it() {
        for ends in [V4, V6] {
            let (more, all) = seen(&entry(ends, Protocol::Tcp, Some(ESTABLISHED), Status::SeenReply));
            let [origin, to] = ends.map(|end| end.parse().unwrap());
            let (from_port, proto, port, id, zone) = (40_000, 6, 22, Some([1, 2, 3, 4]), 256);
            let whole = Connection { origin, from_port, to, proto, port, up: true, established: true, id, zone };
            assert_eq!((more.unwrap(), all), (Heard::Part, vec![whole]));
        }
    }

    #[test]
    fn states_tell_what_is_up_and_what_is_established() {
        let (none, answered) = (Status::Confirmed, Status::Confirmed | Status::SeenReply);
        for (proto, state, status, expected) in [
            (Protocol::Tcp, Some(1), none, (true, false)),
            (Protocol::Tcp, Some(2), answered, (true, false)),
            (Protocol::Tcp, Some(3), none, (true, false)),
            (Protocol::Tcp, Some(3), answered, (true, true)),
            (Protocol::Tcp, Some(3), Status::Assured, (true, true)),
            (Protocol::Tcp, Some(4), answered, (true, true)),
            (Protocol::Tcp, Some(5), answered, (true, true)),
            (Protocol::Tcp, Some(6), answered, (false, true)),
            (Protocol::Tcp, Some(7), answered, (false, true)),
            (Protocol::Tcp, Some(8), answered, (false, false)),
            (Protocol::Tcp, None, answered, (false, false)),
            (Protocol::Udp, None, none, (true, false)),
            (Protocol::Udp, None, answered, (true, true)),
        ] {
            let (_, all) = seen(&entry(V4, proto, state, status));
            let found: Vec<_> = all.iter().map(|connection| (connection.up, connection.established)).collect();
            assert_eq!(found, [expected], "{proto:?} {state:?} {status:?}");
        }
        assert_eq!(seen(&entry(V4, Protocol::Icmp, None, none)).1, []);
    }

    #[test]
    fn an_answer_has_parts_an_end_and_errors() {
        let one = entry(V4, Protocol::Udp, None, Status::Confirmed);
        let done = message(NetlinkPayload::Done(Default::default()));
        let (end, all) = seen(&[one.clone(), one.clone(), done.clone()].concat());
        assert_eq!((end.unwrap(), all.len()), (Heard::End, 2));
        let mut interrupted = one.clone();
        interrupted[6..8].copy_from_slice(&NLM_F_DUMP_INTR.to_ne_bytes());
        assert_eq!(seen(&interrupted).0.unwrap(), Heard::Broken);
        let mut refused = done;
        refused[16..20].copy_from_slice(&(-libc::EPERM).to_ne_bytes());
        assert_eq!(seen(&refused).0.unwrap_err().raw_os_error(), Some(libc::EPERM));
        let (cut, _) = seen(one.get(..one.len() - 1).unwrap());
        assert_eq!(cut.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    proptest! {
        #[test]
        fn whatever_is_answered_nothing_panics(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        ) {
            let _ = seen(&bytes);
            let mut part = entry(V6, Protocol::Tcp, Some(ESTABLISHED), Status::SeenReply).repeat(2);
            for (at, byte) in changes {
                *at.get_mut(&mut part) = byte;
            }
            let _ = seen(&part);
        }
    }
}
