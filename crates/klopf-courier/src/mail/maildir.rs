//! A Maildir on this host: told by inotify when a mail comes, and looked at every few minutes all the same.
//!
//! All in it is another user's, who may be hostile: nothing is followed to elsewhere, only plain files are read, and
//! only so much of each.

mod folder;

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use inotify::{EventMask, Inotify, WatchMask};
use klopf_brief::{Maildir, Trouble};
use klopf_sys::{Pair, Received, Wait, wait};
use std::os::fd::AsFd;

use super::reader::{Find, Reader};
use super::waiting::{Fate, Waiting};
use crate::outlet::{Outlet, Woken};
use folder::{Folder, Place};

/// Between two looks, should an event be lost.
const POLL: Duration = Duration::from_secs(120);
/// Until answers are looked for, or a mail again that could not be looked at.
const SOON: Duration = Duration::from_secs(1);
/// Until a mail is looked at again of which it is not known what is in it.
const LATER: Duration = Duration::from_secs(30);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(10);

/// Looks at a Maildir until the courier ends.
pub(crate) fn look_at(maildir: &Maildir, outlet: Outlet) {
    run(maildir, outlet, super::find);
}

fn run(maildir: &Maildir, mut outlet: Outlet, find: Find) {
    let (Ok(reader), Ok((bell, alarm))) = (Reader::new(find, &maildir.require_dkim), Pair::new()) else {
        outlet.failing(Trouble::NoAccess, Duration::MAX);
        return;
    };
    outlet.on_alarm(move || {
        let _ = alarm.send(&[1]);
    });
    let mut mailbox = Mailbox { maildir, reader, waiting: Waiting::default() };
    let path = Path::new(&maildir.path);
    let allowed = folder::identity(path);
    while !outlet.is_ending() {
        if let Err(trouble) = mailbox.listen(&mut outlet, &bell) {
            outlet.failing(trouble, PAUSE);
            // The sandbox is for the directory that was there at the start.
            if folder::identity(path).is_some_and(|now| allowed != Some(now)) {
                outlet.begin_anew();
            }
            if outlet.rest(PAUSE) == Woken::Again {
                // Otherwise it would be told of that for ever.
                mailbox.waiting.forget_all();
                outlet.again();
            }
        }
    }
}

struct Mailbox<'a> {
    maildir: &'a Maildir,
    reader: Reader,
    waiting: Waiting<Name>,
}

/// A file by its name, which is bytes, and whether it is new.
type Name = (Place, OsString);

/// What could not be seen or done in a look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    too_much: bool,
    not_marked: bool,
    /// Others are to be answered first.
    full: bool,
}

impl Mailbox<'_> {
    /// Looks again and again; returns well when the courier ends.
    fn listen(&mut self, outlet: &mut Outlet, bell: &Pair) -> Result<(), Trouble> {
        let allowed = folder::identity(Path::new(&self.maildir.path));
        let mut inotify = Inotify::init().map_err(|_| Trouble::NoAccess)?;
        let folder = Folder::open(Path::new(&self.maildir.path)).map_err(|_| Trouble::NoAccess)?;
        let news = WatchMask::MOVED_TO | WatchMask::CREATE | WatchMask::CLOSE_WRITE;
        let mask = news | WatchMask::DELETE_SELF | WatchMask::MOVE_SELF | WatchMask::ONLYDIR | WatchMask::DONT_FOLLOW;
        let new = Path::new(&self.maildir.path).join("new");
        inotify.watches().add(new, mask).map_err(|_| Trouble::NoAccess)?;
        let mut with_read = true;
        while !outlet.is_ending() {
            if outlet.again() {
                self.waiting.forget_all();
                with_read = true;
            }
            if folder::identity(Path::new(&self.maildir.path)) != allowed {
                return Err(Trouble::NoAccess);
            }
            let seen = self.look(outlet, &folder, with_read)?;
            with_read = seen.full && with_read;
            let trouble = match seen {
                Seen { not_marked: true, .. } => Some(Trouble::NotMarked),
                Seen { too_much: true, .. } => Some(Trouble::TooMuch),
                Seen { .. } => None,
            };
            outlet.listening(trouble.map(Into::into));
            let soon = seen.full || self.waiting.is_waiting();
            let most = if soon {
                SOON
            } else if self.waiting.has_later() {
                LATER
            } else {
                POLL
            };
            let waits = [inotify.as_fd(), bell.as_fd()].map(|fd| Wait { fd, write: false });
            wait(waits, Some(most)).map_err(|_| Trouble::NoAccess)?;
            while matches!(bell.receive(&mut [0]), Received::Message(_)) {}
            if !self.hear(&mut inotify) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes what inotify has to say. False if the directory is another one now.
    fn hear(&mut self, inotify: &mut Inotify) -> bool {
        let mut buffer = [0; 4096];
        while let Ok(events) = inotify.read_events(&mut buffer) {
            for event in events {
                if event.mask.intersects(EventMask::DELETE_SELF | EventMask::MOVE_SELF | EventMask::IGNORED) {
                    return false;
                }
                if let Some(name) = event.name.filter(|_| event.mask.contains(EventMask::CLOSE_WRITE)) {
                    // It was written in its place, and may have been looked at before it was whole.
                    self.waiting.forget(&(Place::New, name.to_os_string()));
                }
            }
        }
        true
    }

    /// Looks at all mails that it does not know.
    fn look(&mut self, outlet: &Outlet, folder: &Folder, with_read: bool) -> Result<Seen, Trouble> {
        let mut seen = Seen::default();
        self.settle(folder, false, &mut seen);
        let places = if with_read { [Place::Cur, Place::New].as_slice() } else { &[Place::New] };
        for &place in places {
            let (names, all) = folder.list(place, self.maildir.drop_box).map_err(|_| Trouble::NoAccess)?;
            seen.too_much |= !all;
            // What was looked at goes away there, and makes room for the rest.
            seen.full |= !all && self.maildir.drop_box;
            self.waiting.keep(|(at, name)| *at != place || names.contains(name));
            for name in names {
                let name = (place, name);
                if outlet.is_ending() {
                    return Ok(seen);
                }
                if !self.waiting.is_new(&name) {
                    continue;
                }
                let mail = match folder.read(place, &name.1, self.reader.longest()) {
                    Ok(Some(mail)) => mail,
                    Ok(None) => {
                        // It is gone, or none of ours, and stays so. Anybody may put such into a drop box, until nothing
                        // else is seen.
                        if self.maildir.drop_box {
                            let _ = folder.remove(place, &name.1);
                        }
                        let _ = self.waiting.add(name, super::reader::Look::Nothing);
                        continue;
                    }
                    Err(_) => {
                        let _ = self.waiting.add(name, super::reader::Look::Later);
                        continue;
                    }
                };
                let look = self.reader.look(outlet, &mail.bytes, mail.whole);
                match self.waiting.add(name.clone(), look) {
                    Ok(Some(fate)) => self.finish(folder, &name, fate, &mut seen),
                    Ok(None) => self.settle(folder, true, &mut seen),
                    Err(_) => {
                        seen.full = true;
                        return Ok(seen);
                    }
                }
                outlet.looked_at(1);
            }
        }
        Ok(seen)
    }

    fn settle(&mut self, folder: &Folder, patiently: bool, seen: &mut Seen) {
        for (name, fate) in self.waiting.settle(patiently) {
            self.finish(folder, &name, fate, seen);
        }
    }

    fn finish(&self, folder: &Folder, (place, name): &Name, fate: Fate, seen: &mut Seen) {
        let done = match fate {
            _ if self.maildir.drop_box => folder.remove(*place, name),
            Fate::Taken => folder.taken(*place, name, &self.maildir.taken),
            Fate::Left => Ok(()),
        };
        // Who reads the mails may have been quicker.
        let gone = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
        seen.not_marked |= done.is_err_and(|error| !gone(&error));
    }
}

#[cfg(test)]
mod tests;
