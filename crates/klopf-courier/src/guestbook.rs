//! A page that everybody may write to, looked at from time to time.

mod address;
mod fetch;
pub(crate) mod page;
mod pause;
mod pile;
mod redirect;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use klopf_brief::{Body, Guestbook, Trouble};
use klopf_sys::clock;
use klopf_wire::text::{self, Found};

use self::fetch::{Failure, Fetched, Fetcher, Limits, Raw};
use self::pause::pause;
use self::pile::{Candidate, END, Pile};
use crate::fault::Fault;
use crate::outlet::{Outlet, Reply, Ticket, Woken};
use crate::seen::Seen;

/// What is offered of one page at once.
const OFFERED_AT_ONCE: usize = 2 * END;
/// Until more of a page is offered.
const SOON: Duration = Duration::from_secs(1);
/// Between two fetches, whatever the watch says.
const BREATH: Duration = Duration::from_secs(2);
/// Bytes of a text that are searched at once, and what two such parts have in common: more than the longest body with its address.
const PART: usize = 128 * 1024;
const COMMON: usize = 4 * 1024;
/// Bytes of a code, which is nothing without an address.
const CODE: usize = 11;
/// One page is read at a time: that may take as much memory as some dozens of its size.
static READING: Mutex<()> = Mutex::new(());

/// Looks at a guestbook until the courier ends.
pub(crate) fn look_at(book: Guestbook, outlet: Outlet) {
    let mut reader = Reader::new(book, outlet, Limits::default());
    loop {
        let next = Instant::now() + reader.look();
        loop {
            let left = next.saturating_duration_since(Instant::now());
            let most = if reader.go_on() { SOON.min(left) } else { left };
            match reader.outlet.rest(most) {
                Woken::Ending => return,
                Woken::Time if most < left => {}
                Woken::Time => break,
                Woken::Again => {
                    reader.forget();
                    // It was not its turn, and so a failure says nothing more.
                    reader.failures = reader.failures.saturating_sub(1);
                    let soon = reader.not_before.saturating_duration_since(Instant::now());
                    if reader.outlet.sleep(soon) == Woken::Ending {
                        return;
                    }
                    break;
                }
            }
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
    offered: HashMap<u64, Ticket>,
    /// What is still to be offered of the page that was fetched last.
    pile: Pile,
    /// Until when nothing is fetched.
    not_before: Instant,
    /// What was wrong with the page that was fetched last.
    fault: Option<Fault>,
    /// How many looks have failed since the last good one.
    failures: u32,
}

impl Reader {
    fn new(book: Guestbook, outlet: Outlet, limits: Limits) -> Self {
        let (seen, offered, pile) = (Seen::default(), HashMap::new(), Pile::default());
        let not_before = Instant::now();
        Self { book, outlet, limits, fetcher: None, seen, offered, pile, not_before, fault: None, failures: 0 }
    }

    /// Looks once, and reports; how long to wait until the next look.
    fn look(&mut self) -> Duration {
        self.take_answers();
        if self.outlet.again() {
            self.forget();
        }
        let looked = self.fetch().map(|page| page.into_iter().for_each(|page| self.read(&page)));
        let asked = looked.as_ref().err().and_then(|failure| failure.asked).unwrap_or_default();
        self.not_before = Instant::now() + BREATH.max(asked.min(pause::LONGEST));
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

    /// Offers more of the last page; whether there is still more.
    fn go_on(&mut self) -> bool {
        self.take_answers();
        self.offer();
        !self.pile.is_empty()
    }

    /// Offers what is new on a page.
    fn read(&mut self, page: &Raw) {
        let read = self.take_apart(page);
        let left_out = self.pile.left_out();
        if left_out {
            // Others of it have their turn next time, whether the page has changed or not.
            self.fetcher.iter_mut().for_each(Fetcher::forget);
        }
        self.offer();
        let fault = match (page.cut, left_out || !self.pile.is_empty(), read.broken) {
            (true, ..) => Some(Trouble::TooLong),
            (false, true, _) => Some(Trouble::TooMuch),
            (false, false, true) => Some(Trouble::Nonsense),
            (false, false, false) => None,
        };
        self.fault = fault.map(Fault::from);
    }

    /// Piles up what is new on a page.
    fn take_apart(&mut self, page: &Raw) -> page::Texts {
        let _alone = READING.lock().unwrap_or_else(PoisonError::into_inner);
        let read = page::read(&page.bytes, page.content_type.as_deref(), self.book.format);
        self.pile = Pile::default();
        for Found { body, address } in read.texts.iter().flat_map(|text| parts(text)).flat_map(text::find) {
            let Some(body) = Body::new(&body).filter(|_| body.len() != CODE || address.is_some()) else { continue };
            let name = self.seen.name((body, address));
            if !self.seen.knows(name) && !self.offered.contains_key(&name) {
                self.pile.add(Candidate { name, body, address });
            }
        }
        read
    }

    fn offer(&mut self) {
        while self.offered.len() < OFFERED_AT_ONCE {
            let Some(candidate) = self.pile.next() else { return };
            let Candidate { name, body, address } = candidate;
            match self.outlet.offer(body, address) {
                Some(ticket) => {
                    self.outlet.looked_at(1);
                    self.offered.insert(name, ticket);
                }
                None => return self.pile.put_back(candidate),
            }
        }
    }

    /// All is to be offered again.
    fn forget(&mut self) {
        self.take_answers();
        self.seen.clear();
        self.pile = Pile::default();
        self.fetcher.iter_mut().for_each(Fetcher::forget);
    }

    /// What was answered for good is not offered again, as long as the watch stays the same.
    fn take_answers(&mut self) {
        let seen = &mut self.seen;
        self.offered.retain(|name, ticket| match ticket.look() {
            Reply::NotYet => true,
            Reply::Verdict(_) => {
                seen.add(*name);
                false
            }
            Reply::Ending => false,
        });
    }
}

/// A text in parts of which each is searched alone, so that what is found at once is bounded.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let boundary = |at: usize| (at..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    let mut begin = Some(0_usize);
    std::iter::from_fn(move || {
        let at = begin?;
        let end = boundary(at.saturating_add(PART));
        begin = (end < text.len()).then(|| boundary(end - COMMON));
        text.get(at..end)
    })
}

#[cfg(test)]
mod tests;
