//! The doors that are knocked at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use klopf_engine::{Door, DoorId};
use klopf_wire::{FlagMask, Port, TcpFlags};

/// The most milliseconds that any door gives.
pub(super) const LONGEST_WITHIN: u64 = 10_000;

/// The bit of a change by which changed doors are left out.
const LEAVE_OUT: u8 = 0x80;

/// The doors in force.
pub(super) struct Doors {
    doors: Vec<Door>,
    next_id: u32,
}

impl Doors {
    pub(super) fn new() -> Self {
        let mut new = Self { doors: Vec::new(), next_id: 0 };
        new.change(0);
        new
    }

    pub(super) fn all(&self) -> &[Door] {
        &self.doors
    }

    /// A door that exists.
    pub(super) fn get(&self, id: DoorId) -> &Door {
        self.doors.iter().find(|door| door.id == id).expect("an effect is about a door in force")
    }

    /// Defines each door anew, or leaves it out, whose bit is set. Doors that stay keep their ids; others never get one
    /// that was there before. A change of no door changes their order.
    pub(super) fn change(&mut self, change: u8) {
        let mut old = std::mem::take(&mut self.doors);
        for (place, door) in templates().into_iter().enumerate() {
            let same = |old: &Door| Door { id: door.id, ..old.clone() } == door;
            let known = old.iter().position(same).map(|at| old.remove(at).id);
            let changed = change >> (place % 7) & 1 == 1;
            if changed && change & LEAVE_OUT != 0 {
                continue;
            }
            let id = known.filter(|_| !changed).unwrap_or_else(|| {
                self.next_id += 1;
                DoorId(self.next_id)
            });
            self.doors.push(Door { id, ..door });
        }
        if change == 0 {
            self.doors.reverse();
        }
    }
}

/// One door of each kind, many with the same first port.
fn templates() -> [Door; 11] {
    let lax = |sequence: &[Port]| Door {
        id: DoorId(0),
        sequences: vec![sequence.to_vec()],
        one_time: false,
        flags: FlagMask { set: TcpFlags::SYN.0, clear: 0 },
        target: None,
        within: 5000,
        strict: false,
        second_factor: false,
        ways: klopf_engine::Ways::default(),
        may_ask: klopf_engine::MayAsk::default(),
    };
    let strict = |sequence: &[Port]| Door { strict: true, flags: FlagMask::OPENING, ..lax(sequence) };
    let [one, two, three] = [7000, 8000, 9000].map(Port::tcp);
    let elsewhere = IpAddr::from(Ipv4Addr::new(198, 51, 100, 1));
    let v6 = IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
    [
        lax(&[one, two, three]),
        Door { flags: FlagMask::ANY, ..lax(&[one, Port::udp(8000)]) },
        strict(&[one, three, two]),
        strict(&[Port::udp(5000), one, one]),
        Door { one_time: true, sequences: vec![vec![Port::tcp(1001), one], vec![two, one]], ..lax(&[]) },
        Door { one_time: true, sequences: vec![vec![two, three], vec![three, two]], ..strict(&[]) },
        Door { target: Some(elsewhere), ..lax(&[one, two]) },
        Door { target: Some(v6), within: LONGEST_WITHIN, ..strict(&[one, Port::udp(8000)]) },
        lax(&[Port::tcp(4000)]),
        Door { within: 0, ..lax(&[Port::tcp(4001), two]) },
        Door { within: 0, ..strict(&[Port::tcp(4002)]) },
    ]
}
