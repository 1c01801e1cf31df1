//! Having klopfd read its configuration again.

use std::time::{Duration, Instant};

use klopf_control::{AskError, Client, Reply, Request};
use klopf_sys::{Signal, Signals};

use super::failure::{Failure, code};
use crate::daemon::{Place, service};

/// How long klopfd may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the keyboard is looked at.
const TICK: Duration = Duration::from_millis(100);

/// What klopfd made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It was done; what it said.
    Done(String),
    /// Nobody listens.
    NoDaemon,
}

/// Asks klopfd for something, and waits for the answer.
pub(super) fn ask(place: &Place, request: &Request, signals: Option<&Signals>) -> Result<Answer, Failure> {
    match asked(place, request, signals) {
        Ok(Reply::Done { text }) => Ok(Answer::Done(text)),
        Ok(Reply::Failed { why, help }) => Err(Failure { code: 1, why: format!("klopfd refused: {why}"), help }),
        Ok(_) => Err(failure(&AskError::Strange, place)),
        Err(Some(AskError::NoDaemon)) => Ok(Answer::NoDaemon),
        Err(Some(error)) => Err(failure(&error, place)),
        Err(None) => Err(Failure { code: 130, why: "interrupted".to_owned(), help: None }),
    }
}

/// The reply; or why there is none, nothing if somebody interrupts.
fn asked(place: &Place, request: &Request, signals: Option<&Signals>) -> Result<Reply, Option<AskError>> {
    let mut client = Client::ask(&place.socket, request, PATIENCE)?;
    let end = Instant::now() + PATIENCE;
    loop {
        match client.reply(TICK) {
            Err(AskError::NoAnswer) if Instant::now() < end => {}
            reply => return reply?.ok_or(Some(AskError::NoAnswer)),
        }
        if let Some(Signal::Interrupt | Signal::Terminate | Signal::Hangup) = signals.and_then(Signals::next) {
            return Err(None);
        }
    }
}

fn failure(error: &AskError, place: &Place) -> Failure {
    let socket = place.socket.display();
    let (code, help) = match error {
        AskError::NoDaemon | AskError::NoAnswer => (
            code::UNAVAILABLE,
            format!("it may be stopped or hang; restart it, which cuts nothing: {}", service("restart")),
        ),
        AskError::NotAllowed => (code::RIGHTS, "put sudo before the command".to_owned()),
        AskError::Strange => (code::PROTOCOL, "restart klopfd if it was upgraded".to_owned()),
        AskError::System(_) => (code::SYSTEM, "see whether klopfd runs: klopf status".to_owned()),
    };
    Failure::new(code, format!("{error} (at {socket})"), help)
}
