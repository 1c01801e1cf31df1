//! `klopf unlock`: the way back in when nothing else works.

use std::process::ExitCode;
use std::time::Duration;

use klopf_control::{AskError, Client, Reply, Request};
use klopf_gate::Unlocked;

use super::Place;
use super::ask::unheard;
use crate::cli::fail;
use crate::{complain, say};

/// How long the daemon may take for each step of answering.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) fn run(place: &Place) -> ExitCode {
    match ask(place) {
        Ok(Reply::Done { text }) => {
            say(text);
            return ExitCode::SUCCESS;
        }
        Err(error @ AskError::NotAllowed) => return unheard(&error, place),
        Err(AskError::NoDaemon) => {}
        Ok(Reply::Failed { why, .. }) => complain(format_args!("klopfd cannot: {why}; doing it without klopfd")),
        Ok(_) => complain("klopfd answers something else; doing it without klopfd"),
        Err(error) => complain(format_args!("{error}; doing it without klopfd")),
    }
    if !rustix::process::geteuid().is_root() {
        return fail("only root may take guards away; put sudo before the command", 77);
    }
    match klopf_gate::unlock(&place.runtime_dir, &place.state_dir) {
        Ok(what) => {
            say(match what {
                Unlocked::NothingThere => "Nothing was guarded.".to_owned(),
                Unlocked::Removed => "Every guard is gone.".to_owned(),
                Unlocked::RemovedAfterKilling { pid } => {
                    format!("Every guard is gone; klopfd (pid {pid}) was killed for it.")
                }
            });
            say("It stays so until: klopf lock");
            ExitCode::SUCCESS
        }
        Err(error) => fail(error, 71),
    }
}

fn ask(place: &Place) -> Result<Reply, AskError> {
    Client::ask(&place.socket, &Request::Unlock, PATIENCE)?.reply(PATIENCE)?.ok_or(AskError::NoAnswer)
}
