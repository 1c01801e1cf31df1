//! Ethernet frames with a TCP segment or a datagram over IPv4, as a kernel would send them, and the answers to SYNs.

use std::net::Ipv4Addr;

pub(crate) const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(crate) const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const TCP: u8 = 6;
const UDP: u8 = 17;
const SYN: u8 = 2;
const SYN_ACK: u8 = 0x12;
const ETHERNET: usize = 14;
const IP_LEN: u16 = 20;
const TCP_LEN: u16 = 20;
const UDP_LEN: u16 = 8;

/// An address and a port.
pub(crate) type End = (Ipv4Addr, u16);

/// One SYN from `src` to `dst`, 54 bytes, checksums filled in.
pub(crate) fn syn(src: End, dst: End) -> Vec<u8> {
    Template::syn(dst).filled(src).to_vec()
}

/// One datagram from `src` to `dst`, checksums filled in; of its payload no more than fits into an Ethernet frame.
pub(crate) fn udp(src: End, dst: End, payload: &[u8]) -> Vec<u8> {
    Template::udp(dst, payload).filled(src).to_vec()
}

/// A frame whose source is filled in anew for each time it is sent.
pub(crate) struct Template {
    frame: Vec<u8>,
    /// What all but the source adds to the sums of the network and of the transport header.
    sums: (u32, u32),
    /// Where the transport header's checksum stands.
    place: usize,
    protocol: u8,
}

impl Template {
    /// A SYN.
    pub(crate) fn syn(dst: End) -> Self {
        let [port, window] = [dst.1, 1024].map(u16::to_be_bytes);
        let header = [&[0, 0][..], &port, &[0, 0, 0, 1, 0, 0, 0, 0, 5 << 4, SYN], &window, &[0, 0, 0, 0]].concat();
        Self::new(dst.0, TCP, TCP_LEN, &header, 16)
    }

    /// A datagram.
    pub(crate) fn udp(dst: End, payload: &[u8]) -> Self {
        let payload = payload.get(..1472).unwrap_or(payload);
        let length = UDP_LEN + u16::try_from(payload.len()).unwrap_or_default();
        let [port, bytes] = [dst.1, length].map(u16::to_be_bytes);
        Self::new(dst.0, UDP, length, &[&[0, 0][..], &port, &bytes, &[0, 0], payload].concat(), 6)
    }

    fn new(dst: Ipv4Addr, protocol: u8, length: u16, behind: &[u8], place: usize) -> Self {
        let total = (IP_LEN + length).to_be_bytes();
        let ip = [&[0x45, 0][..], &total, &[0, 1, 0, 0, 64, protocol, 0, 0, 0, 0, 0, 0], &dst.octets()].concat();
        let pseudo = [&dst.octets()[..], &[0, protocol], &length.to_be_bytes()].concat();
        let sums = (sum(&ip), sum(&pseudo) + sum(behind));
        let frame = [&SERVER_MAC[..], &CLIENT_MAC, &ETHERTYPE_IPV4, &ip, behind].concat();
        Self { frame, sums, place: ETHERNET + usize::from(IP_LEN) + place, protocol }
    }

    /// The frame as it comes from there.
    pub(crate) fn filled(&mut self, src: End) -> &[u8] {
        let (octets, port) = (src.0.octets(), src.1.to_be_bytes());
        let network = fold(self.sums.0 + sum(&octets));
        let transport = match fold(self.sums.1 + sum(&octets) + u32::from(src.1)) {
            // In a datagram 0 says that there is no checksum (RFC 768).
            0 if self.protocol == UDP => 0xffff,
            sum => sum,
        };
        let header = ETHERNET + usize::from(IP_LEN);
        self.put(ETHERNET + 10, &network.to_be_bytes());
        self.put(ETHERNET + 12, &octets);
        self.put(header, &port);
        self.put(self.place, &transport.to_be_bytes());
        &self.frame
    }

    /// The same with `filled`'s frame as it was left.
    pub(crate) fn frame(&self) -> &[u8] {
        &self.frame
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.frame.iter_mut().skip(at).zip(bytes).for_each(|(to, from)| *to = *from);
    }
}

/// The ports, from and to, of a frame that is a SYN-ACK without IP options.
pub(crate) fn syn_ack(frame: &[u8]) -> Option<(u16, u16)> {
    let (ethernet, packet) = frame.split_at_checked(ETHERNET)?;
    let (ip, tcp) = packet.split_at_checked(IP_LEN.into())?;
    let is_ip = ethernet.ends_with(&ETHERTYPE_IPV4) && ip.first() == Some(&0x45) && ip.get(9) == Some(&TCP);
    let port = |at| tcp.get(at..)?.first_chunk().copied().map(u16::from_be_bytes);
    if is_ip && tcp.len() >= TCP_LEN.into() && tcp.get(13) == Some(&SYN_ACK) { port(0).zip(port(2)) } else { None }
}

/// The sum of 16-bit words that an Internet checksum is made of (RFC 1071); of 64 kB at most.
fn sum(data: &[u8]) -> u32 {
    data.chunks(2).fold(0, |sum, pair| match pair {
        [high, low] => sum + u32::from(u16::from_be_bytes([*high, *low])),
        [last] => sum + (u32::from(*last) << 8),
        _ => sum,
    })
}

/// From the sum to the checksum.
fn fold(sum: u32) -> u16 {
    let folded = (sum & 0xffff) + (sum >> 16);
    let [_, _, high, low] = (folded + (folded >> 16)).to_be_bytes();
    !u16::from_be_bytes([high, low])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checksum(data: &[u8]) -> u16 {
        fold(sum(data))
    }

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
    fn a_datagram_has_its_lengths_and_checksums() {
        let (src, dst) = (Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(10, 99, 0, 1));
        let frame = udp((src, 40000), (dst, 53), b"payload");
        assert_eq!((&frame[16..18], &frame[38..40], &frame[42..]), (&[0, 35][..], &[0, 15][..], &b"payload"[..]));
        let pseudo = [&src.octets()[..], &dst.octets(), &[0, UDP, 0, 15], &frame[34..]].concat();
        assert_eq!((frame[23], checksum(&frame[14..34]), checksum(&pseudo)), (UDP, 0, 0));
    }

    #[test]
    fn a_template_is_right_for_every_source() {
        let mut template = Template::udp((Ipv4Addr::new(10, 99, 0, 1), 53), b"odd");
        for host in 0..=255 {
            let src = Ipv4Addr::new(10, 128, host, 255 - host);
            let frame = template.filled((src, 1024 + u16::from(host))).to_vec();
            let pseudo = [&src.octets()[..], &[10, 99, 0, 1, 0, UDP, 0, 11], &frame[34..]].concat();
            assert_eq!((checksum(&frame[14..34]), checksum(&pseudo)), (0, 0), "{src}");
        }
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
