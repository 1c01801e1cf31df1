//! News of files and folders (inotify(7)).

use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

/// Bytes of news that are read at once; one event has 272 at most.
const AT_ONCE: usize = 8192;
/// How often that is done before others are heard again.
const ROUNDS: usize = 64;

/// A queue of news. It can be handed to another process, which then reads what this one has asked for.
#[derive(Debug)]
pub struct Inotify(OwnedFd);

/// What is watched, within one queue. The same file or folder has the same number, by whatever name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WatchId(i32);

/// One piece of news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// In a folder, this name has come, has gone, or names another file.
    Name(WatchId, OsString),
    /// A file has changed, or how many names it has.
    Changed(WatchId),
    /// What was watched was removed or moved; if it was removed, it is watched no more.
    Gone(WatchId),
    /// Some news were lost: anything may have happened.
    Lost,
}

impl Inotify {
    /// An empty queue, of which nobody waits for the end.
    ///
    /// # Errors
    /// As inotify_init1(2): there are no more descriptors, or too many queues of this user.
    pub fn new() -> io::Result<Self> {
        Ok(Self(inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?))
    }

    /// Watches names come and go in a folder; see [`Event::Name`] and [`Event::Gone`].
    ///
    /// # Errors
    /// As inotify_add_watch(2): it is no folder, or there are too many watches of this user.
    pub fn watch_folder(&self, path: &Path) -> io::Result<WatchId> {
        let names = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE;
        let itself = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR;
        Ok(WatchId(inotify::add_watch(&self.0, path, names | itself)?))
    }

    /// Watches an open file change; see [`Event::Changed`] and [`Event::Gone`]. Where there is no `/proc` it is the file
    /// that `path` names.
    ///
    /// # Errors
    /// As inotify_add_watch(2).
    pub fn watch_file(&self, file: BorrowedFd<'_>, path: &Path) -> io::Result<WatchId> {
        let news = WatchFlags::MODIFY | WatchFlags::ATTRIB | WatchFlags::DELETE_SELF;
        let open = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let watch = match inotify::add_watch(&self.0, open, news) {
            Err(rustix::io::Errno::NOENT) => inotify::add_watch(&self.0, path, news),
            watch => watch,
        };
        Ok(WatchId(watch?))
    }

    /// Watches something no more. What is gone already is what was wanted.
    pub fn forget(&self, watch: WatchId) {
        let _ = inotify::remove_watch(&self.0, watch.0);
    }

    /// Takes in news, a bounded number of them; some more may wait if there were thousands.
    pub fn read(&self, mut take: impl FnMut(Event)) {
        let mut buffer = [MaybeUninit::uninit(); AT_ONCE];
        let mut reader = Reader::new(&self.0, &mut buffer);
        // An event has 16 bytes at least.
        for _ in 0..ROUNDS * AT_ONCE / 16 {
            let Ok(event) = reader.next() else { return };
            let (watch, events) = (WatchId(event.wd()), event.events());
            let gone = ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT | ReadFlags::IGNORED;
            take(if events.contains(ReadFlags::QUEUE_OVERFLOW) {
                Event::Lost
            } else if events.intersects(gone) {
                Event::Gone(watch)
            } else if let Some(name) = event.file_name() {
                Event::Name(watch, OsStr::from_bytes(name.to_bytes()).to_owned())
            } else {
                Event::Changed(watch)
            });
        }
    }

    /// Forgets what news there are, a bounded number of them; whether there were any.
    #[must_use]
    pub fn drain(&self) -> bool {
        let mut buffer = [0; AT_ONCE];
        let some = |_: &usize| rustix::io::read(&self.0, &mut buffer).is_ok_and(|length| length > 0);
        (0..ROUNDS).take_while(some).count() > 0
    }
}

impl AsFd for Inotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Inotify {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write;

    use super::*;

    fn news(inotify: &Inotify) -> Vec<Event> {
        let mut all = Vec::new();
        inotify.read(|event| all.push(event));
        all
    }

    #[test]
    fn names_that_come_and_go_are_told_as_bytes() {
        let folder = std::env::temp_dir().join(format!("klopf-inotify-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let inotify = Inotify::new().unwrap();
        let watch = inotify.watch_folder(&folder).unwrap();
        assert_eq!(inotify.watch_folder(&folder).unwrap(), watch);
        assert!(news(&inotify).is_empty());
        let odd = OsStr::from_bytes(b"\xff \n");
        let mut file = File::create(folder.join(odd)).unwrap();
        fs::rename(folder.join(odd), folder.join("b")).unwrap();
        file.write_all(b"x").unwrap();
        let name = |name: &OsStr| Event::Name(watch, name.to_owned());
        assert_eq!(news(&inotify), [name(odd), name(odd), name(OsStr::new("b"))]);

        let of_file = inotify.watch_file(file.as_fd(), &folder.join("b")).unwrap();
        file.write_all(b"x").unwrap();
        file.set_len(0).unwrap();
        assert_eq!(news(&inotify), [Event::Changed(of_file)], "the same news twice is told once");
        inotify.forget(of_file);
        file.write_all(b"x").unwrap();
        assert_eq!(news(&inotify), [Event::Gone(of_file)]);

        fs::remove_file(folder.join("b")).unwrap();
        drop(file); // as long as it is open, the folder is not quite gone
        fs::remove_dir(&folder).unwrap();
        assert_eq!(news(&inotify), [name(OsStr::new("b")), Event::Gone(watch), Event::Gone(watch)]);
        assert!(!inotify.drain());
    }

    #[test]
    fn a_folder_that_is_none_is_an_error() {
        let inotify = Inotify::new().unwrap();
        assert_eq!(inotify.watch_folder(Path::new("/dev/null")).unwrap_err().kind(), io::ErrorKind::NotADirectory);
        assert_eq!(inotify.watch_folder(Path::new("/dev/nothing")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
