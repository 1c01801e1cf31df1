//! The daemons, each in a network of its own: klopfd with few and with very many keys, and fwknopd.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use super::sealer::Chance;
use super::{CROWDS, NAMES, Options, Peer, Sealer, grows};
use crate::Measured;
use crate::contender::{Contender, Gate, Way};
use crate::error::{Error, Result};
use crate::flood::spoofed;
use crate::interrupt::Interrupt;
use crate::report::{Cell, Row, Table, Target, percentile};

/// People with a stanza each in fwknopd's file: it tries their keys one after the other, so more are a matter of patience.
const STANZAS: [usize; 2] = [1, 1000];
const PEER_NAMES: [&str; 4] = ["klopfd, 1", "fwknopd, 1", "klopfd, 1,000", "fwknopd, 1,000"];
/// Datagrams a second for klopfd, sent at once in each of a hundred parts of it.
const PACE: u32 = 20_000;
/// Parts of a flood, between which the others have theirs, so that what else goes on meets all alike.
const PIECES: u32 = 5;
/// The pace for fwknopd, which takes no more than a thousand a second, and so many datagrams in all.
const PEER_PACE: u32 = 800;
const PEER_JUNK: u32 = 4000;
/// Bytes of junk: of a length that both take for possible.
const JUNK: usize = 512;
/// After the last of them, all have been looked at.
const SETTLED: Duration = Duration::from_millis(300);
/// A knock that has not opened by then never will.
const GIVE_UP: Duration = Duration::from_secs(1);
/// After a reload.
const RELOAD_LIMIT: Duration = Duration::from_secs(60);
/// After a knock, of which one must open when a reload is through: to look whether it has, and to leave the processor alone.
const RELOAD_LOOK: Duration = Duration::from_millis(2);
const RELOAD_PAUSE: Duration = Duration::from_millis(20);

/// A daemon at work.
struct Subject<'a> {
    gate: Gate<'a>,
    sealer: Option<Sealer>,
    /// The last knock has opened.
    open: bool,
    sample: Sample,
}

#[derive(Default)]
struct Sample {
    check_s: Vec<f64>,
    ready_s: f64,
    reload_s: f64,
    /// Microseconds of CPU for a datagram of random bytes, and one of text.
    noise_us: Vec<f64>,
    text_us: Vec<f64>,
    /// Datagrams of junk that were sent, and those it says it has seen.
    junk: (usize, usize),
    knocks: usize,
    /// Microseconds after a valid packet was sent.
    opened: Vec<f64>,
    /// Microseconds for a write like that of a mark, which klopfd waits for before it opens.
    disk: Vec<f64>,
    /// Kilobytes.
    memory: u64,
}

pub(super) fn measure(options: &Options, bin: &Path, sealer: &Sealer, interrupt: &Interrupt) -> Result<Measured> {
    let mut ours = Vec::new();
    for people in CROWDS {
        eprintln!("klopfd with {people} keys: check, start, reload");
        ours.push(Subject::klopfd(bin, sealer, people, interrupt)?);
    }
    let version = Peer::version();
    let mut theirs = Vec::new();
    if version.is_some() {
        for people in STANZAS {
            eprintln!("fwknopd with {people} keys: start");
            theirs.push(Subject::fwknopd(people, interrupt)?);
        }
    }
    for round in 1..=options.rounds {
        eprintln!("junk and valid packets, round {round}/{}", options.rounds);
        for _ in 0..PIECES {
            let count = options.junk / u32::from(options.rounds) / PIECES;
            ours.iter_mut().try_for_each(|subject| subject.flood(count, PACE, bin, interrupt))?;
        }
        let count = PEER_JUNK / u32::from(options.rounds);
        theirs.iter_mut().try_for_each(|subject| subject.flood(count, PEER_PACE, bin, interrupt))?;
        ours.iter_mut().chain(&mut theirs).try_for_each(|subject| subject.knock(options.knocks))?;
    }
    for subject in ours.iter_mut().chain(&mut theirs) {
        subject.sample.memory = subject.gate.usage()?.memory().pss;
    }
    let (ours, theirs): (Vec<Sample>, Vec<Sample>) =
        (ours.into_iter().map(|one| one.sample).collect(), theirs.into_iter().map(|one| one.sample).collect());
    let mut tables = vec![Table { title: "klopfd, with so many keys", names: NAMES.to_vec(), rows: rows(&ours) }];
    let (mut targets, mut said) = (targets(&ours), Vec::new());
    match version {
        Some(version) => {
            println!("fwknopd: {version} ({}), as it is installed, but for its keys", Peer::DAEMON);
            println!("         It looks at its packets ten times a second, and at no more than a thousand in one.\n");
            tables.push(beside(&ours, &theirs));
            targets.extend(against(&ours, &theirs));
            said = notes(&ours, &theirs);
        }
        None => eprintln!("note: fwknopd or fwknop is not there, so Klopf is measured without it"),
    }
    Ok(Measured { tables, targets, notes: said })
}

impl<'a> Subject<'a> {
    /// Checks, starts, and reloads with one key more.
    fn klopfd(bin: &Path, sealer: &Sealer, people: usize, interrupt: &'a Interrupt) -> Result<Self> {
        // The last of them comes in with the reload; where there is only one, another.
        let first = people.max(2) - 1;
        let (own, name) = (sealer.first(first), "klopfd");
        let contender = Contender { name, way: Way::Sealed(bin.to_owned(), own.clone()) };
        let mut gate = Gate::start(&contender, interrupt)?;
        let mut sample = Sample { ready_s: gate.ready.unwrap_or_default().as_secs_f64(), ..Sample::default() };
        for _ in 0..3 {
            let begin = Instant::now();
            let config = gate.lab().dir().join("klopf.toml").display().to_string();
            gate.lab().run_on_server(&[
                bin.join("klopfd").display().to_string(),
                "--check".into(),
                "--config".into(),
                config,
            ])?;
            sample.check_s.push(begin.elapsed().as_secs_f64());
        }
        gate.shut()?;
        sealer.write_key(&gate.lab().dir().join("keys.d"), first)?;
        let begin = Instant::now();
        gate.reload()?;
        let newcomer = |number| sealer.packet_of(first, number);
        let mut number = 1_000_000;
        while gate.knock_with(&newcomer(number), RELOAD_LOOK)?.1.is_none() {
            number += 1;
            interrupt.check()?;
            thread::sleep(RELOAD_PAUSE);
            if begin.elapsed() > RELOAD_LIMIT {
                return Err(Error::Program("a key that was added opens nothing".into()));
            }
        }
        sample.reload_s = begin.elapsed().as_secs_f64();
        Ok(Self { gate, sealer: Some(own), open: true, sample })
    }

    fn fwknopd(people: usize, interrupt: &'a Interrupt) -> Result<Self> {
        let contender = Contender { name: "fwknopd", way: Way::Peer(Peer { people }) };
        Ok(Self { gate: Gate::start(&contender, interrupt)?, sealer: None, open: true, sample: Sample::default() })
    }

    /// Two floods: of random bytes, and of what looks like a packet of fwknopd's until it is opened.
    fn flood(&mut self, count: u32, pace: u32, bin: &Path, interrupt: &Interrupt) -> Result<()> {
        let before = self.refused(bin)?;
        let noise = self.flood_of(count, pace, interrupt, |_| ())?;
        let text = self.flood_of(count, pace, interrupt, |datagram| {
            datagram.iter_mut().for_each(|byte| *byte = b'a' + *byte % 26);
        })?;
        self.sample.noise_us.push(noise);
        self.sample.text_us.push(text);
        self.sample.junk.0 += self.refused(bin)?.saturating_sub(before);
        self.sample.junk.1 += usize::try_from(count).unwrap_or_default() * 2;
        Ok(())
    }

    /// Microseconds of CPU for each of so many datagrams.
    fn flood_of(&self, count: u32, pace: u32, interrupt: &Interrupt, make: impl Fn(&mut [u8])) -> Result<f64> {
        let mut chance = Chance(u64::from(count));
        let before = self.gate.usage()?.running_time();
        let begin = Instant::now();
        for number in 0..count {
            let mut datagram = [0; JUNK];
            chance.fill(&mut datagram);
            make(&mut datagram);
            self.gate.datagram(spoofed(number), &datagram)?;
            if number % (pace / 100) == 0 {
                interrupt.check()?;
                let due = begin + Duration::from_secs_f64(f64::from(number) / f64::from(pace));
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        }
        thread::sleep(SETTLED);
        let used = self.gate.usage()?.running_time().saturating_sub(before);
        Ok(used.as_secs_f64() * 1e6 / f64::from(count.max(1)))
    }

    /// How many datagrams klopfd has refused as no packets; 0 for another program.
    fn refused(&self, bin: &Path) -> Result<usize> {
        if self.sealer.is_none() {
            return Ok(0);
        }
        let config = self.gate.lab().dir().join("klopf.toml");
        let mut status = self.gate.lab().on_server(&bin.join("klopf"));
        let said = status.args(["status", "--json", "--config"]).arg(config).stdin(Stdio::null()).output();
        let said = said.map_err(Error::io("run klopf status"))?.stdout;
        let text = String::from_utf8_lossy(&said);
        let behind = text.split_once("\"no-packet\"").map_or("", |(_, behind)| behind);
        let digits: String =
            behind.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
        digits.parse().map_err(|_| Error::Program(format!("klopf status does not count: {text}")))
    }

    fn knock(&mut self, knocks: u16) -> Result<()> {
        for number in 0..knocks {
            if self.open {
                self.gate.shut()?;
            }
            // A program that looks at its packets by a timer must be met at any point of its period, so the pause varies.
            thread::sleep(Duration::from_millis(20 + u64::from(number) * 17 % 101));
            let (sent, answered) = self.gate.knock(GIVE_UP)?;
            self.open = answered.is_some();
            self.sample.knocks += 1;
            self.sample.opened.extend(answered.map(|answered| (answered.sent - sent).as_secs_f64() * 1e6));
            self.sample.disk.push(write_to_disk(self.gate.lab().dir())?);
        }
        Ok(())
    }
}

/// Microseconds to write as much as a mark has, and to have it on the disk.
fn write_to_disk(dir: &Path) -> Result<f64> {
    let doing = || Error::io("write to the disk");
    let mut file = OpenOptions::new().append(true).create(true).open(dir.join("written")).map_err(doing())?;
    let begin = Instant::now();
    file.write_all(&[7; 64]).and_then(|()| file.sync_data()).map_err(doing())?;
    Ok(begin.elapsed().as_secs_f64() * 1e6)
}

impl Sample {
    fn median(&self) -> f64 {
        percentile(&self.opened, 50)
    }

    fn noise(&self) -> f64 {
        percentile(&self.noise_us, 50)
    }

    fn text(&self) -> f64 {
        percentile(&self.text_us, 50)
    }
}

fn row(label: &'static str, all: &[&Sample], cell: impl Fn(&Sample) -> Cell) -> Row {
    Row { label, cells: all.iter().map(|sample| cell(sample)).collect() }
}

fn rows(ours: &[Sample]) -> Vec<Row> {
    let all: Vec<&Sample> = ours.iter().collect();
    let least = ours.first().map_or(0, |sample| sample.memory);
    let mut rows = vec![
        row("klopfd --check, median of 3, s", &all, |sample| Cell::Figure(percentile(&sample.check_s, 50))),
        row("start until it is ready, s", &all, |sample| Cell::Figure(sample.ready_s)),
        row("reload until a new key opens, s", &all, |sample| Cell::Figure(sample.reload_s)),
        row("CPU for a datagram of junk, median, µs", &all, |sample| Cell::Figure(sample.noise())),
        row("junk that was seen", &all, |sample| Cell::Of(sample.junk.0, sample.junk.1)),
        row("valid packets that opened", &all, |sample| Cell::Of(sample.opened.len(), sample.knocks)),
        row("until the first answered probe, median, µs", &all, |sample| Cell::Whole(sample.median())),
        row("the same, 90 %, µs", &all, |sample| Cell::Whole(percentile(&sample.opened, 90))),
        row("a write to the same disk, median, µs", &all, |sample| Cell::Whole(percentile(&sample.disk, 50))),
        row("memory of both processes, MB (PSS)", &all, |sample| Cell::Figure(sample.memory as f64 / 1000.0)),
    ];
    let more = ours.iter().zip(CROWDS).map(|(sample, people)| match people {
        0 | 1 => Cell::Missing,
        _ => Cell::Whole(sample.memory.saturating_sub(least) as f64 * 1024.0 / people as f64),
    });
    rows.push(Row { label: "the same, bytes for each key more", cells: more.collect() });
    rows
}

fn beside(ours: &[Sample], theirs: &[Sample]) -> Table {
    let all: Vec<&Sample> = ours.iter().zip(theirs).flat_map(|(own, other)| [own, other]).collect();
    let rows = vec![
        row("CPU for a datagram of random bytes, median, µs", &all, |sample| Cell::Figure(sample.noise())),
        row("CPU for a datagram of text, median, µs", &all, |sample| Cell::Figure(sample.text())),
        row("valid packets that opened", &all, |sample| Cell::Of(sample.opened.len(), sample.knocks)),
        row("until the first answered probe, median, µs", &all, |sample| Cell::Whole(sample.median())),
        row("the same, 90 %, µs", &all, |sample| Cell::Whole(percentile(&sample.opened, 90))),
        row("memory, MB (PSS)", &all, |sample| Cell::Figure(sample.memory as f64 / 1000.0)),
    ];
    Table { title: "klopfd and fwknopd, with so many keys", names: PEER_NAMES.to_vec(), rows }
}

fn targets(ours: &[Sample]) -> Vec<Target> {
    let of = |value: &dyn Fn(&Sample) -> f64| ours.iter().map(value).collect::<Vec<_>>();
    let (seen, sent) = ours.iter().fold((0, 0), |sum, one| (sum.0 + one.junk.0, sum.1 + one.junk.1));
    let opened: usize = ours.iter().map(|sample| sample.opened.len()).sum();
    let knocks: usize = ours.iter().map(|sample| sample.knocks).sum();
    vec![
        grows("klopfd, CPU for junk", &of(&Sample::noise)),
        grows("klopfd, valid packet to answered probe", &of(&Sample::median)),
        Target { text: format!("every valid packet opens: {opened} of {knocks}"), met: opened == knocks },
        Target { text: format!("no junk is lost, all is counted: {seen} of {sent}"), met: seen == sent },
    ]
}

fn against(ours: &[Sample], theirs: &[Sample]) -> Vec<Target> {
    let less = |what: &str, value: &dyn Fn(&Sample) -> f64| {
        let met =
            theirs.len() == STANZAS.len() && ours.iter().zip(theirs).all(|(own, other)| value(own) < value(other));
        Target { text: format!("{what} than fwknopd: {}", in_words(ours, theirs, value)), met }
    };
    vec![less("less CPU for junk of text, µs,", &Sample::text), less("opens sooner, µs,", &Sample::median)]
}

/// What is no target, and is not to be passed over.
fn notes(ours: &[Sample], theirs: &[Sample]) -> Vec<String> {
    let figures = in_words(ours, theirs, &Sample::noise);
    vec![
        format!(
            "of random bytes fwknopd sees at once that they are no text, and takes many at a time. CPU, µs: {figures}"
        ),
        format!(
            "of the {:.0} µs until a probe is answered a write to this disk takes {:.0}: no packet opens again after a crash",
            percentile(&ours.iter().map(Sample::median).collect::<Vec<_>>(), 50),
            percentile(&ours.iter().flat_map(|sample| sample.disk.iter().copied()).collect::<Vec<_>>(), 50),
        ),
    ]
}

fn in_words(ours: &[Sample], theirs: &[Sample], value: &dyn Fn(&Sample) -> f64) -> String {
    let pairs = ours.iter().zip(theirs).zip(STANZAS);
    let text = pairs.map(|((own, other), people)| {
        let keys = if people == 1 { "key" } else { "keys" };
        format!("{:.1} and {:.1} with {people} {keys}", value(own), value(other))
    });
    text.collect::<Vec<_>>().join(", ")
}
