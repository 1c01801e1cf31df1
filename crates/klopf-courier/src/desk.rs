//! The offers that wait for an answer. Pure: times are milliseconds that only grow, and arguments.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use klopf_brief::{Body, Offer, Verdict};

/// Offers that are with the watch at a time.
pub(crate) const UNDER_WAY: usize = 32;
/// Offers of one source that wait.
pub(crate) const OF_A_SOURCE: usize = 1024;
/// Milliseconds after which an offer without an answer is made again.
const PATIENCE: u64 = 10_000;
/// Milliseconds after which an offer for which there was no time is made again.
const LATER: u64 = 2000;

/// All offers that have no answer yet. `R` is who waits for it.
#[derive(Debug)]
pub(crate) struct Desk<R> {
    /// Those that are to be made, of each source.
    ready: BTreeMap<u16, VecDeque<Letter<R>>>,
    /// Those that were made, and when they are to be made again; the earliest first.
    under_way: VecDeque<(u64, Letter<R>)>,
    /// Those that are to be made later, and when; the earliest first.
    put_off: VecDeque<(u64, Letter<R>)>,
    /// How many there are of each source.
    counts: BTreeMap<u16, usize>,
    /// Whose turn it was last.
    last: u16,
    number: u32,
}

#[derive(Debug)]
struct Letter<R> {
    offer: Offer,
    reply: R,
    /// Whether it was made, so that there may be an answer to it.
    made: bool,
}

impl<R> Default for Desk<R> {
    fn default() -> Self {
        let (ready, under_way, put_off) = (BTreeMap::new(), VecDeque::new(), VecDeque::new());
        Self { ready, under_way, put_off, counts: BTreeMap::new(), last: 0, number: 0 }
    }
}

impl<R> Desk<R> {
    /// One whose offers have numbers from this on: by chance, for answers to another courier may still come.
    pub(crate) fn numbered_from(number: u32) -> Self {
        Self { number, ..Self::default() }
    }

    /// Takes an offer in; false if its source has [`OF_A_SOURCE`] already.
    pub(crate) fn add(&mut self, source: u16, body: Body, address: Option<IpAddr>, reply: R) -> bool {
        let count = self.counts.entry(source).or_default();
        if *count >= OF_A_SOURCE {
            return false;
        }
        *count += 1;
        self.number = self.number.wrapping_add(1);
        let offer = Offer { number: self.number, source, body, address };
        self.ready.entry(source).or_default().push_back(Letter { offer, reply, made: false });
        true
    }

    /// The next offer that is to be made now; sources take turns.
    pub(crate) fn take(&mut self, now: u64) -> Option<Offer> {
        self.expire(now);
        if self.under_way.len() >= UNDER_WAY {
            return None;
        }
        let after = (std::ops::Bound::Excluded(self.last), std::ops::Bound::Unbounded);
        let next = self.ready.range(after).chain(&self.ready).find(|(_, letters)| !letters.is_empty());
        self.last = *next?.0;
        let mut letter = self.ready.get_mut(&self.last)?.pop_front()?;
        letter.made = true;
        let offer = letter.offer;
        self.under_way.push_back((now.saturating_add(PATIENCE), letter));
        Some(offer)
    }

    /// Takes an answer in, and gives it to who waits for it, with the source. With [`Verdict::Later`] nobody need know.
    pub(crate) fn answer(&mut self, now: u64, number: u32, verdict: Verdict) -> Option<(u16, R)> {
        let letter = self.remove(number)?;
        let source = letter.offer.source;
        if verdict == Verdict::Later {
            self.put_off.push_back((now.saturating_add(LATER), letter));
            return None;
        }
        if let Some(count) = self.counts.get_mut(&source) {
            *count = count.saturating_sub(1);
        }
        Some((source, letter.reply))
    }

    /// The watch knows of no offer any more: all are to be made again.
    pub(crate) fn again(&mut self) {
        self.expire(u64::MAX);
    }

    /// When there is something to do by itself.
    pub(crate) fn next(&self) -> Option<u64> {
        let first = |letters: &VecDeque<(u64, Letter<R>)>| letters.front().map(|(at, _)| *at);
        [first(&self.under_way), first(&self.put_off)].into_iter().flatten().min()
    }

    fn expire(&mut self, now: u64) {
        for letters in [&mut self.under_way, &mut self.put_off] {
            while letters.front().is_some_and(|(at, _)| *at <= now) {
                let Some((_, letter)) = letters.pop_front() else { break };
                self.ready.entry(letter.offer.source).or_default().push_back(letter);
            }
        }
    }

    /// An answer may come when an offer is about to be made again.
    fn remove(&mut self, number: u32) -> Option<Letter<R>> {
        for letters in [&mut self.under_way, &mut self.put_off] {
            if let Some(at) = letters.iter().position(|(_, letter)| letter.offer.number == number) {
                return letters.remove(at).map(|(_, letter)| letter);
            }
        }
        self.ready.values_mut().find_map(|letters| {
            let at = letters.iter().position(|letter| letter.made && letter.offer.number == number)?;
            letters.remove(at)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desk(offers: &[(u16, u8)]) -> Desk<u8> {
        let mut desk = Desk::default();
        for &(source, what) in offers {
            assert!(desk.add(source, Body::new(&[what]).unwrap(), None, what));
        }
        desk
    }

    fn made(desk: &mut Desk<u8>, now: u64) -> Vec<(u16, u8)> {
        std::iter::from_fn(|| desk.take(now)).map(|offer| (offer.source, offer.body.bytes()[0])).collect()
    }

    #[test]
    fn sources_take_turns_and_no_more_than_32_offers_are_under_way() {
        let many: Vec<_> = (0..200).map(|what| (7, what)).chain([(3, 250), (9, 251)]).collect();
        let mut desk = desk(&many);
        let first = made(&mut desk, 0);
        assert_eq!(first.len(), UNDER_WAY);
        assert!(first[..4].contains(&(3, 250)) && first[..4].contains(&(9, 251)), "{first:?}");
        assert_eq!(desk.answer(0, 1, Verdict::Nothing), Some((7, 0)));
        assert_eq!(made(&mut desk, 0).len(), 1);
    }

    #[test]
    fn what_is_not_answered_is_offered_again_after_ten_seconds_and_a_late_answer_counts() {
        let mut desk = desk(&[(1, 5)]);
        let offer = desk.take(100).unwrap();
        assert_eq!((desk.next(), desk.take(10_099)), (Some(10_100), None));
        assert_eq!(desk.take(10_100), Some(offer));
        desk.again();
        assert_eq!(desk.answer(10_101, offer.number, Verdict::Taken), Some((1, 5)));
        assert_eq!(desk.answer(10_102, offer.number, Verdict::Taken), None, "a second answer is nobody's");
        assert_eq!((desk.take(99_999), desk.next()), (None, None));
    }

    #[test]
    fn later_means_later_and_again_means_at_once() {
        let mut desk = desk(&[(1, 5), (1, 6)]);
        let [first, second] = [desk.take(0).unwrap(), desk.take(0).unwrap()];
        assert_eq!(desk.answer(0, first.number, Verdict::Later), None);
        assert_eq!(desk.take(1999), None);
        assert_eq!(desk.take(2000), Some(first));
        desk.again();
        assert_eq!([desk.take(2001), desk.take(2001)], [Some(second), Some(first)]);
    }

    #[test]
    fn a_source_has_a_bounded_number_of_offers_and_others_do_not_suffer() {
        let mut desk = Desk::default();
        let body = Body::new(&[1]).unwrap();
        let taken = (0..5000).filter(|_| desk.add(1, body, None, ())).count();
        assert_eq!(taken, OF_A_SOURCE);
        assert!(desk.add(2, body, None, ()));
        assert!(desk.answer(0, 1, Verdict::Nothing).is_none(), "of another courier: it was not made yet");
        let made = desk.take(0).unwrap().number;
        assert!(desk.answer(0, made, Verdict::Nothing).is_some() && desk.add(1, body, None, ()));
    }
}
