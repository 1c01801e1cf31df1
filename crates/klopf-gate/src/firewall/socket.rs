//! A netlink socket to netfilter: atomic batches, and dumps.

use std::io;
use std::os::fd::BorrowedFd;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP, NLM_F_REQUEST, NetlinkBuffer, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_netfilter::nftables::NfTablesMessage;
use netlink_packet_netfilter::none::ControlMessage;
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily as Family,
};
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};

/// Whom a batch is for: nf_tables, `NFNL_SUBSYS_NFTABLES` of linux/netfilter/nfnetlink.h.
const NFTABLES: u16 = 10;

/// Bytes of what is heard and not yet read, at most.
const MOST_HEARD: u32 = 32 << 20;
/// Bytes of a batch at most.
const LARGEST_BATCH: u32 = 256 << 20;

/// One change in a batch.
pub(super) struct Change {
    /// What the kernel has to have for it, in words for people.
    pub(super) needs: &'static str,
    message: NfTablesMessage,
    flags: u16,
}

impl Change {
    /// Makes something, or leaves it as it is.
    pub(super) fn make(needs: &'static str, message: NfTablesMessage) -> Self {
        Self { needs, message, flags: NLM_F_CREATE }
    }

    /// Adds to the end.
    pub(super) fn append(needs: &'static str, message: NfTablesMessage) -> Self {
        Self { needs, message, flags: NLM_F_CREATE | NLM_F_APPEND }
    }

    /// Takes something away.
    pub(super) fn remove(message: NfTablesMessage) -> Self {
        Self { needs: "nf_tables", message, flags: 0 }
    }
}

/// Why the kernel has not taken a batch: then it has taken nothing of it.
#[derive(Debug)]
pub struct FirewallError {
    /// What the kernel was asked for.
    pub what: &'static str,
    /// What it answered.
    pub error: io::Error,
}

impl FirewallError {
    /// The number of the error.
    pub(super) fn errno(&self) -> Option<i32> {
        self.error.raw_os_error()
    }
}

impl std::fmt::Display for FirewallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.error.to_string();
        write!(f, "{}: {}", self.what, text.split(" (os error").next().unwrap_or_default())
    }
}

impl std::error::Error for FirewallError {}

impl From<io::Error> for FirewallError {
    fn from(error: io::Error) -> Self {
        Self { what: "netfilter's netlink socket", error }
    }
}

/// The socket.
pub(super) struct Netlink {
    socket: Socket,
    /// Its own number, by which the kernel names it to others.
    port: u32,
    sequence: u32,
}

/// A message that was heard.
pub(super) struct Heard {
    /// The number of the socket by which the change was made.
    pub(super) port: u32,
    pub(super) family: Family,
    pub(super) message: NfTablesMessage,
}

impl Netlink {
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        let port = socket.bind_auto()?.port_number();
        // Answers are there when sending returns; without them something is wrong, and waiting mends nothing.
        socket.set_non_blocking(true)?;
        // Errors need not repeat what they are about.
        socket.set_cap_ack(true)?;
        // A batch goes out at once, however large. Without the right to that, small ones still do.
        let _ = klopf_sys::force_send_buffer(klopf_sys::netlink_fd(&socket), LARGEST_BATCH);
        Ok(Self { socket, port, sequence: 0 })
    }

    /// A socket that hears of every change of nf_tables; see [`Netlink::heard`].
    pub(super) fn listening() -> io::Result<Self> {
        Self::member(7) // NFNLGRP_NFTABLES of linux/netfilter/nfnetlink.h
    }

    /// A socket that hears which way traced packets take; see [`Netlink::heard`].
    pub(super) fn tracing() -> io::Result<Self> {
        Self::member(9) // NFNLGRP_NFTRACE
    }

    fn member(group: u32) -> io::Result<Self> {
        let netlink = Self::open()?;
        // What is heard waits there. With less, some is lost, which is noticed.
        let _ = klopf_sys::force_receive_buffer(netlink.fd(), MOST_HEARD);
        netlink.socket.add_membership(group)?;
        Ok(netlink)
    }

    pub(super) fn port(&self) -> u32 {
        self.port
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        klopf_sys::netlink_fd(&self.socket)
    }

    /// Carries a batch out, whole or not at all.
    pub(super) fn transact(&mut self, changes: Vec<Change>) -> Result<(), FirewallError> {
        let Some(last) = changes.len().checked_sub(1) else { return Ok(()) };
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::new();
        let header = || NetfilterHeader::new(Family::Unspec, 0, NFTABLES);
        self.put(&mut bytes, NetfilterMessage::new(header(), ControlMessage::BatchBegin), 0);
        let mut needs = Vec::with_capacity(changes.len());
        for (index, change) in changes.into_iter().enumerate() {
            let acknowledge = if index == last { NLM_F_ACK } else { 0 };
            let message = NetfilterMessage::new(NetfilterHeader::new(Family::Inet, 0, 0), change.message);
            self.put(&mut bytes, message, change.flags | acknowledge);
            needs.push(change.needs);
        }
        self.put(&mut bytes, NetfilterMessage::new(header(), ControlMessage::BatchEnd), 0);
        self.forget_answers();
        self.socket.send_to(&bytes, &SocketAddr::new(0, 0), 0)?;
        self.outcome(first, &needs)
    }

    /// What the kernel says to the batch that began with this number.
    fn outcome(&self, first: u32, needs: &[&'static str]) -> Result<(), FirewallError> {
        loop {
            let (answers, _) = self.socket.recv_from_full()?;
            for message in messages(&answers) {
                let message = message?;
                let Some(index) = message.header.sequence_number.checked_sub(first) else { continue };
                if let NetlinkPayload::Error(error) = message.payload {
                    if error.code.is_none() {
                        return Ok(());
                    }
                    // The first message is the beginning of the batch.
                    let at = usize::try_from(index).ok().and_then(|index| index.checked_sub(1));
                    let what = at.and_then(|at| needs.get(at)).copied().unwrap_or("nf_tables");
                    self.forget_answers();
                    return Err(FirewallError { what, error: error.to_io() });
                }
            }
        }
    }

    /// Everything of a kind. `limit` bounds how many messages are taken.
    pub(super) fn dump(&mut self, request: NfTablesMessage, limit: usize) -> io::Result<Vec<NfTablesMessage>> {
        self.ask(request, NLM_F_DUMP, limit)
    }

    /// Everything of a kind in the tables of all families, each with its family. What the library cannot read, for it is
    /// somebody else's, is left out.
    pub(super) fn dump_all(
        &mut self,
        request: NfTablesMessage,
        limit: usize,
    ) -> io::Result<Vec<(Family, NfTablesMessage)>> {
        let mut found = Vec::new();
        self.answers(Family::Unspec, request, NLM_F_DUMP, |message| {
            found.extend(message.ok().filter(|_| found.len() < limit));
            Ok(())
        })?;
        Ok(found)
    }

    /// One thing.
    pub(super) fn get(&mut self, request: NfTablesMessage) -> io::Result<Option<NfTablesMessage>> {
        Ok(self.ask(request, NLM_F_ACK, 1)?.pop())
    }

    fn ask(&mut self, request: NfTablesMessage, flags: u16, limit: usize) -> io::Result<Vec<NfTablesMessage>> {
        let mut found = Vec::new();
        self.answers(Family::Inet, request, flags, |message| {
            let (_, message) = message?;
            if found.len() < limit {
                found.push(message);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Asks, and shows each answer.
    fn answers(
        &mut self,
        family: Family,
        request: NfTablesMessage,
        flags: u16,
        mut take: impl FnMut(io::Result<(Family, NfTablesMessage)>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut bytes = Vec::new();
        let message = NetfilterMessage::new(NetfilterHeader::new(family, 0, 0), request);
        self.put(&mut bytes, message, flags);
        self.forget_answers();
        self.socket.send_to(&bytes, &SocketAddr::new(0, 0), 0)?;
        loop {
            let (answers, _) = self.socket.recv_from_full()?;
            for message in messages(&answers) {
                match message.map(|message| message.payload) {
                    Ok(NetlinkPayload::InnerMessage(NetfilterMessage {
                        header,
                        inner: NetfilterMessageInner::NfTables(message),
                        ..
                    })) => take(Ok((header.family, message)))?,
                    Ok(NetlinkPayload::Error(error)) if error.code.is_some() => return Err(error.to_io()),
                    Ok(NetlinkPayload::Done(_) | NetlinkPayload::Error(_)) => return Ok(()),
                    Ok(_) => {}
                    Err(error) => take(Err(error))?,
                }
            }
        }
    }

    /// What a listening or tracing socket has heard since the last call; none if something was lost.
    pub(super) fn heard(&self) -> Option<Vec<Heard>> {
        let mut heard = Some(Vec::new());
        loop {
            let Ok((bytes, _)) = self.socket.recv_from_full().map_err(|error| {
                if error.kind() != io::ErrorKind::WouldBlock {
                    heard = None;
                }
            }) else {
                return heard;
            };
            for message in messages(&bytes) {
                let Ok(NetlinkMessage { header: outer, payload, .. }) = message else {
                    heard = None;
                    continue;
                };
                if let NetlinkPayload::InnerMessage(NetfilterMessage { header, inner, .. }) = payload
                    && let (NetfilterMessageInner::NfTables(message), Some(heard)) = (inner, &mut heard)
                {
                    heard.push(Heard { port: outer.port_number, family: header.family, message });
                }
            }
        }
    }

    fn put(&mut self, bytes: &mut Vec<u8>, message: NetfilterMessage, flags: u16) {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = NetlinkMessage::from(message);
        message.header.flags = NLM_F_REQUEST | flags;
        message.header.sequence_number = self.sequence;
        message.finalize();
        let start = bytes.len();
        bytes.resize(start + message.buffer_len(), 0);
        if let Some(place) = bytes.get_mut(start..) {
            message.serialize(place);
        }
    }

    fn forget_answers(&self) {
        while self.socket.recv_from_full().is_ok() {}
    }
}

/// Takes received bytes apart.
fn messages(bytes: &[u8]) -> impl Iterator<Item = io::Result<NetlinkMessage<NetfilterMessage>>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::try_from(NetlinkBuffer::new_checked(rest).ok()?.length()).ok()?;
        let (message, behind) = rest.split_at_checked(length.next_multiple_of(4)).unwrap_or((rest, &[]));
        rest = behind;
        Some(NetlinkMessage::deserialize(message).map_err(io::Error::other))
    })
}
