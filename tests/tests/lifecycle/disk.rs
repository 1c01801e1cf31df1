//! A state directory that takes nothing: nobody is locked out, and the log says what is lost.

use std::fs;
use std::time::{Duration, Instant};

use klopf_tests::{CLIENT4, Case, Daemon, Door, Result, SERVER4, Stage, Wire, ensure, set_klopfd};

use crate::{PORTS, both};

const SECONDS: u32 = 1;
/// Mount the directory `$0` as it shall be, and execute the rest.
const FULL: &str =
    "mount -t tmpfs -o size=64k tmpfs \"$0\" && { cat /dev/zero > \"$0/full\" 2> /dev/null; exec \"$@\"; }";
const READ_ONLY: &str = "mount -t tmpfs -o ro tmpfs \"$0\" && exec \"$@\"";

pub(crate) fn cases() -> impl Iterator<Item = Case> {
    both("disk_that_is_full_holds_no_door_up", &[], |stage, daemon| {
        on_disk(stage, daemon, FULL, "No space left on device")
    })
    .chain(both("disk_that_is_read_only_holds_no_door_up", &[], |stage, daemon| {
        on_disk(stage, daemon, READ_ONLY, "Read-only file system")
    }))
    .chain([Case::new("disk_that_is_full_holds_no_door_up_for_its_log", &Wire::NEEDS, full_log)])
}

fn on_disk(stage: &Stage, daemon: Daemon, mount: &str, why: &str) -> Result {
    let state = stage.path("state");
    fs::create_dir(&state)?;
    daemon.configure(stage, &[Door::new("door", &PORTS, Some(SECONDS))])?;
    let running = daemon.start_under(stage, &["sh", "-c", mount, &state.to_string_lossy()])?;
    opens_and_closes(stage)?;
    let said = format!("{}{}", running.log()?, stage.text("knockd.log"));
    ensure!(said.lines().any(|line| line.contains("journal") && line.contains(why)), "it does not say {why}:\n{said}");
    running.terminate()?;
    ensure!(stage.notes().len() == 2, "noted: {:?}", stage.notes());
    Ok(())
}

fn full_log(stage: &Stage) -> Result {
    Daemon::Klopfd.configure(stage, &[Door::new("door", &PORTS, Some(SECONDS))])?;
    set_klopfd(stage, "log", "\"/dev/full\"")?;
    let running = Daemon::Klopfd.start(stage)?;
    opens_and_closes(stage)?;
    let code = running.terminate()?;
    ensure!(code == 0, "ended with {code}");
    Ok(())
}

fn opens_and_closes(stage: &Stage) -> Result {
    let knocked = Instant::now();
    Wire::link(stage, "eth0")?.knock(CLIENT4, SERVER4, &PORTS)?;
    stage.until_noted("open door 10.99.0.2", 1)?;
    stage.until_noted("close door 10.99.0.2", 1)?;
    let open = knocked.elapsed();
    ensure!(open >= Duration::from_secs(SECONDS.into()), "closed after {open:?}");
    // Some time more, for a machine that has much to do.
    ensure!(open < Duration::from_secs(u64::from(SECONDS) + 3), "closed only after {open:?}");
    Ok(())
}
