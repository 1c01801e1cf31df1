//! Packets, beside a reader that knows the plain ones only.

use std::net::IpAddr;

use klopf_wire::{Knock, Malformed, Port, Proto, TcpFlags, parse_packet};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Reads the input as a packet.
pub fn packet(input: &[u8]) {
    let read = parse_packet(input);
    if let Some(expected) = plain(input) {
        assert_eq!(read, expected);
    }
    let Ok(knock) = read else { return };
    assert_eq!(knock.origin.is_ipv4(), knock.to.is_ipv4());
    assert!(knock.port.proto == Proto::Tcp || knock.flags == TcpFlags::default());
}

/// What a packet says that has no options and no extension headers, and says of itself that it is long enough.
fn plain(packet: &[u8]) -> Option<Result<Knock, Malformed>> {
    let number = |at: usize| Some(u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?]));
    let (protocol, origin, to, claimed, transport) = match packet.first()? {
        0x45 => {
            let address = |at: usize| Some(IpAddr::from(*packet.get(at..)?.first_chunk::<4>()?));
            let (origin, to) = (address(12)?, address(16)?);
            let claimed = usize::from(number(2)?).checked_sub(20)?;
            if number(6)? & 0x1fff != 0 && matches!(packet[9], TCP | UDP) {
                return Some(Err(Malformed::Fragment));
            }
            (packet[9], origin, to, claimed, packet.get(20..)?)
        }
        first if first >> 4 == 6 => {
            let address = |at: usize| Some(IpAddr::from(*packet.get(at..)?.first_chunk::<16>()?));
            (*packet.get(6)?, address(8)?, address(24)?, usize::from(number(4)?), packet.get(40..)?)
        }
        _ => return None,
    };
    let there = claimed.min(transport.len());
    let (proto, flags) = match protocol {
        TCP if there >= 20 && transport[12] >= 0x50 => (Proto::Tcp, TcpFlags(transport[13])),
        TCP if claimed >= 20 => return Some(Err(Malformed::Transport)),
        UDP if there >= 8 => (Proto::Udp, TcpFlags::default()),
        UDP if claimed >= 8 => return Some(Err(Malformed::Transport)),
        _ => return None,
    };
    let number = |at: usize| u16::from_be_bytes([transport[at], transport[at + 1]]);
    Some(Ok(Knock { origin, from_port: number(0), to, port: Port { proto, number: number(2) }, flags }))
}
