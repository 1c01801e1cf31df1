//! What is behind the doors, and under the hits of a knock.

use std::net::IpAddr;

use klopf_config::native::{Door, PortRange};

use super::finding::Findings;
use super::host::{Host, meet};

const ABOUT: &str = "services";

pub(super) fn check(host: &Host, findings: &mut Findings) {
    let before = findings.faults(ABOUT);
    let mut fine = Vec::new();
    for door in host.doors() {
        for range in &door.guard {
            match behind(host, door, range) {
                Behind::Something(what) => fine.push(what),
                Behind::Nothing => findings.wrong(
                    ABOUT,
                    format!("nothing listens at {range} of door {}", door.name),
                    "start the service; or let klopfd: start = \"NAME.service\" in the door's section",
                ),
                Behind::LocalOnly(address) => findings.wrong(
                    ABOUT,
                    format!(
                        "what listens at {range} of door {} does so at {address} alone, where nobody outside gets",
                        door.name
                    ),
                    "have it listen at 0.0.0.0 and ::, or at the address of an interface; Klopf guards it there",
                ),
            }
        }
    }
    if findings.faults(ABOUT) == before && !fine.is_empty() {
        findings.fine(ABOUT, fine.join(", "));
    }
    let served: Vec<String> = host
        .doors()
        .iter()
        .flat_map(|door| door.sequence.iter().map(move |hit| (door, hit)))
        .filter(|(_, hit)| host.listeners.iter().any(|(port, _)| port == *hit))
        .map(|(door, hit)| format!("{}/{} of door {}", hit.proto, hit.number, door.name))
        .collect();
    if !served.is_empty() {
        let text = format!("hits at ports with a service count as well as others: {}", served.join(", "));
        findings.fine(ABOUT, text);
    }
}

enum Behind {
    Something(String),
    Nothing,
    LocalOnly(IpAddr),
}

fn behind(host: &Host, door: &Door, range: &PortRange) -> Behind {
    let name = &door.name;
    if let Some(forward) = &door.forward {
        return Behind::Something(format!("{range} leads to {} (door {name})", forward.address));
    }
    if host.published.iter().any(|ports| meet(range, *ports)) {
        return Behind::Something(format!("{range} is led on (door {name})"));
    }
    let there: Vec<IpAddr> = host
        .listeners
        .iter()
        .filter(|(port, _)| port.proto == range.proto && (range.first..=range.last).contains(&port.number))
        .map(|(_, address)| *address)
        .collect();
    match there.first() {
        _ if there.iter().any(|address| !address.is_loopback()) => {
            Behind::Something(format!("{range} is listened on (door {name})"))
        }
        Some(address) => Behind::LocalOnly(*address),
        None if door.start.is_some() || !door.on_open.is_empty() => {
            Behind::Something(format!("{range} is for what door {name} starts"))
        }
        None if range.first != range.last => {
            Behind::Something(format!("{range} is for services that come and go (door {name})"))
        }
        None => Behind::Nothing,
    }
}
