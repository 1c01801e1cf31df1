//! What following takes of a file.

use std::fs::File;
use std::io;

/// A file that can be read anywhere.
pub trait FileAt {
    /// Reads from a place on; nothing at the end of the file and beyond.
    ///
    /// # Errors
    /// As pread(2).
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// What the file is, and how long.
    ///
    /// # Errors
    /// As fstat(2).
    fn facts(&self) -> io::Result<Facts>;
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its file system. The same one may have another number after a reboot.
    pub dev: u64,
    /// Its number there; after the file is gone, another may get it.
    pub ino: u64,
    /// Its length in bytes.
    pub length: u64,
    /// Whether it has a name still.
    pub named: bool,
}

/// By pread and fstat alone: the sandbox of the watch knows no other calls.
impl FileAt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::pread(self, buffer, offset)?)
    }

    fn facts(&self) -> io::Result<Facts> {
        let stat = rustix::fs::fstat(self)?;
        let length = u64::try_from(stat.st_size).unwrap_or(0);
        Ok(Facts { dev: stat.st_dev, ino: stat.st_ino, length, named: stat.st_nlink > 0 })
    }
}

/// Reads until the buffer is full or the file ends.
pub(crate) fn fill(file: &impl FileAt, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset.saturating_add(length as u64)) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}
