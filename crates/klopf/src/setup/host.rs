//! What this host is like: who listens, which ports are its own, from where somebody is logged in.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use klopf_wire::{Port, Proto};

/// What the kernel takes if it does not tell.
const EPHEMERAL: (u16, u16) = (32_768, 60_999);
/// More are not shown; the rest can be typed.
const MOST_SHOWN: usize = 9;
/// Nobody is deeper in processes than that.
const DEEPEST: u32 = 64;
/// UDP ports by which hosts find addresses, names and each other; to guard them does harm or nothing.
const PLUMBING: [u16; 6] = [53, 67, 68, 123, 546, 5353];

pub(super) struct Host {
    /// Services that somebody outside can reach: ssh first, then as they are numbered.
    pub(super) services: Vec<Service>,
    /// Every port with a service.
    pub(super) busy: Vec<Port>,
    /// What the kernel takes for connections from here, first and last.
    pub(super) ephemeral: (u16, u16),
    /// From where somebody is logged in who runs this.
    pub(super) login: Option<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) port: Port,
    /// The program's name; who is not root does not see it.
    pub(super) program: Option<String>,
}

impl Service {
    fn is_ssh(&self) -> bool {
        self.port.proto == Proto::Tcp
            && (self.program.as_deref() == Some("sshd") || self.program.is_none() && self.port.number == 22)
    }
}

impl Host {
    pub(super) fn look() -> Self {
        let listeners = klopf_sys::listeners().unwrap_or_default();
        let ephemeral = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
        let ephemeral = ephemeral.ok().and_then(|text| range(&text)).unwrap_or(EPHEMERAL);
        let services = services(&listeners, ephemeral, &programs());
        Self { services, busy: listeners.iter().map(|(port, _)| *port).collect(), ephemeral, login: login() }
    }

    /// The port of ssh, which is what most people guard.
    pub(super) fn ssh(&self) -> Port {
        self.services.iter().find(|service| service.is_ssh()).map_or(Port::tcp(22), |service| service.port)
    }
}

fn services(listeners: &[(Port, IpAddr)], ephemeral: (u16, u16), programs: &HashMap<Port, String>) -> Vec<Service> {
    let mut services: Vec<Service> = Vec::new();
    for (port, address) in listeners {
        let fleeting = port.proto == Proto::Udp
            && ((ephemeral.0..=ephemeral.1).contains(&port.number) || PLUMBING.contains(&port.number));
        if !address.is_loopback() && !fleeting && !services.iter().any(|service| service.port == *port) {
            services.push(Service { port: *port, program: programs.get(port).cloned() });
        }
    }
    services.sort_by_key(|service| (!service.is_ssh(), service.port.proto == Proto::Udp, service.port.number));
    services.truncate(MOST_SHOWN);
    services
}

/// The first and the last, with a tab between them.
fn range(text: &str) -> Option<(u16, u16)> {
    let mut words = text.split_whitespace().map(|word| word.parse().ok());
    words.next()?.zip(words.next()?)
}

/// Which program waits at a port, as far as one may see.
fn programs() -> HashMap<Port, String> {
    let mut sockets = HashMap::new();
    for (file, proto) in [("tcp", Proto::Tcp), ("tcp6", Proto::Tcp), ("udp", Proto::Udp), ("udp6", Proto::Udp)] {
        let text = fs::read_to_string(format!("/proc/net/{file}")).unwrap_or_default();
        sockets.extend(text.lines().filter_map(|line| socket(line, proto)));
    }
    let mut programs: HashMap<Port, String> = HashMap::new();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    for process in processes {
        let Ok(open) = fs::read_dir(process.join("fd")) else { continue };
        for port in open.flatten().filter_map(|entry| sockets.get(&inode(&entry.path())?)) {
            let Ok(name) = fs::read_to_string(process.join("comm")) else { continue };
            // systemd holds sockets for others, too.
            let entry = programs.entry(*port).or_default();
            if entry.is_empty() || entry == "systemd" {
                name.trim_end().clone_into(entry);
            }
        }
    }
    programs
}

/// The inode and port of a waiting socket, from a line of /proc/net/tcp: number, local address, other address, state, ..., and the
/// inode as the tenth word.
fn socket(line: &str, proto: Proto) -> Option<(u64, Port)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (_, number) = words.get(1)?.rsplit_once(':')?;
    let waits = match proto {
        Proto::Tcp => "0A",
        Proto::Udp => "07",
    };
    let port = Port { proto, number: u16::from_str_radix(number, 16).ok()? };
    (*words.get(3)? == waits).then_some((words.get(9)?.parse().ok()?, port))
}

/// The socket behind an open file.
fn inode(file: &Path) -> Option<u64> {
    let link = fs::read_link(file).ok()?;
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// Where the ssh client is. sudo removes what sshd says, so those before it are asked, too.
fn login() -> Option<IpAddr> {
    if let Ok(text) = std::env::var("SSH_CONNECTION") {
        return client(&text);
    }
    let mut process = std::process::id();
    for _ in 0..DEEPEST {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        process = parent(&stat).filter(|process| *process > 1)?;
        let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0).filter_map(|one| std::str::from_utf8(one).ok());
        if let Some(text) = variables.find_map(|one| one.strip_prefix("SSH_CONNECTION=")) {
            return client(text);
        }
    }
    None
}

/// `203.0.113.7 50022 192.0.2.1 22`: the first is the client.
fn client(connection: &str) -> Option<IpAddr> {
    let address = connection.split(' ').next()?.split('%').next()?.parse::<IpAddr>().ok()?.to_canonical();
    (!address.is_loopback()).then_some(address)
}

/// The process that has begun another, from its /proc/PID/stat: number, name in parentheses, state, parent.
fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_for_the_outside_are_suggested_and_ssh_comes_first() {
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        let listeners = [
            (Port::tcp(80), at("0.0.0.0")),
            (Port::tcp(25), at("127.0.0.1")),
            (Port::udp(51820), at("0.0.0.0")),
            (Port::udp(60001), at("0.0.0.0")),
            (Port::udp(68), at("192.0.2.1")),
            (Port::udp(1194), at("0.0.0.0")),
            (Port::tcp(2222), at("0.0.0.0")),
            (Port::tcp(2222), at("::")),
            (Port::tcp(22), at("0.0.0.0")),
        ];
        let name = |port, name: &str| (port, name.to_owned());
        let programs = HashMap::from([name(Port::tcp(2222), "sshd"), name(Port::tcp(22), "trap")]);
        let found = services(&listeners, (60_000, 61_000), &programs);
        let ports: Vec<String> = found.iter().map(|service| service.port.to_string()).collect();
        assert_eq!(ports, ["2222/tcp", "22/tcp", "80/tcp", "1194/udp", "51820/udp"]);
        let host = Host { services: found, busy: vec![], ephemeral: EPHEMERAL, login: None };
        assert_eq!(host.ssh(), Port::tcp(2222));
    }

    #[test]
    fn what_the_kernel_tells_is_read() {
        let line =
            "   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1234 1 0";
        assert_eq!(socket(line, Proto::Tcp), Some((1234, Port::tcp(22))));
        assert_eq!(socket(&line.replace(" 0A ", " 01 "), Proto::Tcp), None);
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
        assert_eq!(socket(head, Proto::Tcp), None);
        assert_eq!((range("32768\t60999\n"), range("x")), (Some((32_768, 60_999)), None));
        assert_eq!(parent("12 (a) b) S 7 12 12 0"), Some(7));
    }

    #[test]
    fn the_client_of_ssh_is_found() {
        let own = |text: &str| client(text).map(|address| address.to_string());
        assert_eq!(own("203.0.113.7 50022 192.0.2.1 22").as_deref(), Some("203.0.113.7"));
        assert_eq!(own("::ffff:203.0.113.7 1 ::1 22").as_deref(), Some("203.0.113.7"));
        assert_eq!(own("2001:db8::7 1 2001:db8::1 22").as_deref(), Some("2001:db8::7"));
        assert_eq!((own("127.0.0.1 1 127.0.0.1 22"), own("UNKNOWN 65535"), own("")), (None, None, None));
    }

    #[test]
    fn this_very_process_is_found_by_its_port() {
        let ear = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = Port::tcp(ear.local_addr().unwrap().port());
        let own = fs::read_to_string("/proc/self/comm").unwrap();
        // Threads have names of their own; the process has that of its first.
        let name = fs::read_to_string(format!("/proc/{}/comm", std::process::id())).unwrap_or(own);
        assert_eq!(programs().get(&port).map(String::as_str), Some(name.trim_end()));
    }
}
