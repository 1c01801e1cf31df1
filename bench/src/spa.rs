//! What sealed knocks cost: in this process, in the daemon, and beside fwknopd.

mod inside;
mod outside;
mod peer;
mod sealer;

use std::path::Path;

pub(crate) use self::peer::Peer;
pub(crate) use self::sealer::Sealer;
use crate::Measured;
use crate::error::Result;
use crate::interrupt::Interrupt;
use crate::report::Target;

/// How many people have keys.
const CROWDS: [usize; 3] = [1, 1000, 100_000];
/// The same as titles of columns.
const NAMES: [&str; 3] = ["1 key", "1,000 keys", "100,000 keys"];
/// With the greatest crowd nothing takes longer than so many times what it takes with one.
const GROWTH: f64 = 1.5;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Rounds, each with all in turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Knocks a round
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u16).range(1..=1000))]
    knocks: u16,
    /// Datagrams of junk for klopfd
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1000..=1_000_000))]
    junk: u32,
    /// Leave out the daemons
    #[arg(long)]
    no_daemons: bool,
}

pub(crate) fn measure(options: &Options, bin: &Path, interrupt: &Interrupt) -> Result<Measured> {
    eprintln!("making keys");
    let sealer = Sealer::new(CROWDS.into_iter().max().unwrap_or(1) + 1);
    let mut measured = inside::measure(options, &sealer, interrupt)?;
    if !options.no_daemons {
        let more = outside::measure(options, bin, &sealer, interrupt)?;
        measured.tables.extend(more.tables);
        measured.targets.extend(more.targets);
        measured.notes.extend(more.notes);
    }
    Ok(measured)
}

/// Whether the last figure is within [`GROWTH`] times the first.
fn grows(what: &str, figures: &[f64]) -> Target {
    let times = figures.first().zip(figures.last()).map_or(0.0, |(first, last)| last / first);
    let text = format!("{what}: with 100,000 keys within {GROWTH} times what it takes with one: {times:.2}");
    Target { text, met: times > 0.0 && times <= GROWTH }
}
