//! What all threads share: the offers that wait for an answer, and how the sources are.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::SyncSender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use klopf_brief::{Report, Verdict};
use klopf_sys::{Pair, Received, clock};

use crate::desk::Desk;

/// Shared by all threads.
pub(crate) struct Board {
    state: Mutex<State>,
    /// For sources that rest: something has happened that they are told of.
    pub(crate) news: Condvar,
    /// For the main thread: a message means that there is something for it.
    bell: (Pair, Pair),
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) desk: Desk<SyncSender<Verdict>>,
    /// How each source is.
    pub(crate) reports: BTreeMap<u16, Report>,
    /// How often all was to be offered again.
    pub(crate) again: u64,
    /// Whether the courier ends.
    pub(crate) ending: bool,
    /// Whether another courier is to begin in the place of this one.
    pub(crate) anew: bool,
    /// What is called when one of the last two changes.
    pub(crate) alarms: Vec<Box<dyn Fn() + Send>>,
}

impl Board {
    /// # Errors
    /// Out of descriptors or memory.
    pub(crate) fn new(sources: impl Iterator<Item = u16>) -> std::io::Result<Self> {
        let reports = sources.map(|source| (source, Report::starting(source))).collect();
        let desk = Desk::numbered_from(clock::random().map_or(0, u32::from_le_bytes));
        let state = Mutex::new(State { desk, reports, ..State::default() });
        Ok(Self { state, news: Condvar::new(), bell: Pair::new()? })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing is left half done in it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the main thread. When there is no room for one more message it is about to wake anyway.
    pub(crate) fn ring(&self) {
        let _ = self.bell.0.send(&[1]);
    }

    /// What the main thread waits for.
    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.1.as_fd()
    }

    /// The main thread is awake.
    pub(crate) fn silence(&self) {
        while matches!(self.bell.1.receive(&mut [0]), Received::Message(_)) {}
    }

    /// Tells all sources of what was changed.
    pub(crate) fn alarm(&self) {
        self.news.notify_all();
        self.lock().alarms.iter().for_each(|alarm| alarm());
    }
}
