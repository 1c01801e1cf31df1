//! Starts that must fail, and say why.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use klopf_tests::{Case, Daemon, Door, Need, Result, Running, Stage, configure_klopfd, ensure};

use crate::PORTS;

const CONFIG: i32 = 78;
const NO_PERMISSION: i32 = 77;
const TEMPORARY: i32 = 75;

/// Each word in capitals is a fault, at the place where it stands.
const BROKEN: &str = "[door.one]\nsequence = [\"42000\", \"KNOCK\", 1337]\nwithin = \"LONG\"\n\
                      [door.two]\nsequence = [1, 2, 3]\n  COLOUR = \"red\"\n";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("broken_file_exits_78_with_every_place", &[], |stage| broken(stage, &[])),
        Case::new("broken_file_is_found_by_check", &[], |stage| broken(stage, &["--check"])),
        Case::new("good_file_passes_check", &[], good),
        Case::new("a_second_daemon_with_the_same_state_exits_75", &[], second),
        Case::new("without_rights_exits_77_with_the_capability", &[Need::Program("setpriv", "util-linux")], no_rights),
    ]
}

fn broken(stage: &Stage, options: &[&str]) -> Result {
    let config = configure_klopfd(stage, &["eth0"], BROKEN)?;
    let mut command = Daemon::Klopfd.command(stage)?;
    command.args(options);
    let said = ends_with(stage, command, CONFIG)?;
    let text = fs::read_to_string(&config)?;
    for word in ["KNOCK", "LONG", "COLOUR"] {
        let (number, line) =
            text.lines().enumerate().find(|(_, line)| line.contains(word)).ok_or("the word is not there")?;
        // The column is that of the value: with its quotes, or without.
        let column = line.find(word).unwrap_or_default();
        let place = |column: usize| format!("{}:{}:{column}", config.display(), number + 1);
        ensure!(
            said.contains(&place(column)) || said.contains(&place(column + 1)),
            "{} is not among the places:\n{said}",
            place(column + 1),
        );
    }
    Ok(())
}

fn good(stage: &Stage) -> Result {
    Daemon::Klopfd.configure(stage, &[Door::new("door", &PORTS, Some(30))])?;
    let mut command = Daemon::Klopfd.command(stage)?;
    command.arg("--check");
    ends_with(stage, command, 0).map(drop)
}

fn second(stage: &Stage) -> Result {
    Daemon::Klopfd.configure(stage, &[Door::new("door", &PORTS, Some(30))])?;
    let first = Daemon::Klopfd.start(stage)?;
    let mut second = Running::start(Daemon::Klopfd.command(stage)?, &stage.path("second.out"))?;
    let code = second.until_ended()?;
    ensure!(code == TEMPORARY, "ended with {code} instead of {TEMPORARY}");
    ensure!(second.log()?.contains("state-dir"), "it does not say what to do:\n{}", second.log()?);
    first.terminate().map(drop)
}

fn no_rights(stage: &Stage) -> Result {
    let config = Daemon::Klopfd.configure(stage, &[Door::new("door", &PORTS, None)])?;
    // Nothing but the right to open the socket may be missing.
    for name in ["state", "run"] {
        fs::create_dir(stage.path(name))?;
        fs::set_permissions(stage.path(name), fs::Permissions::from_mode(0o777))?;
    }
    // The build directory need not be open to everybody.
    let program = stage.path("klopfd");
    let copied = Command::new("cp").arg(Daemon::Klopfd.program()?).arg(&program).status()?;
    ensure!(copied.success(), "cp: {copied}");

    let mut command = stage.server.command("setpriv");
    command
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"])
        .arg(&program)
        .arg("--config")
        .arg(config);
    let said = ends_with(stage, command, NO_PERMISSION)?;
    ensure!(said.contains("CAP_NET_RAW"), "CAP_NET_RAW is not named:\n{said}");
    Ok(())
}

/// Waits for the daemon's own end with this exit code, and returns what it said.
fn ends_with(stage: &Stage, command: Command, wanted: i32) -> Result<String> {
    let mut running = Running::start(command, &stage.path("klopfd.out"))?;
    let code = running.until_ended()?;
    ensure!(code == wanted, "ended with {code} instead of {wanted}");
    running.log()
}
