//! `klopf export`: doors for a host without the daemon.

mod nft;

use std::path::Path;
use std::process::ExitCode;

use clap::ValueEnum;
use klopf_files::{Files, Unreadable};

use crate::check::mend;
use crate::cli::fail;
use crate::{complain, say};

pub(crate) const HELP: &str = "\
Examples:
  klopf export nft > klopf-knock.nft && sudo nft -c -f klopf-knock.nft
      The doors of /etc/klopf/klopf.toml, and whether this kernel takes them.

  sudo nft -f klopf-knock.nft
      From now on the kernel alone watches for the sequences, opens and closes.
      Again: replaces it.

  sudo nft delete table inet klopf_knock
      Takes it away.

Only what a ruleset can do: sequences, guards, open-for, always-allow, closed,
allow-prefix, max-leases. A wrong hit does not end an attempt, nothing is
logged, and a host should have either this or klopfd.

Exit codes:
  0   the ruleset is on standard output
  66  the file cannot be read
  78  the file has a fault, or guards nothing";

/// What the doors are written for.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// A ruleset for nft -f
    Nft,
}

pub(crate) fn run(Format::Nft: Format, config: &Path) -> ExitCode {
    let name = config.display().to_string();
    let files = match Files::read(config) {
        Ok(files) => files,
        Err(Unreadable { path, error }) => {
            return fail(
                format_args!("cannot read {}: {error}; {}", path.display(), mend(&error, "--config FILE")),
                66,
            );
        }
    };
    let mut doors = match files.parse() {
        Ok(checked) => checked.config.doors,
        Err(faults) => {
            complain(faults.coloured());
            return 78.into();
        }
    };
    doors.retain(|door| {
        let has = !door.sequence.is_empty();
        if !has {
            complain(format_args!("door {} is left out: only klopfd can open it, for no sequence does", door.name));
        }
        has
    });
    match nft::ruleset(&doors) {
        Some(ruleset) => {
            say(ruleset.trim_end());
            ExitCode::SUCCESS
        }
        None => fail(format_args!("no door in {name} guards a port; give one a line such as guard = [\"tcp/22\"]"), 78),
    }
}
