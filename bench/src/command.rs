//! From the last packet of a knock to the start of its command.

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use crate::daemon::{Daemon, Program};
use crate::error::Result;
use crate::interrupt::Interrupt;
use crate::latency::Options;
use crate::report::{Cell, Row, Table, Target, percentile};

/// 198.18.0.1, of the range for measurements (RFC 2544).
const FIRST_SOURCE: u32 = 0xc612_0001;
const SEQ_TIMEOUT: u32 = 10;
const MEDIAN_TARGET_MS: f64 = 2.0;
/// A knock that has not opened by then never will.
const GIVE_UP: Duration = Duration::from_secs(1);
/// So many of those in a round end it.
const MAX_MISSED: usize = 5;

#[derive(Default)]
struct Samples {
    sent: usize,
    millis: Vec<f64>,
}

pub(crate) fn measure(options: &Options, programs: &[Program], interrupt: &Interrupt) -> Result<(Table, Vec<Target>)> {
    let mut all: Vec<Samples> = programs.iter().map(|_| Samples::default()).collect();
    for round in 1..=options.rounds {
        for (program, samples) in programs.iter().zip(&mut all) {
            eprintln!("command, round {round}/{}: {}", options.rounds, program.name);
            measure_round(options.knocks, program, interrupt, samples)?;
        }
    }
    let at = |percent| move |samples: &Samples| Cell::Figure(percentile(&samples.millis, percent));
    let row = |label, cell: &dyn Fn(&Samples) -> Cell| Row { label, cells: all.iter().map(cell).collect() };
    let rows = vec![
        row("knocks opened", &|samples| Cell::Of(samples.millis.len(), samples.sent)),
        row("median, ms", &at(50)),
        row("90 %, ms", &at(90)),
        row("99 %, ms", &at(99)),
    ];
    let targets = all.first().map(targets).unwrap_or_default();
    let names = programs.iter().map(|program| program.name).collect();
    Ok((Table { title: "last knock packet to the start of a command", names, rows }, targets))
}

fn targets(ours: &Samples) -> Vec<Target> {
    let median = percentile(&ours.millis, 50);
    vec![
        Target {
            text: format!("knock to command, median under {MEDIAN_TARGET_MS} ms: {median:.2} ms"),
            met: !ours.millis.is_empty() && median < MEDIAN_TARGET_MS,
        },
        Target {
            text: format!("every knock runs its command: {} of {}", ours.millis.len(), ours.sent),
            met: ours.millis.len() == ours.sent,
        },
    ]
}

fn measure_round(knocks: u16, program: &Program, interrupt: &Interrupt, samples: &mut Samples) -> Result<()> {
    let mut daemon = Daemon::start(program, SEQ_TIMEOUT, interrupt)?;
    let mut missed = 0;
    for number in 0..knocks {
        // A program that looks at its packets by a timer must be met at any point of its period, so the pause varies.
        thread::sleep(Duration::from_millis(20 + u64::from(number) * 17 % 41));
        // Each from an address of its own, so that a late command is not taken for that of the next knock.
        let source = Ipv4Addr::from(FIRST_SOURCE + u32::from(number));
        let sent = daemon.knock(source)?;
        samples.sent += 1;
        match daemon.opened(source, GIVE_UP)? {
            Some(opening) => samples.millis.push((opening.at - sent).as_secs_f64() * 1000.0),
            None => missed += 1,
        }
        if missed == MAX_MISSED {
            break;
        }
    }
    Ok(())
}
