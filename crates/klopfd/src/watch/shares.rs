//! Shares that wait for others: which of them may make a token together.
//!
//! Shares of one token show the same group. Only the invited can make any, and still one of them may hold a book, so a
//! group keeps few shares of each book and tries few ways to put them together.

use std::collections::HashMap;

use klopf_engine::{Books, SourceId};
use klopf_spa::Share;

/// Groups at most; the oldest gives way.
const MOST_GROUPS: usize = 256;
/// Shares of a group at most, and of one book in it.
const MOST_SHARES: usize = 16;
const MOST_OF_BOOK: usize = 3;
/// Ways to put shares together that are tried when one comes in.
const MOST_WAYS: usize = 64;
/// Milliseconds after which a share counts no more, whatever a door says.
const LONGEST: u64 = 3_600_000;

/// All that wait.
#[derive(Default)]
pub(super) struct Shares {
    groups: HashMap<Of, Vec<Waiting>>,
}

/// What shares of one token have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Of {
    group: [u8; 4],
    needed: u8,
    length: usize,
}

struct Waiting {
    book: SourceId,
    /// Milliseconds.
    since: u64,
    share: Share,
}

/// Shares of different books, as many as it takes.
pub(super) struct Whole {
    pub(super) of: Of,
    pub(super) shares: Vec<Share>,
    pub(super) books: Books,
    /// Milliseconds from the first to the last.
    pub(super) took: u64,
}

impl Shares {
    /// Takes a share in; all ways in which it may make a token with those that wait.
    pub(super) fn add(&mut self, now: u64, book: SourceId, share: Share) -> Vec<Whole> {
        for waiting in self.groups.values_mut() {
            waiting.retain(|waiting| now.saturating_sub(waiting.since) <= LONGEST);
        }
        self.groups.retain(|_, waiting| !waiting.is_empty());
        let of = Of { group: share.group, needed: share.k, length: share.values.len() };
        if self.groups.len() >= MOST_GROUPS && !self.groups.contains_key(&of) {
            let newest = |waiting: &Vec<Waiting>| waiting.iter().map(|one| one.since).max();
            let oldest = self.groups.iter().min_by_key(|(_, waiting)| newest(waiting)).map(|(of, _)| *of);
            oldest.and_then(|of| self.groups.remove(&of));
        }
        let waiting = self.groups.entry(of).or_default();
        let place = waiting.iter().position(|one| one.book == book && one.share == share);
        let place = place.unwrap_or_else(|| {
            let mut of_book = waiting.iter().enumerate().filter(|(_, one)| one.book == book).map(|(place, _)| place);
            let first = of_book.next();
            // The oldest gives way: of a book that somebody else writes to it may be anybody's.
            if let Some(first) = first.filter(|_| of_book.count() + 1 >= MOST_OF_BOOK) {
                waiting.remove(first);
            }
            if waiting.len() >= MOST_SHARES {
                waiting.remove(0);
            }
            waiting.push(Waiting { book, since: now, share });
            waiting.len() - 1
        });
        let mut wholes = Vec::new();
        put_together(waiting, of, vec![place], 0, &mut wholes);
        wholes
    }

    /// The token of these was answered: they are of no more use.
    pub(super) fn used(&mut self, of: Of) {
        self.groups.remove(&of);
    }
}

/// All ways to complete what was chosen with shares from `from` on, of other books and places.
fn put_together(waiting: &[Waiting], of: Of, chosen: Vec<usize>, from: usize, out: &mut Vec<Whole>) {
    let shares = || chosen.iter().filter_map(|&place| waiting.get(place));
    if out.len() >= MOST_WAYS {
        return;
    }
    if chosen.len() >= usize::from(of.needed) {
        let (first, last) = (shares().map(|one| one.since).min(), shares().map(|one| one.since).max());
        out.push(Whole {
            of,
            shares: shares().map(|one| one.share.clone()).collect(),
            books: Books::new(shares().map(|one| one.book)),
            took: last.unwrap_or_default().saturating_sub(first.unwrap_or_default()),
        });
        return;
    }
    for (place, one) in waiting.iter().enumerate().skip(from) {
        if shares().all(|other| other.book != one.book && other.share.x != one.share.x) {
            put_together(waiting, of, [&chosen[..], &[place]].concat(), place + 1, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(group: u8, k: u8, x: u8, value: u8) -> Share {
        Share { group: [group; 4], k, x, values: vec![value; 49] }
    }

    fn ways(wholes: &[Whole]) -> Vec<Vec<(u8, u8)>> {
        wholes.iter().map(|whole| whole.shares.iter().map(|share| (share.x, share.values[0])).collect()).collect()
    }

    #[test]
    fn enough_shares_of_different_books_are_put_together() {
        let mut shares = Shares::default();
        assert!(shares.add(0, SourceId(1), share(7, 2, 1, 10)).is_empty());
        assert!(shares.add(1, SourceId(1), share(7, 2, 2, 20)).is_empty(), "of the same book");
        assert!(
            shares
                .add(2, SourceId(2), share(7, 2, 1, 11))
                .iter()
                .all(|whole| { whole.shares.iter().any(|share| share.x == 2) && whole.books.all().len() == 2 })
        );
        assert!(shares.add(3, SourceId(3), share(8, 2, 3, 30)).is_empty(), "of another group");
        assert!(shares.add(3, SourceId(3), share(7, 3, 3, 30)).is_empty(), "of another number");
        let wholes = shares.add(5, SourceId(3), share(7, 2, 3, 30));
        assert_eq!(ways(&wholes), [[(3, 30), (1, 10)], [(3, 30), (2, 20)], [(3, 30), (1, 11)]]);
        assert_eq!(wholes.iter().map(|whole| whole.took).collect::<Vec<_>>(), [5, 4, 3]);
        shares.used(wholes[0].of);
        assert!(shares.add(6, SourceId(2), share(7, 2, 2, 20)).is_empty());
    }

    #[test]
    fn a_share_that_comes_again_is_as_old_as_it_was_and_one_of_long_ago_is_gone() {
        let mut shares = Shares::default();
        shares.add(0, SourceId(1), share(7, 2, 1, 10));
        shares.add(1000, SourceId(1), share(7, 2, 1, 10));
        assert_eq!(shares.add(1500, SourceId(2), share(7, 2, 2, 20))[0].took, 1500);
        assert_eq!(shares.add(LONGEST + 1, SourceId(3), share(7, 2, 3, 30)).len(), 1);
    }

    #[test]
    fn one_alone_is_enough_where_one_is_asked_for_and_nothing_grows_without_bound() {
        let mut shares = Shares::default();
        assert_eq!(shares.add(0, SourceId(1), share(7, 1, 1, 10)).len(), 1);
        for number in 0..2000_u16 {
            let group = [7, (number % 250) as u8][usize::from(number % 2)];
            let [value, x] = number.to_le_bytes();
            let wholes = shares.add(number.into(), SourceId(number % 9), share(group, 8, x * 2 + value % 2, value));
            assert!(wholes.len() <= MOST_WAYS);
        }
        assert!(shares.groups.len() <= MOST_GROUPS);
        assert!(shares.groups.values().all(|waiting| waiting.len() <= MOST_SHARES));
    }
}
