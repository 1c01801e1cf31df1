//! The files of a configuration, for all who read it: `klopf.toml`, `keys.d` beside it with a file for each key, and the passwords
//! and certificates that mails and guestbooks name.
//!
//! It reads them and sees who else may; what they say is the business of `klopf-config`.
#![forbid(unsafe_code)]

mod sources;

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use klopf_config::native::{Checked, Source, holds_keys, parse_files};
use klopf_config::{Check, Faults, check_files};
use klopf_spa::{KeyError, Name, ServerKey};
use zeroize::Zeroizing;

pub use self::sources::{SourceFile, SourceFiles, SourceTrouble, Why};

/// The directory with a file for each key, beside `klopf.toml`.
pub const KEYS_DIR: &str = "keys.d";
/// The server's own key, beside `klopf.toml`.
pub const SERVER_KEY: &str = "server.key";

/// All that is to be read of one configuration.
#[derive(Debug)]
pub struct Files {
    main: File,
    /// In the order of their names.
    keys: Vec<File>,
    /// Whether others may read the server's key, and its path.
    server_key: (PathBuf, bool),
}

struct File {
    path: PathBuf,
    shown: String,
    bytes: Zeroizing<Vec<u8>>,
    /// Whether others than its owner may read or write it.
    exposed: bool,
}

/// Without the bytes, which hold secrets.
impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("File").field("path", &self.path).field("exposed", &self.exposed).finish_non_exhaustive()
    }
}

/// A file or directory that cannot be read.
#[derive(Debug)]
pub struct Unreadable {
    /// Which one.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

impl Files {
    /// Reads a `klopf.toml`, whatever its name is, and of `keys.d` beside it, if there is one, each file that ends in `.toml` and
    /// does not begin with a dot.
    ///
    /// # Errors
    /// The first that cannot be read.
    pub fn read(path: &Path) -> Result<Self, Unreadable> {
        let (files, unreadable) = Self::read_some(path)?;
        unreadable.into_iter().next().map_or(Ok(files), Err)
    }

    /// As [`Files::read`], without the files of keys that cannot be read, which are told besides.
    ///
    /// # Errors
    /// `klopf.toml`, or the directory of keys, cannot be read.
    pub fn read_some(path: &Path) -> Result<(Self, Vec<Unreadable>), Unreadable> {
        Self::beside(path, File::read(path.to_owned())?)
    }

    /// As [`Files::read`], with this in the place of what is in `klopf.toml`, to see what would be. Nothing is written.
    ///
    /// # Errors
    /// The first file of a key that cannot be read.
    pub fn read_beside(path: &Path, bytes: Zeroizing<Vec<u8>>) -> Result<Self, Unreadable> {
        let main = File { shown: path.display().to_string(), path: path.to_owned(), bytes, exposed: false };
        let (files, unreadable) = Self::beside(path, main)?;
        unreadable.into_iter().next().map_or(Ok(files), Err)
    }

    fn beside(path: &Path, main: File) -> Result<(Self, Vec<Unreadable>), Unreadable> {
        let beside = path.parent().unwrap_or_else(|| Path::new(""));
        let (mut keys, mut unreadable) = (Vec::new(), Vec::new());
        for read in key_files(&beside.join(KEYS_DIR))?.into_iter().map(File::read) {
            match read {
                Ok(file) => keys.push(file),
                Err(error) => unreadable.push(error),
            }
        }
        let server_key = beside.join(SERVER_KEY);
        let exposed = fs::metadata(&server_key).is_ok_and(|metadata| is_exposed(&metadata));
        Ok((Self { main, keys, server_key: (server_key, exposed) }, unreadable))
    }

    /// Reads and checks what they say.
    ///
    /// # Errors
    /// All faults.
    pub fn parse(&self) -> Result<Checked, Faults> {
        parse_files(self.main.source(), &self.sources())
    }

    /// What is in `klopf.toml`.
    #[must_use]
    pub fn main(&self) -> &[u8] {
        &self.main.bytes
    }

    /// What is in the file of a key.
    #[must_use]
    pub fn key(&self, path: &Path) -> Option<&[u8]> {
        self.keys.iter().find(|file| file.path == path).map(|file| file.bytes.as_slice())
    }

    /// Puts a file of a key among them, or in the place of the one with this path, to see what would be. Nothing is written.
    pub fn put(&mut self, path: PathBuf, bytes: Zeroizing<Vec<u8>>) {
        self.take(&path);
        self.keys.push(File { shown: path.display().to_string(), path, bytes, exposed: false });
        self.keys.sort_by(|a, b| a.path.cmp(&b.path));
    }

    /// Whether there is a file of a key.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Whether a file of a key is among them, by the name that faults have.
    #[must_use]
    pub fn key_named(&self, shown: &str) -> Option<PathBuf> {
        self.keys.iter().find(|file| file.shown == shown).map(|file| file.path.clone())
    }

    /// Takes the file of a key away from them, to see what would be. Nothing is written.
    pub fn take(&mut self, path: &Path) {
        self.keys.retain(|file| file.path != path);
    }

    /// All faults and warnings, as the daemon has them.
    #[must_use]
    pub fn check(&self) -> Check {
        check_files(self.main.source(), &self.sources())
    }

    /// The files with secrets that others than their owner may read or write.
    #[must_use]
    pub fn exposed(&self) -> Vec<&Path> {
        let main = (self.main.exposed && holds_keys(&self.main.bytes)).then_some(&self.main.path);
        let keys = self.keys.iter().filter(|file| file.exposed).map(|file| &file.path);
        let (server_key, exposed) = &self.server_key;
        main.into_iter().chain(keys).chain(exposed.then_some(server_key)).map(PathBuf::as_path).collect()
    }

    fn sources(&self) -> Vec<Source<'_>> {
        self.keys.iter().map(File::source).collect()
    }
}

/// The file of a key in `keys.d` beside a `klopf.toml`.
#[must_use]
pub fn key_path(main: &Path, name: &Name) -> PathBuf {
    main.with_file_name(KEYS_DIR).join(format!("{name}.toml"))
}

/// Reads the server's key beside a `klopf.toml`; none if it is not there.
///
/// # Errors
/// Why it is of no use.
pub fn server_key(main: &Path) -> Result<Option<ServerKey>, NoServerKey> {
    match fs::read_to_string(main.with_file_name(SERVER_KEY)).map(Zeroizing::new) {
        Ok(text) => ServerKey::parse(text.trim()).map(Some).map_err(NoServerKey::Wrong),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(NoServerKey::Unreadable(error)),
    }
}

/// Why the server's key is of no use.
#[derive(Debug)]
pub enum NoServerKey {
    /// It cannot be read.
    Unreadable(io::Error),
    /// It is no key.
    Wrong(KeyError),
}

/// The command that keeps others from a file.
#[must_use]
pub fn remedy(path: &Path) -> String {
    let shown = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+@%:,".contains(c);
    if shown.chars().all(plain) && !shown.starts_with('-') {
        return format!("chmod 600 {shown}");
    }
    format!("chmod 600 -- '{}'", shown.replace('\'', r"'\''"))
}

impl File {
    fn read(path: PathBuf) -> Result<Self, Unreadable> {
        let mut bytes = Zeroizing::new(Vec::new());
        let read = fs::File::open(&path).and_then(|mut file| {
            file.read_to_end(&mut bytes)?;
            file.metadata()
        });
        match read {
            Ok(metadata) => Ok(Self { shown: path.display().to_string(), path, bytes, exposed: is_exposed(&metadata) }),
            Err(error) => Err(Unreadable { path, error }),
        }
    }

    fn source(&self) -> Source<'_> {
        Source { name: &self.shown, bytes: &self.bytes }
    }
}

/// The files of keys in a directory, in the order of their names; none if there is no such directory.
fn key_files(directory: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    let unreadable = |error| Unreadable { path: directory.to_owned(), error };
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(unreadable)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(unreadable)?.file_name();
        let hidden = name.as_encoded_bytes().starts_with(b".");
        if !hidden && Path::new(&name).extension().is_some_and(|extension| extension == "toml") {
            names.push(name);
        }
    }
    // Names and not paths, whose comparison takes long where there are very many.
    names.sort_unstable();
    Ok(names.iter().map(|name| directory.join(name)).collect())
}

#[cfg(unix)]
fn is_exposed(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.mode() & 0o077 != 0
}

/// Rights are no bits elsewhere.
#[cfg(not(unix))]
fn is_exposed(_: &fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests;
