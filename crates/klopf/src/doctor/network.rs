//! Interfaces and addresses.

use super::finding::Findings;
use super::host::{Host, link_local};

const ABOUT: &str = "interfaces";

pub(super) fn check(host: &Host, findings: &mut Findings) {
    let Some(config) = &host.config else { return };
    let before = findings.faults(ABOUT);
    for name in &config.daemon.interfaces {
        match host.interfaces.iter().find(|one| one.name == *name) {
            None => {
                let names: Vec<&str> = host.interfaces.iter().map(|one| one.name.as_str()).collect();
                let text = format!("there is no interface {name}: no knock is seen there");
                findings.wrong(ABOUT, text, format!("in [daemon], interfaces = [...] may have {}", names.join(", ")));
            }
            Some(one) if !one.up => {
                findings.wrong(ABOUT, format!("{name} is down"), format!("ip link set {name} up"));
            }
            Some(one) if one.addresses.iter().all(link_local) => {
                let remedy = format!("ip address add ADDRESS/PREFIX dev {name}, or let DHCP do it");
                findings.wrong(ABOUT, format!("{name} has no address, or link-local ones alone"), remedy);
            }
            Some(_) => {}
        }
    }
    let reachable: Vec<String> = host
        .watched()
        .filter(|one| one.up && !one.addresses.iter().all(link_local))
        .map(|one| {
            let addresses: Vec<String> =
                one.addresses.iter().filter(|one| !link_local(one)).take(3).map(ToString::to_string).collect();
            format!("{} ({})", one.name, addresses.join(", "))
        })
        .collect();
    if reachable.is_empty() && config.daemon.interfaces.is_empty() {
        findings.wrong(ABOUT, "no interface but the loopback is up with an address", "ip address shows them");
    } else if findings.faults(ABOUT) == before {
        findings.fine(ABOUT, reachable.join(", "));
    }
}
