//! What is asked of the daemon on this host.

mod ask;
mod lock;
mod place;
mod service;
mod status;
mod unlock;

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueHint};
use klopf_control::Request;

pub(crate) use self::ask::{guards, left};
pub(crate) use self::lock::follow;
pub(crate) use self::place::Place;
pub(crate) use self::service::service;
use crate::check::NATIVE;
use crate::times::duration;
use crate::{doctor, invite};

const EXIT_CODES: &str = "\
Exit codes:
  0   done
  1   klopfd refused, and said why
  69  klopfd does not run, or does not answer
  76  klopfd is of another version, and answers something unknown
  77  only root may ask";

const STATUS_HELP: &str = "\
Examples:
  sudo klopf status
      Is the host guarded, who is let in until when, why was a knock refused?

  sudo klopf status --json | jq '.leases[].address'
      The same for programs. Times are in milliseconds; names do not change.

  klopf status
      Where you have profiles: what you have opened, and until when as far as
      this device knows. On a host with klopfd root sees both.

Exit codes:
  0   klopfd answered, or you have profiles and it is none of your business
  69  klopfd does not run, or does not answer; it says what is guarded now
  77  only root may ask";

const GRANT_HELP: &str = "\
Examples:
  sudo klopf grant ssh 192.0.2.7
      Opens the door ssh for this address, for as long as its open-for says.

  sudo klopf grant ssh 2001:db8::7 --for 2h
      For two hours.";

const REVOKE_HELP: &str = "\
Examples:
  sudo klopf revoke 192.0.2.7
      Ends every lease of this address. Connections that are up stay up.

  sudo klopf revoke ssh --cut
      Ends every lease of the door ssh, and the connections that are up under
      them: perhaps yours.

  sudo klopf revoke laptop --sheet 1234
      Sheet 1234 of codes, printed with the key laptop, opens nothing any more:
      writes so into keys.d/laptop.toml, and has klopfd read it. Leases stay.

Exit codes:
  0   done
  1   klopfd refused, and said why
  64  the command line is wrong
  66  there is no such key
  69  klopfd does not run, or does not answer
  73  the key's file cannot be written
  76  klopfd is of another version, and answers something unknown
  77  only root may ask
  78  the key's file is broken, or the key is in klopf.toml itself";

const LOCK_HELP: &str = "\
Examples:
  sudo klopf lock
      Closes every door for two minutes, and says what to type on another
      machine. When a knock has come in from there, and a login through the door
      after it, the doors stay closed; else all is undone. Stay logged in until
      it says Confirmed. Ends what klopf unlock began.

  sudo klopf lock ssh
      The same, and it must be the door ssh that somebody comes in by.

Ctrl-C ends the watching, not the trial. Your own connection is never cut.

Exit codes:
  0    confirmed: the doors stay closed
  1    undone: nobody came through, or klopfd refused; it says what it saw
  69   klopfd does not run, or does not answer
  77   only root may ask
  130  interrupted; the trial goes on";

const UNLOCK_HELP: &str = "\
Examples:
  sudo klopf unlock
      Takes every guard away, at once, whether klopfd runs, hangs or is dead.
      What the host's own firewall says is all that counts then. It stays so
      over restarts until: sudo klopf lock

Exit codes:
  0   nothing is guarded any more
  71  the system refused it
  77  only root may ask";

const RELOAD_HELP: &str = "\
Examples:
  sudo klopf reload
      Reads klopf.toml again. Leases and connections are not touched. A file
      with faults changes nothing.

  sudo klopf reload --confirm
      Guards that change are on trial first, as with: klopf lock

Exit codes:
  0    done, or confirmed
  1    refused or undone; it says why
  69   klopfd does not run, or does not answer
  77   only root may ask
  130  interrupted; the trial goes on";

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Show what is guarded, who is let in, which knocks were refused, and what you have opened
    #[command(after_help = STATUS_HELP)]
    Status {
        /// For programs, as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        at: At,
    },
    /// Find out what would keep a knock from working, by playing one
    #[command(after_help = doctor::HELP)]
    Doctor {
        #[command(flatten)]
        options: doctor::Options,
        #[command(flatten)]
        at: At,
    },
    /// Open a door by hand
    #[command(after_help = format!("{GRANT_HELP}\n\n{EXIT_CODES}"))]
    Grant {
        /// The door's name
        door: String,
        /// For whom
        #[arg(value_hint = ValueHint::Hostname, value_parser = address)]
        address: IpAddr,
        /// For how long, as 30s, 10m, 2h or 1d; as long as the door says if not given
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        time: Option<Duration>,
        #[command(flatten)]
        at: At,
    },
    /// End leases at once, or a sheet of codes for good
    #[command(after_help = REVOKE_HELP)]
    Revoke {
        /// An address, or the name of a door or a key
        #[arg(value_name = "ADDRESS|DOOR|KEY")]
        what: String,
        /// End connections that are up, too
        #[arg(long)]
        cut: bool,
        /// End the codes of this sheet of a key, and no lease
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(..2048), conflicts_with = "cut")]
        sheet: Option<u16>,
        #[command(flatten)]
        at: At,
    },
    /// Close the doors on trial, and for good when somebody has come in by a knock from outside
    #[command(after_help = LOCK_HELP)]
    Lock {
        /// Doors of which one must be come in by; without any, any guarded one will do
        #[arg(value_name = "DOOR")]
        doors: Vec<String>,
        #[command(flatten)]
        at: At,
    },
    /// Take every guard away, with or without the daemon
    #[command(after_help = UNLOCK_HELP)]
    Unlock {
        #[command(flatten)]
        at: At,
    },
    /// Have the daemon read its configuration again
    #[command(after_help = RELOAD_HELP)]
    Reload {
        /// Put guards that change on trial first
        #[arg(long)]
        confirm: bool,
        #[command(flatten)]
        at: At,
    },
}

/// Where the daemon is.
#[derive(Args)]
pub(crate) struct At {
    /// Where the daemon's directories are told
    #[arg(long, value_name = "FILE", default_value = NATIVE, value_hint = ValueHint::FilePath)]
    config: PathBuf,
    /// The daemon's control socket, instead of the one in its runtime-dir
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    socket: Option<PathBuf>,
}

impl At {
    /// By the configuration, and a socket that is not where that says.
    pub(crate) fn new(config: PathBuf, socket: Option<PathBuf>) -> Self {
        Self { config, socket }
    }
}

pub(crate) fn run(task: Task) -> ExitCode {
    match task {
        Task::Status { json, at } => status::run(&Place::find(at), json),
        Task::Doctor { options, at } => doctor::run(&Place::find(at), &options),
        Task::Grant { door, address, time, at } => {
            let for_ms = time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
            lock::follow(&Place::find(at), &Request::Grant { door, address, for_ms })
        }
        Task::Revoke { what, sheet: Some(sheet), at, .. } => invite::revoke_sheet(&what, sheet, &Place::find(at)),
        Task::Revoke { what, cut, sheet: None, at } => lock::follow(&Place::find(at), &Request::Revoke { what, cut }),
        Task::Lock { doors, at } => lock::follow(&Place::find(at), &Request::Lock { doors }),
        Task::Unlock { at } => unlock::run(&Place::find(at)),
        Task::Reload { confirm, at } => lock::follow(&Place::find(at), &Request::Reload { confirm }),
    }
}

fn address(text: &str) -> Result<IpAddr, &'static str> {
    // An IPv4 address written as an IPv6 one would open nothing.
    text.parse().map(|address: IpAddr| address.to_canonical()).map_err(|_| "write it like 192.0.2.7 or 2001:db8::7")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_in_its_own_family() {
        assert_eq!(address("::ffff:192.0.2.7"), Ok(IpAddr::from([192, 0, 2, 7])));
        assert!(address("2001:db8::7").is_ok() && address("host").is_err() && address("192.0.2.0/24").is_err());
    }
}
