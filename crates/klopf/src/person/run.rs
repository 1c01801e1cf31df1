//! `klopf run`: knock, and start a program.

use std::ffi::OsString;
use std::io;
use std::process::{Command, ExitCode};

use clap::{Args, ValueHint};

use super::open::open;
use super::{Asking, Families, Waiting, What};
use crate::complain;
use crate::failure::{Failure, code};
use crate::open::Knocker;
use crate::profile::{CoreFiles, Folders, Store};

#[derive(Args)]
pub(crate) struct Options {
    /// The profile, and the door if it is not the usual one
    #[arg(value_name = "PROFILE[/DOOR]", value_parser = What::parse)]
    what: What,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    families: Families,
    /// The program and its arguments
    #[arg(required = true, last = true, value_name = "COMMAND", value_hint = ValueHint::CommandWithArguments)]
    command: Vec<OsString>,
}

pub(super) fn run(options: Options) -> Result<ExitCode, Failure> {
    let core_files = CoreFiles::none();
    let Some((program, arguments)) = options.command.split_first() else {
        return Err(Failure::new(code::USAGE, "there is no program to run"));
    };
    let folders = Folders::find()?;
    {
        // No key is left when the program starts.
        let kept = Store::new(&folders).choose(options.what.profile.as_ref())?;
        let ask = options.asking.of(&kept, options.what.door.as_ref())?;
        let knocker = Knocker::new(&folders, &kept, ask)?;
        // What the program prints is the program's alone.
        complain(open(&knocker, &options.waiting, options.families)?);
    }
    core_files.restore();
    start(Command::new(program).args(arguments)).map_err(|error| {
        let code = if error.kind() == io::ErrorKind::PermissionDenied { code::RIGHTS } else { code::NO_INPUT };
        Failure::new(code, format_args!("cannot run {}: {error}", program.display()))
    })
}

/// Becomes the program; comes back only if that fails.
#[cfg(unix)]
fn start(command: &mut Command) -> io::Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(command.exec())
}

#[cfg(not(unix))]
fn start(command: &mut Command) -> io::Result<ExitCode> {
    let code = command.status()?.code().unwrap_or(1);
    Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from))
}
