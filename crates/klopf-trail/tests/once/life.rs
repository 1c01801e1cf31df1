//! The life of a log, and what is to be given out of it.

use std::collections::{BTreeMap, BTreeSet};

use klopf_trail::{FileAt, LONGEST, Place, Trail};
use proptest::prelude::*;

/// Something that happens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// The writer writes whole lines; the first one ends what it had begun.
    Append { lines: u8, length: u16 },
    /// The writer begins a line, or goes on with it.
    Half { length: u16 },
    /// The file gets another name, and a new one its own.
    Rotate,
    /// The writer opens the file that has the name now.
    Reopen,
    /// The file is copied and truncated.
    Truncate,
    /// The same, and the writer has written so much before anybody looks.
    TruncateAndFill { length: u16 },
    /// The file loses its name.
    Remove,
    /// There is a new file, if there is none.
    Create,
    /// The opener hears what has happened.
    Hear,
    /// The reader reads.
    Read { budget: u16 },
    /// Reader and opener begin anew.
    Restart,
}

/// What a log lives on. Files are told apart by numbers that are never used again.
pub(crate) trait World {
    type File: FileAt;
    /// Appends to a file, with or without a name.
    fn append(&mut self, file: usize, bytes: &[u8]);
    /// Truncates the file that has the name.
    fn truncate(&mut self);
    /// Gives the file with the name another one.
    fn rename(&mut self);
    /// Removes the name.
    fn remove(&mut self);
    /// Makes a file with the name; its number.
    fn create(&mut self) -> usize;
    /// The writer has closed a file.
    fn close(&mut self, file: usize);
    /// The files that the opener hands over.
    fn hear(&mut self) -> Vec<(Self::File, Place)>;
    /// A new opener, and all that it hands over.
    fn restart(&mut self, places: &[Place]) -> Vec<(Self::File, Place)>;
    /// The number of the file that has this one in the file system now.
    fn number(&self, ino: u64) -> Option<usize>;
}

/// A line and what has become of it.
struct Line {
    file: usize,
    /// Whether its end was written.
    ended: bool,
    /// Whether it has to be given out, as far as can be told now.
    due: bool,
    /// Whether a part of it was truncated away.
    torn: bool,
    given: u32,
}

pub(crate) struct Life<W: World> {
    world: W,
    trail: Trail<W::File>,
    /// The file with the name.
    named: Option<usize>,
    /// The file that the writer has open.
    open: usize,
    /// Whether the writer is within a line there: the last one.
    within: bool,
    /// Files that were handed over, and not given up since.
    followed: BTreeSet<usize>,
    /// Files that need not be found again after a restart: removed, or truncated, for that may not have been noticed.
    hidden: BTreeSet<usize>,
    lines: Vec<Line>,
    /// Other texts that were given out: the ends of torn lines.
    ends: BTreeMap<usize, u32>,
}

impl<W: World> Life<W> {
    pub(crate) fn new(mut world: W) -> Self {
        let file = world.create();
        let mut life = Self {
            world,
            trail: Trail::new(),
            named: Some(file),
            open: file,
            within: false,
            followed: BTreeSet::new(),
            hidden: BTreeSet::new(),
            lines: Vec::new(),
            ends: BTreeMap::new(),
        };
        life.restart();
        life
    }

    pub(crate) fn play(mut self, acts: &[Act]) -> Result<(), TestCaseError> {
        for act in acts {
            self.act(*act)?;
            self.check()?;
        }
        // Everything comes to an end that is open, and to light.
        self.act(Act::Create)?;
        self.act(Act::Hear)?;
        self.act(Act::Reopen)?;
        self.act(Act::Append { lines: 2, length: 10 })?;
        while self.read(1000)? {}
        self.check()?;
        for (id, line) in self.lines.iter().enumerate() {
            prop_assert!(!line.due || !self.followed.contains(&line.file) || line.given == 1, "L{} is missing", id);
        }
        Ok(())
    }

    fn act(&mut self, act: Act) -> Result<(), TestCaseError> {
        match act {
            Act::Append { lines, length } => {
                for _ in 0..lines {
                    self.write(length, true);
                }
            }
            Act::Half { length } => self.write(length, false),
            Act::Rotate => {
                if self.named.is_some() {
                    self.world.rename();
                    self.named = Some(self.world.create());
                }
            }
            Act::Reopen => {
                if let Some(named) = self.named.filter(|named| *named != self.open) {
                    self.world.close(self.open);
                    (self.open, self.within) = (named, false);
                }
            }
            Act::Truncate => self.truncate(),
            Act::TruncateAndFill { length } => {
                self.truncate();
                self.write(length, true);
            }
            Act::Remove => {
                if let Some(named) = self.named.take() {
                    self.world.remove();
                    self.hidden.insert(named);
                }
            }
            Act::Create => {
                if self.named.is_none() {
                    self.named = Some(self.world.create());
                }
            }
            Act::Hear => {
                let opened = self.world.hear();
                self.begin(opened);
            }
            Act::Read { budget } => drop(self.read(usize::from(budget))?),
            Act::Restart => self.restart(),
        }
        Ok(())
    }

    /// Writes to the end of the writer's file. A line is `L` and its number, its filling, and `;`.
    fn write(&mut self, length: u16, ends: bool) {
        let mut text = if self.within {
            // What is told apart even when the beginning is lost.
            format!("~{}~", self.lines.len() - 1)
        } else {
            self.lines.push(Line { file: self.open, ended: false, due: true, torn: false, given: 0 });
            format!("L{}-", self.lines.len() - 1)
        };
        // Different in each line, as a time is: what is the same cannot be told apart.
        let mut state = self.lines.len();
        text.extend((0..length).map(|_| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            char::from(b'a' + u8::try_from(state >> 33 & 15).unwrap())
        }));
        if ends {
            text.push_str(";\n");
            self.lines.last_mut().unwrap().ended = true;
        }
        self.within = !ends;
        self.world.append(self.open, text.as_bytes());
    }

    fn truncate(&mut self) {
        let Some(named) = self.named else { return };
        self.world.truncate();
        self.hidden.insert(named);
        for line in self.lines.iter_mut().filter(|line| line.file == named) {
            line.due = false;
            line.torn |= !line.ended;
        }
    }

    fn begin(&mut self, opened: Vec<(W::File, Place)>) {
        for (file, place) in opened {
            self.followed.insert(self.world.number(place.ino).unwrap());
            self.trail.begin(file, &place).unwrap();
        }
        self.let_go();
    }

    fn restart(&mut self) {
        let places: Vec<_> = self.trail.places().collect();
        self.trail = Trail::new();
        let opened = self.world.restart(&places);
        let before = std::mem::take(&mut self.followed);
        self.begin(opened);
        assert!(before.difference(&self.hidden).all(|file| self.followed.contains(file)), "all are found again");
    }

    /// Of files that are followed no more nothing need come that has not come yet.
    fn let_go(&mut self) {
        let followed: BTreeSet<_> = self.trail.places().filter_map(|place| self.world.number(place.ino)).collect();
        let gone: Vec<_> = self.followed.difference(&followed).copied().collect();
        for line in self.lines.iter_mut().filter(|line| gone.contains(&line.file) && line.given == 0) {
            line.due = false;
        }
        self.followed = followed;
    }

    /// Reads; whether there is more.
    fn read(&mut self, budget: usize) -> Result<bool, TestCaseError> {
        let before = self.unread();
        let mut texts = Vec::new();
        let progress = self.trail.read(budget, |line| texts.push(String::from_utf8(line.to_vec()).unwrap())).unwrap();
        for text in &texts {
            self.take(text)?;
        }
        prop_assert!(texts.is_empty() || progress.bytes > 0);
        if !progress.more {
            // What it has given up with this reading was read to its end.
            for id in before {
                prop_assert!(self.lines[id].given == 1, "L{} was there and did not come", id);
            }
        }
        self.let_go();
        Ok(progress.more)
    }

    /// Whole lines of files that are followed, which are there to be read.
    fn unread(&self) -> Vec<usize> {
        let is_unread = |line: &Line| line.due && line.ended && line.given == 0 && self.followed.contains(&line.file);
        self.lines.iter().enumerate().filter(|(_, line)| is_unread(line)).map(|(id, _)| id).collect()
    }

    /// Takes a line that was given out.
    fn take(&mut self, text: &str) -> Result<(), TestCaseError> {
        prop_assert!(text.len() <= LONGEST);
        let number = |text: &str, end| text.split(end).next().and_then(|number| number.parse::<usize>().ok());
        if let Some(id) = text.strip_prefix('L').and_then(|rest| number(rest, '-')) {
            let line = &mut self.lines[id];
            line.given += 1;
            let whole = text.ends_with(';') || text.len() == LONGEST;
            prop_assert!(
                whole || !line.ended || !self.followed.contains(&line.file) || line.file != self.open,
                "half of L{}",
                id
            );
        } else {
            let id = text.strip_prefix('~').and_then(|rest| number(rest, '~'));
            prop_assert!(id.is_some_and(|id| self.lines[id].torn), "{}", text);
            *self.ends.entry(id.unwrap()).or_default() += 1;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for (id, line) in self.lines.iter().enumerate() {
            prop_assert!(line.given <= 1, "L{} came twice", id);
        }
        for (id, count) in &self.ends {
            prop_assert!(*count <= 1, "the end of L{} came twice", id);
        }
        Ok(())
    }
}
