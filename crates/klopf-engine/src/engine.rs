//! The engine: all of the above behind a few calls.

use std::net::IpAddr;

use klopf_wire::Port;

use crate::admission::Admission;
use crate::attempts::Attempts;
use crate::decide::decide;
use crate::recognise::Recogniser;
use crate::sealed::Keys;
use crate::{
    Budget, Claim, Counters, Decision, Door, DoorId, Earliest, Grant, Key, Mark, Marks, Millis, Observation, Refusal,
    SealedRefusal, Wall,
};

/// How many timed-out attempts one call of [`Engine::expire`] reports at most, so that it stays short.
const EXPIRED_AT_ONCE: usize = 1024;

/// The bounds of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Attempts in progress, of all origins together; each takes some 100 bytes.
    pub attempts: usize,
    /// Grants at once.
    pub grants_burst: u32,
    /// Grants a second in the long run.
    pub grants_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { attempts: 1 << 18, grants_burst: 1024, grants_per_second: 256 }
    }
}

/// Something to be done or told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// An origin has hit the right port; `stage` counts from 1.
    Stage {
        /// The door.
        door: DoorId,
        /// Who knocks.
        origin: IpAddr,
        /// How many hits there are now.
        stage: u8,
    },
    /// An attempt has run out of time.
    TimedOut {
        /// The door.
        door: DoorId,
        /// Who knocked.
        origin: IpAddr,
        /// How many hits there were.
        stage: u8,
    },
    /// A wrong hit has ended an attempt at a strict door.
    Broken {
        /// The door.
        door: DoorId,
        /// Who knocked.
        origin: IpAddr,
        /// How many hits there were.
        stage: u8,
        /// The port that was wrong.
        at: Port,
    },
    /// The door is to be opened.
    Grant(Grant),
    /// A completed sequence that is not granted.
    Refuse {
        /// The door.
        door: DoorId,
        /// Who knocked.
        origin: IpAddr,
        /// Why not.
        why: Refusal,
    },
    /// A sealed knock that is not granted.
    RefuseSealed(SealedRefusal),
}

/// Follows all attempts at all doors, and judges sealed knocks.
pub struct Engine {
    recogniser: Recogniser,
    /// Follows what logs show, at the doors that take it.
    by_log: Recogniser,
    keys: Keys,
    admission: Admission,
    budget: Budget,
}

impl Engine {
    /// An engine without doors and keys. `key` must be random, so that nobody can choose origins or ids that collide.
    #[must_use]
    pub fn new(limits: Limits, key: [u8; 16]) -> Self {
        Self {
            recogniser: Recogniser::new(Attempts::new(limits.attempts, key)),
            by_log: Recogniser::new(Attempts::new(limits.attempts, key)),
            keys: Keys::new(key),
            admission: Admission::new(key),
            budget: Budget::new(limits.grants_burst, limits.grants_per_second),
        }
    }

    /// Takes other doors. Attempts at doors whose id stays go on; a door whose id stays must not have changed.
    pub fn reload(&mut self, mut doors: Vec<Door>) {
        self.by_log.reload(doors.iter().filter(|door| door.ways.log).cloned().collect());
        doors.iter_mut().filter(|door| !door.ways.sequence).for_each(|door| door.sequences.clear());
        self.recogniser.reload(doors);
    }

    /// Takes other keys, whole. What was accepted of a key goes on by its id, whether it stays, goes or comes again.
    pub fn reload_keys(&mut self, keys: Vec<Key>) {
        self.keys.reload(keys);
    }

    /// Adds what was accepted of a key before, such as before a restart; see [`Marks::merge`].
    pub fn restore(&mut self, id: [u8; 8], mark: &Mark) {
        self.keys.marks.merge(id, mark);
    }

    /// By how many milliseconds the clocks of clients may differ from the server's; 60,000 at first.
    pub fn set_window(&mut self, ms: u64) {
        self.keys.window = ms;
    }

    /// Refuses knocks that were made before a moment as replayed: what was accepted then is not known. 0, as at first: it is.
    pub fn set_earliest(&mut self, earliest: Earliest) {
        self.keys.earliest = earliest;
    }

    /// Takes in one packet. What follows from it is added to `out`, in order.
    pub fn observe(&mut self, now: Millis, seen: &Observation, out: &mut Vec<Effect>) {
        follow(&mut self.recogniser, &mut self.budget, now, seen, out);
    }

    /// The same for a packet that a log tells of. Where packets and a log show the same, neither disturbs what the other has begun.
    pub fn observe_logged(&mut self, now: Millis, seen: &Observation, out: &mut Vec<Effect>) {
        follow(&mut self.by_log, &mut self.budget, now, seen, out);
    }

    /// Says whether a sealed knock is worth the public-key work. To be asked when its outer seal was opened, once for
    /// each; one that is refused for want of budget may be sent again.
    ///
    /// # Errors
    /// [`Refusal::Replayed`] with a nonce among the last 65,536 that were admitted; [`Refusal::TooManyPackets`] when
    /// the origin (an IPv4 address, or an IPv6 network of 64 bits) with the key of this id, or all together, have used up
    /// their budget.
    pub fn admit(&mut self, now: Millis, origin: IpAddr, id: [u8; 8], nonce: [u8; 12]) -> Result<(), Refusal> {
        self.admission.admit(now, origin, id, nonce).inspect_err(|&why| self.recogniser.counters.refuse(why))
    }

    /// Takes in what a sealed knock asks for. Adds a [`Effect::Grant`] or a [`Effect::RefuseSealed`] to `out`.
    pub fn observe_claim(&mut self, now: Millis, wall: Wall, claim: &Claim, out: &mut Vec<Effect>) {
        let counters = &mut self.recogniser.counters;
        counters.sealed += 1;
        out.push(match self.keys.decide(now, wall, claim, &self.recogniser.doors, &mut self.budget) {
            Ok(grant) => {
                counters.granted += 1;
                Effect::Grant(grant)
            }
            Err(refusal) => {
                counters.refuse(refusal.why);
                Effect::RefuseSealed(refusal)
            }
        });
    }

    /// Counts a refusal that was given before the engine was asked: no packet, an unknown key, a forged knock. Its own
    /// it counts itself.
    pub fn count_refusal(&mut self, why: Refusal) {
        self.recogniser.counters.refuse(why);
    }

    /// Ends attempts whose time is up, a bounded number of them. To be called again at [`Engine::next_timeout`].
    pub fn expire(&mut self, now: Millis, out: &mut Vec<Effect>) {
        for recogniser in [&mut self.recogniser, &mut self.by_log] {
            recogniser.expire(now, EXPIRED_AT_ONCE, out);
        }
    }

    /// When [`Engine::expire`] has something to do.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Millis> {
        let all = [&self.recogniser, &self.by_log].map(|recogniser| recogniser.attempts.next_timeout());
        all.into_iter().flatten().min()
    }

    /// What was accepted of all keys.
    #[must_use]
    pub fn marks(&self) -> &Marks {
        &self.keys.marks
    }

    /// How many attempts are in progress.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.recogniser.attempts.len() + self.by_log.attempts.len()
    }

    /// The counts since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.recogniser.counters().plus(&self.by_log.counters())
    }
}

fn follow(recogniser: &mut Recogniser, budget: &mut Budget, now: Millis, seen: &Observation, out: &mut Vec<Effect>) {
    for recognised in recogniser.observe(now, seen, out) {
        let Some(door) = recogniser.doors.get(recognised.door()).map(|door| door.id) else { continue };
        out.push(match decide(&recognised, &mut recogniser.doors, budget, now) {
            Decision::Grant(grant) => {
                recogniser.counters.granted += 1;
                Effect::Grant(grant)
            }
            Decision::Refuse(why) => {
                recogniser.counters.refuse(why);
                Effect::Refuse { door, origin: recognised.origin(), why }
            }
        });
    }
}
