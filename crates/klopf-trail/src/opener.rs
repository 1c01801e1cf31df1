//! The side that may open files.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};

use klopf_sys::{Event, Inotify, WatchId};
use rustix::fs::{FileType, Stat};

use crate::place::Place;
use crate::places::Places;
use crate::resolve::{self, Trouble, Way};

/// How often a way is followed anew because it leads through folders that were not watched before.
const MOST_WAYS: usize = 4;
/// Names in a folder among which a rotated file is looked for.
const MOST_NAMES: usize = 1 << 14;
/// Files of a log of which it is told that they have changed.
const WATCHED: usize = 2;

/// Opens logs, and opens them again when their names come to mean other files.
///
/// It watches folders, so that it hears of that, and has a second queue of news for the reader, [`Opener::changes`]: of what
/// happens to the files themselves. So a busy log costs this side nothing.
#[derive(Debug)]
pub struct Opener {
    names: Inotify,
    changes: Inotify,
    logs: Vec<Log>,
}

/// A file to be handed to the reader.
#[derive(Debug)]
pub struct Opened {
    /// The number of the log, as in what [`Opener::new`] was given.
    pub log: usize,
    /// Its file, newer than all that were handed over before. It does not block, and is closed at exec.
    pub file: File,
    /// Where reading is to go on.
    pub place: Place,
}

#[derive(Debug)]
struct Log {
    path: PathBuf,
    /// Whether its name was looked up before: a file that it means later is read from its beginning.
    known: bool,
    /// What was handed over last. As long as it is open here, no other file gets its number.
    current: Option<(File, Stat)>,
    /// The names on the way to it.
    names: BTreeSet<(WatchId, OsString)>,
    /// Its files in the reader's queue, the oldest first.
    watches: VecDeque<WatchId>,
    trouble: Option<Trouble>,
}

impl Opener {
    /// Is to open these logs; nothing is opened yet.
    ///
    /// # Errors
    /// As inotify_init1(2).
    pub fn new(logs: impl IntoIterator<Item = PathBuf>) -> io::Result<Self> {
        let log = |path| Log {
            path,
            known: false,
            current: None,
            names: BTreeSet::new(),
            watches: VecDeque::new(),
            trouble: None,
        };
        Ok(Self { names: Inotify::new()?, changes: Inotify::new()?, logs: logs.into_iter().map(log).collect() })
    }

    /// The reader's queue. It is the same for all logs, and for each new reader; whenever there are news in it, all logs
    /// are to be read until there is nothing more.
    #[must_use]
    pub fn changes(&self) -> BorrowedFd<'_> {
        self.changes.as_fd()
    }

    /// All that a new reader needs, in the order in which it is to begin with it. A log of which nothing is known begins at
    /// its end, so its places should be kept from then on, even if there are none. A file that has got another name in its folder is found
    /// there.
    pub fn begin(&mut self, places: &Places) -> Vec<Opened> {
        let mut opened = Vec::new();
        for number in 0..self.logs.len() {
            let Some(log) = self.logs.get_mut(number) else { break };
            log.current = None;
            log.known |= places.knows(&log.path);
            let places = places.of(&log.path).to_vec();
            let newest = self.look(number, &places);
            opened.extend(self.former(number, &places, newest.as_ref()));
            opened.extend(newest);
        }
        opened
    }

    /// Takes in the news of [`Opener::as_fd`]; the files that some logs have now.
    pub fn hear(&mut self) -> Vec<Opened> {
        let mut touched = BTreeSet::new();
        let Self { names, logs, .. } = self;
        names.read(|event| {
            let is_meant = |log: &Log| match &event {
                Event::Name(folder, name) => log.names.iter().any(|known| (&known.0, &known.1) == (folder, name)),
                Event::Gone(folder) => log.names.iter().any(|(known, _)| known == folder),
                Event::Changed(_) => false,
                Event::Lost => true,
            };
            touched.extend(logs.iter().enumerate().filter(|(_, log)| is_meant(log)).map(|(number, _)| number));
        });
        touched.into_iter().filter_map(|number| self.look(number, &[])).collect()
    }

    /// Looks at all logs, in case that there were no news: of a folder that is not there, or file systems that tell
    /// nothing. The files that some logs have now.
    pub fn look_again(&mut self) -> Vec<Opened> {
        (0..self.logs.len()).filter_map(|number| self.look(number, &[])).collect()
    }

    /// What is wrong with a log.
    #[must_use]
    pub fn trouble(&self, log: usize) -> Option<Trouble> {
        self.logs.get(log)?.trouble
    }

    /// Looks at what a log's name means now; its file, if that is another one than was handed over.
    fn look(&mut self, number: usize, places: &[Place]) -> Option<Opened> {
        let way = self.follow(number)?;
        let log = self.logs.get_mut(number)?;
        let known = std::mem::replace(&mut log.known, true);
        let (file, stat) = match way.found {
            Ok(found) => found,
            Err(trouble) => {
                log.trouble = Some(trouble);
                return None;
            }
        };
        let same = |(_, current): &(File, Stat)| (current.st_dev, current.st_ino) == (stat.st_dev, stat.st_ino);
        if log.current.as_ref().is_some_and(same) {
            // Not seeing it change is no matter of its name.
            log.trouble = log.trouble.filter(|trouble| *trouble == Trouble::Unwatched);
            return None;
        }
        let handed = || {
            let stopped = places.iter().find(|place| place.is_in(&file).unwrap_or(false));
            let place = match stopped {
                Some(place) => *place,
                None if known => Place::start_of(&file)?,
                None => Place::end_of(&file)?,
            };
            Ok::<_, io::Error>((file.try_clone()?, place))
        };
        let Ok((copy, place)) = handed() else {
            log.trouble = Some(Trouble::Other);
            return None;
        };
        log.trouble = None;
        log.current = Some((copy, stat));
        let path = way.steps.last().map(|(folder, name)| folder.join(name)).unwrap_or_default();
        self.watch(number, &file, &path);
        Some(Opened { log: number, file, place })
    }

    /// Files of a log that do not have its name any more, but where reading had not ended.
    fn former(&mut self, number: usize, places: &[Place], newest: Option<&Opened>) -> Vec<Opened> {
        let Some(log) = self.logs.get(number) else { return Vec::new() };
        let is_newest = |place: &Place| newest.is_some_and(|newest| newest.place.ino == place.ino);
        let gone: Vec<&Place> = places.iter().filter(|place| !is_newest(place)).collect();
        if gone.is_empty() {
            return Vec::new();
        }
        let way = Way::follow(&log.path);
        let Some((folder, _)) = way.steps.last() else { return Vec::new() };
        let names = fs::read_dir(folder).into_iter().flatten().take(MOST_NAMES).flatten();
        let named: Vec<_> = names.map(|entry| (entry.ino(), entry.path())).collect();
        let mut found = Vec::new();
        for place in gone {
            let paths = named.iter().filter(|(ino, _)| *ino == place.ino);
            let Some((path, file)) = paths.filter_map(|(_, path)| Some((path, stopped_in(path, place)?))).next() else {
                continue;
            };
            self.watch(number, &file, path);
            found.push(Opened { log: number, file, place: *place });
        }
        // The newest one has to stay the last that is watched.
        if let Some(newest) = newest {
            let path = way.steps.last().map(|(folder, name)| folder.join(name)).unwrap_or_default();
            self.watch(number, &newest.file, &path);
        }
        found
    }

    /// Follows the way to a log and watches each folder on it. A way through other folders than those that were watched
    /// is followed once more, for something may have changed there in between.
    fn follow(&mut self, number: usize) -> Option<Way> {
        for _ in 1..MOST_WAYS {
            let log = self.logs.get_mut(number)?;
            let way = Way::follow(&log.path);
            let watched =
                |(folder, name): &(PathBuf, OsString)| Some((self.names.watch_folder(folder).ok()?, name.clone()));
            let names: BTreeSet<_> = way.steps.iter().filter_map(watched).collect();
            let old = std::mem::replace(&mut log.names, names.clone());
            if old == names {
                return Some(way);
            }
            let used = |folder: WatchId| self.logs.iter().flat_map(|log| &log.names).any(|(other, _)| *other == folder);
            let unused: BTreeSet<_> = old.iter().map(|(folder, _)| *folder).filter(|folder| !used(*folder)).collect();
            unused.into_iter().for_each(|folder| self.names.forget(folder));
        }
        Some(Way::follow(&self.logs.get(number)?.path))
    }

    /// Has the reader told when a file changes; of older files of the log it is told no more.
    fn watch(&mut self, number: usize, file: &File, path: &Path) {
        let watch = self.changes.watch_file(file.as_fd(), path);
        let Some(log) = self.logs.get_mut(number) else { return };
        let Ok(watch) = watch else {
            log.trouble = Some(Trouble::Unwatched);
            return;
        };
        log.watches.retain(|known| *known != watch);
        log.watches.push_back(watch);
        if log.watches.len() > WATCHED
            && let Some(oldest) = log.watches.pop_front()
            && !self.logs.iter().any(|log| log.watches.contains(&oldest))
        {
            self.changes.forget(oldest);
        }
    }
}

/// The news that [`Opener::hear`] takes in.
impl AsFd for Opener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.names.as_fd()
    }
}

/// Opens a file if it is the one where reading stopped.
fn stopped_in(path: &Path, place: &Place) -> Option<File> {
    let seen = rustix::fs::lstat(path).ok()?;
    if FileType::from_raw_mode(seen.st_mode) != FileType::RegularFile {
        return None;
    }
    let (file, _) = resolve::read(path, &seen).ok()?;
    place.is_in(&file).unwrap_or(false).then_some(file)
}

#[cfg(test)]
mod tests;
