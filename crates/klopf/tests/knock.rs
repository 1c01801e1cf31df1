//! The `knock` face, seen from outside.
#![expect(clippy::unwrap_used, reason = "in tests a failed assumption may end the test")]

mod common;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin_cmd;

fn knock(line: &str) -> (i32, String, String) {
    common::run(cargo_bin_cmd!("knock"), line)
}

#[test]
fn help_and_wrong_use_print_the_usage_and_fail() {
    let (code, usage, stderr) = knock("-h");
    assert_eq!((code, stderr.as_str()), (1, ""));
    assert!(
        usage.starts_with("usage: knock [options] <host> <port[:proto]> [port[:proto]] ...\noptions:\n"),
        "{usage}"
    );
    for names in ["-u, --udp ", "-d, --delay <t> ", "-4, --ipv4 ", "-6, --ipv6 ", "-v, --verbose ", "-V, --version "] {
        assert!(usage.contains(&format!("\n  {names}")), "{names}");
    }
    for line in ["", "-v", "127.0.0.1", "-v 127.0.0.1", "-d -1 127.0.0.1"] {
        assert_eq!(knock(line), (1, usage.clone(), String::new()), "{line}");
    }
    for (line, message) in [
        ("-x 127.0.0.1 1", "invalid option -- 'x'"),
        ("127.0.0.1 1 --foo", "unrecognized option '--foo'"),
        ("127.0.0.1 1 -d", "option requires an argument -- 'd'"),
        ("--ver", "option '--ver' is ambiguous; possibilities: '--verbose' '--version'"),
    ] {
        let (code, stdout, stderr) = knock(line);
        assert_eq!((code, &stdout), (1, &usage), "{line}");
        assert!(stderr.ends_with(&format!(": {message}\n")), "{stderr}");
    }
}

#[test]
fn the_version_names_both_programs() {
    let (code, stdout, _) = knock("-vV ignored");
    assert_eq!((code, stdout), (0, format!("knock 0.8 (klopf {})\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn verbose_names_each_hit_as_typed() {
    assert_eq!(
        knock("127.0.0.1 7 010 8:UDP -v"),
        (0, "hitting tcp 127.0.0.1:7\nhitting tcp 127.0.0.1:010\nhitting udp 127.0.0.1:8\n".to_owned(), String::new())
    );
    let (code, stdout, _) = knock("-uv 127.0.0.1 7:tcp");
    assert_eq!((code, stdout.as_str()), (0, "hitting udp 127.0.0.1:7\n"));
    assert_eq!(knock("127.0.0.1 7 8:udp"), (0, String::new(), String::new()));
}

#[test]
fn nothing_is_sent_unless_everything_is_right() {
    let (ear, port) = common::udp_ear();
    for (wrong, message) in [
        ("127.0.0.1 {} 70000", "error: '70000': a port is a number from 1 to 65535\n"),
        ("127.0.0.1 {} 0", "error: '0': a port"),
        ("127.0.0.1 {} -- -1", "error: '-1': a port"),
        ("127.0.0.1 {} 7:icmp", "error: '7:icmp': the protocol after the port is tcp or udp\n"),
        ("127.0.0.1 {} :udp", "error: ':udp': the port is missing"),
        ("127.0.0.1 {} no-such-service", "error: 'no-such-service': this is neither"),
        ("-d -5 127.0.0.1 {}", "error: delay cannot be negative\n"),
        ("-d soon 127.0.0.1 {}", "error: delay 'soon' is not a whole number of milliseconds\n"),
        ("-6 127.0.0.1 {}", "error: host '127.0.0.1' has no IPv6 address; leave out -6\n"),
        ("no-such-host.invalid {}", "error: host 'no-such-host.invalid' is unknown: "),
    ] {
        let (code, stdout, stderr) = knock(&wrong.replace("{}", &format!("{port}:udp")));
        assert_eq!((code, stdout.as_str()), (1, ""), "{wrong}");
        assert!(stderr.contains(message), "{wrong}: {stderr}");
        assert!(ear.recv(&mut [0; 8]).is_err(), "{wrong}");
    }
}

#[test]
fn every_wrong_port_is_named() {
    let (_, _, stderr) = knock("127.0.0.1 70000 7 8:sctp");
    assert!(stderr.contains("'70000'") && stderr.contains("'8:sctp'"), "{stderr}");
}

#[test]
fn what_cannot_be_sent_is_an_error() {
    // The kernel connects to no multicast address, so no packet leaves.
    let (code, _, stderr) = knock("224.0.0.1 7");
    assert_eq!(code, 1);
    assert!(stderr.starts_with("error: cannot send to 224.0.0.1 port 7: "), "{stderr}");
}

/// Waits for a result that does not come at once.
fn wait<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "nothing came");
        thread::yield_now();
    }
}

fn hits_arrive(ip: IpAddr) {
    let udp = UdpSocket::bind((ip, 0)).unwrap();
    let tcp = TcpListener::bind((ip, 0)).unwrap();
    udp.set_nonblocking(true).unwrap();
    tcp.set_nonblocking(true).unwrap();
    let line =
        format!("{ip} {t} {u}:udp {t}:tcp", t = tcp.local_addr().unwrap().port(), u = udp.local_addr().unwrap().port());
    assert_eq!(knock(&line), (0, String::new(), String::new()));
    wait(|| tcp.accept().ok());
    wait(|| tcp.accept().ok());
    let mut datagram = [1; 8];
    assert_eq!(wait(|| udp.recv(&mut datagram).ok()), 1);
    assert_eq!(datagram[0], 0);
    assert!(tcp.accept().is_err() && udp.recv(&mut datagram).is_err());
}

#[test]
fn hits_arrive_over_ipv4() {
    hits_arrive(Ipv4Addr::LOCALHOST.into());
}

#[test]
fn hits_arrive_over_ipv6() {
    hits_arrive(Ipv6Addr::LOCALHOST.into());
}
