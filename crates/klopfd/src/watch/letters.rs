//! The way to the courier: what it offers, and what is answered.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};

use klopf_brief::{ANSWER_SIZE, Answer, OFFER_SIZE, Offer, Verdict};
use klopf_sys::{Pair, Received};

/// Answers that wait while the courier is busy. It has fewer offers under way; what it does not hear of it offers again.
const UNSENT: usize = 256;

pub(super) struct Letters {
    pair: Pair,
    unsent: VecDeque<[u8; ANSWER_SIZE]>,
}

impl Letters {
    pub(super) fn new(pair: Pair) -> Self {
        Self { pair, unsent: VecDeque::new() }
    }

    /// Whether something waits to be sent.
    pub(super) fn unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// The next offer. What is none is left aside.
    pub(super) fn receive(&self) -> Option<Offer> {
        let mut bytes = [0; OFFER_SIZE];
        loop {
            match self.pair.receive(&mut bytes) {
                Received::Message(length) => match bytes.get(..length).and_then(Offer::decode) {
                    Some(offer) => return Some(offer),
                    None => continue,
                },
                Received::Nothing | Received::Closed => return None,
            }
        }
    }

    /// Says what became of an offer.
    pub(super) fn answer(&mut self, offer: u32, verdict: Verdict) {
        self.post(Answer::To(offer, verdict));
    }

    /// Has all that is there offered again.
    pub(super) fn again(&mut self) {
        self.post(Answer::Again);
    }

    fn post(&mut self, answer: Answer) {
        if self.unsent.len() < UNSENT {
            self.unsent.push_back(answer.encode());
        }
        self.flush();
    }

    pub(super) fn flush(&mut self) {
        while let Some(answer) = self.unsent.front() {
            if !self.pair.send(answer) {
                return;
            }
            self.unsent.pop_front();
        }
    }
}

impl AsFd for Letters {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pair.as_fd()
    }
}
