//! What the host offers, fitted to a plan: the kernel's filter, and the messages that tell the watch what it is to
//! believe.

use klopf_sys::{Interest, Interface};
use klopf_wire::{FlagMask, Port, PortSet, Proto};

use crate::message::Down;
use crate::plan::Plan;

/// Where and for what to look, now.
#[derive(Debug)]
pub(crate) struct View {
    /// For the kernel.
    pub(crate) interest: Interest,
    /// The same for sealed knocks.
    pub(crate) datagrams: Interest,
    /// Whether packets that this host sends matter.
    pub(crate) outgoing: bool,
    /// For the watch.
    pub(crate) messages: Vec<Down>,
    /// Interfaces that are named and cannot be used now, and why.
    pub(crate) unusable: Vec<(String, &'static str)>,
}

/// Fits a plan to the host at a moment, in milliseconds since 1970. `services` are the ports that serve, none if the
/// kernel does not tell.
pub(crate) fn view(plan: &Plan, interfaces: &[Interface], services: Option<&PortSet>, unix_ms: u64) -> View {
    let wanted = |interface: &&Interface| match &plan.interfaces {
        Some(names) => names.contains(&interface.name),
        None => !interface.port_of_another,
    };
    let looked_at: Vec<&Interface> = interfaces.iter().filter(wanted).collect();
    let all = plan.interfaces.is_none();
    let why_not = |name: &String| match interfaces.iter().find(|interface| interface.name == *name) {
        None => Some("there is no interface of that name"),
        Some(interface) if !interface.up => Some("it is down"),
        Some(interface) if interface.addresses.is_empty() => Some("it has no address"),
        Some(_) => None,
    };
    let named = plan.interfaces.iter().flatten();
    let unusable = named.filter_map(|name| Some((name.clone(), why_not(name)?))).collect();
    // With all interfaces in sight there is nothing to tell apart, unless some show packets of others again.
    let every_one = all && looked_at.len() == interfaces.len();

    let mut known = plan.services.clone();
    services.into_iter().for_each(|found| known.extend(found));
    let interest = Interest {
        ports: ports(plan, services.is_some().then_some(&known)),
        flags: plan.doors.iter().map(|(_, door)| door.flags).reduce(FlagMask::common).unwrap_or_default(),
        interfaces: (!every_one).then(|| looked_at.iter().map(|interface| interface.index).collect()),
    };

    let sealed = plan.packets.as_ref().map(|packets| packets.ports(unix_ms)).unwrap_or_default();
    let datagrams = Interest { ports: sealed, ..interest.clone() };

    let mut messages = Vec::new();
    for interface in if all { interfaces.iter().collect() } else { looked_at } {
        let number = if all { 0 } else { interface.index };
        let addresses = interface.addresses.iter().filter(|address| address.is_ipv4() || !plan.only_ipv4);
        messages.extend(addresses.map(|&address| Down::Local(number, address)));
    }
    messages.extend(interfaces.iter().filter(|i| i.loopback).map(|i| Down::Loopback(i.index)));
    messages.extend(interest.interfaces.iter().flatten().map(|&index| Down::Interface(index)));
    for proto in [Proto::Tcp, Proto::Udp] {
        messages.extend(known.ranges(proto).iter().map(|&(first, last)| Down::Service(proto, first, last)));
    }
    messages.push(Down::CommitSight(services.is_some()));
    let outgoing = plan.doors.iter().any(|(_, door)| door.target.is_some());
    View { interest, datagrams, outgoing, messages, unusable }
}

/// The ports of all doors; with strict doors among them also those at which nothing serves.
fn ports(plan: &Plan, services: Option<&PortSet>) -> PortSet {
    let mut ports = PortSet::default();
    let all = plan.doors.iter().flat_map(|(_, door)| door.sequences.iter().flatten());
    all.for_each(|&port: &Port| ports.insert(port));
    for (_, spelling) in plan.packets.iter().flat_map(|packets| &packets.encoded) {
        let (proto, first, last) = spelling.ports();
        (first..=last).for_each(|number| ports.insert(Port { proto, number }));
    }
    if let Some(services) = services.filter(|_| plan.strict()) {
        ports.extend(&services.complement());
    }
    ports
}

#[cfg(test)]
mod tests {
    use klopf_brief::Brief;
    use klopf_engine::{Door, DoorId};

    use super::*;

    fn interface(index: u32, name: &str, address: Option<&str>) -> Interface {
        let addresses = address.map(|a| a.parse().unwrap()).into_iter().collect();
        Interface { index, name: name.into(), up: true, loopback: index == 1, port_of_another: false, addresses }
    }

    fn plan(interfaces: Option<&[&str]>, strict: bool) -> Plan {
        let door = Door {
            id: DoorId(1),
            sequences: vec![vec![Port::tcp(7000)]],
            one_time: false,
            flags: FlagMask::OPENING,
            target: None,
            within: 1,
            strict,
            second_factor: false,
            ways: klopf_engine::Ways::default(),
            may_ask: klopf_engine::MayAsk::default(),
        };
        let interfaces = interfaces.map(|names| names.iter().map(ToString::to_string).collect());
        let (doors, services) = (vec![("ssh".into(), door)], PortSet::default());
        Plan {
            doors,
            interfaces,
            only_ipv4: false,
            services,
            guards: Vec::new(),
            share_table: false,
            packets: None,
            brief: Brief::default(),
            logs: Vec::new(),
        }
    }

    fn host() -> Vec<Interface> {
        vec![interface(1, "lo", Some("127.0.0.1")), interface(2, "eth0", Some("192.0.2.1")), interface(3, "tun0", None)]
    }

    #[test]
    fn named_interfaces_count_by_themselves() {
        let view = view(&plan(Some(&["eth0", "tun0", "ppp0"]), false), &host(), None, 0);
        assert_eq!(view.interest.interfaces, Some(vec![2, 3]));
        let unusable: Vec<(&str, &str)> = view.unusable.iter().map(|(name, why)| (name.as_str(), *why)).collect();
        assert_eq!(unusable, [("tun0", "it has no address"), ("ppp0", "there is no interface of that name")]);
        assert!(view.messages.contains(&Down::Local(2, "192.0.2.1".parse().unwrap())));
        assert!(!view.messages.contains(&Down::Local(1, "127.0.0.1".parse().unwrap())));
    }

    #[test]
    fn all_interfaces_are_one_except_those_that_show_packets_twice() {
        let mut host = host();
        assert_eq!(view(&plan(None, false), &host, None, 0).interest.interfaces, None);
        host[1].port_of_another = true;
        let view = view(&plan(None, false), &host, None, 0);
        assert_eq!(view.interest.interfaces, Some(vec![1, 3]));
        assert!(view.messages.contains(&Down::Local(0, "192.0.2.1".parse().unwrap())));
    }

    #[test]
    fn only_strict_doors_look_at_closed_ports() {
        let mut services = PortSet::default();
        services.insert(Port::tcp(443));
        let ports = |strict, services| view(&plan(None, strict), &host(), services, 0).interest.ports;
        let lax = ports(false, Some(&services));
        assert!(lax.contains(Port::tcp(7000)) && !lax.contains(Port::tcp(9)));
        let strict = ports(true, Some(&services));
        assert!(strict.contains(Port::tcp(9)) && strict.contains(Port::udp(9)) && !strict.contains(Port::tcp(443)));
        assert!(!ports(true, None).contains(Port::tcp(9)), "nothing is known of services");
    }
}
