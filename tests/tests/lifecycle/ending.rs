//! TERM with several doors open: each is closed, once, and nothing holds up somebody who says it twice.

use std::fs;
use std::time::{Duration, Instant};

use klopf_tests::{Case, Daemon, Door, Result, Running, SERVER4, Signal, Stage, Wire, ensure};

use crate::{PORTS, both};

const OTHER: [u16; 3] = [5001, 5003, 5002];
const THIRD: [u16; 3] = [6003, 6001, 6002];
/// Which door opens to whom.
const OPENINGS: [(&str, [u16; 3], &str); 5] = [
    ("one", PORTS, "10.99.0.2"),
    ("two", OTHER, "10.99.0.2"),
    ("two", OTHER, "10.99.0.3"),
    ("three", THIRD, "10.99.0.4"),
    ("three", THIRD, "fd00:99::2"),
];

pub(crate) fn cases() -> impl Iterator<Item = Case> {
    both("told_to_stop_it_closes_each_open_door_once", &[], each_once).chain(both(
        "told_twice_to_stop_it_waits_for_no_command",
        &[],
        told_twice,
    ))
}

fn each_once(stage: &Stage, daemon: Daemon) -> Result {
    let running = all_open(stage, daemon)?;
    let code = running.terminate()?;
    ensure!(code == wanted(daemon), "ended with {code}");
    for (door, _, address) in OPENINGS {
        for line in [format!("open {door} {address}"), format!("close {door} {address}")] {
            ensure!(stage.noted(&line) == 1, "not {line:?} once: {:?}", stage.notes());
        }
    }
    ensure!(stage.notes().len() == 2 * OPENINGS.len(), "noted: {:?}", stage.notes());
    Ok(())
}

fn told_twice(stage: &Stage, daemon: Daemon) -> Result {
    let mut running = all_open(stage, daemon)?;
    // From now on commands note what they are to do, and hang.
    let note = fs::read_to_string(stage.path("note"))?;
    stage.script("note.new", &format!("{note}exec tail -f /dev/null"))?;
    fs::rename(stage.path("note.new"), stage.path("note"))?;
    running.signal(Signal::TERM)?;
    for (door, _, address) in OPENINGS {
        stage.until_noted(&format!("close {door} {address}"), 1)?;
    }
    let told = Instant::now();
    running.signal(Signal::TERM)?;
    let code = running.until_ended()?;
    // Told once, it would give them some seconds more.
    ensure!(told.elapsed() < Duration::from_secs(2), "ended only after {:?}", told.elapsed());
    ensure!(code == wanted(daemon), "ended with {code}");
    ensure!(stage.notes().len() == 2 * OPENINGS.len(), "noted: {:?}", stage.notes());
    Ok(())
}

fn all_open(stage: &Stage, daemon: Daemon) -> Result<Running> {
    let doors = [("one", PORTS), ("two", OTHER), ("three", THIRD)];
    daemon.configure(stage, &doors.map(|(name, ports)| Door::new(name, &ports, Some(600))))?;
    let running = daemon.start(stage)?;
    let mut wire = Wire::link(stage, "eth0")?;
    for (door, ports, address) in OPENINGS {
        let to = if address.contains(':') { klopf_tests::SERVER6 } else { SERVER4 };
        wire.knock(address.parse()?, to, &ports)?;
        stage.until_noted(&format!("open {door} {address}"), 1)?;
    }
    Ok(running)
}

fn wanted(daemon: Daemon) -> i32 {
    if daemon == Daemon::Klopfd { 0 } else { 15 }
}
