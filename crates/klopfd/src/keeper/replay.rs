//! What was accepted once of each key, on the disk, so that no recorded knock counts again after a restart.
//!
//! A file of records of 64 bytes to which more are added: each says that a counter was accepted. A record is on the disk
//! before anything opens. Room for more is set aside beforehand, so that a disk that fills up meanwhile does not matter.

use std::fs::{self, File, OpenOptions};
use std::hash::Hasher;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use klopf_engine::{Mark, Marks};
use rustix::fs::FallocateFlags;
use siphasher::sip::SipHasher13;

/// Bytes of a record: key id, floor, counter, uses, whether a device is bound, that device, nothing, and a checksum.
const RECORD: usize = 64;
const CHECKED: usize = RECORD - 8;
/// Bytes that are set aside for what is to come: a thousand records.
const AHEAD: u64 = 1 << 16;
/// Up to this size the file only grows; then it is written anew at a start if it is twice as long as need be.
const SMALL: u64 = 1 << 20;
/// A file that is larger than this was not written here.
const UNREASONABLE: u64 = 1 << 30;

/// The marks, and their file.
#[derive(Debug)]
pub(super) struct Replay {
    marks: Marks,
    /// None if it cannot be written.
    file: Option<File>,
    length: u64,
    /// Up to where room is set aside.
    reserved: u64,
}

/// What became of a counter.
#[derive(Debug)]
pub(super) enum Accepted {
    /// It was accepted before.
    Not,
    /// It is on the disk.
    Noted,
    /// It is accepted, and would not be known after a restart.
    NotNoted(io::Error),
}

impl Replay {
    /// Nothing was accepted, and nothing is written down.
    pub(super) fn nowhere(key: [u8; 16]) -> Self {
        Self { marks: Marks::new(key), file: None, length: 0, reserved: 0 }
    }

    /// Reads or makes a file; and what is wrong with it, which keeps nobody out. `key` is a random one.
    pub(super) fn open(path: &Path, key: [u8; 16]) -> (Self, Option<String>) {
        let mut replay = Self::nowhere(key);
        let trouble = match replay.read(path) {
            Ok(0) => None,
            Ok(damaged) => Some(format!("{}: {damaged} records are damaged and count as nothing", path.display())),
            Err(error) => Some(format!("{}: {}", path.display(), super::reason(&error))),
        };
        (replay, trouble)
    }

    /// Whether what is accepted now would not be known after a restart.
    pub(super) fn forgets(&self) -> bool {
        self.file.is_none()
    }

    pub(super) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Accepts a counter of a key, once, and writes it down; with a grant its use, too, and the device to bind it to.
    pub(super) fn accept(&mut self, id: [u8; 8], counter: u64, grants: bool, binds: Option<[u8; 16]>) -> Accepted {
        if !self.marks.accept(id, counter) {
            return Accepted::Not;
        }
        if grants {
            self.marks.count_use(id);
        }
        if let Some(device) = binds {
            self.marks.bind_device(id, device);
        }
        match self.note(id, counter) {
            Ok(()) => Accepted::Noted,
            Err(error) => Accepted::NotNoted(error),
        }
    }

    fn note(&mut self, id: [u8; 8], counter: u64) -> io::Result<()> {
        let mark = self.marks.get(id).ok_or(io::ErrorKind::NotFound)?;
        let record = encode(id, mark, counter);
        let file = self.file.as_mut().ok_or(io::ErrorKind::ReadOnlyFilesystem)?;
        // After one that was written by half, the next one stands where that should have ended.
        file.seek(SeekFrom::Start(self.length))?;
        file.write_all(&record)?;
        file.sync_data()?;
        self.length += RECORD as u64;
        if self.length + AHEAD / 2 > self.reserved {
            self.reserve();
        }
        Ok(())
    }

    /// Sets room aside. Where the file system cannot, a full disk matters.
    fn reserve(&mut self) {
        let Some(file) = &self.file else { return };
        if rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, self.length, AHEAD).is_ok() {
            self.reserved = self.length + AHEAD;
        }
    }

    /// Reads the file, and makes ready to add to it; how many records were damaged.
    fn read(&mut self, path: &Path) -> io::Result<usize> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let mut damaged = 0;
        match File::open(path) {
            Ok(file) => damaged = self.take_in(file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let needed: u64 = self.marks.iter().map(|(_, mark)| mark.recent().len() as u64 * RECORD as u64).sum();
        if damaged > 0 || self.length > needed.saturating_mul(2).max(SMALL) {
            self.rewrite(path)?;
        }
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        self.file = Some(file);
        self.reserve();
        Ok(damaged)
    }

    fn take_in(&mut self, mut file: File) -> io::Result<usize> {
        let data = file.metadata()?;
        if !data.is_file() || data.len() > UNREASONABLE {
            return Err(io::Error::other("not a file that klopfd has written; remove it"));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (records, torn) = bytes.as_chunks::<RECORD>();
        let mut damaged = usize::from(!torn.is_empty());
        for record in records {
            match decode(record) {
                Some((id, mark)) => self.marks.merge(id, &mark),
                None => damaged += 1,
            }
        }
        self.length = (records.len() * RECORD) as u64;
        Ok(damaged)
    }

    /// Writes all that is known into a new file, which takes the old one's place.
    fn rewrite(&mut self, path: &Path) -> io::Result<()> {
        let new: PathBuf = path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        let of = |(id, mark): ([u8; 8], &Mark)| {
            mark.recent().iter().map(|counter| encode(id, mark, *counter)).collect::<Vec<_>>()
        };
        let all: Vec<u8> = self.marks.iter().flat_map(of).flatten().collect();
        file.write_all(&all)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        if let Some(directory) = path.parent() {
            File::open(directory)?.sync_all()?;
        }
        self.length = all.len() as u64;
        Ok(())
    }
}

fn encode(id: [u8; 8], mark: &Mark, counter: u64) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    let device = mark.device();
    let fields = [
        &id[..],
        &mark.floor().to_le_bytes(),
        &counter.to_le_bytes(),
        &mark.uses().to_le_bytes(),
        &[u8::from(device.is_some())],
        &device.unwrap_or_default(),
    ]
    .concat();
    record.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    if let Some((covered, check)) = record.split_last_chunk_mut::<8>() {
        *check = checksum(covered);
    }
    record
}

fn decode(record: &[u8; RECORD]) -> Option<([u8; 8], Mark)> {
    let (covered, check) = record.split_at(CHECKED);
    if checksum(covered) != check {
        return None;
    }
    let (id, rest) = covered.split_first_chunk::<8>()?;
    let (floor, rest) = rest.split_first_chunk::<8>()?;
    let (counter, rest) = rest.split_first_chunk::<8>()?;
    let (uses, rest) = rest.split_first_chunk::<4>()?;
    let (&[bound], rest) = rest.split_first_chunk::<1>()?;
    let device = rest.first_chunk::<16>().copied().filter(|_| bound == 1);
    let (floor, counter) = (u64::from_le_bytes(*floor), u64::from_le_bytes(*counter));
    Some((*id, Mark::new(floor, [counter], u32::from_le_bytes(*uses), device)))
}

/// Against accidents; who can write to the file can do worse.
fn checksum(bytes: &[u8]) -> [u8; 8] {
    let mut hasher = SipHasher13::new_with_keys(1, 1);
    hasher.write(bytes);
    hasher.finish().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: [u8; 8] = [1; 8];
    const DEVICE: [u8; 16] = [9; 16];

    fn path(test: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("klopf-replay-{}-{test}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        directory.join("replay")
    }

    fn open(path: &Path) -> (Replay, Option<String>) {
        Replay::open(path, [7; 16])
    }

    fn is_noted(accepted: &Accepted) -> bool {
        matches!(accepted, Accepted::Noted)
    }

    #[test]
    fn what_was_accepted_is_known_after_a_restart() {
        let path = path("restart");
        let (mut replay, trouble) = open(&path);
        assert!(trouble.is_none() && !replay.forgets());
        for counter in (10..90).rev() {
            assert_eq!(is_noted(&replay.accept(ID, counter, true, Some(DEVICE))), counter >= 57, "{counter}");
        }
        assert!(is_noted(&replay.accept([2; 8], 7, false, None)));
        let before = replay.marks().get(ID).cloned();
        drop(replay);
        let (mut replay, trouble) = open(&path);
        assert_eq!((trouble, replay.marks().get(ID).cloned()), (None, before));
        assert_eq!(replay.marks().get([2; 8]).map(|mark| (mark.uses(), mark.device())), Some((0, None)));
        assert!(matches!(replay.accept(ID, 60, true, None), Accepted::Not));
        let _ = fs::remove_dir_all(path.parent().unwrap());
    }

    #[test]
    fn a_record_that_was_cut_or_changed_takes_no_other_with_it() {
        let path = path("cut");
        let (mut replay, _) = open(&path);
        assert!((1..=5).all(|counter| is_noted(&replay.accept(ID, counter, true, None))));
        drop(replay);
        let whole = fs::read(&path).unwrap();
        for cut in whole.len() - RECORD + 1..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let (replay, trouble) = open(&path);
            assert!(trouble.unwrap().contains("1 records are damaged"));
            assert_eq!(replay.marks().get(ID).map(Mark::recent), Some(&[1, 2, 3, 4][..]));
            assert!(open(&path).1.is_none(), "it was put right");
        }
        let mut changed = whole.clone();
        changed[RECORD + 20] ^= 1;
        fs::write(&path, &changed).unwrap();
        let (mut replay, trouble) = open(&path);
        assert!(trouble.is_some() && is_noted(&replay.accept(ID, 9, true, None)));
        assert_eq!(open(&path).0.marks().get(ID).map(Mark::recent), Some(&[1, 3, 4, 5, 9][..]));
        let _ = fs::remove_dir_all(path.parent().unwrap());
    }

    #[test]
    fn without_a_file_a_counter_is_accepted_once_all_the_same() {
        let path = path("nowhere");
        fs::create_dir_all(&path).unwrap();
        let (mut replay, trouble) = open(&path);
        assert!(trouble.is_some() && replay.forgets());
        assert!(matches!(replay.accept(ID, 1, true, None), Accepted::NotNoted(_)));
        assert!(matches!(replay.accept(ID, 1, true, None), Accepted::Not));
        let _ = fs::remove_dir_all(path.parent().unwrap());
    }
}
