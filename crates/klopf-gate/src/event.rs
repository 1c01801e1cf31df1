//! What the gate tells of.

use std::io;
use std::net::IpAddr;

use klopf_sys::Ended;

use crate::firewall::{FirewallError, Network};

/// Why an order was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// As many commands are running as may.
    TooManyCommands,
    /// As many doors are open as may be.
    TooManyLeases,
    /// As many leases of the door are in force as its `max-leases` says.
    DoorIsFull,
    /// The kernel has not taken the lease.
    NotTaken,
}

impl Refusal {
    /// A stable name for logs and counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooManyCommands => "too-many-commands",
            Self::TooManyLeases => "too-many-leases",
            Self::DoorIsFull => "max-leases",
            Self::NotTaken => "not-taken-by-the-kernel",
        }
    }

    /// The same in words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::TooManyCommands => "as many commands are running as may",
            Self::TooManyLeases => "as many leases are in force as may be",
            Self::DoorIsFull => "as many leases of this door are in force as its max-leases says",
            Self::NotTaken => "the kernel has not taken the lease",
        }
    }
}

/// Why a lease ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its time has come.
    Time,
    /// The administrator has ended it.
    Revoked,
    /// The last connection under it has ended.
    Disconnected,
    /// Its door is gone.
    NoDoor,
    /// The daemon ends.
    Stopping,
    /// Nobody is let in any more, and no connection is up.
    Unused,
}

/// Something that happened at the gate.
#[derive(Debug)]
pub enum Event {
    /// A command was started.
    Running {
        /// The door.
        door: String,
        /// For whom.
        address: IpAddr,
        /// The command as text.
        command: String,
        /// Whether it opens or closes.
        opens: bool,
    },
    /// A command has ended.
    Ended {
        /// The door.
        door: String,
        /// For whom.
        address: IpAddr,
        /// How it ended.
        how: Ended,
        /// The end of what it printed, on standard error if there was anything.
        output: Vec<u8>,
    },
    /// A command could not be started.
    NotStarted {
        /// The door.
        door: String,
        /// For whom.
        address: IpAddr,
        /// Why not.
        error: io::Error,
    },
    /// A door is being closed, and opens again when that is done.
    Held {
        /// The door.
        door: String,
        /// For whom.
        address: IpAddr,
    },
    /// A lease goes on because its holder knocked again.
    Renewed {
        /// The door.
        door: String,
        /// For whom.
        address: IpAddr,
    },
    /// A lease is at its end; if there is a closing command, it follows.
    Due {
        /// The door.
        door: String,
        /// For whom.
        address: IpAddr,
        /// Why.
        why: Why,
    },
    /// The door's address is let through its guard.
    LetIn {
        /// The door.
        door: String,
        /// For whom.
        network: Network,
        /// At which of the door's ports alone; none: all.
        port: Option<u16>,
        /// Milliseconds that it lasts.
        hold: u64,
    },
    /// So many leases were taken over from before.
    Adopted(usize),
    /// The kernel has not done what it was told about guards.
    Firewall(FirewallError),
    /// Another program has changed Klopf's table, which is restored.
    Restored {
        /// The program.
        by: String,
    },
    /// An order was not carried out.
    Refused {
        /// The door.
        door: String,
        /// For whom.
        address: IpAddr,
        /// Why not.
        why: Refusal,
    },
    /// The journal could not be written; what is open now may stay open if the daemon is killed.
    JournalFailed(io::Error),
}
