//! Files of one-time sequences: a used line's first byte becomes `#`.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use klopf_config::knockd::{OneTimeLine, one_time_lines};
use klopf_wire::Port;

use crate::keeper::reason;

/// Sequences the engine is given at a time.
const HANDED: usize = 64;

/// A file, and the sequences of it that are in the engine's hands.
pub(super) struct OneTime {
    path: PathBuf,
    handed: Vec<OneTimeLine>,
    /// How many of those are used up.
    used: usize,
}

/// What is left after a sequence was used up.
pub(super) enum Used {
    /// The engine has more.
    MoreLeft,
    /// The engine must be given more.
    MoreInFile,
    /// Nothing.
    Last,
}

impl OneTime {
    /// Reads a file.
    ///
    /// # Errors
    /// The file and why it cannot be read.
    pub(super) fn read(path: PathBuf) -> Result<Self, String> {
        let text = std::fs::read(&path).map_err(|error| format!("{}: {}", path.display(), reason(&error)))?;
        Ok(Self { handed: usable(&text), path, used: 0 })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.handed.is_empty()
    }

    /// The sequences for the engine: those that are left.
    pub(super) fn hand_out(&mut self) -> Vec<Vec<Port>> {
        self.handed.drain(..self.used);
        self.used = 0;
        self.handed.iter().map(|line| line.ports.clone()).collect()
    }

    /// Marks a sequence in the file, on the disk, before anything is opened by it.
    ///
    /// # Errors
    /// It was used before, it is no longer in the file, or the file cannot be written.
    pub(super) fn use_up(&mut self, number: u16) -> Result<Used, String> {
        let number = usize::from(number);
        let line = self.handed.get(number).filter(|_| number >= self.used).ok_or("it was used before")?;
        let shown = self.path.display().to_string();
        let failed = |error: std::io::Error| format!("{shown}: {}", reason(&error));
        let file = OpenOptions::new().read(true).write(true).open(&self.path).map_err(failed)?;
        let text = std::fs::read(&self.path).map_err(failed)?;
        // The file may have been edited: the line is looked for where it was, then anywhere.
        let now = one_time_lines(&text);
        let same = |other: &&OneTimeLine| other.ports == line.ports;
        let place = now.iter().filter(same).min_by_key(|other| other.offset.abs_diff(line.offset));
        let offset = place.ok_or_else(|| format!("{shown}: the sequence is no longer there"))?.offset;
        file.write_all_at(b"#", offset as u64).and_then(|()| file.sync_data()).map_err(failed)?;
        self.used = number + 1;
        if self.used < self.handed.len() {
            return Ok(Used::MoreLeft);
        }
        let text = std::fs::read(&self.path).map_err(failed)?;
        (self.handed, self.used) = (usable(&text), 0);
        Ok(if self.handed.is_empty() { Used::Last } else { Used::MoreInFile })
    }
}

/// What `knockd -D` prints about a door's file.
pub(super) fn debug_lines(door: &str, path: &Path) -> Vec<String> {
    let Ok(text) = std::fs::read(path) else { return Vec::new() };
    let Some(first) = usable(&text).into_iter().next() else { return Vec::new() };
    let ports: Vec<String> = first.ports.iter().map(|port| format!("{}:{}", port.number, port.proto)).collect();
    let (sequence, name) = (ports.join(","), door.strip_prefix("config: ").unwrap_or(door));
    vec![format!("new sequence for door {name}: {sequence}"), format!("{door}: sequence: {sequence}")]
}

fn usable(text: &[u8]) -> Vec<OneTimeLine> {
    let mut lines = one_time_lines(text);
    lines.truncate(HANDED);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that is removed when the test ends.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str, text: &str) -> Self {
            let path = std::env::temp_dir().join(format!("klopf-one-time-{}-{name}", std::process::id()));
            std::fs::write(&path, text).unwrap();
            Self(path)
        }

        fn text(&self) -> String {
            std::fs::read_to_string(&self.0).unwrap()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn lines_are_marked_in_order_and_only_once() {
        let file = Scratch::new("order", "# c\n 1,2\nnonsense\n 3:udp,4\n");
        let mut list = OneTime::read(file.0.clone()).unwrap();
        assert!(matches!(list.use_up(0), Ok(Used::MoreLeft)));
        assert_eq!(file.text(), "# c\n#1,2\nnonsense\n 3:udp,4\n");
        assert!(list.use_up(0).is_err());
        assert!(matches!(list.use_up(1), Ok(Used::Last)));
        assert_eq!(file.text(), "# c\n#1,2\nnonsense\n#3:udp,4\n");
        assert!(list.use_up(0).is_err());
    }

    #[test]
    fn what_is_handed_out_again_begins_with_the_first_that_is_left() {
        let file = Scratch::new("again", " 1,2\n 3,4\n 5,6\n");
        let mut list = OneTime::read(file.0.clone()).unwrap();
        assert!(list.use_up(0).is_ok());
        assert_eq!(list.hand_out().first(), Some(&vec![Port::tcp(3), Port::tcp(4)]));
        assert!(list.use_up(0).is_ok());
        assert_eq!(file.text(), "#1,2\n#3,4\n 5,6\n");
    }

    #[test]
    fn a_file_that_was_edited_meanwhile_is_marked_in_the_right_place() {
        let file = Scratch::new("edited", " 1,2\n 3,4\n");
        let mut list = OneTime::read(file.0.clone()).unwrap();
        std::fs::write(&file.0, "# a new head\n 1,2\n 3,4\n").unwrap();
        assert!(list.use_up(0).is_ok());
        assert_eq!(file.text(), "# a new head\n#1,2\n 3,4\n");
        std::fs::write(&file.0, " 9,9\n").unwrap();
        assert!(list.use_up(1).is_err(), "taken out by the administrator");
    }

    #[test]
    fn a_long_file_is_handed_out_in_parts() {
        let text: String = (1..=100).map(|number| format!(" {number},7\n")).collect();
        let file = Scratch::new("long", &text);
        let mut list = OneTime::read(file.0.clone()).unwrap();
        let last = u16::try_from(HANDED - 1).unwrap();
        for number in 0..last {
            assert!(matches!(list.use_up(number), Ok(Used::MoreLeft)));
        }
        assert!(matches!(list.use_up(last), Ok(Used::MoreInFile)));
        assert_eq!(list.hand_out().len(), 100 - HANDED);
    }
}
