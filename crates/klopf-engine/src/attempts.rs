//! The bounded table of attempts in progress.
//!
//! Each attempt stands in a slab and in up to three lists: those of its origin, those with the same time limit
//! (in order of their beginning, hence of their end) and, while it has only its first hit, the fresh ones. So
//! finding, adding, ending and timing out an attempt cost the same whether there are ten or a hundred thousand.
//!
//! When the table is full the oldest fresh attempt gives way: a flood of first knocks pushes out its own, not those
//! who have got further.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::Millis;
use crate::hash::Keyed;
use crate::lists::{Linked, Links, List, NONE, Slot};

/// A sequence in progress.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) origin: IpAddr,
    /// Index of the door.
    pub(crate) door: u32,
    /// Which of the door's sequences it follows.
    pub(crate) sequence: u16,
    /// How many hits it has.
    pub(crate) stage: u8,
    pub(crate) begun: Millis,
    /// The source port of the last hit, to tell a repeated packet from a new one.
    pub(crate) from_port: u16,
}

impl Attempt {
    /// An attempt with its first hit.
    pub(crate) fn begin(origin: IpAddr, door: u32, sequence: u16, from_port: u16, now: Millis) -> Self {
        Self { origin, door, sequence, stage: 1, begun: now, from_port }
    }
}

/// The lists an attempt can stand in.
#[derive(Clone, Copy)]
enum Kind {
    Origin,
    Age,
    Fresh,
}

#[derive(Clone, Copy)]
struct Entry {
    attempt: Attempt,
    /// Which time limit; also tells a free entry.
    limit: u32,
    links: [Links; 3],
}

const FREE: u32 = u32::MAX;

struct Slab(Vec<Entry>);

impl Linked<Kind> for Slab {
    fn links(&mut self, slot: Slot, kind: Kind) -> Option<&mut Links> {
        self.0.get_mut(slot as usize).and_then(|entry| entry.links.get_mut(kind as usize))
    }
}

/// All attempts, at most as many as allowed.
pub(crate) struct Attempts {
    slab: Slab,
    free: Vec<Slot>,
    origins: HashMap<IpAddr, List, Keyed>,
    /// Time limits in milliseconds, each with its attempts.
    ages: Vec<(u64, List)>,
    fresh: List,
    most: usize,
    evicted: u64,
}

impl Attempts {
    /// An empty table for at most `most` attempts; `key` keeps strangers from choosing colliding origins.
    pub(crate) fn new(most: usize, key: [u8; 16]) -> Self {
        Self {
            slab: Slab(Vec::new()),
            free: Vec::new(),
            origins: HashMap::with_hasher(Keyed(key)),
            ages: Vec::new(),
            fresh: List::default(),
            most,
            evicted: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.0.len() - self.free.len()
    }

    /// How many gave way to newer ones.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&Attempt> {
        self.slab.0.get(slot as usize).map(|entry| &entry.attempt)
    }

    /// The oldest attempt of an origin.
    pub(crate) fn first_of(&self, origin: IpAddr) -> Slot {
        self.origins.get(&origin).map_or(NONE, |list| list.first)
    }

    /// The origin's next attempt.
    pub(crate) fn next_of(&mut self, slot: Slot) -> Slot {
        List::after(&mut self.slab, Kind::Origin, slot)
    }

    /// Adds an attempt that may take `within` milliseconds.
    pub(crate) fn insert(&mut self, attempt: Attempt, within: u64) {
        if self.len() >= self.most {
            self.evict();
        }
        let limit = self.limit(within);
        let entry = Entry { attempt, limit, links: Default::default() };
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => Slot::try_from(self.slab.0.len()).unwrap_or(NONE),
        };
        match self.slab.0.get_mut(slot as usize) {
            Some(place) => *place = entry,
            None => self.slab.0.push(entry),
        }
        self.origins.entry(attempt.origin).or_default().push(&mut self.slab, Kind::Origin, slot);
        if let Some((_, ages)) = self.ages.get_mut(limit as usize) {
            ages.push(&mut self.slab, Kind::Age, slot);
        }
        if attempt.stage <= 1 {
            self.fresh.push(&mut self.slab, Kind::Fresh, slot);
        }
    }

    /// Takes an attempt one hit further.
    pub(crate) fn advance(&mut self, slot: Slot, from_port: u16) {
        if self.get(slot).is_some_and(|attempt| attempt.stage == 1) {
            self.fresh.remove(&mut self.slab, Kind::Fresh, slot);
        }
        if let Some(entry) = self.slab.0.get_mut(slot as usize) {
            entry.attempt.stage += 1;
            entry.attempt.from_port = from_port;
        }
    }

    /// Ends an attempt.
    pub(crate) fn remove(&mut self, slot: Slot) {
        let Some(entry) = self.slab.0.get_mut(slot as usize).filter(|entry| entry.limit != FREE) else { return };
        let (attempt, limit) = (entry.attempt, std::mem::replace(&mut entry.limit, FREE));
        if let Some((_, ages)) = self.ages.get_mut(limit as usize) {
            ages.remove(&mut self.slab, Kind::Age, slot);
        }
        if attempt.stage <= 1 {
            self.fresh.remove(&mut self.slab, Kind::Fresh, slot);
        }
        if let Some(list) = self.origins.get_mut(&attempt.origin) {
            list.remove(&mut self.slab, Kind::Origin, slot);
            if list.first == NONE {
                self.origins.remove(&attempt.origin);
            }
        }
        self.free.push(slot);
        if self.free.len() == self.slab.0.len() {
            self.release();
        }
    }

    /// Ends one attempt whose time is up and returns it.
    pub(crate) fn take_expired(&mut self, now: Millis) -> Option<Attempt> {
        let slot = self.ages.iter().find_map(|&(within, list)| {
            let oldest = self.slab.0.get(list.first as usize)?;
            (now.since(oldest.attempt.begun) >= within).then_some(list.first)
        })?;
        let attempt = *self.get(slot)?;
        self.remove(slot);
        Some(attempt)
    }

    /// When the next attempt runs out of time.
    pub(crate) fn next_timeout(&self) -> Option<Millis> {
        let ends = self.ages.iter().filter_map(|(within, list)| {
            self.slab.0.get(list.first as usize).map(|oldest| oldest.attempt.begun.plus(*within))
        });
        ends.min()
    }

    /// Empties the table and returns what it held, in order of beginning.
    pub(crate) fn drain(&mut self) -> Vec<Attempt> {
        let used = self.slab.0.iter().filter(|entry| entry.limit != FREE);
        let mut all: Vec<Attempt> = used.map(|entry| entry.attempt).collect();
        all.sort_by_key(|attempt| attempt.begun);
        self.free.clear();
        self.release();
        self.ages.clear();
        all
    }

    fn evict(&mut self) {
        let eldest = |&&(_, list): &&(u64, List)| self.slab.0.get(list.first as usize).map(|e| e.attempt.begun);
        let slot = match self.fresh.first {
            NONE => self.ages.iter().filter(|ages| eldest(ages).is_some()).min_by_key(eldest).map(|ages| ages.1.first),
            slot => Some(slot),
        };
        if let Some(slot) = slot {
            self.remove(slot);
            self.evicted += 1;
        }
    }

    /// The number of a time limit. There are as many as the doors have different ones.
    fn limit(&mut self, within: u64) -> u32 {
        let known = self.ages.iter().position(|&(known, _)| known == within);
        let place = known.unwrap_or_else(|| {
            self.ages.push((within, List::default()));
            self.ages.len() - 1
        });
        u32::try_from(place).unwrap_or(FREE - 1)
    }

    /// Gives the memory of an empty table back.
    fn release(&mut self) {
        self.slab.0 = Vec::new();
        self.free = Vec::new();
        self.origins.clear();
        self.origins.shrink_to_fit();
        self.fresh = List::default();
    }
}
