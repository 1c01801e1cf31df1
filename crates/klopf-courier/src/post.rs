//! The main thread: carries offers to the watch, answers to the sources, and reports to the keeper.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use klopf_brief::{ANSWER_SIZE, Answer, Report, Verdict};
use klopf_sys::{Pair, Received, Wait, clock, wait};

use crate::board::Board;

/// Milliseconds between two reports of a source.
const REPORT_PAUSE: u64 = 1000;
/// Answers that are taken in before anything else is looked at.
const ANSWERS_AT_ONCE: usize = 64;

/// Carries all there is to carry.
pub(crate) struct Post {
    board: Arc<Board>,
    watch: Pair,
    keeper: Pair,
    /// What was last said of each source, and when.
    said: BTreeMap<u16, (u64, Report)>,
}

impl Post {
    pub(crate) fn new(board: Arc<Board>, watch: Pair, keeper: Pair) -> Self {
        Self { board, watch, keeper, said: BTreeMap::new() }
    }

    /// Returns when the keeper or the watch is gone, or another courier is to begin, which is the answer; then the
    /// sources are told to end.
    pub(crate) fn run(mut self) -> bool {
        let mut next = Some(0);
        loop {
            let most = next.map(|at: u64| Duration::from_millis(at.saturating_sub(clock::monotonic_ms())));
            let [answers, keeper, bell] = {
                let fds = [self.watch.as_fd(), self.keeper.as_fd(), self.board.bell()];
                wait(fds.map(|fd| Wait { fd, write: false }), most).unwrap_or([true, true, true])
            };
            if bell {
                self.board.silence();
            }
            if (keeper && !self.hear()) || (answers && !self.take_answers()) {
                break;
            }
            next = [self.make_offers(), self.report()].into_iter().flatten().min();
            if self.board.lock().anew {
                break;
            }
        }
        let mut state = self.board.lock();
        let anew = state.anew;
        state.ending = true;
        state.desk = crate::desk::Desk::default();
        drop(state);
        self.board.alarm();
        anew
    }

    /// The keeper says nothing, but it may be gone: false.
    fn hear(&self) -> bool {
        self.keeper.receive(&mut [0; 1]) != Received::Closed
    }

    /// False when the watch is gone.
    fn take_answers(&self) -> bool {
        let mut bytes = [0; ANSWER_SIZE];
        for _ in 0..ANSWERS_AT_ONCE {
            let length = match self.watch.receive(&mut bytes) {
                Received::Nothing => return true,
                Received::Closed => return false,
                Received::Message(length) => length,
            };
            match bytes.get(..length).and_then(Answer::decode) {
                Some(Answer::To(number, verdict)) => self.pass_on(number, verdict),
                Some(Answer::Again) => {
                    let mut state = self.board.lock();
                    state.desk.again();
                    state.again = state.again.wrapping_add(1);
                    drop(state);
                    self.board.alarm();
                }
                None => {}
            }
        }
        true
    }

    fn pass_on(&self, number: u32, verdict: Verdict) {
        let mut state = self.board.lock();
        let Some((source, reply)) = state.desk.answer(clock::monotonic_ms(), number, verdict) else { return };
        if let Some(report) = state.reports.get_mut(&source).filter(|_| verdict == Verdict::Taken) {
            report.taken = report.taken.saturating_add(1);
        }
        // Who has dropped the ticket does not want to know.
        let _ = reply.try_send(verdict);
    }

    /// Until when there is nothing more to offer.
    fn make_offers(&self) -> Option<u64> {
        let now = clock::monotonic_ms();
        let mut state = self.board.lock();
        while let Some(offer) = state.desk.take(now) {
            // One for which there was no room gets no answer, and so is made again.
            let _ = self.watch.send(&offer.encode());
        }
        state.desk.next()
    }

    /// Until when there is nothing more to report.
    fn report(&mut self) -> Option<u64> {
        let now = clock::monotonic_ms();
        let mut next = None;
        for (&source, &report) in &self.board.lock().reports {
            let said = self.said.get(&source);
            if said.is_some_and(|(_, said)| *said == report) {
                continue;
            }
            let due = said.map_or(now, |(at, _)| at.saturating_add(REPORT_PAUSE));
            if due <= now && self.keeper.send(&report.encode()) {
                self.said.insert(source, (now, report));
            } else {
                let again = due.max(now.saturating_add(REPORT_PAUSE / 10));
                next = Some(next.map_or(again, |next: u64| next.min(again)));
            }
        }
        next
    }
}
