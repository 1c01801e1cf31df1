//! A page that everybody may write to, looked at from time to time.

mod address;
mod fetch;
pub(crate) mod page;
mod pause;
mod redirect;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use klopf_brief::{Body, Guestbook, Trouble};
use klopf_sys::clock;
use klopf_wire::text::{self, Found};

use self::fetch::{Failure, Fetched, Fetcher, Limits, Raw};
use self::pause::pause;
use crate::fault::Fault;
use crate::outlet::{Outlet, Reply, Ticket, Woken};
use crate::seen::Seen;

/// What is offered of one page at once; of more, as much from its start as from its end, and then from the rest.
const OFFERED_AT_ONCE: usize = 512;
/// Until more of a page is offered.
const SOON: Duration = Duration::from_secs(1);
/// One page is read at a time: that may take as much memory as some dozens of its size.
static READING: Mutex<()> = Mutex::new(());

/// Looks at a guestbook until the courier ends.
pub(crate) fn look_at(book: Guestbook, outlet: Outlet) {
    let mut reader = Reader::new(book, outlet, Limits::default());
    loop {
        let next = Instant::now() + reader.look();
        let woken = loop {
            let left = next.saturating_duration_since(Instant::now());
            if !reader.go_on() {
                break reader.outlet.rest(left);
            }
            match reader.outlet.rest(SOON.min(left)) {
                Woken::Time if Instant::now() < next => {}
                woken => break woken,
            }
        };
        match woken {
            Woken::Ending => return,
            Woken::Time => {}
            // It was not its turn, and so a failure says nothing more.
            Woken::Again => reader.failures = reader.failures.saturating_sub(1),
        }
    }
}

/// A guestbook, and what is known of it.
struct Reader {
    book: Guestbook,
    outlet: Outlet,
    limits: Limits,
    fetcher: Option<Fetcher>,
    seen: Seen,
    /// What was offered and has no answer yet.
    offered: Vec<(u64, Ticket)>,
    /// The page that was fetched last, while not all of it was offered.
    rest: Option<Raw>,
    /// What was wrong with the page that was fetched last.
    fault: Option<Fault>,
    /// How many looks have failed since the last good one.
    failures: u32,
}

impl Reader {
    fn new(book: Guestbook, outlet: Outlet, limits: Limits) -> Self {
        let (fetcher, seen, offered) = (None, Seen::default(), Vec::new());
        Self { book, outlet, limits, fetcher, seen, offered, rest: None, fault: None, failures: 0 }
    }

    /// Looks once, and reports; how long to wait until the next look.
    fn look(&mut self) -> Duration {
        self.take_answers();
        if self.outlet.again() {
            self.seen.clear();
            self.fetcher.iter_mut().for_each(Fetcher::forget);
        }
        let looked = self.fetch().map(|page| page.into_iter().for_each(|page| self.read(page)));
        let every = Duration::from_millis(self.book.every_ms);
        // Without chance the pauses are only less uneven.
        let chance = clock::random().map_or(u32::MAX / 2, u32::from_le_bytes);
        match looked {
            Ok(()) => {
                self.failures = 0;
                let next = pause(every, 0, None, chance);
                self.outlet.waiting(self.fault, next);
                next
            }
            Err(failure) => {
                self.failures = self.failures.saturating_add(1);
                let next = pause(every, self.failures, failure.asked, chance);
                self.outlet.failing(failure.fault, next);
                next
            }
        }
    }

    /// None if the page is the one of the last time.
    fn fetch(&mut self) -> Result<Option<Raw>, Failure> {
        let fetcher = match &mut self.fetcher {
            Some(fetcher) => fetcher,
            none => none.insert(Fetcher::new(&self.book, self.limits)?),
        };
        Ok(match fetcher.fetch()? {
            Fetched::Same => None,
            Fetched::Page(page) => Some(page),
        })
    }

    /// Offers more of the last page; false if all of it was offered.
    fn go_on(&mut self) -> bool {
        self.take_answers();
        if let Some(page) = self.rest.take() {
            self.read(page);
        }
        self.rest.is_some()
    }

    /// Offers what is new on a page.
    fn read(&mut self, page: Raw) {
        let _alone = READING.lock().unwrap_or_else(PoisonError::into_inner);
        let read = page::read(&page.bytes, page.content_type.as_deref(), self.book.format);
        let mut new = Vec::new();
        let mut all = std::collections::HashSet::new();
        for found in read.texts.iter().flat_map(|text| text::find(text)) {
            let Some(body) = Body::new(&found.body) else { continue };
            let name = self.seen.name((body, found.address));
            if all.insert(name) && !self.seen.knows(name) && self.offered.iter().all(|(other, _)| *other != name) {
                new.push((name, body, found));
            }
        }
        let more = new.len().saturating_sub(OFFERED_AT_ONCE.saturating_sub(self.offered.len()));
        if more > 0 {
            let keep = new.len() - more;
            new.drain(keep.div_ceil(2)..keep.div_ceil(2) + more);
        }
        let mut left = more > 0;
        for (name, body, Found { address, .. }) in new {
            match self.outlet.offer(body, address) {
                Some(ticket) => {
                    self.outlet.looked_at(1);
                    self.offered.push((name, ticket));
                }
                None => left = true,
            }
        }
        let fault = match (page.cut, left, read.broken) {
            (true, ..) => Some(Trouble::TooLong),
            (false, true, _) => Some(Trouble::TooMuch),
            (false, false, true) => Some(Trouble::Nonsense),
            (false, false, false) => None,
        };
        self.fault = fault.map(Fault::from);
        self.rest = left.then_some(page);
    }

    /// What was answered for good is not offered again, as long as the watch stays the same.
    fn take_answers(&mut self) {
        let seen = &mut self.seen;
        self.offered.retain(|(name, ticket)| match ticket.look() {
            Reply::NotYet => true,
            Reply::Verdict(_) => {
                seen.add(*name);
                false
            }
            Reply::Ending => false,
        });
    }
}

#[cfg(test)]
mod tests;
