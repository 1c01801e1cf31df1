//! From the path of a log to its open file.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, open, readlinkat};
use rustix::io::Errno;

/// Links that are followed at most, one after another.
const MOST_LINKS: usize = 8;

/// Why a log cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no such file; it is waited for.
    Missing,
    /// There is no such folder.
    NoFolder,
    /// It may not be read.
    NoAccess,
    /// It is a folder, a device or a pipe.
    NotAFile,
    /// It is a link of somebody who owns neither the file nor the host.
    ForeignLink,
    /// It is followed, but nothing tells when it changes: there are too many watches (`fs.inotify.max_user_watches`), or its
    /// file system has none.
    Unwatched,
    /// Something else.
    Other,
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Missing => "there is no such file yet",
            Self::NoFolder => "there is no such folder yet",
            Self::NoAccess => "it may not be read",
            Self::NotAFile => "it is no regular file",
            Self::ForeignLink => "it is a link of somebody who owns neither the file nor this host",
            Self::Unwatched => {
                "nothing tells when it changes: fs.inotify.max_user_watches is too low, or its file system cannot"
            }
            Self::Other => "it cannot be opened",
        })
    }
}

/// A way from name to name, by links, and what is at its end.
pub(crate) struct Way {
    /// Each folder on the way, and the name in it that counts.
    pub(crate) steps: Vec<(PathBuf, OsString)>,
    pub(crate) found: Result<(File, Stat), Trouble>,
}

impl Way {
    /// Follows a path to a regular file. A link counts if it is root's, or belongs to whom the file belongs to: whoever
    /// may write to a log's folder must not show files that are not theirs. Folders may be links of anybody who could
    /// put them there.
    pub(crate) fn follow(path: &Path) -> Self {
        let mut steps = Vec::new();
        let found = follow(path, &mut steps);
        Self { steps, found }
    }
}

fn follow(path: &Path, steps: &mut Vec<(PathBuf, OsString)>) -> Result<(File, Stat), Trouble> {
    let mut path = path.to_owned();
    let mut owners = Vec::new();
    while owners.len() <= MOST_LINKS {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Err(Trouble::NotAFile) };
        steps.push((folder.to_owned(), name.to_owned()));
        let missing = || if folder.is_dir() { Trouble::Missing } else { Trouble::NoFolder };
        // Opens nothing that would notice.
        let seen = open(&path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
        let seen = seen.map_err(|error| trouble(error, missing))?;
        let stat = fstat(&seen).map_err(|error| trouble(error, missing))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => {
                owners.push(stat.st_uid);
                path = folder.join(target(&seen).ok_or(Trouble::Other)?);
            }
            FileType::RegularFile => {
                let owner_is = |uid: &u32| *uid == 0 || *uid == stat.st_uid;
                return if owners.iter().all(owner_is) { read(&path, &stat) } else { Err(Trouble::ForeignLink) };
            }
            _ => return Err(Trouble::NotAFile),
        }
    }
    Err(Trouble::Other)
}

/// Opens a file for reading that was looked at before. Should it have become another one in the meantime, there will be
/// news of that.
pub(crate) fn read(path: &Path, seen: &Stat) -> Result<(File, Stat), Trouble> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = open(path, flags, Mode::empty()).map_err(|error| trouble(error, || Trouble::Missing))?;
    let stat = fstat(&file).map_err(|_| Trouble::Other)?;
    if (stat.st_dev, stat.st_ino) != (seen.st_dev, seen.st_ino) {
        return Err(Trouble::Missing);
    }
    Ok((file.into(), stat))
}

fn target(link: &OwnedFd) -> Option<PathBuf> {
    let target = readlinkat(link, "", Vec::new()).ok()?;
    Some(OsString::from_vec(target.into_bytes()).into())
}

fn trouble(error: Errno, missing: impl Fn() -> Trouble) -> Trouble {
    match error {
        Errno::NOENT => missing(),
        Errno::NOTDIR => Trouble::NoFolder,
        // The name has become a link since it was looked at.
        Errno::LOOP => Trouble::Missing,
        Errno::ACCESS | Errno::PERM => Trouble::NoAccess,
        _ => Trouble::Other,
    }
}
