//! Knocks as text: for mails, guestbooks and paper.

#[cfg(unix)]
mod deliver;
mod help;

use std::process::ExitCode;

use clap::Subcommand;

use crate::failure::Failure;
use crate::profile::CoreFiles;

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Put a mail from standard input into a Maildir, for the mail server of this host
    #[cfg(unix)]
    #[command(after_help = help::DELIVER)]
    Deliver(deliver::Options),
}

/// Runs it.
pub(crate) fn run(task: Task) -> ExitCode {
    let _core_files = CoreFiles::none();
    let done = match task {
        #[cfg(unix)]
        Task::Deliver(options) => deliver::run(&options),
    };
    done.unwrap_or_else(|failure: Failure| failure.tell())
}
