//! What was accepted once of each key, on the disk, so that no recorded knock counts again after a restart.
//!
//! A file of records of 64 bytes to which more are added: each says that a counter was accepted. A record is written
//! before anything opens, and on the disk before that or soon after, see [`Boot`]. Room for more is set aside beforehand, so
//! that a disk that fills up meanwhile does not matter. What cannot be written all the same is written with the next one that
//! can.

mod boot;

use std::fs::{self, File, OpenOptions};
use std::hash::Hasher;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use klopf_engine::{Earliest, Form, Mark, Marks};
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use siphasher::sip::SipHasher13;

use self::boot::Boot;

/// Bytes of a record: key id, floor, counter, uses, whether a device is bound, that device, nothing, and a checksum.
const RECORD: usize = 64;
const CHECKED: usize = RECORD - 8;
/// Never above a floor, so that it accepts nothing.
const NO_COUNTER: u64 = 0;
/// Bytes that are set aside for what is to come: a thousand records.
const AHEAD: u64 = 1 << 16;
/// The same where there is no room for that: a block.
const LITTLE: u64 = 1 << 12;
/// Up to this size the file only grows; then it is written anew at a start if it is twice as long as need be, and else when it
/// has become four times as long.
const SMALL: u64 = 1 << 20;
/// A file that is larger than this was not written here.
const UNREASONABLE: u64 = 1 << 30;

/// The marks, and their file.
#[derive(Debug)]
pub(super) struct Replay {
    marks: Marks,
    /// Where they are, once all that is there was read.
    path: Option<PathBuf>,
    /// None while not all marks are in it.
    file: Option<File>,
    length: u64,
    /// Up to where room is set aside.
    reserved: u64,
    /// Whether what was accepted by earlier daemons is known.
    knows_before: bool,
    /// Whether some of what was there could not be read.
    damaged: bool,
    /// Whether something was written that is not on the disk yet.
    unsynced: bool,
    /// At which length it is written anew.
    compact_at: u64,
    /// None before the file was opened.
    boot: Option<Boot>,
}

/// What became of a counter.
#[derive(Debug)]
pub(super) enum Accepted {
    /// It was accepted before.
    Not,
    /// It is written down, and on the disk after [`Replay::sync`].
    Noted,
    /// It is accepted, and would not be known after a restart.
    NotNoted(io::Error),
}

impl Replay {
    /// Nothing was accepted, and nothing is written down. `key` is a random one.
    pub(super) fn nowhere(key: [u8; 16]) -> Self {
        let marks = Marks::new(key);
        Self {
            marks,
            path: None,
            file: None,
            length: 0,
            reserved: 0,
            knows_before: false,
            damaged: false,
            unsynced: false,
            compact_at: SMALL,
            boot: None,
        }
    }

    /// Only reads a file, if it is there, once. What is accepted after that is known to this process alone.
    pub(super) fn look(&mut self, path: &Path) {
        if !std::mem::replace(&mut self.knows_before, true) {
            // What cannot be read is as if it was not there: it opens nothing in either case.
            let _ = File::open(path).and_then(|file| self.take_in(file));
        }
    }

    /// Reads or makes a file, and adds what was accepted meanwhile; what is wrong with it, which keeps nobody out.
    pub(super) fn open(&mut self, path: &Path) -> Option<String> {
        match self.read(path) {
            Ok(0) => None,
            Ok(damaged) => Some(format!("{}: {damaged} records are damaged and count as nothing", path.display())),
            Err(error) => Some(format!("{}: {}", path.display(), super::reason(&error))),
        }
    }

    /// Whether what is accepted now would not be known after a restart.
    pub(super) fn forgets(&self) -> bool {
        self.file.is_none()
    }

    /// Takes note of the boot in which all this is, once; `began` is when this daemon did, in milliseconds since 1970.
    pub(super) fn note_boot(&mut self, id: &str, began: u64) {
        if let Some(path) = &self.path {
            self.boot.get_or_insert_with(|| Boot::begin(&path.with_extension("boot"), id, began));
        }
    }

    /// Since when it is known what was accepted; before this daemon began nothing is where there was no file that could be read
    /// and written.
    pub(super) fn earliest(&self, began: u64) -> Earliest {
        let all = if self.knows_before() { 0 } else { began };
        Earliest { all, packets: self.boot.as_ref().map_or(0, Boot::since) }
    }

    /// Whether a packet may be granted before its record is on the disk.
    pub(super) fn may_be_synced_later(&self) -> bool {
        self.boot.as_ref().is_some_and(Boot::is_noted)
    }

    /// Sees to it that all is on the disk, and says so there.
    pub(super) fn end(&mut self) {
        if let (Ok(()), Some(boot)) = (self.sync(), &self.boot) {
            // If that cannot be written, the next boot takes it for a loss of power.
            let _ = boot.end();
        }
    }

    fn knows_before(&self) -> bool {
        self.knows_before && !self.damaged
    }

    pub(super) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Accepts a counter of a key, once, and writes it down; with a grant its use, too, and the device to bind it to. Counters of
    /// packets, tokens and codes are apart, uses and devices are not.
    pub(super) fn accept(
        &mut self,
        id: [u8; 8],
        form: Form,
        counter: u64,
        grants: bool,
        binds: Option<[u8; 16]>,
    ) -> Accepted {
        let own = form.mark_of(id);
        if !self.marks.accept(own, counter, form) {
            return Accepted::Not;
        }
        if grants {
            self.marks.count_use(id);
        }
        if let Some(device) = binds {
            self.marks.bind_device(id, device);
        }
        let mut noted = self.note(own, counter);
        if own != id && (grants || binds.is_some()) {
            noted = noted.and_then(|()| self.note(id, NO_COUNTER));
        }
        match noted {
            Ok(()) => Accepted::Noted,
            Err(error) => Accepted::NotNoted(error),
        }
    }

    fn note(&mut self, id: [u8; 8], counter: u64) -> io::Result<()> {
        let mark = self.marks.get(id).ok_or(io::ErrorKind::NotFound)?;
        let record = encode(id, mark, counter);
        let Some(mut file) = self.file.take() else { return self.catch_up() };
        // After one that was written by half, the next one stands where that should have ended.
        file.seek(SeekFrom::Start(self.length))?;
        file.write_all(&record)?;
        (self.file, self.unsynced) = (Some(file), true);
        self.length += RECORD as u64;
        if self.length >= self.compact_at {
            return self.catch_up();
        }
        if self.length + AHEAD / 2 > self.reserved {
            // If there is no room, that is a matter of the record that finds none.
            let _ = self.reserve();
        }
        Ok(())
    }

    /// Sees to it that what was written is on the disk. Once for many: it may take as long as a thousand knocks.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.unsynced) {
            return Ok(());
        }
        self.file.as_ref().map_or(Ok(()), File::sync_data).inspect_err(|_| self.file = None)
    }

    /// Writes down all that is known, after something could not be written, or when there is much that need not be there.
    fn catch_up(&mut self) -> io::Result<()> {
        let path = self.path.clone().ok_or_else(|| io::Error::other("their file cannot be read"))?;
        self.rewrite(&path)?;
        self.begin(&path)
    }

    /// Makes ready to add to the file.
    fn begin(&mut self, path: &Path) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        (self.file, self.reserved) = (Some(file), 0);
        self.compact_at = self.length.saturating_mul(4).max(SMALL);
        if let Err(error) = self.reserve() {
            self.file = None;
            return Err(error);
        }
        self.knows_before = true;
        Ok(())
    }

    /// Sets room aside. Where the file system cannot, a full disk matters.
    ///
    /// # Errors
    /// If there is no room.
    fn reserve(&mut self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        for room in [AHEAD, LITTLE] {
            match rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, self.length, room) {
                Ok(()) => {
                    self.reserved = self.length + room;
                    return Ok(());
                }
                Err(Errno::NOSPC | Errno::DQUOT) => {}
                Err(_) => return Ok(()),
            }
        }
        Err(Errno::NOSPC.into())
    }

    /// Reads the file, and makes ready to add to it; how many records were damaged.
    fn read(&mut self, path: &Path) -> io::Result<usize> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let accepted = !self.marks.is_empty();
        let mut damaged = 0;
        match File::open(path) {
            Ok(file) => damaged = self.take_in(file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.length = 0,
            Err(error) => return Err(error),
        }
        self.path = Some(path.to_owned());
        let needed: u64 = self.marks.iter().map(|(_, mark)| mark.recent().len() as u64 * RECORD as u64).sum();
        if accepted || damaged > 0 || self.length > needed.saturating_mul(2).max(SMALL) {
            self.rewrite(path)?;
        }
        self.begin(path)?;
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
        // One that was cut off was not granted.
        let mut damaged = usize::from(!torn.is_empty());
        for record in records {
            match decode(record) {
                Some((id, mark)) => self.marks.merge(id, &mark),
                None => {
                    damaged += 1;
                    self.damaged = true;
                }
            }
        }
        self.length = (records.len() * RECORD) as u64;
        Ok(damaged)
    }

    /// Writes all that is known into a new file, which takes the old one's place.
    fn rewrite(&mut self, path: &Path) -> io::Result<()> {
        let new: PathBuf = path.with_extension("new");
        self.write_all(&new).inspect_err(|_| drop(fs::remove_file(&new)))?;
        fs::rename(&new, path)?;
        if let Some(directory) = path.parent() {
            File::open(directory)?.sync_all()?;
        }
        Ok(())
    }

    fn write_all(&mut self, path: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let of = |(id, mark): ([u8; 8], &Mark)| {
            // One of which only uses or a device are known has no counter.
            let recent = if mark.recent().is_empty() { &[NO_COUNTER] } else { mark.recent() };
            recent.iter().map(|counter| encode(id, mark, *counter)).collect::<Vec<_>>()
        };
        let all: Vec<u8> = self.marks.iter().flat_map(of).flatten().collect();
        file.write_all(&all)?;
        file.sync_all()?;
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

    const PACKET: Form = Form::Packet;

    const ID: [u8; 8] = [1; 8];
    const DEVICE: [u8; 16] = [9; 16];

    fn path(test: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("klopf-replay-{}-{test}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        directory.join("replay")
    }

    fn open(path: &Path) -> (Replay, Option<String>) {
        let mut replay = Replay::nowhere([7; 16]);
        let trouble = replay.open(path);
        (replay, trouble)
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
            assert_eq!(is_noted(&replay.accept(ID, PACKET, counter, true, Some(DEVICE))), counter >= 57, "{counter}");
        }
        assert!(is_noted(&replay.accept([2; 8], PACKET, 7, false, None)));
        let before = replay.marks().get(ID).cloned();
        drop(replay);
        let (mut replay, trouble) = open(&path);
        assert_eq!((trouble, replay.marks().get(ID).cloned()), (None, before));
        assert_eq!(replay.marks().get([2; 8]).map(|mark| (mark.uses(), mark.device())), Some((0, None)));
        assert!(matches!(replay.accept(ID, PACKET, 60, true, None), Accepted::Not));
        let _ = fs::remove_dir_all(path.parent().unwrap());
    }

    #[test]
    fn a_record_that_was_cut_or_changed_takes_no_other_with_it() {
        let path = path("cut");
        let (mut replay, _) = open(&path);
        assert!((1..=5).all(|counter| is_noted(&replay.accept(ID, PACKET, counter, true, None))));
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
        assert!(trouble.is_some() && is_noted(&replay.accept(ID, PACKET, 9, true, None)));
        assert_eq!(open(&path).0.marks().get(ID).map(Mark::recent), Some(&[1, 3, 4, 5, 9][..]));
        let _ = fs::remove_dir_all(path.parent().unwrap());
    }

    #[test]
    fn without_a_file_a_counter_is_accepted_once_all_the_same() {
        let path = path("nowhere");
        fs::create_dir_all(&path).unwrap();
        let (mut replay, trouble) = open(&path);
        assert!(trouble.is_some() && replay.forgets());
        assert!(matches!(replay.accept(ID, PACKET, 1, true, None), Accepted::NotNoted(_)));
        assert!(matches!(replay.accept(ID, PACKET, 1, true, None), Accepted::Not));
        let _ = fs::remove_dir_all(path.parent().unwrap());
    }

    #[test]
    fn what_could_not_be_written_is_written_with_the_next() {
        let path = path("behind");
        let (mut replay, _) = open(&path);
        assert!(is_noted(&replay.accept(ID, PACKET, 1, true, None)));
        // A file that takes nothing, and then no place for another.
        replay.file = Some(File::open(&path).unwrap());
        fs::create_dir(path.with_extension("new")).unwrap();
        assert!(matches!(replay.accept(ID, PACKET, 2, true, None), Accepted::NotNoted(_)) && replay.forgets());
        assert!(matches!(replay.accept(ID, PACKET, 3, true, None), Accepted::NotNoted(_)));
        fs::remove_dir(path.with_extension("new")).unwrap();
        assert_eq!(open(&path).0.marks().get(ID).map(Mark::recent), Some(&[1][..]));
        assert!(
            is_noted(&replay.accept(ID, PACKET, 4, true, None)) && is_noted(&replay.accept(ID, PACKET, 5, true, None))
        );
        assert_eq!(open(&path).0.marks().get(ID).map(Mark::recent), Some(&[1, 2, 3, 4, 5][..]));
        let _ = fs::remove_dir_all(path.parent().unwrap());
    }

    #[test]
    fn what_was_accepted_before_there_was_a_file_is_added_to_it() {
        let path = path("added");
        let (mut other, _) = open(&path);
        assert!(is_noted(&other.accept(ID, PACKET, 7, true, Some(DEVICE))));
        let mut replay = Replay::nowhere([7; 16]);
        assert!(matches!(replay.accept(ID, PACKET, 8, true, None), Accepted::NotNoted(_)) && !replay.knows_before());
        assert!(replay.open(&path).is_none() && replay.knows_before());
        assert!(matches!(replay.accept(ID, PACKET, 7, true, None), Accepted::Not));
        assert_eq!(open(&path).0.marks().get(ID).map(Mark::recent), Some(&[7, 8][..]));
        let _ = fs::remove_dir_all(path.parent().unwrap());
    }

    #[test]
    fn tokens_and_codes_are_written_down_apart_from_packets_and_their_uses_with_them() {
        let path = path("tokens");
        let (mut replay, _) = open(&path);
        let forms = [Form::Token, Form::Code(7), Form::Shares(2), PACKET];
        let first = forms.map(|form| is_noted(&replay.accept(ID, form, 5, true, Some(DEVICE))));
        assert_eq!(first, [true, true, false, true], "shares make a token");
        replay.rewrite(&path).unwrap();
        for _ in 0..2 {
            let (mut again, trouble) = open(&path);
            assert!(
                trouble.is_none()
                    && forms.iter().all(|form| { matches!(again.accept(ID, *form, 5, true, None), Accepted::Not) })
            );
            let mark = again.marks().get(ID).unwrap();
            assert_eq!((mark.uses(), mark.device(), mark.recent()), (3, Some(DEVICE), &[5][..]));
        }
        let (mut replay, _) = open(&path);
        let other = [8; 8];
        assert!(is_noted(&replay.accept(other, Form::Token, 9, true, Some(DEVICE))));
        drop(replay);
        let (mut replay, _) = open(&path);
        replay.rewrite(&path).unwrap();
        let (replay, _) = open(&path);
        let mark = replay.marks().get(other).unwrap();
        assert_eq!((mark.uses(), mark.device(), mark.recent()), (1, Some(DEVICE), &[][..]));
        let _ = fs::remove_dir_all(path.parent().unwrap());
    }
}
