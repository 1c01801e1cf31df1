//! Policy: whether what was recognised is granted.

use std::net::IpAddr;

use crate::recognise::Doors;
use crate::{DoorId, Millis, Recognised};

/// A yes, with what it stands under. Carried to the gate as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The door.
    pub door: DoorId,
    /// The address it opens for.
    pub address: IpAddr,
    /// Which of the door's one-time sequences is used up by it.
    pub uses_up: Option<u16>,
}

/// A named no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// More doors were opened in a short time than the host should take.
    TooManyGrants,
}

impl Refusal {
    /// A stable name for logs and counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooManyGrants => "too-many-grants",
        }
    }
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

/// How many grants there may be in a short time: a bucket of tokens.
///
/// Every grant may start a program, and origins can be spoofed: without a bound whoever knows a sequence could make
/// the host start programs as fast as it can read packets.
pub(crate) struct Budget {
    burst: u32,
    per_second: u32,
    /// Thousandths of a grant.
    left: u64,
    filled: Millis,
}

impl Budget {
    pub(crate) fn new(burst: u32, per_second: u32) -> Self {
        Self { burst, per_second, left: u64::from(burst) * 1000, filled: Millis(0) }
    }

    fn take(&mut self, now: Millis) -> bool {
        let gained = now.since(self.filled).saturating_mul(u64::from(self.per_second));
        self.left = self.left.saturating_add(gained).min(u64::from(self.burst) * 1000);
        self.filled = now.max(self.filled);
        match self.left.checked_sub(1000) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

/// Decides on a completed sequence; a one-time sequence is used up by a yes.
pub(crate) fn decide(recognised: &Recognised, doors: &mut Doors, budget: &mut Budget, now: Millis) -> Decision {
    let Some(door) = doors.get(recognised.door()).filter(|_| budget.take(now)) else {
        return Decision::Refuse(Refusal::TooManyGrants);
    };
    let uses_up = door.one_time.then(|| recognised.sequence());
    let grant = Grant { door: door.id, address: recognised.origin(), uses_up };
    if uses_up.is_some() {
        doors.use_up(recognised.door());
    }
    Decision::Grant(grant)
}
