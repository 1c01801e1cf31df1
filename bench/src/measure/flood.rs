//! Real users while somebody floods the ports that are knocked at.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Amount, all};
use crate::contender::{Contender, Gate, SEQUENCE};
use crate::error::{Error, Result};
use crate::generator::{Flood, Junk};
use crate::interrupt::Interrupt;
use crate::lab::USERS;
use crate::part::{Curve, Panel, Part, Table};
use crate::samples::{figure, median, percentile, whole};
use crate::user::{Users, Visit};

const TEXT: [&str; 3] = [
    "50 real users, each with an address, a home and (for Klopf) an invitation of their own, knock with the program's own client and then \
     connect with a new process, evenly over the time of the flood. *In* is who is connected within 5 s; *at once* who is with \
     the first SYN. The time is from the end of the client, which for `klopf` comes 10 ms after its packets, \
     to the connection.",
    "The flood comes from 4,194,304 addresses, each packet from another one, with right checksums: SYNs to the first port of the \
     sequence, SYNs to its three ports in turn, or random datagrams of 60 to 1,400 bytes (3,904 different ones) to the port of \
     packets. It is sent by one core, which also carries what the kernel does with each packet; *unthrottled* is as fast as that goes. \
     The host answers what it has to answer, to where nobody is.",
    "CPU, memory (PSS) and log are those of the program's processes together. The nft recipe has no process: what it costs is in the \
     packets a second that the core can still send. *Later* is the memory a minute after the flood.",
];
/// Packets a second; none: as many as there can be.
const PACES: [Option<u32>; 5] = [Some(0), Some(10_000), Some(50_000), Some(200_000), None];
/// A user who is not in by then is not.
const LIMIT: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(250);
const LATER: Duration = Duration::from_secs(60);

/// What is flooded.
#[derive(Clone, Copy, PartialEq)]
enum Aim {
    FirstPort,
    AllPorts,
    PacketPort,
}

/// What one flood has shown, or several of the same kind.
#[derive(Default)]
struct Samples {
    users: usize,
    visits: Vec<Visit>,
    /// Packets a second.
    pace: Vec<f64>,
    /// Seconds of CPU for each second.
    cpu: Vec<f64>,
    /// Nanoseconds of CPU for each packet.
    cost: Vec<f64>,
    /// Megabytes.
    peak: Vec<f64>,
    later: Vec<f64>,
    log: Vec<f64>,
}

pub(crate) fn measure(amount: &Amount, bin: &Path, interrupt: &Interrupt) -> Result<Part> {
    let mut part = Part::new("Flood", &TEXT);
    for aim in [Aim::FirstPort, Aim::AllPorts, Aim::PacketPort] {
        let fits = |contender: &Contender| contender.way.is_packet() == (aim == Aim::PacketPort);
        let contenders: Vec<Contender> = all(amount, bin).into_iter().filter(fits).collect();
        let mut samples: Vec<Vec<Samples>> =
            PACES.iter().map(|_| contenders.iter().map(|_| Samples::default()).collect()).collect();
        for round in 1..=amount.rounds {
            for (pace, samples) in PACES.iter().zip(&mut samples) {
                for (contender, samples) in contenders.iter().zip(samples) {
                    eprintln!(
                        "flood, {}, {}, round {round}/{}: {}",
                        aim.name(),
                        name(*pace),
                        amount.rounds,
                        contender.name
                    );
                    // A minute of waiting, once, and not where all is short.
                    let later = pace.is_none()
                        && round == amount.rounds
                        && !amount.small
                        && contender.name.starts_with("Klopf");
                    one(amount, (aim, *pace, later), contender, interrupt, samples)?;
                }
            }
        }
        report(&mut part, aim, &contenders, &samples);
    }
    Ok(part)
}

fn one(
    amount: &Amount,
    (aim, pace, later): (Aim, Option<u32>, bool),
    contender: &Contender,
    interrupt: &Interrupt,
    samples: &mut Samples,
) -> Result<()> {
    let gate = Gate::start(contender, interrupt)?;
    let users = gate.users(USERS)?;
    let before = (gate.usage()?.cpu(), gate.log_size());
    let time = Duration::from_secs(amount.seconds.into());
    let flood = Flood::start(gate.lab(), &aim.junk(contender), pace, u64::MAX, time)?;
    let over = Arc::new(AtomicBool::new(false));
    let (visits, peak) = thread::scope(|scope| {
        let told = Arc::clone(&over);
        let gate = &gate;
        let looking = scope.spawn(move || {
            let mut peak = 0.0_f64;
            while !told.load(Ordering::Relaxed) {
                peak = gate.usage().map_or(peak, |usage| usage.megabytes().max(peak));
                thread::sleep(LOOK_EVERY);
            }
            peak
        });
        let visits = come(&users, time, interrupt);
        over.store(true, Ordering::Relaxed);
        (visits, looking.join().unwrap_or_default())
    });
    let sent = flood.wait()?;
    let used = gate.usage()?.cpu().saturating_sub(before.0).as_secs_f64();
    let visits = visits?;
    samples.users += visits.len();
    samples.visits.extend(visits);
    samples.pace.push(sent.pace());
    samples.cpu.push(used / sent.seconds.max(1e-9));
    if sent.frames > 0 {
        samples.cost.push(used * 1e9 / sent.frames as f64);
    }
    samples.peak.push(peak);
    samples.log.push(gate.log_size().saturating_sub(before.1) as f64);
    if later {
        let begin = Instant::now();
        while begin.elapsed() < LATER {
            interrupt.check()?;
            thread::sleep(LOOK_EVERY);
        }
        samples.later.push(gate.usage()?.megabytes());
    }
    Ok(())
}

/// Has all users come, evenly over this time.
fn come(users: &Users, time: Duration, interrupt: &Interrupt) -> Result<Vec<Visit>> {
    let begin = Instant::now();
    thread::scope(|scope| {
        let mut under_way = Vec::new();
        for user in 0..USERS {
            interrupt.check()?;
            let due = begin + time.mul_f64((f64::from(user) + 0.5) / f64::from(USERS));
            thread::sleep(due.saturating_duration_since(Instant::now()));
            under_way.push(scope.spawn(move || users.visit(user, LIMIT)));
        }
        let visits =
            under_way.into_iter().map(|one| one.join().unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into())));
        visits.collect::<std::io::Result<Vec<Visit>>>().map_err(Error::io("visit"))
    })
}

impl Aim {
    const fn name(self) -> &'static str {
        match self {
            Self::FirstPort => "first port of the sequence",
            Self::AllPorts => "all ports of the sequence",
            Self::PacketPort => "port of packets",
        }
    }

    fn junk(self, contender: &Contender) -> Junk {
        match self {
            Self::FirstPort => Junk::Syns(SEQUENCE.into_iter().take(1).collect()),
            Self::AllPorts => Junk::Syns(SEQUENCE.to_vec()),
            Self::PacketPort => Junk::Datagrams(contender.way.port()),
        }
    }
}

impl Samples {
    /// How many were in, and how many of them with the first SYN.
    fn inside(&self) -> (usize, usize) {
        let inside = self.visits.iter().filter(|visit| matches!(visit, Visit::In(_))).count();
        (inside, self.visits.iter().filter(|visit| visit.at_once()).count())
    }

    /// Milliseconds.
    fn late(&self, percent: usize) -> Option<f64> {
        let late = self.visits.iter().filter_map(|visit| match visit {
            Visit::In(late) => Some(late.as_secs_f64() * 1e3),
            Visit::Out => None,
        });
        percentile(&late.collect::<Vec<_>>(), percent)
    }
}

fn report(part: &mut Part, aim: Aim, contenders: &[Contender], samples: &[Vec<Samples>]) {
    let head = [
        "packets/s",
        "",
        "in",
        "at once",
        "median, ms",
        "90 %",
        "99 %",
        "sent/s",
        "CPU, cores",
        "CPU, µs a packet",
        "peak, MB",
        "later, MB",
        "log, kB",
    ];
    let mut table = Table::new(head);
    let most = |values: &[f64]| values.iter().copied().reduce(f64::max);
    for (pace, samples) in PACES.iter().zip(samples) {
        for (contender, one) in contenders.iter().zip(samples) {
            let (inside, at_once) = one.inside();
            let process =
                |value: Option<f64>| if one.peak.iter().any(|peak| *peak > 0.0) { figure(value) } else { "-".into() };
            let cells = [
                contender.name.to_owned(),
                format!("{inside} of {}", one.users),
                at_once.to_string(),
                figure(one.late(50)),
                figure(one.late(90)),
                figure(one.late(99)),
                whole(median(&one.pace).unwrap_or_default()),
                process(median(&one.cpu)),
                process(median(&one.cost).map(|cost| cost / 1e3)),
                process(most(&one.peak)),
                figure(most(&one.later)),
                process(most(&one.log).map(|log| log / 1e3)),
            ];
            table.row(&name(*pace), cells);
        }
    }
    part.text.push(format!("Flooded is the {}:", aim.name()));
    part.tables.push(table);
    for (place, contender) in contenders.iter().enumerate() {
        let points = PACES.iter().zip(samples).filter_map(|(pace, samples)| {
            let one = samples.get(place)?;
            Some((name(*pace), one.inside().0 as f64 * 100.0 / one.users.max(1) as f64))
        });
        if aim != Aim::AllPorts {
            part.curves.push(Curve { panel: Panel::Flood, name: contender.name.to_owned(), points: points.collect() });
        }
        if let Some(one) = samples.last().and_then(|samples| samples.get(place))
            && contender.name.starts_with("Klopf")
        {
            targets(part, aim, one);
        }
    }
}

/// Of an unthrottled flood.
fn targets(part: &mut Part, aim: Aim, one: &Samples) {
    let what = |text: &str| format!("unthrottled, {}: {text}", aim.name());
    let most = |values: &[f64]| values.iter().copied().reduce(f64::max);
    let (inside, late) = (one.inside().0, one.late(99));
    let got = format!(
        "{inside} of {}, {} ms, at {}/s",
        one.users,
        figure(late),
        whole(median(&one.pace).unwrap_or_default())
    );
    let met = inside == one.users && late.is_some_and(|late| late <= 20.0);
    part.target(&what("users in, 99 %"), "all, ≤ 20 ms", got, met);
    let (peak, later) = (most(&one.peak), most(&one.later));
    let met = peak.is_some_and(|peak| peak <= 128.0) && later.is_some_and(|later| later <= 12.0);
    let got = format!("{} MB, {} MB", figure(peak), figure(later));
    part.target(&what("memory, and a minute later"), "≤ 128 MB, ≤ 12 MB", got, met);
    let log = most(&one.log);
    part.target(
        &what("log"),
        "≤ 10 kB",
        format!("{} kB", figure(log.map(|log| log / 1e3))),
        log.is_some_and(|log| log <= 10_000.0),
    );
}

fn name(pace: Option<u32>) -> String {
    match pace {
        Some(0) => "none".to_owned(),
        Some(pace) => whole(pace.into()),
        None => "unthrottled".to_owned(),
    }
}
