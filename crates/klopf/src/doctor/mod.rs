//! `klopf doctor`: what would keep a knock from working, in the order in which it would, each with the remedy.
//!
//! It looks, and then plays: a knock from a network namespace of its own, and a connection to each guarded port. What it
//! makes for that is gone when it ends.

mod boot;
mod clock;
mod containers;
mod daemon;
mod doors;
mod finding;
mod host;
mod kernel;
mod network;
mod others;
mod probe;
mod rehearsal;
mod rights;
mod services;
mod stage;

use std::process::ExitCode;

use clap::Args;
use klopf_control::Guards;
use klopf_sys::{Signal, Signals};

use self::finding::Findings;
use self::host::Host;
use self::stage::Stage;
use crate::complain;
use crate::daemon::Place;
use crate::times::span;

pub(crate) const HELP: &str = "\
Examples:
  sudo klopf doctor
      Looks at rights, configuration, klopfd, kernel, interfaces, other
      firewalls, clock, containers, boot and services. Then plays a knock
      through the whole path, from a network namespace of its own to a spare
      port, for IPv4 and IPv6, and tries each guarded port with a lease of three
      seconds. Nothing of that stays.

  sudo klopf doctor --no-rehearsal
      Only looks.

  sudo klopf doctor --json | jq '.findings[] | select(.level == \"wrong\").text'
      For programs. Levels are fine, warning and wrong.

Doors that run commands or start a service are not tried: that would run them.
To see why a knock from elsewhere was refused: klopf status

Exit codes:
  0    nothing is wrong; there may be warnings
  1    something is wrong; it says what to do
  77   only root may look
  130  interrupted";

/// How it is done.
#[derive(Args)]
pub(crate) struct Options {
    /// Only look: play no knock
    #[arg(long)]
    no_rehearsal: bool,
    /// For programs, as JSON
    #[arg(long)]
    json: bool,
}

/// Ended by a signal.
struct Interrupted;

pub(crate) fn run(place: &Place, options: &Options) -> ExitCode {
    if !rustix::process::geteuid().is_root() {
        return crate::cli::fail("only root may look at all of it; put sudo before the command", 77);
    }
    // Blocked, so that what was made is taken away first.
    let signals = match Signals::open() {
        Ok(signals) => signals,
        Err(error) => return crate::cli::fail(format_args!("cannot wait for signals: {error}"), 71),
    };
    let mut findings = Findings::new(options.json);
    match examine(place, options, &signals, &mut findings) {
        Ok(()) => findings.end(),
        Err(Interrupted) => {
            complain("Interrupted; what was made for the rehearsal is gone.");
            130.into()
        }
    }
}

fn examine(place: &Place, options: &Options, signals: &Signals, findings: &mut Findings) -> Result<(), Interrupted> {
    stage::tidy();
    let mut host = Host::look(place, findings);
    host.read_configuration(place, findings);
    rights::check(&host, findings);
    let plays = !options.no_rehearsal && rights::may_play();
    daemon::check(&host, place, findings);
    kernel::check(&host, findings);
    network::check(&host, findings);
    let guarded = host.status.as_ref().is_some_and(|status| status.guards == Guards::Guarded);
    others::check(&host, plays && guarded, findings);
    clock::check(place, findings);
    containers::check(&host, findings);
    boot::check(&host, findings);
    services::check(&host, findings);
    interrupted(signals)?;
    if options.no_rehearsal {
        return Ok(());
    }
    let Some(status) = &host.status else {
        findings.warn("rehearsal", "not played: klopfd does not answer", "start klopfd, and ask again");
        return Ok(());
    };
    let later = match status.guards {
        Guards::Trial => {
            let left = status.trial_left_ms.map(|ms| format!(" in {}", span(ms))).unwrap_or_default();
            Some(("the guards are on trial", format!("ask again when that is over{left}")))
        }
        Guards::Unlocked => {
            Some(("nothing is guarded", "sudo klopf lock begins a trial; ask again when that is over".to_owned()))
        }
        Guards::Guarded | Guards::None => None,
    };
    if let Some((why, remedy)) = later {
        findings.warn("rehearsal", format!("not played: {why}"), remedy);
        return Ok(());
    }
    if !plays {
        findings.warn("rehearsal", "not played: it takes CAP_SYS_ADMIN", "run it outside of the container, as root");
        return Ok(());
    }
    match Stage::set(&host) {
        Ok(mut stage) => {
            rehearsal::play(&host, place, &mut stage, signals, findings)?;
            doors::try_all(&host, place, &mut stage, signals, findings)
        }
        Err(why) => {
            interrupted(signals)?;
            let remedy = "see whether this works: ip netns add try && ip netns delete try";
            findings.warn("rehearsal", format!("not played: {why}"), remedy);
            Ok(())
        }
    }
}

/// Whether somebody wants it to end.
fn interrupted(signals: &Signals) -> Result<(), Interrupted> {
    while let Some(signal) = signals.next() {
        if matches!(signal, Signal::Interrupt | Signal::Terminate | Signal::Hangup) {
            return Err(Interrupted);
        }
    }
    Ok(())
}
