//! In what packets a sealed knock may come.

use std::net::IpAddr;

use klopf_tests::scene::{NEEDS, SSH, STRANGER4, STRANGER6};
use klopf_tests::{CLIENT4, CLIENT6, Case, Person, Result, SERVER4, SERVER6, Stage, packet};

use crate::play::{DOOR, Play, count, server_for};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("a_sealed_knock_behind_ip_options_opens", &NEEDS, options),
        Case::new("a_sealed_knock_in_fragments_is_left_alone", &NEEDS, fragments),
        Case::new("a_sealed_knock_for_another_host_is_left_alone", &NEEDS, elsewhere),
        Case::new("a_sealed_knock_from_nobodys_address_opens_nothing", &NEEDS, nobody),
    ]
}

fn options(stage: &Stage) -> Result {
    let mut ada = Person::new("ada")?;
    let mut play = Play::begin(stage, DOOR, &[(&ada, "")])?;
    for (from, to) in [(CLIENT4, SERVER4), (CLIENT6, SERVER6)] {
        let payload = play.knock(&mut ada, "ssh")?;
        let with_options = packet::with_options(&packet::datagram(from, to, play.port, &payload));
        play.scene.wire.packet(&with_options)?;
        play.scene.until_open(from, to, SSH)?;
    }
    Ok(())
}

fn fragments(stage: &Stage) -> Result {
    let (mut ada, mut eve) = (Person::new("ada")?, Person::new("eve")?);
    let mut play = Play::begin(stage, DOOR, &[(&ada, ""), (&eve, "")])?;
    for (from, to, other) in [(CLIENT4, SERVER4, STRANGER4), (CLIENT6, SERVER6, STRANGER6)] {
        let payload = play.knock(&mut ada, "ssh")?;
        let whole = packet::datagram(from, to, play.port, &payload);
        for fragment in packet::fragments(&whole, 160) {
            play.scene.wire.packet(&fragment)?;
        }
        // What comes after it is taken in after it.
        let behind = play.knock(&mut eve, "ssh")?;
        play.opens(other, &behind)?;
        play.scene.is_closed(from, to, SSH)?;
        play.scene.wire.packet(&whole)?;
        play.scene.until_open(from, to, SSH)?;
    }
    let status = play.scene.status()?;
    let refused = status.list("refusals").len() as u64 + count(&status, "no-packet") + count(&status, "forged");
    klopf_tests::ensure!(refused == 0, "status: {}", status.0);
    Ok(())
}

fn elsewhere(stage: &Stage) -> Result {
    let (mut ada, mut eve) = (Person::new("ada")?, Person::new("eve")?);
    let mut play = Play::begin(stage, DOOR, &[(&ada, ""), (&eve, "")])?;
    let others: [(IpAddr, IpAddr, IpAddr); 2] =
        [(CLIENT4, "10.99.0.77".parse()?, STRANGER4), (CLIENT6, "fd00:99::77".parse()?, STRANGER6)];
    for (from, to, other) in others {
        let payload = play.knock(&mut ada, "ssh")?;
        play.scene.wire.packet(&packet::datagram(from, to, play.port, &payload))?;
        let behind = play.knock(&mut eve, "ssh")?;
        play.opens(other, &behind)?;
        play.scene.is_closed(from, server_for(from), SSH)?;
        play.opens(from, &payload)?;
    }
    Ok(())
}

fn nobody(stage: &Stage) -> Result {
    let (mut ada, mut eve) = (Person::new("ada")?, Person::new("eve")?);
    let mut play = Play::begin(stage, DOOR, &[(&ada, ""), (&eve, "")])?;
    for from in ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1"] {
        let packet = play.knock(&mut ada, "ssh")?;
        play.send(from.parse()?, &packet)?;
    }
    let behind = play.knock(&mut eve, "ssh")?;
    play.opens(CLIENT4, &behind)?;
    play.has_leases(1)
}
