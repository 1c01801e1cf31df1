//! Two hundred HUPs at once: the daemon takes them, and the knocks among them.

use klopf_tests::{Case, Daemon, Door, Result, SERVER4, Signal, Stage, Wire, ensure, process_field};

use crate::{PORTS, both};

const HUPS: usize = 200;
/// Origins that knock meanwhile: 10.99.0.10 and on.
const ORIGINS: usize = 10;

pub(crate) fn cases() -> impl Iterator<Item = Case> {
    both("reloads_in_a_burst_do_no_harm", &[], burst)
}

fn burst(stage: &Stage, daemon: Daemon) -> Result {
    daemon.configure(stage, &[Door::new("door", &PORTS, None)])?;
    let running = daemon.start(stage)?;
    let watches = || -> Result<Vec<u32>> {
        let is_watch = |pid: &u32| process_field(*pid, "Name").is_some_and(|name| name == "klopf-watch");
        Ok(running.children()?.into_iter().filter(is_watch).collect())
    };
    let before = watches()?;
    ensure!(before.len() == 1, "watch processes: {before:?}");

    let mut wire = Wire::link(stage, "eth0")?;
    for origin in 10..10 + ORIGINS {
        let origin = format!("10.99.0.{origin}");
        for port in PORTS {
            wire.knock(origin.parse()?, SERVER4, &[port])?;
            (0..HUPS.div_ceil(ORIGINS * PORTS.len())).try_for_each(|_| running.signal(Signal::HUP))?;
            ensure!(watches()? == before, "another watch: {:?} after {before:?}", watches()?);
        }
        // A reload lets attempts go on. Waited for, as signals that come at once may be one to the daemon.
        stage.until_noted(&format!("open door {origin}"), 1)?;
    }
    wire.knock("10.99.0.9".parse()?, SERVER4, &PORTS)?;
    stage.until_noted("open door 10.99.0.9", 1)?;
    ensure!(stage.notes().len() == ORIGINS + 1, "noted: {:?}", stage.notes());
    ensure!(watches()? == before, "another watch: {:?} after {before:?}", watches()?);
    let said = format!("{}{}", running.log()?, stage.text("knockd.log"));
    let reloads = said.lines().filter(|line| line.contains("reading")).count();
    ensure!(reloads > 1, "only {reloads} reloads");
    running.terminate().map(drop)
}
