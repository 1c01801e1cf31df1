//! Writes the seeds that are packets, mails and pages, and those that the test vectors are: `cargo run --manifest-path fuzz/Cargo.toml --example seeds`.

mod letters;
mod lines;
mod vectors;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::{fs, io};

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

const TCP: u8 = 6;
const UDP: u8 = 17;

// The bits of a record, as `frame_to_engine` reads them.
const HERE: u8 = 1;
const SERVICE: u8 = 2;
const EXPIRE: u8 = 4;
const RELOAD: u8 = 8;

const FROM: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const TO: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
const FROM_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7));
const TO_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

fn main() -> io::Result<()> {
    for (name, packet) in packets() {
        write("packet", name, &packet)?;
    }
    for (name, records) in plays() {
        write("frame_to_engine", name, &records.concat())?;
    }
    letters::write_all()?;
    lines::write_all()?;
    vectors::write_all()
}

fn write(target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&directory)?;
    fs::write(directory.join(name), bytes)
}

fn packets() -> Vec<(&'static str, Vec<u8>)> {
    let segment = tcp(40_000, 7000, SYN);
    let behind = |header: &[u8]| [header, &segment].concat();
    let fragment = |offset: u8| behind(&[TCP, 0, 0, offset << 3 | 1, 0, 0, 0, 1]);
    let mut options = ip(FROM, TO, TCP, &behind(&[1, 1, 1, 0]));
    options[0] = 0x46;
    let mut later = ip(FROM, TO, TCP, &segment);
    later[6..8].copy_from_slice(&[0x20, 1]);
    let chain = [[43, 0, 1, 4, 0, 0, 0, 0], [60, 0, 0, 0, 0, 0, 0, 0], [TCP, 0, 1, 4, 0, 0, 0, 0]].concat();
    vec![
        ("tcp4", ip(FROM, TO, TCP, &segment)),
        ("tcp4_cut", ip(FROM, TO, TCP, &segment)[..39].to_vec()),
        ("tcp4_options", options),
        ("tcp4_later_fragment", later),
        ("tcp4_header_too_short", {
            let mut packet = ip(FROM, TO, TCP, &segment);
            packet[32] = 0x40;
            packet
        }),
        ("udp4", ip(FROM, TO, UDP, &udp(9, 23_000))),
        ("udp4_cut", ip(FROM, TO, UDP, &udp(9, 23_000)[..7])),
        ("icmp4", ip(FROM, TO, 1, &[8, 0, 0, 0, 0, 0, 0, 0])),
        ("tcp6", ip(FROM_V6, TO_V6, TCP, &segment)),
        ("udp6", ip(FROM_V6, TO_V6, UDP, &udp(9, 23_000))),
        ("tcp6_extensions", ip(FROM_V6, TO_V6, 0, &behind(&chain))),
        ("tcp6_first_fragment", ip(FROM_V6, TO_V6, 44, &fragment(0))),
        ("tcp6_later_fragment", ip(FROM_V6, TO_V6, 44, &fragment(1))),
        ("extension_without_end6", ip(FROM_V6, TO_V6, 0, &[TCP, 200, 0, 0, 0, 0, 0, 0])),
    ]
}

/// One play a door, and some with more in them.
fn plays() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let from = |origin: u8, port| syn([192, 0, 2, origin].into(), TO, port);
    let hit = |port| record(10, HERE, &from(7, port));
    let hits = |ports: &[u16]| ports.iter().map(|port| hit(*port)).collect::<Vec<_>>();
    let datagram = |port| record(10, HERE, &ip(FROM, TO, UDP, &udp(9, port)));
    let again = |port| record(10, HERE, &ip(FROM, TO, TCP, &tcp(50_000, port, SYN)));
    let pause = |tenths: u8, bits| vec![128 + tenths, bits, 0];
    let reload = |change| vec![0, RELOAD, change, 0];
    let away = |port| record(10, 0, &syn(FROM, ELSEWHERE, port));
    let v6 = |proto, segment: &[u8]| record(10, HERE, &ip(FROM_V6, TO_V6, proto, segment));
    vec![
        ("lax", hits(&[7000, 8000, 9000])),
        ("lax_two_protocols", vec![hit(7000), datagram(8000)]),
        ("strict", hits(&[7000, 9000, 8000])),
        ("strict_repeated", hits(&[7000, 7000, 9000, 9000, 8000])),
        ("strict_wrong_hit", hits(&[7000, 9000, 1, 8000])),
        ("strict_service", vec![hit(7000), hit(9000), record(10, HERE | SERVICE, &from(7, 443)), hit(8000)]),
        ("strict_twice_the_same_port", vec![datagram(5000), hit(7000), again(7000)]),
        ("one_time", hits(&[1001, 7000, 1, 8000, 7000, 8000, 7000])),
        ("one_time_strict", hits(&[8000, 9000, 1, 9000, 8000, 1, 8000, 9000])),
        ("one_time_reloaded", vec![hits(&[1001, 7000]).concat(), reload(0), hits(&[1001, 7000]).concat()]),
        ("one_time_anew", vec![hits(&[1001, 7000]).concat(), reload(0x10), hits(&[1001, 7000]).concat()]),
        ("target", vec![away(7000), away(8000)]),
        ("target6", vec![v6(TCP, &tcp(40_000, 7000, SYN)), v6(UDP, &udp(9, 8000))]),
        ("single", hits(&[4000, 4000])),
        ("single_in_no_time", hits(&[4002])),
        ("never_in_time", [4001, 8000].map(|port| record(0, HERE, &from(7, port))).to_vec()),
        ("flags", vec![hit(7000), record(10, HERE, &ip(FROM, TO, TCP, &tcp(40_000, 9000, SYN | ACK))), hit(8000)]),
        ("too_late", vec![hit(7000), pause(49, 0), hit(8000), pause(1, EXPIRE), hit(9000)]),
        ("left_alone", vec![hit(7000), datagram(5000), pause(60, EXPIRE)]),
        ("reloaded", vec![hit(7000), reload(0), hit(8000), reload(0x7e), hit(9000)]),
        ("door_gone_and_back", vec![hit(7000), reload(0x81), hit(8000), reload(0), hits(&[7000, 8000, 9000]).concat()]),
        ("table_full", (0..40).map(|origin| record(1, HERE, &from(origin, 7000))).collect()),
        ("too_many_grants", (0..6).map(|origin| record(1, HERE, &from(origin, 4000))).collect()),
        (
            "two_origins",
            [(7, 7000), (8, 7000), (7, 8000), (8, 9000), (8, 8000), (7, 9000)]
                .map(|(o, p)| record(10, HERE, &from(o, p)))
                .to_vec(),
        ),
    ]
}

fn record(milliseconds: u8, bits: u8, packet: &[u8]) -> Vec<u8> {
    let length = u8::try_from(packet.len()).expect("short packets");
    [&[milliseconds, bits, length], packet].concat()
}

fn syn(from: IpAddr, to: IpAddr, port: u16) -> Vec<u8> {
    ip(from, to, TCP, &tcp(40_000, port, SYN))
}

fn ip(from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = |header: usize| u16::try_from(header + payload.len()).expect("short packets").to_be_bytes();
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let [l0, l1] = length(20);
            let start = [0x45, 0, l0, l1, 0, 1, 0, 0, 64, protocol, 0, 0];
            [&start[..], &from.octets(), &to.octets(), payload].concat()
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let [l0, l1] = length(0);
            let start = [0x60, 0, 0, 0, l0, l1, protocol, 64];
            [&start[..], &from.octets(), &to.octets(), payload].concat()
        }
        _ => panic!("both addresses are of one family"),
    }
}

fn tcp(from: u16, to: u16, flags: u8) -> Vec<u8> {
    let rest = [0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 4, 0, 0, 0, 0, 0];
    [&from.to_be_bytes()[..], &to.to_be_bytes(), &rest].concat()
}

fn udp(from: u16, to: u16) -> Vec<u8> {
    [&from.to_be_bytes()[..], &to.to_be_bytes(), &[0, 8, 0, 0]].concat()
}
