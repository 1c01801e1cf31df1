//! What must be known of guards over a restart: whether they were taken away by hand, and which of them were confirmed.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A longer file was not written here, in bytes.
const UNREASONABLE: u64 = 1 << 20;

/// Two files in the state directory: `unlocked`, whose being there counts, and `confirmed`, a port or range a line.
#[derive(Clone, Debug)]
pub struct Lockfile {
    unlocked: PathBuf,
    confirmed: PathBuf,
}

impl Lockfile {
    /// The files of a state directory, which need not exist.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        Self { unlocked: state_dir.join("unlocked"), confirmed: state_dir.join("confirmed") }
    }

    /// Whether the guards were taken away and shall stay so.
    #[must_use]
    pub fn is_unlocked(&self) -> bool {
        self.unlocked.exists()
    }

    /// Notes that nothing is to be guarded until [`Lockfile::lock`].
    ///
    /// # Errors
    /// It cannot be written.
    pub fn unlock(&self) -> io::Result<()> {
        self.unlocked.parent().map_or(Ok(()), fs::create_dir_all)?;
        replace(&self.unlocked, "klopfd guards nothing as long as this file is here; klopf lock removes it\n")
    }

    /// Notes that guards hold again.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn lock(&self) -> io::Result<()> {
        match fs::remove_file(&self.unlocked) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Ports whose guard somebody has got through. One that cannot be read has none.
    #[must_use]
    pub fn confirmed(&self) -> BTreeSet<String> {
        if fs::metadata(&self.confirmed).map_or(0, |data| data.len()) > UNREASONABLE {
            return BTreeSet::new();
        }
        fs::read_to_string(&self.confirmed).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Notes that somebody has got through the guard of these ports.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn confirm(&self, ports: impl IntoIterator<Item = String>) -> io::Result<()> {
        self.confirmed.parent().map_or(Ok(()), fs::create_dir_all)?;
        let mut all = self.confirmed();
        all.extend(ports);
        let text: String = all.iter().map(|line| format!("{line}\n")).collect();
        replace(&self.confirmed, &text)
    }
}

/// Replaces a file whole.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}
