//! Measures Klopf side by side with other programs, each in network namespaces of its own.

mod contender;
mod counts;
mod error;
mod frame;
mod generator;
mod interrupt;
mod lab;
mod logs;
mod machine;
mod measure;
mod page;
mod part;
mod plot;
mod prober;
mod samples;
mod sealer;
mod usage;
mod user;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};

use crate::contender::fwknop::Fwknop;
use crate::contender::knockd;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::lab::Lab;
use crate::machine::Machine;
use crate::measure::{Amount, first, flood, micro, open, rest, scale};
use crate::part::{Kept, Part};

/// Measure Klopf side by side with knockd, fwknopd and the kernel's own recipe. Needs root.
///
/// Each measurement is kept beside this program, and the page is made of all that are kept.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// Where Klopf's programs are [default: where this program is]
    #[arg(long, global = true, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// Where the page and the plot are written [default: nowhere]
    #[arg(long, global = true, value_name = "DIR")]
    docs: Option<PathBuf>,
    /// Rounds, each with all programs in turn
    #[arg(long, global = true, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Knocks a round
    #[arg(long, global = true, default_value_t = 40, value_parser = clap::value_parser!(u16).range(1..=1000))]
    knocks: u16,
    /// How often a user knocks and connects, in all rounds together
    #[arg(long, global = true, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    visits: u16,
    /// Seconds that each flood takes
    #[arg(long, global = true, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=60))]
    seconds: u16,
    /// Leave out more than 10,000 doors, keys, leases and attempts
    #[arg(long, global = true)]
    small: bool,
    /// Leave out programs whose names do not begin so, for a look; nothing is kept
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true,
        conflicts_with = "docs"
    )]
    only: String,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Clone)]
enum What {
    /// All measurements
    All,
    /// From the last packet of a knock to the first answered probe
    Open,
    /// Whether the first SYN after a knock is answered
    First,
    /// Real users while somebody floods
    Flood,
    /// Many doors, keys, leases, attempts
    Scale,
    /// What it costs when nobody knocks
    Rest,
    /// The stages of a packet, one by one; needs valgrind
    Micro,
    /// How fast a log is followed, and in how much memory; without root
    Log(logs::Options),
    /// The page alone, of what is kept
    Page,
    /// Instructions for each stage of a packet, against those in a file; needs valgrind, and no root
    Count {
        /// What they were
        #[arg(default_value = "bench/counts.txt")]
        file: PathBuf,
        /// Write the file anew
        #[arg(long)]
        bless: bool,
    },
    /// A stage, for valgrind
    #[command(hide = true)]
    RunStage { name: String },
    /// Connect to the lab's server, for so many milliseconds
    #[command(hide = true)]
    Connect { limit: u64 },
}

type Measure = fn(&Amount, &Path, &Interrupt) -> Result<Part>;

/// The measurements, in the order of the page.
const MEASURES: [(&str, Measure); 6] = [
    ("open", open::measure),
    ("first", first::measure),
    ("flood", flood::measure),
    ("scale", scale::measure),
    ("rest", rest::measure),
    ("micro", micro::measure),
];

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.what {
        What::Connect { limit } => return user::connect(Duration::from_millis(*limit)),
        What::RunStage { name } => Ok(counts::run(name)),
        What::Count { file, bless } => counts::check(file, *bless),
        What::Log(log) => {
            let interrupt = Interrupt::install().map_err(Error::io("handle signals"));
            interrupt.and_then(|interrupt| logs::measure(log, &interrupt))
        }
        _ => run(&options).map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("klopf-bench: {error}");
            error.exit_code()
        }
    }
}

fn run(options: &Options) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    let interrupt = Interrupt::install().map_err(Error::io("handle signals"))?;
    let beside = beside()?;
    let (bin, kept) = (options.bin_dir.clone().unwrap_or_else(|| beside.clone()), beside.join("bench"));
    for (program, remedy) in [
        (bin.join("klopfd"), "build it or name its directory with --bin-dir"),
        (knockd::PROGRAM.into(), "apt-get install knockd"),
        (Fwknop::DAEMON.into(), "apt-get install fwknop-server fwknop-client"),
        ("/usr/sbin/nft".into(), "apt-get install nftables"),
        ("/usr/sbin/iptables".into(), "apt-get install iptables"),
    ] {
        if !program.exists() {
            return Err(Error::Missing { program: program.display().to_string(), remedy });
        }
    }
    Lab::clear();
    let Options { rounds, knocks, visits, seconds, small, .. } = *options;
    let only = options.only.clone();
    let amount = Amount { rounds, knocks, visits, seconds, small, only };
    for (name, measure) in MEASURES.iter().filter(|(name, _)| options.what.includes(name)) {
        let machine = Machine::here(&bin, rounds);
        let begin = Instant::now();
        let part = measure(&amount, &bin, &interrupt)?;
        part.print();
        eprintln!("{name} took {:.0} s", begin.elapsed().as_secs_f64());
        if amount.only.is_empty() {
            Kept { part, machine }.save(&kept, name)?;
        }
    }
    match &options.docs {
        Some(docs) => page::write(&kept, &MEASURES.map(|(name, _)| name), docs),
        None => Ok(()),
    }
}

impl What {
    fn includes(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Open => name == "open",
            Self::First => name == "first",
            Self::Flood => name == "flood",
            Self::Scale => name == "scale",
            Self::Rest => name == "rest",
            Self::Micro => name == "micro",
            Self::Log(_) | Self::Page | Self::Connect { .. } | Self::Count { .. } | Self::RunStage { .. } => false,
        }
    }
}

/// Where this program is.
fn beside() -> Result<PathBuf> {
    let here = std::env::current_exe().map_err(Error::io("find this program"))?;
    Ok(here.parent().unwrap_or_else(|| Path::new(".")).to_owned())
}
