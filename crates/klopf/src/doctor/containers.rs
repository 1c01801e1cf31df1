//! Ports that containers publish, or that are led elsewhere.

use std::fs;
use std::process::{Command, Stdio};

use klopf_config::native::PortRange;
use klopf_gate::firewall::{Ports, TCP, UDP};
use klopf_wire::Proto;

use super::finding::Findings;
use super::host::{Host, meet, number};
use super::others;

const ABOUT: &str = "containers";

pub(super) fn check(host: &Host, findings: &mut Findings) {
    let before = findings.faults(ABOUT);
    let mut guarded = Vec::new();
    for &ports in &host.published {
        let name = named(ports);
        for door in host.doors() {
            if door.guard.iter().any(|range| meet(range, ports)) {
                guarded.push(format!("{name} (door {})", door.name));
            }
            let hit = door.sequence.iter().find(|hit| {
                let range = PortRange { proto: hit.proto, first: hit.number, last: hit.number };
                meet(&range, ports) && !known(host, hit.proto, hit.number)
            });
            if let Some(hit) = hit {
                let text = format!(
                    "{name} is published and in the sequence of door {}: whoever uses that service seems to knock",
                    door.name
                );
                let remedy = format!("write service-ports = [\"{}/{}\"] below [daemon]", hit.proto, hit.number);
                findings.warn(ABOUT, text, remedy);
            }
        }
    }
    if findings.faults(ABOUT) > before {
        return;
    }
    findings.fine(
        ABOUT,
        match (host.published.len(), guarded.is_empty()) {
            (0, _) => "no port is published or led elsewhere".to_owned(),
            (1, true) => "the published port is of no door".to_owned(),
            (count, true) => format!("none of the {count} published ports is of a door"),
            (_, false) => format!("published, and guarded like any other: {}", guarded.join(", ")),
        },
    );
}

/// Whether klopfd knows that something serves there.
fn known(host: &Host, proto: Proto, port: u16) -> bool {
    let has = |range: &PortRange| range.proto == proto && (range.first..=range.last).contains(&port);
    host.config.as_ref().is_some_and(|config| config.daemon.service_ports.iter().any(has))
        || host.listeners.iter().any(|(one, _)| one.proto == proto && one.number == port)
}

/// What rules of others and the helpers of container engines publish.
pub(super) fn published(by_rules: impl Iterator<Item = Ports>) -> Vec<Ports> {
    let mut all: Vec<Ports> = by_rules.chain(helpers()).chain(by_legacy()).collect();
    all.sort();
    all.dedup();
    all
}

/// `docker-proxy` says it in its arguments.
fn helpers() -> Vec<Ports> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let of_docker = |path: &std::path::PathBuf| fs::read(path.join("comm")).is_ok_and(|name| name == b"docker-proxy\n");
    let all = processes.flatten().map(|entry| entry.path()).filter(of_docker);
    all.filter_map(|path| {
        let words = fs::read(path.join("cmdline")).ok()?;
        let words: Vec<&str> =
            words.split(|byte| *byte == 0).filter_map(|word| std::str::from_utf8(word).ok()).collect();
        proxied(&words)
    })
    .collect()
}

fn proxied(words: &[&str]) -> Option<Ports> {
    let value = |name| words.iter().zip(words.iter().skip(1)).find(|(word, _)| **word == name).map(|(_, value)| *value);
    ports(value("-proto")?, value("-host-port")?)
}

/// What the old iptables has, which only its own program can read.
fn by_legacy() -> Vec<Ports> {
    let mut found = Vec::new();
    for (program, tables) in others::legacy() {
        if tables.split(", ").all(|name| name != "nat") {
            continue;
        }
        let listed = Command::new(program).args(["-t", "nat", "-S"]).stdin(Stdio::null()).output();
        let Ok(listed) = listed else { continue };
        found.extend(String::from_utf8_lossy(&listed.stdout).lines().filter_map(led));
    }
    found
}

fn led(rule: &str) -> Option<Ports> {
    let words: Vec<&str> = rule.split_whitespace().collect();
    let value = |name| words.iter().zip(words.iter().skip(1)).find(|(word, _)| **word == name).map(|(_, value)| *value);
    matches!(value("-j")?, "DNAT" | "REDIRECT").then(|| ports(value("-p")?, value("--dport")?)).flatten()
}

fn ports(proto: &str, port: &str) -> Option<Ports> {
    let proto = match proto {
        "tcp" => TCP,
        "udp" => UDP,
        _ => return None,
    };
    let (first, last) = port.split_once(':').unwrap_or((port, port));
    Some(Ports { proto, first: first.parse().ok()?, last: last.parse().ok()? })
}

fn named(ports: Ports) -> String {
    let proto = if ports.proto == number(Proto::Tcp) { "tcp" } else { "udp" };
    if ports.first == ports.last {
        return format!("{proto}/{}", ports.first);
    }
    format!("{proto}/{}-{}", ports.first, ports.last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_read() {
        let tcp = |first, last| Some(Ports { proto: TCP, first, last });
        let words = ["/usr/bin/docker-proxy", "-proto", "tcp", "-host-ip", "0.0.0.0", "-host-port", "8080"];
        assert_eq!(proxied(&words), tcp(8080, 8080));
        assert_eq!(proxied(&words[..4]), None);
        let rule = "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 80:81 -j DNAT --to-destination 172.17.0.2:80";
        assert_eq!(led(rule), tcp(80, 81));
        assert_eq!(led("-A POSTROUTING -p tcp --dport 80 -j MASQUERADE"), None);
    }
}
