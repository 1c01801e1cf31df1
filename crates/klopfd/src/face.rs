//! A face: how one configuration format and its way of telling things meet the keeper.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use klopf_brief::Trouble;
use klopf_control::DoorStatus;
use klopf_engine::{DoorId, Sealed, SealedRefusal};
use klopf_gate::{JournalError, Order};
use klopf_sys::{Confined, Ended};
use klopf_wire::{Knock, Port};

use crate::plan::Plan;

/// What the keeper tells of.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// The daemon works; for the first time.
    Ready,
    /// The watch is confined and looks.
    Watching(Confined),
    /// The watch has ended and is started again.
    WatchEnded(Ended),
    /// The watch has ended before it ever looked; without it there is no daemon.
    NeverWatched(Ended),
    /// An interface that is named cannot be used now, and why.
    Unusable(&'a str, &'static str),
    /// An interface that could not be used can be now.
    Found(&'a str),
    /// An origin has got further at a door.
    Stage { door: &'a str, origin: IpAddr, stage: u8 },
    /// An attempt has run out of time.
    TimedOut { door: &'a str, origin: IpAddr, stage: u8 },
    /// A wrong hit has ended an attempt.
    Broken { door: &'a str, origin: IpAddr, stage: u8, at: Port },
    /// In a dry run: this would be carried out, by somebody's key if it was one's.
    Would { order: &'a Order, who: Option<&'a str> },
    /// A door is opened.
    Granted { door: &'a str, address: IpAddr },
    /// A completed sequence was refused.
    Refused { door: &'a str, origin: IpAddr, why: &'static str },
    /// A door is opened to a sealed knock; `via` says from where that came.
    SealedGranted { door: &'a str, key: &'a str, address: IpAddr, via: &'a str },
    /// A sealed knock was refused, of a key and at a door as far as those are known.
    SealedRefused { key: Option<&'a str>, door: Option<&'a str>, via: &'a str, refusal: &'a SealedRefusal },
    /// A mailbox or guestbook has another trouble than before, with its detail, or none any more.
    Source { name: &'a str, trouble: Option<(Trouble, u16)> },
    /// So many stages and time-outs were not told.
    Silenced(u64),
    /// What the gate tells.
    Gate(klopf_gate::Event),
    /// The configuration is being read again.
    Reloading,
    /// The new configuration is in force.
    Reloaded,
    /// The counts, with their names.
    Counts(&'a [(&'static str, u64)]),
    /// A packet that a door may care about.
    Packet(Knock),
    /// The journal cannot be used.
    NoJournal(&'a JournalError),
    /// The journal holds so many doors that were open, and so many lines that could not be read.
    Journal(usize, usize),
    /// The daemon was told to end and waits for commands.
    Stopping,
    /// Commands that still run and are left alone, and doors that could not be closed.
    Left { running: usize, open: usize },
    /// The daemon ends.
    Stopped,
    /// Something the keeper needs cannot be had just now.
    Trouble(&'a str),
    /// Something the administrator should know of.
    Warning(&'a str),
    /// Something that has happened.
    Notice(&'a str),
}

impl Event<'_> {
    /// Why a watch never looked, and what to do.
    pub(crate) fn never_watched(how: Ended) -> String {
        if how == Ended::Status(i32::from(crate::exit::NO_SECCOMP)) {
            return "the kernel has no seccomp filters, and without them the watch does not read packets; to run it all \
                    the same, write seccomp = \"optional\" under [daemon], or give knockd --without-seccomp"
                .to_owned();
        }
        format!("the watch could not begin: {}", Ending(how))
    }
}

/// How a process ended, in words.
pub(crate) struct Ending(pub(crate) Ended);

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Ended::Status(code) => write!(f, "exit status {code}"),
            Ended::Signal(number) => write!(f, "killed by signal {number}"),
        }
    }
}

/// What a grant leads to.
#[derive(Debug)]
pub(crate) struct Ordered {
    /// For the gate; none if there is nothing to do.
    pub(crate) order: Option<Order>,
    /// The plan has changed by it.
    pub(crate) replan: bool,
}

/// A door, for who asks.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    /// How it stands; what only the keeper knows is left open.
    pub(crate) status: DoorStatus,
    /// Its sequence, as `klopf knock` takes it.
    pub(crate) sequence: String,
}

/// One configuration format with its way of telling things.
pub(crate) trait Face {
    /// Reads the configuration again; on a fault tells it all, changes nothing and returns false.
    fn reload(&mut self) -> bool;

    /// The plan as it is now. What was handed out and used up is not in it.
    fn plan(&mut self) -> Plan;

    /// What a grant of a door in force leads to; none if it may not be.
    fn order(&mut self, door: DoorId, address: IpAddr, uses_up: Option<u16>) -> Option<Ordered>;

    /// What a sealed knock of somebody leads to at a door in force; none if it may not be.
    fn sealed_order(&mut self, _door: DoorId, _address: IpAddr, _who: &str, _sealed: &Sealed) -> Option<Order> {
        None
    }

    /// Tells of an event.
    fn tell(&mut self, event: &Event<'_>);

    /// The doors, for who asks.
    fn doors(&self) -> Vec<Described> {
        Vec::new()
    }

    /// What is wrong with what was read, though it is in force, for who asks.
    fn problem(&self) -> Option<&str> {
        None
    }

    /// What it leads to that the administrator opens a door, for so many milliseconds or as long as it says; none if
    /// there is no such door.
    fn by_hand(&mut self, _door: &str, _address: IpAddr, _hold: Option<u64>) -> Option<Order> {
        None
    }

    /// Goes back to the configuration from before the reloads that were not kept.
    fn undo_reload(&mut self) {}

    /// The configuration of the last reload stays.
    fn keep_reloaded(&mut self) {}

    /// A descriptor that the face waits for.
    fn waits_for(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// When, on the monotonic clock, the face has something to do.
    fn next(&self) -> Option<u64> {
        None
    }

    /// The face's own work, after waiting.
    fn work(&mut self) {}
}
