//! The stages of a packet in the watch, one by one, in this process.

use std::hint::black_box;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use klopf_bench::stages::{ALL, Stage, Stages};

use super::{Amount, kernel};
use crate::counts;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::part::{Part, Table};
use crate::samples::{figure, median, percentile, whole};

const TEXT: [&str; 4] = [
    "The code alone, without rings, sockets and wake-ups: nanoseconds, looked at for 100 packets at a time, and instructions as callgrind \
     counts them. `make bench-micro` has the times by divan, `make bench-count` compares them with those in \
     `bench/counts.txt`, for the plainest processor that aws-lc knows, so that they are nearly the same everywhere, and fails when one has grown by more \
     than 5 %.",
    "*parse*: the headers of a SYN. *lookup*: a first hit from a new address, parsed. *stranger*: a hit on a port of no door, from such an \
     address, parsed. *check*: a datagram of 512 random bytes, whose outer seal is tried. *open*: a packet of somebody invited, checked and \
     opened, one of many by the same key. *decide*: what it claims. *rested*: the same after 40 ms in which this program has slept, one packet at a time.",
    "*filter*: klopfd's program in the kernel, on a SYN to a port of no door. They come over a link, 1,024 between two looks, to a packet \
     socket, in turn with this program and with one of a single instruction; this is what the first takes more, so the noise of sending is in it. \
     Doors that end an attempt at any wrong hit are shown all ports at which nothing serves, and their program is as short as that of one door.",
    "*grant* and *revoke*: a lease given and taken again by the gate through nf_tables, each in a transaction of its own, 20 between two looks, \
     in a network namespace in which there are so many leases.",
];
/// Packets between two looks at the clock, and looks in a round.
const AT_ONCE: u32 = 100;
const LOOKS: usize = 50;
/// How long before the packet that comes after a rest.
const REST: Duration = Duration::from_millis(40);

/// What so many packets take, in nanoseconds each.
fn look((name, stage): &Stage, stages: &mut Stages, packets: u32) -> Result<f64> {
    let begin = Instant::now();
    let right = (0..packets).all(|_| black_box(stage(stages)));
    let took = begin.elapsed().as_secs_f64() * 1e9 / f64::from(packets);
    right.then_some(took).ok_or_else(|| Error::Program(format!("a packet was taken for another: {name}")))
}

pub(crate) fn measure(amount: &Amount, _: &Path, interrupt: &Interrupt) -> Result<Part> {
    let mut samples: Vec<[Vec<f64>; 2]> = ALL.iter().map(|_| [const { Vec::new() }; 2]).collect();
    for round in 1..=amount.rounds {
        eprintln!("micro, round {round}/{}", amount.rounds);
        // First all without a rest, for one before them would show.
        for (stage, [steady, _]) in ALL.iter().zip(&mut samples) {
            interrupt.check()?;
            let mut stages = Stages::default();
            for _ in 0..LOOKS {
                steady.push(look(stage, &mut stages, AT_ONCE)?);
            }
        }
        for (stage, [_, rested]) in ALL.iter().zip(&mut samples) {
            interrupt.check()?;
            let mut stages = Stages::default();
            for _ in 0..LOOKS {
                thread::sleep(REST);
                rested.push(look(stage, &mut stages, 1)?);
            }
        }
    }
    let mut kernels: Vec<kernel::Cost> = Vec::new();
    for _ in 0..amount.rounds {
        interrupt.check()?;
        for (place, (name, samples)) in kernel::costs()?.into_iter().enumerate() {
            match kernels.get_mut(place) {
                Some((_, known)) => known.extend(samples),
                None => kernels.push((name, samples)),
            }
        }
    }
    let figures = |samples: &[f64]| [50, 90, 99].map(|percent| figure(percentile(samples, percent)));
    let mut part = Part::new("Micro", &TEXT);
    let mut table = Table::new(["", "median, ns", "90 %", "99 %", "rested, median", "instructions"]);
    for ((name, _), [steady, rested]) in ALL.iter().zip(&samples) {
        let count = counts::count(name)?;
        table.row(name, figures(steady).into_iter().chain([figure(median(rested)), whole(count as f64)]));
        if *name == "check" {
            let cost = median(steady).map(|ns| ns / 1e3);
            let met = cost.is_some_and(|cost| cost <= 0.5);
            part.target("a datagram of junk, the code alone", "≤ 0.5 µs", format!("{} µs", figure(cost)), met);
        }
    }
    for (name, samples) in &kernels {
        table.row(name, figures(samples).into_iter().chain(["-".to_owned(), "-".to_owned()]));
    }
    part.tables.push(table);
    Ok(part)
}
