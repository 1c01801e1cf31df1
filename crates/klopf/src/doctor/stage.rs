//! The place where a knock is played: a network namespace of its own, with a link to this host.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::{io, thread};

use klopf_gate::firewall::{Network, Tracer};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::host::Host;

/// What the names of namespaces begin with, before the process id.
const NAME: &str = "klopf-doctor-";
const NAMESPACES: &str = "/run/netns";

/// Addresses for examples, which nobody has (RFC 5737).
const EXAMPLES: [[u8; 3]; 3] = [[192, 0, 2], [198, 51, 100], [203, 0, 113]];

/// This host's end of a link and the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) here: IpAddr,
    pub(super) there: IpAddr,
}

/// The namespace; gone with this value.
pub(super) struct Stage {
    name: String,
    /// This host's interface.
    pub(super) link: String,
    /// IPv4, and IPv6 where this host has it.
    pub(super) ends: Vec<Ends>,
    /// Shows ways of packets from there; none where the kernel cannot.
    pub(super) tracer: Option<Tracer>,
}

impl Stage {
    /// Makes it.
    pub(super) fn set(host: &Host) -> Result<Self, String> {
        let pid = std::process::id();
        let routes = routes();
        let own: Vec<IpAddr> = host.interfaces.iter().flat_map(|one| one.addresses.iter().copied()).collect();
        let mut ends: Vec<Ends> = free4(&own, &routes).into_iter().collect();
        if has_ipv6() {
            ends.extend(free6(pid, &own, &routes));
        }
        if ends.is_empty() {
            return Err("this host has routes to all addresses that could be used".into());
        }
        let mut stage = Self { name: format!("{NAME}{pid}"), link: format!("kd{pid}"), ends: Vec::new(), tracer: None };
        stage.make(&ends)?;
        stage.ends = ends;
        let sources: Vec<IpAddr> = stage.ends.iter().map(|ends| ends.there).collect();
        stage.tracer = Tracer::start(&sources).ok();
        Ok(stage)
    }

    fn make(&self, ends: &[Ends]) -> Result<(), String> {
        let Self { name, link, .. } = self;
        ip(&["netns", "add", name])?;
        ip(&["link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name])?;
        ip(&["link", "set", link, "up"])?;
        for device in ["lo", "eth0"] {
            ip(&["-n", name, "link", "set", device, "up"])?;
        }
        for Ends { here, there } in ends {
            let (family, prefix) = if here.is_ipv4() { ("-4", 30) } else { ("-6", 64) };
            // IPv6 without the wait for others with the same address.
            let nodad: &[&str] = if here.is_ipv4() { &[] } else { &["nodad"] };
            ip(&[&["addr", "add", &format!("{here}/{prefix}"), "dev", link][..], nodad].concat())?;
            ip(&[&["-n", name, "addr", "add", &format!("{there}/{prefix}"), "dev", "eth0"][..], nodad].concat())?;
            ip(&["-n", name, family, "route", "add", "default", "via", &here.to_string()])?;
        }
        Ok(())
    }

    /// Does something in the namespace.
    pub(super) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        let namespace = File::open(format!("{NAMESPACES}/{}", self.name))?;
        // A thread of its own, since a namespace is a thread's: the sockets that are made there belong to it.
        let done = thread::scope(|scope| {
            let there = scope.spawn(|| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
                Ok(work())
            });
            there.join()
        });
        done.unwrap_or_else(|_| Err(io::Error::other("the thread in the namespace has died")))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Without its owner the link goes at some time or other; nothing may be left when the doctor ends.
        let _ = ip(&["link", "delete", &self.link]);
        let _ = ip(&["netns", "delete", &self.name]);
    }
}

/// Takes away what doctors have left that are dead.
pub(super) fn tidy() {
    let Ok(entries) = fs::read_dir(NAMESPACES) else { return };
    for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let Some(pid) = name.strip_prefix(NAME).and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        // One of this very number was somebody else's.
        if pid == std::process::id() || !fs::exists(format!("/proc/{pid}")).unwrap_or(true) {
            let _ = ip(&["link", "delete", &format!("kd{pid}")]);
            let _ = ip(&["netns", "delete", &name]);
        }
    }
}

/// Runs iproute2's program.
fn ip(arguments: &[&str]) -> Result<(), String> {
    // Root's PATH may lack the directories for administration.
    let program =
        ["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"].into_iter().find(|path| fs::exists(path).unwrap_or(false));
    let mut command = Command::new(program.unwrap_or("ip"));
    // Ctrl-C is for the doctor alone, which takes away then what is there.
    let done = command.args(arguments).stdin(Stdio::null()).process_group(0).output();
    match done {
        Ok(done) if done.status.success() => Ok(()),
        Ok(done) => {
            let said = String::from_utf8_lossy(&done.stderr);
            Err(format!("ip {}: {}", arguments.join(" "), said.lines().next().unwrap_or("no success")))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err("there is no program ip; install iproute2".into()),
        Err(error) => Err(format!("cannot run ip: {error}")),
    }
}

fn has_ipv6() -> bool {
    let on = |which| {
        let off = fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6"));
        off.is_ok_and(|off| off.trim() == "0")
    };
    on("all") && on("default")
}

/// Networks that this host has routes to, but for default ones.
fn routes() -> Vec<Network> {
    let text = |path| fs::read_to_string(path).unwrap_or_default();
    let (v4, v6) = (text("/proc/net/route"), text("/proc/net/ipv6_route"));
    v4.lines().filter_map(route4).chain(v6.lines().filter_map(route6)).filter(|route| route.prefix > 0).collect()
}

/// A line of /proc/net/route: interface, destination, gateway, flags, ..., and the mask as the eighth word.
fn route4(line: &str) -> Option<Network> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (address, mask) = (words.get(1)?, words.get(7)?);
    // As the bytes lie in memory.
    let number = |hex| u32::from_str_radix(hex, 16).ok().map(u32::to_ne_bytes);
    let prefix = u32::from_be_bytes(number(mask)?).count_ones();
    Some(Network { address: IpAddr::from(number(address)?), prefix: u8::try_from(prefix).ok()? })
}

/// A line of /proc/net/ipv6_route: destination and the length of its prefix.
fn route6(line: &str) -> Option<Network> {
    let mut words = line.split_whitespace();
    let address = Ipv6Addr::from(u128::from_str_radix(words.next()?, 16).ok()?);
    // Multicast and link-local routes are everywhere.
    let special = address.is_multicast() || address.is_unicast_link_local();
    let prefix = u8::from_str_radix(words.next()?, 16).ok()?;
    (!special).then_some(Network { address: address.into(), prefix })
}

fn is_free(wanted: Network, own: &[IpAddr], routes: &[Network]) -> bool {
    let clash = |route: &Network| route.contains(wanted.address) || wanted.contains(route.address);
    !own.iter().any(|address| wanted.contains(*address)) && !routes.iter().any(clash)
}

/// Two addresses of a small network that clashes with nothing.
fn free4(own: &[IpAddr], routes: &[Network]) -> Option<Ends> {
    let blocks = EXAMPLES.into_iter().flat_map(|[a, b, c]| (0..64_u8).rev().map(move |block| [a, b, c, block * 4]));
    blocks.map(Ipv4Addr::from).find_map(|first| {
        let wanted = Network { address: first.into(), prefix: 30 };
        let at = |place: u32| IpAddr::from(Ipv4Addr::from_bits(first.to_bits() + place));
        is_free(wanted, own, routes).then(|| Ends { here: at(1), there: at(2) })
    })
}

/// The same of the unique local ones (RFC 4193).
fn free6(pid: u32, own: &[IpAddr], routes: &[Network]) -> Option<Ends> {
    (0..64_u32).find_map(|attempt| {
        let [.., high, low] = pid.wrapping_add(attempt).to_be_bytes();
        let at =
            |last| IpAddr::from(Ipv6Addr::new(0xfd6b, 0x6c6f, 0x7066, u16::from_be_bytes([high, low]), 0, 0, 0, last));
        is_free(Network { address: at(0), prefix: 64 }, own, routes).then(|| Ends { here: at(1), there: at(2) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read() {
        let line = format!(
            "eth0\t{:08X}\t00000000\t0001\t0\t0\t0\t{:08X}\t0\t0\t0",
            u32::from_ne_bytes([10, 99, 0, 0]),
            u32::from_ne_bytes([255, 255, 255, 0])
        );
        assert_eq!(route4(&line), Some(Network { address: [10, 99, 0, 0].into(), prefix: 24 }));
        assert_eq!(route4("Iface\tDestination\tGateway"), None);
        let line = "fd000099000000000000000000000000 40 00000000000000000000000000000000 00 0 100 1 0 1 eth0";
        assert_eq!(route6(line), Some(Network { address: "fd00:99::".parse().unwrap(), prefix: 64 }));
        assert_eq!(route6("ff000000000000000000000000000000 08 0 00 0"), None);
    }

    #[test]
    fn addresses_clash_with_nothing() {
        let net = |text: &str, prefix| Network { address: text.parse().unwrap(), prefix };
        let ends = free4(&[], &[]).unwrap();
        assert_eq!((ends.here.to_string(), ends.there.to_string()), ("192.0.2.253".into(), "192.0.2.254".into()));
        let ends = free4(&["192.0.2.254".parse().unwrap()], &[]).unwrap();
        assert_eq!(ends.here.to_string(), "192.0.2.249");
        let ends = free4(&[], &[net("192.0.2.0", 24)]).unwrap();
        assert_eq!(ends.here.to_string(), "198.51.100.253");
        assert_eq!(free4(&[], &[net("192.0.0.0", 8), net("198.0.0.0", 8), net("203.0.113.0", 24)]), None);
        let first = free6(7, &[], &[]).unwrap();
        let second = free6(7, &[first.here], &[]).unwrap();
        assert_ne!(first, second);
        assert_eq!(free6(7, &[], &[net("fd00::", 8)]), None);
    }
}
