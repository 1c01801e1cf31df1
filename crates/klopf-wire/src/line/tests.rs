use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::Proto;

const TCP: &str = "IN=eth0 OUT= MAC=52:54:00:12:34:56:52:55:0a:00:02:02:08:00 SRC=192.0.2.7 DST=198.51.100.1 LEN=60 TOS=0x00 PREC=0x00 \
    TTL=64 ID=4711 DF PROTO=TCP SPT=1234 DPT=40000 WINDOW=64240 RES=0x00 SYN URGP=0 ";
const UDP6: &str = "IN=eth0 OUT= MAC= SRC=2001:0db8:0000:0000:0000:0000:0000:0007 DST=2001:0db8:0000:0000:0000:0000:0000:0001 LEN=56 TC=0 \
    HOPLIMIT=64 FLOWLBL=814871 PROTO=UDP SPT=53111 DPT=23000 LEN=16 ";
const SYSLOG: &str = "Nov 23 09:33:13 host kernel: [12345.678901] ";

fn patterns(preset: Preset, prefix: Option<&str>) -> Patterns {
    Patterns::new(Some(preset), prefix, &[]).unwrap()
}

fn own(pattern: &str) -> Patterns {
    Patterns::new(None, None, &[pattern.to_owned()]).unwrap()
}

fn read(patterns: &Patterns, line: &str) -> Result<Hit, Miss> {
    let hit = patterns.read(line.as_bytes()).map(|(_, hit)| hit);
    let miss = patterns.miss(line.as_bytes());
    assert_eq!(hit.is_some(), miss.is_none(), "{line}");
    hit.ok_or_else(|| miss.unwrap())
}

fn nft(line: &str) -> Result<Hit, Miss> {
    read(&patterns(Preset::Nft, None), line)
}

fn wrong(preset: Option<Preset>, prefix: Option<&str>, own: &[&str]) -> Vec<Wrong> {
    let own: Vec<_> = own.iter().map(ToString::to_string).collect();
    Patterns::new(preset, prefix, &own).unwrap_err()
}

fn tcp_hit() -> Hit {
    let (src, dst) = (Ipv4Addr::new(192, 0, 2, 7).into(), Ipv4Addr::new(198, 51, 100, 1).into());
    Hit { src, dst: Some(dst), from_port: Some(1234), port: Port::tcp(40000), flags: TcpFlags::SYN }
}

#[test]
fn the_kernels_lines_are_hits_whatever_a_syslog_puts_before_and_behind_them() {
    for before in ["", SYSLOG, "2026-11-23T09:33:13+00:00 host kernel: ", "<4>"] {
        for end in ["", "\n", "\r\n"] {
            for prefix in ["", "KNOCK ", "knock:"] {
                assert_eq!(nft(&format!("{before}{prefix}{TCP}{end}")), Ok(tcp_hit()));
            }
        }
    }
    assert_eq!(nft(TCP.trim_end()), Ok(tcp_hit()));
    let address = |last| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).into();
    let (port, flags) = (Port::udp(23000), TcpFlags(0));
    let hit = Hit { src: address(7), dst: Some(address(1)), from_port: Some(53111), port, flags };
    assert_eq!(nft(UDP6), Ok(hit));
    assert_eq!(read(&patterns(Preset::Iptables, None), UDP6), Ok(hit));
}

#[test]
fn everything_that_a_rule_can_have_the_kernel_add_is_stepped_over() {
    for (from, to) in [
        ("OUT= ", "OUT= PHYSIN=veth0 PHYSOUT=veth1 "),
        ("OUT= ", "OUT=eth1 "),
        (
            "MAC=52:54:00:12:34:56:52:55:0a:00:02:02:08:00",
            "MACSRC=52:54:00:12:34:56 MACDST=52:55:0a:00:02:02 VPROTO=8100 VID=5 MACPROTO=0800",
        ),
        ("MAC=52:54:00:12:34:56:52:55:0a:00:02:02:08:00", "MAC=00:00 TUNNEL=203.0.113.1->203.0.113.2"),
        ("MAC=52:54:00:12:34:56:52:55:0a:00:02:02:08:00 ", ""),
        ("IN=eth0", "IN=br-0a1b.5@if2"),
        (" DF ", " CE DF MF OPT (94040000) "),
        ("WINDOW", "SEQ=4294967295 ACK=7 WINDOW"),
        ("RES=0x00 SYN", "RES=0x00 AE SYN"),
        ("URGP=0 ", "URGP=0 OPT (020405B40402080A) UID=0 GID=0 MARK=0x1 "),
    ] {
        let line = TCP.replacen(from, to, 1);
        assert_ne!(line, TCP);
        assert_eq!(nft(&line), Ok(tcp_hit()), "{line}");
    }
}

#[test]
fn flags_are_as_the_line_says_and_syn_if_it_says_nothing() {
    let with = |flags: &str| nft(&TCP.replace("RES=0x00 SYN ", &format!("RES=0x00 {flags}"))).unwrap().flags;
    assert_eq!(with("SYN "), TcpFlags::SYN);
    assert_eq!(with(""), TcpFlags(0));
    assert_eq!(with("ACK SYN "), TcpFlags(0x12));
    assert_eq!(with("CWR ECE URG ACK PSH RST SYN FIN "), TcpFlags(0xff));
    let (short, _) = TCP.split_once("WINDOW").unwrap();
    assert_eq!(nft(short).unwrap().flags, TcpFlags::SYN);
    assert_eq!(nft(&format!("{TCP}ACK ")).unwrap().flags, TcpFlags::SYN, "behind URGP= there are no flags");
}

#[test]
fn what_is_no_hit_says_why() {
    let icmp = "IN=eth0 OUT= MAC= SRC=192.0.2.7 DST=198.51.100.1 LEN=88 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=3 CODE=3 \
        [SRC=198.51.100.1 DST=192.0.2.7 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=TCP SPT=1 DPT=40000 WINDOW=1 RES=0x00 SYN URGP=0 ] ";
    let cases = [
        (icmp.to_owned(), Miss::Protocol),
        (TCP.replace("PROTO=TCP", "PROTO=UDPLITE"), Miss::Protocol),
        (TCP.replace(" DF ", " FRAG:185 "), Miss::Fragment),
        (UDP6.replace("PROTO", "FRAG:0 INCOMPLETE ID:0000002a PROTO"), Miss::Fragment),
        (TCP.replace("IN=eth0 OUT= MAC=52:54:00:12:34:56:52:55:0a:00:02:02:08:00", "IN= OUT=eth0"), Miss::Sent),
        (TCP.replace("IN=eth0", "IN="), Miss::Other),
        (TCP.replace("DPT=40000", "DPT=70000"), Miss::Port),
        (TCP.replace("DPT=40000", "DPT=+4"), Miss::Port),
        (TCP.replace("SPT=1234 DPT=40000", "INCOMPLETE [8 bytes]"), Miss::Port),
        (TCP.replace("SRC=192.0.2.7", "SRC=192.0.2.777"), Miss::Address),
        (TCP.replace("DST=198.51.100.1", "DST=::1"), Miss::Other),
        (TCP.replace("DST=198.51.100.1 ", ""), Miss::Other),
        (TCP.replace("SPT=1234", "DPT=1 SPT=1234"), Miss::Port),
        (format!("{TCP}DPT=1"), Miss::Other),
        (format!("{TCP}{TCP}"), Miss::Other),
        (format!("{TCP}{}", "0".repeat(LONGEST)), Miss::Long),
        (format!("message repeated 2 times: [{TCP}]"), Miss::Other),
        ("IN=eth0 OUT= MAC=ff:ff:ff:ff:ff:ff ARP HTYPE=1 PTYPE=0x0800 OPCODE=1".to_owned(), Miss::Other),
        (String::new(), Miss::Other),
    ];
    for (line, miss) in cases {
        assert_eq!(nft(&line), Err(miss), "{line}");
        assert!(!miss.text().is_empty());
    }
}

#[test]
fn what_a_stranger_can_say_within_a_line_is_no_hit() {
    let forged = TCP.trim_end();
    for line in [
        format!("Nov 23 09:33:13 host sshd[7]: Invalid user {forged} from 203.0.113.9 port 4711"),
        format!("Nov 23 09:33:13 host sshd[7]: Failed password for invalid user {forged} from 203.0.113.9 port 1 ssh2"),
        format!("203.0.113.9 - - [23/Nov/2026:09:33:13 +0000] \"GET /{forged} HTTP/1.1\" 200 1 \"-\" \"curl\""),
        format!("203.0.113.9 - - [23/Nov/2026:09:33:13 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"{forged}\""),
        format!("host postfix/smtpd[7]: NOQUEUE: helo=<{forged}>"),
    ] {
        assert_eq!(nft(&line), Err(Miss::Other), "{line}");
    }
    let cut = format!("{SYSLOG}{}", forged.replace(' ', "\u{a0}"));
    assert_eq!(nft(&cut), Err(Miss::Other));
}

#[test]
fn a_prefix_must_directly_precede_the_line() {
    let knock = patterns(Preset::Nft, Some("KNOCK "));
    assert_eq!(read(&knock, &format!("{SYSLOG}KNOCK {TCP}")), Ok(tcp_hit()));
    for before in ["", "knock ", "KNOCK: ", "KNOCK x", "KNOCK  "] {
        assert_eq!(read(&knock, &format!("{SYSLOG}{before}{TCP}")), Err(Miss::Prefix), "{before}");
    }
    let odd = patterns(Preset::Iptables, Some("PHYS-IN=é "));
    assert_eq!(read(&odd, &format!("{SYSLOG}PHYS-IN=é {TCP}")), Ok(tcp_hit()));
}

#[test]
fn of_ufws_lines_those_count_that_it_blocks() {
    let ufw = patterns(Preset::Ufw, None);
    for (before, hit) in [
        ("[UFW BLOCK] ", Ok(tcp_hit())),
        ("[UFW LIMIT BLOCK] ", Ok(tcp_hit())),
        ("[UFW AUDIT] ", Err(Miss::Prefix)),
        ("[UFW ALLOW] ", Err(Miss::Prefix)),
        ("", Err(Miss::Prefix)),
    ] {
        assert_eq!(read(&ufw, &format!("{SYSLOG}{before}{TCP}")), hit, "{before}");
    }
    let own = patterns(Preset::Ufw, Some("[UFW AUDIT] "));
    assert_eq!(read(&own, &format!("[UFW AUDIT] {TCP}")), Ok(tcp_hit()));
}

#[test]
fn patterns_of_ones_own_have_groups() {
    let full = own(r"^drop (?<proto>\w+) (?<src>\S+) > (?<dst>\S+) dport (?<dport>\d+)");
    let hit = read(&full, "drop tcp 192.0.2.7 > 198.51.100.1 dport 40000").unwrap();
    assert_eq!(hit, Hit { from_port: None, ..tcp_hit() });
    let hit = read(&full, "drop 17 ::ffff:192.0.2.7 > 2001:db8::1 dport 0").unwrap();
    assert_eq!((hit.src, hit.port, hit.flags), (tcp_hit().src, Port::udp(0), TcpFlags(0)));
    assert_eq!(read(&full, "drop UDP 192.0.2.7 > 198.51.100.1 dport 1").unwrap().port.proto, Proto::Udp);
    for (line, miss) in [
        ("drop icmp 192.0.2.7 > 198.51.100.1 dport 1", Miss::Protocol),
        ("drop tcp 192.0.2 > 198.51.100.1 dport 1", Miss::Address),
        ("drop tcp 192.0.2.7 > there dport 1", Miss::Address),
        ("drop tcp 192.0.2.7 > 198.51.100.1 dport 65536", Miss::Port),
        ("pass tcp 192.0.2.7 > 198.51.100.1 dport 1", Miss::Other),
    ] {
        assert_eq!(read(&full, line), Err(miss), "{line}");
    }
    let short = own(r#"(?<src>[0-9a-f.:]+).*"GET /(?:ü|k)/(?<dport>\d+)(?: to (?<dst>\S+))? "#);
    let hit = read(&short, "2001:db8::7 - - \"GET /ü/7000 HTTP/1.1\"").unwrap();
    assert_eq!((hit.dst, hit.port), (None, Port::tcp(7000)));
    let bytes = b"\xff\xfe 192.0.2.7 \"GET /k/1 to 198.51.100.1 HTTP/1.1\" \xff";
    assert_eq!(short.read(bytes).unwrap().1.dst, tcp_hit().dst, "any bytes around it");
}

#[test]
fn the_first_pattern_that_reads_a_line_is_named() {
    let texts = [r"a (?<src>\S+) (?<dport>\d+)".to_owned(), r"(?<src>\S+) (?<dport>\d+)$".to_owned()];
    let patterns = Patterns::new(Some(Preset::Nft), None, &texts).unwrap();
    assert_eq!((patterns.len(), patterns.is_empty()), (3, false));
    assert_eq!(
        [0, 1, 2, 3].map(|index| patterns.shown(index)),
        [Some("nft"), Some(&*texts[0]), Some(&*texts[1]), None]
    );
    let which = |line: &str| patterns.read(line.as_bytes()).map(|(which, _)| which);
    assert_eq!(which(TCP), Some(0));
    assert_eq!([which("a 192.0.2.7 1"), which("b 192.0.2.7 1"), which("b")], [Some(1), Some(2), None]);
    assert_eq!(which("a x 192.0.2.7 1"), Some(2), "the first one finds no address");
    let none = Patterns::new(None, None, &[]).unwrap();
    assert!(none.is_empty() && none.read(TCP.as_bytes()).is_none());
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let patterns = [
        "(?<src>x",
        "(?<src>x)(?<dport>1)(?<port>2)",
        "(?<dport>1)",
        "(?<src>x)",
        "(?<src>x)(?=y)(?<dport>1)",
        "(?<src>x)(?<dport>[0-9]{5000})(y{1000}){1000}",
        r"(?<src>x)(?<dport>\p{Greek})",
        "(?<src>.*) (?<dport>[0-9]+)",
    ];
    let found = wrong(None, Some("P"), &patterns);
    let all: String = found.iter().fold(String::new(), |mut all, Wrong { pattern, text, help }| {
        writeln!(all, "{pattern:?} {text}\n  {help}").unwrap();
        all
    });
    for (expected, index) in [
        ("`prefix` is for a `preset`", None),
        ("unclosed group", Some(0)),
        ("group `port`, which means nothing", Some(1)),
        ("no group `src`", Some(2)),
        ("no group `dport`", Some(3)),
        ("look-around", Some(4)),
        ("too much memory", Some(5)),
        ("Unicode", Some(6)),
    ] {
        assert!(
            found.iter().any(|wrong| wrong.pattern == index && wrong.text.contains(expected)),
            "{expected} in\n{all}"
        );
    }
    assert_eq!(found.len(), 8, "{all}");
    assert!(found.iter().all(|wrong| !wrong.text.contains('\n') && !wrong.help.is_empty()), "{all}");
    let many = vec!["(?<src>.*) (?<dport>1)"; MOST_PATTERNS + 1];
    assert!(wrong(None, None, &many)[0].text.contains("more than 16"));
    assert!(wrong(None, None, &[&"x".repeat(1025)])[0].text.contains("more than 1024 bytes"));
    for prefix in ["", "a\n", &"x".repeat(128), "a SRC="] {
        assert_eq!(wrong(Some(Preset::Nft), Some(prefix), &[]).len(), 1, "{prefix:?}");
    }
}

#[test]
fn the_worst_line_for_the_worst_pattern_takes_a_bounded_time() {
    // Exponential where patterns go back.
    let worst = own(r"^(?:(?:x+)+)+y(?<src>\S*)(?<dport>\d*)$");
    let line = "x".repeat(LONGEST);
    assert_eq!(read(&worst, &line), Err(Miss::Other));
    let words = own(r"(?<src>\S+) (?:\S+ )*(?<dport>\d+)!");
    assert_eq!(read(&words, &"1 ".repeat(LONGEST / 2)), Err(Miss::Other));
    assert_eq!(nft(&"IN= SRC=".repeat(LONGEST / 8)), Err(Miss::Other));
}

#[test]
fn a_firewalls_line_is_known_by_its_keys() {
    for line in [TCP, UDP6, "[pf] IN=em0 OUT=", "DROP SRC=192.0.2.7 DST=198.51.100.1"] {
        assert!(looks_like_a_firewalls(line.as_bytes()), "{line}");
    }
    for line in ["", "sshd[7]: Invalid user SRC=", "IN= the end"] {
        assert!(!looks_like_a_firewalls(line.as_bytes()), "{line}");
    }
}

/// Bytes with much in them that a line of the kernel has.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let words = "(IN=|OUT=|MAC=|SRC=|DST=|PROTO=|TCP|UDP|SPT=|DPT=|SYN|URGP=|FRAG:|1|192.0.2.7|::1|eth0| | |\\[|\n|é)";
    let parts = proptest::collection::vec(words, 0..60).prop_map(|parts| parts.concat().into_bytes());
    let changed = (0..TCP.len(), any::<u8>(), any::<bool>()).prop_map(|(at, byte, cut)| {
        let mut line = TCP.as_bytes().to_vec();
        line[at] = byte;
        if cut { line.split_off(at) } else { line }
    });
    prop_oneof![any::<Vec<u8>>(), parts, changed]
}

static READERS: LazyLock<[Patterns; 2]> = LazyLock::new(|| {
    let texts = [r"(?<src>\S+) .*?(?<dport>\d+)".to_owned()];
    [Preset::Nft, Preset::Ufw].map(|preset| Patterns::new(Some(preset), None, &texts).unwrap())
});

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(line in nearly()) {
        for patterns in &*READERS {
            prop_assert_eq!(patterns.read(&line).is_none(), patterns.miss(&line).is_some());
        }
        let _ = looks_like_a_firewalls(&line);
    }

    #[test]
    fn what_the_kernel_writes_is_read(src: u32, dst: u32, to: u128, from: u16, port: u16, flags: u8, which: u8) {
        let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
        let words = names.into_iter().enumerate().rev().filter(|(bit, _)| flags >> bit & 1 == 1);
        let words: String = words.map(|(_, name)| format!("{name} ")).collect();
        let (src, dst): (IpAddr, IpAddr) = if which & 1 == 0 {
            (Ipv4Addr::from(src).into(), Ipv4Addr::from(dst).into())
        } else {
            (Ipv6Addr::from(u128::from(src) << 96 | u128::from(dst)).into(), Ipv6Addr::from(to).into())
        };
        let shown = |address: IpAddr| match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => address.segments().map(|part| format!("{part:04x}")).join(":"),
        };
        let tcp = which & 2 == 0;
        let transport = if tcp {
            format!("PROTO=TCP SPT={from} DPT={port} WINDOW={from} RES=0x00 {words}URGP=0 ")
        } else {
            format!("PROTO=UDP SPT={from} DPT={port} LEN=9 ")
        };
        let line = format!("{SYSLOG}P IN=eth0 OUT= MAC= SRC={} DST={} LEN=1 {transport}", shown(src), shown(dst));
        let (port, flags) = if tcp { (Port::tcp(port), TcpFlags(flags)) } else { (Port::udp(port), TcpFlags(0)) };
        let hit = Hit { src, dst: Some(dst), from_port: Some(from), port, flags };
        for prefix in [None, Some("P ")] {
            prop_assert_eq!(patterns(Preset::Nft, prefix).read(line.as_bytes()), Some((0, hit)));
        }
    }
}
