//! The story with a native door, and what its commands get.

use std::net::IpAddr;

use klopf_tests::{CLIENT4, Case, Daemon, Result, SERVER4, SERVER6, Sshd, Stage, Wire, configure_klopfd, ensure};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("story_klopfd_ipv4", &Sshd::NEEDS, |stage| story(stage, SERVER4)),
        Case::new("story_klopfd_ipv6", &Sshd::NEEDS, |stage| story(stage, SERVER6)),
        Case::new("arguments_are_never_read_by_a_shell", &Wire::NEEDS, arguments),
        Case::new("environment_is_clean", &Wire::NEEDS, environment),
    ]
}

fn story(stage: &Stage, server: IpAddr) -> Result {
    let ssh = Sshd::prepare(stage)?;
    // Long enough for `ssh` on a loaded machine.
    let door = format!(
        "[door.ssh]\nsequence = [\"42000\", \"23000\", \"1337\"]\nwithin = \"5s\"\n\
         on-open = [{init:?}, \"start\"]\non-close = [{init:?}, \"stop\"]\nopen-for = \"4s\"\n",
        init = ssh.init,
    );
    configure_klopfd(stage, &["eth0"], &door)?;
    let klopfd = Daemon::Klopfd.start(stage)?;

    ssh.must_be_silent(stage, server)?;
    knock(stage, server, &["42000", "1337", "23000"])?;
    ssh.must_be_silent(stage, server)?;

    knock(stage, server, &["42000", "23000", "1337"])?;
    stage.server.until_listens(22, true)?;
    ensure!(ssh.answers(stage, server)?, "ssh does not answer");

    stage.server.until_listens(22, false)?;
    ssh.must_be_silent(stage, server)?;
    ensure!(stage.notes() == ["ssh start", "ssh stop"], "the script was called: {:?}", stage.notes());
    let code = klopfd.terminate()?;
    ensure!(code == 0, "klopfd ended with {code}");
    Ok(())
}

fn knock(stage: &Stage, server: IpAddr, ports: &[&str]) -> Result {
    let done = Daemon::Klopfd.knocker(stage)?.arg(server.to_string()).args(ports).output()?;
    ensure!(done.status.success(), "klopf knock: {done:?}");
    Ok(())
}

fn arguments(stage: &Stage) -> Result {
    let script = stage.script(
        "arguments",
        &format!("printf '%s\\n' \"$@\" > {0}.new && mv {0}.new {0}", stage.path("arguments.txt").display()),
    )?;
    open(
        stage,
        &format!("on-open = [{script:?}, \"{{ip}}\", \"to {{ip}}:{{door}}\", \"a  b\", \"$(id)\", \";\", \"*\"]"),
    )?;
    klopf_tests::until("the command has run", || Ok(stage.path("arguments.txt").exists()))?;
    let got = stage.text("arguments.txt");
    let wanted = "10.99.0.2\nto 10.99.0.2:plain\na  b\n$(id)\n;\n*\n";
    ensure!(got == wanted, "the command got:\n{got}");
    Ok(())
}

fn environment(stage: &Stage) -> Result {
    // What the program was executed with, before the shell adds to it.
    let script = stage.script(
        "environment",
        &format!(
            "tr '\\0' '\\n' < /proc/$$/environ > {0}.new && mv {0}.new {0}",
            stage.path("environment.txt").display()
        ),
    )?;
    open(stage, &format!("on-open = [{script:?}]"))?;
    klopf_tests::until("the command has run", || Ok(stage.path("environment.txt").exists()))?;
    let text = stage.text("environment.txt");
    let mut got: Vec<&str> = text.lines().collect();
    got.sort_unstable();
    let [door, ip, path] = got.as_slice() else { return Err(format!("the environment is:\n{text}").into()) };
    ensure!(*door == "KLOPF_DOOR=plain" && *ip == "KLOPF_IP=10.99.0.2", "the environment is:\n{text}");
    ensure!(path.starts_with("PATH=/"), "the environment is:\n{text}");
    Ok(())
}

/// Opens a door that has these lines.
fn open(stage: &Stage, lines: &str) -> Result {
    configure_klopfd(
        stage,
        &["eth0"],
        &format!("[door.plain]\nsequence = [42000, 23000, 1337]\nwithin = \"60s\"\n{lines}\n"),
    )?;
    let mut klopfd = Daemon::Klopfd.start(stage)?;
    Wire::link(stage, "eth0")?.knock(CLIENT4, SERVER4, &[42000, 23000, 1337])?;
    klopfd.until("the door opens", |log| log.contains("plain"))
}
