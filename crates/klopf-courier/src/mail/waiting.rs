//! Mails that were offered, until there is an answer; and those that need not be looked at again.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use klopf_brief::Verdict;

use super::reader::Look;
use crate::outlet::{Reply, Ticket};

/// How long it is waited for an answer before the next mail is looked at.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often a mail is looked at of which it is not known whether it may have something.
const TRIES: u8 = 20;

/// The mails of a mailbox; `K` names one.
pub(crate) struct Waiting<K> {
    /// Those that were offered.
    offered: VecDeque<Offered<K>>,
    /// What was looked at, and how often. It has no more names than the mailbox had when it was last [kept](Self::keep).
    seen: BTreeMap<K, u8>,
}

struct Offered<K> {
    mail: K,
    /// Those without an answer.
    tickets: Vec<Ticket>,
    /// Of those that have one.
    fate: Fate,
}

/// What is to become of a mail that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its token was taken, now or before.
    Taken,
    /// There is nothing in it that opens anything now.
    Left,
}

impl<K> Default for Waiting<K> {
    fn default() -> Self {
        Self { offered: VecDeque::new(), seen: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> Waiting<K> {
    /// Whether a mail is to be looked at.
    pub(crate) fn is_new(&self, mail: &K) -> bool {
        self.seen.get(mail).is_none_or(|tries| (1..TRIES).contains(tries))
    }

    /// How often it is not known what was in a mail.
    pub(crate) fn tries(&self, mail: &K) -> u8 {
        self.seen.get(mail).copied().unwrap_or_default()
    }

    /// Only these mails are still there.
    pub(crate) fn keep(&mut self, there: impl Fn(&K) -> bool) {
        self.seen.retain(|mail, _| there(mail));
    }

    /// This mail is to be looked at once more.
    pub(crate) fn forget(&mut self, mail: &K) {
        self.seen.remove(mail);
    }

    /// All mails are to be looked at once more, but those that wait.
    pub(crate) fn forget_all(&mut self) {
        self.seen.clear();
        self.seen.extend(self.offered.iter().map(|offered| (offered.mail.clone(), 0)));
    }

    /// No mail is there any more.
    pub(crate) fn clear(&mut self) {
        self.offered.clear();
        self.seen.clear();
    }

    /// A mail was looked at; its fate if that is known already. False if no more can be looked at now.
    pub(crate) fn add(&mut self, mail: K, look: Look) -> Result<Option<Fate>, Full> {
        match look {
            Look::Nothing => drop(self.seen.insert(mail, 0)),
            Look::Offered(tickets) => {
                self.seen.insert(mail.clone(), 0);
                self.offered.push_back(Offered { mail, tickets, fate: Fate::Left });
                return Ok(None);
            }
            Look::Later => {
                let tries = self.seen.entry(mail).or_default();
                *tries = tries.saturating_add(1);
                return Ok((*tries >= TRIES).then_some(Fate::Left));
            }
            Look::Busy => return Err(Full),
        }
        Ok(Some(Fate::Left))
    }

    /// Whether there are mails without an answer.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.offered.is_empty()
    }

    /// Whether there are mails that are to be looked at again later.
    pub(crate) fn has_later(&self) -> bool {
        self.seen.values().any(|tries| (1..TRIES).contains(tries))
    }

    /// The mails whose offers all have their answers by now, or soon.
    pub(crate) fn settle(&mut self, patiently: bool) -> Vec<(K, Fate)> {
        let until = Instant::now() + if patiently { PATIENCE } else { Duration::ZERO };
        let mut settled = Vec::new();
        for _ in 0..self.offered.len() {
            let Some(mut offered) = self.offered.pop_front() else { break };
            offered.settle(until);
            if offered.tickets.is_empty() {
                settled.push((offered.mail, offered.fate));
            } else {
                self.offered.push_back(offered);
            }
        }
        settled
    }
}

/// Others are to be answered first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl<K> Offered<K> {
    /// Takes the answers that there are, or that come until then.
    fn settle(&mut self, until: Instant) {
        let fate = &mut self.fate;
        self.tickets.retain(|ticket| match ticket.wait(until.saturating_duration_since(Instant::now())) {
            Reply::Verdict(Verdict::Taken | Verdict::Spent) => {
                *fate = Fate::Taken;
                false
            }
            Reply::Verdict(_) => false,
            Reply::NotYet | Reply::Ending => true,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use klopf_brief::Body;

    use super::*;
    use crate::board::Board;
    use crate::outlet::Outlet;

    #[test]
    fn a_mail_waits_until_all_its_offers_have_answers_and_one_that_was_taken_is_enough() {
        let board = Arc::new(Board::new([1].into_iter()).unwrap());
        let outlet = Outlet::new(Arc::clone(&board), 1);
        let offer = |what: u8| outlet.offer(Body::new(&[what]).unwrap(), None).unwrap();
        let mut waiting = Waiting::default();
        assert_eq!(waiting.add("a", Look::Offered(vec![offer(1), offer(2)])), Ok(None));
        assert_eq!(waiting.add("b", Look::Offered(vec![offer(3)])), Ok(None));
        let answer = |verdict| {
            let mut state = board.lock();
            let number = state.desk.take(0).unwrap().number;
            state.desk.answer(0, number, verdict).unwrap().1.try_send(verdict).unwrap();
        };
        answer(Verdict::Spent);
        assert_eq!(waiting.settle(false), []);
        answer(Verdict::Nothing);
        answer(Verdict::Refused);
        assert!(waiting.is_waiting() && !waiting.is_new(&"a"));
        assert_eq!(waiting.settle(false), [("a", Fate::Taken), ("b", Fate::Left)]);
        assert!(!waiting.is_waiting() && !waiting.is_new(&"a"));
    }

    #[test]
    fn a_mail_is_looked_at_once_unless_it_is_to_be_looked_at_again() {
        let mut waiting = Waiting::default();
        assert!(waiting.is_new(&1));
        assert_eq!(waiting.add(1, Look::Nothing), Ok(Some(Fate::Left)));
        assert!(!waiting.is_new(&1));
        assert_eq!(waiting.add(2, Look::Busy), Err(Full));
        assert!(waiting.is_new(&2));
        for _ in 1..TRIES {
            assert_eq!(waiting.add(3, Look::Later), Ok(None));
            assert!(waiting.is_new(&3) && waiting.has_later());
        }
        assert_eq!(waiting.add(3, Look::Later), Ok(Some(Fate::Left)), "once it must end");
        assert!(!waiting.is_new(&3) && !waiting.has_later());
        waiting.forget(&1);
        waiting.keep(|mail| *mail == 1);
        assert!(waiting.is_new(&1) && waiting.seen.is_empty());
    }
}
