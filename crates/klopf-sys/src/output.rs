//! What a command prints.
//!
//! A file in memory and not a pipe: a service that the command leaves behind may hold it for ever, must not die of
//! SIGPIPE when the daemon ends, and must not fill memory either. So once the command itself has ended, the file is
//! sealed and takes nothing more.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// The place of a command's output.
#[derive(Debug)]
pub struct Output(File);

impl Output {
    /// An empty one.
    ///
    /// # Errors
    /// Out of descriptors or memory.
    pub fn new() -> io::Result<Self> {
        let file = memfd_create("output", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        Ok(Self(file.into()))
    }

    /// The descriptor to write to.
    pub(crate) fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Takes no more from now on.
    pub fn seal(&self) {
        // A file that cannot be sealed only keeps its memory for longer.
        let _ = fcntl_add_seals(self.0.as_fd(), SealFlags::GROW);
    }

    /// The last `most` bytes.
    #[must_use]
    pub fn tail(&self, most: usize) -> Vec<u8> {
        let length = self.0.metadata().map_or(0, |data| data.len());
        let wanted = length.min(most as u64);
        let mut bytes = vec![0; usize::try_from(wanted).unwrap_or(0)];
        match self.0.read_exact_at(&mut bytes, length - wanted) {
            Ok(()) => bytes,
            Err(_) => Vec::new(),
        }
    }
}

/// Takes the lock of a file that one process at a time may use; false if another has it. The lock ends with the
/// file's last descriptor.
#[must_use]
pub fn lock(file: &File) -> bool {
    rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
}
