//! Lines of logs, NFLOG's messages, and what the journal writes.

use std::io;

use super::{FROM, FROM_V6, SYN, TCP, TO, TO_V6, UDP, ip, tcp, udp, write};

const LINE: &str = "IN=eth0 OUT= MAC=52:54:00:12:34:56:52:55:0a:00:02:02:08:00 SRC=192.0.2.7 DST=198.51.100.1 LEN=60 TOS=0x00 PREC=0x00 \
    TTL=64 ID=4711 DF PROTO=TCP SPT=1234 DPT=40000 WINDOW=64240 RES=0x00 SYN URGP=0 ";
const LINE_V6: &str = "IN=eth0 OUT= MAC= SRC=2001:0db8:0000:0000:0000:0000:0000:0007 DST=2001:0db8:0000:0000:0000:0000:0000:0001 LEN=56 \
    TC=0 HOPLIMIT=64 FLOWLBL=814871 PROTO=UDP SPT=53111 DPT=23000 LEN=16 ";
const SYSLOG: &str = "Nov 23 09:33:13 host kernel: [12345.678901] ";

pub(super) fn write_all() -> io::Result<()> {
    for (name, line) in lines() {
        write("line", name, line.as_bytes())?;
    }
    for (name, messages) in messages() {
        write("nflog", name, &messages)?;
    }
    for (name, length, text) in journals() {
        write("journal", name, &[&[length], &*text].concat())?;
    }
    Ok(())
}

fn lines() -> Vec<(&'static str, String)> {
    let quoted = LINE.replace("MAC=52:54:00:12:34:56:52:55:0a:00:02:02:08:00 ", "").replace("IN=eth0 OUT= ", "[");
    vec![
        ("iptables", format!("{SYSLOG}KNOCK {LINE}\n")),
        ("nft_udp6", format!("2026-11-23T09:33:13+00:00 host kernel: {LINE_V6}")),
        ("ufw", format!("{SYSLOG}[UFW BLOCK] {LINE}")),
        ("ufw_audit", format!("{SYSLOG}[UFW AUDIT] {LINE}")),
        ("bridge", LINE.replace("OUT= ", "OUT=eth1 PHYSIN=veth0 PHYSOUT=veth1 ")),
        ("decoded_mac", LINE.replace("MAC=", "MACSRC=52:54:00:12:34:56 MACPROTO=0800 MAC=")),
        ("tunnel", LINE.replace("SRC=", "TUNNEL=203.0.113.1->203.0.113.2 SRC=")),
        ("options", format!("{}OPT (020405B40402080A) UID=0 GID=0 MARK=0x1 ", LINE.replace(" DF ", " DF OPT (94) "))),
        ("all_flags", LINE.replace("SYN", "CWR ECE URG ACK PSH RST SYN FIN")),
        ("fragment", LINE.replace(" DF ", " FRAG:185 ")),
        ("sent", LINE.replace("IN=eth0 OUT= ", "IN= OUT=eth0 ")),
        (
            "icmp",
            format!("IN=eth0 OUT= MAC= SRC=192.0.2.7 DST=198.51.100.1 LEN=88 PROTO=ICMP TYPE=3 CODE=3 {quoted}] "),
        ),
        ("invalid_user", format!("sshd[7]: Invalid user {LINE}from 203.0.113.9 port 22")),
        ("own", "192.0.2.7 - - [23/Nov/2026:09:33:13 +0000] \"GET /k/7000 HTTP/1.1\" 404 1".to_owned()),
        ("own_udp6", "drop udp 2001:db8::7 > 2001:db8::1 23000".to_owned()),
        ("own_mapped", "drop 6 ::ffff:192.0.2.7 > 198.51.100.1 40000".to_owned()),
        ("empty", String::new()),
    ]
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).expect("a short value").to_ne_bytes();
    padded([&length[..], &kind.to_ne_bytes(), value].concat())
}

fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).expect("a short body").to_ne_bytes();
    padded([&length[..], &kind.to_ne_bytes(), &[0; 10], body].concat())
}

fn logged(packet: &[u8]) -> Vec<u8> {
    let attributes = [attribute(1, &[8, 0, 1, 0]), attribute(10, b"KNOCK \0"), attribute(4, &[0, 0, 0, 2])].concat();
    message(0x400, &[&[2, 0, 0, 5][..], &attributes, &attribute(9, packet)].concat())
}

fn messages() -> Vec<(&'static str, Vec<u8>)> {
    let four = logged(&ip(FROM, TO, TCP, &tcp(40_000, 7000, SYN)));
    let six = logged(&ip(FROM_V6, TO_V6, UDP, &udp(9, 23_000)));
    let error = |code: i32| message(2, &[&code.to_ne_bytes()[..], &[0; 16]].concat());
    vec![
        ("tcp4", four.clone()),
        ("udp6_between", [error(0), six, error(-1), message(4, &[]), four.clone()].concat()),
        ("no_payload", message(0x400, &[2, 0, 0, 5])),
        ("other", message(0x401, &[2, 0, 0, 5])),
        ("cut", four[..four.len() - 9].to_vec()),
        ("attribute_too_short", message(0x400, &[2, 0, 0, 5, 3, 0, 9, 0])),
    ]
}

fn journals() -> Vec<(&'static str, u8, Vec<u8>)> {
    let entry = |cursor: &str, message: &str| format!("__CURSOR={cursor}\n_TRANSPORT=kernel\nMESSAGE={message}\n\n");
    let binary = |value: &[u8]| {
        let length = u64::try_from(value.len()).expect("a short value").to_le_bytes();
        [b"__CURSOR=s=1;i=2\nMESSAGE\n", &length[..], value, b"\n\n"].concat()
    };
    let forged = binary(b"two\n\n__CURSOR=forged\nMESSAGE=\xff\n\n");
    vec![
        ("entries", 7, [entry("s=1;i=1", LINE), entry("s=1;i=2", "")].concat().into_bytes()),
        ("binary", 1, [forged, entry("s=1;i=3", LINE_V6).into_bytes()].concat()),
        ("no_cursor", 3, b"MESSAGE=a\nMESSAGE=b\n\n".to_vec()),
        ("no_field", 2, format!("-- No entries --\n\n{}", entry("s=1", "")).into_bytes()),
        ("long_name", 9, format!("{}=1\n\n", "X".repeat(70)).into_bytes()),
        ("endless", 40, [b"MESSAGE\n", &[0xff; 8][..], b"\n\n"].concat()),
        ("too_long", 200, entry("s=1", &"x".repeat(2100)).into_bytes()),
    ]
}
