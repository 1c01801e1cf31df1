//! Follows the attempts of an origin until a sequence is complete.
//!
//! knockd's doors (`strict` false) follow knockd 0.8: a packet that is no door's business is invisible; one that is
//! takes each attempt of its origin a stage further or ends it; and only a packet that met no attempt begins new
//! ones. Unlike there, no origin's packet touches another origin's attempts, and a time limit is to the millisecond.
//!
//! Strict doors each look at an origin for themselves. Any wrong hit ends the attempt, on a closed port too, so that
//! a scan does not find its way through. The last hit's packet repeated is no wrong hit, and a wrong hit that is the door's first
//! port begins anew.

use std::collections::HashMap;
use std::net::IpAddr;

use klopf_wire::{FlagMask, Port, Proto};

use crate::attempts::{Attempt, Attempts};
use crate::{Counters, Door, DoorId, Effect, Millis, Observation};

/// Proof that an origin has completed a door's sequence. Made here and nowhere else, and used once.
#[derive(Debug)]
#[must_use]
pub struct Recognised {
    door: u32,
    sequence: u16,
    origin: IpAddr,
}

impl Recognised {
    /// Index of the door.
    pub(crate) const fn door(&self) -> u32 {
        self.door
    }

    /// Which of the door's sequences it was.
    pub(crate) const fn sequence(&self) -> u16 {
        self.sequence
    }

    /// The address that knocked, and so the one it opens for.
    #[must_use]
    pub const fn origin(&self) -> IpAddr {
        self.origin
    }
}

/// A door that names a port, and whether its sequence begins there.
#[derive(Clone, Copy)]
struct Element {
    door: u32,
    begins: bool,
}

/// The doors with the sequence that is in force at each.
pub(crate) struct Doors {
    doors: Vec<(Door, u16)>,
    places: HashMap<DoorId, u32>,
    elements: HashMap<Port, Vec<Element>>,
}

impl Doors {
    pub(crate) fn new(doors: Vec<Door>) -> Self {
        let places = doors.iter().zip(0..).map(|(door, place)| (door.id, place)).collect();
        let doors = doors.into_iter().map(|door| (door, 0)).collect();
        let mut doors = Self { doors, places, elements: HashMap::new() };
        doors.index();
        doors
    }

    /// Other doors; one whose id stays goes on with the sequence that is in force.
    pub(crate) fn following(doors: Vec<Door>, old: &Self) -> Self {
        let in_force: HashMap<DoorId, u16> = old.doors.iter().map(|(door, in_force)| (door.id, *in_force)).collect();
        let mut new = Self::new(doors);
        for (door, number) in &mut new.doors {
            *number = in_force.get(&door.id).copied().unwrap_or_default();
        }
        new.index();
        new
    }

    pub(crate) fn get(&self, door: u32) -> Option<&Door> {
        self.doors.get(door as usize).map(|(door, _)| door)
    }

    /// The number of the sequence in force.
    pub(crate) fn in_force(&self, door: u32) -> Option<u16> {
        self.steps(door).map(|(_, in_force, _)| in_force)
    }

    /// Where a door stands.
    pub(crate) fn place(&self, id: DoorId) -> Option<u32> {
        self.places.get(&id).copied()
    }

    /// The door with this id.
    pub(crate) fn named(&self, id: DoorId) -> Option<&Door> {
        self.place(id).and_then(|place| self.get(place))
    }

    /// Puts the next one-time sequence in force; without one left, the door stays shut.
    pub(crate) fn use_up(&mut self, door: u32) {
        if let Some((_, in_force)) = self.doors.get_mut(door as usize) {
            *in_force = in_force.saturating_add(1);
        }
        self.index();
    }

    /// The steps in force and their number.
    fn steps(&self, door: u32) -> Option<(&Door, u16, &[Port])> {
        let (door, in_force) = self.doors.get(door as usize)?;
        let steps = door.sequences.get(usize::from(*in_force))?;
        Some((door, *in_force, steps))
    }

    fn at(&self, port: Port) -> &[Element] {
        self.elements.get(&port).map_or(&[], Vec::as_slice)
    }

    fn index(&mut self) {
        let mut elements: HashMap<Port, Vec<Element>> = HashMap::new();
        for (number, (door, in_force)) in (0..).zip(&self.doors) {
            for (place, &port) in door.sequences.get(usize::from(*in_force)).into_iter().flatten().enumerate() {
                let doors = elements.entry(port).or_default();
                match doors.last_mut().filter(|last| last.door == number) {
                    Some(known) => known.begins |= place == 0,
                    None => doors.push(Element { door: number, begins: place == 0 }),
                }
            }
        }
        self.elements = elements;
    }
}

/// What a hit is to an attempt.
enum Step {
    Further,
    Repeated,
    Wrong,
}

/// Who has got how far at which door.
pub(crate) struct Recogniser {
    pub(crate) doors: Doors,
    pub(crate) attempts: Attempts,
    pub(crate) counters: Counters,
    /// Doors at which the packet in hand took an attempt further or repeated a hit; kept to save allocations.
    busy: Vec<u32>,
}

impl Recogniser {
    pub(crate) fn new(attempts: Attempts) -> Self {
        Self { doors: Doors::new(Vec::new()), attempts, counters: Counters::default(), busy: Vec::new() }
    }

    /// Takes other doors. Attempts at doors whose id stays go on.
    pub(crate) fn reload(&mut self, doors: Vec<Door>) {
        let old = &self.doors;
        let new = Doors::following(doors, old);
        for mut attempt in self.attempts.drain() {
            let Some(door) = old.get(attempt.door) else { continue };
            if let Some(place) = new.place(door.id).filter(|&place| new.in_force(place) == Some(attempt.sequence)) {
                attempt.door = place;
                self.attempts.insert(attempt, door.within);
            }
        }
        self.doors = new;
    }

    /// Ends attempts whose time is up, so many at most.
    pub(crate) fn expire(&mut self, now: Millis, most: usize, out: &mut Vec<Effect>) {
        for _ in 0..most {
            let Some(attempt) = self.attempts.take_expired(now) else { return };
            let Some(door) = self.doors.get(attempt.door) else { continue };
            if self.doors.in_force(attempt.door) == Some(attempt.sequence) {
                self.counters.timeouts += 1;
                out.push(Effect::TimedOut { door: door.id, origin: attempt.origin, stage: attempt.stage });
            }
        }
    }

    /// The counts since the start.
    pub(crate) fn counters(&self) -> Counters {
        Counters { evicted: self.attempts.evicted(), ..self.counters }
    }

    /// Takes the attempts of the packet's origin on, begins new ones, and says which sequences are complete.
    pub(crate) fn observe(&mut self, now: Millis, seen: &Observation, out: &mut Vec<Effect>) -> Vec<Recognised> {
        let mut complete = Vec::new();
        let visible = self.doors.at(seen.knock.port).iter().any(|element| {
            let door = self.doors.get(element.door);
            door.is_some_and(|door| counts(door, seen))
        });
        if visible || strange(seen) {
            self.counters.knocks += u64::from(visible);
            let met_one = self.go_on(now, seen, visible, out, &mut complete);
            if visible {
                self.begin(now, seen, met_one, out, &mut complete);
            }
        }
        complete
    }

    /// Shows the packet to its origin's attempts; whether one of them belongs to a door that is not strict.
    fn go_on(
        &mut self,
        now: Millis,
        seen: &Observation,
        visible: bool,
        out: &mut Vec<Effect>,
        complete: &mut Vec<Recognised>,
    ) -> bool {
        let knock = &seen.knock;
        let mut met_one = false;
        self.busy.clear();
        let mut next = self.attempts.first_of(knock.origin);
        while let Some(&attempt) = self.attempts.get(next) {
            let slot = next;
            next = self.attempts.next_of(slot);
            let in_force = self.doors.steps(attempt.door).filter(|(_, number, _)| *number == attempt.sequence);
            let Some((door, sequence, steps)) = in_force else {
                self.attempts.remove(slot);
                continue;
            };
            if now.since(attempt.begun) >= door.within {
                self.counters.timeouts += 1;
                out.push(Effect::TimedOut { door: door.id, origin: attempt.origin, stage: attempt.stage });
                self.attempts.remove(slot);
                continue;
            }
            if !door.concerns(seen) || !(visible || door.strict) {
                continue;
            }
            met_one |= !door.strict;
            if !door.flags_fit(knock) {
                continue;
            }
            match step(door, steps, &attempt, seen) {
                Step::Further => {
                    let stage = attempt.stage + 1;
                    out.push(Effect::Stage { door: door.id, origin: knock.origin, stage });
                    if usize::from(stage) < steps.len() {
                        self.attempts.advance(slot, knock.from_port);
                    } else {
                        self.attempts.remove(slot);
                        complete.push(Recognised { door: attempt.door, sequence, origin: knock.origin });
                    }
                    self.busy.push(attempt.door);
                }
                Step::Repeated => self.busy.push(attempt.door),
                Step::Wrong => {
                    self.counters.wrong_hits += 1;
                    if door.strict {
                        let (door, stage) = (door.id, attempt.stage);
                        out.push(Effect::Broken { door, origin: knock.origin, stage, at: knock.port });
                    }
                    self.attempts.remove(slot);
                }
            }
        }
        met_one
    }

    /// Begins an attempt at each door whose first port this is.
    fn begin(
        &mut self,
        now: Millis,
        seen: &Observation,
        met_one: bool,
        out: &mut Vec<Effect>,
        complete: &mut Vec<Recognised>,
    ) {
        let knock = &seen.knock;
        for element in self.doors.at(knock.port).iter().filter(|element| element.begins) {
            let Some((door, sequence, steps)) = self.doors.steps(element.door) else { continue };
            let taken = if door.strict { self.busy.contains(&element.door) } else { met_one };
            if taken || !counts(door, seen) {
                continue;
            }
            self.counters.attempts += 1;
            out.push(Effect::Stage { door: door.id, origin: knock.origin, stage: 1 });
            if steps.len() == 1 {
                complete.push(Recognised { door: element.door, sequence, origin: knock.origin });
            } else {
                let attempt = Attempt::begin(knock.origin, element.door, sequence, knock.from_port, now);
                self.attempts.insert(attempt, door.within);
            }
        }
    }
}

/// Whether the packet is the door's business.
fn counts(door: &Door, seen: &Observation) -> bool {
    door.concerns(seen) && door.flags_fit(&seen.knock)
}

/// Whether a packet to no door's port is one that nobody who knocks would send: the opening of a connection, or a
/// datagram, to a port of this host where nothing serves.
fn strange(seen: &Observation) -> bool {
    let opening = seen.knock.port.proto == Proto::Udp || FlagMask::OPENING.fits(seen.knock.flags);
    seen.here && opening && !seen.service
}

fn step(door: &Door, steps: &[Port], attempt: &Attempt, seen: &Observation) -> Step {
    let knock = &seen.knock;
    let stage = usize::from(attempt.stage);
    let last = stage.checked_sub(1).and_then(|last| steps.get(last));
    if door.strict && last == Some(&knock.port) && attempt.from_port == knock.from_port {
        return Step::Repeated;
    }
    if steps.get(stage) == Some(&knock.port) { Step::Further } else { Step::Wrong }
}
