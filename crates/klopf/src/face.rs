//! The `knock` face: knock 0.8's options, output and exit codes.

mod options;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use klopf_wire::Proto;

use crate::hits::{self, Hit};
use crate::send::{self, SendError};
use crate::{complain, say};

pub(crate) use options::{EXAMPLE, OPTIONS, SYNOPSIS};
use options::{Request, Stop};

/// Runs as `knock`; the first of `args` is the program's name.
///
/// Exit codes: 0 the knock was sent, or the version shown; 1 anything else.
pub fn knock(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter().map(|arg| arg.to_string_lossy().into_owned());
    let program = args.next().unwrap_or_else(|| "knock".to_owned());
    match options::parse(args) {
        Ok(request) => knock_as_asked(&request),
        Err(Stop::Version) => {
            say(format_args!("knock 0.8 (klopf {})", env!("CARGO_PKG_VERSION")));
            ExitCode::SUCCESS
        }
        Err(Stop::Help) => usage(),
        Err(Stop::Wrong(what)) => {
            complain(format_args!("{program}: {what}"));
            usage()
        }
    }
}

fn usage() -> ExitCode {
    say(options::usage());
    ExitCode::FAILURE
}

fn knock_as_asked(request: &Request) -> ExitCode {
    let Some((host, [first, rest @ ..])) = request.operands.split_first() else { return usage() };
    let delay = match delay(&request.delay) {
        Ok(delay) => delay,
        Err(what) => return fail(what),
    };
    let mut hits = Vec::new();
    let mut all_good = true;
    for operand in [first].into_iter().chain(rest) {
        match hits::parse(operand) {
            Ok(hit) if request.udp => hits.push(hit.over(Proto::Udp)),
            Ok(hit) => hits.push(hit),
            Err(why) => {
                fail(format_args!("'{operand}': {why}"));
                all_good = false;
            }
        }
    }
    if !all_good {
        return ExitCode::FAILURE;
    }
    match send_all(host, &hits, delay, request) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !matches!(error, SendError::Unreachable { .. }) {
                // knock 0.8's words, for scripts that look for them.
                complain(format_args!("Failed to resolve hostname '{host}' on port {first}"));
            }
            fail(error)
        }
    }
}

fn send_all(host: &str, hits: &[Hit], delay: Duration, request: &Request) -> Result<(), SendError> {
    let addr = send::resolve(host, request.family)?;
    send::knock(addr, hits, delay, |hit| {
        if request.verbose {
            say(format_args!("hitting {} {}:{}", hit.port.proto, addr.ip(), hit.typed));
        }
    })
}

fn delay(text: &str) -> Result<Duration, String> {
    match text.parse::<i64>().map(u64::try_from) {
        Ok(Ok(ms)) => Ok(Duration::from_millis(ms)),
        Ok(Err(_)) => Err("delay cannot be negative".to_owned()),
        Err(_) => Err(format!("delay '{text}' is not a whole number of milliseconds")),
    }
}

fn fail(what: impl std::fmt::Display) -> ExitCode {
    complain(format_args!("error: {what}"));
    ExitCode::FAILURE
}
