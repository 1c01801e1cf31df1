//! What a dressed knock looks like to others: Wireshark takes it for what it is dressed as, and finds nothing wrong with it.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::fs;
use std::net::IpAddr;
use std::process::{Command, ExitCode};

use klopf_spa::{Knock, Name, Psk, Seed, ServerKey, Shape, seal};
use klopf_tests::{Case, Need, Result, SERVER4, Stage, ensure, packet, run};

/// Datagrams of each shape.
const COUNT: u8 = 250;
const NOW: u64 = 1_790_000_000_000;
const MILLISECONDS: u64 = 1_000;
/// Of a file of packets that begin at their IP header.
const LINK_TYPE_RAW: u32 = 101;
/// Type and length of an extension field of NTP, in bytes.
const FIELD: usize = 4;
/// The headers of UDP and NTP, in bytes.
const UDP_AND_NTP: usize = 8 + 48;
/// Wireshark says so of everything that is encrypted and whose keys it has not been given.
const ENCRYPTED: &str = "Failed to create decryption context: Secrets are not available";

fn main() -> ExitCode {
    let needs = [Need::Program("tshark", "tshark")];
    // What tshark calls the protocol, and a field that is different each time and has to be found.
    let shapes = [
        (Shape::Dns, "dns", "dns.qry.name"),
        (Shape::Ntp, "ntp", "ntp.ext.value"),
        (Shape::Quic, "quic:tls", "tls.handshake.extensions_server_name"),
    ];
    let cases = shapes.map(|(shape, protocol, field)| {
        Case::new(format!("wireshark_sees_{}", shape.name()), &needs, move |stage| seen(stage, shape, protocol, field))
    });
    run(cases.into())
}

fn seen(stage: &Stage, shape: Shape, protocol: &str, field: &str) -> Result {
    let file = stage.path("packets.pcap");
    fs::write(&file, capture(shape)?)?;
    let mut tshark = Command::new("tshark");
    // Without anybody's settings.
    tshark.env("HOME", stage.path("")).arg("-r").arg(&file).args(["-T", "fields"]);
    for field in ["frame.protocols", "_ws.malformed", "_ws.expert.message", "udp.length", field] {
        tshark.args(["-e", field]);
    }
    let done = tshark.output()?;
    let text = String::from_utf8(done.stdout)?;
    let mut values = HashSet::new();
    for line in text.lines() {
        let [protocols, malformed, expert, length, value] = line.split('\t').collect::<Vec<_>>()[..] else {
            return Err(format!("not as many fields: {line}").into());
        };
        ensure!(protocols == format!("raw:ip:udp:{protocol}"), "taken for {protocols}");
        ensure!(malformed.is_empty(), "malformed: {line}");
        let expected = if shape == Shape::Quic { ENCRYPTED } else { "" };
        ensure!(expert == expected, "Wireshark says {expert:?}");
        if shape == Shape::Ntp {
            // Wireshark does not mind extension fields that go beyond the end, nor bytes behind them.
            let fields: usize = value.split(',').map(|hexadecimal| FIELD + hexadecimal.len() / 2).sum();
            ensure!(
                fields + UDP_AND_NTP == length.parse::<usize>()?,
                "the fields do not end with the datagram: {line}"
            );
        }
        values.insert(value.to_owned());
    }
    ensure!(values.len() == usize::from(COUNT), "{} values of {field}: {values:?}", values.len());
    ensure!(values.iter().all(|value| !value.is_empty()), "no {field} in a datagram");
    Ok(())
}

/// A file in the form of libpcap with datagrams of this shape, each from another address.
fn capture(shape: Shape) -> Result<Vec<u8>> {
    let (server, seed, psk) = (ServerKey::new([1; 32]), Seed::new([2; 32]), Psk::new([3; 32]));
    let port = shape.port().ok_or("no port")?;
    let door = Name::new("ssh").ok_or("no name")?;
    let mut random = chance();
    let mut file = Vec::new();
    for number in [0xa1b2_c3d4, 0x0002_0004, 0, 0, 0x0004_0000, LINK_TYPE_RAW] {
        file.extend(u32::to_be_bytes(number));
    }
    for count in 0..COUNT {
        let knock = Knock {
            time: NOW,
            counter: count.into(),
            device: [4; 16],
            allow: None,
            hold: 0,
            code: None,
            door: door.clone(),
        };
        let payload = seal((&server.public(), shape), (&seed, &psk), &knock, NOW, &mut random);
        let packet = packet::datagram(IpAddr::from([10, 99, 1, count]), SERVER4, port, &payload);
        let length = u32::try_from(packet.len())?;
        for number in [u32::try_from(NOW / MILLISECONDS)?, count.into(), length, length] {
            file.extend(number.to_be_bytes());
        }
        file.extend(packet);
    }
    Ok(file)
}

/// Chance that is the same each time (SplitMix64).
fn chance() -> impl FnMut(&mut [u8]) {
    let mut state = 1_u64;
    move |out| {
        for byte in out {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let [first, ..] = (mixed ^ (mixed >> 31)).to_le_bytes();
            *byte = first;
        }
    }
}
