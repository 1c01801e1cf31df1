//! What was opened is closed: at its time, when the daemon is told to stop, and after it was killed. Once.

use std::time::{Duration, Instant};

use klopf_tests::{CLIENT4, Case, Daemon, Door, Result, Running, SERVER4, Stage, Wire, ensure, until};

use crate::{PORTS, both};

const OPEN: &str = "open door 10.99.0.2";
const CLOSE: &str = "close door 10.99.0.2";

pub(crate) fn cases() -> impl Iterator<Item = Case> {
    both("closes_at_its_time", &[], at_its_time)
        .chain(both("closes_when_told_to_stop", &[], told))
        .chain(both("closes_after_a_kill_at_its_time", &[], killed_early))
        .chain(both("closes_after_a_kill_at_once_when_overdue", &[], killed_late))
        .chain(both("stays_open_over_a_kill_until_its_time", &[], killed_and_told))
}

fn at_its_time(stage: &Stage, daemon: Daemon) -> Result {
    let opened = Instant::now();
    let running = opened_for(stage, daemon, 2)?;
    closed_not_before(stage, opened + Duration::from_secs(2))?;
    running.terminate()?;
    once(stage)
}

fn told(stage: &Stage, daemon: Daemon) -> Result {
    // The old program waits for what is open, so its face may, too.
    let seconds = if daemon == Daemon::Klopfd { 600 } else { 3 };
    let running = opened_for(stage, daemon, seconds)?;
    ensure!(stage.noted(CLOSE) == 0, "closed too early");
    let code = running.terminate()?;
    let wanted = if daemon == Daemon::Klopfd { 0 } else { 15 };
    ensure!(code == wanted, "ended with {code} instead of {wanted}");
    once(stage)?;
    // The next one finds nothing left to close.
    daemon.start(stage)?.terminate()?;
    once(stage)
}

fn killed_early(stage: &Stage, daemon: Daemon) -> Result {
    let opened = Instant::now();
    opened_for(stage, daemon, 4)?.murder()?;
    let running = daemon.start(stage)?;
    closed_not_before(stage, opened + Duration::from_secs(4))?;
    running.terminate()?;
    once(stage)
}

fn killed_late(stage: &Stage, daemon: Daemon) -> Result {
    let opened = Instant::now();
    opened_for(stage, daemon, 2)?.murder()?;
    ensure!(stage.noted(CLOSE) == 0, "closed before the kill");
    until("its time passes", || Ok(opened.elapsed() > Duration::from_secs(3)))?;
    ensure!(stage.noted(CLOSE) == 0, "closed by nobody");
    let running = daemon.start(stage)?;
    stage.until_noted(CLOSE, 1)?;
    running.terminate()?;
    once(stage)?;
    daemon.start(stage)?.terminate()?;
    once(stage)
}

fn killed_and_told(stage: &Stage, daemon: Daemon) -> Result {
    let opened = Instant::now();
    let seconds = if daemon == Daemon::Klopfd { 600 } else { 5 };
    opened_for(stage, daemon, seconds)?.murder()?;
    let running = daemon.start(stage)?;
    let early = opened.elapsed() < Duration::from_secs(seconds.into());
    ensure!(!early || stage.noted(CLOSE) == 0, "closed too early");
    running.terminate()?;
    once(stage)
}

/// A daemon that has just opened a door for so many seconds.
fn opened_for(stage: &Stage, daemon: Daemon, seconds: u32) -> Result<Running> {
    daemon.configure(stage, &[Door::new("door", &PORTS, Some(seconds))])?;
    let running = daemon.start(stage)?;
    Wire::link(stage, "eth0")?.knock(CLIENT4, SERVER4, &PORTS)?;
    stage.until_noted(OPEN, 1)?;
    Ok(running)
}

fn closed_not_before(stage: &Stage, due: Instant) -> Result {
    stage.until_noted(CLOSE, 1)?;
    ensure!(Instant::now() >= due, "closed too early");
    Ok(())
}

fn once(stage: &Stage) -> Result {
    ensure!(stage.notes() == [OPEN, CLOSE], "noted: {:?}", stage.notes());
    Ok(())
}
