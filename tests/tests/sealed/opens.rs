//! What a sealed knock opens: for whom, for how long, and what is told of it.

use std::net::IpAddr;
use std::time::Duration;

use klopf_tests::scene::{FAMILIES, NEEDS, PORTS, SSH, STRANGER4, STRANGER6, text, time};
use klopf_tests::{CLIENT4, CLIENT6, Case, Person, Result, SERVER4, SERVER6, Service, Stage, ensure, until};

use crate::play::{DOOR, Play, server_for};

const HTTPS: Service = Service::Tcp(443);

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("a_sealed_knock_opens_for_who_sent_it", &NEEDS, observed),
        Case::new("a_claimed_address_is_let_in_and_the_sender_is_not", &NEEDS, claimed),
        Case::new("a_lease_is_as_long_as_was_asked_and_the_door_or_the_key_allows", &NEEDS, lengths),
        Case::new("commands_are_told_whose_key_it_was", &NEEDS, commands),
        Case::new("a_door_opens_by_the_ways_that_it_has", &NEEDS, ways),
    ]
}

fn observed(stage: &Stage) -> Result {
    let mut ada = Person::new("ada")?;
    let mut play = Play::begin(stage, DOOR, &[(&ada, "")])?;
    for (friend, stranger, server) in FAMILIES {
        play.scene.is_closed(friend, server, SSH)?;
        let packet = play.knock(&mut ada, "ssh")?;
        play.opens(friend, &packet)?;
        play.scene.is_closed(stranger, server, SSH)?;
        let status = play.scene.status()?;
        let lease = status.lease(friend)?;
        let told = [text(lease, "door"), text(lease, "who"), text(lease, "by"), text(lease, "origin")];
        ensure!(told == ["ssh", "ada", "packet", &friend.to_string()], "lease: {lease}");
        let said = play.scene.says(&["status"])?;
        ensure!(said.contains("ada"), "klopf status does not say who it is:\n{said}");
        play.until_logged(&["opened", "key ada", &friend.to_string()])?;
    }
    play.has_leases(2)?;
    let counted = [play.count("sealed-knocks")?, play.count("granted")?];
    ensure!(counted == [2, 2], "counted: {counted:?}");
    Ok(())
}

fn claimed(stage: &Stage) -> Result {
    let mut ada = Person::new("ada")?;
    let mut play = Play::begin(stage, DOOR, &[(&ada, "")])?;
    let feigned: [IpAddr; 4] = ["10.99.0.71".parse()?, "fd00:99::71".parse()?, "10.99.0.72".parse()?, STRANGER6];
    // From either family to either.
    for (from, claimed) in feigned.into_iter().zip([CLIENT4, CLIENT6, STRANGER6, STRANGER4]) {
        let packet = play.knock_with(&mut ada, |knock| knock.allow = Some(claimed))?;
        play.send(from, &packet)?;
        play.scene.until_open(claimed, server_for(claimed), SSH)?;
        let status = play.scene.status()?;
        let lease = status.lease(claimed)?;
        ensure!(text(lease, "origin") == from.to_string() && text(lease, "who") == "ada", "lease: {lease}");
        play.until_logged(&["opened", &claimed.to_string(), "asked for by", &from.to_string()])?;
    }
    // STRANGER6 has sent the last, and has its lease from the one before.
    play.has_leases(4)
}

/// How long a lease is that was asked for in some way.
fn length(play: &mut Play<'_>, person: &mut Person, last: u8, hold: u32) -> Result<u64> {
    let from: IpAddr = format!("10.99.0.{last}").parse()?;
    let packet = play.knock_with(person, |knock| knock.hold = hold)?;
    play.send(from, &packet)?;
    let status = play.scene.until_status("there is a lease", |status| status.lease(from).is_ok())?;
    let lease = status.lease(from)?;
    let whole = time(lease, "left-ms")? + time(lease, "opened-ms-ago")?;
    Ok((whole + Duration::from_millis(500)).as_secs())
}

fn lengths(stage: &Stage) -> Result {
    let (mut ada, mut eve) = (Person::new("ada")?, Person::new("eve")?);
    let door = DOOR.replace("600s", "100s");
    let mut play = Play::begin(stage, &door, &[(&ada, ""), (&eve, "max-open-for = \"300s\"")])?;
    for (last, (hold, expected)) in (50..).zip([(0, 100), (20, 20), (200, 100), (u32::MAX, 100)]) {
        let seconds = length(&mut play, &mut ada, last, hold)?;
        ensure!(seconds == expected, "asked for {hold} s, {seconds} s instead of {expected}");
    }
    for (last, (hold, expected)) in (60..).zip([(0, 100), (20, 20), (200, 200), (u32::MAX, 300)]) {
        let seconds = length(&mut play, &mut eve, last, hold)?;
        ensure!(seconds == expected, "with max-open-for, asked for {hold} s, {seconds} s instead of {expected}");
    }
    // And it does end.
    let packet = play.knock_with(&mut ada, |knock| knock.hold = 1)?;
    play.opens(CLIENT4, &packet)?;
    play.scene.until_closed(CLIENT4, SERVER4, SSH)?;
    play.scene.until_status("the lease is gone", |status| status.lease(CLIENT4).is_err()).map(drop)
}

fn commands(stage: &Stage) -> Result {
    let note = stage.note()?;
    let command =
        |word: &str| format!("[{note:?}, \"{word}\", \"{{key}}\", \"{{door}}\", \"{{ip}}\", \"{{key}}-{{ip}}\"]");
    let door = format!(
        "[door.gate]\nkeys = [\"ada\", \"eve.2_x-y\"]\nopen-for = \"1s\"\non-open = {}\non-close = {}\n",
        command("open"),
        command("close")
    );
    let (mut ada, mut eve) = (Person::new("ada")?, Person::new("eve.2_x-y")?);
    let mut play = Play::begin(stage, &door, &[(&ada, ""), (&eve, "")])?;
    for (person, from) in [(&mut ada, CLIENT4), (&mut eve, CLIENT6)] {
        let packet = play.knock(person, "gate")?;
        play.send(from, &packet)?;
        let name = person.name;
        for word in ["open", "close"] {
            stage.until_noted(&format!("{word} {name} gate {from} {name}-{from}"), 1)?;
        }
    }
    ensure!(stage.notes().len() == 4, "noted: {:?}", stage.notes());
    Ok(())
}

/// Doors with a sequence, with keys, with both, and with less than both by their `via`.
fn ways(stage: &Stage) -> Result {
    let sequence = format!("sequence = {PORTS:?}\nwithin = \"60s\"\n");
    let doors = [
        ("ssh", 22, "keys = [\"*\"]\n".to_owned()),
        ("both", 443, format!("keys = [\"ada\"]\n{sequence}")),
        ("packet", 60000, format!("keys = [\"*\"]\nvia = [\"packet\"]\n{sequence}")),
        ("sequence", 60500, format!("keys = [\"*\"]\nvia = [\"sequence\"]\n{sequence}")),
    ];
    let config: String = doors
        .iter()
        .map(|(name, port, lines)| format!("[door.{name}]\nguard = [\"tcp/{port}\"]\nopen-for = \"600s\"\n{lines}\n"))
        .collect();
    let mut ada = Person::new("ada")?;
    let mut play = Play::begin(stage, &config, &[(&ada, "")])?;
    let services = [SSH, HTTPS, Service::Tcp(60000), Service::Tcp(60500)];
    let [ssh, both, by_packet, by_sequence] = services;

    // The sequence opens what has one.
    play.scene.knock(CLIENT4)?;
    for service in [both, by_sequence] {
        play.scene.until_open(CLIENT4, SERVER4, service)?;
    }
    for service in [ssh, by_packet] {
        play.scene.is_closed(CLIENT4, SERVER4, service)?;
    }
    // Sealed knocks open what has keys.
    for (name, service) in [("ssh", ssh), ("both", both), ("packet", by_packet)] {
        let packet = play.knock(&mut ada, name)?;
        play.send(CLIENT6, &packet)?;
        play.scene.until_open(CLIENT6, SERVER6, service)?;
    }
    let packet = play.knock(&mut ada, "sequence")?;
    play.send(CLIENT6, &packet)?;
    until("wrong-door is counted", || Ok(play.count("wrong-door")? == 1))?;
    play.scene.is_closed(CLIENT6, SERVER6, by_sequence)
}
