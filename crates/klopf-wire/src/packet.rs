//! A packet, from its network header on, to the knock it may be.
//!
//! IPv4 with options (RFC 791), IPv6 with extension headers (RFC 8200); of a fragmented packet only the first
//! fragment, which holds the ports. Lengths are believed only as far as bytes are there; checksums are not looked
//! at, for the kernel has not checked them either when a packet socket sees the packet.

use std::net::IpAddr;

use etherparse::{IpNumber, Ipv6ExtensionSlice, LaxIpSlice};

use crate::{Port, Proto, TcpFlags};

/// One observed hit: who sent what to which port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knock {
    /// The source address the packet showed; anybody can write one.
    pub origin: IpAddr,
    /// The source port.
    pub from_port: u16,
    /// The destination address.
    pub to: IpAddr,
    /// Protocol and destination port.
    pub port: Port,
    /// TCP flags, none for UDP.
    pub flags: TcpFlags,
}

/// Why a packet is no knock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// The network header is broken or cut short.
    Network,
    /// A later fragment: it has no ports.
    Fragment,
    /// Neither TCP nor UDP.
    OtherProtocol,
    /// The transport header is broken or cut short.
    Transport,
}

impl Malformed {
    /// A stable name for counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Network => "bad-network-header",
            Self::Fragment => "later-fragment",
            Self::OtherProtocol => "other-protocol",
            Self::Transport => "bad-transport-header",
        }
    }
}

/// Reads the knock out of a packet that begins at its IPv4 or IPv6 header.
///
/// The packet may be cut behind the transport header; nothing behind that is looked at.
///
/// # Errors
/// Says why the packet is none.
pub fn parse_packet(packet: &[u8]) -> Result<Knock, Malformed> {
    let (ip, broken_at) = LaxIpSlice::from_slice(packet).map_err(|_| Malformed::Network)?;
    if broken_at.is_some() {
        return Err(Malformed::Network);
    }
    if fragment_offset(&ip) != 0 {
        return Err(Malformed::Fragment);
    }
    let transport = ip.payload();
    let (proto, flags) = match transport.ip_number {
        IpNumber::TCP => (Proto::Tcp, tcp_flags(transport.payload)?),
        IpNumber::UDP if transport.payload.len() < UDP_HEADER => return Err(Malformed::Transport),
        IpNumber::UDP => (Proto::Udp, TcpFlags::default()),
        _ => return Err(Malformed::OtherProtocol),
    };
    let &[s0, s1, d0, d1] = transport.payload.first_chunk().ok_or(Malformed::Transport)?;
    Ok(Knock {
        origin: ip.source_addr(),
        from_port: u16::from_be_bytes([s0, s1]),
        to: ip.destination_addr(),
        port: Port { proto, number: u16::from_be_bytes([d0, d1]) },
        flags,
    })
}

/// Reads a datagram out of a packet that begins at its IPv4 or IPv6 header: the hit, and what it carries.
///
/// # Errors
/// Says why the packet is none; also a fragment, a datagram that is not there in full, and TCP.
pub fn parse_datagram(packet: &[u8]) -> Result<(Knock, &[u8]), Malformed> {
    let knock = parse_packet(packet)?;
    if knock.port.proto != Proto::Udp {
        return Err(Malformed::OtherProtocol);
    }
    let (ip, _) = LaxIpSlice::from_slice(packet).map_err(|_| Malformed::Network)?;
    let transport = ip.payload();
    if transport.fragmented {
        return Err(Malformed::Fragment);
    }
    let (header, rest) = transport.payload.split_first_chunk::<UDP_HEADER>().ok_or(Malformed::Transport)?;
    let &[_, _, _, _, l0, l1, ..] = header;
    let length = usize::from(u16::from_be_bytes([l0, l1])).checked_sub(UDP_HEADER);
    let payload = length.and_then(|length| rest.get(..length)).ok_or(Malformed::Transport)?;
    Ok((knock, payload))
}

const UDP_HEADER: usize = 8;
const TCP_HEADER: usize = 20;

/// The offset of this fragment in units of 8 bytes; 0 for the first one and for a whole packet.
fn fragment_offset(ip: &LaxIpSlice<'_>) -> u16 {
    match ip {
        LaxIpSlice::Ipv4(ip) => ip.header().fragments_offset().value(),
        LaxIpSlice::Ipv6(ip) => ip
            .extensions()
            .clone()
            .into_iter()
            .find_map(|extension| match extension {
                Ipv6ExtensionSlice::Fragment(fragment) => Some(fragment.fragment_offset().value()),
                _ => None,
            })
            .unwrap_or(0),
    }
}

/// The flags of a TCP header that is there in full and does not claim to be shorter than it can be.
fn tcp_flags(segment: &[u8]) -> Result<TcpFlags, Malformed> {
    match segment.first_chunk::<TCP_HEADER>() {
        Some(&[_, _, _, _, _, _, _, _, _, _, _, _, offset, flags, ..]) if offset >> 4 >= 5 => Ok(TcpFlags(flags)),
        _ => Err(Malformed::Transport),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(flags: u8) -> Vec<u8> {
        let mut header = vec![0x9c, 0x40, 0x1b, 0x58, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 4, 0, 0, 0, 0, 0];
        header.extend(b"payload");
        header
    }

    fn ipv4(fragment: u16, options: &[u8], protocol: u8, segment: &[u8]) -> Vec<u8> {
        let header = 20 + options.len();
        let total = u16::try_from(header + segment.len()).unwrap().to_be_bytes();
        let words = u8::try_from(header / 4).unwrap();
        let [f0, f1] = fragment.to_be_bytes();
        let mut packet = vec![0x40 | words, 0, total[0], total[1], 0, 1, f0, f1, 64, protocol, 0, 0];
        packet.extend([192, 0, 2, 7, 192, 0, 2, 1]);
        packet.extend(options);
        packet.extend(segment);
        packet
    }

    fn ipv6(next: u8, segment: &[u8]) -> Vec<u8> {
        let [l0, l1] = u16::try_from(segment.len()).unwrap().to_be_bytes();
        let mut packet = vec![0x60, 0, 0, 0, l0, l1, next, 64];
        packet.extend(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7).octets());
        packet.extend(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).octets());
        packet.extend(segment);
        packet
    }

    #[test]
    fn tcp_over_ipv4() {
        let knock = parse_packet(&ipv4(0, &[], 6, &tcp(0x12))).unwrap();
        assert_eq!(knock.origin, "192.0.2.7".parse::<IpAddr>().unwrap());
        assert_eq!(knock.to, "192.0.2.1".parse::<IpAddr>().unwrap());
        assert_eq!((knock.from_port, knock.port), (40000, Port::tcp(7000)));
        assert_eq!(knock.flags, TcpFlags(0x12));
    }

    #[test]
    fn ipv4_options_are_stepped_over() {
        let knock = parse_packet(&ipv4(0, &[1, 1, 1, 0], 6, &tcp(2))).unwrap();
        assert_eq!(knock.port, Port::tcp(7000));
    }

    #[test]
    fn udp_over_ipv6() {
        let knock = parse_packet(&ipv6(17, &[0, 9, 0x1b, 0x58, 0, 9, 0, 0, 0])).unwrap();
        assert_eq!((knock.port, knock.flags), (Port::udp(7000), TcpFlags(0)));
        assert_eq!(knock.origin, "2001:db8::7".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn a_datagram_is_read_with_what_it_carries_if_that_is_all_there() {
        let udp = |length: u8| [&[0, 9, 0x1b, 0x58, 0, length, 0, 0][..], b"hello"].concat();
        for packet in [ipv4(0, &[], 17, &udp(13)), ipv6(17, &udp(13))] {
            let (knock, payload) = parse_datagram(&packet).unwrap();
            assert_eq!((knock.port, payload), (Port::udp(7000), &b"hello"[..]));
        }
        assert_eq!(parse_datagram(&ipv4(0, &[], 17, &udp(10))).unwrap().1, b"he", "what is behind is not part of it");
        for length in [0, 7, 14, 255] {
            assert_eq!(parse_datagram(&ipv4(0, &[], 17, &udp(length))), Err(Malformed::Transport), "{length}");
        }
        assert_eq!(parse_datagram(&ipv4(0x2000, &[], 17, &udp(13))), Err(Malformed::Fragment));
        assert_eq!(parse_datagram(&ipv4(0, &[], 6, &tcp(2))), Err(Malformed::OtherProtocol));
        let whole = ipv6(17, &udp(13));
        for length in 0..whole.len() {
            assert!(parse_datagram(&whole[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn ipv6_extension_headers_are_stepped_over() {
        let mut chain = vec![43, 0, 1, 4, 0, 0, 0, 0]; // hop-by-hop, then routing
        chain.extend([60, 0, 0, 0, 0, 0, 0, 0]); // routing, then destination options
        chain.extend([6, 0, 1, 4, 0, 0, 0, 0]); // destination options, then TCP
        chain.extend(tcp(2));
        assert_eq!(parse_packet(&ipv6(0, &chain)).unwrap().port, Port::tcp(7000));
    }

    #[test]
    fn only_the_first_fragment_has_ports() {
        const MORE: u16 = 0x2000;
        assert!(parse_packet(&ipv4(MORE, &[], 6, &tcp(2))).is_ok());
        assert_eq!(parse_packet(&ipv4(MORE | 1, &[], 6, &tcp(2))), Err(Malformed::Fragment));
        assert_eq!(parse_packet(&ipv4(2, &[], 6, &tcp(2))), Err(Malformed::Fragment));
        let v6 = |offset: u8| {
            let mut chain = vec![6, 0, 0, offset | 1, 0, 0, 0, 1];
            chain.extend(tcp(2));
            ipv6(44, &chain)
        };
        assert!(parse_packet(&v6(0)).is_ok());
        assert_eq!(parse_packet(&v6(8)), Err(Malformed::Fragment));
    }

    #[test]
    fn each_kind_of_broken_packet_has_its_name() {
        assert_eq!(parse_packet(&[]), Err(Malformed::Network));
        assert_eq!(parse_packet(&[0x45; 19]), Err(Malformed::Network));
        assert_eq!(parse_packet(&[0x95; 60]), Err(Malformed::Network));
        assert_eq!(parse_packet(&ipv4(0, &[], 1, &[8, 0, 0, 0, 0, 0, 0, 0])), Err(Malformed::OtherProtocol));
        assert_eq!(parse_packet(&ipv4(0, &[], 17, &[0; 7])), Err(Malformed::Transport));
        assert_eq!(parse_packet(&ipv4(0, &[], 6, &tcp(2)[..19])), Err(Malformed::Transport));
        let mut short = tcp(2);
        short[12] = 0x40;
        assert_eq!(parse_packet(&ipv4(0, &[], 6, &short)), Err(Malformed::Transport));
        assert_eq!(parse_packet(&ipv6(0, &[6, 200, 0, 0, 0, 0, 0, 0])), Err(Malformed::Network));
    }

    #[test]
    fn a_packet_cut_behind_its_headers_still_counts() {
        let packet = ipv4(0, &[], 6, &tcp(2));
        assert!(parse_packet(&packet[..40]).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = (parse_packet(&bytes), parse_datagram(&bytes).is_ok());
        }

        #[test]
        fn any_bytes_behind_a_good_start_are_read_without_panic(version in 4u8..=6, bytes: Vec<u8>) {
            let packet: Vec<u8> = std::iter::once(version << 4 | 5).chain(bytes).collect();
            let _ = (parse_packet(&packet), parse_datagram(&packet).is_ok());
        }
    }
}
