//! The control socket: `klopf` asks, the keeper answers.
//!
//! The keeper has one thread, so nothing here waits: what cannot be read or written now is left for later, each
//! connection has bounded room, and there are few of them.

mod bind;
mod connection;

use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use klopf_control::{Reply, Request};
use klopf_sys::clock;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with, sockopt};
use rustix::process::geteuid;

pub(crate) use self::bind::BindError;
use self::connection::{Connection, Heard};

/// More connections are sent away.
const MOST: usize = 16;
/// Who asks nothing, or takes in nothing of what it asked for, for so many milliseconds is sent away.
const PATIENCE: u64 = 10_000;
/// The listening socket's number; connections have others.
const LISTENER: u64 = 0;

/// A connection, named to the keeper. No two have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ConnectionId(u64);

/// The listening socket and its connections. Its end removes the socket.
#[derive(Debug)]
pub(crate) struct Server {
    events: OwnedFd,
    listener: OwnedFd,
    path: PathBuf,
    /// Device and inode of the socket, which tell it from one that another daemon has put in its place.
    file: (u64, u64),
    connections: Vec<Connection>,
    last: u64,
    gone: Vec<ConnectionId>,
    /// Whether the last connection could not be accepted for want of descriptors, and whether that was told.
    starving: bool,
    starving_told: bool,
}

impl Server {
    /// Listens in the runtime directory, which is made if it is not there. A socket that a dead daemon has left is
    /// replaced.
    ///
    /// # Errors
    /// As [`BindError`].
    pub(crate) fn bind(runtime_dir: &Path) -> Result<Self, BindError> {
        let path = runtime_dir.join(klopf_control::SOCKET);
        let (listener, file) = bind::listen(runtime_dir, &path)?;
        let watched = || {
            let events = epoll::create(epoll::CreateFlags::CLOEXEC)?;
            // By edge: a connection that cannot be accepted for want of descriptors must not keep the keeper awake.
            let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
            epoll::add(&events, &listener, epoll::EventData::new_u64(LISTENER), flags)?;
            Ok(events)
        };
        let events = watched().map_err(|error: Errno| BindError::System(path.clone(), error.into()))?;
        let (connections, gone) = (Vec::new(), Vec::new());
        let (starving, starving_told) = (false, false);
        Ok(Self { events, listener, path, file, connections, last: LISTENER, gone, starving, starving_told })
    }

    /// What to wait for: readable when [`Self::requests`] has something to do.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }

    /// Does what can be done now, without waiting, and gives what was asked. A connection asks one thing.
    pub(crate) fn requests(&mut self) -> Vec<(ConnectionId, Request)> {
        let now = clock::monotonic_ms();
        self.part_from(now);
        let mut events = [const { MaybeUninit::<epoll::Event>::uninit() }; MOST + 1];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let ready = epoll::wait(&self.events, &mut events, Some(&at_once)).map_or(&mut [][..], |(ready, _)| ready);
        let mut asked = Vec::new();
        for event in ready {
            let number = event.data.u64();
            let Some(at) = self.connections.iter().position(|connection| connection.id == number) else { continue };
            let Some(connection) = self.connections.get_mut(at) else { continue };
            // Copied, for the kernel's structure is packed.
            let flags = { event.flags };
            match connection.hear(flags, now) {
                Heard::Nothing => {}
                Heard::Request(request) => asked.push((ConnectionId(number), request)),
                Heard::End => self.remove(at),
            }
        }
        // Whatever the listener said: descriptors may have become free.
        self.accept(now);
        self.watch();
        asked
    }

    /// Says something to a connection; one that is gone hears nothing.
    pub(crate) fn reply(&mut self, id: ConnectionId, reply: &Reply) {
        let Some(at) = self.connections.iter().position(|connection| connection.id == id.0) else { return };
        let Some(connection) = self.connections.get_mut(at) else { return };
        if !connection.say(&reply.line(), clock::monotonic_ms()) {
            self.remove(at);
        }
        self.watch();
    }

    /// Everything has been said: the connection ends when it is written.
    pub(crate) fn finish(&mut self, id: ConnectionId) {
        let Some(at) = self.connections.iter().position(|connection| connection.id == id.0) else { return };
        if self.connections.get_mut(at).is_some_and(Connection::finish) {
            self.connections.swap_remove(at);
        }
    }

    /// Connections that asked something and ended before everything was said, since this was last called.
    pub(crate) fn gone(&mut self) -> Vec<ConnectionId> {
        std::mem::take(&mut self.gone)
    }

    /// Whether somebody could not be heard for want of descriptors; once for each time that it comes to that.
    pub(crate) fn starves(&mut self) -> bool {
        self.starving && !std::mem::replace(&mut self.starving_told, true)
    }

    fn accept(&mut self, now: u64) {
        // Who goes on connecting is heard by the next edge.
        for _ in 0..2 * bind::QUEUE {
            let stream = match accept_with(&self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(stream) => UnixStream::from(stream),
                Err(Errno::MFILE | Errno::NFILE) => {
                    self.starving = true;
                    return;
                }
                Err(_) => return,
            };
            (self.starving, self.starving_told) = (false, false);
            if !may_ask(&stream) {
                continue;
            }
            if self.connections.len() >= MOST {
                send_away(stream);
                continue;
            }
            self.last += 1;
            let connection = Connection::new(self.last, stream, now);
            if connection.begin(&self.events).is_ok() {
                self.connections.push(connection);
            }
        }
    }

    /// Ends connections that waste their time.
    fn part_from(&mut self, now: u64) {
        while let Some(at) = self.connections.iter().position(|connection| connection.idle(now) > PATIENCE) {
            self.remove(at);
        }
    }

    fn remove(&mut self, at: usize) {
        let connection = self.connections.swap_remove(at);
        if connection.cares() {
            self.gone.push(ConnectionId(connection.id));
        }
    }

    /// Tells the kernel what each connection now waits for.
    fn watch(&mut self) {
        while let Some(at) = self.connections.iter_mut().position(|connection| connection.watch(&self.events).is_err())
        {
            self.remove(at);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if bind::identity(&self.path).ok() == Some(self.file) {
            // One that stays is replaced by the next daemon.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The socket's mode says the same, but not in the moment before it is set. Of a process that is not to be seen from here,
/// as from outside a container, nothing else is known.
fn may_ask(stream: &UnixStream) -> bool {
    sockopt::socket_peercred(stream).map_or(true, |peer| peer.uid.is_root() || peer.uid == geteuid())
}

fn send_away(mut stream: UnixStream) {
    let why = "too many ask at once".to_owned();
    let reply = Reply::Failed { why, help: Some("ask again in a moment".into()) };
    // It does not wait; who has no room for a line hears nothing.
    let _: io::Result<()> = stream.write_all(&reply.line());
}

#[cfg(test)]
mod tests;
