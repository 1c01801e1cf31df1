//! What a person does with an invitation: join, open, connect.

mod asking;
mod connect;
mod find;
mod help;
mod join;
mod keygen;
mod open;
mod page;
mod profiles;
mod proxy;
mod run;
mod ssh_config;
mod status;

use std::process::ExitCode;

use clap::Subcommand;

use self::asking::Asking;
pub(crate) use self::asking::{Families, Waiting, What, known_door, name};
use crate::failure::Failure;

#[cfg(target_os = "linux")]
pub(crate) use self::status::mine;

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Make a private key on this device, before there is an invitation
    #[command(after_help = help::KEYGEN)]
    Keygen,
    /// Store an invitation as a profile
    #[command(after_help = help::JOIN)]
    Join(join::Options),
    /// List the profiles of this device
    #[command(after_help = help::PROFILES)]
    Profiles {
        /// For programs, as JSON
        #[arg(long)]
        json: bool,
    },
    /// Open a door
    #[command(after_help = help::OPEN)]
    Open(open::Options),
    /// Open a door, connect, and pass on standard input and output
    #[command(after_help = help::CONNECT)]
    Connect(connect::Options),
    /// Print what makes ssh knock by itself
    #[command(after_help = help::SSH_CONFIG)]
    SshConfig {
        /// The profile, and the door if it is not the usual one
        #[arg(value_name = "PROFILE[/DOOR]", value_parser = What::parse)]
        what: What,
    },
    /// Open a door and run a program
    #[command(after_help = help::RUN)]
    Run(run::Options),
    /// A SOCKS5 proxy on this host that knocks for any program
    #[command(after_help = help::PROXY)]
    Proxy(proxy::Options),
    /// Make a page that makes tokens in any browser, for borrowed computers
    #[command(after_help = help::PAGE)]
    Page(page::Options),
    /// Show what was opened from here
    #[cfg(not(target_os = "linux"))]
    #[command(after_help = help::STATUS)]
    Status {
        /// For programs, as JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs it.
pub(crate) fn run(task: Task) -> ExitCode {
    let done = match task {
        Task::Keygen => keygen::run(),
        Task::Join(options) => join::run(options),
        Task::Profiles { json } => profiles::run(json),
        Task::Open(options) => open::run(&options),
        Task::Connect(options) => connect::run(&options),
        Task::SshConfig { what } => ssh_config::run(&what),
        Task::Run(options) => run::run(options),
        Task::Proxy(options) => proxy::run(&options),
        Task::Page(options) => page::run(&options),
        #[cfg(not(target_os = "linux"))]
        Task::Status { json } => status::run(json),
    };
    done.unwrap_or_else(|failure: Failure| failure.tell())
}
