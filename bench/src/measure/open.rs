//! From the last packet of a knock to the first probe that gets an answer.

use std::path::Path;
use std::thread;
use std::time::Duration;

use super::{Amount, all};
use crate::contender::{Contender, Gate, Way};
use crate::error::Result;
use crate::interrupt::Interrupt;
use crate::part::{Curve, Panel, Part, Table};
use crate::samples::{figure, median, percentile, ratio};

const TEXT: [&str; 3] = [
    "From sending the last packet of a knock to sending the first SYN to the guarded port that is answered. Nothing else goes on. \
     A program that looks at its packets by a timer is met at any point of its period.",
    "The SYNs are sent every 50 µs, the first at once, so this is also what can be told apart. A sequence is three SYNs, \
     one right after the other; *after a pause* there are 2 ms before the last of them, as on the Internet.",
    "That a sealed packet was accepted is written down before it opens, so that it opens once, ever; where a loss of power could make \
     the host forget it, as when the client's clock is ahead, it is on the disk before. The row *disk* says what that takes here.",
];
/// Before the last hit, in the second half of the knocks at a sequence.
const PAUSE: Duration = Duration::from_millis(2);
/// A knock that has not opened by then never will.
const GIVE_UP: Duration = Duration::from_secs(1);
/// So many of those in a round end it.
const MAX_MISSED: usize = 5;
/// What we aim at, in microseconds: the median and 99 of 100.
const AIM: (f64, f64) = (150.0, 500.0);

/// Microseconds after the last hit was sent.
#[derive(Default)]
struct Samples {
    knocks: usize,
    opened: Vec<f64>,
    /// After a pause.
    paused: Vec<f64>,
    /// How often the first probe was answered then.
    at_once: usize,
    disk: Vec<f64>,
}

pub(crate) fn measure(amount: &Amount, bin: &Path, interrupt: &Interrupt) -> Result<Part> {
    let mut contenders = all(amount, bin);
    contenders.push(Contender { name: "Klopf's knockd", way: Way::Knockd(bin.join("knockd")) });
    let mut samples: Vec<Samples> = contenders.iter().map(|_| Samples::default()).collect();
    for round in 1..=amount.rounds {
        for (contender, samples) in contenders.iter().zip(&mut samples) {
            eprintln!("open, round {round}/{}: {}", amount.rounds, contender.name);
            measure_round(amount.knocks, contender, interrupt, samples)?;
        }
    }
    Ok(part(&contenders, &samples))
}

fn measure_round(knocks: u16, contender: &Contender, interrupt: &Interrupt, samples: &mut Samples) -> Result<()> {
    let mut gate = Gate::start(contender, interrupt)?;
    let mut missed = 0;
    let twice = if contender.way.is_packet() { 1 } else { 2 };
    for number in 0..knocks * twice {
        gate.shut()?;
        // A program that looks at its packets by a timer must be met at any point of its period, so the pause varies.
        thread::sleep(Duration::from_millis(20 + u64::from(number) * 17 % 101));
        let pause = if number < knocks { Duration::ZERO } else { PAUSE };
        let (last, answered) = gate.knock(pause, GIVE_UP)?;
        samples.knocks += 1;
        let kept = if pause.is_zero() { &mut samples.opened } else { &mut samples.paused };
        match answered {
            Some(answered) => {
                kept.push((answered.sent - last).as_secs_f64() * 1e6);
                samples.at_once += usize::from(answered.first && !pause.is_zero());
            }
            None => missed += 1,
        }
        samples.disk.push(write_to_disk(gate.lab().dir())?);
        if missed == MAX_MISSED {
            break;
        }
    }
    Ok(())
}

fn part(contenders: &[Contender], samples: &[Samples]) -> Part {
    let mut part = Part::new("Open time", &TEXT);
    let mut table = Table::new(["µs"].into_iter().chain(contenders.iter().map(|contender| contender.name)));
    let mut row = |label: &str, cell: &dyn Fn(&Samples) -> String| table.row(label, samples.iter().map(cell));
    row("knocks that opened", &|one| format!("{} of {}", one.opened.len() + one.paused.len(), one.knocks));
    for (label, percent) in [("median", 50), ("90 %", 90), ("99 %", 99)] {
        row(label, &|one| figure(percentile(&one.opened, percent)));
    }
    let ours = |packet: bool| {
        let place =
            contenders.iter().position(|one| one.way.is_packet() == packet && matches!(one.way, Way::Klopf(..)));
        place.and_then(|place| samples.get(place)).and_then(|one| median(&one.opened))
    };
    let (packet, sequence) = (ours(true), ours(false));
    let ratios = contenders
        .iter()
        .zip(samples)
        .map(|(contender, one)| ratio(if contender.way.is_packet() { packet } else { sequence }, median(&one.opened)));
    let ratios: Vec<String> = ratios.collect();
    row("after a pause, median", &|one| figure(median(&one.paused)));
    row("after a pause, 99 %", &|one| figure(percentile(&one.paused, 99)));
    let at_once = |one: &Samples| {
        if one.paused.is_empty() { "-".into() } else { format!("{} of {}", one.at_once, one.paused.len()) }
    };
    row("after a pause, first SYN answered", &at_once);
    row("disk, median", &|one| figure(median(&one.disk)));
    table.row("median, of Klopf's", ratios);
    part.tables.push(table);
    for (contender, one) in contenders.iter().zip(samples) {
        if let Some(median) = median(&one.opened) {
            let points = vec![(String::new(), median)];
            part.curves.push(Curve { panel: Panel::Open, name: contender.name.to_owned(), points });
        }
        if matches!(contender.way, Way::Klopf(..)) {
            let got = |samples: &[f64]| (percentile(samples, 50), percentile(samples, 99));
            let (middle, most) = got(&one.opened);
            let met = one.opened.len() + one.paused.len() == one.knocks
                && middle.is_some_and(|middle| middle <= AIM.0)
                && most.is_some_and(|most| most <= AIM.1);
            let text = format!("{} / {}", figure(middle), figure(most));
            part.target(&format!("{}: µs until it is open, median / 99 %", contender.name), "≤ 150 / ≤ 500", text, met);
            if !contender.way.is_packet() {
                let met = !one.paused.is_empty() && one.at_once * 100 >= one.paused.len() * 99;
                part.target(
                    "Klopf, sequence after a pause: 0, so the first SYN is answered",
                    "99 of 100",
                    at_once(one),
                    met,
                );
            }
        }
    }
    part
}

/// Microseconds to write as much as a mark has, and to have it on the disk.
fn write_to_disk(dir: &Path) -> Result<f64> {
    use std::io::Write;
    let doing = || crate::error::Error::io("write to the disk");
    let file = std::fs::OpenOptions::new().append(true).create(true).open(dir.join("written"));
    let mut file = file.map_err(doing())?;
    let begin = std::time::Instant::now();
    file.write_all(&[7; 64]).and_then(|()| file.sync_data()).map_err(doing())?;
    Ok(begin.elapsed().as_secs_f64() * 1e6)
}
