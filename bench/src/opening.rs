//! From the last packet of a knock to the first probe that gets an answer.

use std::thread;
use std::time::Duration;

use crate::contender::{Contender, Gate};
use crate::error::Result;
use crate::interrupt::Interrupt;
use crate::latency::Options;
use crate::prober::EVERY;
use crate::report::{Cell, Row, Table, Target, percentile};

const MEDIAN_TARGET_US: f64 = 300.0;
/// A knock that has not opened by then never will.
const GIVE_UP: Duration = Duration::from_secs(1);
/// So many of those in a round end it.
const MAX_MISSED: usize = 5;

/// Microseconds after the last hit was sent.
#[derive(Default)]
struct Samples {
    knocks: usize,
    /// When the first probe that got an answer was sent.
    sent: Vec<f64>,
    /// When its answer was there.
    seen: Vec<f64>,
}

pub(crate) fn measure(
    options: &Options,
    contenders: &[Contender],
    interrupt: &Interrupt,
) -> Result<(Table, Vec<Target>)> {
    println!(
        "A knock is three SYNs. From then on the client sends a SYN to the guarded port every {} µs. The time is from\n\
         sending the last hit to sending the first SYN that is answered; the answer's is until its SYN-ACK is there.\n",
        EVERY.as_micros()
    );
    let mut all: Vec<Samples> = contenders.iter().map(|_| Samples::default()).collect();
    for round in 1..=options.rounds {
        for (contender, samples) in contenders.iter().zip(&mut all) {
            eprintln!("opening, round {round}/{}: {}", options.rounds, contender.name);
            measure_round(options.knocks, contender, interrupt, samples)?;
        }
    }
    let names = contenders.iter().map(|contender| contender.name).collect();
    let targets = all.first().map(targets).unwrap_or_default();
    Ok((Table { title: "last knock packet to the first answered probe", names, rows: rows(&all) }, targets))
}

fn rows(all: &[Samples]) -> Vec<Row> {
    let row = |label, cell: &dyn Fn(&Samples) -> Cell| Row { label, cells: all.iter().map(cell).collect() };
    let at = |percent| move |samples: &Samples| Cell::Whole(percentile(&samples.sent, percent));
    let ours = all.first().map_or(0.0, |samples| percentile(&samples.sent, 50));
    vec![
        row("knocks opened", &|samples| Cell::Of(samples.sent.len(), samples.knocks)),
        row("median, µs", &at(50)),
        row("90 %, µs", &at(90)),
        row("99 %, µs", &at(99)),
        row("its answer, median, µs", &|samples| Cell::Whole(percentile(&samples.seen, 50))),
        row("median, of ours", &|samples| Cell::Figure(percentile(&samples.sent, 50) / ours.max(1.0))),
    ]
}

fn targets(ours: &Samples) -> Vec<Target> {
    let median = percentile(&ours.sent, 50);
    vec![
        Target {
            text: format!("knock to answered probe, median under {MEDIAN_TARGET_US} µs: {median:.0} µs"),
            met: !ours.sent.is_empty() && median < MEDIAN_TARGET_US,
        },
        Target {
            text: format!("every knock opens: {} of {}", ours.sent.len(), ours.knocks),
            met: ours.sent.len() == ours.knocks,
        },
    ]
}

fn measure_round(knocks: u16, contender: &Contender, interrupt: &Interrupt, samples: &mut Samples) -> Result<()> {
    let mut gate = Gate::start(contender, interrupt)?;
    let mut missed = 0;
    for number in 0..knocks {
        gate.shut()?;
        // A program that looks at its packets by a timer must be met at any point of its period, so the pause varies.
        thread::sleep(Duration::from_millis(20 + u64::from(number) * 17 % 41));
        let (last, answered) = gate.knock(GIVE_UP)?;
        samples.knocks += 1;
        if let Some(answered) = answered {
            samples.sent.push((answered.sent - last).as_secs_f64() * 1e6);
            samples.seen.push((answered.seen - last).as_secs_f64() * 1e6);
        } else {
            missed += 1;
        }
        if missed == MAX_MISSED {
            break;
        }
    }
    Ok(())
}
