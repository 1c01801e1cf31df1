//! One file and how far it was read.

use std::io;

use crate::file::{FileAt, fill};
use crate::lines::{Giver, LONGEST};
use crate::place::{Place, Spot};

#[derive(Debug)]
pub(crate) struct Following<F> {
    file: F,
    dev: u64,
    ino: u64,
    spot: Spot,
    /// Whether its last line was given out, because lines of a later file are there.
    pub(crate) settled: bool,
}

impl<F: FileAt> Following<F> {
    /// Goes on at a place; at the beginning if that is not of this file.
    pub(crate) fn begin(file: F, place: &Place) -> io::Result<Self> {
        let facts = file.facts()?;
        let spot = Spot::find(&file, place)?.unwrap_or_else(Spot::start);
        Ok(Self { file, dev: facts.dev, ino: facts.ino, spot, settled: false })
    }

    /// Whether this is the same file, which cannot have lost its number while it is open here.
    pub(crate) fn is(&self, dev: u64, ino: u64) -> bool {
        (self.dev, self.ino) == (dev, ino)
    }

    pub(crate) fn place(&self) -> Place {
        self.spot.place(self.dev, self.ino)
    }

    /// Whether there is anything in it.
    pub(crate) fn has_bytes(&self) -> bool {
        self.file.facts().is_ok_and(|facts| facts.length > 0)
    }

    /// Whether it has a name still.
    pub(crate) fn is_named(&self) -> bool {
        self.file.facts().is_ok_and(|facts| facts.named)
    }

    /// Gives out what lines there are; false if the budget was spent before the end.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        left: &mut usize,
        giver: &mut Giver<'_, impl FnMut(&[u8])>,
    ) -> io::Result<bool> {
        while *left > 0 {
            // More than the longest line, so that something is done with if it is all there.
            let (done, ended) = self.step(buffer, (*left).max(LONGEST + 1), giver)?;
            *left = left.saturating_sub(done);
            if ended {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Gives out the last line though it has no end; should that come after all, it is skipped.
    pub(crate) fn finish(&mut self, buffer: &mut [u8], giver: &mut Giver<'_, impl FnMut(&[u8])>) -> io::Result<()> {
        self.step(buffer, LONGEST + 1, giver)?;
        let (tail, length) = self.window(buffer, LONGEST)?;
        let read = buffer.get(..length).unwrap_or_default();
        match read.get(tail..).filter(|last| !last.is_empty() && !last.contains(&b'\n')) {
            Some(last) if read.starts_with(&self.spot.tail) && !self.spot.skipping => {
                giver.give_last(last);
                self.spot.skipping = true;
                self.spot.advance(read, last.len());
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads once, `most` bytes at most beyond what was read before; how many of them are done with, and whether the file
    /// ends there.
    fn step(
        &mut self,
        buffer: &mut [u8],
        most: usize,
        giver: &mut Giver<'_, impl FnMut(&[u8])>,
    ) -> io::Result<(usize, bool)> {
        let (mut tail, mut length) = self.window(buffer, most)?;
        if !buffer.get(..length).unwrap_or_default().starts_with(&self.spot.tail) {
            // What was read is no longer there: the file was truncated, and may have been filled again since.
            giver.counts.truncated += 1;
            self.spot = Spot::start();
            (tail, length) = self.window(buffer, most)?;
        }
        let ended = length < buffer.len().min(tail.saturating_add(most));
        let done = giver.give(buffer.get(tail..length).unwrap_or_default(), &mut self.spot.skipping);
        self.spot.advance(buffer.get(..tail + done).unwrap_or_default(), done);
        Ok((done, ended))
    }

    /// Reads what came before the place once more, and what comes after it: one call tells both whether the file is what
    /// it was and what is new. How many bytes should be old ones, and how many there are.
    fn window(&self, buffer: &mut [u8], most: usize) -> io::Result<(usize, usize)> {
        let tail = self.spot.tail.len();
        let end = buffer.len().min(tail.saturating_add(most));
        let window = buffer.get_mut(..end).unwrap_or_default();
        let length = fill(&self.file, window, self.spot.offset.saturating_sub(tail as u64))?;
        Ok((tail, length))
    }
}
