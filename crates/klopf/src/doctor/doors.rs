//! Each guarded port with a lease of a few seconds: whether a packet gets to its service, or who drops it.

use std::net::{IpAddr, SocketAddr};

use klopf_config::native::{Door, PortRange};
use klopf_control::{Guards, Reply, Request};
use klopf_gate::firewall::{Step, Tracer};
use klopf_sys::Signals;
use klopf_wire::{Port, Proto};

use super::finding::Findings;
use super::host::{Host, ask, link_local, meet, number};
use super::probe::{self, Answer};
use super::stage::{Ends, Stage};
use super::{Interrupted, interrupted, others};
use crate::daemon::{Place, service};

const ABOUT: &str = "doors";
/// Milliseconds of a lease.
const LEASE: u64 = 3000;
/// Ranges of a door that are tried.
const MOST: usize = 8;

pub(super) fn try_all(
    host: &Host,
    place: &Place,
    stage: &mut Stage,
    signals: &Signals,
    findings: &mut Findings,
) -> Result<(), Interrupted> {
    if host.status.as_ref().is_none_or(|status| status.guards != Guards::Guarded) {
        return Ok(());
    }
    let before = findings.faults(ABOUT);
    let (mut good, mut untried) = (Vec::new(), Vec::new());
    for door in host.doors().iter().filter(|door| !door.guard.is_empty()) {
        if !door.on_open.is_empty() || !door.on_close.is_empty() || door.start.is_some() {
            untried.push(door.name.as_str());
            continue;
        }
        for ends in stage.ends.clone() {
            let grant = Request::Grant { door: door.name.clone(), address: ends.there, for_ms: Some(LEASE) };
            match ask(place, &grant) {
                Ok(Reply::Done { .. }) => {}
                Ok(Reply::Failed { why, .. }) => {
                    let text = format!("door {} does not open by hand: {why}", door.name);
                    findings.warn(ABOUT, text, "klopf status says more");
                    continue;
                }
                Ok(_) | Err(_) => {
                    findings.wrong(
                        ABOUT,
                        "klopfd has stopped answering",
                        format!("see its log; {}", service("restart")),
                    );
                    return Ok(());
                }
            }
            for range in door.guard.iter().take(MOST) {
                interrupted(signals)?;
                let port = Port { proto: range.proto, number: first(host, range) };
                let Some(to) = target(host, ends, door, range) else { continue };
                let met = one(stage, SocketAddr::new(to, port.number), port.proto, door);
                let at = format!("{}/{} of door {}", port.proto, port.number, door.name);
                match met {
                    Met::Service => good.push(format!("{at} at {to}")),
                    Met::Unknown => {}
                    Met::Dropped { before, step } => {
                        let by = others::blame(&step);
                        let text = if before {
                            format!("{at}: dropped before it comes to Klopf's table, in {by}")
                        } else {
                            format!("{at}: Klopf lets it in at {to}, and then it is dropped in {by}")
                        };
                        let remedy = others::mend(host, &step, &format!("{}/{}", port.proto, port.number));
                        if others::by_interface(host, &step) {
                            let text = format!(
                                "{text}. That table has rules that ask for the interface: what comes by another than \
                                 the doctor's may pass"
                            );
                            findings.warn(ABOUT, text, format!("if it does not pass, {remedy}"));
                        } else {
                            findings.wrong(ABOUT, text, remedy);
                        }
                    }
                    Met::Closed => {
                        let text = format!("{at} stayed closed at {to} with a lease in force");
                        findings.wrong(ABOUT, text, "see klopfd's log, and: nft list table inet klopf");
                    }
                    Met::Nobody if door.forward.is_some() => findings.warn(
                        ABOUT,
                        format!("{at} leads on, but nobody answers"),
                        "see that the host behind answers by way of this one, and sysctl net.ipv4.ip_forward",
                    ),
                    Met::Nobody => findings.wrong(
                        ABOUT,
                        format!("{at}: let in at {to}, but nobody answers, and no table of nf_tables drops it"),
                        "look where nf_tables does not: iptables-legacy -S, and rp_filter in /proc/sys/net/ipv4/conf",
                    ),
                }
            }
            // Ends by itself, too.
            let _ = ask(place, &Request::Revoke { what: ends.there.to_string(), cut: false });
        }
    }
    if !untried.is_empty() {
        let text = format!("not tried, since that would run their commands: {}", untried.join(", "));
        findings.fine(ABOUT, text);
    }
    if findings.faults(ABOUT) == before && !good.is_empty() {
        findings.fine(ABOUT, format!("a lease leads to the service: {}", good.join(", ")));
    }
    Ok(())
}

enum Met {
    Service,
    /// Refused by the host itself, or a datagram that nothing drops.
    Unknown,
    Dropped {
        before: bool,
        step: Step,
    },
    Closed,
    Nobody,
}

fn one(stage: &mut Stage, to: SocketAddr, proto: Proto, door: &Door) -> Met {
    stage.tracer.iter_mut().for_each(Tracer::forget);
    let answer = match proto {
        Proto::Tcp => stage.inside(|| probe::connect(to, probe::SILENCE)),
        Proto::Udp => stage.inside(|| {
            let sent = probe::knock(SocketAddr::new(to.ip(), 0), &[Port::udp(to.port())]);
            if sent.is_ok() { Answer::Silent } else { Answer::Refused }
        }),
    };
    let Ok(answer) = answer else { return Met::Unknown };
    if answer == Answer::Open {
        return Met::Service;
    }
    let ways = stage.tracer.as_mut().map(|tracer| tracer.ways(number(proto), to.port())).unwrap_or_default();
    let Some(way) = ways.iter().find(|way| way.dropped().is_some()).or_else(|| ways.first()) else {
        return if answer == Answer::Silent && proto == Proto::Tcp { Met::Nobody } else { Met::Unknown };
    };
    match (way.let_in(), way.dropped()) {
        (let_in @ (Some(true) | None), Some(step)) => Met::Dropped { before: let_in.is_none(), step: step.clone() },
        (Some(false), _) => Met::Closed,
        (_, None) if proto == Proto::Udp && door.forward.is_none() => Met::Service,
        (_, None) if answer == Answer::Silent && proto == Proto::Tcp => Met::Nobody,
        (_, None) => Met::Unknown,
    }
}

/// A port of the range at which something listens, or its first one.
fn first(host: &Host, range: &PortRange) -> u16 {
    let ports = host.listeners.iter().map(|(port, _)| port).filter(|port| port.proto == range.proto);
    let ports = ports.map(|port| port.number).filter(|port| (range.first..=range.last).contains(port));
    ports.min().unwrap_or(range.first)
}

/// An address of this host where the service should answer; none if nothing is there for this family.
fn target(host: &Host, ends: Ends, door: &Door, range: &PortRange) -> Option<IpAddr> {
    let outward = host
        .watched()
        .filter(|one| one.up)
        .flat_map(|one| one.addresses.iter().copied())
        .find(|address| address.is_ipv4() == ends.here.is_ipv4() && !link_local(address));
    if let Some(forward) = &door.forward {
        return outward.filter(|address| address.is_ipv4() == forward.address.is_ipv4());
    }
    if host.published.iter().any(|ports| meet(range, *ports)) {
        return outward;
    }
    let port = Port { proto: range.proto, number: first(host, range) };
    let at: Vec<IpAddr> = host.listeners.iter().filter(|(one, _)| *one == port).map(|(_, address)| *address).collect();
    let everywhere = at.iter().any(|address| {
        // A socket at :: takes IPv4 as well, unless it says otherwise; then it refuses, which is no fault.
        address.is_unspecified() && (address.is_ipv6() || ends.here.is_ipv4())
    });
    if everywhere {
        return outward.or(Some(ends.here));
    }
    at.into_iter().find(|one| one.is_ipv4() == ends.here.is_ipv4() && !one.is_loopback() && !one.is_unspecified())
}
