//! One connection: a request in, replies out.

use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use klopf_control::{LONGEST_REPLY, LONGEST_REQUEST, Lines, Reply, Request};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

/// Bytes that are read at once.
const AT_ONCE: usize = 16 << 10;
/// Bytes that may wait to be written: a whole status and some news.
const ROOM: usize = LONGEST_REPLY + (64 << 10);

/// How far a connection is.
#[derive(Debug)]
enum State {
    /// Nothing whole has been asked.
    Asking(Lines),
    /// The keeper knows of it, and has more to say.
    Answering,
    /// Everything is said, but not yet written.
    Ending,
}

/// What came of listening.
pub(super) enum Heard {
    Nothing,
    Request(Request),
    /// The connection is of no more use.
    End,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: u64,
    stream: UnixStream,
    state: State,
    unwritten: Vec<u8>,
    /// When it last did something, in milliseconds.
    moved: u64,
    /// What the kernel was told to look for.
    watched: EventFlags,
}

impl Connection {
    pub(super) fn new(id: u64, stream: UnixStream, now: u64) -> Self {
        let state = State::Asking(Lines::new(LONGEST_REQUEST));
        Self { id, stream, state, unwritten: Vec::new(), moved: now, watched: EventFlags::IN }
    }

    /// Adds it to what is looked for; it leaves when it is dropped.
    pub(super) fn begin(&self, events: &OwnedFd) -> rustix::io::Result<()> {
        epoll::add(events, &self.stream, EventData::new_u64(self.id), self.watched)
    }

    /// Tells the kernel what to look for now. That the other side is gone is told in any case.
    pub(super) fn watch(&mut self, events: &OwnedFd) -> rustix::io::Result<()> {
        let mut wanted = EventFlags::empty();
        wanted.set(EventFlags::IN, matches!(self.state, State::Asking(_)));
        wanted.set(EventFlags::OUT, !self.unwritten.is_empty());
        if std::mem::replace(&mut self.watched, wanted) == wanted {
            return Ok(());
        }
        epoll::modify(events, &self.stream, EventData::new_u64(self.id), wanted)
    }

    /// Whether the keeper wants to know of its end.
    pub(super) fn cares(&self) -> bool {
        matches!(self.state, State::Answering)
    }

    /// For how long the other side has kept it waiting, in milliseconds.
    pub(super) fn idle(&self, now: u64) -> u64 {
        let waits = matches!(self.state, State::Asking(_)) || !self.unwritten.is_empty();
        if waits { now.saturating_sub(self.moved) } else { 0 }
    }

    /// Something happened: reads or writes what it can.
    pub(super) fn hear(&mut self, events: EventFlags, now: u64) -> Heard {
        if events.contains(EventFlags::OUT) {
            if !self.write(now) {
                return Heard::End;
            }
            if self.unwritten.is_empty() && matches!(self.state, State::Ending) {
                return Heard::End;
            }
        }
        if let State::Asking(_) = self.state {
            return self.read(now);
        }
        // Not when it has only said that it will ask nothing more.
        if events.intersects(EventFlags::HUP | EventFlags::ERR) { Heard::End } else { Heard::Nothing }
    }

    /// Takes what is to be said; false if there is no room for it or nobody to hear it.
    pub(super) fn say(&mut self, line: &[u8], now: u64) -> bool {
        if matches!(self.state, State::Ending) {
            return true;
        }
        if self.unwritten.len() + line.len() > ROOM {
            return false;
        }
        if self.unwritten.is_empty() {
            self.moved = now;
        }
        self.unwritten.extend_from_slice(line);
        self.write(now)
    }

    /// Nothing more is to be said; true if it can end at once.
    pub(super) fn finish(&mut self) -> bool {
        self.state = State::Ending;
        self.unwritten.is_empty()
    }

    fn read(&mut self, now: u64) -> Heard {
        let State::Asking(lines) = &mut self.state else { return Heard::Nothing };
        let mut bytes = [0; AT_ONCE];
        match self.stream.read(&mut bytes) {
            Ok(0) => return Heard::End,
            Ok(length) => lines.push(bytes.get(..length).unwrap_or_default()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => return Heard::End,
        }
        let read = match lines.line() {
            Ok(None) => return Heard::Nothing,
            Ok(Some(line)) => Request::read(line).ok(),
            Err(_) => None,
        };
        if let Some(request) = read {
            self.state = State::Answering;
            self.moved = now;
            return Heard::Request(request);
        }
        let help = Some("klopf and klopfd should be of one version: restart klopfd after an upgrade".to_owned());
        let sorry = Reply::Failed { why: "klopfd does not understand the request".into(), help };
        if self.say(&sorry.line(), now) && !self.finish() { Heard::Nothing } else { Heard::End }
    }

    /// Writes what it can; false if nobody reads it any more.
    fn write(&mut self, now: u64) -> bool {
        let mut written = 0;
        let alive = loop {
            let rest = self.unwritten.get(written..).unwrap_or_default();
            if rest.is_empty() {
                break true;
            }
            match send(&self.stream, rest, SendFlags::NOSIGNAL) {
                Ok(length) => written += length,
                Err(Errno::AGAIN | Errno::INTR) => break true,
                Err(_) => break false,
            }
        };
        if written > 0 {
            self.moved = now;
            self.unwritten.drain(..written);
        }
        alive
    }
}
