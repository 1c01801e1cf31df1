//! Keys and the server's key come and go.

use std::fs;

use klopf_spa::Shape;
use klopf_tests::scene::{NEEDS, SSH, STRANGER4, STRANGER6, door};
use klopf_tests::{CLIENT4, CLIENT6, Case, Daemon, Person, Receiver, Result, Running, Stage, ensure};

use crate::play::{DOOR, Play, count};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("the_first_key_comes_and_the_last_one_goes_by_reload", &NEEDS, first_and_last),
        Case::new("a_key_that_is_removed_opens_nothing_and_comes_back_without_its_past", &NEEDS, removed),
        Case::new("another_server_key_takes_over_by_reload", &NEEDS, another),
        Case::new("without_the_server_key_sequences_open_and_it_is_said", &NEEDS, |stage| broken(stage, None)),
        Case::new("with_a_broken_server_key_sequences_open_and_it_is_said", &NEEDS, |stage| {
            broken(stage, Some("not a key\n"))
        }),
        Case::new("a_broken_reload_leaves_the_keys_in_force", &NEEDS, faults),
        Case::new("a_broken_key_at_the_start_keeps_nobody_else_out", &NEEDS, broken_at_the_start),
        Case::new("a_key_that_is_taken_away_stays_so_when_a_trial_is_undone", &NEEDS, undone),
    ]
}

fn both_ways() -> String {
    door("ssh", "guard = [\"tcp/22\"]\nopen-for = \"600s\"\nkeys = [\"*\"]")
}

fn first_and_last(stage: &Stage) -> Result {
    let mut ada = Person::new("ada")?;
    let mut play = Play::set(stage, &both_ways(), &[])?;
    fs::remove_file(stage.path("server.key"))?;
    play.start()?;
    let early = play.knock(&mut ada, "ssh")?;
    play.send(CLIENT4, &early)?;
    play.scene.enter(STRANGER4, SSH)?;
    play.has_leases(1)?;
    ensure!(!play.log()?.contains("sealed"), "it speaks of what is not there:\n{}", play.log()?);

    play.server.install(stage)?;
    ada.invite(stage, "")?;
    play.scene.says(&["reload"])?;
    // What came before it was there has not been seen.
    play.opens(CLIENT4, &early)?;
    let packet = play.knock(&mut ada, "ssh")?;
    play.opens(CLIENT6, &packet)?;
    play.revoke()?;

    ada.disinvite(stage)?;
    play.scene.says(&["reload"])?;
    let packet = play.knock(&mut ada, "ssh")?;
    play.is_refused(CLIENT4, &packet, "unknown-key")?;
    fs::remove_file(stage.path("server.key"))?;
    play.scene.says(&["reload"])?;
    let refusals = play.scene.status()?.list("refusals").len();
    play.send(CLIENT4, &packet)?;
    play.scene.enter(STRANGER6, SSH)?;
    play.has_leases(1)?;
    ensure!(play.scene.status()?.list("refusals").len() == refusals, "without keys there are none to refuse");

    // All is there again: so is what was accepted.
    play.server.install(stage)?;
    ada.invite(stage, "")?;
    play.scene.says(&["reload"])?;
    play.is_refused(CLIENT4, &early, "replayed")?;
    play.opens(CLIENT4, &packet)
}

/// Neither garbage, nor nothing, nor what is no file, also where a door names it.
fn broken_at_the_start(stage: &Stage) -> Result {
    let config = "[door.ssh]\nguard = [\"tcp/22\"]\nopen-for = \"600s\"\nkeys = [\"ada\", \"eve\"]\n\n";
    let (mut ada, mut eve) = (Person::new("ada")?, Person::new("eve")?);
    let mut play = Play::set(stage, config, &[(&ada, ""), (&eve, "")])?;
    fs::write(stage.path("keys.d/eve.toml"), "public = \"abc\"\n[")?;
    fs::write(stage.path("keys.d/empty.toml"), "")?;
    fs::create_dir(stage.path("keys.d/folder.toml"))?;
    play.start()?;
    let packet = play.knock(&mut ada, "ssh")?;
    play.opens(CLIENT4, &packet)?;
    let packet = play.knock(&mut eve, "ssh")?;
    play.is_refused(STRANGER4, &packet, "unknown-key")?;
    let told = play.scene.status()?.list("troubles").iter().map(ToString::to_string).collect::<String>();
    for name in ["eve.toml", "empty.toml", "folder.toml"] {
        ensure!(told.contains(name), "nothing of {name} in {told}");
    }
    // A reload is another matter: all stays as it is.
    play.scene.ends(&["reload"], 1)?;
    let packet = play.knock(&mut ada, "ssh")?;
    play.opens(CLIENT6, &packet)
}

/// `klopf uninvite` while a reload is on trial.
fn undone(stage: &Stage) -> Result {
    let (mut ada, eve) = (Person::new("ada")?, Person::new("eve")?);
    let mut play = Play::set(stage, &both_ways(), &[(&ada, ""), (&eve, "")])?;
    let klopfd = play.scene.start_on_trial(5)?;
    play.run(klopfd);
    let packet = play.knock(&mut ada, "ssh")?;
    play.opens(CLIENT4, &packet)?;
    play.revoke()?;
    let wider = both_ways().replace("\"tcp/22\"", "\"tcp/22\", \"tcp/443\"");
    play.scene.configure(&wider)?;
    let mut reload = Running::start(play.scene.klopf(&["reload", "--confirm"])?, &stage.path("reload.out"))?;
    play.scene.until_status("a trial begins", |status| status.guards() == "trial")?;
    ada.disinvite(stage)?;
    play.scene.says(&["reload"])?;
    ensure!(reload.until_ended()? == 1, "the trial was confirmed:\n{}", reload.log()?);
    let packet = play.knock(&mut ada, "ssh")?;
    play.is_refused(CLIENT4, &packet, "unknown-key").map(drop)
}

fn removed(stage: &Stage) -> Result {
    let (mut ada, mut eve) = (Person::new("ada")?, Person::new("eve")?);
    let mut play = Play::begin(stage, DOOR, &[(&ada, ""), (&eve, "")])?;
    let old = play.knock(&mut ada, "ssh")?;
    play.opens(CLIENT4, &old)?;
    play.revoke()?;
    ada.disinvite(stage)?;
    play.scene.says(&["reload"])?;
    let meanwhile = play.knock(&mut ada, "ssh")?;
    for packet in [&meanwhile, &old] {
        play.is_refused(CLIENT4, packet, "unknown-key")?;
    }
    let packet = play.knock(&mut eve, "ssh")?;
    play.opens(STRANGER4, &packet)?;
    // Over a restart without it, too.
    play.end(klopf_tests::Signal::KILL)?;
    play.start()?;
    ada.invite(stage, "")?;
    play.scene.says(&["reload"])?;
    play.is_refused(CLIENT4, &old, "replayed")?;
    let packet = play.knock(&mut ada, "ssh")?;
    play.opens(CLIENT4, &packet)
}

fn another(stage: &Stage) -> Result {
    let mut ada = Person::new("ada")?;
    let config = format!("[packet]\nport = 51900\n\n{DOOR}");
    let mut play = Play::begin(stage, &config, &[(&ada, "")])?;
    play.port = 51900;
    let old = play.knock(&mut ada, "ssh")?;
    play.server = Receiver::new(Shape::None)?;
    play.server.install(stage)?;
    play.scene.says(&["reload"])?;
    play.send(CLIENT4, &old)?;
    play.scene.until_status("it is no packet any more", |status| count(status, "no-packet") == 1)?;
    play.has_leases(0)?;
    let packet = play.knock(&mut ada, "ssh")?;
    play.opens(CLIENT4, &packet)
}

fn broken(stage: &Stage, text: Option<&str>) -> Result {
    let mut ada = Person::new("ada")?;
    let mut play = Play::set(stage, &both_ways(), &[(&ada, "")])?;
    match text {
        Some(text) => fs::write(stage.path("server.key"), text)?,
        None => fs::remove_file(stage.path("server.key"))?,
    }
    play.start()?;
    play.until_logged(&["error", "server.key", "sealed knocks open nothing"])?;
    let packet = play.knock(&mut ada, "ssh")?;
    play.send(CLIENT4, &packet)?;
    play.scene.enter(STRANGER4, SSH)?;
    play.has_leases(1)?;
    // Who asks is told as well.
    let status = play.scene.status()?;
    ensure!(status.list("troubles").iter().any(|trouble| trouble.to_string().contains("server.key")), "{}", status.0);
    let check = Daemon::Klopfd.command(stage)?.arg("--check").output()?;
    let said = String::from_utf8_lossy(&check.stderr);
    ensure!(said.contains("server.key"), "klopfd --check says nothing of it: {said}");
    play.server.install(stage)?;
    play.scene.says(&["reload"])?;
    play.opens(CLIENT4, &packet)?;
    let status = play.scene.status()?;
    ensure!(!status.0.to_string().contains("server.key"), "it is mended, and told all the same: {}", status.0);
    // It goes wrong while the daemon runs, which has the old one.
    fs::write(stage.path("server.key"), "nonsense")?;
    play.scene.says(&["reload"])?;
    play.until_logged(&["error", "server.key", "stays in force"])?;
    let status = play.scene.status()?;
    ensure!(status.0.to_string().contains("server.key"), "the status does not say it: {}", status.0);
    let packet = play.knock(&mut ada, "ssh")?;
    play.opens(CLIENT6, &packet)?;
    play.scene.enter(STRANGER6, SSH)
}

/// A fault in a key's file, which the log tells without what is in it.
fn faults(stage: &Stage) -> Result {
    let mut ada = Person::new("ada")?;
    let mut play = Play::begin(stage, DOOR, &[(&ada, "")])?;
    let eve = Person::new("eve")?;
    eve.invite(stage, "expires = \"tomorrow\"\npsk = \"once more\"")?;
    play.scene.ends(&["reload"], 1)?;
    play.until_logged(&["eve.toml"])?;
    let packet = play.knock(&mut ada, "ssh")?;
    play.opens(CLIENT4, &packet)?;
    let said = play.log()?;
    for secret in [eve.psk.text(), ada.psk.text(), play.server.key.text()] {
        ensure!(!said.contains(secret.as_str()), "the log has a secret:\n{said}");
    }
    Ok(())
}
