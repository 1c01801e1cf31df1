//! What was accepted once counts no more: whoever sends it, whenever, and whatever has become of the daemon since.

use std::fs;
use std::net::IpAddr;

use klopf_tests::scene::{NEEDS, SSH, STRANGER4, STRANGER6, tells, time};
use klopf_tests::{
    CLIENT4, CLIENT6, Case, Disk, Need, Person, Result, SERVER4, SERVER6, Service, Signal, Stage, ensure,
};

use crate::play::{DOOR, Play};

const WEB: Service = Service::Tcp(443);

pub(crate) fn cases() -> Vec<Case> {
    let needs: Vec<Need> = NEEDS.into_iter().chain(Disk::NEEDS).collect();
    vec![
        Case::new("a_replay_opens_nothing_for_nobody", &NEEDS, again),
        Case::new("a_replay_opens_nothing_after_reloads_and_restarts", &NEEDS, over_restarts),
        Case::new("a_replay_of_what_was_refused_opens_nothing_when_the_reason_is_gone", &NEEDS, refused_before),
        Case::new("knocks_that_overtake_each_other_all_count_once", &NEEDS, overtaken),
        Case::new("a_full_disk_lets_people_in_and_no_replay", &NEEDS, |stage| {
            unwritable(stage, Disk::FULL, "No space left on device")
        }),
        Case::new("a_read_only_disk_lets_people_in_and_no_replay", &NEEDS, |stage| {
            unwritable(stage, Disk::READ_ONLY, "Read-only file system")
        }),
        Case::new("a_disk_that_fills_up_forgets_no_knock_over_a_restart", &needs, full_meanwhile),
        Case::new("a_disk_that_can_be_written_again_is_told_of_all_knocks", &needs, writable_again),
        Case::new("a_loss_of_power_brings_no_knock_back", &NEEDS, power_lost),
        Case::new("marks_that_are_damaged_are_said_and_the_others_count", &NEEDS, damaged),
    ]
}

fn again(stage: &Stage) -> Result {
    let config = format!("{DOOR}[door.web]\nguard = [\"tcp/443\"]\nopen-for = \"600s\"\nkeys = [\"*\"]\n\n");
    let mut ada = Person::new("ada")?;
    let mut play = Play::begin(stage, &config, &[(&ada, "")])?;
    let packet = play.knock(&mut ada, "ssh")?;
    play.opens(CLIENT4, &packet)?;
    // From elsewhere, in the other family, and for nothing else.
    for from in [STRANGER4, CLIENT6] {
        play.is_refused(from, &packet, "replayed")?;
    }
    play.scene.is_closed(CLIENT4, SERVER4, WEB)?;
    // It does not even lengthen what it has opened.
    let opened = time(play.scene.status()?.lease(CLIENT4)?, "opened-ms-ago")?;
    play.send(CLIENT4, &packet)?;
    let status = play.scene.until_status("it is counted", |status| crate::play::count(status, "replayed") == 3)?;
    ensure!(time(status.lease(CLIENT4)?, "opened-ms-ago")? >= opened, "the lease is renewed: {}", status.0);
    play.revoke()?;
    play.is_refused(CLIENT4, &packet, "replayed")?;
    // Sealed anew with the same counter it is another packet, and the same knock.
    ada.counter -= 1;
    let packet = play.knock(&mut ada, "ssh")?;
    play.is_refused(CLIENT4, &packet, "replayed")?;
    ada.counter -= 1;
    let packet = play.knock(&mut ada, "web")?;
    play.is_refused(CLIENT4, &packet, "replayed")?;
    play.scene.is_closed(CLIENT4, SERVER4, WEB)?;
    let packet = play.knock_with(&mut ada, |knock| knock.counter = 0)?;
    play.is_refused(CLIENT4, &packet, "replayed")?;
    play.has_leases(0)
}

fn over_restarts(stage: &Stage) -> Result {
    // One has no clock, so that the counter alone keeps a knock from counting twice.
    let (mut ada, mut eve, mut joe) = (Person::new("ada")?, Person::new("eve")?, Person::new("joe")?);
    let mut play = Play::begin(stage, DOOR, &[(&ada, ""), (&eve, "no-clock = true"), (&joe, "")])?;
    let packets = [play.knock(&mut ada, "ssh")?, play.knock_with(&mut eve, |knock| knock.time = 0)?];
    for packet in &packets {
        play.opens(CLIENT4, packet)?;
        play.revoke()?;
    }
    let refused = |play: &mut Play<'_>| -> Result {
        for (packet, from) in packets.iter().zip([CLIENT4, STRANGER4]) {
            play.is_refused(from, packet, "replayed")?;
        }
        Ok(())
    };
    play.scene.says(&["reload"])?;
    refused(&mut play)?;
    // With other terms a key is the same key.
    ada.invite(stage, "max-uses = 10")?;
    play.scene.says(&["reload"])?;
    refused(&mut play)?;
    play.kill_watch(&mut joe, STRANGER6)?;
    refused(&mut play)?;
    for signal in [Signal::TERM, Signal::KILL] {
        play.end(signal)?;
        play.start()?;
        refused(&mut play)?;
    }
    // Both count as before with a new knock.
    let packet = play.knock(&mut ada, "ssh")?;
    play.opens(CLIENT4, &packet)?;
    let packet = play.knock(&mut eve, "ssh")?;
    play.opens(STRANGER4, &packet)
}

fn refused_before(stage: &Stage) -> Result {
    let (mut ada, mut joe) = (Person::new("ada")?, Person::new("joe")?);
    let mut play = Play::begin(stage, DOOR, &[(&ada, "networks = [\"192.0.2.0/24\"]"), (&joe, "")])?;
    let packets = [play.knock(&mut ada, "ssh")?, play.knock(&mut ada, "ssh")?, play.knock(&mut ada, "ssh")?];
    for packet in &packets {
        play.is_refused(CLIENT4, packet, "wrong-network")?;
    }
    let [first, second, third] = &packets;
    ada.invite(stage, "")?;
    play.scene.says(&["reload"])?;
    play.is_refused(CLIENT4, first, "replayed")?;
    play.kill_watch(&mut joe, STRANGER4)?;
    play.is_refused(CLIENT4, second, "replayed")?;
    play.end(Signal::KILL)?;
    play.start()?;
    play.is_refused(CLIENT4, third, "replayed")?;
    let packet = play.knock(&mut ada, "ssh")?;
    play.opens(CLIENT4, &packet)
}

fn overtaken(stage: &Stage) -> Result {
    let mut ada = Person::new("ada")?;
    let mut play = Play::begin(stage, DOOR, &[(&ada, "")])?;
    let packets = (0..40).map(|_| play.knock(&mut ada, "ssh")).collect::<Result<Vec<_>>>()?;
    let (oldest, late) = packets.split_at(8);
    let from = |last: usize| -> Result<IpAddr> { Ok(format!("10.99.0.{}", 100 + last).parse()?) };
    for (number, packet) in late.iter().enumerate().rev() {
        play.send(from(number)?, packet)?;
    }
    play.scene.until_status("all are let in", |status| status.leases() == late.len())?;
    // As many as are kept one by one have come; what is older than all of them counts once, too, and lifts the floor.
    for (packet, address) in oldest.iter().rev().zip([CLIENT4, CLIENT6]) {
        if address == CLIENT4 {
            play.opens(address, packet)?
        } else {
            drop(play.is_refused(CLIENT6, packet, "replayed")?)
        }
    }
    play.end(Signal::KILL)?;
    play.start()?;
    for packet in oldest.iter().chain(late) {
        play.send(STRANGER4, packet)?;
    }
    let all = u64::try_from(packets.len())?;
    play.scene.until_status("all are counted", |status| crate::play::count(status, "replayed") == all)?;
    play.scene.is_closed(STRANGER4, SERVER4, SSH)?;
    play.has_leases(late.len() + 1)
}

fn unwritable(stage: &Stage, mount: &str, why: &str) -> Result {
    let state = stage.path("state");
    fs::create_dir(&state)?;
    let (mut ada, mut joe) = (Person::new("ada")?, Person::new("joe")?);
    let mut play = Play::set(stage, DOOR, &[(&ada, ""), (&joe, "")])?;
    let under = ["sh", "-c", mount, &state.to_string_lossy()];
    play.start_under(&under)?;
    let packet = play.knock(&mut ada, "ssh")?;
    play.opens(CLIENT4, &packet)?;
    let said = play.log()?;
    ensure!(tells(&said, &["sealed knocks", why]), "it does not say {why}:\n{said}");
    let troubles = play.scene.status()?.0.to_string();
    ensure!(troubles.contains("sealed knocks"), "the status does not say it: {troubles}");
    play.revoke()?;
    play.is_refused(CLIENT4, &packet, "replayed")?;
    play.kill_watch(&mut joe, STRANGER4)?;
    play.is_refused(CLIENT4, &packet, "replayed")?;
    for signal in [Signal::TERM, Signal::KILL] {
        play.end(signal)?;
        play.start_under(&under)?;
        // It is not known any more, but older than this daemon.
        play.is_refused(CLIENT4, &packet, "replayed")?;
        let packet = play.knock(&mut ada, "ssh")?;
        play.opens(CLIENT6, &packet)?;
        play.revoke()?;
    }
    Ok(())
}

fn full_meanwhile(stage: &Stage) -> Result {
    let disk = Disk::mount(stage)?;
    let (mut ada, mut eve) = (Person::new("ada")?, Person::new("eve")?);
    let mut play = Play::set(stage, DOOR, &[(&ada, ""), (&eve, "no-clock = true")])?;
    play.run(disk.start(stage)?);
    disk.fill()?;
    let packets = [play.knock(&mut ada, "ssh")?, play.knock_with(&mut eve, |knock| knock.time = 0)?];
    let pairs = [(CLIENT4, SERVER4), (CLIENT6, SERVER6)];
    for (packet, (from, _)) in packets.iter().zip(pairs) {
        play.opens(from, packet)?;
    }
    play.revoke()?;
    for signal in [Signal::KILL, Signal::TERM] {
        play.end(signal)?;
        play.run(disk.start(stage)?);
        for (packet, (from, _)) in packets.iter().zip(pairs) {
            play.is_refused(from, packet, "replayed")?;
        }
    }
    let said = play.log()?;
    ensure!(!tells(&said, &["damaged"]), "the marks are damaged:\n{said}");
    Ok(())
}

/// The disk cannot be written at first. What was accepted until it can be is written down then.
fn writable_again(stage: &Stage) -> Result {
    let disk = Disk::mount(stage)?;
    let (mut ada, mut joe) = (Person::new("ada")?, Person::new("joe")?);
    let mut play = Play::set(stage, DOOR, &[(&ada, ""), (&joe, "")])?;
    disk.remount("ro")?;
    play.run(disk.start(stage)?);
    let packet = play.knock(&mut ada, "ssh")?;
    play.opens(CLIENT4, &packet)?;
    play.revoke()?;
    disk.remount("rw")?;
    play.scene.says(&["reload"])?;
    play.is_refused(CLIENT4, &packet, "replayed")?;
    play.kill_watch(&mut joe, STRANGER4)?;
    play.is_refused(CLIENT4, &packet, "replayed")?;
    play.end(Signal::KILL)?;
    play.run(disk.start(stage)?);
    play.is_refused(CLIENT4, &packet, "replayed").map(drop)
}

fn damaged(stage: &Stage) -> Result {
    let (mut ada, mut eve) = (Person::new("ada")?, Person::new("eve")?);
    let mut play = Play::begin(stage, DOOR, &[(&ada, ""), (&eve, "")])?;
    let packets = [play.knock(&mut ada, "ssh")?, play.knock(&mut eve, "ssh")?];
    for packet in &packets {
        play.opens(CLIENT4, packet)?;
        play.revoke()?;
    }
    play.end(Signal::KILL)?;
    let path = stage.path("state/replay");
    let mut marks = fs::read(&path)?;
    // Cut off in the middle of a record, as after a power cut.
    marks.extend([0xff; 40]);
    fs::write(&path, &marks)?;
    play.start()?;
    play.until_logged(&["state/replay", "damaged"])?;
    for packet in &packets {
        play.is_refused(CLIENT4, packet, "replayed")?;
    }
    play.end(Signal::KILL)?;
    // Something else in its place: then nothing from before this daemon counts.
    fs::remove_file(&path)?;
    fs::create_dir(&path)?;
    play.start()?;
    play.until_logged(&["state/replay"])?;
    for packet in &packets {
        play.is_refused(CLIENT4, packet, "replayed")?;
    }
    let packet = play.knock(&mut ada, "ssh")?;
    play.opens(CLIENT4, &packet)
}

fn power_lost(stage: &Stage) -> Result {
    let (mut ada, mut eve) = (Person::new("ada")?, Person::new("eve")?);
    let mut play = Play::begin(stage, DOOR, &[(&ada, ""), (&eve, "no-clock = true")])?;
    let (marks, boot) = (stage.path("state/replay"), stage.path("state/replay.boot"));
    let dated = play.knock(&mut ada, "ssh")?;
    let undated = play.knock_with(&mut eve, |knock| knock.time = 0)?;
    play.opens(CLIENT4, &undated)?;
    play.revoke()?;
    let on_the_disk = fs::read(&marks)?;
    play.opens(CLIENT4, &dated)?;
    play.revoke()?;
    play.end(Signal::KILL)?;
    // What a host finds that went down before the second mark was on the disk.
    fs::write(&marks, &on_the_disk)?;
    let noted = fs::read_to_string(&boot)?;
    let (_, rest) = noted.split_once(' ').ok_or("no boot is noted")?;
    fs::write(&boot, format!("00000000-0000-4000-8000-000000000000 {rest}"))?;
    // Not even when klopfd ends well in this boot and starts again.
    for _ in 0..2 {
        play.start()?;
        for packet in [&dated, &undated] {
            play.is_refused(CLIENT4, packet, "replayed")?;
        }
        play.end(Signal::TERM)?;
    }
    play.start()?;
    for person in [&mut ada, &mut eve] {
        let packet = play.knock(person, "ssh")?;
        play.opens(CLIENT4, &packet)?;
        play.revoke()?;
    }
    Ok(())
}
