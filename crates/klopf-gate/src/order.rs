//! What the gate is asked for, and what it is told of doors.

use std::net::IpAddr;

use crate::Command;
use crate::firewall::Guard;
pub use crate::firewall::Scope;

/// Everything about one opening, filled in and ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The door's name.
    pub door: String,
    /// For whom it opens; of a network any address.
    pub address: IpAddr,
    /// How much of it opens.
    pub scope: Scope,
    /// What is run when it opens, one after the other. What has not begun when it closes is left out.
    pub open: Vec<Action>,
    /// What is run when it closes, one after the other. Without any there is nothing to remember, unless there is a lease.
    pub close: Vec<Action>,
    /// Milliseconds from opening to closing.
    pub hold: u64,
    /// Whether the time counts from the end of the last opening command (`knockd.conf`) or from the grant.
    pub from_end: bool,
    /// Whether a further order for the same door, address and scope only makes the lease longer.
    pub renews: bool,
    /// Set if the lease lets the address through the door's guard.
    pub pass: Option<Pass>,
}

/// A command at its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// What is run.
    pub run: Command,
    /// Milliseconds from the grant, or from the closing, before which it does not begin; nor before those in front of it have
    /// ended.
    pub after: u64,
}

impl Action {
    /// A command that is run at once.
    #[must_use]
    pub const fn at_once(run: Command) -> Self {
        Self { run, after: 0 }
    }
}

/// Who is let through a guard, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Whose key it was; a sequence has none.
    pub who: Option<String>,
    /// Where it was asked for.
    pub origin: Option<IpAddr>,
    /// How.
    pub by: By,
}

/// How a lease came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// By a sequence of knocks.
    Sequence,
    /// By an encoded sequence.
    Encoded,
    /// By a sealed packet.
    Packet,
    /// By a token in a mail.
    Mail,
    /// By a token in a guestbook, or shares in several.
    Guestbook,
    /// By what a log told.
    Log,
    /// By the administrator.
    Hand,
    /// It was found in the kernel at the start, and in no journal.
    Adopted,
}

impl By {
    /// A stable name for the journal and status pages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sequence => "sequence",
            Self::Encoded => "encoded",
            Self::Packet => "packet",
            Self::Mail => "mail",
            Self::Guestbook => "guestbook",
            Self::Log => "log",
            Self::Hand => "hand",
            Self::Adopted => "adopted",
        }
    }

    /// Whether somebody has knocked.
    #[must_use]
    pub const fn is_knock(self) -> bool {
        !matches!(self, Self::Hand | Self::Adopted)
    }

    /// From its name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let known = [Self::Sequence, Self::Encoded, Self::Packet, Self::Mail, Self::Guestbook, Self::Log];
        known.into_iter().chain([Self::Hand, Self::Adopted]).find(|by| by.name() == name)
    }
}

/// A door that guards ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guarded {
    /// What is closed.
    pub guard: Guard,
    /// Whether it is closed now.
    pub in_force: bool,
    /// Leases at once, at most.
    pub most: Option<u32>,
    /// Whether a lease goes on while a connection under it is up.
    pub extend: bool,
    /// Whether a lease ends with the last connection under it.
    pub until_disconnect: bool,
    /// What starts and stops the service behind it.
    pub service: Option<(Command, Command)>,
}

/// A lease in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The door.
    pub door: String,
    /// For whom: an address, or with a prefix a network.
    pub address: crate::firewall::Network,
    /// For which of the door's ports alone; none: all.
    pub port: Option<u16>,
    /// Set if it lets the address through the door's guard.
    pub pass: Option<Pass>,
    /// When it was last granted, in milliseconds since boot; not known of one from before a restart.
    pub opened: Option<u64>,
    /// When it ends, in milliseconds since boot.
    pub due: u64,
}
