//! What a face wants the daemon to do: the doors as the engine knows them, and where to look.

use std::collections::HashMap;
use std::path::PathBuf;

use klopf_brief::Brief;
use klopf_engine::{Door, DoorId, Key, KeyRef, SourceId};
use klopf_gate::Guarded;
use klopf_spa::encoded::{Template, Transport};
use klopf_spa::{HOP_STEP, PacketPort, Psk, Public, ServerKey, Way};
use klopf_wire::line::Preset;
use klopf_wire::{Port, PortSet, Proto};
use zeroize::Zeroizing;

/// A configuration in the daemon's terms.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The doors, with their names.
    pub(crate) doors: Vec<(String, Door)>,
    /// The interfaces to look at; none: all.
    pub(crate) interfaces: Option<Vec<String>>,
    /// No IPv6.
    pub(crate) only_ipv4: bool,
    /// Ports that serve although no socket of this host listens there.
    pub(crate) services: PortSet,
    /// The doors that guard ports.
    pub(crate) guards: Vec<Guarded>,
    /// Whether other programs may change the guards' table.
    pub(crate) share_table: bool,
    /// Sealed knocks, if there are any.
    pub(crate) packets: Option<Packets>,
    /// What the courier is to do; nothing without sealed knocks.
    pub(crate) brief: Brief,
    /// The logs that are read.
    pub(crate) logs: Vec<Log>,
}

/// A log that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) id: SourceId,
    pub(crate) name: String,
    pub(crate) from: LogFrom,
    pub(crate) lines: LogLines,
}

/// Where a log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LogFrom {
    File(PathBuf),
    /// systemd's journal: `kernel`, or a unit.
    Journal(String),
    /// A group of NFLOG.
    Nflog(u16),
}

/// What is looked for in the lines of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogLines {
    pub(crate) preset: Option<Preset>,
    pub(crate) prefix: Option<String>,
    pub(crate) patterns: Vec<String>,
    pub(crate) tokens: bool,
}

/// How sealed knocks come, and from whom.
#[derive(Clone, Debug)]
pub(crate) struct Packets {
    pub(crate) server: ServerKey,
    pub(crate) way: Way,
    /// Milliseconds by which a clock may be wrong.
    pub(crate) window: u64,
    /// Ascending by [`KeyRef`] once they have theirs.
    pub(crate) people: Vec<Person>,
    /// The encoded sequences of doors.
    pub(crate) encoded: Vec<(DoorId, Spelling)>,
}

/// What encoded sequences of a door are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spelling {
    pub(crate) template: Template,
    /// Milliseconds between two hits at most.
    pub(crate) pause: u64,
}

impl Spelling {
    /// The protocol, and the first and last of the ports that are hit.
    pub(crate) fn ports(&self) -> (Proto, u16, u16) {
        let Template { span, transport, .. } = self.template;
        let proto = match transport {
            Transport::Tcp => Proto::Tcp,
            Transport::Udp => Proto::Udp,
        };
        (proto, span.first(), span.first().saturating_add(span.size() - 1))
    }
}

/// Somebody who may send them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) key: Key,
    pub(crate) public: Public,
    pub(crate) psk: Psk,
    /// The secret of a second factor.
    pub(crate) factor: Option<Factor>,
}

/// The secret of a second factor, which is not shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Factor(pub(crate) Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Factor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Factor(secret)")
    }
}

impl Packets {
    /// Whose key that is. With very many keys this is asked for every knock, so it looks at a few only.
    pub(crate) fn person(&self, key: KeyRef) -> Option<&Person> {
        let place = self.people.binary_search_by_key(&key, |person| person.key.key).ok()?;
        self.people.get(place)
    }

    /// The UDP ports at which they come, at a moment.
    pub(crate) fn ports(&self, unix_ms: u64) -> PortSet {
        let mut ports = PortSet::default();
        match self.way.port {
            PacketPort::Fixed(port) => ports.insert(Port::udp(port)),
            PacketPort::Hop => {
                let public = self.server.public();
                // One step more: the next look may be late.
                let first = unix_ms.saturating_sub(self.window) / 1000 / HOP_STEP;
                let last = unix_ms.saturating_add(self.window) / 1000 / HOP_STEP + 1;
                (first..=last).for_each(|step| ports.insert(Port::udp(public.hop_port(step * HOP_STEP))));
            }
        }
        ports
    }
}

impl Plan {
    /// Whether any sequence is broken by hits on ports that are no door's.
    pub(crate) fn strict(&self) -> bool {
        self.doors.iter().any(|(_, door)| door.strict && !door.sequences.is_empty())
    }
}

/// Gives doors and keys their ids: one that has not changed keeps its own, so that attempts at it go on, and what was
/// said of it still holds.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    known: Vec<(String, Door)>,
    people: HashMap<String, Person>,
    next: u32,
}

impl Ids {
    /// Fills the ids of a new set of doors in.
    pub(crate) fn assign(&mut self, doors: &mut [(String, Door)]) {
        let mut old = std::mem::take(&mut self.known);
        for (name, door) in doors.iter_mut() {
            let same =
                |(old_name, old): &(String, Door)| old_name == name && Door { id: old.id, ..door.clone() } == *old;
            door.id = match old.iter().position(same) {
                Some(place) => old.swap_remove(place).1.id,
                None => {
                    self.next += 1;
                    DoorId(self.next)
                }
            };
        }
        self.known = doors.to_vec();
    }

    /// The same for keys, by their names, of which each is there once; and puts them in the order of their ids.
    pub(crate) fn assign_keys(&mut self, people: &mut [Person]) {
        for person in people.iter_mut() {
            let old = self.people.get(&person.name).map(|old| old.key.key);
            person.key.key = old.unwrap_or_default();
            if old.is_none() || self.people.get(&person.name) != Some(person) {
                self.next += 1;
                person.key.key = KeyRef(self.next);
            }
        }
        people.sort_unstable_by_key(|person| person.key.key);
        self.people = people.iter().map(|person| (person.name.clone(), person.clone())).collect();
    }
}

#[cfg(test)]
mod tests {
    use klopf_wire::{FlagMask, Port};

    use super::*;

    fn door(name: &str, port: u16) -> (String, Door) {
        let door = Door {
            id: DoorId(0),
            sequences: vec![vec![Port::tcp(port)]],
            one_time: false,
            flags: FlagMask::ANY,
            target: None,
            within: 1,
            strict: false,
            second_factor: false,
            ways: klopf_engine::Ways::default(),
            may_ask: klopf_engine::MayAsk::default(),
        };
        (name.to_owned(), door)
    }

    #[test]
    fn doors_that_stay_keep_their_ids_and_changed_ones_get_new_ones() {
        let mut ids = Ids::default();
        let mut assign = |mut doors: Vec<(String, Door)>| {
            ids.assign(&mut doors);
            doors.iter().map(|(_, door)| door.id.0).collect::<Vec<_>>()
        };
        assert_eq!(assign(vec![door("a", 1), door("b", 2), door("a", 1)]), [1, 2, 3]);
        assert_eq!(assign(vec![door("b", 2), door("a", 9), door("a", 1)]), [2, 4, 1]);
        assert_eq!(assign(vec![door("c", 2), door("a", 1)]), [5, 1]);
    }

    fn person(name: &str, chance: u8) -> Person {
        let public = klopf_spa::Seed::new([chance; 32]).public();
        let key = Key::new(KeyRef::default(), public.id().0);
        Person { name: name.to_owned(), key, public, psk: Psk::new([chance; 32]), factor: None }
    }

    #[test]
    fn a_key_is_found_by_its_id_however_often_keys_come_and_go() {
        let mut ids = Ids::default();
        let mut packets = |mut people: Vec<Person>| {
            ids.assign_keys(&mut people);
            let way = Way { port: PacketPort::Hop, shape: klopf_spa::Shape::None };
            Packets { server: ServerKey::new([1; 32]), way, window: 1, people, encoded: Vec::new() }
        };
        let first = packets(vec![person("a", 1), person("b", 2), person("c", 3)]);
        let then = packets(vec![person("d", 4), person("c", 3), person("a", 9), person("b", 2)]);
        for (packets, names) in [(first, "abc"), (then, "bcda")] {
            let found = packets.people.iter().map(|person| packets.person(person.key.key).unwrap());
            assert_eq!(found.map(|person| person.name.as_str()).collect::<String>(), names);
            assert_eq!(packets.person(KeyRef(99)), None);
        }
    }
}
