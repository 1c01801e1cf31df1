//! What our `knock` puts on the wire is what the old one puts there.

use klopf_tests::{CLIENT4, Capture, Case, Daemon, Need, Result, SERVER4, SERVER6, Stage, Wire, ensure, packet};

/// After the word HOST stands the server's address.
const USES: [&[&str]; 7] = [
    &["HOST", "7000"],
    &["HOST", "7000:udp"],
    &["HOST", "7000", "8000:udp", "9000:tcp", "8000"],
    &["-u", "HOST", "7000", "8000:tcp", "9000:udp"],
    &["-d", "10", "HOST", "7000", "8000:udp", "9000"],
    &["-v", "HOST", "1", "65535:udp"],
    &["FAMILY", "HOST", "7000", "8000:udp"],
];
/// The port of the datagram that ends a capture.
const END: u16 = 9;

pub(crate) fn cases() -> impl Iterator<Item = Case> {
    [("ipv4", false), ("ipv6", true)]
        .map(|(family, version_6)| {
            let needs: Vec<Need> =
                [Daemon::Knockd.needs(), &Wire::NEEDS, &Capture::NEEDS].into_iter().flatten().copied().collect();
            Case::new(format!("knock_sends_what_the_old_one_sends_{family}"), &needs, move |stage| {
                same(stage, version_6)
            })
        })
        .into_iter()
}

fn same(stage: &Stage, version_6: bool) -> Result {
    let end = packet::datagram(CLIENT4, SERVER4, END, b"end");
    let ends = |packets: &[Vec<u8>]| packets.iter().filter(|packet| **packet == end).count();
    let mut wire = Wire::link(stage, "eth0")?;
    let mut capture = Capture::start(stage)?;
    for arguments in USES {
        for program in [Daemon::Knockd, Daemon::Face] {
            knock(stage, program, arguments, version_6)?;
            // Packets arrive in order, so whatever it has sent is there before this.
            wire.packet(&end)?;
        }
    }
    let packets = capture.until("all uses end", |packets| ends(packets) == 2 * USES.len())?;
    let sent: Vec<Vec<String>> = packets
        .split(|packet| *packet == end)
        .map(|packets| packets.iter().map(|packet| without_chance(packet)).collect())
        .collect();
    for (arguments, pair) in USES.iter().zip(sent.chunks_exact(2)) {
        let [old, new] = pair else { return Err("not a pair".into()) };
        ensure!(!old.is_empty(), "{arguments:?}: the old one sends nothing");
        ensure!(old == new, "{arguments:?}: it sends\n{new:#?}\nwhere the old one sends\n{old:#?}");
    }
    Ok(())
}

fn knock(stage: &Stage, program: Daemon, arguments: &[&str], version_6: bool) -> Result {
    let host = if version_6 { SERVER6 } else { SERVER4 }.to_string();
    let filled = arguments.iter().map(|argument| match *argument {
        "HOST" => &host,
        "FAMILY" if version_6 => "-6",
        "FAMILY" => "-4",
        other => other,
    });
    let done = program.knocker(stage)?.args(filled).output()?;
    ensure!(done.status.success(), "{arguments:?}: {done:?}");
    Ok(())
}

/// A packet in hexadecimal, without identification, flow label, source port, checksums, sequence number and times.
fn without_chance(packet: &[u8]) -> String {
    let mut packet = packet.to_vec();
    let version_6 = packet.first().is_some_and(|byte| byte >> 4 == 6);
    let (transport, protocol) = if version_6 { (40, 6) } else { (20, 9) };
    let tcp = packet.get(protocol) == Some(&6);
    // From where, and how many bytes.
    let network: &[_] = if version_6 { &[(1, 3)] } else { &[(4, 2), (10, 2)] };
    // Behind Linux's options for the segment size and selective acknowledgement stand the times.
    let segment: &[_] = if tcp { &[(0, 2), (4, 4), (16, 2), (28, 8)] } else { &[(0, 2), (6, 2)] };
    let segment = segment.iter().map(|(from, length)| (transport + from, *length));
    for (from, length) in network.iter().copied().chain(segment) {
        packet.iter_mut().skip(from).take(length).for_each(|byte| *byte = 0);
    }
    packet.iter().map(|byte| format!("{byte:02x}")).collect()
}
