//! The keeper's end of the watch: starting it, again if it dies, and speaking with it.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};

use klopf_engine::{Budget, Millis};
use klopf_sys::{PacketSocket, Pair, Received, User, clock};

use crate::message::{DOWN_SIZE, Down, UP_SIZE, Up};
use crate::plan::Plan;
use crate::role;

/// Milliseconds before a watch that died is started again, the first time.
const FIRST_PAUSE: u64 = 50;
/// The same, at most.
const LONGEST_PAUSE: u64 = 10_000;
/// A watch that lived for so long has earned a quick restart.
const LONG_LIFE: u64 = 60_000;
/// Messages that wait for a watch; a plan of ten thousand doors is some twenty thousand.
const MOST_UNSENT: usize = 1 << 20;

/// Messages a watch may send at once, and a second. It has budgets of its own for all that strangers can cause, and
/// stays far below; one that does not is no longer ours.
const MESSAGES: (u32, u32) = (16_384, 2048);

/// What was heard.
pub(super) enum Told {
    Nothing,
    Message(Up),
    Nonsense,
}

/// The watch as the keeper sees it.
pub(super) struct Watching {
    user: User,
    seccomp_optional: bool,
    debug: bool,
    process: Option<(u32, Pair)>,
    unsent: VecDeque<[u8; DOWN_SIZE]>,
    started: u64,
    pause: u64,
    start_at: Option<u64>,
    given_up: bool,
    stopping: bool,
    budget: Budget,
    /// Nothing it says is believed any more.
    distrusted: bool,
}

impl Watching {
    pub(super) fn new(user: User, seccomp_optional: bool, debug: bool) -> Self {
        Self {
            user,
            seccomp_optional,
            debug,
            process: None,
            unsent: VecDeque::new(),
            started: 0,
            pause: FIRST_PAUSE,
            start_at: None,
            given_up: false,
            stopping: false,
            budget: Budget::new(MESSAGES.0, MESSAGES.1),
            distrusted: false,
        }
    }

    pub(super) fn start(&mut self, packets: &PacketSocket, now: u64) -> std::io::Result<()> {
        (self.started, self.start_at) = (now, None);
        self.unsent.clear();
        self.distrusted = false;
        let started = role::start_watch(packets, self.user, self.seccomp_optional, self.debug);
        if started.is_err() {
            self.later(now);
        }
        self.process = Some(started?);
        Ok(())
    }

    pub(super) fn is(&self, pid: u32) -> bool {
        self.process.as_ref().is_some_and(|(own, _)| *own == pid)
    }

    /// Takes in that it has ended. One that never worked in a daemon that never was ready is not tried again.
    pub(super) fn ended(&mut self, now: u64, was_ready: bool) {
        self.process = None;
        self.given_up = !was_ready;
        self.later(now);
    }

    pub(super) fn given_up(&self) -> bool {
        self.given_up
    }

    fn kill(&mut self) {
        if let Some((pid, _)) = &self.process {
            klopf_sys::kill(*pid);
        }
    }

    /// Ends a watch that is not what it should be.
    pub(super) fn distrust(&mut self) {
        self.distrusted = true;
        self.kill();
    }

    /// Ends it for good.
    pub(super) fn stop(&mut self) {
        self.stopping = true;
        self.kill();
    }

    /// Whether its end is what was asked for.
    pub(super) fn stopping(&self) -> bool {
        self.stopping
    }

    /// Whether it is there, if only until its end is heard of.
    pub(super) fn alive(&self) -> bool {
        self.process.is_some()
    }

    /// When it is to be started again.
    pub(super) fn next(&self) -> Option<u64> {
        self.start_at
    }

    pub(super) fn due(&self, now: u64) -> bool {
        self.start_at.is_some_and(|at| at <= now)
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.process.as_ref().map(|(_, pair)| pair.as_fd())
    }

    /// Whether something waits to be sent.
    pub(super) fn unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    pub(super) fn receive(&mut self) -> Told {
        self.send();
        let Some((pid, pair)) = self.process.as_ref().filter(|_| !self.distrusted) else { return Told::Nothing };
        let mut bytes = [0; UP_SIZE];
        match pair.receive(&mut bytes) {
            Received::Nothing => Told::Nothing,
            // It has ended, which is heard of by SIGCHLD, or must.
            Received::Closed => {
                klopf_sys::kill(*pid);
                Told::Nothing
            }
            Received::Message(_) if !self.debug && !self.budget.take(Millis(clock::monotonic_ms())) => Told::Nonsense,
            Received::Message(length) => match bytes.get(..length).and_then(Up::decode) {
                Some(message) => Told::Message(message),
                None => Told::Nonsense,
            },
        }
    }

    pub(super) fn ask_counts(&mut self) {
        self.post([Down::Count]);
    }

    pub(super) fn take_doors(&mut self, plan: &Plan) {
        for (_, door) in &plan.doors {
            let sequences = door.sequences.iter().map(|ports| Down::Sequence(ports.clone()));
            self.post([Down::Door(door.clone())].into_iter().chain(sequences));
        }
        self.post([Down::CommitDoors]);
    }

    pub(super) fn take_sight(&mut self, messages: Vec<Down>) {
        self.post(messages);
    }

    fn post(&mut self, messages: impl IntoIterator<Item = Down>) {
        self.unsent.extend(messages.into_iter().map(|message| message.encode()));
        self.send();
        if self.unsent.len() > MOST_UNSENT {
            self.kill(); // it has not listened for long
        }
    }

    fn send(&mut self) {
        let Some((_, pair)) = &self.process else { return self.unsent.clear() };
        while let Some(message) = self.unsent.front() {
            if !pair.send(message) {
                return;
            }
            self.unsent.pop_front();
        }
    }

    fn later(&mut self, now: u64) {
        if now.saturating_sub(self.started) >= LONG_LIFE {
            self.pause = FIRST_PAUSE;
        }
        self.start_at = Some(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}
