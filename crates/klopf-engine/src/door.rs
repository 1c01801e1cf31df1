//! What the engine knows of a door, and what it is told of a packet.

use std::net::IpAddr;

use klopf_wire::{FlagMask, Knock, Port, Proto};

use crate::{MayAsk, Ways};

/// Names one definition of a door. A door that is defined anew gets a new id, so that an attempt or a grant can
/// never pass from the old definition to the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DoorId(pub u32);

/// A door that opens to a sequence, to sealed knocks, or to both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// Which one it is.
    pub id: DoorId,
    /// The sequence, or the one-time sequences that are left; the first one is in force. Each has 1 to 32 ports.
    /// None if it opens to sealed knocks alone.
    pub sequences: Vec<Vec<Port>>,
    /// Whether a sequence is used up by opening the door.
    pub one_time: bool,
    /// Which TCP packets count.
    pub flags: FlagMask,
    /// The address that is knocked at; none: any of this host's.
    pub target: Option<IpAddr>,
    /// Milliseconds from the first hit, within which the last one must come.
    pub within: u64,
    /// Whether a hit on any closed port, too, ends an attempt (`klopf.toml`), or only hits on ports of doors
    /// (`knockd.conf`).
    pub strict: bool,
    /// Whether a sealed knock must bring a code, too. A sequence has none, and neither has a token.
    pub second_factor: bool,
    /// The ways in which sealed knocks may open it.
    pub ways: Ways,
    /// What sealed knocks may ask for.
    pub may_ask: MayAsk,
}

impl Door {
    /// Whether packets with this destination are the door's business.
    pub(crate) fn concerns(&self, seen: &Observation) -> bool {
        self.target.map_or(seen.here, |target| target == seen.knock.to)
    }

    /// Whether the packet's flags count at this door; UDP has none.
    pub(crate) fn flags_fit(&self, knock: &Knock) -> bool {
        knock.port.proto == Proto::Udp || self.flags.fits(knock.flags)
    }
}

/// A packet as the engine is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// What was seen.
    pub knock: Knock,
    /// Whether it was sent to an address of this host on the interface it came in by.
    pub here: bool,
    /// Whether something serves at that port, so that a hit there says nothing about knocking.
    pub service: bool,
}
