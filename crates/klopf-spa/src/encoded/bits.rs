//! Bits one after another, the most significant of each byte first.

/// As many as the longest sequence has: none has more than 253.
const BYTES: usize = 32;

/// Up to 256 bits. What does not fit is left out.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bits {
    bytes: [u8; BYTES],
    length: usize,
}

impl Bits {
    /// So many of the first bits of bytes.
    pub(super) fn first(bytes: &[u8], length: usize) -> Self {
        let mut first = Self { length, ..Self::default() };
        first.bytes.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        first.cut()
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Their bytes, the last of which ends in zeros.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length.div_ceil(8)).unwrap_or_default()
    }

    /// As `0` and `1`.
    pub(super) fn text(&self) -> String {
        (0..self.length).map(|at| if self.bit(at) { '1' } else { '0' }).collect()
    }

    /// Adds the lowest bits of a number.
    pub(super) fn push(&mut self, number: u128, count: usize) {
        for place in (0..count).rev() {
            let Some(byte) = self.bytes.get_mut(self.length / 8) else { return };
            let bit = u8::from(number >> place & 1 == 1);
            *byte |= bit << (7 - self.length % 8);
            self.length += 1;
        }
    }

    pub(super) fn append(&mut self, other: &Self) {
        (0..other.length).for_each(|at| self.push(other.bit(at).into(), 1));
    }

    /// With those of a stream, of which there are enough.
    pub(super) fn xor(&self, stream: &[u8]) -> Self {
        let mut out = *self;
        out.bytes.iter_mut().zip(stream).for_each(|(byte, with)| *byte ^= with);
        out.cut()
    }

    fn bit(&self, at: usize) -> bool {
        self.bytes.get(at / 8).is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1)
    }

    /// Zeros behind the last bit.
    fn cut(mut self) -> Self {
        for (at, byte) in self.bytes.iter_mut().enumerate() {
            let kept = u32::try_from(self.length.saturating_sub(8 * at)).unwrap_or(u32::MAX);
            *byte &= !0xff_u8.checked_shr(kept).unwrap_or(0);
        }
        self
    }
}

/// Takes bits from the front.
pub(super) struct BitReader<'a> {
    bits: &'a Bits,
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bits: &'a Bits) -> Self {
        Self { bits, at: 0 }
    }

    /// A number of so many bits, up to 128; none if there are not so many.
    pub(super) fn take(&mut self, count: usize) -> Option<u128> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bits.length)?;
        let number = (self.at..end).fold(0, |number, at| number << 1 | u128::from(self.bits.bit(at)));
        self.at = end;
        Some(number)
    }

    /// So many bits as they are.
    pub(super) fn part(&mut self, count: usize) -> Option<Bits> {
        let mut part = Bits::default();
        for _ in 0..count {
            part.push(self.take(1)?, 1);
        }
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn numbers_come_out_as_they_went_in(numbers in proptest::collection::vec((0_u128.., 1_usize..=8), 0..32)) {
            let mut bits = Bits::default();
            numbers.iter().for_each(|(number, count)| bits.push(*number, *count));
            let mut from = BitReader::new(&bits);
            for (number, count) in numbers {
                assert_eq!(from.take(count), Some(number & ((1 << count) - 1)));
            }
            assert_eq!(from.take(1), None);
            assert!(bits == Bits::first(bits.bytes(), bits.len()));
        }

        #[test]
        fn a_part_is_cut_from_bytes_and_hidden_twice_is_itself(bytes: [u8; 32], length in 0_usize..=256) {
            let part = Bits::first(&bytes, length);
            assert_eq!(part.bytes().len(), length.div_ceil(8));
            let hidden = part.xor(&[0xa5; 32]);
            assert!(hidden.xor(&[0xa5; 32]) == part && BitReader::new(&hidden).part(length) == Some(hidden));
        }

        #[test]
        fn what_does_not_fit_is_left_out(length in 250_usize..=300) {
            let mut bits = Bits::default();
            (0..length).for_each(|_| bits.push(1, 1));
            assert_eq!(bits.len(), length.min(256));
        }
    }
}
