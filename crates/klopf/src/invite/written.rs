//! Files that are written as a whole or not at all, and taken back when what comes after them fails.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::failure::{Failure, code};
use crate::profile::files;

/// What was written so far. Dropped without [`Written::keep`], all is as before.
#[derive(Default)]
pub(super) struct Written {
    undo: Vec<Undo>,
}

enum Undo {
    RemoveFile(PathBuf),
    RemoveFolder(PathBuf),
    PutBack(PathBuf, Zeroizing<Vec<u8>>),
}

impl Written {
    /// Makes a folder for its owner alone, unless it is there.
    pub(super) fn folder(&mut self, path: &Path) -> Result<(), Failure> {
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => self.undo.push(Undo::RemoveFolder(path.to_owned())),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
            Err(error) => return Err(cannot_write(path, &error)),
        }
        sync(folder_of(path)).map_err(|error| cannot_write(path, &error))
    }

    /// Makes a file for its owner alone. One that is there is never written over.
    pub(super) fn make(&mut self, path: &Path, text: &[u8]) -> Result<(), Failure> {
        files::create(path, text).map_err(|error| cannot_write(path, &error))?;
        self.undo.push(Undo::RemoveFile(path.to_owned()));
        sync(folder_of(path)).map_err(|error| cannot_write(path, &error))
    }

    /// Writes a file in the place of another, which had this in it.
    pub(super) fn replace(&mut self, path: &Path, text: &[u8], before: &[u8]) -> Result<(), Failure> {
        self.undo.push(Undo::PutBack(path.to_owned(), Zeroizing::new(before.to_vec())));
        files::replace(path, text).map_err(|error| cannot_write(path, &error))
    }

    /// Removes a file, which had this in it.
    pub(super) fn remove(&mut self, path: &Path, before: &[u8]) -> Result<(), Failure> {
        fs::remove_file(path).map_err(|error| unusable("remove", path, &error, code::CANNOT_WRITE))?;
        self.undo.push(Undo::PutBack(path.to_owned(), Zeroizing::new(before.to_vec())));
        sync(folder_of(path)).map_err(|error| cannot_write(path, &error))
    }

    /// All of it was right.
    pub(super) fn keep(mut self) {
        self.undo.clear();
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        for undo in self.undo.drain(..).rev() {
            // If that fails, too, nothing is left to be done.
            let _ = match &undo {
                Undo::RemoveFile(path) => fs::remove_file(path).and_then(|()| sync(folder_of(path))),
                Undo::RemoveFolder(path) => fs::remove_dir(path).and_then(|()| sync(folder_of(path))),
                Undo::PutBack(path, bytes) => files::replace(path, bytes),
            };
        }
    }
}

/// A file that cannot be read or written.
pub(super) fn unusable(what: &str, path: &Path, error: &io::Error, code: u8) -> Failure {
    let why = format!("cannot {what} {}: {error}", path.display());
    match error.kind() {
        ErrorKind::PermissionDenied => Failure::new(code::RIGHTS, why).help("put sudo before the command"),
        ErrorKind::NotFound if code == code::NO_INPUT => {
            Failure::new(code, why).help("name klopf.toml with --config FILE")
        }
        _ => Failure::new(code, why),
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    unusable("write", path, error, code::CANNOT_WRITE)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
