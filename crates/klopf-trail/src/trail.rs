//! A log: the file that has its name, and those that had it before.

use std::collections::VecDeque;
use std::fs::File;
use std::io;

use crate::file::FileAt;
use crate::following::Following;
use crate::lines::{AT_ONCE, Counts, Giver};
use crate::place::Place;

/// Files of one log that are followed at once, at most. Two are usual after a rotation; more only while they are unread.
pub const MOST_FILES: usize = 8;

/// Follows a log: the file that has its name now, and the one that had it before, for a writer may go on there until it
/// is told to open the new one.
///
/// Lines come in the order of the files, and all lines of a file before those of a later one, as far as they are there.
#[derive(Debug)]
pub struct Trail<F = File> {
    /// The oldest first.
    files: VecDeque<Following<F>>,
    buffer: Vec<u8>,
    counts: Counts,
}

/// How far reading has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that were read, those of line ends included.
    pub bytes: usize,
    /// Whether there may be more: the budget was spent.
    pub more: bool,
}

impl<F> Default for Trail<F> {
    fn default() -> Self {
        Self { files: VecDeque::new(), buffer: vec![0; AT_ONCE], counts: Counts::default() }
    }
}

impl<F: FileAt> Trail<F> {
    /// A log without a file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The log has a file, the newest now; reading goes on at the place, or at the beginning if that is not a place in
    /// this file. A file that is followed already becomes the newest, and is read on from where it is.
    ///
    /// # Errors
    /// As fstat(2) and pread(2); then the file is not followed.
    pub fn begin(&mut self, file: F, place: &Place) -> io::Result<()> {
        let facts = file.facts()?;
        let known = self.files.iter().position(|known| known.is(facts.dev, facts.ino));
        let mut next = match known.and_then(|at| self.files.remove(at)) {
            Some(known) => known,
            None => Following::begin(file, place)?,
        };
        next.settled = false;
        if self.files.len() >= MOST_FILES {
            self.files.pop_front();
            self.counts.given_up += 1;
        }
        self.files.push_back(next);
        Ok(())
    }

    /// Gives out lines, without their `\n` and of at most [`crate::LONGEST`] bytes, until `budget` bytes were read, or a
    /// little more, or there are no more lines.
    ///
    /// # Errors
    /// The newest file cannot be read; what of it was read is known. Older ones are given up then.
    pub fn read(&mut self, budget: usize, line: impl FnMut(&[u8])) -> io::Result<Progress> {
        let Self { files, buffer, counts } = self;
        let mut giver = Giver { counts, line };
        let mut left = budget.max(1);
        let before = giver.counts.bytes;
        let mut at = 0;
        let mut more = false;
        while let Some(file) = files.get(at) {
            let newest = at + 1 == files.len();
            let settled = file.settled;
            // To be asked first: whoever writes to a later file has written the last of this one before.
            let left_by_writer = settled || is_left(files, at);
            let Some(file) = files.get_mut(at) else { break };
            match file.read(buffer, &mut left, &mut giver) {
                Ok(true) if newest => break,
                Ok(true) => {}
                Ok(false) => {
                    more = true;
                    break;
                }
                Err(error) if newest => return Err(error),
                Err(_) => {
                    giver.counts.given_up += 1;
                    files.remove(at);
                    continue;
                }
            }
            if !left_by_writer {
                // The first bytes of a later one may have come in the meantime.
                if is_left(files, at) {
                    continue;
                }
                break;
            }
            let two_newer = files.len() > at + 2;
            let Some(file) = files.get_mut(at) else { break };
            // Without a name no other writer will find it, and of two that were left the older one is.
            let over = two_newer || !file.is_named();
            if !settled || over {
                // If it cannot be read, there is nothing to give out.
                let _ = file.finish(buffer, &mut giver);
                file.settled = true;
            }
            if over {
                files.remove(at);
            } else {
                at += 1;
            }
        }
        let bytes = usize::try_from(giver.counts.bytes - before).unwrap_or(usize::MAX);
        Ok(Progress { bytes, more })
    }

    /// Where to go on next time: a place in each of the files, the oldest first.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        self.files.iter().map(Following::place)
    }

    /// What was read so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }
}

/// Whether the writer has left this file: there is something in a later one.
fn is_left<F: FileAt>(files: &VecDeque<Following<F>>, at: usize) -> bool {
    files.iter().skip(at + 1).any(Following::has_bytes)
}

#[cfg(test)]
mod tests;
