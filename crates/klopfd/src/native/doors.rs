//! Native doors in the terms of engine and gate.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use klopf_config::native::{self as config, Config, Door as Native, PortRange};
use klopf_control::DoorStatus;
use klopf_engine::{Asks, Door, DoorId, Form, MayAsk, Sealed, Source, Ways};
use klopf_gate::firewall::{Guard, Hold, Network, Ports, TCP, UDP};
use klopf_gate::{By, Command, Guarded, Order, Pass, Scope};
use klopf_spa::ServerKey;
use klopf_wire::{FlagMask, Port, PortSet, Proto};

use super::letters::{Letters, SourceIds};
use super::packets;
use super::placeholders::Values;
use crate::face::Described;
use crate::plan::{Ids, Plan};
use crate::unit::{self, Wish};

/// How long a door is open that has something to close and says no time.
const OPEN_FOR: Duration = Duration::from_secs(30);

/// A configuration, what opens sealed knocks if there are to be any, and what mailboxes and guestbooks need.
pub(super) type Read = (Config, Option<ServerKey>, Letters);

/// The doors of a configuration with their ids.
pub(super) struct Doors {
    config: Config,
    server: Option<ServerKey>,
    ids: Ids,
    sources: SourceIds,
    letters: Letters,
    by_id: HashMap<DoorId, Native>,
}

impl Doors {
    pub(super) fn new((config, server, letters): Read) -> Self {
        let (ids, sources, by_id) = (Ids::default(), SourceIds::default(), HashMap::new());
        Self { config, server, letters, ids, sources, by_id }
    }

    /// Takes another configuration; the keys whose change takes a restart.
    pub(super) fn replace(&mut self, (config, server, letters): Read) -> Vec<&'static str> {
        let (old, new) = (&self.config.daemon, &config.daemon);
        let changes = [
            ("state-dir", old.state_dir != new.state_dir),
            ("user", old.user != new.user),
            ("courier-user", old.courier_user != new.courier_user),
            ("log", old.log != new.log),
            ("seccomp", old.seccomp_optional != new.seccomp_optional),
            ("runtime-dir", old.runtime_dir != new.runtime_dir),
            ("share-table", old.share_table != new.share_table),
            ("sources", old.sources.packet != new.sources.packet),
        ];
        (self.config, self.server, self.letters) = (config, server, letters);
        changes.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
    }

    pub(super) fn plan(&mut self) -> Plan {
        let mut doors: Vec<(String, Door)> = self
            .config
            .doors
            .iter()
            .map(|native| (native.name.clone(), recognised_by(native, self.sources.ways(&self.config, native))))
            .collect();
        self.ids.assign(&mut doors);
        let ids = doors.iter().map(|(_, door)| door.id);
        self.by_id = ids.zip(self.config.doors.iter().cloned()).collect();
        let packets = self.server.as_ref().map(|server| {
            let mut packets = packets::packets(&self.config, server, &doors);
            self.ids.assign_keys(&mut packets.people);
            packets
        });
        let daemon = &self.config.daemon;
        let mut services = PortSet::default();
        for range in &daemon.service_ports {
            (range.first..=range.last).for_each(|number| services.insert(Port { proto: range.proto, number }));
        }
        let interfaces = Some(daemon.interfaces.clone()).filter(|names| !names.is_empty());
        let guards = self.config.doors.iter().filter(|door| !door.guard.is_empty()).map(guarded).collect();
        let share_table = daemon.share_table;
        let brief = packets.as_ref().map(|_| self.sources.brief(&self.config, &self.letters)).unwrap_or_default();
        let logs = self.sources.logs(&self.config);
        Plan { doors, interfaces, only_ipv4: false, services, guards, share_table, packets, brief, logs }
    }

    pub(super) fn order(&self, door: DoorId, address: IpAddr) -> Option<Order> {
        let whole = (address, Scope::default());
        Some(order(self.by_id.get(&door)?, whole, (By::Sequence, None), Some(address), None))
    }

    /// What a sealed knock leads to.
    pub(super) fn sealed_order(&self, door: DoorId, address: IpAddr, who: &str, sealed: &Sealed) -> Option<Order> {
        let native = self.by_id.get(&door)?;
        let hold = sealed.hold.lease(milliseconds(native.open_for.unwrap_or(OPEN_FOR)));
        let (by, origin) = match sealed.source {
            Source::Packet(origin) if sealed.form == Form::Encoded => (By::Encoded, origin),
            Source::Packet(origin) => (By::Packet, origin),
            Source::Mail(_) => (By::Mail, address),
            Source::Guestbooks(_) => (By::Guestbook, address),
            Source::Log(_) => (By::Log, address),
        };
        let Asks { port, prefix, flags } = sealed.asks;
        let part = (address, Scope { port, prefix, flags });
        Some(order(native, part, (by, Some(who)), Some(origin), Some(hold)))
    }

    /// What it leads to that the administrator opens a door.
    pub(super) fn by_hand(&self, door: &str, address: IpAddr, hold: Option<u64>) -> Option<Order> {
        let native = self.config.doors.iter().find(|native| native.name == door)?;
        Some(order(native, (address, Scope::default()), (By::Hand, None), None, hold))
    }

    /// The configuration in force, and what was read with it.
    pub(super) fn config(&self) -> Read {
        (self.config.clone(), self.server.clone(), self.letters.clone())
    }

    /// The doors, for who asks.
    pub(super) fn described(&self) -> Vec<Described> {
        self.config.doors.iter().map(described).collect()
    }
}

/// Everything about one opening of a door: for an address and how much of the door, how and by whose key, where it was asked
/// for, and for how many milliseconds if not as long as the door says.
fn order(
    native: &Native,
    (address, scope): (IpAddr, Scope),
    (by, who): (By, Option<&str>),
    origin: Option<IpAddr>,
    hold: Option<u64>,
) -> Order {
    let whom = scope.network(address);
    let hold = hold.unwrap_or_else(|| milliseconds(native.open_for.unwrap_or(OPEN_FOR)));
    let values = Values::new(&native.name, who.unwrap_or_default(), whom, scope, hold);
    // Who is never shut out is not let in, and not shut out after a while either.
    let all_of_it = |network: &config::Network| network.prefix <= whom.prefix && network.contains(whom.address);
    let always = native.always_allow.iter().any(all_of_it);
    let close = if always { Vec::new() } else { values.fill(&native.on_close) };
    let guards = !native.guard.is_empty() && !always;
    Order {
        door: native.name.clone(),
        address: whom.address,
        scope,
        open: values.fill(&native.on_open),
        hold,
        from_end: false,
        renews: !close.is_empty() || guards || (native.open_for.is_some() && !always),
        pass: guards.then_some(Pass { who: who.map(str::to_owned), origin, by }),
        close,
    }
}

/// A door's guard in the gate's terms.
fn guarded(native: &Native) -> Guarded {
    let ports = |range: &PortRange| {
        let proto = if range.proto == Proto::Tcp { TCP } else { UDP };
        Ports { proto, first: range.first, last: range.last }
    };
    let guard = Guard {
        door: native.name.clone(),
        ports: native.guard.iter().map(ports).collect(),
        reject: native.closed == config::Closed::Reject,
        hold: match native.if_klopfd_dies {
            config::IfKlopfdDies::StayClosed => Hold::Firm,
            config::IfKlopfdDies::Open => Hold::WhileAlive,
        },
        always: native.always_allow.iter().map(|one| Network::of(one.address, one.prefix)).collect(),
        prefix4: native.allow_prefix,
        prefix6: native.allow_prefix6,
        widest4: native.may_ask.prefix,
        widest6: native.may_ask.prefix6,
        forward: native.forward.map(|forward| (forward.address, forward.port)),
    };
    Guarded {
        guard,
        in_force: true,
        most: native.max_leases,
        extend: native.extend_while_connected,
        until_disconnect: native.close_on_disconnect,
        service: native.start.as_deref().map(|name| (asking(Wish::Start, name), asking(Wish::Stop, name))),
    }
}

fn asking(wish: Wish, name: &str) -> Command {
    Command::Vector(unit::command(wish, name))
}

fn described(native: &Native) -> Described {
    let hit = |port: &Port| match port.proto {
        Proto::Tcp => port.number.to_string(),
        Proto::Udp => format!("{}/udp", port.number),
    };
    let status = DoorStatus {
        name: native.name.clone(),
        guard: native.guard.iter().map(ToString::to_string).collect(),
        closed: match native.closed {
            config::Closed::Drop => klopf_control::Closed::Drop,
            config::Closed::Reject => klopf_control::Closed::Reject,
        },
        if_klopfd_dies: match native.if_klopfd_dies {
            config::IfKlopfdDies::StayClosed => klopf_control::IfKlopfdDies::StayClosed,
            config::IfKlopfdDies::Open => klopf_control::IfKlopfdDies::Open,
        },
        guarded: false,
        leases: 0,
        max_leases: native.max_leases,
        sequence_length: native.sequence.len(),
    };
    Described { status, sequence: native.sequence.iter().map(hit).collect::<Vec<_>>().join(" ") }
}

/// What the engine knows of a door.
fn recognised_by(native: &Native, ways: Ways) -> Door {
    Door {
        id: DoorId(0),
        sequences: Some(native.sequence.clone()).filter(|ports| !ports.is_empty()).into_iter().collect(),
        one_time: false,
        flags: FlagMask::OPENING,
        target: None,
        within: milliseconds(native.within),
        strict: true,
        second_factor: native.second_factor,
        ways,
        may_ask: MayAsk {
            ports: native.askable().iter().map(|range| (range.first, range.last)).collect(),
            hold: native.may_ask.hold.map(milliseconds),
            prefix: native.may_ask.prefix,
            prefix6: native.may_ask.prefix6,
            flags: native.may_ask.flags,
        },
    }
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors(text: &str) -> Doors {
        Doors::new((klopf_config::native::parse("klopf.toml", text).unwrap().config, None, Letters::default()))
    }

    fn order(text: &str, address: &str) -> Order {
        let mut doors = doors(text);
        let id = doors.plan().doors.first().unwrap().1.id;
        doors.order(id, address.parse().unwrap()).unwrap()
    }

    fn vectors(actions: &[klopf_gate::Action]) -> Vec<Vec<String>> {
        let words = |action: &klopf_gate::Action| match &action.run {
            Command::Vector(argv) => argv.iter().map(|word| word.to_str().unwrap().to_owned()).collect(),
            Command::Shell(line) => panic!("{line:?}"),
        };
        actions.iter().map(words).collect()
    }

    #[test]
    fn placeholders_are_filled_once_and_in_place() {
        let text = r#"
            [door.ssh]
            sequence = [1, 2, 9]
            on-open = ["/bin/x", "{ip}-{addr}", "{door}", "{", "{unknown}", "{key}{port}", "a{ip}b", "{for}{flag0}"]
        "#;
        let argv = &vectors(&order(text, "2001:db8::7").open)[0];
        let ip = "2001:db8::7";
        let expected = [
            "/bin/x".into(),
            format!("{ip}-{ip}"),
            "ssh".into(),
            "{".into(),
            "{unknown}".into(),
            String::new(),
            format!("a{ip}b"),
            "300".into(),
        ];
        assert_eq!(argv, &expected);
    }

    #[test]
    fn what_a_sealed_knock_asks_for_is_in_the_order_and_in_its_commands() {
        let text = r#"
            [door.ssh]
            guard = ["tcp/22", "tcp/80"]
            open-for = "30s"
            may-ask = { for = "8h", prefix = 24 }
            on-open = [["/a", "{ip}", "{addr}"], { run = ["/b", "{port}", "{flag0}{flag1}{flag2}{flag3}"], after = "5s" }]
            on-close = ["/c", "{for}", "{key}"]
        "#;
        let mut doors = doors(text);
        let (_, door) = doors.plan().doors.remove(0);
        let expected =
            MayAsk { ports: vec![(22, 22), (80, 80)], hold: Some(28_800_000), prefix: 24, ..MayAsk::default() };
        assert_eq!(door.may_ask, expected);
        let sealed = Sealed {
            key: klopf_engine::KeyRef(1),
            source: Source::Log(klopf_engine::SourceId(1)),
            form: Form::Encoded,
            counter: 1,
            ahead: false,
            device: [0; 16],
            hold: klopf_engine::Hold::Exactly(3_600_000),
            asks: Asks { port: Some(80), prefix: Some(24), flags: 0b0101 },
        };
        let order = doors.sealed_order(door.id, "192.0.2.7".parse().unwrap(), "laptop", &sealed).unwrap();
        assert_eq!(order.scope, Scope { port: Some(80), prefix: Some(24), flags: 0b0101 });
        assert_eq!((order.address.to_string().as_str(), order.hold), ("192.0.2.0", 3_600_000));
        assert_eq!(vectors(&order.open), [vec!["/a", "192.0.2.0", "192.0.2.0/24"], vec!["/b", "80", "1010"]]);
        assert_eq!(order.open.iter().map(|action| action.after).collect::<Vec<_>>(), [0, 5000]);
        assert_eq!(vectors(&order.close), [["/c", "3600", "laptop"]]);
    }

    #[test]
    fn a_network_is_never_shut_out_only_as_a_whole() {
        let text = r#"
            [door.ssh]
            guard = ["tcp/22"]
            always-allow = ["192.0.2.0/25"]
            may-ask = { prefix = 24 }
        "#;
        let doors = doors(text);
        let native = &doors.config.doors[0];
        let guards = |prefix| {
            let whom = ("192.0.2.7".parse().unwrap(), Scope { prefix, ..Scope::default() });
            super::order(native, whom, (By::Hand, None), None, None).pass.is_some()
        };
        assert_eq!([None, Some(25), Some(24)].map(guards), [false, false, true]);
    }

    #[test]
    fn who_is_always_allowed_is_not_shut_out() {
        let text = r#"
            [door.ssh]
            sequence = [1, 2, 9]
            on-open = ["/bin/open"]
            on-close = ["/bin/close"]
            open-for = "2s"
            always-allow = ["192.0.2.0/24"]
        "#;
        let (inside, outside) = (order(text, "192.0.2.7"), order(text, "198.51.100.7"));
        assert!(!inside.open.is_empty() && inside.close.is_empty() && !inside.renews);
        assert!(!outside.close.is_empty() && outside.renews && outside.hold == 2000);
    }

    #[test]
    fn a_door_without_anything_to_close_runs_its_command_at_every_knock() {
        let text = "[door.ssh]\nsequence = [1, 2, 9]\non-open = [\"/bin/open\"]\n";
        assert!(!order(text, "192.0.2.7").renews);
    }
}
