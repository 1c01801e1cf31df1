//! Chance, in the forms in which dresses want it.

use crate::Random;

/// Draws from a source of random bytes.
pub(super) struct Draw<'a>(pub(super) Random<'a>);

impl Draw<'_> {
    /// So many bytes.
    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.0)(&mut bytes);
        bytes
    }

    /// So many bytes.
    pub(super) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        (self.0)(&mut bytes);
        bytes
    }

    /// A number below this one, which is not 0.
    pub(super) fn below(&mut self, count: usize) -> usize {
        scale(u32::from_be_bytes(self.array()), count)
    }

    /// A number from the first to the last.
    pub(super) fn between(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last.saturating_sub(first) + 1)
    }

    /// Whether something happens that does so once in so many times.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of these, of which there is one at least.
    pub(super) fn one_of<T: Copy + Default>(&mut self, choices: &[T]) -> T {
        choices.get(self.below(choices.len())).copied().unwrap_or_default()
    }

    /// Brings these into an order drawn by chance.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for count in (2..=items.len()).rev() {
            items.swap(self.below(count), count - 1);
        }
    }
}

/// A random number brought below `count`. No number is likelier than another by more than one in 2^32 / `count`.
pub(super) fn scale(random: u32, count: usize) -> usize {
    let scaled = (u128::from(random) * count as u128) >> 32;
    usize::try_from(scaled).unwrap_or_default()
}
