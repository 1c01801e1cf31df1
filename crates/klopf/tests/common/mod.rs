//! What the tests of both programs share.

use std::net::UdpSocket;
use std::process::Output;

use assert_cmd::Command;

/// Exit code, standard output and standard error of a run.
pub(crate) fn run(mut program: Command, line: &str) -> (i32, String, String) {
    let Output { status, stdout, stderr } = program.args(line.split_whitespace()).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[allow(dead_code, reason = "not every test needs it")]
/// A UDP port of the IPv4 loopback that does not block.
pub(crate) fn udp_ear() -> (UdpSocket, u16) {
    let ear = UdpSocket::bind("127.0.0.1:0").unwrap();
    ear.set_nonblocking(true).unwrap();
    let port = ear.local_addr().unwrap().port();
    (ear, port)
}
