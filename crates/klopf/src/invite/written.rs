//! Files that are written as a whole or not at all, and taken back when what comes after them fails.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::failure::{Failure, code};

/// What was written so far. Dropped without [`Written::keep`], all is as before.
#[derive(Debug, Default)]
pub(super) struct Written {
    undo: Vec<Undo>,
}

#[derive(Debug)]
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
        // A link fails where there is something, which renaming would replace.
        let made = put(path, text, |new| fs::hard_link(new, path));
        made.map_err(|error| cannot_write(path, &error))?;
        self.undo.push(Undo::RemoveFile(path.to_owned()));
        sync(folder_of(path)).map_err(|error| cannot_write(path, &error))
    }

    /// Writes a file in the place of another, which had this in it.
    pub(super) fn replace(&mut self, path: &Path, text: &[u8], before: &[u8]) -> Result<(), Failure> {
        put(path, text, |new| fs::rename(new, path)).map_err(|error| cannot_write(path, &error))?;
        self.undo.push(Undo::PutBack(path.to_owned(), Zeroizing::new(before.to_vec())));
        sync(folder_of(path)).map_err(|error| cannot_write(path, &error))
    }

    /// Removes a file, which had this in it.
    pub(super) fn remove(&mut self, path: &Path, before: &[u8]) -> Result<(), Failure> {
        fs::remove_file(path).map_err(|error| Failure::file("remove", path, &error, code::CANNOT_CREATE))?;
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
                Undo::PutBack(path, bytes) => {
                    put(path, bytes, |new| fs::rename(new, path)).and_then(|()| sync(folder_of(path)))
                }
            };
        }
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::file("write", path, error, code::CANNOT_CREATE)
}

/// Writes a new file with a name of its own beside `path`, which `settle` brings to its place.
fn put(path: &Path, text: &[u8], settle: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // What begins with a dot is no key's.
    let new = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let written = file.write_all(text).and_then(|()| file.sync_all()).and_then(|()| settle(&new));
    // It is gone where it was renamed.
    let _ = fs::remove_file(&new);
    written
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
