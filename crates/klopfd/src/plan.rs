//! What a face wants the daemon to do: the doors as the engine knows them, and where to look.

use klopf_engine::{Door, DoorId};
use klopf_gate::Guarded;
use klopf_wire::PortSet;

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
}

impl Plan {
    /// Whether any door cares about ports that are no door's.
    pub(crate) fn strict(&self) -> bool {
        self.doors.iter().any(|(_, door)| door.strict)
    }
}

/// Gives doors their ids: a door that has not changed keeps its own, so that attempts at it go on.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    known: Vec<(String, Door)>,
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
}
