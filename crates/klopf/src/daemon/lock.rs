//! Requests that are done or refused, at once or after a trial.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use klopf_control::{AskError, Client, Reply, Request, TrialNews};
use klopf_sys::{Signal, Signals};

use super::Place;
use super::ask::{refused, unheard};
use crate::cli::fail;
use crate::times::span;
use crate::{complain, say};

/// How long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the clock and the keyboard are looked at.
const TICK: Duration = Duration::from_millis(200);

/// Asks, and tells what comes of it.
pub(crate) fn follow(place: &Place, request: &Request) -> ExitCode {
    // Without it Ctrl-C only says nothing.
    let signals = Signals::open().ok();
    let mut client = match Client::ask(&place.socket, request, PATIENCE) {
        Ok(client) => client,
        Err(error) => return unheard(&error, place),
    };
    let mut countdown = Countdown::new();
    loop {
        let reply = client.reply(TICK);
        let signal = signals.as_ref().and_then(Signals::next);
        if let Some(Signal::Interrupt | Signal::Terminate | Signal::Hangup) = signal {
            countdown.clear();
            return interrupted(&countdown);
        }
        let reply = match reply {
            Err(AskError::NoAnswer) if countdown.overdue() => return unheard(&AskError::NoAnswer, place),
            Err(AskError::NoAnswer) => {
                countdown.show();
                continue;
            }
            Err(error) => return unheard(&error, place),
            Ok(reply) => reply,
        };
        countdown.clear();
        match reply {
            Some(Reply::Done { text }) => {
                say(text);
                return ExitCode::SUCCESS;
            }
            Some(Reply::Failed { why, help }) => return refused(&why, help.as_deref()),
            Some(Reply::Trial(news)) => {
                if let Some(code) = tell(news, request, &mut countdown) {
                    return code;
                }
            }
            Some(Reply::Status(_) | Reply::Rehearsal { .. }) => return unheard(&AskError::Strange, place),
            None => {
                return fail("klopfd ended before it had answered; see how things stand: klopf status", 69);
            }
        }
        countdown.show();
    }
}

/// The exit code, if these were the last news.
fn tell(news: TrialNews, request: &Request, countdown: &mut Countdown) -> Option<ExitCode> {
    match news {
        TrialNews::Begun { seconds, instructions } => {
            let what = match request {
                Request::Reload { .. } => "The new configuration is in force",
                _ => "Closed",
            };
            say(format_args!("{what} for {}, on trial.\n", minutes(seconds)));
            for line in instructions {
                say(line);
            }
            say("");
            countdown.set(seconds);
            None
        }
        TrialNews::Saw { text } => {
            say(format_args!("Seen: {text}"));
            None
        }
        TrialNews::Left { seconds } => {
            countdown.set(seconds);
            None
        }
        TrialNews::Confirmed { text } => {
            say(format_args!("Confirmed: {text}"));
            Some(ExitCode::SUCCESS)
        }
        TrialNews::Undone { text, saw, not_seen } => {
            say(format_args!("Undone: {text}"));
            for text in saw {
                say(format_args!("  seen: {text}"));
            }
            for text in not_seen {
                say(format_args!("  not seen: {text}"));
            }
            Some(1.into())
        }
    }
}

/// Whole minutes in words, and else seconds.
fn minutes(seconds: u64) -> String {
    match (seconds / 60, seconds % 60) {
        (1, 0) => "1 minute".to_owned(),
        (minutes @ 2.., 0) => format!("{minutes} minutes"),
        _ => format!("{seconds} s"),
    }
}

fn interrupted(countdown: &Countdown) -> ExitCode {
    match countdown.left() {
        Some(left) => complain(format_args!(
            "The trial goes on without you and ends in {}: undone, unless somebody comes in. See: klopf status",
            span(left * 1000)
        )),
        None => complain("Interrupted; klopfd may do it nevertheless. See: klopf status"),
    }
    130.into()
}

/// What is left of a trial: a line that is written again and again on a terminal, and few lines elsewhere.
struct Countdown {
    terminal: bool,
    /// When the daemon must have spoken.
    end: Instant,
    trial: bool,
    /// The seconds that were written last.
    shown: Option<u64>,
    /// Whether the cursor stands behind them.
    line_open: bool,
}

impl Countdown {
    fn new() -> Self {
        let terminal = std::io::stdout().is_terminal();
        Self { terminal, end: Instant::now(), trial: false, shown: None, line_open: false }
    }

    /// So many seconds are left.
    fn set(&mut self, seconds: u64) {
        self.trial = true;
        // Nobody's trial is longer than an hour.
        self.end = Instant::now() + Duration::from_secs(seconds.min(3600));
    }

    /// Whole seconds, the last one counted up.
    fn left(&self) -> Option<u64> {
        let left = self.end.saturating_duration_since(Instant::now()).as_millis();
        self.trial.then(|| u64::try_from(left).unwrap_or(0).div_ceil(1000))
    }

    fn overdue(&self) -> bool {
        self.end.elapsed() > PATIENCE
    }

    fn show(&mut self) {
        let Some(left) = self.left().filter(|left| self.shown != Some(*left)) else { return };
        if self.terminal {
            self.line_open = true;
            let mut out = std::io::stdout().lock();
            // Nobody is left to see it if this fails.
            let _ = write!(out, "\r{} left \x1b[K", span(left * 1000)).and_then(|()| out.flush());
        } else if self.shown.is_some_and(|shown| shown.div_ceil(30) == left.div_ceil(30)) {
            return;
        } else {
            say(format_args!("{} left", span(left * 1000)));
        }
        self.shown = Some(left);
    }

    /// Makes the line free for something else.
    fn clear(&mut self) {
        if std::mem::take(&mut self.line_open) {
            let _ = write!(std::io::stdout(), "\r\x1b[K");
            self.shown = None;
        }
    }
}
