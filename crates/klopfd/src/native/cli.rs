//! The command line of `klopfd`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::exit;

const EXAMPLE: &str = "\
Configuration, /etc/klopf/klopf.toml:
  [door.ssh]
  guard = [\"tcp/22\"]
  sequence = [\"42000\", \"1337\", \"23000/udp\"]
  open-for = \"30s\"

Then, on another machine:
  klopf knock HOST 42000 1337 23000/udp && ssh HOST

On this one, klopf status says who is let in, klopf doctor what is wrong, and klopf unlock takes every guard away.

Guards and leases stand in the kernel: they stay when klopfd ends, and the next one takes them over. Where somebody is
logged in over a port that is guarded for the first time, the guards are on trial: if nobody comes in by a knock from
another machine within two minutes (or KLOPF_TRIAL_SECONDS), they are taken away again.

Signals: HUP reads the configuration again, TERM and INT end it, USR1 logs the counters.

Exit codes: 0 told to end; 64 wrong command line; 66 no configuration; 71 the system refused something, such as
the guards; 73 the log cannot be written; 75 another klopfd runs with the same state directory; 77 a right is missing;
78 the configuration is wrong.";

/// Opens doors to those who knock right.
///
/// Closes the ports that doors guard, and watches the network for knocks, without listening on any port. When a door's
/// sequence was knocked it lets the address in for a while, or runs the door's command. Stays in the foreground and says
/// `ready` when the doors are guarded and watched.
#[derive(Parser)]
#[command(name = "klopfd", version, after_help = EXAMPLE)]
struct Cli {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = "/etc/klopf/klopf.toml")]
    config: PathBuf,
    /// Only check the configuration: exit code 78 and all faults if it is wrong
    #[arg(long)]
    check: bool,
    /// Write the man pages of the daemons to a directory
    #[arg(long, value_name = "DIR", hide = true)]
    man: Option<PathBuf>,
}

/// What the command line asks for.
pub(super) enum Wish {
    Run { config: PathBuf },
    Check { config: PathBuf },
    Man { directory: PathBuf },
}

/// Reads the command line; help and errors are written here.
pub(super) fn parse() -> Result<Wish, ExitCode> {
    let cli = Cli::try_parse().map_err(|error| {
        // Nobody reads what cannot be written.
        let _ = error.print();
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
            _ => ExitCode::from(exit::USAGE),
        }
    })?;
    Ok(match cli {
        Cli { man: Some(directory), .. } => Wish::Man { directory },
        Cli { check: true, config, .. } => Wish::Check { config },
        Cli { config, .. } => Wish::Run { config },
    })
}

/// Writes klopfd.8 and knockd.1.
pub(super) fn write_man_pages(directory: &Path) -> ExitCode {
    let mut klopfd = Vec::new();
    let written = clap_mangen::Man::new(Cli::command())
        .section("8")
        .render(&mut klopfd)
        .and_then(|()| std::fs::create_dir_all(directory))
        .and_then(|()| std::fs::write(directory.join("klopfd.8"), klopfd))
        .and_then(|()| std::fs::write(directory.join("knockd.1"), crate::knockd::man_page()));
    if let Err(error) = written {
        crate::say(&format!("error: cannot write to {}: {}", directory.display(), crate::keeper::reason(&error)));
        return ExitCode::from(exit::CANNOT_CREATE);
    }
    ExitCode::SUCCESS
}
