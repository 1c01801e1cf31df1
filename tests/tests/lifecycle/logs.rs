//! Where the log goes, and that what others say cannot forge it.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use klopf_tests::{CLIENT4, Case, Daemon, Door, PATIENCE, Result, SERVER4, Stage, Wire, ensure, set_klopfd, until};

use crate::{PORTS, both};

/// Makes a `/dev` with these files and the log socket `$0/socket`, and executes the rest.
const WITH_DEV_LOG: &str = "cd \"$0\" && mkdir dev && for node in null random urandom; do\n\
    : > dev/$node && mount --bind /dev/$node dev/$node || exit; done\n\
    ln -s \"$0/socket\" dev/log && mount --rbind dev /dev && exec \"$@\"";
/// Puts the log socket `$0/socket` where the journal has its own, and executes the rest.
const WITH_JOURNAL: &str =
    "mkdir -p /run/systemd/journal && ln -s \"$0/socket\" /run/systemd/journal/socket && exec \"$@\"";

/// Fails after a line that would look like others to a terminal, a line reader, and a reader of Unicode.
const FORGER: &str = "printf 'a line\\n\\033[2J\\033]0;x\\007\\r\\302\\205 opened by its sequence\\342\\200\\250\
                      \\342\\200\\256 10.0.0.1: door: OPEN SESAME\\n'\nexit 43";

pub(crate) fn cases() -> impl Iterator<Item = Case> {
    both("log_has_one_line_a_decision_whatever_a_command_says", &[], forged).chain([
        Case::new("log_to_syslog_has_one_message_a_decision", &Wire::NEEDS, syslog),
        Case::new("log_to_the_journal_has_one_message_a_decision", &Wire::NEEDS, journal),
        Case::new("log_file_that_is_moved_away_is_made_anew", &Wire::NEEDS, moved),
    ])
}

fn forged(stage: &Stage, daemon: Daemon) -> Result {
    forger(stage, daemon)?;
    let mut running = daemon.start(stage)?;
    Wire::link(stage, "eth0")?.knock(CLIENT4, SERVER4, &PORTS)?;
    let log = || match daemon {
        Daemon::Klopfd => stage.text("klopfd.out"),
        // What it prints has the command's own output as well.
        Daemon::Knockd | Daemon::Face => stage.text("knockd.log"),
    };
    running.until("the failure is logged", |_| log().contains("43") && log().contains("10.0.0.1"))?;
    let log = log();
    ensure!(log.chars().all(|c| c == '\n' || plain(c)), "not escaped: {log:?}");
    let lines = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    let opened = if daemon == Daemon::Klopfd { "opened by its sequence" } else { "OPEN SESAME" };
    ensure!(lines("10.0.0.1") == 1, "what the command said is not one line:\n{log}");
    ensure!(lines(opened) == 2, "not one opening, and one line of the command:\n{log}");
    Ok(())
}

fn syslog(stage: &Stage) -> Result {
    let got = messages(stage, "syslog", WITH_DEV_LOG)?;
    for message in &got {
        ensure!(message.starts_with("<29>") && message.contains(" klopfd: "), "not as syslog(3) has it: {message:?}");
        ensure!(message.chars().all(plain), "not escaped: {message:?}");
    }
    Ok(())
}

fn journal(stage: &Stage) -> Result {
    let got = messages(stage, "journal", WITH_JOURNAL)?;
    // An empty one is how a writer sees whether the journal is there.
    for message in got.iter().filter(|message| !message.is_empty()) {
        let named = message.contains("SYSLOG_IDENTIFIER\n") && message.contains("klopfd\n");
        ensure!(named && message.starts_with("PRIORITY\n"), "not as the journal has it: {message:?}");
    }
    Ok(())
}

/// All messages of a daemon that logs to a socket, until the command of its door has failed.
fn messages(stage: &Stage, log: &str, mount: &str) -> Result<Vec<String>> {
    forger(stage, Daemon::Klopfd)?;
    set_klopfd(stage, "log", &format!("{log:?}"))?;
    let socket = UnixDatagram::bind(stage.path("socket"))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let klopfd = Daemon::Klopfd.start_under(stage, &["sh", "-c", mount, &stage.path("").to_string_lossy()])?;
    Wire::link(stage, "eth0")?.knock(CLIENT4, SERVER4, &PORTS)?;
    let (mut got, mut buffer): (Vec<String>, _) = (Vec::new(), [0; 8192]);
    while !got.last().is_some_and(|message| message.contains("exit status 43")) {
        let length = socket.recv(&mut buffer).map_err(|error| format!("{error}; so far {got:?}"))?;
        got.push(String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned());
    }
    let opened = got.iter().filter(|message| message.contains("opened by its sequence"));
    let opened: Vec<bool> = opened.map(|message| message.contains("10.0.0.1")).collect();
    ensure!(opened == [false, true], "not one opening, and then one line of the command: {got:?}");
    let said = klopfd.log()?;
    ensure!(!said.contains("opened"), "logged to stderr as well:\n{said}");
    klopfd.terminate()?;
    Ok(got)
}

fn moved(stage: &Stage) -> Result {
    Daemon::Klopfd.configure(stage, &[Door::new("door", &PORTS, None)])?;
    let (log, old) = (stage.path("klopf.log"), stage.path("klopf.log.1"));
    set_klopfd(stage, "log", &format!("{log:?}"))?;
    let klopfd = Daemon::Klopfd.start(stage)?;
    let mut wire = Wire::link(stage, "eth0")?;
    let has = |path: &Path, words: &str| fs::read_to_string(path).is_ok_and(|text| text.contains(words));
    let mut knock_from = |address: &str| -> Result {
        wire.knock(address.parse()?, SERVER4, &PORTS)?;
        // The command, which is the last that is logged about it.
        until(&format!("{address} is in the log"), || Ok(has(&log, &format!("open door {address}"))))
    };
    knock_from("10.99.0.3")?;
    fs::rename(&log, &old)?;
    knock_from("10.99.0.4")?;
    fs::remove_file(&log)?;
    knock_from("10.99.0.5")?;
    ensure!(has(&old, "10.99.0.3") && !has(&old, "10.99.0.4"), "the old file: {}", stage.text("klopf.log.1"));
    ensure!(!has(&log, "10.99.0.4"), "the new file: {}", stage.text("klopf.log"));
    klopfd.terminate()?;
    ensure!(has(&log, "ended"), "the end is not logged: {}", stage.text("klopf.log"));
    Ok(())
}

/// A door whose command fails after it has tried to forge the log.
fn forger(stage: &Stage, daemon: Daemon) -> Result {
    daemon.configure(stage, &[Door::new("door", &PORTS, None)])?;
    stage.script("note", FORGER).map(drop)
}

/// Whether a character is shown as itself, on one line and in its place.
fn plain(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
