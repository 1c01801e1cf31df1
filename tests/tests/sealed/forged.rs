//! What is not a sealed knock of somebody who was invited.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use klopf_spa::{Psk, ServerKey, Shape};
use klopf_tests::scene::{NEEDS, SSH, STRANGER4, Status};
use klopf_tests::{
    CLIENT4, CLIENT6, Case, Person, Receiver, Result, SERVER4, SERVER6, Stage, Wire, ensure, packet, until,
};

use crate::play::{DOOR, Play, count};

/// Datagrams of a flood.
const FLOOD: u32 = 100_000;
/// What IPv6 takes over Ethernet.
const LONGEST: usize = 1452;
/// As many are sent before they must be counted: the watch's ring takes a thousand.
const AT_ONCE: u64 = 512;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("only_the_key_of_the_server_and_of_a_person_together_open", &NEEDS, other_keys),
        Case::new("junk_of_any_length_is_counted_and_nothing_else", &NEEDS, junk),
        Case::new("a_flood_of_junk_keeps_nobody_out", &NEEDS, flood),
        Case::new("who_sends_too_many_packets_waits_and_others_do_not", &NEEDS, too_many),
    ];
    for shape in Shape::ALL {
        let name = format!("a_packet_with_any_bit_changed_opens_nothing_shape_{}", shape.name());
        cases.push(Case::new(name, &NEEDS, move |stage| tampered(stage, shape)));
    }
    cases
}

fn tampered(stage: &Stage, shape: Shape) -> Result {
    let config = format!("[packet]\nshape = \"{}\"\n\n{DOOR}", shape.name());
    let mut ada = Person::new("ada")?;
    let mut play = Play::dressed(stage, shape, &config, &[(&ada, "")])?;
    play.start()?;
    // A short one: each bit is a packet.
    let knock = ada.knock("ssh")?;
    let packets = (0..100).map(|_| play.seal(&ada, &knock)).collect::<Result<Vec<_>>>()?;
    let packet = packets.into_iter().min_by_key(Vec::len).ok_or("no packet")?;
    let mut sent = 0;
    for place in 0..packet.len() {
        for bit in 0..8 {
            let mut changed = packet.clone();
            changed.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 1 << bit);
            play.send(CLIENT4, &changed)?;
            sent += 1;
            if sent % AT_ONCE == 0 {
                until_counted(&play, sent)?;
            }
        }
    }
    let longer = [&packet[..], &[0]].concat();
    let (_, shorter) = packet.split_last().ok_or("an empty packet")?;
    for changed in [&longer, shorter] {
        play.send(CLIENT4, changed)?;
        sent += 1;
    }
    until_counted(&play, sent)?;
    play.has_leases(0)?;
    ensure!(play.count("sealed-knocks")? == 0, "a changed one was opened");
    play.opens(CLIENT4, &packet)
}

fn until_counted(play: &Play<'_>, sent: u64) -> Result {
    play.scene.until_status("each is counted as no packet", |status| count(status, "no-packet") == sent).map(drop)
}

fn other_keys(stage: &Stage) -> Result {
    let mut ada = Person::new("ada")?;
    let mut play = Play::begin(stage, DOOR, &[(&ada, "")])?;
    let knock = ada.knock("ssh")?;
    // Another server.
    let other = Receiver { key: ServerKey::new([9; 32]), shape: Shape::None };
    let before = play.count("no-packet")?;
    play.send(CLIENT4, &other.seal(&ada, &knock)?)?;
    play.scene.until_status("no-packet is counted", |status| count(status, "no-packet") == before + 1)?;
    // Another secret that is shared, and another person.
    let packet = play.seal(&Person { psk: Psk::new([9; 32]), ..ada.clone() }, &knock)?;
    play.is_refused(CLIENT4, &packet, "forged")?;
    let packet = play.seal(&Person { psk: ada.psk.clone(), ..Person::new("eve")? }, &knock)?;
    play.is_refused(CLIENT4, &packet, "unknown-key")?;
    let silent: [IpAddr; 4] =
        ["0.0.0.0".parse()?, "255.255.255.255".parse()?, "127.0.0.1".parse()?, "224.0.0.1".parse()?];
    for address in silent {
        let packet = play.seal(&ada, &klopf_spa::Knock { allow: Some(address), ..knock.clone() })?;
        play.is_refused(CLIENT4, &packet, "forged")?;
    }
    // None of that has used the counter up.
    play.has_leases(0)?;
    let packet = play.seal(&ada, &knock)?;
    play.opens(CLIENT4, &packet)
}

fn junk(stage: &Stage) -> Result {
    let mut ada = Person::new("ada")?;
    let mut play = Play::begin(stage, DOOR, &[(&ada, "")])?;
    let mut sent = 0;
    for length in (0..=LONGEST).step_by(3).chain([287, 288, 1200, 1201, LONGEST]) {
        for byte in [0, 0xa5] {
            play.send(if byte == 0 { CLIENT4 } else { CLIENT6 }, &vec![byte; length])?;
            sent += 1;
        }
    }
    until_counted(&play, sent)?;
    let status = play.scene.status()?;
    ensure!(status.list("refusals").is_empty() && status.leases() == 0, "status: {}", status.0);
    let said = play.log()?;
    ensure!(said.lines().count() < 10, "it says much of junk:\n{said}");
    let packet = play.knock(&mut ada, "ssh")?;
    play.opens(CLIENT4, &packet)
}

fn flood(stage: &Stage) -> Result {
    let mut ada = Person::new("ada")?;
    let mut play = Play::begin(stage, DOOR, &[(&ada, "")])?;
    let template = packet::unchecked(&packet::datagram("10.99.0.200".parse()?, SERVER4, play.port, &[0; 288]));
    let mut wire = Wire::link(stage, "eth0")?;
    let over = AtomicBool::new(false);
    let before = play.knock(&mut ada, "ssh")?;
    let opened = thread::scope(|scope| -> Result<bool> {
        let flood = scope.spawn(|| {
            let done = wire.flood(FLOOD, &template, 288).map_err(|fault| fault.to_string());
            over.store(true, Ordering::Relaxed);
            done
        });
        let mut opened = false;
        // A client sends a knock more than once, too.
        while !opened && !over.load(Ordering::Relaxed) {
            play.send(CLIENT4, &before)?;
            opened = play.scene.peer.connects(CLIENT4, SERVER4, SSH)? == klopf_tests::Answer::Open;
        }
        flood.join().map_err(|_| "the flood has panicked")??;
        Ok(opened)
    })?;
    ensure!(opened, "it did not open while junk came");
    let taken = |status: &Status| count(status, "no-packet") > u64::from(FLOOD) / 10;
    play.scene.until_status("much of the junk was looked at", taken)?;
    let packet = play.knock(&mut ada, "ssh")?;
    play.opens(CLIENT6, &packet)
}

/// Somebody who was invited, or has a friend who was, sends what costs the most.
fn too_many(stage: &Stage) -> Result {
    const MANY: usize = 1500;
    let (ada, mut eve) = (Person::new("ada")?, Person::new("eve")?);
    let mut play = Play::begin(stage, DOOR, &[(&ada, ""), (&eve, "")])?;
    let bad = Person { psk: Psk::new([9; 32]), ..ada };
    let knock = bad.clone().knock("ssh")?;
    let packets = (0..MANY).map(|_| play.seal(&bad, &knock)).collect::<Result<Vec<_>>>()?;
    let packet = play.knock(&mut eve, "ssh")?;
    for packet in &packets {
        play.send(CLIENT4, packet)?;
    }
    play.send(CLIENT4, &packet)?;
    // Others are let in at once; a client sends a knock more than once, too, for the ring may be full.
    for from in [STRANGER4, CLIENT6] {
        let other = play.knock(&mut eve, "ssh")?;
        until("others are let in", || {
            play.send(from, &other)?;
            Ok(play.scene.status()?.lease(from).is_ok())
        })?;
    }
    let status = play.scene.until_status("much is counted", |status| {
        count(status, "forged") + count(status, "too-many-packets") >= MANY as u64 / 2
    })?;
    let admitted = count(&status, "forged");
    // As many as an origin may send at once, and in the time that this takes.
    ensure!((100..MANY as u64 / 2).contains(&admitted), "{admitted} of {MANY} were opened");
    play.until_logged(&["too-many-packets", &CLIENT4.to_string()])?;
    // And who waited is let in, with the same packet.
    until("who waited is let in", || {
        play.send(CLIENT4, &packet)?;
        Ok(play.scene.status()?.lease(CLIENT4).is_ok())
    })?;
    play.scene.is_open(CLIENT4, SERVER4, SSH)?;
    play.scene.is_open(CLIENT6, SERVER6, SSH)
}
