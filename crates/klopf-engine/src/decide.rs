//! Policy: whether a recognised sequence is granted.

use std::net::IpAddr;

use crate::recognise::Doors;
use crate::{Budget, DoorId, Millis, Recognised, Refusal, Sealed};

/// A yes, with what it stands under. Carried to the gate as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The door.
    pub door: DoorId,
    /// The address it opens for.
    pub address: IpAddr,
    /// Which of the door's one-time sequences is used up by it.
    pub uses_up: Option<u16>,
    /// What it has from a sealed knock; none if it comes from a sequence.
    pub sealed: Option<Sealed>,
}

/// The answer to a completed sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// It is granted.
    Grant(Grant),
    /// It is not.
    Refuse(Refusal),
}

/// Decides on a completed sequence; a one-time sequence is used up by a yes.
///
/// Every grant may start a program, and origins can be spoofed: without a budget whoever knows a sequence could make the
/// host start programs as fast as it can read packets.
pub(crate) fn decide(recognised: &Recognised, doors: &mut Doors, budget: &mut Budget, now: Millis) -> Decision {
    let Some(door) = doors.get(recognised.door()).filter(|_| budget.take(now)) else {
        return Decision::Refuse(Refusal::TooManyGrants);
    };
    let uses_up = door.one_time.then(|| recognised.sequence());
    let grant = Grant { door: door.id, address: recognised.origin(), uses_up, sealed: None };
    if uses_up.is_some() {
        doors.use_up(recognised.door());
    }
    Decision::Grant(grant)
}
