//! `client.toml`, beside the profiles.

use std::io;
use std::path::{Path, PathBuf};
use std::{fs, str};

use klopf_config::client::{self, Client, Guestbook, Smtp};
use zeroize::Zeroizing;

use crate::failure::{Failure, code};
use crate::profile::{Folders, files};

/// A longer file is not read, in bytes.
const LONGEST: u64 = 1 << 20;

/// What is told in `client.toml`; nothing where there is none.
#[derive(Debug)]
pub(crate) struct Settings {
    path: PathBuf,
    client: Client,
}

impl Settings {
    /// Reads it.
    ///
    /// # Errors
    /// If it is broken, or has headers, which may be secret, and others may read it.
    pub(crate) fn load(folders: &Folders) -> Result<Self, Failure> {
        let path = folders.config.join("client.toml");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path, client: Client::default() });
            }
            Err(error) => return Err(unreadable(&path, &error)),
        };
        let client = client::parse(&path.display().to_string(), &text)
            .map_err(|faults| Failure::new(code::CONFIG, format_args!("nothing was sent\n{faults}")))?;
        if client.guestbooks.iter().any(|book| !book.headers.is_empty()) {
            files::read_private(&path)?;
        }
        Ok(Self { path, client })
    }

    /// Where the file is, or would be.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where mails are handed in.
    pub(crate) fn smtp(&self) -> Option<&Smtp> {
        self.client.smtp.as_ref()
    }

    /// How to post to a guestbook.
    pub(crate) fn guestbook(&self, name: &str) -> Option<&Guestbook> {
        self.client.guestbooks.iter().find(|book| *book.name == *name)
    }

    /// The first line of a file with a password.
    pub(super) fn password(&self, file: &str) -> Result<Zeroizing<String>, Failure> {
        let path = self.beside(file);
        let bytes = files::read_private(&path)?;
        let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = str::from_utf8(first.strip_suffix(b"\r").unwrap_or(first)).ok().filter(|line| !line.is_empty());
        let line = line.ok_or_else(|| {
            let why = format_args!("there is no password in the first line of {}", path.display());
            Failure::new(code::CONFIG, why)
        })?;
        Ok(Zeroizing::new(line.to_owned()))
    }

    /// A file with certificates.
    pub(super) fn certificates(&self, file: &str) -> Result<Vec<u8>, Failure> {
        let path = self.beside(file);
        let length = fs::metadata(&path).map_err(|error| unreadable(&path, &error))?.len();
        if length > LONGEST {
            let why = format_args!("{} is too long for certificates", path.display());
            return Err(Failure::new(code::CONFIG, why));
        }
        fs::read(&path).map_err(|error| unreadable(&path, &error))
    }

    /// A path that may be relative to the file.
    pub(super) fn beside(&self, file: &str) -> PathBuf {
        self.path.with_file_name(file)
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let code = if error.kind() == io::ErrorKind::PermissionDenied { code::RIGHTS } else { code::CONFIG };
    Failure::new(code, format_args!("cannot read {}: {error}; nothing was sent", path.display()))
}
