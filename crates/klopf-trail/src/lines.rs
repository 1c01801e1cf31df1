//! From bytes to lines.

use std::io::{self, Read};

use memchr::memchr;

/// Bytes of the longest line; of a longer one the beginning is a line and the rest none.
pub const LONGEST: usize = 2048;

/// Bytes that are read at once.
pub(crate) const AT_ONCE: usize = 1 << 16;

/// What was read, since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines that were given out.
    pub lines: u64,
    /// Bytes that were read, those of line ends included.
    pub bytes: u64,
    /// Lines that were longer than [`LONGEST`].
    pub long: u64,
    /// How often a file was found truncated.
    pub truncated: u64,
    /// Files that were given up before their end: they could not be read, or there were too many.
    pub given_up: u64,
}

/// What gives lines out and counts them.
pub(crate) struct Giver<'a, L> {
    pub(crate) counts: &'a mut Counts,
    pub(crate) line: L,
}

impl<L: FnMut(&[u8])> Giver<'_, L> {
    /// Gives out the lines that are whole, without their `\n`; how many bytes are done with. `skipping` says whether the
    /// bytes begin within a line of which nothing more is wanted. With more than [`LONGEST`] bytes, some are done with.
    ///
    /// Zero bytes before a line are no part of it: a file that was truncated below a writer has a hole there.
    pub(crate) fn give(&mut self, bytes: &[u8], skipping: &mut bool) -> usize {
        let mut rest = bytes;
        while let Some(first) = rest.first() {
            let end = memchr(b'\n', rest);
            let whole = end.map_or(rest, |end| rest.get(..end).unwrap_or_default());
            let behind = end.and_then(|end| rest.get(end + 1..)).unwrap_or_default();
            if *skipping {
                *skipping = end.is_none();
            } else if *first == 0 {
                let zeros = rest.iter().take_while(|byte| **byte == 0).count();
                rest = rest.get(zeros..).unwrap_or_default();
                continue;
            } else if let Some(cut) = whole.get(..LONGEST).filter(|cut| cut.len() < whole.len()) {
                self.counts.long += 1;
                self.one(cut);
                *skipping = end.is_none();
            } else if end.is_some() {
                self.one(whole);
            } else {
                break;
            }
            rest = behind;
        }
        let done = bytes.len() - rest.len();
        self.counts.bytes += done as u64;
        done
    }

    /// Gives out what is left of a line that never ended.
    pub(crate) fn give_last(&mut self, bytes: &[u8]) {
        self.counts.bytes += bytes.len() as u64;
        self.one(bytes);
    }

    fn one(&mut self, line: &[u8]) {
        self.counts.lines += 1;
        (self.line)(line);
    }
}

/// Lines of what cannot be read twice, such as what a program prints.
#[derive(Debug)]
pub struct Lines {
    buffer: Vec<u8>,
    /// Bytes at the beginning of the buffer that are no whole line yet.
    held: usize,
    skipping: bool,
    counts: Counts,
}

/// How far reading has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The budget is spent.
    More,
    /// There is nothing more for now.
    Nothing,
    /// It has ended. What was left of a line was given out.
    Ended,
}

impl Default for Lines {
    fn default() -> Self {
        Self { buffer: vec![0; AT_ONCE], held: 0, skipping: false, counts: Counts::default() }
    }
}

impl Lines {
    /// Gives out lines without their `\n`, of at most [`LONGEST`] bytes, until `budget` bytes have been read, or a little
    /// more, or there is nothing for now.
    ///
    /// # Errors
    /// As of reading. What was read before is not lost.
    pub fn read(&mut self, from: &mut impl Read, budget: usize, line: impl FnMut(&[u8])) -> io::Result<Flow> {
        let mut giver = Giver { counts: &mut self.counts, line };
        let mut left = budget.max(1);
        while left > 0 {
            let length = match from.read(self.buffer.get_mut(self.held..).unwrap_or_default()) {
                Ok(0) => {
                    let last = self.buffer.get(..std::mem::take(&mut self.held)).unwrap_or_default();
                    if !last.is_empty() {
                        giver.give_last(last);
                    }
                    return Ok(Flow::Ended);
                }
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Flow::Nothing),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            left = left.saturating_sub(length);
            let all = self.held + length;
            let done = giver.give(self.buffer.get(..all).unwrap_or_default(), &mut self.skipping);
            self.buffer.copy_within(done..all, 0);
            self.held = all - done;
        }
        Ok(Flow::More)
    }

    /// What was read so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time, and says now and then that there is nothing.
    struct Drops<'a>(&'a [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 += 1;
            if self.1.is_multiple_of(3) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let length = buffer.len().min(self.0.len()).min(self.1 % 7 * 100);
            (&mut self.0).read(buffer.get_mut(..length.max(1)).unwrap())
        }
    }

    fn lines(bytes: &[u8]) -> (Vec<Vec<u8>>, Counts) {
        let (mut all, mut lines, mut from) = (Vec::new(), Lines::default(), Drops(bytes, 0));
        while lines.read(&mut from, 50, |line| all.push(line.to_vec())).unwrap() != Flow::Ended {}
        (all, lines.counts())
    }

    #[test]
    fn lines_come_without_their_ends_and_the_last_one_without_its_own() {
        let (all, counts) = lines(b"one\n\ntwo\r\n\0\0three\0\nfour");
        assert_eq!(all, [&b"one"[..], b"", b"two\r", b"three\0", b"four"]);
        assert_eq!((counts.lines, counts.bytes, counts.long), (5, 23, 0));
        assert_eq!(lines(b"").0, [b""; 0]);
    }

    #[test]
    fn of_a_line_that_is_too_long_the_beginning_is_a_line() {
        for extra in [0, 1, 2, 5000, 200_000] {
            let long = vec![b'x'; LONGEST + extra];
            let (all, counts) = lines(&[&b"before\n"[..], &long, b"\nafter\n"].concat());
            assert_eq!(all, [&b"before"[..], &long[..LONGEST], b"after"], "{extra}");
            assert_eq!((counts.long, counts.bytes), (u64::from(extra > 0), (long.len() + 14) as u64));
        }
        let (all, _) = lines(&[b'x'; 3 * LONGEST]);
        assert_eq!(all, [[b'x'; LONGEST]], "and one that never ends is one line");
    }
}
