//! Does it take longer with more doors, keys, leases, or attempts in progress?

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use klopf_control::{Client, Reply, Request};

use super::Amount;
use crate::contender::fwknop::Fwknop;
use crate::contender::klopf::{Setup, others};
use crate::contender::{Contender, Gate, SEQUENCE, Way};
use crate::error::{Error, Result};
use crate::generator::{Flood, Junk};
use crate::interrupt::Interrupt;
use crate::part::{Part, Table};
use crate::samples::{figure, median, percentile, ratio};
use crate::sealer::Sealer;

const TEXT: [&str; 3] = [
    "Open time as above, and the CPU that a packet takes which opens nothing: a SYN to the first port of a sequence, each from a new \
     address, or for keys a random datagram of 60 to 1,400 bytes. There are 50,000 of them a second, few enough that none is lost. With many keys each knock is by another one, and the first packet of a key takes one X25519 more.",
    "Doors have a sequence and a guarded port each. Leases are of as many addresses, given by hand (`klopf grant`), a million of them in one round only. Attempts are first \
     hits of as many addresses, made within the minute that this door gives them.",
    "fwknopd, which tries one key after the other, has 800 datagrams of letters a second: it takes no more than a thousand, and sees of random bytes at once that \
     they are none of its packets.",
];
/// What there is one of, many, and very many of.
const DOORS: [u32; 3] = [1, 100, 10_000];
const KEYS: [u32; 3] = [1, 1000, 100_000];
const LEASES: [u32; 3] = [1, 10_000, 1_000_000];
const ATTEMPTS: [u32; 2] = [1, 1_000_000];
/// So many leases are given in the first round alone.
const ONCE: u32 = 1_000_000;
/// Keys of fwknopd.
const STANZAS: [u32; 2] = [1, 500];
/// Packets of junk a second, and for how long.
const PACE: u32 = 50_000;
const PEER_PACE: u32 = 800;
const JUNK_FOR: Duration = Duration::from_secs(2);
/// After the last of them, all have been looked at.
const SETTLED: Duration = Duration::from_millis(300);
/// A knock that has not opened by then never will.
const GIVE_UP: Duration = Duration::from_secs(2);
const MANY_ATTEMPTS_FOR: u32 = 60;
const PATIENCE: Duration = Duration::from_secs(60);
/// More than what it takes with one, at most.
const GROWTH: f64 = 1.5;

/// What there is many of.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Doors,
    Keys,
    Leases,
    Attempts,
    Stanzas,
}

struct Step {
    kind: Kind,
    count: u32,
    knocks: usize,
    /// Microseconds.
    opened: Vec<f64>,
    /// Nanoseconds of CPU for a packet.
    cost: Vec<f64>,
    /// Packets a second that could be sent.
    pace: Vec<f64>,
    /// Megabytes.
    memory: Vec<f64>,
    /// Why there is nothing more.
    fault: Option<String>,
}

pub(crate) fn measure(amount: &Amount, bin: &Path, interrupt: &Interrupt) -> Result<Part> {
    let counts: [(Kind, &[u32]); 5] = [
        (Kind::Doors, &DOORS),
        (Kind::Keys, &KEYS),
        (Kind::Leases, &LEASES),
        (Kind::Attempts, &ATTEMPTS),
        (Kind::Stanzas, &STANZAS),
    ];
    let few = |count: &&u32| !amount.small || **count <= 10_000;
    let mut steps: Vec<Step> = counts
        .iter()
        .flat_map(|(kind, counts)| counts.iter().filter(few).map(|count| Step::new(*kind, *count)))
        .collect();
    eprintln!("scale: making keys");
    let crowd = Sealer::new(
        steps.iter().filter(|step| step.kind == Kind::Keys).map(|step| step.count as usize).max().unwrap_or(1),
    );
    for round in 1..=amount.rounds {
        // To give a million leases takes minutes, so that is done once.
        let again =
            |step: &&mut Step| step.fault.is_none() && (round == 1 || step.kind != Kind::Leases || step.count < ONCE);
        for step in steps.iter_mut().filter(again) {
            eprintln!("scale, round {round}/{}: {} {}", amount.rounds, step.count, step.kind.name());
            match step.round(amount, bin, &crowd, interrupt) {
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(fault) => {
                    eprintln!("{fault}");
                    step.fault = fault.to_string().lines().next().map(str::to_owned);
                }
                Ok(()) => {}
            }
        }
    }
    Ok(part(&steps))
}

impl Step {
    fn new(kind: Kind, count: u32) -> Self {
        let [opened, cost, pace, memory] = [const { Vec::new() }; 4];
        Self { kind, count, knocks: 0, opened, cost, pace, memory, fault: None }
    }

    fn contender(&self, bin: &Path, crowd: &Sealer) -> Contender {
        let setup = match self.kind {
            Kind::Doors => Setup { doors: u16::try_from(self.count).unwrap_or(u16::MAX), ..Setup::SEQUENCE },
            Kind::Keys => Setup::sealed(crowd.first(self.count as usize)),
            Kind::Leases => Setup::SEQUENCE,
            Kind::Attempts => Setup { within: MANY_ATTEMPTS_FOR, ..Setup::SEQUENCE },
            Kind::Stanzas => {
                let way = Way::Fwknop(Fwknop { people: self.count as usize, socket: true });
                return Contender { name: "fwknopd", way };
            }
        };
        Contender { name: "klopfd", way: Way::Klopf(bin.to_owned(), setup) }
    }

    fn round(&mut self, amount: &Amount, bin: &Path, crowd: &Sealer, interrupt: &Interrupt) -> Result<()> {
        let contender = self.contender(bin, crowd);
        let mut gate = Gate::start(&contender, interrupt)?;
        gate.shut()?;
        match self.kind {
            Kind::Leases => give(&gate, self.count, interrupt)?,
            Kind::Attempts => begin(&gate, self.count)?,
            Kind::Doors | Kind::Keys | Kind::Stanzas => {}
        }
        for number in 0..amount.knocks {
            let (last, answered) = gate.knock(Duration::ZERO, GIVE_UP)?;
            self.knocks += 1;
            self.opened.extend(answered.map(|answered| (answered.sent - last).as_secs_f64() * 1e6));
            gate.shut_prober()?;
            thread::sleep(Duration::from_millis(5 + u64::from(number) * 17 % 31));
        }
        let pace = if self.kind == Kind::Stanzas { PEER_PACE } else { PACE };
        let before = gate.usage()?.cpu();
        let sent = Flood::start(gate.lab(), &self.junk(&contender), Some(pace), u64::MAX, JUNK_FOR)?.wait()?;
        thread::sleep(SETTLED);
        let usage = gate.usage()?;
        let used = usage.cpu().saturating_sub(before);
        self.cost.push(used.as_secs_f64() * 1e9 / sent.frames.max(1) as f64);
        self.pace.push(sent.pace());
        self.memory.push(usage.megabytes());
        Ok(())
    }

    fn junk(&self, contender: &Contender) -> Junk {
        match self.kind {
            Kind::Keys => Junk::Datagrams(contender.way.port()),
            Kind::Stanzas => Junk::Letters(contender.way.port()),
            Kind::Leases | Kind::Attempts => Junk::Syns(SEQUENCE.into_iter().take(1).collect()),
            Kind::Doors => {
                let last = u16::try_from(self.count - 1).unwrap_or(u16::MAX);
                let begins = (1..=last).step_by(usize::from(last / 60).max(1)).map(others).map(|[first, ..]| first);
                Junk::Syns(SEQUENCE.into_iter().take(1).chain(begins).collect())
            }
        }
    }
}

/// Gives leases to as many addresses.
fn give(gate: &Gate<'_>, count: u32, interrupt: &Interrupt) -> Result<()> {
    let socket: PathBuf = gate.lab().dir().join("run/control.sock");
    let begin = Instant::now();
    for number in 1..count {
        // 100.64.0.0/10, of no user and no flood.
        let address = Ipv4Addr::from(0x6440_0000 + number);
        let request = Request::Grant { door: "bench".into(), address: address.into(), for_ms: Some(3_600_000) };
        let replied = Client::ask(&socket, &request, PATIENCE).and_then(|mut client| client.reply(PATIENCE));
        match replied {
            Ok(Some(Reply::Done { .. })) => {}
            other => return Err(Error::Program(format!("klopf grant, the {number}th: {other:?}"))),
        }
        if number % 1000 == 0 {
            interrupt.check()?;
        }
    }
    eprintln!("       {count} leases in {:.1} s", begin.elapsed().as_secs_f64());
    Ok(())
}

/// First hits of as many addresses.
fn begin(gate: &Gate<'_>, count: u32) -> Result<()> {
    let junk = Junk::Syns(SEQUENCE.into_iter().take(1).collect());
    Flood::start(gate.lab(), &junk, Some(100_000), count.into(), PATIENCE)?.wait()?;
    thread::sleep(SETTLED);
    Ok(())
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Doors => "doors",
            Self::Keys => "keys",
            Self::Leases => "leases",
            Self::Attempts => "attempts in progress",
            Self::Stanzas => "keys of fwknopd",
        }
    }
}

fn part(steps: &[Step]) -> Part {
    let mut part = Part::new("Scale", &TEXT);
    let head = [
        "",
        "opened",
        "median, µs",
        "90 %",
        "99 %",
        "of that with one",
        "sent/s",
        "CPU, µs a packet",
        "of that with one",
        "MB",
    ];
    let mut table = Table::new(head);
    for step in steps {
        let one = steps.iter().find(|one| one.kind == step.kind);
        let first = |values: &dyn Fn(&Step) -> Option<f64>| one.and_then(values);
        let (open, cost) = (|step: &Step| median(&step.opened), |step: &Step| median(&step.cost));
        let label = format!("{} {}", crate::samples::whole(step.count.into()), step.kind.name());
        if let Some(fault) = &step.fault {
            table.row(&label, [fault.clone()]);
            continue;
        }
        let cells = [
            format!("{} of {}", step.opened.len(), step.knocks),
            figure(open(step)),
            figure(percentile(&step.opened, 90)),
            figure(percentile(&step.opened, 99)),
            ratio(first(&open), open(step)),
            figure(median(&step.pace)),
            figure(cost(step).map(|cost| cost / 1e3)),
            ratio(first(&cost), cost(step)),
            figure(median(&step.memory)),
        ];
        table.row(&label, cells);
    }
    part.tables.push(table);
    for kind in [Kind::Doors, Kind::Keys, Kind::Leases, Kind::Attempts] {
        let all: Vec<&Step> = steps.iter().filter(|step| step.kind == kind).collect();
        let (Some(one), Some(most)) = (all.first(), all.last()) else { continue };
        let growth = |values: &dyn Fn(&Step) -> &Vec<f64>| Some(median(values(most))? / median(values(one))?);
        let (open, cost) = (growth(&|step| &step.opened), growth(&|step| &step.cost));
        let within = |growth: Option<f64>| growth.is_some_and(|growth| growth <= GROWTH);
        let got = most.fault.clone().unwrap_or_else(|| format!("{} and {} times", figure(open), figure(cost)));
        let met = most.fault.is_none() && within(open) && within(cost);
        let count = crate::samples::whole(most.count.into());
        part.target(&format!("{count} {} against 1: open time and CPU a packet", kind.name()), "≤ 1.5 times", got, met);
    }
    if let Some(one) = steps.iter().find(|step| step.kind == Kind::Keys) {
        let cost = median(&one.cost).map(|cost| cost / 1e3);
        let met = cost.is_some_and(|cost| cost <= 0.5);
        part.target("CPU for a datagram of junk, 50,000 a second", "≤ 0.5 µs", format!("{} µs", figure(cost)), met);
    }
    part
}
