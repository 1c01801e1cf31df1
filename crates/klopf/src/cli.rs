//! The `klopf` command line.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use klopf_wire::Proto;

#[cfg(target_os = "linux")]
use crate::daemon;
use crate::hits::{self, Hit};
use crate::send::{self, Family, SendError};
use crate::{check, complain, explain, export, import, man, person, say, sequence, token};
#[cfg(target_os = "linux")]
use crate::{invite, setup};

const KNOCK_HELP: &str = "\
Examples:
  klopf knock server.example 42000 1337 23000/udp
      Three hits in this order. The server's klopf.toml has:
      sequence = [\"42000\", \"1337\", \"23000/udp\"]

  klopf knock -d 100ms server.example 50300 7070/udp && ssh server.example
      A pause after each hit, for networks where packets overtake each other,
      and before the login.

A knock is never answered: exit code 0 says that it was sent, not that a door
opened.

Exit codes:
  0   sent
  64  the command line is wrong; nothing was sent
  68  the host is unknown or has no address of the wanted kind; nothing was sent
  69  this machine could not send a hit; the rest was not sent";

const CHECK_HELP: &str = "\
Examples:
  klopf check
      /etc/klopf/klopf.toml, which klopfd takes; where there is none,
      /etc/knockd.conf, which knockd takes.

  klopf check ./knockd.conf
      A name that ends in .toml is read as by klopfd, any other as by knockd.

  klopf check - < draft.toml
      Standard input, read as by klopfd.

Exit codes:
  0   the daemon takes the file, perhaps with warnings
  66  the file cannot be read
  78  the file has a fault";

/// Knock on the doors of a Klopf or knockd server, and look after those of this host
#[derive(Parser)]
#[command(name = "klopf", version, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Knock: send a packet to each port, in order
    #[command(after_help = KNOCK_HELP)]
    Knock(Knock),
    /// Check a klopf.toml or knockd.conf and report every fault
    #[command(after_help = CHECK_HELP)]
    Check {
        /// The file, or - for standard input
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Turn a knockd.conf into a klopf.toml
    #[command(after_help = import::HELP)]
    Import(import::Options),
    #[command(flatten)]
    Person(person::Task),
    #[command(flatten)]
    Sequence(sequence::Task),
    #[command(flatten)]
    Token(token::Task),
    #[command(flatten)]
    Explain(explain::Task),
    /// Make a klopf.toml, by five questions
    #[cfg(target_os = "linux")]
    #[command(after_help = setup::HELP)]
    Setup(Box<setup::Options>),
    #[cfg(target_os = "linux")]
    #[command(flatten)]
    Daemon(daemon::Task),
    #[cfg(target_os = "linux")]
    #[command(flatten)]
    Invite(invite::Task),
    /// Print the doors as a ruleset that needs no daemon
    #[command(after_help = export::HELP)]
    Export {
        /// For which program
        format: export::Format,
        /// The file with the doors
        #[arg(short, long, value_name = "FILE", default_value = check::NATIVE, value_hint = ValueHint::FilePath)]
        config: PathBuf,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the man pages into a directory
    #[command(hide = true)]
    Man {
        /// The directory; made when missing
        #[arg(value_hint = ValueHint::DirPath)]
        dir: PathBuf,
    },
}

#[derive(Args)]
struct Knock {
    /// Send every hit over UDP, whatever its PROTO
    #[arg(short, long)]
    udp: bool,
    /// Pause after each hit: milliseconds, or a number with ms or s; after the last one it is 10 ms at least
    #[arg(short, long, value_name = "TIME", default_value = "0", value_parser = delay)]
    delay: Duration,
    /// Use an IPv4 address of the host
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,
    /// Use an IPv6 address of the host
    #[arg(short = '6', long)]
    ipv6: bool,
    /// Name each hit
    #[arg(short, long)]
    verbose: bool,
    /// The server's name or address
    #[arg(value_hint = ValueHint::Hostname, value_parser = NonEmptyStringValueParser::new())]
    host: String,
    /// A port by number or service name, as 23000/udp or 23000:udp where it is not TCP
    #[arg(value_name = "PORT[/PROTO]", required = true, value_parser = hits::parse)]
    hits: Vec<Hit>,
}

/// The definition of the command line.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs as `klopf`; the first of `args` is the program's name. Exit codes follow sysexits(3).
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let invited = args.iter().any(|arg| arg.to_string_lossy().contains("klopf:"));
    let delivers = args.get(1).is_some_and(|arg| arg == "deliver");
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        // clap shows what it does not understand, and an invitation holds a private key.
        Err(error) if error.use_stderr() && invited => {
            return fail("this cannot be understood; an invitation goes with: klopf join", 64);
        }
        Err(error) => {
            let _ = error.print();
            // A mail that cannot be delivered waits until somebody mends the line, and does not go back with all of this.
            let code = if delivers { 75 } else { 64 };
            return if error.use_stderr() { code.into() } else { ExitCode::SUCCESS };
        }
    };
    match cli.task {
        Task::Knock(request) => match knock(&request) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error, error.exit_code()),
        },
        Task::Import(options) => import::run(&options),
        Task::Check { file } => check::run(file.as_deref()),
        Task::Person(task) => person::run(task),
        Task::Sequence(task) => sequence::run(task),
        Task::Token(task) => token::run(task),
        Task::Explain(task) => explain::run(task),
        #[cfg(target_os = "linux")]
        Task::Setup(options) => setup::run(&options),
        #[cfg(target_os = "linux")]
        Task::Daemon(task) => daemon::run(task),
        #[cfg(target_os = "linux")]
        Task::Invite(task) => invite::run(task),
        Task::Export { format, config } => export::run(format, &config),
        Task::Completions { shell } => completions(shell),
        Task::Man { dir } => match man::write(&dir) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(format_args!("cannot write to {}: {error}", dir.display()), 73),
        },
    }
}

/// Says why it ends, and with which exit code.
pub(crate) fn fail(why: impl std::fmt::Display, code: u8) -> ExitCode {
    complain(format_args!("error: {why}"));
    code.into()
}

fn knock(request: &Knock) -> Result<(), SendError> {
    let family = match (request.ipv4, request.ipv6) {
        (true, _) => Family::V4,
        (_, true) => Family::V6,
        _ => Family::Any,
    };
    let mut hits = request.hits.clone();
    if request.udp {
        hits = hits.into_iter().map(|hit| hit.over(Proto::Udp)).collect();
    }
    let host = send::resolve(&request.host, family)?;
    send::knock(host, &hits, request.delay, |hit| {
        if request.verbose {
            say(format_args!("knocking at {} {}", host.ip(), hit.port));
        }
    })?;
    std::thread::sleep(send::SETTLE.saturating_sub(request.delay));
    Ok(())
}

fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "klopf", &mut script);
    match std::io::stdout().write_all(&script) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(format_args!("cannot write the script: {error}"), 74),
    }
}

/// A pause, as `50`, `50ms` or `2s`.
pub(crate) fn delay(text: &str) -> Result<Duration, &'static str> {
    let (number, unit_ms) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, 1),
        (None, Some(number)) => (number, 1000),
        (None, None) => (text, 1),
    };
    let number: u32 = number.parse().map_err(|_| "a pause is written 50, 50ms or 2s")?;
    Ok(Duration::from_millis(u64::from(number) * unit_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn examples_fit_a_small_terminal() {
        for task in command().get_subcommands() {
            let help = task.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in help.lines() {
                assert!(line.chars().count() <= 80, "{}: {line}", task.get_name());
            }
        }
    }

    #[test]
    fn a_pause_has_a_unit_or_is_milliseconds() {
        for (text, ms) in [("0", 0), ("50", 50), ("50ms", 50), ("2s", 2000)] {
            assert_eq!(delay(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "ms", "s", "-1", "1.5s", "50 ms", "2m", "99999999999"] {
            assert!(delay(text).is_err(), "{text}");
        }
    }
}
