//! Which addresses may be asked: no server tells the courier to look at this host or its network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use klopf_brief::Network;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Finds addresses as the host does, and keeps those that may be asked. What it returns is what is connected to, so a name
/// cannot have one address for the check and another for the connection.
#[derive(Debug)]
pub(crate) struct Allowed {
    networks: Vec<Network>,
}

/// By this the error of [`Allowed`] is told from others.
#[derive(Debug)]
pub(crate) struct NotAllowed;

impl std::fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the address is none of the Internet")
    }
}

impl std::error::Error for NotAllowed {}

impl Allowed {
    /// The addresses of the Internet, and those in `networks`.
    pub(crate) fn new(networks: Vec<Network>) -> Self {
        Self { networks }
    }

    fn allows(&self, address: IpAddr) -> bool {
        let plain = address.to_canonical();
        (is_public(address) && !is_own(address))
            || self.networks.iter().any(|network| network.contains(address) || network.contains(plain))
    }
}

impl Resolver for Allowed {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = DefaultResolver::default().resolve(uri, config, timeout).map_err(|error| match error {
            // The C library has errors of its own for that.
            ureq::Error::Io(_) => ureq::Error::HostNotFound,
            error => error,
        })?;
        let mut allowed = self.empty();
        found.iter().filter(|address| self.allows(address.ip())).for_each(|address| allowed.push(*address));
        if allowed.is_empty() { Err(ureq::Error::Other(Box::new(NotAllowed))) } else { Ok(allowed) }
    }
}

/// Whether an address is this host's: then it is what the host itself would use to reach it. Nothing is sent.
fn is_own(address: IpAddr) -> bool {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let from = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    from.is_ok_and(|from| from.ip() == address)
}

/// Whether an address is one of the Internet, as IANA's registries of special-purpose addresses have it (RFC 6890).
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast();
    let [a, b, c, _] = address.octets();
    let listed = matches!(
        (a, b, c),
        (0, ..)                    // this network
            | (100, 64..=127, _)   // carriers' translators (RFC 6598)
            | (192, 0, 0)          // protocols (RFC 6890)
            | (192, 88, 99)        // 6to4 relays (RFC 7526)
            | (198, 18..=19, _)    // benchmarks (RFC 2544)
            | (240.., ..) // reserved, and broadcast
    );
    !special && !listed
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match (a, b) {
        // Those that stand for one of IPv4: translated (RFC 6052), 6to4 (RFC 3056).
        (0x64, 0xff9b) => (c, d, e, f) == (0, 0, 0, 0) && is_public_v4(v4(g, h)),
        (0x2002, high) => is_public_v4(v4(high, c)),
        // Protocols, Teredo among them, and documentation (RFC 2928, 3849, 9637).
        (0x2001, 0..=0x1ff | 0xdb8) | (0x3ffe | 0x3fff, _) => false,
        // All else that was ever given out is in 2000::/3. Addresses of IPv4 in those of IPv6 are not.
        _ => a & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_host_and_its_networks_are_none_of_the_internet() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:8.8.8.8",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::808:808",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::",
            "2002:c0a8:101::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn addresses_of_the_internet_are() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "2600::1",
            "2a00:1450:4001::200e",
            "2001:4860:4860::8888",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn this_hosts_own_addresses_are_known() {
        assert!(is_own(Ipv4Addr::LOCALHOST.into()) && !is_own("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn networks_that_are_listed_may_be_asked() {
        let allowed = Allowed::new(vec![Network { address: [10, 0, 0, 0].into(), prefix: 8 }]);
        let allows = |text: &str| allowed.allows(text.parse().unwrap());
        assert!(allows("10.200.0.1") && allows("::ffff:10.0.0.1") && allows("9.9.9.9"));
        assert!(!allows("127.0.0.1") && !allows("192.168.0.1"));
    }
}
