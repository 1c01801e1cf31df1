//! Packets made by hand, so that any source can be played.

use std::net::{IpAddr, Ipv4Addr};

/// The server's hardware address on every link.
pub const SERVER_MAC: &str = "02:00:00:00:00:01";

const SYN: u8 = 2;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// An IP packet with a SYN, always the same for the same arguments: twice the same is a retransmission.
#[must_use]
pub fn syn(source: IpAddr, destination: IpAddr, port: u16) -> Vec<u8> {
    segment(source, destination, port, SYN)
}

/// The same with these flags, as in the TCP header.
#[must_use]
pub fn segment(source: IpAddr, destination: IpAddr, port: u16, flags: u8) -> Vec<u8> {
    let mut segment = vec![0; 20];
    put(&mut segment, 0, &(40_000 + port % 1000).to_be_bytes());
    put(&mut segment, 2, &port.to_be_bytes());
    put(&mut segment, 4, &[0, 0, 0, 1, 0, 0, 0, 0, 5 << 4, flags, 4, 0]);
    ip(source, destination, TCP, &with_checksum(segment, 16, source, destination, TCP))
}

/// An IP packet with a datagram of these bytes.
#[must_use]
pub fn datagram(source: IpAddr, destination: IpAddr, port: u16, payload: &[u8]) -> Vec<u8> {
    let mut segment = vec![0; 8];
    put(&mut segment, 0, &(40_000 + port % 1000).to_be_bytes());
    put(&mut segment, 2, &port.to_be_bytes());
    put(&mut segment, 4, &length(8 + payload.len()));
    segment.extend_from_slice(payload);
    ip(source, destination, UDP, &with_checksum(segment, 6, source, destination, UDP))
}

/// An IP packet with another traffic class, or type of service.
#[must_use]
pub fn of_class(mut packet: Vec<u8>, class: u8) -> Vec<u8> {
    if is_v6(&packet) {
        put(&mut packet, 0, &[0x60 | class >> 4, class << 4]);
        return packet;
    }
    put(&mut packet, 1, &[class]);
    sum_header(&mut packet, 20);
    packet
}

/// A datagram over IPv4 without a checksum of its own, so that its end may be changed.
#[must_use]
pub fn unchecked(datagram: &[u8]) -> Vec<u8> {
    let mut datagram = datagram.to_vec();
    put(&mut datagram, 26, &[0, 0]);
    datagram
}

/// An IP packet with options that do nothing: those of IPv4, or a header of destination options.
#[must_use]
pub fn with_options(packet: &[u8]) -> Vec<u8> {
    if is_v6(packet) {
        let next = packet.get(6).copied().unwrap_or_default();
        return extended(packet, 60, &[next, 0, 1, 4, 0, 0, 0, 0]);
    }
    let (header, rest) = packet.split_at_checked(20).unwrap_or((packet, &[]));
    let mut out = [header, &[1, 1, 1, 0], rest].concat();
    let total = length(out.len());
    put(&mut out, 0, &[0x46]);
    put(&mut out, 2, &total);
    sum_header(&mut out, 24);
    out
}

/// The fragments of an IP packet, each with so many bytes, a multiple of eight, but the last.
#[must_use]
pub fn fragments(packet: &[u8], bytes: usize) -> Vec<Vec<u8>> {
    let v6 = is_v6(packet);
    let (header, payload) = packet.split_at_checked(if v6 { 40 } else { 20 }).unwrap_or((packet, &[]));
    let count = payload.len().div_ceil(bytes);
    let fragment = |(number, part): (usize, &[u8])| {
        let offset = u16::try_from(number * bytes / 8).unwrap_or_default();
        let more = u16::from(number + 1 < count);
        let mut out = [header, part].concat();
        if v6 {
            let [high, low] = (offset << 3 | more).to_be_bytes();
            let total = length(part.len());
            put(&mut out, 4, &total);
            return extended(&out, 44, &[UDP, 0, high, low, 0, 0, 0, 1]);
        }
        let total = length(out.len());
        put(&mut out, 2, &total);
        put(&mut out, 6, &(more << 13 | offset).to_be_bytes());
        sum_header(&mut out, 20);
        out
    };
    payload.chunks(bytes).enumerate().map(fragment).collect()
}

/// An IPv6 packet with an extension header of eight bytes.
fn extended(packet: &[u8], kind: u8, extension: &[u8; 8]) -> Vec<u8> {
    let (header, payload) = packet.split_at_checked(40).unwrap_or((packet, &[]));
    let mut out = [header, extension, payload].concat();
    let total = length(8 + payload.len());
    put(&mut out, 4, &total);
    put(&mut out, 6, &[kind]);
    out
}

fn is_v6(packet: &[u8]) -> bool {
    packet.first().is_some_and(|byte| byte >> 4 == 6)
}

/// Puts the checksum into an IPv4 header of so many bytes.
fn sum_header(packet: &mut [u8], header: usize) {
    put(packet, 10, &[0, 0]);
    let sum = checksum(packet.get(..header).unwrap_or_default());
    put(packet, 10, &sum.to_be_bytes());
}

/// The Ethernet frame that carries an IP packet to the server.
#[must_use]
pub fn frame(packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend_from_slice(if is_v6(packet) { &[0x86, 0xdd] } else { &[8, 0] });
    frame.extend_from_slice(packet);
    frame
}

fn ip(source: IpAddr, destination: IpAddr, protocol: u8, segment: &[u8]) -> Vec<u8> {
    let mut packet = match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => ipv4(source, destination, protocol, segment.len()),
        _ => {
            let mut header = vec![0x60, 0, 0, 0];
            header.extend_from_slice(&length(segment.len()));
            header.extend_from_slice(&[protocol, 64]);
            header.extend_from_slice(&octets(source));
            header.extend_from_slice(&octets(destination));
            header
        }
    };
    packet.extend_from_slice(segment);
    packet
}

fn ipv4(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, payload: usize) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend_from_slice(&length(20 + payload));
    header.extend_from_slice(&[0, 1, 0, 0, 64, protocol, 0, 0]);
    header.extend_from_slice(&source.octets());
    header.extend_from_slice(&destination.octets());
    let sum = checksum(&header);
    put(&mut header, 10, &sum.to_be_bytes());
    header
}

fn with_checksum(mut segment: Vec<u8>, at: usize, source: IpAddr, destination: IpAddr, protocol: u8) -> Vec<u8> {
    // The pseudo headers of both families have the same sum.
    let mut covered = octets(source);
    covered.extend(octets(destination));
    covered.extend_from_slice(&length(segment.len()));
    covered.extend_from_slice(&[0, protocol]);
    covered.extend_from_slice(&segment);
    let sum = checksum(&covered);
    put(&mut segment, at, &sum.to_be_bytes());
    segment
}

/// The Internet checksum, RFC 1071.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match *pair {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    for (place, byte) in bytes.iter_mut().skip(at).zip(value) {
        *place = *byte;
    }
}
