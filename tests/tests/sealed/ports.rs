//! Where sealed knocks come, and what they are dressed as.

use klopf_spa::{HOP_STEP, Shape};
use klopf_tests::scene::{NEEDS, SSH, STRANGER4};
use klopf_tests::{CLIENT4, CLIENT6, Case, Clock, Need, Person, Receiver, Result, SERVER4, SERVER6, Stage, now_ms};

use crate::play::{DOOR, Play, count};

pub(crate) fn cases() -> Vec<Case> {
    let needs: Vec<Need> = NEEDS.into_iter().chain(Clock::NEEDS).collect();
    let mut cases = vec![
        Case::new("a_sealed_knock_opens_at_its_port_alone", &NEEDS, own_port),
        Case::new("a_service_can_have_the_port_of_sealed_knocks", &NEEDS, shared_port),
        Case::new("a_port_that_changes_is_that_of_the_minute", &needs, hops),
    ];
    for shape in Shape::ALL {
        cases.push(Case::new(format!("a_sealed_knock_opens_dressed_as_{}", shape.name()), &NEEDS, move |stage| {
            dressed(stage, shape)
        }));
    }
    cases
}

fn own_port(stage: &Stage) -> Result {
    let (mut ada, mut eve) = (Person::new("ada")?, Person::new("eve")?);
    let mut play = Play::begin(stage, &format!("[packet]\nport = 51900\n\n{DOOR}"), &[(&ada, ""), (&eve, "")])?;
    let packet = play.knock(&mut ada, "ssh")?;
    // The one that would follow from the key, neighbours, and others.
    for port in [play.port, 51899, 51901, 1, 53, 443, 65535] {
        play.send_to(CLIENT4, port, &packet)?;
    }
    play.port = 51900;
    let behind = play.knock(&mut eve, "ssh")?;
    play.opens(STRANGER4, &behind)?;
    play.scene.is_closed(CLIENT4, SERVER4, SSH)?;
    play.opens(CLIENT4, &packet)?;
    klopf_tests::ensure!(play.count("sealed-knocks")? == 2, "others were opened as well");
    Ok(())
}

/// One at which something is served, and one that a door guards.
fn shared_port(stage: &Stage) -> Result {
    let config =
        |port: u16| format!("[packet]\nport = {port}\n\n{}", DOOR.replace("tcp/22\"", "tcp/22\", \"udp/5000\""));
    let mut ada = Person::new("ada")?;
    let mut play = Play::begin(stage, &config(443), &[(&ada, "")])?;
    for port in [443, 5000] {
        play.scene.configure(&config(port))?;
        play.scene.says(&["reload"])?;
        play.port = port;
        let served = klopf_tests::Service::Udp(port);
        for (from, to) in [(CLIENT4, SERVER4), (CLIENT6, SERVER6)] {
            if port == 443 {
                play.scene.is_open(from, to, served)?
            } else {
                play.scene.is_closed(from, to, served)?
            }
            let packet = play.knock(&mut ada, "ssh")?;
            play.opens(from, &packet)?;
            play.scene.is_open(from, to, served)?;
        }
        play.revoke()?;
    }
    Ok(())
}

fn dressed(stage: &Stage, shape: Shape) -> Result {
    let config = |port: &str| format!("[packet]\nshape = \"{}\"\n{port}\n\n{DOOR}", shape.name());
    let mut ada = Person::new("ada")?;
    let mut play = Play::dressed(stage, shape, &config(""), &[(&ada, "")])?;
    play.start()?;
    // In other dresses it is nothing.
    for (sent, other) in (1..).zip(Shape::ALL.into_iter().filter(|other| *other != shape)) {
        let receiver = Receiver { shape: other, ..play.server.clone() };
        let knock = ada.knock("ssh")?;
        let packet = receiver.seal(&ada, &knock)?;
        play.send(CLIENT4, &packet)?;
        play.scene.until_status("it is counted as no packet", |status| count(status, "no-packet") == sent)?;
    }
    play.has_leases(0)?;
    for (number, from) in (0..10).zip([CLIENT4, CLIENT6].into_iter().cycle()) {
        let packet = play.knock(&mut ada, "ssh")?;
        play.opens(from, &packet)?;
        if number % 2 == 1 {
            play.revoke()?;
        }
    }
    // At another port, too.
    play.scene.configure(&config("port = 4711"))?;
    play.scene.says(&["reload"])?;
    play.port = 4711;
    let packet = play.knock(&mut ada, "ssh")?;
    play.opens(CLIENT4, &packet)
}

fn hops(stage: &Stage) -> Result {
    const HOUR: u64 = 3600;
    let clock = Clock::make(stage)?;
    let config = format!("[packet]\nport = \"hop\"\nwindow = \"2s\"\n\n{DOOR}");
    let (mut ada, mut eve) = (Person::new("ada")?, Person::new("eve")?);
    let mut play = Play::set(stage, &config, &[(&ada, ""), (&eve, "")])?;
    play.run(clock.start(stage)?);
    // Five seconds before a minute ends, and with it a port.
    let now = now_ms()? / 1000;
    clock.set(i64::try_from(HOP_STEP - 5)? - i64::try_from(now % HOP_STEP)?)?;
    play.scene.says(&["reload"])?;
    let begun = clock.now_ms()? / 1000;
    let port = |play: &Play<'_>, at: u64| play.server.key.public().hop_port(at);
    // A knock to the port of another time, by the clock of both.
    let knock = |play: &mut Play<'_>, person: &mut Person, from, at: u64| -> Result {
        let time = clock.now_ms()?;
        let packet = play.knock_with(person, |knock| knock.time = time)?;
        play.send_to(from, port(play, at), &packet)
    };
    for past in [HOUR, 5 * 60] {
        knock(&mut play, &mut ada, CLIENT4, begun - past)?;
    }
    knock(&mut play, &mut ada, CLIENT4, begun + HOUR)?;
    // The next but one is not looked at yet.
    let later = begun + 2 * HOP_STEP;
    knock(&mut play, &mut ada, CLIENT4, later)?;
    knock(&mut play, &mut eve, STRANGER4, begun)?;
    play.scene.until_open(STRANGER4, SERVER4, SSH)?;
    play.scene.is_closed(CLIENT4, SERVER4, SSH)?;
    // Without a word of anybody the filter goes with the clock. Until then nothing is heard there.
    klopf_tests::until("a minute later it is looked at", || {
        knock(&mut play, &mut ada, CLIENT4, later)?;
        Ok(play.scene.status()?.lease(CLIENT4).is_ok())
    })?;
    let end = (begun / HOP_STEP + 1) * HOP_STEP * 1000;
    klopf_tests::ensure!(clock.now_ms()? >= end, "it was looked at before it was time");
    // Well into the minute the port of the last one is gone.
    clock.set(i64::try_from(later)? - i64::try_from(now_ms()? / 1000)? + 20)?;
    play.scene.says(&["reload"])?;
    play.revoke()?;
    knock(&mut play, &mut ada, CLIENT6, begun)?;
    knock(&mut play, &mut eve, STRANGER4, later + 20)?;
    play.scene.until_open(STRANGER4, SERVER4, SSH)?;
    play.scene.is_closed(CLIENT6, SERVER6, SSH)
}
