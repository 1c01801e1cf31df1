//! A pair of connected sockets for messages of fixed size (`SOCK_SEQPACKET`), and waiting on descriptors.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recv, recvmsg, send, sendmsg, socketpair,
};

/// Bytes that one descriptor takes beside a message. Because of padding two may fit.
const ONE_FD: usize = rustix::cmsg_space!(ScmRights(1));

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

    /// Sends a message and with it a descriptor, which the other end gets as its own (`SCM_RIGHTS` of unix(7)); false if
    /// there is no room now or the other end is gone: then neither was sent.
    pub fn send_with(&self, message: &[u8], fd: BorrowedFd<'_>) -> bool {
        let mut space = [MaybeUninit::uninit(); ONE_FD];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        let fds = [fd];
        beside.push(SendAncillaryMessage::ScmRights(&fds))
            && sendmsg(&self.0, &[IoSlice::new(message)], &mut beside, SendFlags::NOSIGNAL).is_ok()
    }

    /// Takes a message as [`Pair::receive`] does, and the descriptor that came with it; it is closed at exec. Of several
    /// the first one counts; the others are closed. None came if there was no room for one in this process's table.
    pub fn receive_with(&self, buffer: &mut [u8]) -> (Received, Option<OwnedFd>) {
        let mut space = [MaybeUninit::uninit(); ONE_FD];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(&self.0, &mut [IoSliceMut::new(buffer)], &mut beside, RecvFlags::CMSG_CLOEXEC);
        match received {
            Ok(message) if message.bytes == 0 => (Received::Closed, None),
            Ok(message) => {
                let mut first = None;
                // What is not kept is closed when it is dropped.
                for part in beside.drain() {
                    if let RecvAncillaryMessage::ScmRights(fds) = part {
                        first = fds.fold(first, |first, fd| first.or(Some(fd)));
                    }
                }
                (Received::Message(message.bytes), first)
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => (Received::Nothing, None),
            Err(_) => (Received::Closed, None),
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
    let ready = wait_any(fds, most)?;
    Ok(std::array::from_fn(|at| ready.get(at).copied().unwrap_or_default()))
}

/// The same for any number of descriptors.
///
/// # Errors
/// As [`wait`].
pub fn wait_any<'a>(fds: impl IntoIterator<Item = Wait<'a>>, most: Option<Duration>) -> io::Result<Vec<bool>> {
    let polled = fds.into_iter().map(|wait| {
        let flags = if wait.write { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        PollFd::from_borrowed_fd(wait.fd, flags)
    });
    let mut polled: Vec<PollFd<'a>> = polled.collect();
    let most = most.map(|most| Timespec {
        tv_sec: i64::try_from(most.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(most.subsec_nanos()),
    });
    match poll(&mut polled, most.as_ref()) {
        Ok(_) => Ok(polled.iter().map(|fd| !fd.revents().is_empty()).collect()),
        Err(rustix::io::Errno::INTR) => Ok(vec![false; polled.len()]),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_descriptor_comes_with_its_message_and_closed_at_exec() {
        let (here, there) = Pair::new().unwrap();
        let (mut reading, mut writing) = io::pipe().unwrap();
        assert!(here.send(b"before") && here.send_with(b"the pipe", writing.as_fd()) && here.send(b"after"));
        let mut buffer = [0; 64];
        assert!(matches!(there.receive_with(&mut buffer), (Received::Message(6), None)));
        let (received, fd) = there.receive_with(&mut buffer);
        assert_eq!((received, &buffer[..8]), (Received::Message(8), &b"the pipe"[..]));
        let fd = fd.unwrap();
        assert!(rustix::io::fcntl_getfd(&fd).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        assert!(matches!(there.receive_with(&mut buffer), (Received::Message(5), None)));
        assert!(matches!(there.receive_with(&mut buffer), (Received::Nothing, None)));
        File::from(fd).write_all(b"there").unwrap();
        writing.write_all(b", here").unwrap();
        drop((writing, here));
        let mut text = String::new();
        reading.read_to_string(&mut text).unwrap();
        assert_eq!(text, "there, here", "and no copy of it is left open");
        assert!(matches!(there.receive_with(&mut buffer), (Received::Closed, None)));
    }

    #[test]
    fn of_many_descriptors_one_is_kept_and_no_other_stays_open() {
        let (here, there) = Pair::new().unwrap();
        let pipes: Vec<_> = (0..5).map(|_| io::pipe().unwrap()).collect();
        let fds: Vec<_> = pipes.iter().map(|(_, writing)| writing.as_fd()).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(5))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        assert!(beside.push(SendAncillaryMessage::ScmRights(&fds)));
        sendmsg(&here.0, &[IoSlice::new(b"five")], &mut beside, SendFlags::NOSIGNAL).unwrap();
        let (received, kept) = there.receive_with(&mut [0; 2]);
        assert_eq!(received, Received::Message(2), "one that is longer than the buffer is cut");
        File::from(kept.unwrap()).write_all(b"1").unwrap();
        let texts = pipes.into_iter().map(|(mut reading, writing)| {
            drop(writing);
            let mut text = String::new();
            // It would never end if a writing end were still open.
            reading.read_to_string(&mut text).map(|_| text).unwrap()
        });
        assert_eq!(texts.collect::<Vec<_>>(), ["1", "", "", "", ""]);
    }

    #[test]
    fn a_descriptor_that_nobody_asked_for_is_closed() {
        let (here, there) = Pair::new().unwrap();
        let (mut reading, writing) = io::pipe().unwrap();
        assert!(here.send_with(b"x", writing.as_fd()));
        drop(writing);
        assert_eq!(there.receive(&mut [0; 8]), Received::Message(1));
        assert_eq!(reading.read(&mut [0; 8]).unwrap(), 0);
    }
}
