//! Hits as a firewall writes them down.

use std::fmt::Write;
use std::net::IpAddr;

use klopf_config::native::moment_text;
use klopf_spa::encoded::Transport;

/// A hit in the manner of the kernel's firewall: what its LOG target and the `log` of nft write, with time and host before it as
/// syslog does. `seed` makes the numbers that differ from packet to packet.
pub(super) fn line(
    (unix_seconds, host, prefix): (u64, &str, &str),
    (from, to, port): (IpAddr, IpAddr, u16),
    transport: Transport,
    seed: u16,
) -> String {
    let moment = moment_text(unix_seconds);
    let moment = moment.strip_suffix('Z').unwrap_or(&moment);
    let mut line = format!("{moment}+00:00 {host} kernel: {prefix}IN=eth0 OUT= MAC= ");
    let length = match transport {
        Transport::Tcp => 60,
        Transport::Udp => 29,
    };
    let _ = match (from, to) {
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            write!(line, "SRC={} DST={} LEN={} TC=0 HOPLIMIT=64 FLOWLBL=0 ", full(from), full(to), length + 20)
        }
        _ => write!(line, "SRC={from} DST={to} LEN={length} TOS=0x00 PREC=0x00 TTL=64 ID={seed} DF "),
    };
    // Ports that hosts take for connections of their own.
    let own = 32_768 + seed % 28_000;
    let _ = match transport {
        Transport::Tcp => write!(line, "PROTO=TCP SPT={own} DPT={port} WINDOW=64240 RES=0x00 SYN URGP=0"),
        Transport::Udp => write!(line, "PROTO=UDP SPT={own} DPT={port} LEN=9"),
    };
    line
}

/// With all its zeros, as the kernel writes one.
fn full(address: std::net::Ipv6Addr) -> String {
    address.segments().map(|part| format!("{part:04x}")).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_the_kernel_writes_them() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let v4 = (address("192.0.2.7"), address("198.51.100.1"), 40_012);
        assert_eq!(
            line((1_795_392_000, "gate.example", "KNOCK "), v4, Transport::Tcp, 300),
            "2026-11-23T00:00:00+00:00 gate.example kernel: KNOCK IN=eth0 OUT= MAC= SRC=192.0.2.7 DST=198.51.100.1 LEN=60 \
             TOS=0x00 PREC=0x00 TTL=64 ID=300 DF PROTO=TCP SPT=33068 DPT=40012 WINDOW=64240 RES=0x00 SYN URGP=0"
        );
        let v6 = (address("2001:db8::7"), address("2001:db8::1"), 40_012);
        assert_eq!(
            line((1_795_392_000, "gate", ""), v6, Transport::Udp, 65_535),
            "2026-11-23T00:00:00+00:00 gate kernel: IN=eth0 OUT= MAC= SRC=2001:0db8:0000:0000:0000:0000:0000:0007 \
             DST=2001:0db8:0000:0000:0000:0000:0000:0001 LEN=49 TC=0 HOPLIMIT=64 FLOWLBL=0 PROTO=UDP SPT=42303 DPT=40012 LEN=9"
        );
    }
}
