//! Whether the host has gone down while marks were on their way to the disk.
//!
//! The mark of a packet is written before the packet opens, and is on the disk some moments later. It outlives the daemon,
//! but not a loss of power in these moments. So a file beside the marks says in which boot they are written, and whether
//! that came to a good end. If it did not, packets that were made before the next start are taken for known. One whose clock
//! is ahead could be newer than that, and waits for the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The boot in which marks are written, and its file: the boot's id, [`Boot::since`], and `running` or `ended`.
#[derive(Debug)]
pub(super) struct Boot {
    path: PathBuf,
    id: String,
    since: u64,
    noted: bool,
}

impl Boot {
    /// Reads the file and writes it anew. `id` is that of this boot, empty if that is not known; `now` in milliseconds since 1970.
    pub(super) fn begin(path: &Path, id: &str, now: u64) -> Self {
        let since = match fs::read_to_string(path) {
            Ok(text) => since(&text, id).unwrap_or(now),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(_) => now,
        };
        let mut boot = Self { path: path.to_owned(), id: id.to_owned(), since, noted: false };
        boot.noted = !id.is_empty() && boot.write("running").is_ok();
        boot
    }

    /// Since when all packets that were accepted are known, in milliseconds since 1970.
    pub(super) fn since(&self) -> u64 {
        self.since
    }

    /// Whether the next start will know that the host went down, if it does.
    pub(super) fn is_noted(&self) -> bool {
        self.noted
    }

    /// All marks are on the disk, and no more follow.
    pub(super) fn end(&self) -> io::Result<()> {
        self.write("ended")
    }

    fn write(&self, state: &str) -> io::Result<()> {
        let new = self.path.with_extension("boot-new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        writeln!(file, "{} {} {state}", self.id, self.since)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        self.path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    }
}

/// What a file says of now; none if marks may be missing.
fn since(text: &str, id: &str) -> Option<u64> {
    let mut words = text.split_ascii_whitespace();
    let (before, since, state) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
    (state == "ended" || state == "running" && before == id).then_some(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(test: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("klopf-boot-{}-{test}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir(&directory).unwrap();
        directory.join("replay.boot")
    }

    #[test]
    fn a_host_that_went_down_knows_of_nothing_before_for_as_long_as_it_is_up_and_longer() {
        let path = path("down");
        assert_eq!(Boot::begin(&path, "first", 10).since(), 0);
        assert_eq!(Boot::begin(&path, "first", 20).since(), 0, "only klopfd was killed");
        assert_eq!(Boot::begin(&path, "second", 30).since(), 30);
        let again = Boot::begin(&path, "second", 40);
        assert_eq!((again.since(), again.is_noted()), (30, true));
        again.end().unwrap();
        assert_eq!(Boot::begin(&path, "third", 50).since(), 30, "it ended well, and what was lost before is lost");
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_file_that_says_something_else_says_nothing_good() {
        let path = path("broken");
        for text in ["", "first", "first x running", "first 7 sleeping", "\u{fffd}"] {
            fs::write(&path, text).unwrap();
            assert_eq!(Boot::begin(&path, "first", 10).since(), 10, "{text:?}");
        }
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn where_nothing_can_be_written_or_no_boot_told_apart_that_is_known() {
        let path = path("nowhere");
        assert!(!Boot::begin(&path, "", 10).is_noted());
        assert!(!Boot::begin(&path.join("no directory"), "first", 10).is_noted());
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}
