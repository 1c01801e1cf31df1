//! The hits of one origin on a span, and the sequences that they may be.
//!
//! A hit tells whether its place is even or odd. Of either kind the last hits are kept as they came, and read in three ways,
//! each of which has its troubles that it sees through (`docs/PROTOCOL.md`, section 10). What is a sequence, its seal shows.

#[cfg(test)]
mod tests;

use std::ops::Deref;

use super::LONGEST;

/// Hits of either kind that are kept.
const KEPT: usize = 32;
/// Most hits of either kind in a sequence.
const HALF: usize = LONGEST.div_ceil(2);
/// No symbol of any span.
const NONE: u16 = u16::MAX;
/// How often hits are to be opened when one comes, at most.
pub const READINGS: usize = 3;

/// The last hits of one origin on one span: 128 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Those of even places and those of odd ones, newest last.
    kinds: [[u16; KEPT]; 2],
}

impl Default for Queue {
    fn default() -> Self {
        Self { kinds: [[NONE; KEPT]; 2] }
    }
}

impl Queue {
    /// Takes a hit, which is one of the span. Whether that may have made a sequence: not if it is the last of its kind once more.
    pub fn push(&mut self, symbol: u16) -> bool {
        let [even, odd] = &mut self.kinds;
        let kind = if symbol & 1 == 0 { even } else { odd };
        let new = symbol != NONE && kind.last() != Some(&symbol);
        if new {
            kind.rotate_left(1);
            kind.iter_mut().next_back().into_iter().for_each(|last| *last = symbol);
        }
        new
    }

    /// The sequences of so many hits that the last ones may be, all different, the likeliest first: [`READINGS`] at most, and
    /// none where the hits are too few.
    ///
    /// When one opens, the queue has done its duty and is to be emptied.
    pub fn readings(&self, length: usize) -> impl Iterator<Item = Symbols> + use<> {
        let [once, twice, latest] = self.read(length).unwrap_or_default();
        let twice = twice.filter(|_| twice != once);
        let latest = latest.filter(|_| latest != once && latest != twice);
        [once, twice, latest].into_iter().flatten()
    }

    fn read(&self, length: usize) -> Option<[Option<Symbols>; READINGS]> {
        let [even, odd] = &self.kinds;
        let (evens, odds) = (length.div_ceil(2), length / 2);
        let (even, odd) = (Window::of(even, evens)?, Window::of(odd, odds)?);
        Some([
            // It came once; what comes again is a double, however late.
            Symbols::of(merged(even.widest, evens, 0), merged(odd.widest, odds, 0)),
            // It came twice, and each time something was lost.
            Symbols::of(merged(even.widest, evens, evens / 2), merged(odd.widest, odds, odds / 2)),
            // It came as a whole, and what was before does not matter.
            Symbols::of(merged(even.latest, evens, 0), merged(odd.latest, odds, 0)),
        ])
    }
}

/// The last hits of a kind among which are as many different ones as a sequence has.
struct Window<'a> {
    widest: &'a [u16],
    latest: &'a [u16],
}

impl<'a> Window<'a> {
    /// None if there are not so many.
    fn of(kind: &'a [u16], count: usize) -> Option<Self> {
        let mut seen = Order::default();
        let (mut widest, mut latest) = (None, None);
        for (at, symbol) in kind.iter().enumerate().rev().filter(|(_, symbol)| **symbol != NONE) {
            if !seen.contains(symbol) {
                if seen.len() == count {
                    break;
                }
                seen.insert(seen.len(), *symbol);
                latest = (seen.len() == count).then_some(at);
            }
            widest = Some(at);
        }
        Some(Self { latest: kind.get(latest?..)?, widest: kind.get(widest?..)? })
    }
}

/// The different ones of hits in one order: that in which they came first, unless they come again.
///
/// Their order is a circle of `count` places. A known one that is up to `reach` places ahead of the last that was met is where a
/// second pass goes on; one that is farther ahead, which is to say behind, is late. A new one has its place after the last.
fn merged(hits: &[u16], count: usize, reach: usize) -> Order {
    let mut order = Order::default();
    let mut next = 0;
    for hit in hits {
        match order.iter().position(|known| known == hit) {
            None => {
                order.insert(next, *hit);
                next += 1;
            }
            Some(place) if (place + count + 1).saturating_sub(next) % count.max(1) <= reach => {
                next = place + 1;
            }
            Some(_) => {}
        }
    }
    order
}

/// Symbols of a kind, in order.
#[derive(Clone, Copy, Default)]
struct Order {
    symbols: [u16; HALF],
    length: usize,
}

impl Order {
    /// Puts one before that of a place; there is room, for no window has more than [`HALF`].
    fn insert(&mut self, place: usize, symbol: u16) {
        let Some(end) = self.symbols.get_mut(self.length) else { return };
        *end = symbol;
        self.length += 1;
        if let Some(behind) = self.symbols.get_mut(place..self.length) {
            behind.rotate_right(1);
        }
    }
}

impl Deref for Order {
    type Target = [u16];

    fn deref(&self) -> &[u16] {
        self.symbols.get(..self.length).unwrap_or_default()
    }
}

/// The symbols of a sequence in their order, up to [`LONGEST`] of them; see [`super::open`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbols {
    symbols: [u16; 2 * HALF],
    length: usize,
}

impl Symbols {
    /// Even and odd ones by turns; none where they do not come by turns.
    fn of(even: Order, odd: Order) -> Option<Self> {
        let length = even.len() + odd.len();
        let mut symbols = [NONE; 2 * HALF];
        symbols.iter_mut().step_by(2).zip(&*even).for_each(|(to, from)| *to = *from);
        symbols.iter_mut().skip(1).step_by(2).zip(&*odd).for_each(|(to, from)| *to = *from);
        (length.div_ceil(2) == even.len()).then_some(Self { symbols, length })
    }
}

impl Deref for Symbols {
    type Target = [u16];

    fn deref(&self) -> &[u16] {
        self.symbols.get(..self.length).unwrap_or_default()
    }
}
