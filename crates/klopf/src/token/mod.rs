//! Knocks as text: for mails, guestbooks and paper.
//!
//! A [`maker::Maker`] makes bodies, [`asking::Writing`] makes texts of them, and `crate::outbox` has them leave.

mod asking;
mod codes;
#[cfg(unix)]
mod deliver;
mod help;
mod mail;
mod maker;
mod post;
mod print;
mod words;

use std::process::ExitCode;

use clap::Subcommand;

pub(crate) use self::asking::Claiming;
pub(crate) use self::mail::{Awaited, Mailing, Via, code as open_by_code, open as open_by_mail};
pub(crate) use self::maker::own;
use crate::failure::Failure;
use crate::profile::CoreFiles;

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Print a token: a knock as text, for a mail or a guestbook
    #[command(after_help = help::TOKEN)]
    Token(print::Options),
    /// Open a door by an entry in a guestbook
    #[command(after_help = help::POST)]
    Post(post::Options),
    /// Print a sheet of one-time codes for the wallet
    #[command(after_help = help::CODES)]
    Codes(codes::Options),
    /// Put a mail from standard input into a Maildir, for the mail server of this host
    #[cfg(unix)]
    #[command(after_help = help::DELIVER)]
    Deliver(deliver::Options),
}

/// Runs it.
pub(crate) fn run(task: Task) -> ExitCode {
    let _core_files = CoreFiles::none();
    let done = match task {
        Task::Token(options) => print::run(&options),
        Task::Post(options) => post::run(&options),
        Task::Codes(options) => codes::run(&options),
        #[cfg(unix)]
        Task::Deliver(options) => deliver::run(&options),
    };
    done.unwrap_or_else(|failure: Failure| failure.tell())
}
