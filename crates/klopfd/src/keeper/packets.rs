//! The keeper's end of the packet sockets: what the kernel's filter lets through.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use klopf_sys::{Depth, Interest, PacketSocket};
use klopf_wire::Proto;

use crate::host::View;
use crate::message::Down;

/// The packet sockets, each of which is opened when something first needs it: a ring is a third of what an idle daemon takes
/// of memory.
#[derive(Default)]
pub(super) struct Sockets {
    /// For sequences, which need no more than headers.
    headers: Option<PacketSocket>,
    /// For sealed knocks.
    whole: Option<PacketSocket>,
}

impl Sockets {
    /// Sets what the kernel lets through; of each socket, that it is new, for the watch, or why it cannot be had.
    pub(super) fn listen(&mut self, view: &View) -> [io::Result<Option<(Down, OwnedFd)>>; 2] {
        let Self { headers, whole } = self;
        [
            listen(headers, Depth::Headers, &view.interest, view.outgoing),
            listen(whole, Depth::Whole, &view.datagrams, false),
        ]
    }

    /// Packets that were lost because a ring was full, since the last call.
    pub(super) fn lost(&self) -> u64 {
        let sockets = [&self.headers, &self.whole].into_iter().flatten();
        sockets.map(|socket| u64::from(socket.lost().unwrap_or(0))).sum()
    }
}

fn listen(
    place: &mut Option<PacketSocket>,
    depth: Depth,
    interest: &Interest,
    outgoing: bool,
) -> io::Result<Option<(Down, OwnedFd)>> {
    if let Some(socket) = place {
        return socket.listen(interest, outgoing).map(|()| None);
    }
    if [Proto::Tcp, Proto::Udp].into_iter().all(|proto| interest.ports.is_empty(proto)) {
        return Ok(None);
    }
    let socket = PacketSocket::open(depth)?;
    socket.listen(interest, outgoing)?;
    let theirs = socket.as_fd().try_clone_to_owned()?;
    *place = Some(socket);
    Ok(Some((Down::Ring(depth), theirs)))
}
