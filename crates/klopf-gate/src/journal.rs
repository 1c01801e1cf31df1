//! What is open and how it is closed, on disk, so that it is closed after a kill, too.
//!
//! A text file to which lines are added: `+` a lease with its closing command, `c` one of several closing commands, `s` that it is
//! for a part of its door or for a network, `g` that it lets somebody through a guard, `o` that it was opened, `=` its new end, `-` its end. Lines are not synced to the disk one by one: a killed daemon loses none of them, and against a power cut
//! it is the commands' effects that are gone.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use klopf_sys::clock;

use crate::{Action, By, Command, Pass, Scope};

/// Up to this size the file only grows; then it is written anew whenever it has become twice as long.
const SMALL: u64 = 1 << 20;
/// A journal that is larger than this was not written here.
const UNREASONABLE: u64 = 64 << 20;

/// The extension under which a damaged journal is kept as it was.
const SET_ASIDE: &str = "damaged";

/// A lease as it stands in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) id: u64,
    pub(crate) door: String,
    pub(crate) address: IpAddr,
    pub(crate) scope: Scope,
    /// Milliseconds since boot.
    pub(crate) due: u64,
    /// Milliseconds it may last at most, from now.
    pub(crate) hold: u64,
    pub(crate) close: Vec<Action>,
    /// Set if it lets the address through a guard.
    pub(crate) pass: Option<Pass>,
    /// Whether its opening command has done well, in this boot.
    pub(crate) opened: bool,
    /// Whether its times are of this boot.
    pub(crate) this_boot: bool,
}

/// Why a journal cannot be used.
#[derive(Debug)]
pub enum JournalError {
    /// It cannot be opened, read or written.
    Io(io::Error),
    /// Another process uses it.
    Locked,
    /// Others than root and this user may write to it: its commands cannot be trusted.
    NotOurs,
    /// It is far too large.
    TooLarge,
}

impl std::fmt::Display for JournalError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Locked => f.write_str("another daemon uses it"),
            Self::NotOurs => f.write_str("others may write to it, so its commands cannot be trusted; remove it"),
            Self::TooLarge => f.write_str("it is far too large; remove it"),
        }
    }
}

impl std::error::Error for JournalError {}

impl From<io::Error> for JournalError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    boot: String,
    open: BTreeMap<u64, Pending>,
    damaged: usize,
    /// Its length when it was last written anew.
    compact: u64,
    /// Whether something could not be written, so that the file lacks what is open, or has what is not.
    behind: bool,
}

impl Journal {
    /// Opens or makes a journal and reads what was left open.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let mut file = locked(path)?;
        let data = file.metadata()?;
        let own = fs::metadata("/proc/self")?.uid();
        if !data.is_file() || data.mode() & 0o022 != 0 || (data.uid() != 0 && data.uid() != own) {
            return Err(JournalError::NotOurs);
        }
        if data.len() > UNREASONABLE {
            return Err(JournalError::TooLarge);
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let (boot, path) = (clock::boot_id(), path.to_owned());
        let mut journal = Self { path, file, boot, open: BTreeMap::new(), damaged: 0, compact: 0, behind: false };
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
            if line.and_then(|line| journal.replay(line)).is_none() {
                journal.damaged += 1;
            }
        }
        if journal.damaged > 0 {
            // For who wants to know what it was; without it nothing is worse.
            let _ = set_aside(&journal.path.with_extension(SET_ASIDE), &text);
            // What follows must not be taken for the end of a broken line. A disk that does not take it takes nothing.
            journal.behind = journal.rewrite().is_err();
        }
        Ok(journal)
    }

    /// Takes over what another journal holds, and removes that one.
    ///
    /// # Errors
    /// What it holds cannot be written down here; then it stays where it is.
    pub fn adopt(&mut self, other: Self) -> io::Result<()> {
        let mut next = self.next_id();
        for (_, pending) in other.open {
            self.begin(Pending { id: next, ..pending })?;
            next = next.saturating_add(1);
        }
        self.damaged += other.damaged;
        fs::remove_file(other.path)
    }

    /// Lines that could not be read, such as a last one that was cut off; the file as it was is set aside then, with the
    /// extension `damaged`.
    #[must_use]
    pub fn damaged(&self) -> usize {
        self.damaged
    }

    /// How many leases it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether it holds no lease.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Ends it; an empty one is removed.
    pub(crate) fn finish(self) {
        if self.open.is_empty() {
            // What stays is an empty file.
            let _ = fs::remove_file(self.path);
        }
    }

    /// The leases it holds.
    pub(crate) fn pending(&self) -> impl Iterator<Item = &Pending> {
        self.open.values()
    }

    /// A number that no lease in it has.
    pub(crate) fn next_id(&self) -> u64 {
        self.open.last_key_value().map_or(0, |(id, _)| id.saturating_add(1))
    }

    /// Writes a lease down.
    pub(crate) fn begin(&mut self, pending: Pending) -> io::Result<()> {
        let line = self.line(&pending);
        self.open.insert(pending.id, pending);
        self.append(&line)
    }

    /// Writes down that a lease's opening command has done well.
    pub(crate) fn opened(&mut self, id: u64) -> io::Result<()> {
        let Some(pending) = self.open.get_mut(&id) else { return Ok(()) };
        pending.opened = true;
        self.append(&format!("o\t{id}\n"))
    }

    /// Writes a lease's new end down.
    pub(crate) fn change(&mut self, id: u64, due: u64, hold: u64) -> io::Result<()> {
        let Some(pending) = self.open.get_mut(&id) else { return Ok(()) };
        (pending.due, pending.hold) = (due, hold);
        let wall = clock::wall_ms().saturating_add(hold);
        self.append(&format!("=\t{id}\t{due}\t{hold}\t{wall}\n"))
    }

    /// Writes down that a lease has ended.
    pub(crate) fn end(&mut self, id: u64) -> io::Result<()> {
        match self.open.remove(&id) {
            None => Ok(()),
            Some(_) if self.open.is_empty() => self.file.set_len(0).inspect(|()| self.behind = false),
            Some(_) => self.append(&format!("-\t{id}\n")),
        }
    }

    fn append(&mut self, line: &str) -> io::Result<()> {
        let before = self.file.metadata()?.len();
        let done = if self.behind || before > SMALL.max(2 * self.compact) {
            self.rewrite()
        } else {
            self.file.write_all(line.as_bytes()).inspect_err(|_| {
                // Half a line must not swallow the next one.
                let _ = self.file.set_len(before);
            })
        };
        self.behind = done.is_err();
        done
    }

    /// Replaces the file by one with what is open. The lock is taken on the new file before it takes the name.
    fn rewrite(&mut self) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = create(&new)?;
        if !klopf_sys::lock(&file) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        file.set_len(0)?;
        let text: String = self.open.values().map(|pending| self.line(pending)).collect();
        file.write_all(text.as_bytes()).and_then(|()| fs::rename(&new, &self.path)).inspect_err(|_| {
            // It takes room that others need now.
            let _ = fs::remove_file(&new);
        })?;
        (self.file, self.compact) = (file, text.len() as u64);
        Ok(())
    }

    fn line(&self, pending: &Pending) -> String {
        let Pending { id, door, address, scope, due, hold, close, pass, opened, .. } = pending;
        let wall = clock::wall_ms().saturating_add(due.saturating_sub(clock::boot_ms()));
        let (only, several) = match close.as_slice() {
            [Action { run, after: 0 }] => (command(run), String::new()),
            all => {
                let one = |Action { run, after }: &Action| format!("c\t{id}\t{after}\t{}\n", command(run));
                ("none".to_owned(), all.iter().map(one).collect())
            }
        };
        let (boot, door) = (&self.boot, escape(door.as_bytes()));
        let scope = if *scope == Scope::default() {
            String::new()
        } else {
            let number = |number: Option<u16>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
            let Scope { port, prefix, flags } = *scope;
            format!("s\t{id}\t{}\t{}\t{flags}\n", number(port), number(prefix.map(u16::from)))
        };
        let opened = if *opened { format!("o\t{id}\n") } else { String::new() };
        let pass = pass.as_ref().map_or_else(String::new, |Pass { who, origin, by }| {
            let origin = origin.map_or_else(|| "-".to_owned(), |origin| origin.to_string());
            let who = who.iter().map(|who| format!("\t{}", escape(who.as_bytes()))).collect::<String>();
            format!("g\t{id}\t{}\t{origin}{who}\n", by.name())
        });
        let lease = format!("+\t{id}\t{boot}\t{due}\t{hold}\t{wall}\t{door}\t{address}\t{only}\n");
        [lease, several, scope, pass, opened].concat()
    }

    /// Takes in one line; none if it makes no sense.
    fn replay(&mut self, line: &str) -> Option<()> {
        let mut fields = line.split('\t');
        let sign = fields.next()?;
        let id: u64 = fields.next()?.parse().ok()?;
        match sign {
            "+" => {
                let boot = fields.next()?;
                let [due, hold, wall] = numbers(&mut fields)?;
                let door = String::from_utf8(unescape(fields.next()?)?).ok()?;
                let address = fields.next()?.parse().ok()?;
                let close = read_command(&mut fields)?.map(Action::at_once).into_iter().collect();
                let this_boot = boot == self.boot;
                let due = if this_boot { due } else { after_reboot(hold, wall) };
                let (scope, pass, opened) = (Scope::default(), None, false);
                let pending = Pending { id, door, address, scope, due, hold, close, pass, opened, this_boot };
                self.open.insert(id, pending);
            }
            "c" => {
                let after = fields.next()?.parse().ok()?;
                let run = read_command(&mut fields)??;
                self.open.get_mut(&id)?.close.push(Action { run, after });
            }
            "s" => {
                let port = unless_absent(fields.next()?)?;
                let prefix = unless_absent(fields.next()?)?;
                let flags = fields.next()?.parse().ok()?;
                self.open.get_mut(&id)?.scope = Scope { port, prefix, flags };
            }
            "g" => {
                let by = By::named(fields.next()?)?;
                let origin = Some(fields.next()?).filter(|origin| *origin != "-").map(str::parse).transpose().ok()?;
                let who = fields.next().map(|who| String::from_utf8(unescape(who)?).ok());
                let who = match who {
                    Some(None) => return None,
                    who => who.flatten(),
                };
                self.open.get_mut(&id)?.pass = Some(Pass { who, origin, by });
            }
            "o" => {
                // After a reboot nothing is open, whatever was done before.
                let pending = self.open.get_mut(&id)?;
                pending.opened = pending.this_boot;
            }
            "=" => {
                let [due, hold, wall] = numbers(&mut fields)?;
                let pending = self.open.get_mut(&id)?;
                let due = if pending.this_boot { due } else { after_reboot(hold, wall) };
                (pending.due, pending.hold) = (due, hold);
            }
            "-" => drop(self.open.remove(&id)),
            _ => return None,
        }
        Some(())
    }
}

/// A command in a line.
fn command(command: &Command) -> String {
    let (kind, words): (_, Vec<&OsStr>) = match command {
        Command::Shell(line) => ("shell", vec![line]),
        Command::Vector(argv) => ("vector", argv.iter().map(OsString::as_os_str).collect()),
    };
    words.into_iter().fold(kind.to_owned(), |line, word| line + "\t" + &escape(word.as_bytes()))
}

/// The rest of a line as a command, or that there is none.
#[expect(clippy::option_option)]
fn read_command<'a>(fields: &mut impl Iterator<Item = &'a str>) -> Option<Option<Command>> {
    let kind = fields.next()?;
    let words = fields.map(|word| unescape(word).map(OsString::from_vec)).collect::<Option<Vec<_>>>()?;
    match (kind, words.as_slice()) {
        ("none", []) => Some(None),
        ("shell", [line]) => Some(Some(Command::Shell(line.clone()))),
        ("vector", [_, ..]) => Some(Some(Command::Vector(words))),
        _ => None,
    }
}

/// A number, or `-`.
#[expect(clippy::option_option)]
fn unless_absent<T: std::str::FromStr>(text: &str) -> Option<Option<T>> {
    if text == "-" { Some(None) } else { text.parse().ok().map(Some) }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)
}

/// Keeps what a journal held.
fn set_aside(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = create(path)?;
    file.set_len(0)?;
    file.write_all(text)
}

/// Opens and locks a journal's file; not one that is just being removed by its last user.
fn locked(path: &Path) -> Result<File, JournalError> {
    let identity = |data: fs::Metadata| (data.dev(), data.ino());
    for _ in 0..8 {
        let file = create(path)?;
        if !klopf_sys::lock(&file) {
            return Err(JournalError::Locked);
        }
        if fs::metadata(path).map(identity).ok() == file.metadata().map(identity).ok() {
            return Ok(file);
        }
    }
    Err(JournalError::Locked)
}

/// The end of a lease of an earlier boot: by the wall clock, which may have been set, so never later than its length.
fn after_reboot(hold: u64, wall: u64) -> u64 {
    clock::boot_ms().saturating_add(wall.saturating_sub(clock::wall_ms()).min(hold))
}

fn numbers<'a>(fields: &mut impl Iterator<Item = &'a str>) -> Option<[u64; 3]> {
    let mut next = || fields.next()?.parse().ok();
    Some([next()?, next()?, next()?])
}

/// Bytes as text without white space: printable ASCII as it is, the rest and `%` as `%XX`.
fn escape(bytes: &[u8]) -> String {
    let one = |&byte: &u8| match byte {
        b'!'..=b'~' if byte != b'%' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    bytes.iter().map(one).collect()
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes().iter();
    while let Some(&byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [*rest.next()?, *rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            _ => byte,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_survive_escaping() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unescape(&escape(&all)), Some(all));
        assert_eq!((unescape("%"), unescape("%4"), unescape("%zz")), (None, None, None));
    }
}
