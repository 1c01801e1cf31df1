//! Knocks spelled in port numbers.
//!
//! A [`speller::Speller`] makes sequences, [`hits`] has them sent or written as lines of a log, and `crate::explain` shows them bit by
//! bit.

mod address;
mod asking;
mod help;
mod hits;
mod lines;
mod speller;

use std::process::ExitCode;

use clap::Subcommand;

pub(crate) use self::asking::{Options, Template};
pub(crate) use self::hits::{Request, open};
use crate::failure::Failure;
use crate::profile::CoreFiles;

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Open a door by hits on ports that spell a sealed knock
    #[command(after_help = help::KNOCK_ENCODED)]
    KnockEncoded(Options),
}

/// Runs it.
pub(crate) fn run(task: Task) -> ExitCode {
    let _core_files = CoreFiles::none();
    let Task::KnockEncoded(options) = task;
    let done = hits::run(&options);
    done.unwrap_or_else(|failure: Failure| failure.tell())
}
