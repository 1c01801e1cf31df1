//! The stages of a packet in the watch, one by one, in this process.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use klopf_bench::stages::{ALL, Stages};

use super::{Amount, kernel};
use crate::counts;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::part::{Part, Table};
use crate::samples::{figure, median, percentile, whole};

const TEXT: [&str; 4] = [
    "The code alone, without rings, sockets and wake-ups: nanoseconds, looked at for 100 packets at a time, and instructions as callgrind \
     counts them. `make bench-micro` has the times by divan, `make bench-count` compares them with those in \
     `bench/counts.txt`, for the plainest processor that aws-lc knows, so that they are the same everywhere, and fails when one has grown by more \
     than 5 % (*open*, whose other libraries look at the processor, too: 50 %).",
    "*parse*: the headers of a SYN. *lookup*: a first hit from a new address, parsed. *stranger*: a hit on a port of no door, from such an \
     address, parsed. *check*: a datagram of 512 random bytes, whose outer seal is tried. *open*: a packet of somebody invited, checked and \
     opened. *decide*: what it claims.",
    "*filter*: klopfd's program in the kernel, on a SYN to a port of no door. They come over a link, 1,024 between two looks, to a packet \
     socket, in turn with this program and with one of a single instruction; this is what the first takes more, so the noise of sending is in it. \
     Doors that end an attempt at any wrong hit are shown all ports at which nothing serves, and their program is as short as that of one door.",
    "*grant* and *revoke*: a lease given and taken again by the gate through nf_tables, each in a transaction of its own, 20 between two looks, \
     in a network namespace in which there are so many leases.",
];
/// Packets between two looks at the clock, and looks in a round.
const AT_ONCE: u32 = 100;
const LOOKS: usize = 50;

pub(crate) fn measure(amount: &Amount, _: &Path, interrupt: &Interrupt) -> Result<Part> {
    let mut samples: Vec<Vec<f64>> = ALL.iter().map(|_| Vec::new()).collect();
    for round in 1..=amount.rounds {
        eprintln!("micro, round {round}/{}", amount.rounds);
        for ((name, stage), samples) in ALL.iter().zip(&mut samples) {
            interrupt.check()?;
            let mut stages = Stages::default();
            for _ in 0..LOOKS {
                let begin = Instant::now();
                let right = (0..AT_ONCE).all(|_| black_box(stage(&mut stages)));
                samples.push(begin.elapsed().as_secs_f64() * 1e9 / f64::from(AT_ONCE));
                if !right {
                    return Err(Error::Program(format!("a packet was taken for another: {name}")));
                }
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
    let mut table = Table::new(["", "median, ns", "90 %", "99 %", "instructions"]);
    for ((name, _), samples) in ALL.iter().zip(&samples) {
        let count = counts::count(name)?;
        table.row(name, figures(samples).into_iter().chain([whole(count as f64)]));
        if *name == "check" {
            let cost = median(samples).map(|ns| ns / 1e3);
            let met = cost.is_some_and(|cost| cost <= 0.5);
            part.target("a datagram of junk, the code alone", "≤ 0.5 µs", format!("{} µs", figure(cost)), met);
        }
    }
    for (name, samples) in &kernels {
        table.row(name, figures(samples).into_iter().chain(["-".to_owned()]));
    }
    part.tables.push(table);
    Ok(part)
}
