//! `klopf import`: a knockd.conf as a klopf.toml.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueHint};
use klopf_config::{Level, import, knockd};

use crate::check::mend;
use crate::cli::fail;
use crate::{complain, say};

pub(crate) const HELP: &str = "\
Examples:
  klopf import
      Shows /etc/knockd.conf as a klopf.toml, and says what is different.

  klopf import knockd.conf --output /etc/klopf/klopf.toml
      Writes the file, which must not be there yet. Next: klopf check

Commands of iptables, ufw and nft that let the address in at a port become
`guard` and `open-for`; then klopfd closes the port, so that your own firewall
must let it through. Others are run as they are.

Exit codes:
  0   all of it was turned
  65  a door or setting was left out; the rest was turned
  66  the file cannot be read
  73  the output cannot be written, or is there already
  78  the file has a fault: klopf check FILE";

#[derive(Args)]
pub(crate) struct Options {
    /// The file of knockd
    #[arg(default_value = crate::check::KNOCKD, value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Write into this file instead of showing it
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> ExitCode {
    let name = options.file.display().to_string();
    let text = match fs::read(&options.file) {
        Ok(text) => text,
        Err(error) => {
            return fail(format_args!("cannot read {name}: {error}; {}", mend(&error, "klopf import FILE")), 66);
        }
    };
    let config = match knockd::parse(&text) {
        Ok(checked) => checked.config,
        Err(faults) => {
            for fault in faults {
                complain(format_args!("{}\n", fault.shown(&name, Level::Error).coloured()));
            }
            return 78.into();
        }
    };
    let imported = import(&config);
    if let Some(path) = &options.output {
        if let Err(error) = write(path, &imported.text) {
            let help = if error.kind() == ErrorKind::AlreadyExists { "; it is not written over" } else { "" };
            return fail(format_args!("cannot write {}: {error}{help}", path.display()), 73);
        }
        complain(format_args!("{} is written. Next: klopf check {0}", path.display()));
    } else {
        say(imported.text.trim_end());
    }
    for (what, notes) in [("different now", &imported.changed), ("left out", &imported.left_out)] {
        notes.iter().for_each(|note| complain(format_args!("{what}: {note}")));
    }
    if imported.left_out.is_empty() { ExitCode::SUCCESS } else { 65.into() }
}

/// For its owner alone, because sequences are passwords.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
