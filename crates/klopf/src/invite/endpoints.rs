//! How this host is reached from outside, when nobody says so.

use std::fs;
use std::net::IpAddr;

use klopf_sys::interfaces;

use crate::failure::{Failure, code};
use crate::open::is_public;

/// More addresses are not taken.
const MOST: usize = 4;
/// Ends of names that mean something in one network only.
const LOCAL: [&str; 7] = ["localdomain", "localhost", "local", "lan", "internal", "home", "home.arpa"];

/// The host's full name, or else its public addresses.
pub(crate) fn own() -> Result<Vec<String>, Failure> {
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy();
    let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    if let Some(name) = full_name(&host, &hosts) {
        return Ok(vec![name]);
    }
    let up = interfaces().unwrap_or_default().into_iter().filter(|interface| interface.up && !interface.loopback);
    let addresses: Vec<IpAddr> = up.flat_map(|interface| interface.addresses).collect();
    let mut public: Vec<IpAddr> = addresses.iter().copied().filter(is_public).collect();
    public.sort();
    public.dedup();
    public.truncate(MOST);
    if !public.is_empty() {
        return Ok(public.iter().map(ToString::to_string).collect());
    }
    let why = "this host has no full name and no public address by which it could be reached from outside";
    let help = "say how it is reached: --endpoint NAME-OR-ADDRESS";
    Err(Failure::new(code::USAGE, why).help(help))
}

/// The host's name if it has a dot, or the one with a dot that hosts(5) has beside it.
fn full_name(host: &str, hosts: &str) -> Option<String> {
    let names = hosts.lines().filter_map(|line| {
        let names: Vec<&str> = line.split('#').next()?.split_whitespace().skip(1).collect();
        names.contains(&host).then_some(names)
    });
    let mut candidates = [host].into_iter().chain(names.flatten());
    candidates.find(|name| is_full(name)).map(str::to_owned)
}

fn is_full(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    let local =
        LOCAL.iter().any(|end| name.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')));
    let is_address = name.parse::<IpAddr>().is_ok();
    name.trim_matches('.').contains('.')
        && name.bytes().all(plain)
        && name.len() <= 253
        && !name.starts_with('-')
        && !local
        && !is_address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_full_name_has_a_dot_and_means_something_elsewhere() {
        let hosts =
            "127.0.0.1 localhost\n# 192.0.2.1 gate.wrong.example gate\n127.0.1.1\tgate.example.org gate # here\n";
        for (host, hosts, full) in [
            ("gate.example.org", "", Some("gate.example.org")),
            ("gate", hosts, Some("gate.example.org")),
            ("gate", "127.0.1.1 gate.localdomain gate", None),
            ("gate", "", None),
            ("gate.local", "", None),
            ("ip-10-0-0-1.ec2.internal", "", None),
            ("localhost.localdomain", hosts, None),
            ("gate.", "", None),
            ("10.0.0.1", "", None),
        ] {
            assert_eq!(full_name(host, hosts).as_deref(), full, "{host}");
        }
    }

    #[test]
    fn private_addresses_are_not_public() {
        let public = |text: &str| is_public(&text.parse().unwrap());
        assert!(["198.51.100.7", "100.128.0.1", "2001:db8::1"].into_iter().all(public));
        let private =
            ["10.0.0.1", "172.17.0.1", "192.168.1.1", "169.254.0.1", "100.64.0.1", "fe80::1", "fd00::1", "::1"];
        assert!(!private.into_iter().any(public));
    }
}
