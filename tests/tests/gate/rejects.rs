//! `closed = "reject"`: a guarded port answers as one at which nothing listens, byte for byte.

use std::net::IpAddr;

use klopf_tests::{Answer, CLIENT4, Capture, Case, Need, Result, SERVER4, Service, Stage, ensure, packet};

use crate::scene::{FAMILIES, NEEDS, SSH, Scene, door};

/// Served and guarded; unused, with a number as long.
const GUARDED: u16 = 22;
const UNUSED: u16 = 24;
/// TCP flags: SYN, ACK, SYN ACK, FIN, FIN PSH URG, none, RST.
const FLAGS: [u8; 7] = [0x02, 0x10, 0x12, 0x01, 0x29, 0x00, 0x04];
/// The datagram that ends a capture goes to a port that is served.
const END: u16 = 443;
/// A service class as ssh asks for it.
const CLASS: u8 = 0x48;

pub(crate) fn cases() -> Vec<Case> {
    let needs: Vec<Need> = NEEDS.into_iter().chain(Capture::NEEDS).collect();
    let [four, six] = FAMILIES;
    vec![
        Case::new("reject_answers_as_an_unused_port_ipv4", &needs, move |stage| same(stage, four, 0)),
        Case::new("reject_answers_as_an_unused_port_ipv6", &needs, move |stage| same(stage, six, 0)),
        Case::new("reject_answers_as_an_unused_port_whatever_the_class_ipv4", &needs, move |stage| {
            same(stage, four, CLASS)
        }),
        Case::new("reject_answers_as_an_unused_port_whatever_the_class_ipv6", &needs, move |stage| {
            same(stage, six, CLASS)
        }),
        Case::new("reject_refuses_strangers_and_opens_as_usual", &NEEDS, refuses),
    ]
}

fn rejecting() -> String {
    door("ssh", "guard = [\"tcp/22\", \"udp/22\"]\nopen-for = \"2s\"\nclosed = \"reject\"")
}

fn same(stage: &Stage, (from, _, to): (IpAddr, IpAddr, IpAddr), class: u8) -> Result {
    let (mut scene, _klopfd) = Scene::guarded(stage, &rejecting())?;
    // So that the neighbour is known before anything is answered.
    scene.is_open(from, to, Service::Tcp(END))?;
    let filter = "(tcp or udp or icmp or icmp6) and not (tcp port 443) \
                  and not (icmp6 and ip6[40] >= 130 and ip6[40] <= 137)";
    let mut capture = Capture::at(stage, &stage.client, filter)?;
    let probes = |port: u16| -> Vec<Vec<u8>> {
        let segments = FLAGS.into_iter().map(|flags| packet::segment(from, to, port, flags));
        let datagrams = [4, 700].map(|length| packet::datagram(from, to, port, &vec![7; length]));
        segments.chain(datagrams).map(|packet| packet::of_class(packet, class)).collect()
    };
    let mut answers = Vec::new();
    let mut before = 0;
    for (unused, guarded) in probes(UNUSED).into_iter().zip(probes(GUARDED)) {
        let mut pair = Vec::new();
        for probe in [unused, guarded] {
            scene.wire.packet(&probe)?;
            scene.wire.packet(&packet::datagram(from, to, END, b"end"))?;
            // The server answers in order, so what it answers to the probe is there before the echo.
            let is_end = |packet: &Vec<u8>| packet.ends_with(b"end");
            let ends = |packets: &[Vec<u8>]| packets.iter().filter(|packet| is_end(packet)).count();
            let packets = capture.until("the echo", |packets| ends(packets) > before)?;
            before += 1;
            let parts: Vec<&[Vec<u8>]> = packets.split(is_end).collect();
            let answer: &[Vec<u8>] = parts.get(before - 1).copied().unwrap_or_default();
            pair.push(answer.iter().map(|packet| without_ports(packet)).collect::<Vec<_>>());
        }
        answers.push(pair);
    }
    let answered = answers.iter().filter(|pair| pair.iter().any(|answer| !answer.is_empty())).count();
    // All but RST are answered by a closed port.
    ensure!(answered == FLAGS.len() - 1 + 2, "{answered} probes were answered: {answers:#?}");
    let mut differences = Vec::new();
    for (probe, pair) in probes(UNUSED).iter().zip(&answers) {
        let [unused, guarded] = pair.as_slice() else { return Err("not a pair".into()) };
        let same = if begins_nothing(probe) { classless(unused) == classless(guarded) } else { unused == guarded };
        if !same {
            let probe: String = probe.iter().take(60).map(|byte| format!("{byte:02x}")).collect();
            differences.push(format!("to {probe}\n  an unused port answers {unused:?}\n  the guarded one {guarded:?}"));
        }
    }
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    Ok(())
}

/// Whether a packet is TCP that can neither begin a connection nor go on with one. The reset for it comes from nf_tables, whose
/// resets have no class and no flow label.
fn begins_nothing(packet: &[u8]) -> bool {
    let (header, protocol) =
        if packet.first().is_some_and(|byte| byte >> 4 == 6) { (40, packet.get(6)) } else { (20, packet.get(9)) };
    protocol == Some(&6) && packet.get(header + 13).is_some_and(|flags| ![0x02, 0x10].contains(flags))
}

/// Answers without their first four bytes: version, class, and flow label or length.
fn classless(answers: &[String]) -> Vec<String> {
    answers.iter().map(|answer| answer.chars().skip(8).collect()).collect()
}

/// An answer in hexadecimal, without ports and checksums, its own and those it quotes. Of identification and flow label it
/// keeps whether there are any.
fn without_ports(packet: &[u8]) -> String {
    let mut packet = packet.to_vec();
    let version_6 = packet.first().is_some_and(|byte| byte >> 4 == 6);
    let (header, protocol) = if version_6 { (40, packet.get(6)) } else { (20, packet.get(9)) };
    let tcp = protocol == Some(&6);
    let mut masked: Vec<(usize, usize)> = if tcp {
        vec![(header, 4), (header + 16, 2)]
    } else {
        let quoted = header + 8 + header;
        vec![(header + 2, 2), (quoted, 4), (quoted + 6, 2)]
    };
    let by_chance: &[(usize, usize)] = if version_6 { &[(1, 3)] } else { &[(4, 2)] };
    if !version_6 {
        masked.push((10, 2));
    }
    for (from, length) in masked {
        packet.iter_mut().skip(from).take(length).for_each(|byte| *byte = 0);
    }
    for (from, length) in by_chance.iter().copied() {
        let any = packet.iter().skip(from).take(length).any(|byte| *byte != 0);
        packet.iter_mut().skip(from).take(length).for_each(|byte| *byte = u8::from(any));
    }
    packet.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn refuses(stage: &Stage) -> Result {
    let (mut scene, _klopfd) = Scene::guarded(stage, &rejecting())?;
    for (friend, stranger, server) in FAMILIES {
        for service in [SSH, Service::Udp(22), Service::Tcp(UNUSED), Service::Udp(UNUSED)] {
            let answer = scene.peer.meets(stranger, server, service)?;
            ensure!(answer == Answer::Refused, "{service} answers {stranger}: {answer:?}");
        }
        scene.knock(friend)?;
        klopf_tests::until("the knock opens", || Ok(scene.peer.meets(friend, server, SSH)? == Answer::Open))?;
        scene.peer.hold("up", friend, server, SSH)?;
        let answer = scene.peer.meets(stranger, server, SSH)?;
        ensure!(answer == Answer::Refused, "{stranger} gets {answer:?}");
        klopf_tests::until("the lease ends", || Ok(scene.peer.meets(friend, server, SSH)? == Answer::Refused))?;
        let answer = scene.peer.says("up")?;
        ensure!(answer == Answer::Open, "the connection of {friend} is cut: {answer:?}");
    }
    ensure!(scene.peer.meets(CLIENT4, SERVER4, Service::Udp(22))? == Answer::Refused, "udp/22 is not refused");
    Ok(())
}
