//! Kernels that lack a wall of the sandbox: what can be done without is said, what cannot ends the daemon.

use klopf_tests::{CLIENT4, Case, Daemon, Door, Result, Running, SERVER4, Stage, Wire, ensure, set_klopfd};

use crate::{PORTS, both};

const OLD_KERNEL: &str = env!("CARGO_BIN_EXE_old-kernel");
/// EX_OSERR of klopfd.
const OS_ERROR: i32 = 71;

pub(crate) fn cases() -> impl Iterator<Item = Case> {
    both("without_landlock_it_starts_and_says_so", &[], without_landlock)
        .chain(both("without_seccomp_it_refuses", &[], without_seccomp))
        .chain(both("without_seccomp_it_starts_when_told_to_and_says_so", &[], told_to))
        .chain(both("without_seccomp_and_landlock_it_says_both", &[], without_both))
}

fn without_landlock(stage: &Stage, daemon: Daemon) -> Result {
    daemon.configure(stage, &[Door::new("door", &PORTS, None)])?;
    let running = daemon.start_under(stage, &[OLD_KERNEL, "landlock"])?;
    opens_and_says(stage, &running, &["without landlock"])
}

fn without_seccomp(stage: &Stage, daemon: Daemon) -> Result {
    daemon.configure(stage, &[Door::new("door", &PORTS, None)])?;
    let command = daemon.command_under(stage, &[OLD_KERNEL, "seccomp"])?;
    let mut running = Running::start(command, &stage.path(format!("{}.out", daemon.name())))?;
    let code = running.until_ended()?;
    let (wanted, way_out) = match daemon {
        Daemon::Klopfd => (OS_ERROR, "seccomp = \"optional\""),
        Daemon::Knockd | Daemon::Face => (1, "--without-seccomp"),
    };
    ensure!(code == wanted, "ended with {code} instead of {wanted}");
    let said = running.log()?;
    ensure!(said.contains("the kernel has no seccomp"), "it does not say why:\n{said}");
    ensure!(said.contains(way_out), "it does not say what to do, {way_out}:\n{said}");
    ensure!(!said.contains("started again"), "it says that it goes on:\n{said}");
    Ok(())
}

fn told_to(stage: &Stage, daemon: Daemon) -> Result {
    let running = start_told(stage, daemon, "seccomp")?;
    opens_and_says(stage, &running, &["without seccomp"])
}

fn without_both(stage: &Stage, daemon: Daemon) -> Result {
    let running = start_told(stage, daemon, "landlock,seccomp")?;
    opens_and_says(stage, &running, &["seccomp", "landlock"])
}

/// Starts it on a kernel that lacks this, told that seccomp may be missing.
fn start_told(stage: &Stage, daemon: Daemon, lacking: &str) -> Result<Running> {
    daemon.configure(stage, &[Door::new("door", &PORTS, None)])?;
    if daemon == Daemon::Klopfd {
        set_klopfd(stage, "seccomp", "\"optional\"")?;
        return daemon.start_under(stage, &[OLD_KERNEL, lacking]);
    }
    let mut command = daemon.command_under(stage, &[OLD_KERNEL, lacking])?;
    command.arg("--without-seccomp");
    let mut running = Running::start(command, &stage.path(format!("{}.out", daemon.name())))?;
    running.until("it has started up", |_| stage.text("knockd.log").contains("starting up"))?;
    Ok(running)
}

fn opens_and_says(stage: &Stage, running: &Running, words: &[&str]) -> Result {
    Wire::link(stage, "eth0")?.knock(CLIENT4, SERVER4, &PORTS)?;
    stage.until_noted("open door 10.99.0.2", 1)?;
    let said = format!("{}{}", running.log()?, stage.text("knockd.log"));
    for word in words {
        ensure!(said.contains(word), "nothing of {word:?} in the log:\n{said}");
    }
    Ok(())
}
