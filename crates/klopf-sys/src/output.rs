//! What a command prints, and locks on files.
//!
//! A pipe of which the command itself holds the reading end, too: what it leaves behind never dies of SIGPIPE, not even
//! when the daemon is gone. While the command runs, the daemon empties the pipe and keeps the end of what came; what runs
//! on after it writes without ever being made to wait.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::event::epoll;
use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

/// Bytes that are kept of what was printed last.
const KEPT: usize = 8192;
/// Bytes that are taken at once.
const AT_ONCE: usize = 65_536;
/// Bytes of room for what is left behind.
const ROOM: usize = 262_144;

/// Where what is printed is passed on to, as it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassOn {
    /// Nowhere.
    Not,
    /// To this process's standard output.
    Stdout,
    /// To this process's standard error.
    Stderr,
}

/// The place of a command's output.
#[derive(Debug)]
pub struct Output {
    pass_on: PassOn,
    reading: OwnedFd,
    /// The command's own end, until the command has ended.
    commands: Option<OwnedFd>,
    tail: Vec<u8>,
}

impl Output {
    /// An empty one.
    ///
    /// # Errors
    /// Out of descriptors or memory.
    pub fn new(pass_on: PassOn) -> io::Result<Self> {
        let (reading, writing) = pipe_with(PipeFlags::CLOEXEC)?;
        // Without /proc it is a pipe like any other.
        let path = format!("/proc/self/fd/{}", writing.as_raw_fd());
        let both = rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).unwrap_or(writing);
        fcntl_setfl(&reading, fcntl_getfl(&reading)? | OFlags::NONBLOCK)?;
        Ok(Self { pass_on, reading, commands: Some(both), tail: Vec::new() })
    }

    /// The descriptor the command is to write to.
    pub(crate) fn commands_end(&self) -> RawFd {
        self.commands.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    /// Takes in what was printed, a bounded part of it; false when nobody is left who could print more.
    pub fn drain(&mut self) -> bool {
        let mut bytes = vec![0; AT_ONCE];
        match rustix::io::read(&self.reading, &mut bytes) {
            Ok(0) => false,
            Ok(length) => {
                let new = bytes.get(..length).unwrap_or_default();
                // There may be nobody to read it.
                let _ = match self.pass_on {
                    PassOn::Not => Ok(()),
                    PassOn::Stdout => io::stdout().write_all(new).and_then(|()| io::stdout().flush()),
                    PassOn::Stderr => io::stderr().write_all(new),
                };
                self.tail.extend_from_slice(new);
                self.tail.drain(..self.tail.len().saturating_sub(KEPT));
                true
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => true,
            Err(_) => false,
        }
    }

    /// The command has ended: takes in what it printed last, and lets what it left behind go on without waiting for
    /// a reader. Returns the end of what was printed.
    pub fn ended(&mut self) -> &[u8] {
        if let Some(end) = self.commands.take() {
            // Each of these only makes less likely that a line of what is left behind is lost.
            let _ = fcntl_setpipe_size(&end, ROOM);
            let _ = fcntl_getfl(&end).and_then(|flags| fcntl_setfl(&end, flags | OFlags::NONBLOCK));
        }
        for _ in 0..ROOM / AT_ONCE + 1 {
            if !self.drain() {
                break;
            }
        }
        &self.tail
    }
}

/// Tells which of many outputs have something to take in.
#[derive(Debug)]
pub struct Outputs(OwnedFd);

impl Outputs {
    /// None yet.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn new() -> io::Result<Self> {
        Ok(Self(epoll::create(epoll::CreateFlags::CLOEXEC)?))
    }

    /// Adds an output under a number. It leaves when it is dropped.
    ///
    /// # Errors
    /// Out of memory.
    pub fn add(&self, output: &Output, number: u64) -> io::Result<()> {
        epoll::add(&self.0, &output.reading, epoll::EventData::new_u64(number), epoll::EventFlags::IN)?;
        Ok(())
    }

    /// The numbers of some that have something now.
    #[must_use]
    pub fn ready(&self) -> Vec<u64> {
        let mut events = [const { std::mem::MaybeUninit::<epoll::Event>::uninit() }; 64];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        match epoll::wait(&self.0, &mut events, Some(&now)) {
            Ok((ready, _)) => ready.iter().map(|event| event.data.u64()).collect(),
            Err(_) => Vec::new(),
        }
    }
}

impl AsFd for Outputs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Takes the lock of a file that one process at a time may use; false if another has it. The lock ends with the
/// file's last descriptor.
#[must_use]
pub fn lock(file: &File) -> bool {
    rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
}
