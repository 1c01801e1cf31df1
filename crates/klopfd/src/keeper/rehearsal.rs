//! `klopf doctor` plays a knock through the whole path: a door of its own, at a spare port, on an interface of its own,
//! for as long as its connection lasts.

use std::net::IpAddr;

use klopf_engine::{Door, DoorId};
use klopf_gate::firewall::{Guard, Ports, TCP};
use klopf_gate::{By, Guarded, Order, Pass, Scope};
use klopf_sys::clock;
use klopf_wire::{FlagMask, Port, Proto};

use super::Keeper;
use super::lock::State;
use crate::control::ConnectionId;
use crate::face::Face;
use crate::plan::Plan;

/// The door's name, which no configuration can have.
const NAME: &str = "(doctor)";
/// The door's id, which no other door gets.
const ID: DoorId = DoorId(u32::MAX);
/// Milliseconds for which it opens.
const HOLD: u64 = 10_000;
/// Ports that are tried for one that nobody uses.
const TRIES: usize = 64;

/// A rehearsal that goes on.
#[derive(Debug)]
pub(super) struct Rehearsal {
    pub(super) connection: ConnectionId,
    interface: String,
    sequence: Vec<Port>,
    port: u16,
}

impl Rehearsal {
    /// Adds the door to a plan.
    pub(super) fn add_to(&self, plan: &mut Plan) {
        let door = Door {
            id: ID,
            sequences: vec![self.sequence.clone()],
            one_time: false,
            flags: FlagMask::OPENING,
            target: None,
            within: HOLD,
            strict: true,
            second_factor: false,
            ways: klopf_engine::Ways::default(),
            may_ask: klopf_engine::MayAsk::default(),
        };
        plan.doors.push((NAME.to_owned(), door));
        plan.interfaces.iter_mut().for_each(|interfaces| interfaces.push(self.interface.clone()));
        let ports = vec![Ports { proto: TCP, first: self.port, last: self.port }];
        let guard = Guard::new(NAME.to_owned(), ports);
        let (in_force, most, extend, until_disconnect, service) = (true, None, false, false, None);
        plan.guards.push(Guarded { guard, in_force, most, extend, until_disconnect, service });
    }

    /// What a grant of the door leads to.
    pub(super) fn order(&self, door: DoorId, address: IpAddr) -> Option<Order> {
        (door == ID).then(|| Order {
            door: NAME.to_owned(),
            address,
            scope: Scope::default(),
            open: Vec::new(),
            close: Vec::new(),
            hold: HOLD,
            from_end: false,
            renews: true,
            pass: Some(Pass { who: None, origin: Some(address), by: By::Sequence }),
        })
    }
}

impl<F: Face> Keeper<'_, F> {
    /// Begins a rehearsal: what to hit, and the port that it opens.
    pub(super) fn rehearse(
        &mut self,
        connection: ConnectionId,
        interface: String,
    ) -> Result<(Vec<String>, String), String> {
        if self.rehearsal.is_some() {
            return Err("another rehearsal goes on".to_owned());
        }
        if self.packets.is_none() {
            return Err("`sources` leaves out `packet`, and a rehearsal is played with packets".to_owned());
        }
        if !matches!(self.state, State::Locked) {
            return Err("the doors are not locked; `klopf lock` does that".to_owned());
        }
        let services = klopf_sys::services().map_err(|error| super::reason(&error))?;
        let random: [u8; 2 * TRIES] = clock::random().map_err(|error| super::reason(&error))?;
        let (pairs, _) = random.as_chunks::<2>();
        let spare = |number: &u16| {
            let guarded =
                |door: &Guarded| door.guard.ports.iter().any(|ports| (ports.first..=ports.last).contains(number));
            let knocked = |door: &Door| door.sequences.iter().flatten().any(|port| port.number == *number);
            !services.contains(Port { proto: Proto::Tcp, number: *number })
                && !self.plan.guards.iter().any(guarded)
                && !self.plan.doors.iter().any(|(_, door)| knocked(door))
        };
        // Above the ports from which connections begin, where something might listen that comes later.
        let mut ports: Vec<u16> = pairs.iter().map(|pair| u16::from_ne_bytes(*pair) | 0xf000).filter(spare).collect();
        ports.dedup();
        let [first, second, third, port, ..] = ports.as_slice() else {
            return Err("no spare ports were found".to_owned());
        };
        let sequence: Vec<Port> = [first, second, third].into_iter().map(|&number| Port::tcp(number)).collect();
        let told = sequence.iter().map(|port| port.number.to_string()).collect();
        let port = *port;
        self.rehearsal = Some(Rehearsal { connection, interface, sequence, port });
        self.apply_anew();
        Ok((told, format!("tcp/{port}")))
    }

    /// Ends the rehearsal.
    pub(super) fn end_rehearsal(&mut self) {
        self.rehearsal = None;
        self.apply_anew();
    }
}
