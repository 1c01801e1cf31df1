//! Why the daemon could not be asked, and what to do.

use std::process::ExitCode;
use std::time::Duration;

use klopf_control::{AskError, Client, Guards, Reply, Request};
use klopf_gate::Lockfile;
use klopf_gate::firewall::Firewall;

use super::{Place, service};
use crate::cli::fail;

/// How long klopfd may take to say how it stands.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is guarded, if klopfd runs and answers.
pub(crate) fn guards(place: &Place) -> Option<Guards> {
    match Client::ask(&place.socket, &Request::Status, PATIENCE).ok()?.reply(PATIENCE).ok()?? {
        Reply::Status(status) => Some(status.guards),
        _ => None,
    }
}

/// The error, what it means, and what to do.
pub(super) fn unheard(error: &AskError, place: &Place) -> ExitCode {
    let socket = place.socket.display();
    match error {
        AskError::NoDaemon => fail(
            format_args!("{error}: nobody listens at {socket}\n{}\nStart it: {}", left(place), service("start")),
            69,
        ),
        AskError::NoAnswer => fail(
            format_args!(
                "{error} at {socket}; it may be stopped or hang\n\
                 Restart it, which cuts nothing: {}\nOr take every guard away: klopf unlock",
                service("restart")
            ),
            69,
        ),
        AskError::NotAllowed => fail(format_args!("{error}; put sudo before the command"), 77),
        AskError::Strange => fail(format_args!("{error}; restart klopfd if it was upgraded"), 76),
        AskError::System(_) => fail(error, 71),
    }
}

/// What an ended daemon has left in the kernel; who is not root cannot look.
pub(crate) fn left(place: &Place) -> &'static str {
    let mut firewall = rustix::process::geteuid().is_root().then(|| Firewall::open(false).ok()).flatten();
    let table = firewall.as_mut().and_then(|firewall| firewall.is_there().ok());
    match table {
        Some(false) if Lockfile::new(&place.state_dir).is_unlocked() => {
            "Nothing is guarded: klopf unlock, or a trial that nobody confirmed, took the\n\
             guards away. klopf lock, with klopfd running, brings them back."
        }
        Some(false) => "Nothing is guarded: there is no table inet klopf in the kernel.",
        Some(true) if firewall.is_some_and(|mut firewall| firewall.was_on_trial().unwrap_or(false)) => {
            "The guards were on trial: they end when it would have ended, and no knock opens\n\
             anything until klopfd runs.\n\
             To take them away now: klopf unlock"
        }
        Some(true) => {
            "Guards and leases are in the kernel: ports of a door with if-klopfd-dies =\n\
             \"open\" are open now, all others stay closed, leases end on time, and no knock\n\
             opens anything.\n\
             To take every guard away: klopf unlock"
        }
        None => {
            "What was guarded stays so, leases end on time, and no knock opens anything.\n\
             To see whether anything is guarded: sudo klopf status\n\
             To take every guard away: sudo klopf unlock"
        }
    }
}

/// The daemon's no, and what to do.
pub(super) fn refused(why: &str, help: Option<&str>) -> ExitCode {
    fail(format_args!("{why}{}{}", if help.is_some() { "\nhelp: " } else { "" }, help.unwrap_or_default()), 1)
}
