//! Signals as something to read, and signals to ignore.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::ring::check;

/// A signal the daemon is told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A child has ended.
    Child,
    /// Read the configuration again.
    Hangup,
    /// End, from the keyboard.
    Interrupt,
    /// End.
    Terminate,
    /// Log the counters.
    User1,
}

const KNOWN: [(libc::c_int, Signal); 5] = [
    (libc::SIGCHLD, Signal::Child),
    (libc::SIGHUP, Signal::Hangup),
    (libc::SIGINT, Signal::Interrupt),
    (libc::SIGTERM, Signal::Terminate),
    (libc::SIGUSR1, Signal::User1),
];

/// The queue of signals of this process.
#[derive(Debug)]
pub struct Signals(OwnedFd);

impl Signals {
    /// Blocks the signals of [`Signal`] and opens their queue.
    ///
    /// # Errors
    /// As signalfd(2).
    pub fn open() -> io::Result<Self> {
        // SAFETY: all-zero is a valid sigset_t to be emptied; the set lives through all calls.
        let fd = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for (number, _) in KNOWN {
                libc::sigaddset(&raw mut set, number);
            }
            check(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()))?;
            check(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))?
        };
        // SAFETY: the descriptor was just made and belongs to nobody else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The next signal, if there is one.
    #[must_use]
    pub fn next(&self) -> Option<Signal> {
        // SAFETY: all-zero is a valid signalfd_siginfo: integers.
        let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the kernel writes at most `size` bytes to `info`, which lives through the call.
        let length = unsafe { libc::read(self.0.as_raw_fd(), (&raw mut info).cast(), size) };
        let number = libc::c_int::try_from(info.ssi_signo).ok().filter(|_| usize::try_from(length) == Ok(size))?;
        KNOWN.iter().find(|(known, _)| *known == number).map(|&(_, signal)| signal)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
