//! Encoded sequences that the packets themselves tell of.

use std::net::IpAddr;

use klopf_spa::encoded::{Claim, Fields, Mark, Span, Template, Transport, Whom};
use klopf_tests::scene::{NEEDS, SSH, STRANGER4};
use klopf_tests::{CLIENT4, CLIENT6, Case, Result, SERVER4, Signal, Stage, ensure, now_ms, until};

use crate::play::{PORTS, Play, door, server_for, shaken};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("an_encoded_sequence_opens_for_whom_it_says_and_as_long", &NEEDS, claimed),
        Case::new("one_that_does_not_say_for_whom_opens_for_who_hits", &NEEDS, observed),
        Case::new("one_by_udp_or_for_ipv6_opens", &NEEDS, others),
        Case::new("hits_may_come_twice_and_neighbours_change_places", &NEEDS, shaken_hits),
        Case::new("a_lost_hit_takes_a_second_pass", &NEEDS, lost),
        Case::new("the_same_hits_again_open_nothing_from_anywhere_after_any_restart", &NEEDS, replays),
        Case::new("a_sequence_of_another_time_door_or_template_opens_nothing", &NEEDS, refused),
        Case::new("plain_and_encoded_sequences_live_side_by_side", &NEEDS, plain),
    ]
}

fn template(whom: Whom, transport: Transport) -> Result<Template> {
    let fields = Fields { whom, port: false, hold: true, flags: false };
    Ok(Template { span: Span::new(40000, 40255).ok_or("no span")?, transport, fields })
}

fn claim(address: IpAddr, hold: u32) -> Claim {
    Claim { allow: Some((address, if address.is_ipv4() { 32 } else { 128 })), port: None, hold, flags: 0 }
}

const NOBODY: Claim = Claim { allow: None, port: None, hold: 0, flags: 0 };
const ADDR: &str = "\"addr\", \"for\"";

fn claimed(stage: &Stage) -> Result {
    let mut play = Play::begin(stage, &door(ADDR, ""))?;
    let template = template(Whom::V4, Transport::Tcp)?;
    // Somebody else hits for her, and is not let in.
    let feigned: IpAddr = "10.99.0.71".parse()?;
    let ports = play.ports("ssh", &template, &claim(CLIENT4, 300))?;
    ensure!(ports.len() <= 20, "a sequence of {} hits", ports.len());
    let (most, last) = ports.split_at(ports.len() - 1);
    play.hit(feigned, Transport::Tcp, most)?;
    play.scene.is_closed(CLIENT4, SERVER4, SSH)?;
    play.hit(feigned, Transport::Tcp, last)?;
    let lease = play.until_let_in(CLIENT4, "encoded")?;
    let left = lease.get("left-ms").and_then(serde_json::Value::as_u64).unwrap_or_default();
    ensure!((200_000..=300_000).contains(&left), "it has {left} ms left, not 300 s");
    ensure!(lease.get("origin").and_then(serde_json::Value::as_str) == Some("10.99.0.71"), "the lease: {lease}");
    play.scene.is_closed(STRANGER4, SERVER4, SSH)?;
    play.until_logged(&["opened", "key ada", "10.99.0.2", "asked for by", "10.99.0.71"])?;
    play.has_leases(1)
}

fn observed(stage: &Stage) -> Result {
    let mut play = Play::begin(stage, &door("", ""))?;
    let fields = Fields { whom: Whom::Observed, port: false, hold: false, flags: false };
    let template = Template { fields, ..template(Whom::V4, Transport::Tcp)? };
    for from in [CLIENT4, CLIENT6] {
        let ports = play.ports("ssh", &template, &NOBODY)?;
        ensure!(ports.len() == 13, "a sequence of {} hits", ports.len());
        play.hit(from, Transport::Tcp, &ports)?;
        play.until_let_in(from, "encoded")?;
    }
    play.has_leases(2)
}

fn others(stage: &Stage) -> Result {
    let by_udp = door(ADDR, "").replace("fields", "proto = \"udp\", fields");
    let for_v6 = by_udp.replace("door.ssh", "door.six").replace("\"addr\"", "\"addr6\"").replace(PORTS, "1024-33791");
    let mut play = Play::begin(stage, &format!("{by_udp}{}", for_v6.replace("tcp/22\"", "tcp/443\"")))?;
    let udp = template(Whom::V4, Transport::Udp)?;
    let ports = play.ports("ssh", &udp, &claim(CLIENT4, 0))?;
    play.hit(CLIENT6, Transport::Udp, &ports)?;
    play.until_let_in(CLIENT4, "encoded")?;
    let wide = Template { span: Span::new(1024, 33791).ok_or("no span")?, ..template(Whom::V6, Transport::Udp)? };
    let ports = play.ports("six", &wide, &claim(CLIENT6, 60))?;
    play.hit(CLIENT4, Transport::Udp, &ports)?;
    play.scene.until_open(CLIENT6, server_for(CLIENT6), klopf_tests::Service::Tcp(443))
}

fn shaken_hits(stage: &Stage) -> Result {
    let mut play = Play::begin(stage, &door(ADDR, ""))?;
    let template = template(Whom::V4, Transport::Tcp)?;
    for seed in 0..10_u8 {
        let address: IpAddr = [10, 99, 0, 100 + seed].into();
        let ports = play.ports("ssh", &template, &claim(address, 0))?;
        play.hit(CLIENT4, Transport::Tcp, &shaken(&ports, seed.into()))?;
        let status = play.scene.until_status("it has opened", |status| status.lease(address).is_ok())?;
        ensure!(status.leases() == usize::from(seed) + 1, "{} leases", status.leases());
    }
    Ok(())
}

fn lost(stage: &Stage) -> Result {
    let mut play = Play::begin(stage, &door(ADDR, ""))?;
    let template = template(Whom::V4, Transport::Tcp)?;
    let ports = play.ports("ssh", &template, &claim(CLIENT4, 0))?;
    let missing = |gone: usize| ports.iter().enumerate().filter(move |(at, _)| *at != gone).map(|(_, port)| *port);
    let first: Vec<u16> = missing(7).collect();
    play.hit(CLIENT4, Transport::Tcp, &first)?;
    play.scene.is_closed(CLIENT4, SERVER4, SSH)?;
    let second: Vec<u16> = missing(14).collect();
    play.hit(CLIENT4, Transport::Tcp, &second)?;
    play.until_let_in(CLIENT4, "encoded")?;
    // The whole second pass of one that has opened already is no second knock.
    let ports = play.ports("ssh", &template, &claim(STRANGER4, 0))?;
    play.hit(CLIENT4, Transport::Tcp, &[&ports[..], &ports[..]].concat())?;
    play.until_let_in(STRANGER4, "encoded")?;
    ensure!(play.count("replayed")? == 0, "a second pass counts as a replay");
    Ok(())
}

fn replays(stage: &Stage) -> Result {
    let mut play = Play::begin(stage, &door(ADDR, ""))?;
    let template = template(Whom::V4, Transport::Tcp)?;
    let ports = play.ports("ssh", &template, &claim(CLIENT4, 0))?;
    play.hit(CLIENT4, Transport::Tcp, &ports)?;
    play.until_let_in(CLIENT4, "encoded")?;
    for (round, signal) in [None, Some(Signal::TERM), Some(Signal::KILL)].into_iter().enumerate() {
        play.revoke()?;
        if let Some(signal) = signal {
            play.end(signal)?;
            play.start()?;
        }
        let before = play.count("replayed")?;
        for from in [CLIENT6, STRANGER4] {
            play.hit(from, Transport::Tcp, &ports)?;
        }
        until(&format!("both were refused in round {round}"), || Ok(play.count("replayed")? == before + 2))?;
        play.scene.is_closed(CLIENT4, SERVER4, SSH)?;
        play.has_leases(0)?;
    }
    // Another one opens.
    let ports = play.ports("ssh", &template, &claim(CLIENT4, 0))?;
    play.hit(CLIENT4, Transport::Tcp, &ports)?;
    play.until_let_in(CLIENT4, "encoded").map(drop)
}

fn refused(stage: &Stage) -> Result {
    let other = door(ADDR, "").replace("door.ssh", "door.other").replace("tcp/22", "tcp/443");
    let by_packet = "[door.packet]\nguard = [\"tcp/60000\"]\nkeys = [\"*\"]\n";
    let mut play = Play::begin(stage, &format!("{}{other}{by_packet}", door(ADDR, "via = [\"encoded\"]")))?;
    let template = template(Whom::V4, Transport::Tcp)?;
    let in_a_while = Mark::at(now_ms()? / 1000 + 600);
    let (late, _) = play.ports_from("ssh", &template, &claim(CLIENT4, 0), in_a_while)?;
    play.hit(CLIENT4, Transport::Tcp, &late)?;
    until("its clock was refused", || Ok(play.count("wrong-clock")? == 1))?;
    let nowhere = play.ports("nowhere", &template, &claim(CLIENT4, 0))?;
    play.hit(CLIENT4, Transport::Tcp, &nowhere)?;
    let wrong = Template { fields: Fields { whom: Whom::V4, port: true, ..template.fields }, ..template };
    let ports = play.ports("ssh", &wrong, &claim(CLIENT4, 0))?;
    play.hit(CLIENT4, Transport::Tcp, &ports)?;
    let mut ports = play.ports("ssh", &template, &claim(CLIENT4, 0))?;
    for port in &mut ports {
        *port ^= 2;
    }
    play.hit(CLIENT4, Transport::Tcp, &ports)?;
    // What comes after shows that all was looked at.
    let ports = play.ports("other", &template, &claim(STRANGER4, 0))?;
    play.hit(CLIENT4, Transport::Tcp, &ports)?;
    play.scene.until_status("the right one has opened", |status| status.lease(STRANGER4).is_ok())?;
    play.has_leases(1)
}

fn plain(stage: &Stage) -> Result {
    let plain = klopf_tests::scene::door("plain", "guard = [\"tcp/443\"]\nopen-for = \"600s\"");
    let mut play = Play::begin(stage, &format!("{}{plain}", door(ADDR, "")))?;
    let template = template(Whom::V4, Transport::Tcp)?;
    let ports = play.ports("ssh", &template, &claim(STRANGER4, 0))?;
    play.scene.knock(CLIENT4)?;
    play.hit(CLIENT4, Transport::Tcp, &ports)?;
    play.until_let_in(STRANGER4, "encoded")?;
    play.scene.until_open(CLIENT4, SERVER4, klopf_tests::Service::Tcp(443))?;
    play.has_leases(2)
}
