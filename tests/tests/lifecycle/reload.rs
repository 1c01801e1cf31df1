//! HUP: all or nothing, and what is under way goes on.

use std::fs;

use klopf_tests::{CLIENT4, Case, Daemon, Door, Result, SERVER4, Signal, Stage, Wire, ensure, until};

use crate::{PORTS, both};

const OTHER: [u16; 3] = [5001, 5003, 5002];

pub(crate) fn cases() -> impl Iterator<Item = Case> {
    both("reload_of_a_broken_file_keeps_the_old_one", &[], broken)
        .chain(both("reload_lets_attempts_go_on", &[], attempts))
        .chain(both("reload_lets_doors_stay_open", &[], doors))
}

fn broken(stage: &Stage, daemon: Daemon) -> Result {
    let config = daemon.configure(stage, &[Door::new("door", &PORTS, None)])?;
    let mut running = daemon.start(stage)?;
    let good = fs::read_to_string(&config)?;
    let (faults, place) = match daemon {
        Daemon::Klopfd => ("[door.other]\nsequence = [\"FIRST\"]\nwithin = \"SECOND\"\n", "klopf.toml:"),
        Daemon::Knockd | Daemon::Face => ("[other]\nsequence = 1,2,3\nFIRST\nSECOND\n", "line "),
    };
    let text = format!("{good}{faults}");
    let lines: Vec<String> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains("FIRST") || line.contains("SECOND"))
        .map(|(number, _)| format!("{place}{}:", number + 1))
        .collect();
    fs::write(&config, text)?;
    running.signal(Signal::HUP)?;
    running.until(&format!("it tells of {lines:?}"), |log| {
        let said = format!("{log}{}", stage.text("knockd.log"));
        lines.iter().all(|line| said.contains(line))
    })?;
    Wire::link(stage, "eth0")?.knock(CLIENT4, SERVER4, &PORTS)?;
    stage.until_noted("open door 10.99.0.2", 1)
}

fn attempts(stage: &Stage, daemon: Daemon) -> Result {
    let door = Door::new("door", &PORTS, None);
    daemon.configure(stage, std::slice::from_ref(&door))?;
    let running = daemon.start(stage)?;
    let mut wire = Wire::link(stage, "eth0")?;
    let (first_two, last) = PORTS.split_at(2);
    wire.knock(CLIENT4, SERVER4, first_two)?;
    // Packets are taken in order: when this one has opened, those two have been seen.
    wire.knock("10.99.0.8".parse()?, SERVER4, &PORTS)?;
    stage.until_noted("open door 10.99.0.8", 1)?;
    daemon.configure(stage, &[door, Door::new("other", &OTHER, None)])?;
    running.signal(Signal::HUP)?;
    until_taken(stage, &mut wire)?;
    wire.knock(CLIENT4, SERVER4, last)?;
    stage.until_noted("open door 10.99.0.2", 1)
}

fn doors(stage: &Stage, daemon: Daemon) -> Result {
    let seconds = if daemon == Daemon::Klopfd { 600 } else { 4 };
    let door = Door::new("door", &PORTS, Some(seconds));
    daemon.configure(stage, std::slice::from_ref(&door))?;
    let running = daemon.start(stage)?;
    let mut wire = Wire::link(stage, "eth0")?;
    wire.knock(CLIENT4, SERVER4, &PORTS)?;
    stage.until_noted("open door 10.99.0.2", 1)?;
    daemon.configure(stage, &[door, Door::new("other", &OTHER, None)])?;
    running.signal(Signal::HUP)?;
    until_taken(stage, &mut wire)?;
    ensure!(daemon != Daemon::Klopfd || stage.noted("close door 10.99.0.2") == 0, "the reload closed the door");
    running.terminate()?;
    ensure!(stage.noted("close door 10.99.0.2") == 1, "noted: {:?}", stage.notes());
    Ok(())
}

/// Waits until the new configuration is in force, by knocking at its new door from another origin.
fn until_taken(stage: &Stage, wire: &mut Wire) -> Result {
    let other = "10.99.0.9".parse()?;
    until("the new door opens", || {
        wire.knock(other, SERVER4, &OTHER)?;
        Ok(stage.noted("open other 10.99.0.9") > 0)
    })
}
