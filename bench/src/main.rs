//! Measures Klopf side by side with other programs, each in network namespaces of its own.

mod command;
mod contender;
mod daemon;
mod error;
mod flood;
mod frame;
mod interrupt;
mod lab;
mod latency;
mod logs;
mod opening;
mod prober;
mod report;
mod spa;
mod usage;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::contender::{Contender, Way};
use crate::daemon::Program;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::report::{Table, Target};

/// Measure Klopf side by side with knockd and fwknopd. Needs root.
///
/// The exit code is 0 when Klopf met its targets, 1 when it missed one, 77 without root.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// Where Klopf's programs are [default: where this program is]
    #[arg(long, global = true, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// The knockd to compare with
    #[arg(long, global = true, value_name = "FILE", default_value = "/usr/sbin/knockd")]
    peer: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// What a flood of first knocks costs, and whether a real knock gets through it
    Flood(flood::Options),
    /// What sealed knocks cost with 1, 1,000 and 100,000 keys, and beside fwknopd
    Spa(spa::Options),
    /// How long it takes from the last packet of a knock until the port answers, and until a command starts
    Latency(latency::Options),
    /// How fast a log is followed, and in how much memory; without root
    Log(logs::Options),
}

/// What a measurement has to say.
struct Measured {
    tables: Vec<Table>,
    targets: Vec<Target>,
    /// What is to be said besides.
    notes: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("klopf-bench: {error}");
            error.exit_code()
        }
    }
}

/// True when our targets are met.
fn run(options: &Options) -> Result<bool> {
    if !matches!(options.what, What::Log(_)) && !nix::unistd::geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    let interrupt = Interrupt::install().map_err(Error::io("handle signals"))?;
    if let What::Log(log) = &options.what {
        report::facts(&[]);
        return Ok(say(&logs::measure(log, &interrupt)?));
    }
    let bin = match &options.bin_dir {
        Some(directory) => directory.clone(),
        None => beside()?,
    };
    let programs = programs(&bin, &options.peer)?;
    report::facts(if matches!(options.what, What::Spa(_)) { &[] } else { &programs });
    let measured = match &options.what {
        What::Flood(flood) => flood::measure(flood, &programs, &interrupt),
        What::Latency(latency) => latency::measure(latency, &contenders(&bin, &options.peer)?, &programs, &interrupt),
        What::Spa(spa) => spa::measure(spa, &bin, &interrupt),
        What::Log(log) => logs::measure(log, &interrupt),
    }?;
    Ok(say(&measured))
}

/// Prints it all; true when our targets are met.
fn say(measured: &Measured) -> bool {
    for table in &measured.tables {
        println!("{}", report::table(table));
    }
    let met = report::verdict(&measured.targets);
    measured.notes.iter().for_each(|note| println!("note    {note}"));
    met
}

/// Where this program is.
fn beside() -> Result<PathBuf> {
    let here = std::env::current_exe().map_err(Error::io("find this program"))?;
    Ok(here.parent().unwrap_or_else(|| Path::new(".")).to_owned())
}

/// What opens a port, ours first; the other one where it is installed.
fn contenders(bin: &Path, peer: &Path) -> Result<Vec<Contender>> {
    for (program, remedy) in
        [("/usr/sbin/nft", "apt-get install nftables"), ("/usr/sbin/iptables", "apt-get install iptables")]
    {
        if !Path::new(program).exists() {
            return Err(Error::Missing { program: program.into(), remedy });
        }
    }
    let mut all = vec![Contender { name: "klopfd, guard", way: Way::Guard(bin.to_owned()) }];
    if peer.is_file() {
        all.push(Contender { name: "knockd", way: Way::Command(peer.to_owned()) });
    }
    all.push(Contender { name: "klopf's knockd", way: Way::Command(bin.join("knockd")) });
    all.push(Contender { name: "nft recipe", way: Way::Kernel(bin.to_owned()) });
    Ok(all)
}

/// Ours, and the other one where it is installed.
fn programs(bin: &Path, peer: &Path) -> Result<Vec<Program>> {
    let ours = bin.join("knockd");
    let Some(ours) = Program::find("klopf", &ours)? else {
        let program = ours.display().to_string();
        return Err(Error::Missing { program, remedy: "build it or name its directory with --bin-dir" });
    };
    let theirs = Program::find("knockd", peer)?;
    if theirs.is_none() {
        eprintln!("note: {} is not there, so Klopf is measured without it; apt-get install knockd", peer.display());
    }
    Ok([Some(ours), theirs].into_iter().flatten().collect())
}
