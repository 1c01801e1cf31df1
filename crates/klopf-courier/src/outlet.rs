//! What a source has to do with the rest of the courier.

use std::net::IpAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use klopf_brief::{Body, Report, State, Verdict};
use klopf_sys::clock;

use crate::board::Board;
use crate::fault::Fault;

/// A source's way to watch and keeper. None of its functions wait, but [`Outlet::rest`].
pub(crate) struct Outlet {
    board: Arc<Board>,
    source: u16,
    /// How often all was to be offered again when the source last asked.
    again: u64,
}

/// The answer to an offer, which will come.
#[derive(Debug)]
pub(crate) struct Ticket(Receiver<Verdict>);

/// What has become of a [`Ticket`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The watch has said this, never [`Verdict::Later`].
    Verdict(Verdict),
    /// It has said nothing yet.
    NotYet,
    /// The courier ends, and there will be no answer.
    Ending,
}

/// Why a rest is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// The time is up.
    Time,
    /// All is to be offered again; see [`Outlet::again`].
    Again,
    /// The courier ends, and so must the source.
    Ending,
}

impl Outlet {
    pub(crate) fn new(board: Arc<Board>, source: u16) -> Self {
        Self { board, source, again: 0 }
    }

    /// Offers something to the watch, again and again until there is an answer. Who wants no answer drops the ticket.
    /// None if too many offers of this source wait; then it is to be offered after others were answered.
    pub(crate) fn offer(&self, body: Body, address: Option<IpAddr>) -> Option<Ticket> {
        let (reply, ticket): (SyncSender<Verdict>, _) = sync_channel(1);
        let mut state = self.board.lock();
        if state.ending || !state.desk.add(self.source, body, address, reply) {
            return None;
        }
        drop(state);
        self.board.ring();
        Some(Ticket(ticket))
    }

    /// The source was looked at with success, and is looked at again in so long; a fault says what was not seen.
    pub(crate) fn waiting(&self, fault: Option<Fault>, next: Duration) {
        self.say(State::Waiting, fault, next);
    }

    /// The source was looked at with success, and is looked at when something comes.
    pub(crate) fn listening(&self, fault: Option<Fault>) {
        self.say(State::Listening, fault, Duration::ZERO);
    }

    /// The source could not be looked at, and is tried again in so long.
    pub(crate) fn failing(&self, fault: impl Into<Fault>, next: Duration) {
        self.say(State::Failing, Some(fault.into()), next);
    }

    /// So many more mails or entries were looked at.
    pub(crate) fn looked_at(&self, more: u32) {
        self.change(|report| report.looked_at = report.looked_at.saturating_add(more));
    }

    /// Whether all that is there is to be offered again since this was last asked: the watch does not know what was
    /// offered before. Offers that wait are made again by themselves.
    pub(crate) fn again(&mut self) -> bool {
        let now = self.board.lock().again;
        std::mem::replace(&mut self.again, now) != now
    }

    /// Whether the courier ends.
    pub(crate) fn is_ending(&self) -> bool {
        self.board.lock().ending
    }

    /// Ends the courier, so that another one begins: what it may read is decided at its start.
    pub(crate) fn begin_anew(&self) {
        self.board.lock().anew = true;
        self.board.ring();
    }

    /// Calls something, in another thread, whenever all is to be offered again or the courier ends: for a source that
    /// waits for something else than [`Outlet::rest`] does. It must not wait itself, nor use the outlet.
    pub(crate) fn on_alarm(&self, alarm: impl Fn() + Send + 'static) {
        self.board.lock().alarms.push(Box::new(alarm));
    }

    /// Waits until the time is up, or there is something that a source is told of.
    pub(crate) fn rest(&self, most: Duration) -> Woken {
        let until = Instant::now().checked_add(most);
        let mut state = self.board.lock();
        loop {
            let left = until.map_or(most, |until| until.saturating_duration_since(Instant::now()));
            match (state.ending, state.again != self.again) {
                (true, _) => return Woken::Ending,
                (false, true) => return Woken::Again,
                (false, false) if left.is_zero() => return Woken::Time,
                (false, false) => {}
            }
            state = self.board.news.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// As [`Outlet::rest`], but only the end of the courier wakes it.
    pub(crate) fn sleep(&mut self, most: Duration) -> Woken {
        let until = Instant::now() + most;
        loop {
            match self.rest(until.saturating_duration_since(Instant::now())) {
                Woken::Again => drop(self.again()),
                woken => return woken,
            }
        }
    }

    fn say(&self, state: State, fault: Option<Fault>, next: Duration) {
        let now = clock::wall_ms();
        let next = u64::try_from(next.as_millis()).unwrap_or(u64::MAX);
        self.change(|report| {
            report.state = state;
            report.trouble = fault.map(|fault| fault.trouble);
            report.detail = fault.map_or(0, |fault| fault.detail);
            if state != State::Failing {
                report.last_good = now / 1000;
            }
            report.next = if state == State::Listening { 0 } else { now.saturating_add(next).div_ceil(1000) };
        });
    }

    fn change(&self, change: impl FnOnce(&mut Report)) {
        let source = self.source;
        change(self.board.lock().reports.entry(source).or_insert_with(|| Report::starting(source)));
        self.board.ring();
    }
}

impl Ticket {
    /// What there is, without waiting.
    pub(crate) fn look(&self) -> Reply {
        match self.0.try_recv() {
            Ok(verdict) => Reply::Verdict(verdict),
            Err(TryRecvError::Empty) => Reply::NotYet,
            Err(TryRecvError::Disconnected) => Reply::Ending,
        }
    }

    /// Waits for an answer, up to so long.
    pub(crate) fn wait(&self, most: Duration) -> Reply {
        match self.0.recv_timeout(most) {
            Ok(verdict) => Reply::Verdict(verdict),
            Err(RecvTimeoutError::Timeout) => Reply::NotYet,
            Err(RecvTimeoutError::Disconnected) => Reply::Ending,
        }
    }
}
