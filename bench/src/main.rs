//! Measures Klopf side by side with other programs, each in network namespaces of its own.

mod daemon;
mod error;
mod flood;
mod frame;
mod interrupt;
mod lab;
mod latency;
mod report;
mod usage;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::daemon::Program;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::report::{Row, Target};

/// Measure Klopf side by side with knockd. Needs root.
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
    /// How long it takes from the last packet of a knock to the start of its command
    Latency(latency::Options),
}

/// What a measurement has to say.
struct Measured {
    rows: Vec<Row>,
    targets: Vec<Target>,
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
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    let interrupt = Interrupt::install().map_err(Error::io("handle signals"))?;
    let programs = programs(options)?;
    report::facts(&programs);
    let measured = match &options.what {
        What::Flood(flood) => flood::measure(flood, &programs, &interrupt),
        What::Latency(latency) => latency::measure(latency, &programs, &interrupt),
    }?;
    print!("{}", report::table(&programs, &measured.rows));
    Ok(report::verdict(&measured.targets))
}

/// Ours, and the other one where it is installed.
fn programs(options: &Options) -> Result<Vec<Program>> {
    let here = std::env::current_exe().map_err(Error::io("find this program"))?;
    let beside = here.parent().unwrap_or_else(|| Path::new("."));
    let ours = options.bin_dir.as_deref().unwrap_or(beside).join("knockd");
    let Some(ours) = Program::find("klopf", &ours)? else {
        let program = ours.display().to_string();
        return Err(Error::Missing { program, remedy: "build it or name its directory with --bin-dir" });
    };
    let peer = Program::find("knockd", &options.peer)?;
    if peer.is_none() {
        eprintln!("note: {} is not there, so Klopf is measured alone; apt-get install knockd", options.peer.display());
    }
    Ok([Some(ours), peer].into_iter().flatten().collect())
}
