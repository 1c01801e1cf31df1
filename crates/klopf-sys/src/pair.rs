//! A pair of connected sockets for messages of fixed size (`SOCK_SEQPACKET`), and waiting on descriptors.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};

/// One end of a pair. Neither end ever blocks.
#[derive(Debug)]
pub struct Pair(OwnedFd);

/// What came in by a [`Pair`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A message of so many bytes.
    Message(usize),
    /// Nothing for now.
    Nothing,
    /// The other end is gone.
    Closed,
}

impl Pair {
    /// Makes a pair.
    ///
    /// # Errors
    /// Out of descriptors or memory.
    pub fn new() -> io::Result<(Self, Self)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (a, b) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Self(a), Self(b)))
    }

    /// Sends a message; false if there is no room now or the other end is gone.
    pub fn send(&self, message: &[u8]) -> bool {
        send(&self.0, message, SendFlags::NOSIGNAL).is_ok()
    }

    /// Takes a message. One that is longer than the buffer is cut.
    pub fn receive(&self, buffer: &mut [u8]) -> Received {
        match recv(&self.0, buffer, RecvFlags::empty()) {
            Ok((0, _)) => Received::Closed,
            Ok((length, _)) => Received::Message(length),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Received::Nothing,
            Err(_) => Received::Closed,
        }
    }
}

impl AsFd for Pair {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Pair {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

/// What to wait for on a descriptor.
#[derive(Clone, Copy, Debug)]
pub struct Wait<'a> {
    /// The descriptor.
    pub fd: BorrowedFd<'a>,
    /// Whether to wait for room to write, too.
    pub write: bool,
}

/// Waits until something happens on one of the descriptors or the time is up; which of them are ready. Ready also
/// means broken or closed.
///
/// # Errors
/// As poll(2), without being interrupted: that is nothing happening.
pub fn wait<const N: usize>(fds: [Wait<'_>; N], most: Option<Duration>) -> io::Result<[bool; N]> {
    let mut polled = fds.map(|wait| {
        let flags = if wait.write { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        PollFd::from_borrowed_fd(wait.fd, flags)
    });
    let most = most.map(|most| Timespec {
        tv_sec: i64::try_from(most.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(most.subsec_nanos()),
    });
    match poll(&mut polled, most.as_ref()) {
        Ok(_) => Ok(polled.map(|fd| !fd.revents().is_empty())),
        Err(rustix::io::Errno::INTR) => Ok([false; N]),
        Err(error) => Err(error.into()),
    }
}
