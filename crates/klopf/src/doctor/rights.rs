//! Capabilities: of this process, and of klopfd.

use std::fs;

use super::finding::Findings;
use super::host::Host;

const ABOUT: &str = "rights";
const NET_ADMIN: (u32, &str) = (12, "CAP_NET_ADMIN");
const NET_RAW: (u32, &str) = (13, "CAP_NET_RAW");
const SYS_ADMIN: u32 = 21;
/// What guards and the watching of packets take. Numbers are those of linux/capability.h.
const NEEDED: [(u32, &str); 2] = [NET_ADMIN, NET_RAW];

pub(super) fn check(host: &Host, findings: &mut Findings) {
    let before = findings.faults(ABOUT);
    let container = "in a container: --cap-add NET_ADMIN --cap-add NET_RAW, or run it on the host";
    for name in missing("self") {
        findings.wrong(ABOUT, format!("this user has no {name}"), container);
    }
    // klopfd reads logs alone, and nothing else takes a packet socket.
    let by_log = host.config.as_ref().is_some_and(|config| !config.daemon.sources.packet);
    if let Some(status) = &host.status {
        let needed = missing(&status.pid.to_string()).into_iter().filter(|name| !by_log || *name != NET_RAW.1);
        for name in needed {
            let text = format!("klopfd (pid {}) has no {name}", status.pid);
            let remedy =
                format!("{container}; with systemd: CapabilityBoundingSet= of klopfd.service must have {name}");
            findings.wrong(ABOUT, text, remedy);
        }
    }
    if findings.faults(ABOUT) == before {
        let whose = if host.status.is_some() { "here and in klopfd" } else { "here" };
        let names = if by_log { "CAP_NET_ADMIN" } else { "CAP_NET_ADMIN and CAP_NET_RAW" };
        findings.fine(ABOUT, format!("{names}, {whose}"));
    }
}

/// Whether this process may make namespaces.
pub(super) fn may_play() -> bool {
    effective("self").is_some_and(|set| has(set, SYS_ADMIN) && has(set, NET_ADMIN.0))
}

fn missing(process: &str) -> Vec<&'static str> {
    // Nothing is said about a process that hides.
    let Some(set) = effective(process) else { return Vec::new() };
    NEEDED.iter().filter(|(number, _)| !has(set, *number)).map(|(_, name)| *name).collect()
}

fn effective(process: &str) -> Option<u64> {
    read_effective(&fs::read_to_string(format!("/proc/{process}/status")).ok()?)
}

fn read_effective(status: &str) -> Option<u64> {
    let hex = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(hex.trim(), 16).ok()
}

const fn has(set: u64, number: u32) -> bool {
    set >> number & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read() {
        let set = read_effective("Name:\tx\nCapPrm:\t0\nCapEff:\t0000000000003000\n").unwrap();
        assert!(has(set, NET_ADMIN.0) && has(set, NET_RAW.0) && !has(set, SYS_ADMIN));
        assert_eq!(read_effective("CapEff:\tnone"), None);
    }
}
