//! Native doors in the terms of engine and gate.

use std::collections::HashMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::time::Duration;

use klopf_config::native::{Config, Door as Native};
use klopf_engine::{Door, DoorId};
use klopf_gate::{Command, Order};
use klopf_wire::{FlagMask, Port, PortSet};

use crate::plan::{Ids, Plan};

/// How long a door is open that has something to close and says no time.
const OPEN_FOR: Duration = Duration::from_secs(30);

/// The doors of a configuration with their ids.
pub(super) struct Doors {
    config: Config,
    ids: Ids,
    by_id: HashMap<DoorId, Native>,
}

impl Doors {
    pub(super) fn new(config: Config) -> Self {
        Self { config, ids: Ids::default(), by_id: HashMap::new() }
    }

    /// Takes another configuration; the keys whose change takes a restart.
    pub(super) fn replace(&mut self, config: Config) -> Vec<&'static str> {
        let (old, new) = (&self.config.daemon, &config.daemon);
        let changes = [
            ("state-dir", old.state_dir != new.state_dir),
            ("user", old.user != new.user),
            ("log", old.log != new.log),
            ("seccomp", old.seccomp_optional != new.seccomp_optional),
        ];
        self.config = config;
        changes.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
    }

    pub(super) fn plan(&mut self) -> Plan {
        let mut doors: Vec<(String, Door)> =
            self.config.doors.iter().map(|native| (native.name.clone(), recognised_by(native))).collect();
        self.ids.assign(&mut doors);
        let ids = doors.iter().map(|(_, door)| door.id);
        self.by_id = ids.zip(self.config.doors.iter().cloned()).collect();
        let daemon = &self.config.daemon;
        let mut services = PortSet::default();
        for range in &daemon.service_ports {
            (range.first..=range.last).for_each(|number| services.insert(Port { proto: range.proto, number }));
        }
        let interfaces = Some(daemon.interfaces.clone()).filter(|names| !names.is_empty());
        Plan { doors, interfaces, only_ipv4: false, services }
    }

    pub(super) fn order(&self, door: DoorId, address: IpAddr) -> Option<Order> {
        let native = self.by_id.get(&door)?;
        let fill =
            |argv: &Vec<String>| Command::Vector(argv.iter().map(|word| filled(word, native, address)).collect());
        let always = native.always_allow.iter().any(|network| network.contains(address));
        let close = native.on_close.as_ref().filter(|_| !always).map(fill);
        Some(Order {
            door: native.name.clone(),
            address,
            open: native.on_open.as_ref().map(fill),
            hold: milliseconds(native.open_for.unwrap_or(OPEN_FOR)),
            from_end: false,
            renews: close.is_some() || (native.open_for.is_some() && !always),
            close,
        })
    }
}

fn recognised_by(native: &Native) -> Door {
    Door {
        id: DoorId(0),
        sequences: vec![native.sequence.clone()],
        one_time: false,
        flags: FlagMask::OPENING,
        target: None,
        within: milliseconds(native.within),
        strict: true,
    }
}

/// Fills the placeholders in. Those of sealed knocks are empty: a sequence has no key and asks for no port.
fn filled(word: &str, door: &Native, address: IpAddr) -> OsString {
    let values = [("{ip}", address.to_string()), ("{door}", door.name.clone())];
    let empty = ["{key}", "{port}"].map(|name| (name, String::new()));
    let mut rest = word;
    let mut result = String::new();
    // One pass, so that nothing filled in is filled in again.
    while let Some(start) = rest.find('{') {
        let (before, from) = rest.split_at(start);
        result.push_str(before);
        let known = values.iter().chain(&empty).find(|(name, _)| from.starts_with(name));
        let (value, length) = known.map_or(("{", 1), |(name, value)| (value.as_str(), name.len()));
        result.push_str(value);
        rest = from.split_at(length).1;
    }
    result.push_str(rest);
    result.into()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors(text: &str) -> Doors {
        Doors::new(klopf_config::native::parse("klopf.toml", text).unwrap().config)
    }

    fn order(text: &str, address: &str) -> Order {
        let mut doors = doors(text);
        let id = doors.plan().doors.first().unwrap().1.id;
        doors.order(id, address.parse().unwrap()).unwrap()
    }

    #[test]
    fn placeholders_are_filled_once_and_in_place() {
        let text = r#"
            [door.ssh]
            sequence = [1, 2, 9]
            on-open = ["/bin/x", "{ip}-{ip}", "{door}", "{", "{unknown}", "{key}{port}", "a{ip}b"]
        "#;
        let Some(Command::Vector(argv)) = order(text, "2001:db8::7").open else { panic!("no vector") };
        let ip = "2001:db8::7";
        let expected = [
            "/bin/x".into(),
            format!("{ip}-{ip}"),
            "ssh".into(),
            "{".into(),
            "{unknown}".into(),
            String::new(),
            format!("a{ip}b"),
        ];
        assert_eq!(argv, expected.map(OsString::from));
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
        assert!(inside.open.is_some() && inside.close.is_none() && !inside.renews);
        assert!(outside.close.is_some() && outside.renews && outside.hold == 2000);
    }

    #[test]
    fn a_door_without_anything_to_close_runs_its_command_at_every_knock() {
        let text = "[door.ssh]\nsequence = [1, 2, 9]\non-open = [\"/bin/open\"]\n";
        assert!(!order(text, "192.0.2.7").renews);
    }
}
