//! Logs: from lines, and packets of NFLOG, to hits and tokens.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use klopf_engine::SourceId;
use klopf_sys::{Inotify, Logged, Nflog, Wait, clock};
use klopf_trail::{Place, Trail};
use klopf_wire::line::{Hit, Patterns, journal, nflog};
use klopf_wire::{Knock, text};

use crate::message::{Down, Piece, Up};
use crate::plan::LogLines;

/// Bytes of a log that are read before the clock is looked at, and milliseconds after which others have their turn. A line can take
/// a few milliseconds where patterns are as bad as they may be.
const AT_ONCE: usize = 32 * 1024;
const TURN: u64 = 5;
/// Messages of a group that are taken in before others have their turn.
const MESSAGES_AT_ONCE: usize = 512;
/// Milliseconds between two reports of how far reading has got.
const REPORTS: u64 = 500;
/// Bytes for what comes from the kernel or from journalctl at once.
const BUFFER: usize = 64 * 1024;
/// Of the packets of a group only headers are wanted.
pub(crate) const NFLOG_RANGE: u32 = 128;

/// What is found in a log.
pub(super) enum Found<'a> {
    /// A line tells of a hit. One that is old may be of any time.
    Hit { hit: Hit, old: bool },
    /// A packet.
    Packet(Knock),
    /// What has the length and the check of a token.
    Token(&'a [u8]),
}

/// All logs.
#[derive(Default)]
pub(super) struct Logs {
    known: BTreeMap<SourceId, Known>,
    /// What the keeper has handed over.
    inputs: BTreeMap<SourceId, Input>,
    changes: Option<Inotify>,
    /// Whether there may be something to read in files.
    due: bool,
    /// When reports are due, on the monotonic clock.
    report_at: Option<u64>,
}

/// A log, until all are known.
#[derive(Default)]
pub(super) struct Staged {
    logs: Vec<(SourceId, LogLines)>,
    text: Vec<u8>,
}

/// What is looked for in a log.
struct Known {
    lines: LogLines,
    patterns: Patterns,
    /// Lines, hits and tokens.
    counts: [u64; 3],
}

enum Input {
    File {
        trail: Trail,
        /// Nothing is read yet but what was there when it was handed over.
        old: bool,
    },
    Packets(Nflog),
    Journal {
        pipe: File,
        journal: Journal,
    },
}

/// How far the journal was read.
struct Journal {
    reader: journal::Reader,
    cursor: Vec<u8>,
    /// In microseconds since 1970; what was written before is old.
    begun: u64,
}

/// When an entry was written, in microseconds since 1970, as its cursor says (`t=` of sd_journal_get_cursor(3)).
fn written(cursor: &[u8]) -> Option<u64> {
    let time = std::str::from_utf8(cursor).ok()?.split(';').find_map(|word| word.strip_prefix("t="))?;
    u64::from_str_radix(time, 16).ok()
}

impl Staged {
    /// Adds what a message tells.
    pub(super) fn add(&mut self, message: &Down) {
        let text = |bytes: &mut Vec<u8>| String::from_utf8_lossy(&std::mem::take(bytes)).into_owned();
        match message {
            Down::Log(id, preset, tokens) => {
                let lines = LogLines { preset: *preset, tokens: *tokens, ..LogLines::default() };
                self.logs.push((*id, lines));
            }
            Down::Text(piece) => self.text.extend_from_slice(piece.bytes()),
            Down::LogPrefix => {
                let prefix = text(&mut self.text);
                self.logs.last_mut().into_iter().for_each(|(_, lines)| lines.prefix = Some(prefix.clone()));
            }
            Down::LogPattern => {
                let pattern = text(&mut self.text);
                self.logs.last_mut().into_iter().for_each(|(_, lines)| lines.patterns.push(pattern.clone()));
            }
            _ => {}
        }
    }
}

impl Logs {
    /// Takes other logs in the place of those before.
    pub(super) fn commit(&mut self, staged: Staged) {
        let mut before = std::mem::take(&mut self.known);
        for (id, lines) in staged.logs {
            let same = before.remove(&id).filter(|known| known.lines == lines);
            // The configuration was checked, by the same code.
            let known = same.or_else(|| {
                let patterns = Patterns::new(lines.preset, lines.prefix.as_deref(), &lines.patterns).ok()?;
                Some(Known { lines, patterns, counts: [0; 3] })
            });
            self.known.extend(known.map(|known| (id, known)));
        }
        let Self { known, inputs, .. } = self;
        inputs.retain(|id, _| known.contains_key(id));
        self.due = true;
    }

    /// Takes a descriptor that came with a message.
    pub(super) fn take(&mut self, message: &Down, fd: OwnedFd) {
        match message {
            Down::LogChanges => self.changes = Some(Inotify::from(fd)),
            Down::LogFile(id, place) => self.take_file(*id, File::from(fd), place),
            Down::LogPackets(id) => drop(self.inputs.insert(*id, Input::Packets(Nflog::from(fd)))),
            Down::LogJournal(id) => {
                let begun = clock::wall_ms().saturating_mul(1000);
                let journal = Journal { reader: journal::Reader::new(), cursor: Vec::new(), begun };
                self.inputs.insert(*id, Input::Journal { pipe: File::from(fd), journal });
            }
            _ => {}
        }
    }

    fn take_file(&mut self, id: SourceId, file: File, place: &Place) {
        self.due = true;
        let input = self.inputs.entry(id).or_insert_with(|| Input::File { trail: Trail::new(), old: true });
        if !matches!(input, Input::File { .. }) {
            *input = Input::File { trail: Trail::new(), old: true };
        }
        if let Input::File { trail, .. } = input {
            // One that cannot be read is handed over anew when it is another.
            let _ = trail.begin(file, place);
        }
    }

    /// What to wait for.
    pub(super) fn waits(&self) -> Vec<Wait<'_>> {
        let inputs = self.inputs.values().filter_map(|input| match input {
            Input::File { .. } => None,
            Input::Packets(group) => Some(group.as_fd()),
            Input::Journal { pipe, .. } => Some(pipe.as_fd()),
        });
        let changes = self.changes.iter().map(AsFd::as_fd);
        changes.chain(inputs).map(|fd| Wait { fd, write: false }).collect()
    }

    /// Whether not to wait at all.
    pub(super) fn due(&self) -> bool {
        self.due && !self.known.is_empty()
    }

    /// When reports are due.
    pub(super) fn next(&self) -> Option<u64> {
        self.report_at
    }

    /// Reads what is there, a bounded part of it, and calls with what is found.
    pub(super) fn read(&mut self, now: u64, mut found: impl FnMut(SourceId, Found<'_>)) {
        if self.changes.as_ref().is_some_and(Inotify::drain) {
            self.due = true;
        }
        let files_due = std::mem::take(&mut self.due);
        let Self { known, inputs, due, report_at, .. } = self;
        let mut ended = Vec::new();
        for (&id, input) in inputs.iter_mut() {
            let Some(known) = known.get_mut(&id) else { continue };
            let lines_before = known.counts;
            match input {
                Input::File { trail, old } => {
                    if !files_due {
                        continue;
                    }
                    let (is_old, begun) = (*old, clock::monotonic_ms());
                    let more = loop {
                        let read = trail.read(AT_ONCE, |line| known.look(line, is_old, |one| found(id, one)));
                        let more = read.is_ok_and(|progress| progress.more);
                        if !more || clock::monotonic_ms().saturating_sub(begun) >= TURN {
                            break more;
                        }
                    };
                    *due |= more;
                    *old &= more;
                }
                Input::Packets(group) => known.take_packets(group, |one| found(id, one)),
                Input::Journal { pipe, journal } => {
                    if known.take_journal(pipe, journal, |one| found(id, one)) {
                        ended.push(id);
                    }
                }
            }
            if known.counts != lines_before {
                report_at.get_or_insert(now + REPORTS);
            }
        }
        // The keeper hears that its journalctl has ended, and starts another.
        ended.iter().for_each(|id| drop(inputs.remove(id)));
    }

    /// How far reading has got, when that is due.
    pub(super) fn reports(&mut self, now: u64) -> Vec<Up> {
        if self.report_at.is_none_or(|at| now < at) {
            return Vec::new();
        }
        self.report_at = None;
        let mut all = Vec::new();
        for (&id, input) in &self.inputs {
            match input {
                Input::File { trail, .. } => {
                    let places: Vec<Place> = trail.places().collect();
                    let count = places.len();
                    all.extend((1..).zip(places).map(|(at, place)| Up::Place(id, place, at == count)));
                }
                Input::Packets(_) => {}
                Input::Journal { journal, .. } => {
                    let pieces = Piece::all(&journal.cursor);
                    let count = pieces.len();
                    all.extend((1..).zip(pieces).map(|(at, piece)| Up::Cursor(id, piece, at == count)));
                }
            }
        }
        all.extend(self.known.iter().map(|(id, known)| Up::LogCounts(*id, known.counts)));
        all
    }
}

impl Known {
    fn look(&mut self, line: &[u8], old: bool, mut found: impl FnMut(Found<'_>)) {
        let [lines, hits, tokens] = &mut self.counts;
        *lines += 1;
        // One that is as long as that may have been cut, and its end is not the line's.
        let read = if line.len() < klopf_trail::LONGEST { self.patterns.read(line) } else { None };
        if let Some((_, hit)) = read {
            *hits += 1;
            found(Found::Hit { hit, old });
        }
        if self.lines.tokens {
            let line = String::from_utf8_lossy(line);
            for one in text::find(&line) {
                *tokens += 1;
                found(Found::Token(one.body.as_slice()));
            }
        }
    }

    fn take_packets(&mut self, group: &Nflog, mut found: impl FnMut(Found<'_>)) {
        let mut buffer = [0; 8192];
        for _ in 0..MESSAGES_AT_ONCE {
            let length = match group.read(&mut buffer) {
                Logged::Messages(length) => length,
                Logged::Lost => continue,
                Logged::Nothing | Logged::Closed => return,
            };
            for packet in nflog::packets(buffer.get(..length).unwrap_or_default()).flatten() {
                let [lines, hits, _] = &mut self.counts;
                *lines += 1;
                // What this host sends comes in by no interface.
                if let Some(knock) = klopf_wire::parse_packet(packet.packet).ok().filter(|_| packet.ifindex > 0) {
                    *hits += 1;
                    found(Found::Packet(knock));
                }
            }
        }
    }

    /// Reads what journalctl has printed; whether it has ended.
    fn take_journal(
        &mut self,
        pipe: &mut File,
        Journal { reader, cursor, begun }: &mut Journal,
        mut found: impl FnMut(Found<'_>),
    ) -> bool {
        let mut buffer = [0; BUFFER];
        match pipe.read(&mut buffer) {
            Ok(0) => true,
            Ok(length) => {
                reader.read(buffer.get(..length).unwrap_or_default(), |entry| {
                    let old = written(entry.cursor).is_none_or(|at| at < *begun);
                    self.look(entry.message, old, &mut found);
                    if !entry.cursor.is_empty() {
                        entry.cursor.clone_into(cursor);
                    }
                });
                false
            }
            Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_says_when_its_entry_was_written() {
        let cursor = b"s=ba1f795ed0014d0db9f27a4a4daa6016;i=24d;b=693c977c41f647079f7fe40e2e918e45;m=f59dea239;t=660efed2d6256;x=cb50";
        assert_eq!(written(cursor), Some(1_795_433_452_888_662));
        assert_eq!([&b""[..], b"t=", b"t=xyz", b"\xff;t=1", b"i=1;tt=2"].map(written), [None; 5]);
    }
}
