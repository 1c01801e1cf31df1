//! Where reading stopped.

use std::hash::Hasher;
use std::io;

use siphasher::sip::SipHasher13;

use crate::file::{FileAt, fill};

/// Bytes before a place by which a file is known again.
pub(crate) const TAIL: usize = 256;

/// Where reading stopped in a file: behind a line that was given out.
///
/// A file is the same one if it has the same number and the same bytes just before that place. The number alone may have
/// gone to another file, or the file may have been truncated and filled anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The number of the file system; for people, because it may change with a reboot.
    pub dev: u64,
    /// The number of the file.
    pub ino: u64,
    /// How many bytes were read.
    pub offset: u64,
    /// A hash of the 256 bytes before, or as many as there are, and of whether a line is being skipped.
    pub check: u64,
}

/// What is known of a place in an open file.
#[derive(Debug)]
pub(crate) struct Spot {
    pub(crate) offset: u64,
    /// The bytes before it: [`TAIL`], or all that there are.
    pub(crate) tail: Vec<u8>,
    /// Whether it is within a line of which nothing more is wanted.
    pub(crate) skipping: bool,
}

impl Place {
    /// The beginning of a file.
    ///
    /// # Errors
    /// As fstat(2).
    pub fn start_of(file: &impl FileAt) -> io::Result<Self> {
        let facts = file.facts()?;
        Ok(Spot::start().place(facts.dev, facts.ino))
    }

    /// The end of a file as it is now. Of a line that has begun but not ended nothing will be given out.
    ///
    /// # Errors
    /// As fstat(2) and pread(2).
    pub fn end_of(file: &impl FileAt) -> io::Result<Self> {
        let facts = file.facts()?;
        let spot = match tail_before(file, facts.length)? {
            Some(tail) => {
                let skipping = !matches!(tail.last(), None | Some(b'\n' | 0));
                Spot { offset: facts.length, tail, skipping }
            }
            // It was truncated just now.
            None => Spot::start(),
        };
        Ok(spot.place(facts.dev, facts.ino))
    }

    /// Whether this is a place in that file.
    ///
    /// # Errors
    /// As fstat(2) and pread(2).
    pub fn is_in(&self, file: &impl FileAt) -> io::Result<bool> {
        Ok(Spot::find(file, self)?.is_some())
    }
}

impl Spot {
    pub(crate) fn start() -> Self {
        Self { offset: 0, tail: Vec::new(), skipping: false }
    }

    /// Finds a place again; none if it is not of this file, or of what the file is now.
    pub(crate) fn find(file: &impl FileAt, place: &Place) -> io::Result<Option<Self>> {
        if file.facts()?.ino != place.ino {
            return Ok(None);
        }
        let Some(tail) = tail_before(file, place.offset)? else { return Ok(None) };
        let skipping = [false, true].into_iter().find(|skipping| check(&tail, *skipping) == place.check);
        Ok(skipping.map(|skipping| Self { offset: place.offset, tail, skipping }))
    }

    pub(crate) fn place(&self, dev: u64, ino: u64) -> Place {
        Place { dev, ino, offset: self.offset, check: check(&self.tail, self.skipping) }
    }

    /// Moves on by `done` bytes, to the end of what was `read`, which begins with the tail.
    pub(crate) fn advance(&mut self, read: &[u8], done: usize) {
        self.offset = self.offset.saturating_add(done as u64);
        let kept = read.get(read.len().saturating_sub(TAIL)..).unwrap_or_default();
        self.tail.clear();
        self.tail.extend_from_slice(kept);
    }
}

/// The bytes before a place; none if the file is shorter.
fn tail_before(file: &impl FileAt, offset: u64) -> io::Result<Option<Vec<u8>>> {
    let length = usize::try_from(offset).unwrap_or(usize::MAX).min(TAIL);
    let mut tail = vec![0; length];
    let read = fill(file, &mut tail, offset - length as u64)?;
    Ok((read == length).then_some(tail))
}

/// Against accidents: who can write to a log can say what it likes there.
fn check(tail: &[u8], skipping: bool) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(2, u64::from(skipping));
    hasher.write(tail);
    hasher.finish()
}
