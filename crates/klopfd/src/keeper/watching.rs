//! The keeper's end of the watch: starting it, again if it dies, and speaking with it.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use klopf_brief::{Verdict, What};
use klopf_engine::{Budget, Earliest, Marks, Millis, SourceId};
use klopf_spa::Name;
use klopf_sys::{Pair, Received, User, clock};
use zeroize::Zeroizing;

use crate::message::{DOWN_SIZE, Down, UP_SIZE, Up};
use crate::plan::{Packets, Person, Plan};
use crate::role;

/// Milliseconds before a watch that died is started again, the first time.
const FIRST_PAUSE: u64 = 50;
/// The same, at most.
const LONGEST_PAUSE: u64 = 10_000;
/// A watch that lived for so long has earned a quick restart.
const LONG_LIFE: u64 = 60_000;
/// Milliseconds that a watch may take to end after it has closed its end of the pair.
const TO_END: u64 = 1000;
/// Milliseconds after which counts are asked for again that did not come.
const COUNTS_IN: u64 = 5000;
/// Milliseconds without an answer after which it counts as hung.
const HUNG: u64 = 4000;
/// Lines that a watch may cause at once, and a second: some more than it allows itself.
const LINES: (u32, u32) = (2048, 64);
/// The same for grants.
const GRANTS: (u32, u32) = (4096, 512);

/// The same for how far reading has got in logs: a few of each log every other second.
const REPORTS: (u32, u32) = (1024, 256);

/// What was heard.
pub(super) enum Told {
    Nothing,
    Message(Up),
    Nonsense,
}

/// A message, and the descriptor that goes with it.
type Letter = (Zeroizing<[u8; DOWN_SIZE]>, Option<OwnedFd>);

/// The watch as the keeper sees it.
pub(super) struct Watching {
    user: User,
    seccomp_optional: bool,
    debug: bool,
    /// The process, until its end was heard of.
    pid: Option<u32>,
    /// The pair, until its other end was closed.
    pair: Option<Pair>,
    unsent: VecDeque<Letter>,
    /// It does not know yet what was accepted before.
    fresh: bool,
    started: u64,
    pause: u64,
    start_at: Option<u64>,
    kill_at: Option<u64>,
    given_up: bool,
    stopping: bool,
    lines: Budget,
    grants: Budget,
    reports: Budget,
    counts_asked: usize,
    counts_asked_at: u64,
    /// Nothing it says is believed any more.
    distrusted: bool,
    /// When it was asked whether all is well, and has not answered yet.
    pinged: Option<u64>,
}

impl Watching {
    pub(super) fn new(user: User, seccomp_optional: bool, debug: bool) -> Self {
        Self {
            user,
            seccomp_optional,
            debug,
            pid: None,
            pair: None,
            unsent: VecDeque::new(),
            fresh: true,
            started: 0,
            pause: FIRST_PAUSE,
            start_at: None,
            kill_at: None,
            given_up: false,
            stopping: false,
            lines: Budget::new(LINES.0, LINES.1),
            grants: Budget::new(GRANTS.0, GRANTS.1),
            reports: Budget::new(REPORTS.0, REPORTS.1),
            counts_asked: 0,
            counts_asked_at: 0,
            distrusted: false,
            pinged: None,
        }
    }

    pub(super) fn start(&mut self, letters: &Pair, now: u64) -> std::io::Result<()> {
        (self.started, self.start_at, self.distrusted) = (now, None, false);
        (self.pinged, self.fresh) = (None, true);
        // Nobody was there to hear what was asked meanwhile.
        self.counts_asked = 0;
        self.unsent.clear();
        match role::start_watch(letters, self.user, self.seccomp_optional, self.debug) {
            Ok((pid, pair)) => {
                (self.pid, self.pair) = (Some(pid), Some(pair));
                Ok(())
            }
            Err(error) => {
                self.later(now);
                Err(error)
            }
        }
    }

    /// Whether a process is this one.
    pub(super) fn is(&self, pid: u32) -> bool {
        self.pid == Some(pid)
    }

    /// Takes in that a process has ended; whether it was this one.
    pub(super) fn reaped(&mut self, pid: u32) -> bool {
        let own = self.is(pid);
        if own {
            self.pid = None;
        }
        own
    }

    /// All it had to say has been heard. One that never worked in a daemon that never was ready is not tried again.
    pub(super) fn ended(&mut self, now: u64, was_ready: bool) {
        (self.pair, self.kill_at) = (None, None);
        self.counts_asked = 0;
        self.given_up = !was_ready;
        self.later(now);
    }

    pub(super) fn given_up(&self) -> bool {
        self.given_up
    }

    /// Ends it; another is started.
    pub(super) fn kill(&mut self) {
        self.pid.into_iter().for_each(klopf_sys::kill);
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
        self.pid.is_some()
    }

    /// When it is to be started again, or ended.
    pub(super) fn next(&self) -> Option<u64> {
        self.start_at.or(self.kill_at)
    }

    /// Ends one that has closed its end of the pair and goes on all the same.
    pub(super) fn kill_overdue(&mut self, now: u64) {
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill_at = None;
            self.kill();
        }
    }

    pub(super) fn due(&self, now: u64) -> bool {
        self.start_at.is_some_and(|at| at <= now)
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pair.as_ref().map(Pair::as_fd)
    }

    /// Whether something waits to be sent.
    pub(super) fn unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    pub(super) fn receive(&mut self) -> Told {
        self.send();
        let Some(pair) = self.pair.as_ref().filter(|_| !self.distrusted) else { return Told::Nothing };
        let mut bytes = [0; UP_SIZE];
        let length = match pair.receive(&mut bytes) {
            Received::Nothing => return Told::Nothing,
            // It is ending, which will be heard of by SIGCHLD, or must be made to.
            Received::Closed => {
                self.pair = None;
                self.kill_at = Some(clock::monotonic_ms() + TO_END);
                return Told::Nothing;
            }
            Received::Message(length) => length,
        };
        match bytes.get(..length).and_then(Up::decode).filter(|message| self.may_say(message)) {
            Some(message) => Told::Message(message),
            None => Told::Nonsense,
        }
    }

    /// Whether it may say that now. A watch keeps budgets for what strangers can cause, and stays below these.
    fn may_say(&mut self, message: &Up) -> bool {
        let now = Millis(clock::monotonic_ms());
        match message {
            Up::Packet(_) => self.debug,
            Up::Count(..) => {
                let asked = self.counts_asked > 0;
                self.counts_asked = self.counts_asked.saturating_sub(1);
                asked
            }
            Up::Grant { .. } | Up::Sealed { .. } | Up::Burnt { .. } => self.grants.take(now),
            Up::Place(..) | Up::Cursor(..) | Up::LogCounts(..) => self.reports.take(now),
            Up::Ready { .. }
            | Up::Stage { .. }
            | Up::TimedOut { .. }
            | Up::Broken { .. }
            | Up::Pong(_)
            | Up::Refused { .. }
            | Up::SealedRefused(_)
            | Up::Silenced(_)
            | Up::Strange => self.lines.take(now),
        }
    }

    /// Tells what became of what the courier had offered.
    pub(super) fn judged(&mut self, offer: u32, verdict: Verdict) {
        self.post([Down::Judged(offer, verdict)]);
    }

    /// Asks whether all is well.
    pub(super) fn ping(&mut self, now: u64) {
        if self.pair.is_some() && self.pinged.is_none() {
            self.pinged = Some(now);
            self.post([Down::Ping(now)]);
        }
    }

    /// It has answered.
    pub(super) fn answered(&mut self, number: u64) {
        self.pinged = self.pinged.filter(|pinged| *pinged != number);
    }

    /// Whether it has not answered for too long.
    pub(super) fn is_hung(&self, now: u64) -> bool {
        self.pinged.is_some_and(|pinged| now.saturating_sub(pinged) >= HUNG)
    }

    /// Asks for the counts, unless they are under way.
    pub(super) fn ask_counts(&mut self) {
        let now = clock::monotonic_ms();
        if self.counts_asked > 0 && now.saturating_sub(self.counts_asked_at) < COUNTS_IN {
            return;
        }
        // Some of the last ones were lost, or may still come.
        self.counts_asked += crate::watch::count_names().len();
        self.counts_asked_at = now;
        self.post([Down::Count]);
    }

    /// Tells it where to look, and for what if that has changed. What was told before and not taken in yet is told
    /// anew.
    pub(super) fn tell(
        &mut self,
        sight: Vec<Down>,
        doors_changed: bool,
        plan: &Plan,
        marks: &Marks,
        earliest: Earliest,
    ) {
        let untold = self.unsent.iter().any(|(_, fd)| fd.is_none());
        let doors_too = doors_changed || untold;
        self.fresh |= untold;
        // What was handed over is not told of a second time.
        self.unsent.retain(|(_, fd)| fd.is_some());
        self.post([Down::Begin]);
        self.post(sight);
        if doors_too {
            for (name, door) in &plan.doors {
                let sequences = door.sequences.iter().map(|ports| Down::Sequence(ports.clone()));
                let called = Name::new(name).filter(|_| plan.packets.is_some()).map(Down::Called);
                let ways =
                    called.iter().flat_map(|_| Down::may_ask(&door.may_ask)).chain([Down::Ways(door.ways.clone())]);
                let ways: Vec<Down> = ways.filter(|_| called.is_some()).collect();
                let encoded = plan.packets.iter().flat_map(|packets| &packets.encoded);
                let spelled = encoded.filter(|(id, _)| *id == door.id).map(|(_, spelling)| Down::Spelling(*spelling));
                self.post(
                    [Down::Door(door.clone())].into_iter().chain(sequences).chain(called).chain(ways).chain(spelled),
                );
            }
            plan.packets.iter().for_each(|packets| self.tell_packets(packets, earliest));
            self.post(plan.brief.sources.iter().filter_map(|source| {
                let book = matches!(source.what, What::Guestbook(_));
                Some(Down::Source(SourceId(source.id), book, Name::new(&source.name)?))
            }));
            self.post(plan.logs.iter().flat_map(|log| Down::log(log.id, &log.lines)));
            // Before the keys are in force: nothing may be accepted twice for a moment.
            if std::mem::take(&mut self.fresh) {
                self.post(marks.iter().flat_map(|(id, mark)| Down::marks(id, mark)));
            }
            self.post([Down::CommitDoors]);
        }
    }

    fn tell_packets(&mut self, packets: &Packets, earliest: Earliest) {
        self.post([Down::Server(packets.server.clone(), packets.way.shape, packets.window, earliest)]);
        for Person { key, public, psk, factor, .. } in &packets.people {
            self.post([Down::Key(key.clone()), Down::Secrets(*public, psk.clone())]);
            self.post(key.doors.iter().map(|door| Down::KeyDoor(*door)));
            self.post(key.hours.iter().map(|hours| Down::Hours(*hours)));
            self.post(key.networks.iter().map(|network| Down::Network(*network)));
            self.post(factor.iter().map(|factor| Down::Factor(factor.clone())));
            self.post(key.revoked_sheets.iter().map(|sheet| Down::Sheet(*sheet)));
        }
    }

    fn post(&mut self, messages: impl IntoIterator<Item = Down>) {
        self.unsent.extend(messages.into_iter().map(|message| (message.encode(), None)));
        self.send();
    }

    /// Hands a descriptor over, with what it is.
    pub(super) fn hand(&mut self, message: &Down, fd: OwnedFd) {
        self.unsent.push_back((message.encode(), Some(fd)));
        self.send();
    }

    fn send(&mut self) {
        let Some(pair) = &self.pair else { return self.unsent.clear() };
        while let Some((message, fd)) = self.unsent.front() {
            let sent = match fd {
                None => pair.send(&**message),
                Some(fd) => pair.send_with(&**message, fd.as_fd()),
            };
            if !sent {
                return;
            }
            self.unsent.pop_front();
        }
    }

    /// Tries again after a pause that grows.
    pub(super) fn later(&mut self, now: u64) {
        if now.saturating_sub(self.started) >= LONG_LIFE {
            self.pause = FIRST_PAUSE;
        }
        self.start_at = Some(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}
