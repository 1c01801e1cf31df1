//! Logs: opened here, for only root may, and handed to the watch, which reads them; and how far it has got.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use klopf_control::SourceStatus;
use klopf_engine::SourceId;
use klopf_sys::{Nflog, clock};
use klopf_trail::{Opened, Opener, Place, Places};
use rustix::fs::OFlags;

use super::{Keeper, reason};
use crate::face::Face;
use crate::message::{Down, Piece};
use crate::plan::{Log, LogFrom};
use crate::watch::NFLOG_RANGE;

/// The file of the state directory that says how far reading has got in files, and how those begin that say it of the journal.
const PLACES: &str = "logs";
const CURSOR: &str = "journal-";
/// A longer cursor is none, in bytes; those of systemd have some 130.
const LONGEST_CURSOR: usize = 512;
/// Milliseconds between two notes of how far reading has got, and two looks at what cannot be had.
const NOTES: u64 = 2000;
const LOOKS: u64 = 10_000;
/// A journalctl that ends within so many milliseconds has not begun.
const SOON: u64 = 2000;
/// Where journalctl may be.
const JOURNALCTL: [&str; 2] = ["/usr/bin/journalctl", "/bin/journalctl"];

/// The logs as the keeper sees them.
#[derive(Default)]
pub(super) struct Logs {
    logs: Vec<Log>,
    /// Whether the watch has none of them yet.
    anew: bool,
    folder: PathBuf,
    opener: Option<Opener>,
    /// Whose files the opener has, in its order.
    files: Vec<(SourceId, PathBuf)>,
    places: Places,
    /// Places of a log that are still coming.
    coming: Vec<Place>,
    groups: BTreeMap<SourceId, Nflog>,
    journals: BTreeMap<SourceId, Journal>,
    troubles: BTreeMap<SourceId, String>,
    counts: BTreeMap<SourceId, [u64; 3]>,
    /// When the places are to be written.
    note_at: Option<u64>,
    /// When to look again at what cannot be had.
    look_at: Option<u64>,
}

/// A journalctl.
#[derive(Default)]
struct Journal {
    pid: Option<u32>,
    /// When it was started, on the monotonic clock.
    started: u64,
    /// The place is not known any more, also not the one in the file.
    lost: bool,
    /// Where it is to go on.
    cursor: Vec<u8>,
    /// What is known of the next one.
    coming: Vec<u8>,
}

impl Logs {
    /// What to wait for.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.opener.as_ref().map(AsFd::as_fd)
    }

    /// When there is something to do, on the monotonic clock.
    pub(super) fn next(&self) -> Option<u64> {
        [self.note_at, self.look_at].into_iter().flatten().min()
    }

    /// There is a new watch, which has nothing yet.
    pub(super) fn hand_over_anew(&mut self) {
        self.anew = true;
    }

    fn name(&self, id: SourceId) -> Option<&str> {
        self.logs.iter().find(|log| log.id == id).map(|log| log.name.as_str())
    }

    /// Takes other logs; what is to be handed over for that.
    fn replace(&mut self, logs: &[Log], folder: &Path) -> Vec<(Down, OwnedFd)> {
        self.end_journals();
        self.folder = folder.to_owned();
        self.logs = logs.to_vec();
        self.files = logs
            .iter()
            .filter_map(|log| match &log.from {
                LogFrom::File(path) => Some((log.id, path.clone())),
                LogFrom::Journal(_) | LogFrom::Nflog(_) => None,
            })
            .collect();
        let ids: Vec<SourceId> = logs.iter().map(|log| log.id).collect();
        self.groups.retain(|id, _| ids.contains(id));
        self.troubles.retain(|id, _| ids.contains(id));
        self.counts.retain(|id, _| ids.contains(id));
        self.look_at = None;
        let mut handed = self.open_files();
        for log in logs {
            match &log.from {
                LogFrom::File(_) => {}
                LogFrom::Journal(what) => handed.extend(self.open_journal(log.id, what)),
                LogFrom::Nflog(group) => handed.extend(self.open_group(log.id, *group)),
            }
        }
        handed
    }

    fn open_files(&mut self) -> Vec<(Down, OwnedFd)> {
        self.opener = None;
        if self.files.is_empty() {
            return Vec::new();
        }
        let mut opener = match Opener::new(self.files.iter().map(|(_, path)| path.clone())) {
            Ok(opener) => opener,
            Err(error) => {
                let ids: Vec<SourceId> = self.files.iter().map(|(id, _)| *id).collect();
                ids.into_iter().for_each(|id| self.fails(id, reason(&error)));
                return Vec::new();
            }
        };
        let mut handed = Vec::new();
        // Not the descriptor itself, which is needed for the next watch.
        match opener.changes().try_clone_to_owned() {
            Ok(changes) => handed.push((Down::LogChanges, changes)),
            Err(error) => self.files.iter().for_each(|(id, _)| drop(self.troubles.insert(*id, reason(&error)))),
        }
        let opened = opener.begin(&self.places);
        self.opener = Some(opener);
        // What has no file yet will have one that is new.
        for (_, path) in &self.files {
            let known: Vec<Place> =
                opened.iter().filter(|one| self.path(one) == Some(path)).map(|one| one.place).collect();
            if !self.places.knows(path) || !known.is_empty() {
                self.places.set(path, known);
            }
        }
        self.note_at = Some(clock::monotonic_ms());
        handed.extend(self.handed(opened));
        handed
    }

    fn path(&self, opened: &Opened) -> Option<&PathBuf> {
        self.files.get(opened.log).map(|(_, path)| path)
    }

    /// As messages for the watch; and takes in what is wrong with which file.
    fn handed(&mut self, opened: Vec<Opened>) -> Vec<(Down, OwnedFd)> {
        let id_of = |log: usize| self.files.get(log).map(|(id, _)| *id);
        let handed =
            opened.into_iter().filter_map(|one| Some((Down::LogFile(id_of(one.log)?, one.place), one.file.into())));
        let handed = handed.collect();
        let troubles: Vec<_> = (0..self.files.len())
            .filter_map(|log| Some((id_of(log)?, self.opener.as_ref().and_then(|opener| opener.trouble(log)))))
            .collect();
        for (id, trouble) in troubles {
            match trouble {
                Some(trouble) => self.fails(id, trouble.to_string()),
                None => drop(self.troubles.remove(&id)),
            }
        }
        handed
    }

    fn open_group(&mut self, id: SourceId, group: u16) -> Option<(Down, OwnedFd)> {
        let socket = match self.groups.remove(&id).map_or_else(|| Nflog::open(group, NFLOG_RANGE), Ok) {
            Ok(socket) => socket,
            Err(error) => {
                self.fails(id, error.to_string());
                return None;
            }
        };
        let fd = socket.as_fd().try_clone_to_owned().ok();
        self.groups.insert(id, socket);
        self.troubles.remove(&id);
        let fd = fd?;
        Some((Down::LogPackets(id), fd))
    }

    fn open_journal(&mut self, id: SourceId, what: &str) -> Option<(Down, OwnedFd)> {
        let path = self.cursor_file(id)?;
        let journal = self.journals.entry(id).or_default();
        if journal.cursor.is_empty() && !journal.lost {
            journal.cursor = read_cursor(&path).unwrap_or_default();
        }
        match start_journalctl(what, &journal.cursor) {
            Ok((pid, pipe)) => {
                (journal.pid, journal.started) = (Some(pid), clock::monotonic_ms());
                self.troubles.remove(&id);
                Some((Down::LogJournal(id), pipe))
            }
            Err(error) => {
                self.fails(id, format!("cannot start journalctl: {}", reason(&error)));
                None
            }
        }
    }

    fn cursor_file(&self, id: SourceId) -> Option<PathBuf> {
        Some(self.folder.join(format!("{CURSOR}{}", self.name(id)?)))
    }

    /// Takes in that a log cannot be had for now.
    fn fails(&mut self, id: SourceId, why: String) {
        self.troubles.insert(id, why);
        self.look_at.get_or_insert_with(|| clock::monotonic_ms() + LOOKS);
    }

    fn end_journals(&mut self) {
        self.journals.values_mut().filter_map(|journal| journal.pid.take()).for_each(klopf_sys::kill);
    }

    /// Writes how far reading has got.
    fn note(&mut self) -> io::Result<()> {
        self.note_at = None;
        if self.folder.as_os_str().is_empty() {
            return Ok(());
        }
        if !self.files.is_empty() {
            let Self { places, files, .. } = self;
            places.keep(files.iter().map(|(_, path)| path.as_path()));
            places.write(&self.folder.join(PLACES))?;
        }
        let cursors = self.journals.iter().filter(|(_, journal)| !journal.cursor.is_empty());
        cursors.filter_map(|(id, journal)| Some((self.cursor_file(*id)?, &journal.cursor))).try_for_each(
            |(path, cursor)| {
                let new = path.with_extension("new");
                let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
                file.write_all(cursor)?;
                file.sync_all()?;
                std::fs::rename(&new, &path)
            },
        )
    }
}

fn read_cursor(path: &Path) -> Option<Vec<u8>> {
    let mut cursor = Vec::new();
    File::open(path).ok()?.take(LONGEST_CURSOR as u64 + 1).read_to_end(&mut cursor).ok()?;
    is_cursor(&cursor).then_some(cursor)
}

/// Whether that can stand in an argument: a cursor is words of letters and digits.
fn is_cursor(bytes: &[u8]) -> bool {
    bytes.len() <= LONGEST_CURSOR && bytes.iter().all(|byte| byte.is_ascii_graphic())
}

/// Starts a journalctl that tells what comes behind a cursor, or without one what comes from now on; its process id, and what it
/// prints.
fn start_journalctl(what: &str, cursor: &[u8]) -> io::Result<(u32, OwnedFd)> {
    let program = JOURNALCTL.into_iter().find(|path| Path::new(path).exists());
    let program = program.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no journalctl"))?;
    let mut command = Command::new(program);
    command.args(["--quiet", "--follow", "--all", "--output=export", "--output-fields=MESSAGE"]);
    match std::str::from_utf8(cursor) {
        Ok(cursor) if !cursor.is_empty() => command.arg(format!("--after-cursor={cursor}")),
        _ => command.arg("--lines=0"),
    };
    match what {
        "kernel" => command.arg("_TRANSPORT=kernel"),
        unit => command.arg(format!("--unit={unit}")),
    };
    command.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let pipe = child.stdout.take().ok_or_else(|| io::Error::other("no pipe"))?;
    let pipe = OwnedFd::from(pipe);
    rustix::fs::fcntl_setfl(&pipe, rustix::fs::fcntl_getfl(&pipe)? | OFlags::NONBLOCK)?;
    Ok((child.id(), pipe))
}

impl<F: Face> Keeper<'_, F> {
    /// Hands the logs of the plan to the watch, if they have changed or it is a new one.
    pub(super) fn engage_logs(&mut self) {
        let anew = std::mem::take(&mut self.logs.anew) && !self.plan.logs.is_empty();
        if !anew && self.logs.logs == self.plan.logs {
            return;
        }
        if self.logs.folder.as_os_str().is_empty() && !self.state_dir.as_os_str().is_empty() {
            self.read_places();
        }
        let before = self.logs.troubles.clone();
        let handed = self.logs.replace(&self.plan.logs, &self.state_dir);
        self.hand_over(handed, &before);
    }

    fn read_places(&mut self) {
        let path = self.state_dir.join(PLACES);
        match Places::read(&path) {
            Ok((places, damaged)) => {
                self.logs.places = places;
                if damaged > 0 {
                    self.trouble(&format!("{}: {damaged} lines make no sense and are left out", path.display()));
                }
            }
            Err(error) => self.trouble(&format!("how far logs were read: {}: {}", path.display(), reason(&error))),
        }
    }

    fn hand_over(&mut self, handed: Vec<(Down, OwnedFd)>, before: &BTreeMap<SourceId, String>) {
        for (message, fd) in handed {
            self.watching.hand(&message, fd);
        }
        let new: Vec<_> = self.logs.troubles.iter().filter(|(id, why)| before.get(id) != Some(why)).collect();
        let told: Vec<String> =
            new.into_iter().filter_map(|(id, why)| Some(format!("log {}: {why}", self.logs.name(*id)?))).collect();
        told.iter().for_each(|what| self.trouble(what));
    }

    /// Hears what has become of logs, and does what is due.
    pub(super) fn tend_logs(&mut self, now: u64) {
        let before = self.logs.troubles.clone();
        let mut handed = Vec::new();
        if let Some(opener) = &mut self.logs.opener {
            let opened = opener.hear();
            handed.extend(self.logs.handed(opened));
        }
        if self.logs.look_at.is_some_and(|at| at <= now) {
            self.logs.look_at = None;
            handed.extend(self.look_again());
        }
        self.hand_over(handed, &before);
        if self.logs.note_at.is_some_and(|at| at <= now) {
            self.note_logs();
        }
    }

    /// Tries again what could not be had.
    fn look_again(&mut self) -> Vec<(Down, OwnedFd)> {
        let failing: Vec<Log> =
            self.logs.logs.iter().filter(|log| self.logs.troubles.contains_key(&log.id)).cloned().collect();
        let mut handed = Vec::new();
        if self.logs.opener.is_some() {
            let opened = self.logs.opener.as_mut().map(Opener::look_again).unwrap_or_default();
            handed.extend(self.logs.handed(opened));
        }
        for log in failing {
            match &log.from {
                LogFrom::File(_) => {}
                LogFrom::Journal(what) => handed.extend(self.logs.open_journal(log.id, what)),
                LogFrom::Nflog(group) => handed.extend(self.logs.open_group(log.id, *group)),
            }
        }
        handed
    }

    /// Writes how far reading has got.
    pub(super) fn note_logs(&mut self) {
        if self.dry_run.is_some() {
            self.logs.note_at = None;
            return;
        }
        if let Err(error) = self.logs.note() {
            self.trouble(&format!("cannot write down how far logs were read: {}", reason(&error)));
        }
    }

    /// Takes in how far reading has got in a file of a log.
    pub(super) fn take_place(&mut self, id: SourceId, place: Place, last: bool) {
        let logs = &mut self.logs;
        if logs.coming.len() < klopf_trail::MOST_FILES {
            logs.coming.push(place);
        }
        if !last {
            return;
        }
        let places = std::mem::take(&mut logs.coming);
        let path = logs.files.iter().find(|(known, _)| *known == id).map(|(_, path)| path.clone());
        if path.is_some_and(|path| logs.places.set(&path, places)) {
            logs.note_at.get_or_insert_with(|| clock::monotonic_ms() + NOTES);
        }
    }

    /// The same for the journal.
    pub(super) fn take_cursor(&mut self, id: SourceId, piece: &Piece, last: bool) {
        let Some(journal) = self.logs.journals.get_mut(&id) else { return };
        if journal.coming.len() <= LONGEST_CURSOR {
            journal.coming.extend_from_slice(piece.bytes());
        }
        if !last {
            return;
        }
        let cursor = std::mem::take(&mut journal.coming);
        if !cursor.is_empty() && is_cursor(&cursor) && journal.cursor != cursor {
            (journal.cursor, journal.lost) = (cursor, false);
            self.logs.note_at.get_or_insert_with(|| clock::monotonic_ms() + NOTES);
        }
    }

    /// Takes in how many lines, hits and tokens there were.
    pub(super) fn take_log_counts(&mut self, id: SourceId, counts: [u64; 3]) {
        self.logs.counts.insert(id, counts);
    }

    /// Takes in that a process has ended; whether it was a journalctl, of which another is started in a while.
    pub(super) fn journal_ended(&mut self, pid: u32) -> bool {
        let journal = self.logs.journals.iter_mut().find(|(_, journal)| journal.pid == Some(pid));
        let Some((&id, journal)) = journal else { return false };
        journal.pid = None;
        // One that ends at once did not know the place.
        if clock::monotonic_ms().saturating_sub(journal.started) < SOON {
            journal.cursor.clear();
            journal.lost = true;
        }
        let why = "journalctl has ended, and is started again";
        self.logs.fails(id, why.to_owned());
        let name = self.logs.name(id).unwrap_or_default().to_owned();
        self.trouble(&format!("log {name}: {why}"));
        true
    }

    /// Ends what follows the journal.
    pub(super) fn dismiss_logs(&mut self) {
        self.logs.end_journals();
        if self.logs.note_at.is_some() {
            self.note_logs();
        }
    }

    /// How logs are, for who asks.
    pub(super) fn log_status(&self) -> Vec<SourceStatus> {
        let one = |log: &Log| {
            let trouble = self.logs.troubles.get(&log.id).cloned();
            let [lines, hits, tokens] = self.logs.counts.get(&log.id).copied().unwrap_or_default();
            let few = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
            SourceStatus {
                name: log.name.clone(),
                kind: "log".to_owned(),
                state: if trouble.is_some() { "failing" } else { "listening" }.to_owned(),
                trouble: trouble.as_ref().map(|_| "cannot-read".to_owned()),
                detail: 0,
                text: trouble,
                last_good_ms_ago: None,
                next_ms: None,
                looked_at: few(lines),
                taken: few(hits + tokens),
            }
        };
        self.plan.logs.iter().map(one).collect()
    }
}
