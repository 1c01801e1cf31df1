//! A mailbox that is read by IMAP: told by the server when a mail comes, or asked again and again.
//!
//! The server is trusted with the mails, and with nothing else: every step has an end in time and bytes, and what it says
//! is read by a [reader](response) of our own.

mod link;
mod response;
mod session;
mod text;

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use klopf_brief::{Imap, Trouble};
use klopf_sys::{Pair, clock};

use super::reader::{Find, Look, Reader};
use super::waiting::{Fate, Waiting};
use super::{MAILS, OLDEST};
use crate::outlet::{Outlet, Woken};
use session::{Limits, Session};

/// After that listening begins anew: connections without traffic are cut on the way.
const RENEWAL: Duration = Duration::from_secs(9 * 60);
/// Until answers are looked for.
const SOON: Duration = Duration::from_secs(5);
/// Until a mail is looked at again of which it is not known whether it may have something.
const LATER: Duration = Duration::from_secs(60);
/// A connection that has lasted for so long was a good one.
const LASTING: Duration = Duration::from_secs(60);
/// Connections are not kept for longer when nothing is said.
const KEPT: Duration = Duration::from_secs(5 * 60);
/// How often it is tried to mark a mail.
const TRIES: u8 = 3;
const LIMITS: Limits = Limits { step: Duration::from_secs(30), fetch: Duration::from_secs(60) };

/// Looks at a mailbox until the courier ends.
pub(crate) fn look_at(imap: &Imap, outlet: Outlet) {
    run(imap, outlet, super::find);
}

fn run(imap: &Imap, mut outlet: Outlet, find: Find) {
    let (Ok(reader), Ok((bell, alarm))) = (Reader::new(find, &imap.require_dkim), Pair::new()) else {
        outlet.failing(Trouble::NoAccess, Duration::MAX);
        return;
    };
    outlet.on_alarm(move || {
        let _ = alarm.send(&[1]);
    });
    let mut mailbox = Mailbox::new(imap, reader, LIMITS);
    let mut failures = 0;
    while !outlet.is_ending() {
        let begin = Instant::now();
        if let Err(trouble) = mailbox.listen(&mut outlet, &bell) {
            let chance = clock::random().map_or(u32::MAX / 2, u32::from_le_bytes);
            failures = if begin.elapsed() >= LASTING { 0 } else { failures };
            let pause = pause(trouble, failures, chance);
            failures = failures.saturating_add(1);
            outlet.failing(trouble, pause);
            mailbox.rest(&mut outlet, pause);
        }
    }
}

/// The pause after a trouble, and so many before it: from 5 seconds to 5 minutes, or from one minute to an hour where
/// somebody is not let in, for servers count that; and up to a fifth more or less.
fn pause(trouble: Trouble, before: u32, chance: u32) -> Duration {
    let (first, last) = if trouble == Trouble::Login { (60, 3600) } else { (5, 300) };
    let seconds = (first << before.min(10)).min(last);
    Duration::from_secs(seconds).mul_f64(0.8 + 0.4 * f64::from(chance) / f64::from(u32::MAX))
}

/// From one look to the next, at least.
const BREATH: Duration = Duration::from_millis(200);

struct Mailbox<'a> {
    imap: &'a Imap,
    reader: Reader,
    /// By their numbers, which hold while the validity is the same.
    waiting: Waiting<u32>,
    validity: u32,
    /// Whose token was taken, and how often it was tried to mark them.
    to_mark: VecDeque<(u32, u8)>,
    limits: Limits,
}

/// What could not be seen or done in a look.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    too_much: bool,
    not_marked: bool,
    /// Others are to be answered first.
    full: bool,
}

impl<'a> Mailbox<'a> {
    fn new(imap: &'a Imap, reader: Reader, limits: Limits) -> Self {
        Self { imap, reader, waiting: Waiting::default(), validity: 0, to_mark: VecDeque::new(), limits }
    }

    /// Looks again and again; returns well when the courier ends, or when the connection was closed in between.
    fn listen(&mut self, outlet: &mut Outlet, bell: &Pair) -> Result<(), Trouble> {
        let mut session = Session::open(self.imap, self.limits)?;
        if session.validity != self.validity {
            self.waiting.clear();
            self.to_mark.clear();
            self.validity = session.validity;
        }
        let mut looked: Option<Instant> = None;
        let every = Duration::from_millis(self.imap.every_ms);
        let mut seen = Seen::default();
        while !outlet.is_ending() {
            if outlet.again() {
                self.waiting.forget_all();
                looked = None;
            }
            self.settle(&mut session, false, &mut seen)?;
            let longest = match () {
                () if !session.can_listen() => every,
                () if self.waiting.has_later() => LATER,
                () => RENEWAL,
            };
            if seen.full || session.news || looked.is_none_or(|at| at.elapsed() >= longest) {
                // A server that has news without end is not looked at without end.
                if let Some(at) = looked {
                    outlet.sleep(BREATH.saturating_sub(at.elapsed()));
                }
                seen = self.look(outlet, &mut session)?;
                looked = Some(Instant::now());
            }
            let trouble = match seen {
                Seen { not_marked: true, .. } => Some(Trouble::NotMarked),
                Seen { too_much: true, .. } => Some(Trouble::TooMuch),
                Seen { .. } => None,
            };
            let soon = seen.full || self.waiting.is_waiting();
            if session.can_listen() {
                outlet.listening(trouble.map(Into::into));
                let time = if soon {
                    SOON
                } else if self.waiting.has_later() {
                    LATER
                } else {
                    RENEWAL
                };
                if !session.news {
                    session.listen(bell, time)?;
                }
                continue;
            }
            outlet.waiting(trouble.map(Into::into), every);
            let time = if soon { SOON.min(every) } else { every };
            if time > KEPT {
                session.close();
                self.rest(outlet, time);
                return Ok(());
            }
            outlet.rest(time);
        }
        session.close();
        Ok(())
    }

    /// Waits for as long as this, whatever the watch says meanwhile.
    fn rest(&mut self, outlet: &mut Outlet, time: Duration) {
        let until = Instant::now() + time;
        while outlet.rest(until.saturating_duration_since(Instant::now())) == Woken::Again {
            outlet.again();
            self.waiting.forget_all();
        }
    }

    /// Looks at all mails that it does not know.
    fn look(&mut self, outlet: &Outlet, session: &mut Session) -> Result<Seen, Trouble> {
        let mut seen = Seen::default();
        let uids = session.search((clock::wall_ms() / 1000).saturating_sub(OLDEST))?;
        seen.too_much = uids.len() > MAILS;
        let there: BTreeSet<u32> = uids.into_iter().rev().take(MAILS).collect();
        self.waiting.keep(|uid| there.contains(uid));
        let mut new: Vec<u32> = there.into_iter().filter(|uid| self.waiting.is_new(uid)).collect();
        // One that was too much for the server last time does not hold up the others.
        new.sort_by_key(|uid| self.waiting.tries(uid));
        for uid in new {
            if outlet.is_ending() {
                break;
            }
            let look = match session.fetch(uid, self.reader.longest()) {
                Ok(Some(mail)) => self.reader.look(outlet, &mail.bytes, mail.whole),
                Ok(None) => Look::Nothing,
                Err(trouble) => {
                    let look = if trouble == Trouble::TooLong { Look::Nothing } else { Look::Later };
                    let _ = self.waiting.add(uid, look);
                    return Err(trouble);
                }
            };
            match self.waiting.add(uid, look) {
                Ok(Some(_)) => {}
                Ok(None) => self.settle(session, true, &mut seen)?,
                Err(_) => {
                    seen.full = true;
                    break;
                }
            }
            outlet.looked_at(1);
        }
        Ok(seen)
    }

    /// Does with mails what their answers say.
    fn settle(&mut self, session: &mut Session, patiently: bool, seen: &mut Seen) -> Result<(), Trouble> {
        let settled = self.waiting.settle(patiently).into_iter();
        self.to_mark.extend(settled.filter(|(_, fate)| *fate == Fate::Taken).map(|(uid, _)| (uid, 1)));
        while let Some((uid, tries)) = self.to_mark.pop_front() {
            match session.taken(uid, &self.imap.taken) {
                Ok(done) => seen.not_marked |= !done,
                Err(trouble) => {
                    if tries < TRIES {
                        self.to_mark.push_back((uid, tries + 1));
                    }
                    return Err(trouble);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
