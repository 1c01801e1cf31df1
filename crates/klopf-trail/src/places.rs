//! Where reading stopped in all logs, on disk.
//!
//! A text file: a line for each file of a log, with tabs between the numbers of [`Place`] and the log's path. The files of a
//! log stand in the order in which they are to be read. File number 0, which no file has, says that the log had none.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::place::Place;
use crate::trail::MOST_FILES;

/// A file that is larger than this was not written here.
const UNREASONABLE: u64 = 1 << 20;
/// Stands for the place of a log that had no file.
const NONE: Place = Place { dev: 0, ino: 0, offset: 0, check: 0 };
/// Logs of which places are kept, at most; of more the last ones by name are not.
const MOST_LOGS: usize = 256;

/// Where reading stopped in all logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    logs: BTreeMap<PathBuf, Vec<Place>>,
}

impl Places {
    /// Reads what [`Places::write`] has written. Nothing if there is no file; also, how many lines made no sense.
    ///
    /// # Errors
    /// The file cannot be read, or is none of ours.
    pub fn read(path: &Path) -> io::Result<(Self, usize)> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Self::default(), 0)),
            file => file?,
        };
        let data = file.metadata()?;
        if !data.is_file() || data.len() > UNREASONABLE {
            return Err(io::Error::other("not a file that klopfd has written; remove it"));
        }
        let mut bytes = Vec::new();
        file.take(UNREASONABLE).read_to_end(&mut bytes)?;
        Ok(Self::parse(&bytes))
    }

    /// Reads the text of such a file; also, how many lines made no sense.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> (Self, usize) {
        let (mut places, mut damaged) = (Self::default(), 0);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
            match line.and_then(entry) {
                Some((log, place)) if places.has_room(&log) => {
                    let known = places.logs.entry(log).or_default();
                    known.extend((place.ino != NONE.ino).then_some(place));
                }
                _ => damaged += 1,
            }
        }
        (places, damaged)
    }

    /// The text of such a file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let of_log = |(log, places): (&PathBuf, &Vec<Place>)| {
            let log = escape(log.as_os_str().as_bytes());
            let line =
                |Place { dev, ino, offset, check }: &Place| format!("{dev}\t{ino}\t{offset}\t{check:016x}\t{log}\n");
            let places = if places.is_empty() { &[NONE] } else { places.as_slice() };
            places.iter().map(line).collect::<String>()
        };
        self.logs.iter().map(of_log).collect()
    }

    /// Writes all of it into a new file, which takes the old one's place when it is on the disk.
    ///
    /// # Errors
    /// No room, or no right; then the old file is what it was.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let new = path.with_extension("new");
        let written = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(self.to_text().as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, path)
        };
        // What is left of a new one takes room that others need.
        written().inspect_err(|_: &io::Error| drop(fs::remove_file(&new)))?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }

    /// Whether anything is known of a log, be it that it had no file.
    #[must_use]
    pub fn knows(&self, log: &Path) -> bool {
        self.logs.contains_key(log)
    }

    /// The places of a log, the file to be read first before the others.
    #[must_use]
    pub fn of(&self, log: &Path) -> &[Place] {
        self.logs.get(log).map_or(&[], Vec::as_slice)
    }

    /// Takes in the places of a log, also that it has none; whether that changes anything.
    pub fn set(&mut self, log: &Path, places: impl IntoIterator<Item = Place>) -> bool {
        let places: Vec<Place> = places.into_iter().take(MOST_FILES).collect();
        let changes = self.logs.get(log) != Some(&places);
        if changes && (self.logs.contains_key(log) || self.logs.len() < MOST_LOGS) {
            self.logs.insert(log.to_owned(), places);
        }
        changes
    }

    /// Forgets all logs but these.
    pub fn keep<'a>(&mut self, logs: impl IntoIterator<Item = &'a Path>) {
        let mut old = std::mem::take(&mut self.logs);
        self.logs = logs.into_iter().filter_map(|log| old.remove_entry(log)).collect();
    }

    fn has_room(&self, log: &Path) -> bool {
        self.logs.get(log).map_or(self.logs.len() < MOST_LOGS, |places| places.len() < MOST_FILES)
    }
}

fn entry(line: &str) -> Option<(PathBuf, Place)> {
    let mut fields = line.split('\t');
    let mut next = || fields.next();
    let [dev, ino, offset] = [next()?.parse().ok()?, next()?.parse().ok()?, next()?.parse().ok()?];
    let check = u64::from_str_radix(next()?, 16).ok()?;
    let log = unescape(next()?).filter(|log| !log.is_empty())?;
    fields.next().is_none().then(|| (OsString::from_vec(log).into(), Place { dev, ino, offset, check }))
}

/// Bytes as text without white space: printable ASCII as it is, the rest and `%` as `%XX`.
fn escape(bytes: &[u8]) -> String {
    let one = |&byte: &u8| match byte {
        b'!'..=b'~' if byte != b'%' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    bytes.iter().map(one).collect()
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            _ => byte,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(number: u64) -> Place {
        Place { dev: 1, ino: number, offset: u64::MAX, check: 0xab }
    }

    fn path(bytes: &[u8]) -> PathBuf {
        OsString::from_vec(bytes.to_vec()).into()
    }

    #[test]
    fn what_is_written_is_read_again_whatever_the_name_of_the_log() {
        let folder = std::env::temp_dir().join(format!("klopf-places-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let file = folder.join("logs");
        assert_eq!(Places::read(&file).unwrap(), (Places::default(), 0));
        let mut places = Places::default();
        let all: Vec<u8> = (1..=255).collect();
        assert!(places.set(Path::new("/var/log/kern.log"), [place(7), place(8)]));
        assert!(places.set(Path::new("/new"), []) && !places.set(Path::new("/new"), []));
        assert!(places.set(&path(&all), [place(9)]) && !places.set(&path(&all), [place(9)]));
        places.write(&file).unwrap();
        assert_eq!(Places::read(&file).unwrap(), (places.clone(), 0));
        assert_eq!(places.of(Path::new("/var/log/kern.log")), [place(7), place(8)]);
        assert!(places.knows(Path::new("/new")) && !places.knows(Path::new("/other")));
        places.keep([Path::new("/var/log/kern.log"), Path::new("/other")]);
        places.write(&file).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let line = |ino| format!("1\t{ino}\t18446744073709551615\t00000000000000ab\t/var/log/kern.log\n");
        assert_eq!(text, [line(7), line(8)].concat());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        assert!(Places::read(&folder).is_err());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_line_that_makes_no_sense_takes_no_other_with_it() {
        let good = "1\t2\t3\tff\t/a\n";
        for bad in
            ["\n", "1\t2\t3\tff\n", "1\t2\t3\tff\t\n", "1\t2\t-3\tff\t/b\n", "1\t2\t3\tff\t/b\t\n", "1\t2\t3\tff\t%4\n"]
        {
            let (places, damaged) = Places::parse([good, bad, good, "1\t2\t3\tff\t/cut"].concat().as_bytes());
            assert_eq!((places.of(Path::new("/a")).len(), places.logs.len(), damaged), (2, 1, 2), "{bad:?}");
        }
    }

    #[test]
    fn of_too_many_the_first_are_kept() {
        let many: String = (0..1000).map(|number| format!("1\t2\t3\tff\t/{number}\n")).collect();
        let (mut places, damaged) = Places::parse(many.as_bytes());
        assert_eq!((places.logs.len(), damaged), (MOST_LOGS, 1000 - MOST_LOGS));
        places.set(Path::new("/new"), [place(1)]);
        assert_eq!(places.logs.len(), MOST_LOGS);
        let (places, damaged) = Places::parse("1\t2\t3\tff\t/a\n".repeat(20).as_bytes());
        assert_eq!((places.of(Path::new("/a")).len(), damaged), (MOST_FILES, 12));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, lines in "([0-9a-f%\t/]{0,20}\n?){0,8}") {
            for bytes in [&bytes[..], lines.as_bytes()] {
                let (places, _) = Places::parse(bytes);
                proptest::prop_assert_eq!(Places::parse(places.to_text().as_bytes()), (places, 0));
            }
        }
    }
}
