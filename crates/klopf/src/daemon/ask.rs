//! Why the daemon could not be asked, and what to do.

use std::process::ExitCode;

use klopf_control::AskError;

use super::Place;
use crate::cli::fail;

/// The error, what it means, and what to do.
pub(super) fn unheard(error: &AskError, place: &Place) -> ExitCode {
    let socket = place.socket.display();
    match error {
        AskError::NoDaemon => fail(
            format_args!(
                "{error}: nobody listens at {socket}\n\
                 Guards and leases are in the kernel: ports of a door with if-klopfd-dies = \"open\" are open now, all \
                 others\nstay closed, leases end on time, and no knock opens anything.\n\
                 Start klopfd: systemctl start klopfd\nOr take every guard away: klopf unlock"
            ),
            69,
        ),
        AskError::NoAnswer => fail(
            format_args!(
                "{error} at {socket}; it may be stopped or hang\n\
                 Restart it, which cuts nothing: systemctl restart klopfd\nOr take every guard away: klopf unlock"
            ),
            69,
        ),
        AskError::NotAllowed => fail(format_args!("{error}; put sudo before the command"), 77),
        AskError::Strange => fail(format_args!("{error}; restart klopfd if it was upgraded"), 76),
        AskError::System(_) => fail(error, 71),
    }
}

/// The daemon's no, and what to do.
pub(super) fn refused(why: &str, help: Option<&str>) -> ExitCode {
    fail(format_args!("{why}{}{}", if help.is_some() { "\n" } else { "" }, help.unwrap_or_default()), 1)
}
