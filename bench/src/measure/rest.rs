//! What a program costs when nobody knocks: in silence, and beside traffic that is none of its business.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::{Amount, all};
use crate::contender::{Contender, Gate, PUBLIC};
use crate::error::Result;
use crate::generator::{Flood, Junk};
use crate::interrupt::Interrupt;
use crate::part::{Part, Table};
use crate::samples::{figure, median, whole};

const TEXT: [&str; 2] = [
    "*Wake-ups* are the times that a thread of any of the program's processes went to sleep and was woken, in 10 s in which nothing \
     happens; memory is their PSS together.",
    "*Others' traffic* is 1 million datagrams of 300 bytes a second, or as many as one core can send, to a port that is open to all: \
     CPU is that of the program's processes.",
];
/// After the first knock.
const SETTLED: Duration = Duration::from_secs(3);
const SILENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const PACE: u32 = 1_000_000;

#[derive(Default)]
struct Samples {
    wakeups: Vec<f64>,
    /// Megabytes.
    memory: Vec<f64>,
    /// Hundredths of a core.
    cpu: Vec<f64>,
    pace: Vec<f64>,
}

pub(crate) fn measure(amount: &Amount, bin: &Path, interrupt: &Interrupt) -> Result<Part> {
    let contenders = all(amount, bin);
    let mut samples: Vec<Samples> = contenders.iter().map(|_| Samples::default()).collect();
    for round in 1..=amount.rounds {
        for (contender, samples) in contenders.iter().zip(&mut samples) {
            eprintln!("rest, round {round}/{}: {}", amount.rounds, contender.name);
            let mut gate = Gate::start(contender, interrupt)?;
            gate.shut()?;
            sleep(SETTLED, interrupt)?;
            let before = gate.usage()?;
            sleep(SILENCE, interrupt)?;
            let after = gate.usage()?;
            samples.wakeups.push(after.wakeups.saturating_sub(before.wakeups) as f64);
            samples.memory.push(after.megabytes());
            let time = Duration::from_secs(amount.seconds.into());
            let flood = Flood::start(gate.lab(), &Junk::Unrelated(PUBLIC), Some(PACE), u64::MAX, time)?;
            let sent = flood.wait()?;
            let used = gate.usage()?.cpu().saturating_sub(after.cpu()).as_secs_f64();
            samples.cpu.push(used * 100.0 / sent.seconds.max(1e-9));
            samples.pace.push(sent.pace());
        }
    }
    Ok(part(&contenders, &samples))
}

fn part(contenders: &[Contender], samples: &[Samples]) -> Part {
    let mut part = Part::new("Rest", &TEXT);
    let mut table = Table::new([""].into_iter().chain(contenders.iter().map(|contender| contender.name)));
    let process = |one: &Samples, text: String| if median(&one.memory) > Some(0.0) { text } else { "-".into() };
    let mut row = |label: &str, cell: &dyn Fn(&Samples) -> String| table.row(label, samples.iter().map(cell));
    row("wake-ups in 10 s", &|one| process(one, whole(median(&one.wakeups).unwrap_or_default())));
    row("memory, MB", &|one| process(one, figure(median(&one.memory))));
    row("others' traffic, CPU, % of a core", &|one| process(one, figure(median(&one.cpu))));
    row("others' traffic that was sent, /s", &|one| whole(median(&one.pace).unwrap_or_default()));
    part.tables.push(table);
    for (contender, one) in contenders.iter().zip(samples).filter(|(contender, _)| contender.name.starts_with("Klopf"))
    {
        let most = |values: &[f64]| values.iter().copied().reduce(f64::max);
        let (wakeups, memory, cpu) = (most(&one.wakeups), most(&one.memory), most(&one.cpu));
        let name = contender.name;
        let got = whole(wakeups.unwrap_or_default());
        part.target(&format!("{name}: wake-ups in 10 s of silence"), "0", got, wakeups == Some(0.0));
        let got = format!("{} MB", figure(memory));
        part.target(&format!("{name}: memory in silence"), "≤ 8 MB", got, memory.is_some_and(|memory| memory <= 8.0));
        let got = format!("{} %, at {}/s", figure(cpu), whole(median(&one.pace).unwrap_or_default()));
        part.target(
            &format!("{name}: CPU beside others' traffic"),
            "< 2 % of a core",
            got,
            cpu.is_some_and(|cpu| cpu < 2.0),
        );
    }
    part
}

fn sleep(time: Duration, interrupt: &Interrupt) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < time {
        interrupt.check()?;
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}
