//! Frames to grants.

mod doors;
mod proof;

use std::collections::HashMap;
use std::net::IpAddr;

use klopf_engine::{Counters, DoorId, Effect, Engine, Grant, Limits, Millis, Observation, Refusal};
use klopf_wire::parse_packet;

use self::doors::{Doors, LONGEST_WITHIN};

const LIMITS: Limits = Limits { attempts: 8, grants_burst: 4, grants_per_second: 1 };

const HERE: u8 = 1;
const SERVICE: u8 = 2;
const EXPIRE: u8 = 4;
const RELOAD: u8 = 8;

/// Plays the input, and says what the engine counted.
///
/// The input is a row of records: time that has passed, a byte (up to 127 milliseconds, from 128 on the rest in
/// tenths of a second); bits, a byte; with `RELOAD`, how the doors change, a byte; a length, a byte; so many bytes of
/// a packet.
pub fn frame_to_engine(input: &[u8]) -> Counters {
    let mut play = Play::new();
    let mut input = input.iter().copied();
    while let (Some(time), Some(bits)) = (input.next(), input.next()) {
        let change = if bits & RELOAD == 0 { None } else { input.next() };
        let length = input.next().unwrap_or(0);
        let packet: Vec<u8> = input.by_ref().take(length.into()).collect();
        play.record(time, bits, change, &packet);
    }
    play.end()
}

struct Play {
    engine: Engine,
    doors: Doors,
    now: u64,
    /// What each origin has sent.
    past: HashMap<IpAddr, Vec<(Millis, Observation)>>,
    /// How many one-time sequences of a door are used up.
    used_up: HashMap<DoorId, u16>,
    grants: u64,
    refusals: u64,
}

impl Play {
    fn new() -> Self {
        let mut engine = Engine::new(LIMITS, *b"a key that stays");
        let doors = Doors::new();
        engine.reload(doors.all().to_vec());
        let (past, used_up) = (HashMap::new(), HashMap::new());
        Self { engine, doors, now: 0, past, used_up, grants: 0, refusals: 0 }
    }

    fn record(&mut self, time: u8, bits: u8, change: Option<u8>, packet: &[u8]) {
        self.now += if time < 128 { time.into() } else { u64::from(time - 128) * 100 };
        if bits & EXPIRE != 0 {
            self.expire();
        }
        if let Some(change) = change {
            self.doors.change(change);
            self.engine.reload(self.doors.all().to_vec());
            self.table_holds();
        }
        if let Ok(knock) = parse_packet(packet) {
            self.observe(Observation { knock, here: bits & HERE != 0, service: bits & SERVICE != 0 });
        }
    }

    fn expire(&mut self) {
        let mut effects = Vec::new();
        self.engine.expire(Millis(self.now), &mut effects);
        assert!(self.engine.next_timeout().is_none_or(|at| at > Millis(self.now)), "all whose time was up are gone");
        for effect in effects {
            let Effect::TimedOut { door, stage, .. } = effect else { panic!("time alone brought {effect:?}") };
            self.stage_holds(door, stage);
        }
        self.table_holds();
    }

    fn observe(&mut self, seen: Observation) {
        let mut effects = Vec::new();
        self.engine.observe(Millis(self.now), &seen, &mut effects);
        self.past.entry(seen.knock.origin).or_default().push((Millis(self.now), seen));
        for effect in effects {
            let origin = match effect {
                Effect::Stage { door, origin, stage } | Effect::TimedOut { door, origin, stage } => {
                    self.stage_holds(door, stage);
                    origin
                }
                Effect::Broken { door, origin, stage, at } => {
                    self.stage_holds(door, stage);
                    assert!(self.doors.get(door).strict, "knockd's doors do not tell");
                    assert_eq!(at, seen.knock.port, "the packet in hand broke it");
                    origin
                }
                Effect::Grant(grant) => {
                    self.grant_holds(&grant);
                    grant.address
                }
                Effect::Refuse { door, origin, .. } => {
                    self.doors.get(door);
                    self.refusals += 1;
                    origin
                }
                Effect::RefuseSealed(refusal) => panic!("nobody sent what brought {refusal:?}"),
            };
            assert_eq!(origin, seen.knock.origin, "nobody else is concerned");
        }
        self.table_holds();
    }

    fn table_holds(&self) {
        assert!(self.engine.attempts() <= LIMITS.attempts);
        assert_eq!(self.engine.next_timeout().is_some(), self.engine.attempts() > 0);
        let counters = self.engine.counters();
        assert_eq!((counters.granted, counters.refused(Refusal::TooManyGrants)), (self.grants, self.refusals));
        let most = u64::from(LIMITS.grants_burst) + u64::from(LIMITS.grants_per_second) * self.now / 1000;
        assert!(self.grants <= most);
    }

    fn stage_holds(&self, door: DoorId, stage: u8) {
        let longest = self.doors.get(door).sequences.iter().map(Vec::len).max();
        assert!(stage > 0 && Some(usize::from(stage)) <= longest);
    }

    fn grant_holds(&mut self, grant: &Grant) {
        self.grants += 1;
        let door = self.doors.get(grant.door);
        let number = if door.one_time {
            let next = self.used_up.entry(door.id).or_default();
            assert_eq!(grant.uses_up, Some(*next), "one after the other, each once");
            *next += 1;
            usize::from(*next - 1)
        } else {
            assert_eq!(grant.uses_up, None);
            0
        };
        proof::has_knocked(door, &door.sequences[number], &self.past[&grant.address]);
    }

    fn end(mut self) -> Counters {
        self.now += LONGEST_WITHIN;
        self.expire();
        assert_eq!(self.engine.attempts(), 0, "all time is up");
        self.engine.counters()
    }
}
