//! Hits one after another, followed as the daemon would follow them; nothing is opened.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use klopf_engine::{Door, DoorId, Effect, Engine, Limits, MayAsk, Millis, Observation, Ways};
use klopf_spa::KeyId;
use klopf_spa::encoded::{Queue, Transport};
use klopf_wire::{FlagMask, Knock, Proto};

use super::lore::{KnownDoor, Lore};
use super::sequence::{asked, made};
use super::terms::against;

/// More origins on a span are not kept at once.
const MOST: usize = 1 << 16;

/// Follows hits.
pub(super) struct Replay<'l> {
    lore: &'l Lore,
    engine: Engine,
    heard: HashMap<(IpAddr, usize), Heard>,
    taken: HashSet<(KeyId, u64)>,
    origins: HashSet<IpAddr>,
    /// The last moment, in milliseconds; time never goes back.
    now: u64,
    by_log: bool,
    pub(super) hits: u64,
    pub(super) sequences: u64,
    pub(super) spelled: u64,
}

/// The hits of an origin on the span of a door.
#[derive(Default)]
struct Heard {
    queue: Queue,
    hits: u32,
    last: u64,
    made: Option<(KeyId, u64)>,
}

impl<'l> Replay<'l> {
    /// Of a log, or of packets.
    pub(super) fn new(lore: &'l Lore, by_log: bool) -> Self {
        let mut engine = Engine::new(Limits { attempts: MOST, ..Limits::default() }, [0; 16]);
        let doors = lore.doors.iter().zip(0..).filter(|(door, _)| !door.sequence.is_empty());
        engine.reload(doors.map(|(door, number)| of_engine(door, number)).collect());
        let (heard, taken, origins) = (HashMap::new(), HashSet::new(), HashSet::new());
        Self { lore, engine, heard, taken, origins, now: 0, by_log, hits: 0, sequences: 0, spelled: 0 }
    }

    /// How many addresses hits came from.
    pub(super) fn origins(&self) -> usize {
        self.origins.len()
    }

    /// Takes in a hit at a moment in milliseconds; in seconds since 1970 it may be each of `times`. What comes of it, a line each.
    pub(super) fn hit(&mut self, at: u64, times: &[u64], knock: &Knock) -> Vec<String> {
        self.now = self.now.max(at);
        self.hits += 1;
        if self.origins.len() < MOST {
            self.origins.insert(knock.origin);
        }
        let mut told = self.plain(knock);
        if knock.port.proto == Proto::Udp || FlagMask::OPENING.fits(knock.flags) {
            for place in 0..self.lore.doors.len() {
                told.extend(self.encoded(place, times, knock));
            }
        }
        told
    }

    /// Of sequences that are told in the configuration.
    fn plain(&mut self, knock: &Knock) -> Vec<String> {
        let mut effects = Vec::new();
        self.engine.expire(Millis(self.now), &mut effects);
        let seen = Observation { knock: *knock, here: true, service: false };
        self.engine.observe(Millis(self.now), &seen, &mut effects);
        effects.into_iter().filter_map(|effect| self.effect(effect)).collect()
    }

    fn effect(&mut self, effect: Effect) -> Option<String> {
        let length = |door: &KnownDoor| door.sequence.len();
        match effect {
            Effect::Stage { door, stage, .. } => {
                let door = self.door(door)?;
                Some(format!("{}: hit {stage} of the {} of its sequence", door.name, length(door)))
            }
            Effect::TimedOut { door, origin, stage } => {
                Some(format!("{}: {origin} took too long, after {stage} hits", self.door(door)?.name))
            }
            Effect::Broken { door, stage, at, .. } => {
                Some(format!("{}: {at} is wrong there, after {stage} hits; it begins anew", self.door(door)?.name))
            }
            Effect::Grant(grant) => {
                self.sequences += 1;
                let door = self.door(grant.door)?;
                let counts = if self.by_log { door.by_log } else { door.by_packet.0 };
                let but = if counts { "" } else { "; but its `via` does not let it open this way" };
                Some(format!("{}: its sequence is complete, for {}{but}", door.name, grant.address))
            }
            Effect::Refuse { .. } | Effect::RefuseSealed(_) => None,
        }
    }

    fn door(&self, id: DoorId) -> Option<&'l KnownDoor> {
        self.lore.doors.get(usize::try_from(id.0).ok()?)
    }

    /// Of encoded sequences for a door.
    fn encoded(&mut self, place: usize, times: &[u64], knock: &Knock) -> Option<String> {
        let lore = self.lore;
        let door = lore.doors.get(place)?;
        let template = door.template.as_ref()?;
        let proto = if template.transport == Transport::Tcp { Proto::Tcp } else { Proto::Udp };
        let symbol = template.span.symbol(knock.port.number).filter(|_| knock.port.proto == proto)?;
        if self.heard.len() >= MOST && !self.heard.contains_key(&(knock.origin, place)) {
            self.heard.clear();
        }
        let heard = self.heard.entry((knock.origin, place)).or_default();
        if self.now - heard.last > door.pause {
            *heard = Heard { made: heard.made, ..Heard::default() };
        }
        heard.last = self.now;
        if !heard.queue.push(symbol) {
            return Some(format!("{}: the same once more", door.name));
        }
        heard.hits += 1;
        let readings: Vec<_> = heard.queue.readings(template.length()).collect();
        let opened = readings.iter().find_map(|symbols| {
            times.iter().find_map(|now| Some((*now, lore.opened(&door.name, template, symbols, *now)?)))
        });
        let Some((time, (key, _, claim, mark))) = opened else {
            return Some(format!("{}: hit {} on its ports; a knock has {}", door.name, heard.hits, template.length()));
        };
        let made_now = Some((key.id, mark.0));
        let again = heard.made == made_now;
        *heard = Heard { last: self.now, made: made_now, ..Heard::default() };
        let known = !self.taken.insert((key.id, mark.0));
        let mut text = format!(
            "{}: an encoded sequence by the key {}, {}, made {}",
            door.name,
            key.name,
            asked(&claim),
            made(mark, time)
        );
        if again {
            text += "; a second pass of the same";
        } else if known {
            text += "; it was there before, and counts once: replayed";
        } else {
            self.spelled += 1;
            let against = against(lore, door, key, (&claim, mark), time);
            for but in self.unless(door, claim.allow.is_none()).into_iter().chain(against) {
                text += &format!("; but {but}");
            }
        }
        Some(text)
    }

    /// What stands against the way that it came.
    fn unless(&self, door: &KnownDoor, observed: bool) -> Vec<String> {
        let log = "hits from logs do not open this door: it needs \"log\" in `via`, and a [log.NAME]";
        let origin = "in a log nobody says for sure who it comes from, so it needs a field `addr`";
        let against = [
            (self.by_log && !door.by_log, log),
            (self.by_log && observed, origin),
            (!door.by_packet.1, "its `via` leaves out \"encoded\""),
        ];
        against.into_iter().filter(|(is, _)| *is).map(|(_, text)| text.to_owned()).collect()
    }
}

fn of_engine(door: &KnownDoor, number: u32) -> Door {
    Door {
        id: DoorId(number),
        sequences: vec![door.sequence.clone()],
        one_time: false,
        flags: FlagMask::OPENING,
        target: None,
        within: door.within,
        strict: true,
        second_factor: false,
        ways: Ways::default(),
        may_ask: MayAsk::default(),
    }
}
