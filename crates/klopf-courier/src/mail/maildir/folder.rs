//! The files of a Maildir, by descriptors: nothing is followed to elsewhere.

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::BuildHasher;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use klopf_brief::Taken;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, mkdirat, openat, renameat_with, unlinkat};
use rustix::io::Errno;

use crate::mail::{MAILS, OLDEST};

/// A Maildir.
pub(super) struct Folder {
    root: OwnedFd,
    new: OwnedFd,
    cur: OwnedFd,
}

/// Where a mail lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Where nobody has read.
    New,
    /// Where somebody has had it listed.
    Cur,
}

impl Place {
    const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Cur => "cur",
        }
    }
}

/// A mail, or its beginning.
#[derive(Debug)]
pub(super) struct Mail {
    pub(super) bytes: Vec<u8>,
    pub(super) whole: bool,
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Folder {
    /// Opens the directories. The path itself may lead through links, for the administrator has written it.
    ///
    /// # Errors
    /// There are no such directories, or they are not for us.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let root = rustix::fs::open(path, DIRECTORY, Mode::empty())?;
        let inner = |place: Place| openat(&root, place.name(), DIRECTORY | OFlags::NOFOLLOW, Mode::empty());
        let (new, cur) = (inner(Place::New)?, inner(Place::Cur)?);
        Ok(Self { root, new, cur })
    }

    fn at(&self, place: Place) -> &OwnedFd {
        match place {
            Place::New => &self.new,
            Place::Cur => &self.cur,
        }
    }

    /// The names of mails that nobody has read, and whether these are all. Names begin with the time, so the last ones
    /// are the newest; those are kept. In a drop box, where anybody may choose names, they are taken by chance.
    ///
    /// # Errors
    /// As readdir(3).
    pub(super) fn list(&self, place: Place, drop_box: bool) -> io::Result<(BTreeSet<OsString>, bool)> {
        let chance = RandomState::new();
        let mut names = BTreeSet::new();
        let mut all = true;
        for entry in Dir::read_from(self.at(place))? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            let plain = matches!(entry.file_type(), FileType::RegularFile | FileType::Unknown);
            if plain && !name.starts_with(b".") && (place == Place::New || !has_flag(name, b"ST")) {
                let rank = if drop_box { chance.hash_one(name) } else { 0 };
                names.insert((rank, OsString::from_vec(name.to_vec())));
            }
            if names.len() > MAILS {
                names.pop_first();
                all = false;
            }
        }
        Ok((names.into_iter().map(|(_, name)| name).collect(), all))
    }

    /// Up to so many bytes of a mail. None if it is gone, is no plain file, is not for us, or is old and was listed before.
    ///
    /// # Errors
    /// It cannot be read now.
    pub(super) fn read(&self, place: Place, name: &OsStr, most: usize) -> io::Result<Option<Mail>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match openat(self.at(place), name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::ACCESS | Errno::PERM | Errno::LOOP | Errno::NOENT | Errno::NXIO) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let age = metadata.modified().ok().and_then(|time| SystemTime::now().duration_since(time).ok());
        if place == Place::Cur && age.is_some_and(|age| age.as_secs() > OLDEST) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let longest = u64::try_from(most).unwrap_or(u64::MAX);
        file.take(longest).read_to_end(&mut bytes)?;
        Ok(Some(Mail { bytes, whole: metadata.len() <= longest }))
    }

    /// Does with a mail what is to be done when its token was taken.
    ///
    /// # Errors
    /// As rename(2), unlink(2) and mkdir(2).
    pub(super) fn taken(&self, place: Place, name: &OsStr, taken: &Taken) -> io::Result<()> {
        match taken {
            Taken::Mark => self.rename(place, name, &self.cur, &marked(name)),
            Taken::Delete => self.remove(place, name),
            Taken::Move(folder) => self.rename(place, name, &self.folder(folder, place)?, name),
        }
    }

    /// # Errors
    /// As unlink(2).
    pub(super) fn remove(&self, place: Place, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(self.at(place), name, AtFlags::empty())?)
    }

    /// No other mail goes away by it.
    fn rename(&self, place: Place, name: &OsStr, to: &OwnedFd, as_name: &OsStr) -> io::Result<()> {
        Ok(renameat_with(self.at(place), name, to, as_name, RenameFlags::NOREPLACE)?)
    }

    /// A place of another folder (Maildir++), which is made if it is not there.
    fn folder(&self, name: &str, place: Place) -> io::Result<OwnedFd> {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
            return Err(Errno::INVAL.into());
        }
        let private = Mode::RWXU;
        let made = |result: rustix::io::Result<()>| match result {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error),
        };
        let hidden = format!(".{name}");
        made(mkdirat(&self.root, &hidden, private))?;
        let folder = openat(&self.root, &hidden, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
        for inner in ["tmp", "new", "cur"] {
            made(mkdirat(&folder, inner, private))?;
        }
        let mark = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        openat(&folder, "maildirfolder", mark, Mode::RUSR | Mode::WUSR)?;
        Ok(openat(&folder, place.name(), DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?)
    }
}

/// What tells a directory from another one that was there before, by the same path. None if there is none.
pub(super) fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_dir)?;
    Some((metadata.dev(), metadata.ino()))
}

/// Whether a name has one of these flags.
fn has_flag(name: &[u8], flags: &[u8]) -> bool {
    name.iter().rev().take_while(|byte| **byte != b',').any(|flag| flags.contains(flag)) && has_flags(name)
}

fn has_flags(name: &[u8]) -> bool {
    name.iter()
        .rposition(|byte| *byte == b',')
        .is_some_and(|at| name.get(..at).is_some_and(|name| name.ends_with(b":2")))
}

/// A name with the flag that says that it was read. Flags are sorted.
fn marked(name: &OsStr) -> OsString {
    let name = name.as_bytes();
    let (stem, flags) = match name.iter().rposition(|byte| *byte == b',').filter(|_| has_flags(name)) {
        Some(comma) => name.split_at(comma + 1),
        None => (name, &b""[..]),
    };
    let flags: BTreeSet<u8> = flags.iter().copied().chain([b'S']).collect();
    let separator: &[u8] = if has_flags(name) { b"" } else { b":2," };
    OsString::from_vec([stem, separator, &flags.into_iter().collect::<Vec<_>>()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_and_sorted() {
        let marked = |name: &str| marked(OsStr::new(name)).into_string().unwrap();
        assert_eq!(marked("1.a.host"), "1.a.host:2,S");
        assert_eq!(marked("1.a.host:2,"), "1.a.host:2,S");
        assert_eq!(marked("1.a.host:2,FT"), "1.a.host:2,FST");
        assert_eq!(marked("1,S=4:2,RS"), "1,S=4:2,RS");
        assert_eq!(marked("1.a,S=4"), "1.a,S=4:2,S");
        assert!(has_flag(b"1:2,RS", b"ST") && !has_flag(b"1:2,R", b"ST") && !has_flag(b"1,S=5", b"ST"));
    }
}
