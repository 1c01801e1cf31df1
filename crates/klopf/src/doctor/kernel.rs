//! What the kernel must have.

use std::fs;

use klopf_gate::Connections;
use klopf_gate::firewall::{OWNER, Survey};
use klopf_sys::{Depth, PacketSocket};

use super::finding::Findings;
use super::host::Host;

const ABOUT: &str = "kernel";

pub(super) fn check(host: &Host, findings: &mut Findings) {
    let before = findings.faults(ABOUT);
    let guards = host.doors().is_empty() || host.doors().iter().any(|door| !door.guard.is_empty());
    match Survey::open() {
        Ok(mut survey) => {
            for lack in survey.lacks() {
                if lack.what == OWNER {
                    findings.warn(
                        ABOUT,
                        format!("no {OWNER}: other programs can take Klopf's table away"),
                        "klopfd restores it within 100 ms while it runs; let nothing run nft flush ruleset",
                    );
                } else if guards {
                    findings.wrong(
                        ABOUT,
                        format!("{lack}: no port can be guarded"),
                        "load the module or take a kernel that has it; doors with on-open alone work without",
                    );
                }
            }
        }
        Err(error) if guards => {
            findings.wrong(ABOUT, format!("{error}: no port can be guarded"), "take a kernel with nf_tables");
        }
        Err(_) => {}
    }
    if let Err(error) = Connections::open() {
        findings.warn(
            ABOUT,
            format!(
                "it does not tell of connections ({error}): klopf lock cannot see anybody come in, and \
                 extend-while-connected and close-on-disconnect do nothing"
            ),
            "modprobe nf_conntrack_netlink",
        );
    }
    if let Err(error) = PacketSocket::open(Depth::Headers) {
        let text = format!("no packet sockets ({error}): klopfd sees no knock");
        findings.wrong(ABOUT, text, "modprobe af_packet (CONFIG_PACKET)");
    }
    if !fs::exists("/proc/sys/kernel/seccomp/actions_avail").unwrap_or(false) {
        let optional = host.config.as_ref().is_some_and(|config| config.daemon.seccomp_optional);
        let text = "no seccomp, which confines the process that reads packets";
        if optional {
            findings.warn(ABOUT, text, "take a kernel with CONFIG_SECCOMP_FILTER");
        } else {
            findings.wrong(
                ABOUT,
                format!("{text}: it does not start"),
                "take a kernel with CONFIG_SECCOMP_FILTER, or write seccomp = \"optional\" below [daemon]",
            );
        }
    }
    if klopf_sys::landlock_version().is_none() {
        findings.warn(
            ABOUT,
            "no landlock, which keeps the process that reads packets from the file system",
            "boot with lsm=landlock,... (CONFIG_SECURITY_LANDLOCK); seccomp holds without it",
        );
    }
    if findings.faults(ABOUT) == before {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        findings.fine(ABOUT, format!("Linux {release} has all that is needed"));
    }
}
