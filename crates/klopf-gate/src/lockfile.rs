//! What must be known of guards over a restart: whether they were taken away by hand, and which of them were confirmed.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A longer file was not written here, in bytes.
const UNREASONABLE: u64 = 1 << 20;

/// Three files in the state directory: `unlocked`, whose being there counts; `confirmed`, a port or range a line; and
/// `left-open`, a door a line.
#[derive(Clone, Debug)]
pub struct Lockfile {
    unlocked: PathBuf,
    confirmed: PathBuf,
    left_open: PathBuf,
}

impl Lockfile {
    /// The files of a state directory, which need not exist.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        let [unlocked, confirmed, left_open] = ["unlocked", "confirmed", "left-open"].map(|name| state_dir.join(name));
        Self { unlocked, confirmed, left_open }
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
        removed(&self.unlocked)
    }

    /// Ports whose guard somebody has got through. One that cannot be read has none.
    #[must_use]
    pub fn confirmed(&self) -> BTreeSet<String> {
        lines(&self.confirmed)
    }

    /// Doors that a trial has left open, while others are guarded.
    #[must_use]
    pub fn left_open(&self) -> BTreeSet<String> {
        lines(&self.left_open)
    }

    /// Notes which doors are left open; none: that nothing is.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn leave_open(&self, doors: &BTreeSet<String>) -> io::Result<()> {
        if doors.is_empty() {
            return removed(&self.left_open);
        }
        self.left_open.parent().map_or(Ok(()), fs::create_dir_all)?;
        let text: String = doors.iter().map(|door| format!("{door}\n")).collect();
        replace(&self.left_open, &text)
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

fn removed(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The lines of a file; none if it cannot be read.
fn lines(path: &Path) -> BTreeSet<String> {
    if fs::metadata(path).map_or(0, |data| data.len()) > UNREASONABLE {
        return BTreeSet::new();
    }
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Replaces a file whole.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}
