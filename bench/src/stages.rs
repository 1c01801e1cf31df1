//! What the watch does with a packet, stage by stage. The first and the last, filter and firewall, are the kernel's.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use klopf_engine::{
    Claim, Code, Door, DoorId, Effect, Engine, Form, Key, KeyRef, Limits, Millis, Observation, Source, Wall, Ways,
};
use klopf_spa::{Knock, Name, Opener, Psk, Scratch, Seed, ServerKey, Shape, seal};
use klopf_wire::{FlagMask, Port, Proto, parse_packet};

use crate::chance::Chance;

const DOOR: DoorId = DoorId(1);
/// Bytes of a datagram of junk: of a length that a packet could have.
const JUNK: usize = 512;
/// How many different datagrams there are.
const DATAGRAMS: usize = 64;
const UNIX_MS: u64 = 1_800_000_000_000;

/// A stage, by its name.
pub type Stage = (&'static str, fn(&mut Stages) -> bool);

/// All stages in the order of the way.
pub const ALL: [Stage; 6] = [
    ("parse", Stages::parse),
    ("lookup", Stages::lookup),
    ("stranger", Stages::stranger),
    ("check", Stages::check),
    ("open", Stages::open),
    ("decide", Stages::decide),
];

/// What the stages work on. Each call is one packet, another one than the call before; it says whether that was taken
/// as it should be.
pub struct Stages {
    opener: Opener,
    engine: Engine,
    scratch: Scratch,
    junk: Vec<Vec<u8>>,
    sealed: Vec<Vec<u8>>,
    syn: Vec<u8>,
    effects: Vec<Effect>,
    number: u32,
}

impl Default for Stages {
    fn default() -> Self {
        let mut chance = Chance(7);
        let server = ServerKey::new(chance.bytes());
        let (seed, psk) = (Seed::new(chance.bytes()), Psk::new(chance.bytes()));
        let mut opener = Opener::new(&server, Shape::None);
        let mut engine = Engine::new(Limits::default(), [7; 16]);
        engine.reload(vec![door()]);
        engine.reload_keys(vec![Key { doors: BTreeSet::from([DOOR]), ..Key::new(KeyRef(0), seed.public().id().0) }]);
        let packet = |counter: u64, chance: &mut Chance| {
            let door = Name::new("bench")?;
            let knock = Knock { time: UNIX_MS, counter, device: [4; 16], allow: None, hold: 0, code: None, door };
            let mut random = |out: &mut [u8]| chance.fill(out);
            Some(seal((&server.public(), Shape::None), (&seed, &psk), &knock, UNIX_MS, &mut random))
        };
        let sealed = (0..DATAGRAMS).filter_map(|counter| packet(counter as u64, &mut chance)).collect();
        opener.people([(0, seed.public(), psk)]);
        let junk = (0..DATAGRAMS).map(|_| chance.bytes::<JUNK>().to_vec()).collect();
        let (scratch, effects) = (Scratch::default(), Vec::new());
        Self { opener, engine, scratch, junk, sealed, syn: syn(), effects, number: 0 }
    }
}

impl Stages {
    /// Reads the headers of a SYN.
    #[inline(never)]
    pub fn parse(&mut self) -> bool {
        self.vary();
        parse_packet(&self.syn).is_ok()
    }

    /// A first hit, from an address that has made none.
    #[inline(never)]
    pub fn lookup(&mut self) -> bool {
        self.hit(7000)
    }

    /// A hit on a port that is none of any door's, from an address that has made no hit.
    #[inline(never)]
    pub fn stranger(&mut self) -> bool {
        self.hit(7001)
    }

    /// A datagram of junk, of which the outer seal is tried.
    #[inline(never)]
    pub fn check(&mut self) -> bool {
        self.number = self.number.wrapping_add(1);
        let datagram = self.junk.get(self.number as usize % DATAGRAMS);
        datagram.is_some_and(|datagram| self.opener.check(datagram, &mut self.scratch).is_err())
    }

    /// A packet of somebody invited, opened.
    #[inline(never)]
    pub fn open(&mut self) -> bool {
        self.number = self.number.wrapping_add(1);
        let Some(datagram) = self.sealed.get(self.number as usize % DATAGRAMS) else { return false };
        let checked = self.opener.check(datagram, &mut self.scratch);
        checked.is_ok_and(|packet| self.opener.open(&packet).is_ok())
    }

    /// What such a packet claims, decided on.
    #[inline(never)]
    pub fn decide(&mut self) -> bool {
        self.number = self.number.wrapping_add(1);
        let now = u64::from(self.number) * 10;
        let origin = IpAddr::from(Ipv4Addr::from(0xc612_0000 + (self.number & 0xffff)));
        let claim = Claim {
            key: KeyRef(0),
            door: Some(DOOR),
            source: Source::Packet(origin),
            form: Form::Packet,
            address: origin,
            time: UNIX_MS + now,
            counter: u64::from(self.number),
            device: [4; 16],
            hold: 0,
            code: Code::Absent,
            asks: klopf_engine::Asks::default(),
        };
        let wall = Wall { unix_ms: UNIX_MS + now, minute_of_week: 0 };
        self.engine.observe_claim(Millis(now), wall, &claim, &mut self.effects);
        let granted = matches!(self.effects.as_slice(), [Effect::Grant(_)]);
        self.effects.clear();
        granted
    }

    fn hit(&mut self, port: u16) -> bool {
        self.vary();
        let Ok(mut knock) = parse_packet(&self.syn) else { return false };
        knock.port = Port { proto: Proto::Tcp, number: port };
        self.engine.observe(Millis(1), &Observation { knock, here: true, service: false }, &mut self.effects);
        let hits = self.effects.len();
        self.effects.clear();
        hits == usize::from(port == 7000)
    }

    /// Another source.
    fn vary(&mut self) {
        self.number = self.number.wrapping_add(1);
        let octets = self.number.wrapping_mul(0x9e37_79b1).to_be_bytes();
        self.syn.iter_mut().skip(12).zip(octets).for_each(|(to, from)| *to = from);
    }
}

fn door() -> Door {
    let port = |number| Port { proto: Proto::Tcp, number };
    Door {
        id: DOOR,
        sequences: vec![vec![port(7000), port(8000), port(9000)]],
        one_time: false,
        flags: FlagMask::OPENING,
        target: None,
        within: 5000,
        strict: true,
        second_factor: false,
        ways: Ways::default(),
        may_ask: klopf_engine::MayAsk::default(),
    }
}

/// A SYN without options, from its IPv4 header on.
fn syn() -> Vec<u8> {
    let ip = [0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0, 198, 18, 0, 1, 10, 99, 0, 1];
    let tcp = [0x9c, 0x40, 0x1b, 0x58, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 4, 0, 0, 0, 0, 0];
    [ip, tcp].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_takes_its_packets_as_it_should() {
        for (name, stage) in ALL {
            let mut stages = Stages::default();
            assert!((0..200).all(|_| stage(&mut stages)), "{name}");
        }
    }
}
