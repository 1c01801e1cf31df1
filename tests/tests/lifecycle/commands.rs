//! Commands: apart from the daemon, and no burden to it.

use klopf_tests::{
    CLIENT4, Case, Daemon, Result, Running, SERVER4, Stage, Wire, configure_klopfd, ensure, process_field, until,
};

use crate::PORTS;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("command_has_its_own_session_and_descriptors", &Wire::NEEDS, apart),
        Case::new("command_failure_is_logged_with_status_and_last_line", &Wire::NEEDS, failing),
        Case::new("command_that_hangs_holds_nobody_up", &Wire::NEEDS, hanging),
    ]
}

fn apart(stage: &Stage) -> Result {
    let (script, result) = (stage.path("apart"), stage.path("apart.txt"));
    // The loop has its own process, so that its redirection does not show in the shell's descriptors.
    stage.script(
        "apart",
        &format!(
            "( echo \"$$ $(cut -d' ' -f5,6 /proc/$$/stat)\"\n\
             for fd in /proc/$$/fd/*; do echo \"${{fd##*/}} $(readlink \"$fd\")\"; done ) > {0}.new\n\
             mv {0}.new {0}",
            result.display(),
        ),
    )?;
    let _klopfd = opened(stage, &format!("on-open = [{script:?}]"))?;
    until("the command has run", || Ok(result.exists()))?;
    let text = stage.text("apart.txt");
    let mut lines = text.lines();
    let identity: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    ensure!(
        matches!(*identity, [pid, group, session] if pid == group && pid == session),
        "pid, group, session: {text}"
    );
    for line in lines {
        let (number, target) = line.split_once(' ').unwrap_or((line, ""));
        let known = match number {
            "0" => target == "/dev/null",
            "1" | "2" => !target.starts_with("socket:") && !target.ends_with(".out"),
            // The shell's own, or closed while the shell looked.
            _ => target == script.display().to_string() || target.is_empty(),
        };
        ensure!(known, "descriptor {line} of all:\n{text}");
    }
    Ok(())
}

fn failing(stage: &Stage) -> Result {
    let script = stage.script("failing", "echo the first line\necho the last line >&2\nexit 43")?;
    let mut klopfd = opened(stage, &format!("on-open = [{script:?}]"))?;
    klopfd.until("the failure is logged", |log| {
        log.lines().any(|line| line.contains("43") && line.contains("the last line"))
    })
}

fn hanging(stage: &Stage) -> Result {
    let note = stage.note()?;
    let script = stage.script("hanging", &format!("{note} hanging $$\nexec tail -f /dev/null"))?;
    configure_klopfd(
        stage,
        &["eth0"],
        &format!(
            "[door.one]\nsequence = {PORTS:?}\non-open = [{script:?}]\n\
             [door.two]\nsequence = [5001, 5003, 5002]\non-open = [{note:?}, \"open\", \"{{door}}\"]\n",
        ),
    )?;
    let klopfd = Daemon::Klopfd.start(stage)?;
    let mut wire = Wire::link(stage, "eth0")?;
    wire.knock(CLIENT4, SERVER4, &PORTS)?;
    until("the first command hangs", || Ok(!stage.notes().is_empty()))?;
    wire.knock(CLIENT4, SERVER4, &[5001, 5003, 5002])?;
    stage.until_noted("open two", 1)?;
    let notes = stage.notes();
    let pid = notes.first().and_then(|note| note.strip_prefix("hanging ")).ok_or("no pid")?.parse()?;
    ensure!(process_field(pid, "State").is_some_and(|state| !state.starts_with('Z')), "the first command has ended");
    klopfd.terminate().map(drop)
}

/// A daemon that has just been knocked at, at a door with these lines.
fn opened(stage: &Stage, lines: &str) -> Result<Running> {
    configure_klopfd(stage, &["eth0"], &format!("[door.door]\nsequence = {PORTS:?}\nwithin = \"60s\"\n{lines}\n"))?;
    let klopfd = Daemon::Klopfd.start(stage)?;
    Wire::link(stage, "eth0")?.knock(CLIENT4, SERVER4, &PORTS)?;
    Ok(klopfd)
}
