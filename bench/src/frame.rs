//! Ethernet frames with a TCP SYN or a datagram over IPv4, as the client's kernel would send them, and the answers to SYNs.

use std::net::Ipv4Addr;

pub(crate) const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(crate) const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const TCP: u8 = 6;
const UDP: u8 = 17;
const SYN: u8 = 2;
const SYN_ACK: u8 = 0x12;
const IP_LEN: u16 = 20;
const TCP_LEN: u16 = 20;
const UDP_LEN: u16 = 8;

/// One SYN from `src` to `dst`, 54 bytes, checksums filled in.
pub(crate) fn syn(src: (Ipv4Addr, u16), dst: (Ipv4Addr, u16)) -> Vec<u8> {
    let ip = ip(src.0, dst.0, TCP, TCP_LEN);
    let pseudo = [&src.0.octets()[..], &dst.0.octets(), &[0, TCP], &TCP_LEN.to_be_bytes()].concat();
    let sum = checksum(&[&pseudo[..], &tcp_header(src.1, dst.1, 0)].concat());
    [&SERVER_MAC[..], &CLIENT_MAC, &ETHERTYPE_IPV4, &ip, &tcp_header(src.1, dst.1, sum)].concat()
}

/// One datagram from `src` to `dst`. It has no checksum of its own, which IPv4 allows; of its payload no more than fits.
pub(crate) fn udp(src: (Ipv4Addr, u16), dst: (Ipv4Addr, u16), payload: &[u8]) -> Vec<u8> {
    let room = usize::from(u16::MAX - IP_LEN - UDP_LEN);
    let payload = payload.get(..room).unwrap_or(payload);
    let length = UDP_LEN + u16::try_from(payload.len()).unwrap_or_default();
    let [sport, dport, bytes] = [src.1, dst.1, length].map(u16::to_be_bytes);
    let ip = ip(src.0, dst.0, UDP, length);
    [&SERVER_MAC[..], &CLIENT_MAC, &ETHERTYPE_IPV4, &ip, &sport, &dport, &bytes, &[0, 0], payload].concat()
}

/// The ports, from and to, of a frame that is a SYN-ACK without IP options.
pub(crate) fn syn_ack(frame: &[u8]) -> Option<(u16, u16)> {
    let (ethernet, packet) = frame.split_at_checked(14)?;
    let (ip, tcp) = packet.split_at_checked(IP_LEN.into())?;
    let is_ip = ethernet.ends_with(&ETHERTYPE_IPV4) && ip.first() == Some(&0x45) && ip.get(9) == Some(&TCP);
    let port = |at| tcp.get(at..)?.first_chunk().copied().map(u16::from_be_bytes);
    if is_ip && tcp.len() >= TCP_LEN.into() && tcp.get(13) == Some(&SYN_ACK) { port(0).zip(port(2)) } else { None }
}

/// Internet checksum (RFC 1071).
fn checksum(data: &[u8]) -> u16 {
    let sum = data.chunks(2).fold(0, |sum: u32, pair| match pair {
        [high, low] => sum + u32::from(u16::from_be_bytes([*high, *low])),
        [last] => sum + (u32::from(*last) << 8),
        _ => sum,
    });
    let folded = (sum & 0xffff) + (sum >> 16);
    let [_, _, high, low] = (folded + (folded >> 16)).to_be_bytes();
    !u16::from_be_bytes([high, low])
}

/// The header of a packet with so many bytes behind it.
fn ip(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, behind: u16) -> Vec<u8> {
    let with = |sum: u16| {
        let [len, sum] = [IP_LEN + behind, sum].map(u16::to_be_bytes);
        [&[0x45, 0][..], &len, &[0, 1, 0, 0, 64, protocol], &sum, &src.octets(), &dst.octets()].concat()
    };
    with(checksum(&with(0)))
}

fn tcp_header(sport: u16, dport: u16, sum: u16) -> Vec<u8> {
    let [sport, dport, window, sum] = [sport, dport, 1024, sum].map(u16::to_be_bytes);
    [&sport[..], &dport, &[0, 0, 0, 1, 0, 0, 0, 0, 5 << 4, SYN], &window, &sum, &[0, 0]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_of_a_known_header() {
        let header = [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 192, 168, 0, 1, 192, 168, 0, 199];
        assert_eq!(checksum(&header), 0xb861);
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2, "example of RFC 1071");
    }

    #[test]
    fn checksum_pads_an_odd_byte_and_folds_twice() {
        assert_eq!(checksum(&[0xff]), 0x00ff);
        assert_eq!(checksum(&[0xff; 65536]), 0);
    }

    #[test]
    fn an_answer_is_told_from_everything_else() {
        let mut frame = syn((Ipv4Addr::new(10, 99, 0, 1), 22), (Ipv4Addr::new(10, 99, 0, 2), 40000));
        assert_eq!(syn_ack(&frame), None, "a SYN");
        frame[14 + 20 + 13] = SYN_ACK;
        assert_eq!(syn_ack(&frame), Some((22, 40000)));
        for length in 0..frame.len() {
            assert_eq!(syn_ack(&frame[..length]), None);
        }
    }

    #[test]
    fn a_datagram_has_its_lengths() {
        let frame = udp((Ipv4Addr::new(198, 18, 0, 1), 40000), (Ipv4Addr::new(10, 99, 0, 1), 53), b"payload");
        assert_eq!((&frame[16..18], &frame[38..40], &frame[42..]), (&[0, 35][..], &[0, 15][..], &b"payload"[..]));
        assert_eq!((frame[23], checksum(&frame[14..34])), (UDP, 0));
    }

    #[test]
    fn syn_equals_a_frame_made_elsewhere() {
        let known = "020000000001020000000002080045000028000100004006c45aac1000010a630001\
                     9c401b580000000100000000500204003dd40000";
        let frame = syn((Ipv4Addr::new(172, 16, 0, 1), 40000), (Ipv4Addr::new(10, 99, 0, 1), 7000));
        let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, known);
    }
}
