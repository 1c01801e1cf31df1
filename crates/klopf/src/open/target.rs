//! Where a host is.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};

use crate::failure::{Failure, code};
use crate::send::Family;

/// A host, and the addresses that are used of it: at most one of each family, in the order in which the system prefers them.
/// Their port is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) endpoint: String,
    pub(crate) addresses: Vec<SocketAddr>,
}

/// Asks the system for the addresses of a host.
///
/// # Errors
/// If there is no such host, or it has no address of this family.
pub(crate) fn resolve(endpoint: &str, family: Family) -> Result<Target, Failure> {
    let found = (endpoint, 0).to_socket_addrs().map_err(|error| {
        let why = format_args!("host '{endpoint}' is unknown: {error}; check the spelling, and this machine's network");
        Failure::new(code::NO_HOST, why)
    })?;
    let addresses = one_of_each(found.filter(|address| family.fits(address)));
    if addresses.is_empty() {
        let (has_not, option) = if family == Family::V6 { ("IPv6", "-6") } else { ("IPv4", "-4") };
        return Err(Failure::new(
            code::NO_HOST,
            format_args!("host '{endpoint}' has no {has_not} address; leave out {option}"),
        ));
    }
    Ok(Target { endpoint: endpoint.to_owned(), addresses })
}

/// The first address of each family. One of IPv4 that is written as one of IPv6 is one of IPv4.
fn one_of_each(all: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut chosen: Vec<SocketAddr> = Vec::new();
    for address in all {
        let address = match address.ip().to_canonical() {
            IpAddr::V4(v4) => SocketAddr::new(v4.into(), address.port()),
            // Link-local ones are nothing without their interface.
            IpAddr::V6(_) => address,
        };
        if !chosen.iter().any(|other| other.is_ipv4() == address.is_ipv4()) {
            chosen.push(address);
        }
    }
    chosen
}

/// Whether an address means the same everywhere.
pub(crate) fn is_public(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let shared =
                v4.octets().first() == Some(&100) && v4.octets().get(1).is_some_and(|second| second & 0xc0 == 64);
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_multicast()
                || shared)
        }
        // Global unicast addresses (RFC 4291, section 2.4).
        IpAddr::V6(v6) => v6.segments().first().is_some_and(|first| first & 0xe000 == 0x2000),
    }
}

/// A socket that would send there, and thereby the address that it would send from. Nothing is sent.
pub(crate) fn towards(to: SocketAddr) -> io::Result<UdpSocket> {
    let any = crate::send::unspecified(to);
    let socket = UdpSocket::bind(any)?;
    socket.connect(to)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_address_of_each_family_in_the_systems_order() {
        let all = ["[2001:db8::1]:0", "192.0.2.1:0", "[2001:db8::2]:0", "192.0.2.2:0"];
        let chosen = one_of_each(all.iter().map(|text| text.parse().unwrap()));
        assert_eq!(chosen, ["[2001:db8::1]:0".parse().unwrap(), "192.0.2.1:0".parse().unwrap()]);
        let mapped = one_of_each(["[::ffff:192.0.2.1]:0".parse().unwrap()].into_iter());
        assert_eq!(mapped, ["192.0.2.1:0".parse().unwrap()]);
    }

    #[test]
    fn an_unknown_host_and_a_missing_family_are_told_apart() {
        assert_eq!(resolve("::1", Family::Any).unwrap().addresses.len(), 1);
        let missing = resolve("127.0.0.1", Family::V6).unwrap_err();
        assert!(missing.code == 68 && missing.to_string().contains("leave out -6"), "{missing}");
        let unknown = resolve("no-such-host.invalid", Family::Any).unwrap_err();
        assert!(unknown.code == 68 && unknown.to_string().contains("is unknown"), "{unknown}");
    }
}
