//! What the gate tells of.

use std::io;
use std::net::IpAddr;

use klopf_sys::Ended;

/// Why an order was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// As many commands are running as may.
    TooManyCommands,
    /// As many doors are open as may be.
    TooManyLeases,
}

impl Refusal {
    /// A stable name for logs and counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooManyCommands => "too-many-commands",
            Self::TooManyLeases => "too-many-leases",
        }
    }
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
    /// A lease is at its end; the closing command follows.
    Due {
        /// The door.
        door: String,
        /// For whom.
        address: IpAddr,
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
