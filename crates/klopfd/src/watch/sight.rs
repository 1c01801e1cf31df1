//! What the watch knows of the host: its addresses, and where something serves.

use std::collections::HashSet;
use std::net::IpAddr;

use klopf_engine::Observation;
use klopf_sys::Frame;
use klopf_wire::{Knock, Port, PortSet};

use crate::message::Down;

/// Addresses, loopback interfaces and services.
#[derive(Default)]
pub(super) struct Sight {
    local: HashSet<(u32, IpAddr)>,
    loopback: HashSet<u32>,
    /// The interfaces that are looked at, if not all are. The kernel's filter may let packets of others through.
    only: HashSet<u32>,
    services: PortSet,
    /// Without knowledge of services no hit can be told to be on a closed port.
    pub(super) services_known: bool,
}

/// The number that stands for any interface.
const ANY: u32 = 0;

impl Sight {
    /// Adds what a message tells.
    pub(super) fn add(&mut self, message: &Down) {
        match *message {
            Down::Local(interface, address) => drop(self.local.insert((interface, address))),
            Down::Loopback(interface) => drop(self.loopback.insert(interface)),
            Down::Interface(interface) => drop(self.only.insert(interface)),
            Down::Service(proto, first, last) => {
                (first..=last).for_each(|number| self.services.insert(Port { proto, number }));
            }
            _ => {}
        }
    }

    /// What the engine is to be told of a packet that a log tells of. Where that does not say to whom it went, it was this host.
    pub(super) fn told(&self, knock: Knock) -> Observation {
        let here = knock.to.is_unspecified() || self.local.iter().any(|(_, address)| *address == knock.to);
        Observation { knock, here, service: !self.services_known || self.services.contains(knock.port) }
    }

    /// What the engine is to be told of a packet; none for one that is not looked at, or seen a second time.
    pub(super) fn observation(&self, frame: &Frame<'_>, knock: Knock) -> Option<Observation> {
        if !self.only.is_empty() && !self.only.contains(&frame.interface) {
            return None;
        }
        if frame.outgoing && self.loopback.contains(&frame.interface) {
            return None; // it comes in again by the same interface
        }
        let on = |interface| self.local.contains(&(interface, knock.to));
        let here = !frame.outgoing && (on(ANY) || on(frame.interface));
        let service = !self.services_known || self.services.contains(knock.port);
        Some(Observation { knock, here, service })
    }
}

#[cfg(test)]
mod tests {
    use klopf_wire::{Proto, TcpFlags};

    use super::*;

    fn look(sight: &Sight, interface: u32, outgoing: bool, port: u16) -> Option<(bool, bool)> {
        let to = IpAddr::from([192, 0, 2, 1]);
        let knock = Knock { origin: to, from_port: 1, to, port: Port::tcp(port), flags: TcpFlags::SYN };
        let seen = sight.observation(&Frame { interface, outgoing, packet: &[] }, knock)?;
        Some((seen.here, seen.service))
    }

    #[test]
    fn addresses_count_on_their_interface_or_on_any() {
        let mut sight = Sight { services_known: true, ..Sight::default() };
        sight.add(&Down::Loopback(1));
        sight.add(&Down::Local(2, IpAddr::from([192, 0, 2, 1])));
        sight.add(&Down::Service(Proto::Tcp, 80, 81));
        assert_eq!(look(&sight, 2, false, 7), Some((true, false)));
        assert_eq!(look(&sight, 3, false, 7), Some((false, false)));
        assert_eq!(look(&sight, 2, true, 7), Some((false, false)));
        assert_eq!(look(&sight, 1, true, 7), None);
        assert_eq!(look(&sight, 2, false, 81), Some((true, true)));
        sight.add(&Down::Local(ANY, IpAddr::from([192, 0, 2, 1])));
        assert_eq!(look(&sight, 3, false, 7), Some((true, false)));
        sight.add(&Down::Interface(3));
        assert_eq!(look(&sight, 2, false, 7), None);
        sight.add(&Down::Interface(2));
        sight.services_known = false;
        assert_eq!(look(&sight, 2, false, 7), Some((true, true)));
    }
}
