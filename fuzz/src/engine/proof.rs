//! That whom a door opens for has knocked at it.

use klopf_engine::{Door, Millis, Observation};
use klopf_wire::{FlagMask, Port, Proto};

/// Panics unless an origin that sent all this, oldest first, has knocked the sequence with the last of it.
pub(super) fn has_knocked(door: &Door, sequence: &[Port], past: &[(Millis, Observation)]) {
    let hits: Vec<_> = past.iter().filter(|(_, seen)| concerns(door, seen)).collect();
    assert!(past.last().map(|(_, seen)| seen.knock.port) == sequence.last().copied(), "the last port is hit last");

    // The hits that fit, the latest possible.
    let mut earlier = hits.iter().rev();
    let fit: Vec<_> =
        sequence.iter().rev().map_while(|port| earlier.find(|(_, seen)| seen.knock.port == *port)).collect();
    assert_eq!(fit.len(), sequence.len(), "every port was hit, in order");
    if let [(last, _), .., (first, _)] = fit.as_slice() {
        assert!(last.since(*first) < door.within, "in time");
    }
    if door.strict {
        nothing_else(sequence, &hits);
    }
}

/// Panics if there was a wrong hit in between. Hits that only other doors could be meant by are left out.
fn nothing_else(sequence: &[Port], hits: &[&(Millis, Observation)]) {
    let counted = hits.iter().filter(|(_, seen)| sequence.contains(&seen.knock.port) || strange(seen));
    let mut all: Vec<_> = counted.map(|(_, seen)| (seen.knock.port, seen.knock.from_port)).collect();
    all.dedup();
    let ports: Vec<Port> = all.into_iter().map(|(port, _)| port).collect();
    assert!(ports.ends_with(sequence), "{ports:?} has no {sequence:?} at its end");
}

fn concerns(door: &Door, seen: &Observation) -> bool {
    let there = door.target.map_or(seen.here, |target| target == seen.knock.to);
    there && (seen.knock.port.proto == Proto::Udp || door.flags.fits(seen.knock.flags))
}

/// A hit that no service gets, on a port of this host.
fn strange(seen: &Observation) -> bool {
    let opening = seen.knock.port.proto == Proto::Udp || FlagMask::OPENING.fits(seen.knock.flags);
    seen.here && opening && !seen.service
}
