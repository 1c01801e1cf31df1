//! The code alone, in this process: what the watch does with a datagram, without the daemon round it.

use std::collections::BTreeSet;
use std::fs;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use klopf_engine::{
    Asks, Claim, Code, Door, DoorId, Effect, Engine, Form, Key, KeyRef, Limits, MayAsk, Millis, Source, Wall, Ways,
};
use klopf_spa::{NotOpened, Opener, Scratch, Shape};

use super::sealer::{Chance, unix_ms};
use super::{CROWDS, NAMES, Options, Sealer, grows};
use crate::Measured;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::report::{Cell, Row, Table, Target, percentile};

/// Bytes of junk: none of a packet's lengths, the shortest, a middle one, the longest, none again.
const LENGTHS: [usize; 5] = [64, 288, 512, 1200, 1400];
/// Datagrams between two looks at the clock, each with other bytes.
const AT_ONCE: usize = 256;
/// Looks at the clock in a round.
const LOOKS: usize = 20;
/// Valid packets a round.
const VALID: usize = 200;
/// Milliseconds between two packets, so that no budget is used up.
const APART: u64 = 5;
/// What the page of the protocol promises for a packet of a stranger.
const JUNK_TARGET_NS: f64 = 1000.0;

/// All that judges packets, with so many keys.
struct Judge {
    opener: Opener,
    engine: Engine,
    scratch: Scratch,
    sealer: Sealer,
    now: u64,
    effects: Vec<Effect>,
    sample: Sample,
}

#[derive(Default)]
struct Sample {
    people: usize,
    /// Bytes of memory.
    memory: usize,
    /// Nanoseconds for a datagram of junk, for each of the lengths.
    junk: [Vec<f64>; LENGTHS.len()],
    /// The same for a packet by somebody who has the server's public key and is not known.
    unknown: Vec<f64>,
    /// Microseconds for a valid packet.
    valid: Vec<f64>,
}

pub(super) fn measure(options: &Options, sealer: &Sealer, interrupt: &Interrupt) -> Result<Measured> {
    let mut judges: Vec<Judge> = CROWDS.iter().map(|people| Judge::new(sealer.first(*people))).collect();
    let mut counter = 0;
    for round in 1..=options.rounds {
        eprintln!("in this process, round {round}/{}", options.rounds);
        for judge in &mut judges {
            interrupt.check()?;
            judge.junk()?;
            judge.unknown(sealer, counter)?;
            judge.valid(&mut counter)?;
        }
    }
    let row = |label, cell: &dyn Fn(&Sample) -> Cell| {
        let cells = judges.iter().map(|judge| cell(&judge.sample)).collect();
        Row { label, cells }
    };
    let junk = |place: usize| move |sample: &Sample| Cell::Whole(sample.junk_ns(place));
    let rows = vec![
        row("junk of 64 bytes, too short, ns", &junk(0)),
        row("junk of 288 bytes, ns", &junk(1)),
        row("junk of 512 bytes, ns", &junk(2)),
        row("junk of 1,200 bytes, ns", &junk(3)),
        row("junk of 1,400 bytes, too long, ns", &junk(4)),
        row("invited, but of no known key, ns", &|sample| Cell::Whole(percentile(&sample.unknown, 50))),
        row("valid, opened and judged, median, µs", &|sample| Cell::Figure(percentile(&sample.valid, 50))),
        row("valid, opened and judged, 90 %, µs", &|sample| Cell::Figure(percentile(&sample.valid, 90))),
        row("memory of all keys, kB", &|sample| Cell::Whole(sample.memory as f64 / 1000.0)),
        row("memory, bytes a key", &|sample| Cell::Whole(sample.memory as f64 / sample.people as f64)),
    ];
    let targets = targets(judges.iter().map(|judge| &judge.sample));
    let title = "a packet in this process, with so many keys";
    Ok(Measured { tables: vec![Table { title, names: NAMES.to_vec(), rows }], targets, notes: Vec::new() })
}

fn targets<'a>(samples: impl Iterator<Item = &'a Sample>) -> Vec<Target> {
    let samples: Vec<&Sample> = samples.collect();
    let worst = samples.iter().map(|sample| sample.junk_ns(3)).fold(0.0, f64::max);
    let junk = samples.iter().map(|sample| sample.junk_ns(2)).collect::<Vec<_>>();
    let valid = samples.iter().map(|sample| percentile(&sample.valid, 50)).collect::<Vec<_>>();
    let text = format!("the longest junk takes this process less than {JUNK_TARGET_NS} ns: {worst:.0} ns");
    vec![
        Target { text, met: worst > 0.0 && worst < JUNK_TARGET_NS },
        grows("in this process, junk", &junk),
        grows("in this process, a valid packet", &valid),
    ]
}

impl Sample {
    /// The median for one of the lengths.
    fn junk_ns(&self, place: usize) -> f64 {
        self.junk.get(place).map_or(0.0, |samples| percentile(samples, 50))
    }
}

impl Judge {
    fn new(sealer: Sealer) -> Self {
        let mut opener = Opener::new(sealer.server(), Shape::None);
        let mut engine = Engine::new(Limits::default(), [7; 16]);
        engine.reload(vec![door()]);
        let before = resident();
        opener.people(sealer.keys());
        engine.reload_keys(sealer.keys().map(|(number, public, _)| key(number, public.id().0)).collect());
        let memory = resident().saturating_sub(before);
        let sample = Sample { people: sealer.people, memory, ..Sample::default() };
        let (scratch, effects) = (Scratch::default(), Vec::new());
        Self { opener, engine, scratch, sealer, now: 1_000_000, effects, sample }
    }

    fn junk(&mut self) -> Result<()> {
        for (place, length) in LENGTHS.into_iter().enumerate() {
            let mut chance = Chance(unix_ms());
            let mut all = vec![vec![0; length]; AT_ONCE];
            all.iter_mut().for_each(|datagram| chance.fill(datagram));
            for _ in 0..LOOKS {
                let ns = self.each(&all, |opener, datagram, scratch| {
                    opener.check(datagram, scratch).is_err_and(|why| why == NotOpened::NoPacket)
                })?;
                self.sample.junk.get_mut(place).into_iter().for_each(|samples| samples.push(ns));
            }
        }
        Ok(())
    }

    fn unknown(&mut self, all: &Sealer, counter: u64) -> Result<()> {
        let packets: Vec<_> = (counter..).take(AT_ONCE).map(|next| all.packet_of(all.people - 1, next)).collect();
        for _ in 0..LOOKS {
            let ns = self.each(&packets, |opener, datagram, scratch| {
                opener.check(datagram, scratch).is_ok_and(|packet| opener.number(packet.id).is_none())
            })?;
            self.sample.unknown.push(ns);
        }
        Ok(())
    }

    /// Nanoseconds for a datagram; an error if one is not taken for what it is.
    fn each(&mut self, all: &[Vec<u8>], right: impl Fn(&Opener, &[u8], &mut Scratch) -> bool) -> Result<f64> {
        let begin = Instant::now();
        let count = all.iter().filter(|datagram| right(&self.opener, black_box(datagram), &mut self.scratch)).count();
        let taken = begin.elapsed();
        if count != all.len() {
            return Err(Error::Program("a packet that should not open was taken for another".into()));
        }
        Ok(taken.as_secs_f64() * 1e9 / count as f64)
    }

    fn valid(&mut self, counter: &mut u64) -> Result<()> {
        for _ in 0..VALID {
            *counter += 1;
            self.now += APART;
            let packet = self.sealer.packet(*counter);
            let origin =
                IpAddr::V4(Ipv4Addr::from(0xc612_0000 | u32::try_from(*counter & 0x1_ffff).unwrap_or_default()));
            let begin = Instant::now();
            let known = self.judge(black_box(&packet), origin);
            let taken = begin.elapsed();
            if known.is_none() || !matches!(self.effects.as_slice(), [Effect::Grant(_)]) {
                return Err(Error::Program(format!("a valid packet is not granted: {:?}", self.effects)));
            }
            self.effects.clear();
            self.sample.valid.push(taken.as_secs_f64() * 1e6);
        }
        Ok(())
    }

    /// As the watch does it.
    fn judge(&mut self, datagram: &[u8], origin: IpAddr) -> Option<()> {
        let packet = self.opener.check(datagram, &mut self.scratch).ok()?;
        self.opener.number(packet.id)?;
        self.engine.admit(Millis(self.now), origin, packet.id.0, packet.nonce).ok()?;
        let (number, knock) = self.opener.open(&packet).ok()?;
        let wall = Wall { unix_ms: knock.time, minute_of_week: 0 };
        let claim = Claim {
            key: KeyRef(number),
            door: (&*knock.door == "bench").then_some(DOOR),
            source: Source::Packet(origin),
            form: Form::Packet,
            address: knock.allow.unwrap_or(origin),
            time: knock.time,
            counter: knock.counter,
            device: knock.device,
            hold: knock.hold,
            asks: Asks::default(),
            code: Code::Absent,
        };
        self.engine.observe_claim(Millis(self.now), wall, &claim, &mut self.effects);
        Some(())
    }
}

const DOOR: DoorId = DoorId(1);

fn door() -> Door {
    let (sequences, flags, target) = (Vec::new(), Default::default(), None);
    let (ways, may_ask) = (Ways::default(), MayAsk::default());
    Door {
        id: DOOR,
        sequences,
        one_time: false,
        flags,
        target,
        within: 1,
        strict: false,
        second_factor: false,
        ways,
        may_ask,
    }
}

fn key(number: u32, id: [u8; 8]) -> Key {
    Key { doors: BTreeSet::from([DOOR]), ..Key::new(KeyRef(number), id) }
}

/// Bytes of memory that this process has now (proc_pid_statm(5)).
fn resident() -> usize {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0_usize);
    pages * 4096
}
