//! First knocks from very many addresses, and a real knock among them.

use std::iter;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use crate::Measured;
use crate::daemon::{Daemon, Program};
use crate::error::Result;
use crate::interrupt::Interrupt;
use crate::lab::CLIENT;
use crate::report::{Cell, Row, Table, Target, percentile};
use crate::usage::Memory;

const CPU_TARGET_S: f64 = 2.0;
const MEMORY_TARGET_MB: f64 = 40.0;
/// Frames sent at once. Few enough for the buffers of any program, so that each takes in every knock.
const BATCH: u32 = 2000;
/// A program that has used no CPU for so long has digested what was sent.
const QUIET: Duration = Duration::from_millis(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// For the real knocks, once the flood is over.
const OPEN_LIMIT: Duration = Duration::from_secs(5);
const LATER_CLIENT: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 3);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Spoofed first knocks
    #[arg(long, default_value_t = 120_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    knocks: u32,
    /// Spoofed first knocks for the other program, when it shall get fewer
    #[arg(long, value_name = "KNOCKS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    peer_knocks: Option<u32>,
    /// Frames a second, whether or not a program keeps up [default: as fast as it digests them, so that none is lost]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    rate: Option<u32>,
    /// The door's seq_timeout in seconds; the default lets no attempt expire before the slower program is through
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seq_timeout: u32,
    /// Seconds after which a program gets no more of the flood
    #[arg(long, default_value_t = 240, value_parser = clap::value_parser!(u32).range(1..=3600))]
    limit: u32,
    /// Rounds, each with both programs in turn; the table shows medians
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
}

/// One round of one program.
#[derive(Default)]
struct Sample {
    sent: u32,
    cpu_s: f64,
    /// From the first frame to the last use of CPU, without the pauses that wait for the program to be quiet.
    digest_s: f64,
    memory: Memory,
    log: u64,
    opened_among: bool,
    opened_after: bool,
}

pub(crate) fn measure(options: &Options, programs: &[Program], interrupt: &Interrupt) -> Result<Measured> {
    let mut all: Vec<Vec<Sample>> = programs.iter().map(|_| Vec::new()).collect();
    for round in 1..=options.rounds {
        let knocks = iter::once(options.knocks).chain(iter::repeat(options.peer_knocks.unwrap_or(options.knocks)));
        for ((program, samples), knocks) in programs.iter().zip(&mut all).zip(knocks) {
            eprintln!("round {round}/{}: {}, {knocks} knocks", options.rounds, program.name);
            let daemon = Daemon::start(program, options.seq_timeout, interrupt)?;
            samples.push(Flood { options, interrupt, daemon, sample: Sample::default() }.run(knocks)?);
        }
    }
    let targets = all.first().map(|ours| targets(ours)).unwrap_or_default();
    let names = programs.iter().map(|program| program.name).collect();
    let tables = vec![Table { title: "a flood of first knocks", names, rows: rows(&all) }];
    Ok(Measured { tables, targets, notes: Vec::new() })
}

struct Flood<'a> {
    options: &'a Options,
    interrupt: &'a Interrupt,
    daemon: Daemon<'a>,
    sample: Sample,
}

impl Flood<'_> {
    fn run(mut self, knocks: u32) -> Result<Sample> {
        let begin = Instant::now();
        let limit = Duration::from_secs(self.options.limit.into());
        // At a fixed rate, about a millisecond's worth at once.
        let batch = self.options.rate.map_or(BATCH, |rate| (rate / 1000).clamp(1, BATCH));
        let middle = knocks / 2;
        while self.sample.sent < knocks && begin.elapsed() < limit {
            if self.sample.sent == middle {
                self.daemon.hit(CLIENT, 0)?;
            }
            let stop = if self.sample.sent < middle { middle } else { knocks };
            self.send(batch.min(stop - self.sample.sent))?;
            if let Some(rate) = self.options.rate {
                let due = begin + Duration::from_secs_f64(f64::from(self.sample.sent) / f64::from(rate));
                thread::sleep(due.saturating_duration_since(Instant::now()));
            } else {
                self.settle()?;
            }
        }
        if self.options.rate.is_some() {
            self.sample.digest_s = begin.elapsed().as_secs_f64();
        }
        let whole = self.sample.sent == knocks;
        if whole {
            self.daemon.hit(CLIENT, 1)?;
            self.daemon.hit(CLIENT, 2)?;
        }
        self.settle()?;
        // A program that was given up may have frames left for minutes; it is not waited for.
        self.sample.opened_among = whole && self.daemon.opened(CLIENT, OPEN_LIMIT)?.is_some();
        self.daemon.knock(LATER_CLIENT)?;
        self.sample.opened_after = self.daemon.opened(LATER_CLIENT, OPEN_LIMIT)?.is_some();
        self.sample.cpu_s = self.daemon.usage()?.cpu().as_secs_f64();
        self.sample.log = self.daemon.log_size();
        Ok(self.sample)
    }

    fn send(&mut self, count: u32) -> Result<()> {
        self.interrupt.check()?;
        let begin = Instant::now();
        for number in self.sample.sent..self.sample.sent + count {
            self.daemon.hit(spoofed(number), 0)?;
        }
        self.sample.sent += count;
        self.sample.digest_s += begin.elapsed().as_secs_f64();
        Ok(())
    }

    /// Waits until the program is quiet, and looks at its memory then.
    fn settle(&mut self) -> Result<()> {
        let begin = Instant::now();
        let limit = Duration::from_secs(self.options.limit.into());
        let mut busy_until = begin;
        let mut last = self.daemon.usage()?;
        while busy_until.elapsed() < QUIET && begin.elapsed() < limit {
            self.interrupt.check()?;
            thread::sleep(LOOK_EVERY);
            let now = self.daemon.usage()?;
            if now.running || now.cpu() != last.cpu() {
                busy_until = Instant::now();
            }
            last = now;
        }
        self.sample.digest_s += (busy_until - begin).as_secs_f64();
        self.sample.memory = self.sample.memory.max(last.memory());
        Ok(())
    }
}

/// Addresses of 172.16.0.0/12, each once, in no order that a table could profit from.
pub(crate) fn spoofed(number: u32) -> Ipv4Addr {
    // An odd factor permutes the numbers below a power of two.
    Ipv4Addr::from(0xac10_0000 | (number.wrapping_mul(0x9_e3b1) & 0xf_ffff))
}

fn rows(all: &[Vec<Sample>]) -> Vec<Row> {
    let row = |label, cell: &dyn Fn(&[Sample]) -> Cell| Row { label, cells: all.iter().map(|one| cell(one)).collect() };
    let median = |label, value: &dyn Fn(&Sample) -> f64| {
        row(label, &|one| Cell::Figure(percentile(&one.iter().map(value).collect::<Vec<_>>(), 50)))
    };
    let opened = |label, which: &dyn Fn(&&Sample) -> bool| {
        row(label, &|one| Cell::Of(one.iter().filter(which).count(), one.len()))
    };
    vec![
        row("first knocks sent", &|one| Cell::Count(one.iter().map(|sample| sample.sent).min().unwrap_or(0))),
        median("CPU in all, s", &|sample| sample.cpu_s),
        median("flood digested in, s", &|sample| sample.digest_s),
        median("peak memory, MB (PSS)", &|sample| megabytes(sample.memory.pss)),
        median("peak memory, MB (RSS)", &|sample| megabytes(sample.memory.rss)),
        median("log written, MB", &|sample| sample.log as f64 / 1e6),
        opened("knock in the flood opened", &|sample| sample.opened_among),
        opened("knock after the flood opened", &|sample| sample.opened_after),
    ]
}

/// Held against the worst of our rounds.
fn targets(ours: &[Sample]) -> Vec<Target> {
    let cpu = ours.iter().map(|sample| sample.cpu_s).fold(0.0, f64::max);
    let memory = ours.iter().map(|sample| megabytes(sample.memory.pss)).fold(0.0, f64::max);
    let opened = ours.iter().filter(|sample| sample.opened_among).count();
    vec![
        Target { text: format!("under {CPU_TARGET_S} s of CPU: {cpu:.2} s"), met: cpu < CPU_TARGET_S },
        Target { text: format!("under {MEMORY_TARGET_MB} MB: {memory:.2} MB"), met: memory < MEMORY_TARGET_MB },
        Target { text: format!("the knock in the flood opens: {opened} of {}", ours.len()), met: opened == ours.len() },
    ]
}

fn megabytes(kilobytes: u64) -> f64 {
    kilobytes as f64 * 1024.0 / 1e6
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn spoofed_sources_are_distinct_and_private() {
        let sources: HashSet<Ipv4Addr> = (0..1_000_000).map(spoofed).collect();
        assert_eq!(sources.len(), 1_000_000);
        assert!(sources.iter().all(|source| source.is_private() && source.octets()[0] == 172));
    }

    #[test]
    fn targets_look_at_the_worst_round() {
        let sample =
            |cpu_s, pss| Sample { cpu_s, memory: Memory { pss, rss: 0 }, opened_among: true, ..Sample::default() };
        let met = |samples: &[Sample]| targets(samples).iter().map(|target| target.met).collect::<Vec<_>>();
        assert_eq!(met(&[sample(1.9, 30_000)]), [true, true, true]);
        assert_eq!(met(&[sample(0.1, 30_000), sample(2.1, 40_000)]), [false, false, true]);
        assert_eq!(met(&[Sample::default()]), [true, true, false]);
    }
}
