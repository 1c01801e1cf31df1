//! The story with a `knockd`, real or ours: the test tests the story and not our program.

use std::fs;
use std::net::IpAddr;

use klopf_tests::Signal;
use klopf_tests::{Case, Daemon, Need, Result, SERVER4, SERVER6, Sshd, Stage, ensure, gone, send, until, until_some};

pub(crate) fn cases() -> impl Iterator<Item = Case> {
    [Daemon::Knockd, Daemon::Face].into_iter().flat_map(|daemon| {
        [("ipv4", SERVER4), ("ipv6", SERVER6)].map(|(family, server)| {
            let needs: Vec<Need> = daemon.needs().iter().copied().chain(Sshd::NEEDS).collect();
            Case::new(format!("story_{}_{family}", daemon.name()), &needs, move |stage| story(stage, daemon, server))
        })
    })
}

fn story(stage: &Stage, daemon: Daemon, server: IpAddr) -> Result {
    let ssh = Sshd::prepare(stage)?;
    let config = stage.write(
        "knockd.conf",
        &format!(
            "[startSSH]\n  sequence = 42000,23000,1337\n  seq_timeout = 5\n  command = {} start\n  tcpflags = syn\n",
            ssh.init.display(),
        ),
    )?;
    let (pid_file, log) = (stage.path("knockd.pid"), stage.path("knockd.log"));

    let mut knockd = stage.server.daemon(daemon.program()?);
    knockd.arg("-d").arg("-c").arg(config).args(["-i", "eth0"]).arg("-p").arg(&pid_file).arg("-g").arg(&log);
    let begun = knockd.env("KLOPF_STATE_DIR", stage.path("state")).output()?;
    ensure!(begun.status.success(), "knockd -d: {begun:?}");
    let pid: u32 =
        until_some("a pid file", || Ok(fs::read_to_string(&pid_file).ok().and_then(|text| text.trim().parse().ok())))?;
    ensure!(!gone(pid), "the pid file names nobody");

    ssh.must_be_silent(stage, server)?;

    knock(stage, daemon, server, &["42000", "1337", "23000"])?;
    until("the wrong knock is noticed", || Ok(stage.text("knockd.log").contains("Stage 1")))?;
    ssh.must_be_silent(stage, server)?;

    knock(stage, daemon, server, &["42000", "23000", "1337"])?;
    stage.server.until_listens(22, true)?;
    ensure!(ssh.answers(stage, server)?, "ssh does not answer");
    // One start in all, so the wrong knock has opened nothing, late or not.
    ensure!(stage.notes() == ["ssh start"], "the script was called: {:?}", stage.notes());
    ensure!(stage.text("knockd.log").matches("OPEN SESAME").count() == 1, "opened more than once");

    send(pid, Signal::TERM)?;
    until("the daemon ends", || Ok(gone(pid)))?;
    ensure!(!pid_file.exists(), "the pid file is still there");
    Ok(())
}

fn knock(stage: &Stage, daemon: Daemon, server: IpAddr, ports: &[&str]) -> Result {
    let done = daemon.knocker(stage)?.arg(server.to_string()).args(ports).output()?;
    ensure!(done.status.success(), "knock: {done:?}");
    Ok(())
}
