//! The engine: all of the above behind three calls.

use std::net::IpAddr;

use klopf_wire::Port;

use crate::attempts::Attempts;
use crate::decide::decide;
use crate::recognise::{Doors, Recogniser};
use crate::{Budget, Counters, Decision, Door, DoorId, Grant, Millis, Observation, Refusal};

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
}

/// Follows all attempts at all doors.
pub struct Engine {
    recogniser: Recogniser,
    budget: Budget,
}

impl Engine {
    /// An engine without doors. `key` must be random, so that nobody can choose origins that collide.
    #[must_use]
    pub fn new(limits: Limits, key: [u8; 16]) -> Self {
        Self {
            recogniser: Recogniser::new(Attempts::new(limits.attempts, key)),
            budget: Budget::new(limits.grants_burst, limits.grants_per_second),
        }
    }

    /// Takes other doors. Attempts at doors whose id stays go on; a door whose id stays must not have changed.
    pub fn reload(&mut self, doors: Vec<Door>) {
        let old = &self.recogniser.doors;
        let new = Doors::following(doors, old);
        let places = new.places();
        for mut attempt in self.recogniser.attempts.drain() {
            let Some(door) = old.get(attempt.door) else { continue };
            if let Some(&place) = places.get(&door.id).filter(|&&place| new.in_force(place) == Some(attempt.sequence)) {
                attempt.door = place;
                self.recogniser.attempts.insert(attempt, door.within);
            }
        }
        self.recogniser.doors = new;
    }

    /// Takes in one packet. What follows from it is added to `out`, in order.
    pub fn observe(&mut self, now: Millis, seen: &Observation, out: &mut Vec<Effect>) {
        for recognised in self.recogniser.observe(now, seen, out) {
            let Some(door) = self.recogniser.doors.get(recognised.door()).map(|door| door.id) else { continue };
            out.push(match decide(&recognised, &mut self.recogniser.doors, &mut self.budget, now) {
                Decision::Grant(grant) => {
                    self.recogniser.counters.granted += 1;
                    Effect::Grant(grant)
                }
                Decision::Refuse(why) => {
                    self.recogniser.counters.too_many_grants += 1;
                    Effect::Refuse { door, origin: recognised.origin(), why }
                }
            });
        }
    }

    /// Ends attempts whose time is up, a bounded number of them. To be called again at [`Engine::next_timeout`].
    pub fn expire(&mut self, now: Millis, out: &mut Vec<Effect>) {
        for _ in 0..EXPIRED_AT_ONCE {
            let Some(attempt) = self.recogniser.attempts.take_expired(now) else { return };
            let Some(door) = self.recogniser.doors.get(attempt.door) else { continue };
            if self.recogniser.doors.in_force(attempt.door) == Some(attempt.sequence) {
                self.recogniser.counters.timeouts += 1;
                out.push(Effect::TimedOut { door: door.id, origin: attempt.origin, stage: attempt.stage });
            }
        }
    }

    /// When [`Engine::expire`] has something to do.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Millis> {
        self.recogniser.attempts.next_timeout()
    }

    /// How many attempts are in progress.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.recogniser.attempts.len()
    }

    /// The counts since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters { evicted: self.recogniser.attempts.evicted(), ..self.recogniser.counters }
    }
}
