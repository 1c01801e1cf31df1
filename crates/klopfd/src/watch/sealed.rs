//! Sealed knocks: from a datagram to what it claims.

use std::collections::HashMap;
use std::net::IpAddr;

use klopf_engine::{
    Asks, Claim, Code, Door, DoorId, Earliest, Effect, Engine, Form, Key, KeyRef, Millis, Observation, Refusal,
    SealedRefusal, Source, SourceId, Wall,
};
use klopf_spa::{Knock, Name, NotOpened, Opener, Psk, Public, Scratch, ServerKey, Shape, totp_fits};
use klopf_sys::clock;
use klopf_wire::{FlagMask, Proto};
use zeroize::Zeroizing;

use super::encoded::{Encoded, Medium};
use super::tokens::Opens;
use crate::message::Down;
use crate::plan::{Factor, Spelling};

/// What opens sealed knocks.
#[derive(Default)]
pub(super) struct Seals {
    opener: Option<Opener>,
    /// What opens what the courier offers.
    pub(super) letters: Option<Opens>,
    factors: HashMap<KeyRef, Zeroizing<Vec<u8>>>,
    /// What follows encoded sequences, if a door has any.
    pub(super) encoded: Option<Encoded>,
    doors: HashMap<Name, DoorId>,
    scratch: Box<Scratch>,
}

/// What the keeper tells of sealed knocks, until it is complete.
#[derive(Default)]
pub(super) struct Staged {
    server: Option<(ServerKey, Shape)>,
    window: u64,
    earliest: Earliest,
    keys: Vec<Person>,
    called: HashMap<Name, DoorId>,
    spelled: Vec<(DoorId, Spelling)>,
    sources: HashMap<SourceId, (bool, Name)>,
}

struct Person {
    key: Key,
    secrets: Option<(Public, Psk)>,
    factor: Option<Zeroizing<Vec<u8>>>,
}

impl Staged {
    /// Adds what a message tells; `door` is the one that was told before.
    pub(super) fn add(&mut self, message: Down, door: Option<&Door>) {
        let last = self.keys.last_mut();
        match (message, last) {
            (Down::Called(name), _) => self.called.extend(door.map(|door| (name, door.id))),
            (Down::Spelling(spelling), _) => self.spelled.extend(door.map(|door| (door.id, spelling))),
            (Down::Server(key, shape, window, earliest), _) => {
                (self.server, self.window, self.earliest) = (Some((key, shape)), window, earliest);
            }
            (Down::Key(key), _) => self.keys.push(Person { key, secrets: None, factor: None }),
            (Down::Secrets(public, psk), Some(person)) => person.secrets = Some((public, psk)),
            (Down::KeyDoor(door), Some(person)) => drop(person.key.doors.insert(door)),
            (Down::Hours(hours), Some(person)) => person.key.hours.push(hours),
            (Down::Network(network), Some(person)) => person.key.networks.push(network),
            (Down::Factor(Factor(secret)), Some(person)) => person.factor = Some(secret),
            (Down::Sheet(sheet), Some(person)) => drop(person.key.revoked_sheets.insert(sheet)),
            (Down::Source(id, is_book, name), _) => drop(self.sources.insert(id, (is_book, name))),
            _ => {}
        }
    }

    /// Puts it into force, in the place of what was before. `chance` is random.
    pub(super) fn commit(self, engine: &mut Engine, doors: &[Door], before: Seals, chance: [u8; 16]) -> Seals {
        let Some((server, shape)) = self.server else {
            engine.reload_keys(Vec::new());
            return Seals::default();
        };
        let mut opener = Opener::new(&server, shape);
        let mut letters = Opens::new(server.public());
        for (name, id) in &self.called {
            doors.iter().filter(|door| door.id == *id).for_each(|door| letters.add_door(name, door));
        }
        let (mut keys, mut people, mut factors) = (Vec::new(), Vec::new(), HashMap::new());
        letters.keys(self.keys.iter().filter_map(|person| Some((&person.key, person.secrets.as_ref()?.1.clone()))));
        for Person { key, secrets, factor } in self.keys {
            factors.extend(factor.map(|secret| (key.key, secret)));
            people.extend(secrets.map(|(public, psk)| (key.key.0, public, psk)));
            keys.push(key);
        }
        opener.people(people);
        engine.reload_keys(keys);
        engine.set_window(self.window);
        engine.set_earliest(self.earliest);
        letters.go_on(self.sources, before.letters);
        let letters = Some(letters);
        let spelled = self.spelled.iter().filter_map(|(id, spelling)| {
            let (name, _) = self.called.iter().find(|(_, door)| *door == id)?;
            Some((name, *id, *spelling))
        });
        let encoded = Some(Encoded::new(spelled, chance)).filter(|_| !self.spelled.is_empty());
        Seals { encoded, opener: Some(opener), letters, factors, doors: self.called, scratch: Box::default() }
    }
}

impl Seals {
    /// Takes in a datagram that came to a port of sealed knocks. Cheap as long as nobody who was invited has sent it.
    pub(super) fn take_in(
        &mut self,
        engine: &mut Engine,
        now: Millis,
        origin: IpAddr,
        datagram: &[u8],
        out: &mut Vec<Effect>,
    ) {
        let Some(opener) = &self.opener else { return };
        let packet = match opener.check(datagram, &mut self.scratch) {
            Ok(packet) => packet,
            Err(why) => return engine.count_refusal(named(why)),
        };
        let key = opener.number(packet.id).map(KeyRef);
        let mut refuse = |why| {
            let (door, address, clock_ahead, burnt) = (None, None, None, None);
            let (source, form) = (Source::Packet(origin), Form::Packet);
            let refusal = SealedRefusal { key, door, source, form, address, why, clock_ahead, burnt };
            out.push(Effect::RefuseSealed(refusal));
        };
        if key.is_none() {
            engine.count_refusal(Refusal::UnknownKey);
            return refuse(Refusal::UnknownKey);
        }
        if let Err(why) = engine.admit(now, origin, packet.id.0, packet.nonce) {
            return refuse(why);
        }
        match opener.open(&packet) {
            Ok((key, knock)) => {
                let wall = wall();
                let claim = self.claim(KeyRef(key), &knock, origin, wall);
                engine.observe_claim(now, wall, &claim, out);
            }
            Err(why) => {
                engine.count_refusal(named(why));
                refuse(named(why));
            }
        }
    }

    /// Takes in a hit, which may be one of an encoded sequence.
    pub(super) fn hit(
        &mut self,
        engine: &mut Engine,
        now: Millis,
        medium: Medium,
        seen: &Observation,
        out: &mut Vec<Effect>,
    ) {
        let Self { encoded: Some(encoded), letters: Some(letters), .. } = self else { return };
        let Observation { knock, here, .. } = seen;
        if !here || knock.port.proto == Proto::Tcp && !FlagMask::OPENING.fits(knock.flags) {
            return;
        }
        for claim in encoded.hit(engine, letters, now, (medium, knock)) {
            engine.observe_claim(now, wall(), &claim, out);
        }
        for _ in 0..std::mem::take(&mut encoded.untried) {
            engine.count_refusal(Refusal::TooManyPackets);
        }
    }

    /// Takes in what may be a token in a log.
    pub(super) fn token(&self, engine: &mut Engine, now: Millis, log: SourceId, body: &[u8], out: &mut Vec<Effect>) {
        let Some(letters) = &self.letters else { return };
        match letters.read_in_log(engine, log, body) {
            Err(why) => engine.count_refusal(why),
            Ok(claim) => engine.observe_claim(now, wall(), &claim, out),
        }
    }

    fn claim(&self, key: KeyRef, knock: &Knock, origin: IpAddr, wall: Wall) -> Claim {
        let factor = self.factors.get(&key);
        let code = knock.code.map_or(Code::Absent, |code| {
            let right = factor.is_some_and(|secret| totp_fits(secret, code, wall.unix_ms / 1000));
            if right { Code::Right } else { Code::Wrong }
        });
        Claim {
            key,
            door: self.doors.get(&knock.door).copied(),
            source: Source::Packet(origin),
            form: Form::Packet,
            address: knock.allow.unwrap_or(origin),
            time: knock.time,
            counter: knock.counter,
            device: knock.device,
            hold: knock.hold,
            asks: Asks::default(),
            code,
        }
    }
}

fn wall() -> Wall {
    Wall { unix_ms: clock::wall_ms(), minute_of_week: clock::minute_of_week() }
}

/// The engine's name for it.
fn named(why: NotOpened) -> Refusal {
    match why {
        NotOpened::NoPacket => Refusal::NoPacket,
        NotOpened::UnknownKey => Refusal::UnknownKey,
        NotOpened::Forged => Refusal::Forged,
    }
}
