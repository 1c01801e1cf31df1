//! Nobody can tell that sealed knocks are heard: what a server answers is what it would answer without them.

use klopf_tests::scene::NEEDS;
use klopf_tests::{
    CLIENT4, CLIENT6, Capture, Case, Need, Person, Result, SERVER4, SERVER6, Stage, ensure, packet, until,
};

use crate::play::{DOOR, Play, server_for};

/// The header of IPv4, and that of IPv6.
const HEADERS: [usize; 2] = [20, 40];
/// What all ends with, by itself.
const LAST: &[u8] = b"that was all";

pub(crate) fn cases() -> Vec<Case> {
    let needs: Vec<Need> = NEEDS.into_iter().chain(Capture::NEEDS).collect();
    vec![
        Case::new("a_server_answers_sealed_knocks_as_it_would_without_klopfd", &needs, |stage| same(stage, false)),
        Case::new("a_server_that_says_nothing_says_nothing_to_sealed_knocks", &needs, |stage| same(stage, true)),
    ]
}

fn same(stage: &Stage, silent: bool) -> Result {
    // The kernel holds answers back by itself when there are many.
    let unlimited = "cd /proc/sys/net && echo 0 > ipv4/icmp_ratelimit && echo 0 > ipv6/icmp/ratelimit";
    stage.server.run("sh", &["-c", unlimited])?;
    if silent {
        stage.server.run(
            "nft",
            &["add table inet t; \
               add chain inet t o { type filter hook output priority 0; }; \
               add rule inet t o icmp type destination-unreachable drop; \
               add rule inet t o icmpv6 type destination-unreachable drop"],
        )?;
    }
    let (mut ada, mut eve) = (Person::new("ada")?, Person::new("eve")?);
    let mut play = Play::set(stage, DOOR, &[(&ada, ""), (&eve, "no-clock = true")])?;
    let mut sent = Vec::new();
    for from in [CLIENT4, CLIENT6] {
        let valid = play.knock(&mut eve, "ssh")?;
        let stranger = play.knock(&mut Person::new("joe")?, "ssh")?;
        let refused = play.knock(&mut eve, "nowhere")?;
        let late = play.knock_with(&mut ada, |knock| knock.time -= 1_000_000)?;
        let junk = [vec![0; 300], vec![0xa5; 1200], b"x".to_vec(), Vec::new()];
        let all = [valid.clone(), valid, stranger, refused, late].into_iter().chain(junk);
        sent.extend(all.map(|payload| (from, payload)));
    }
    let before = answers(&mut play, &sent)?;
    let expected = if silent { 0 } else { sent.len() };
    ensure!(before.len() == expected, "without klopfd there are {} answers to {}", before.len(), sent.len());
    play.start()?;
    let with = answers(&mut play, &sent)?;
    // They were seen.
    until("all is counted", || {
        let [junk, replays] = [play.count("no-packet")?, play.count("replayed")?];
        Ok((junk, replays) == (8, 2))
    })?;
    play.has_leases(2)?;
    ensure!(before == with, "with klopfd there are {} answers, or others, to {}", with.len(), sent.len());
    Ok(())
}

/// What the server sends in answer to datagrams: the packets behind their IP headers.
fn answers(play: &mut Play<'_>, sent: &[(std::net::IpAddr, Vec<u8>)]) -> Result<Vec<Vec<u8>>> {
    let stage = play.scene.stage;
    // All but the search for neighbours.
    let filter = format!(
        "(src host {SERVER4} or src host {SERVER6}) and not (icmp6 and ip6[40] >= 133 and ip6[40] <= 137) and not arp"
    );
    let mut capture = Capture::at(stage, &stage.client, &filter)?;
    for (from, payload) in sent {
        play.scene.wire.packet(&packet::datagram(*from, server_for(*from), play.port, payload))?;
    }
    // The daemon has looked at all of it, and then the server says something by itself.
    if play.klopfd().is_ok() {
        play.scene.status()?;
    }
    let last =
        format!("import socket; socket.socket(2, 2).sendto({:?}, ('{CLIENT4}', 9))", String::from_utf8(LAST.into())?);
    stage.server.run("python3", &["-c", &last.replace("sendto(", "sendto(b")])?;
    let is_last = |packet: &Vec<u8>| packet.ends_with(LAST);
    let packets = capture.until("the server's own datagram", |packets| packets.iter().any(is_last))?;
    let [v4, v6] = HEADERS;
    let behind = |packet: Vec<u8>| {
        let header = if packet.first().is_some_and(|byte| byte >> 4 == 6) { v6 } else { v4 };
        packet.get(header..).unwrap_or_default().to_vec()
    };
    Ok(packets.into_iter().filter(|packet| !is_last(packet)).map(behind).collect())
}
