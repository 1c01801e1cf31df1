//! A dry run: all is watched, recognised and decided as always, and what follows is told instead of done.

use klopf_gate::Order;
use klopf_sys::clock;

use super::Keeper;
use crate::face::{Event, Face};
use crate::plan::Plan;

impl<F: Face> Keeper<'_, F> {
    /// The face's plan. In a dry run nothing is guarded.
    pub(super) fn new_plan(&mut self) -> Plan {
        planned(self.face, self.dry_run.is_some())
    }

    /// Carries out what somebody has asked for, by whose key if that was one's; in a dry run only says so.
    pub(super) fn open(&mut self, order: Order, who: Option<&str>) {
        if self.dry_run.is_some() {
            self.face.tell(&Event::Would { order: &order, who });
        } else {
            self.gate.grant(clock::boot_ms(), order);
        }
    }
}

/// The plan of a face, without guards in a dry run.
pub(super) fn planned(face: &mut impl Face, dry_run: bool) -> Plan {
    let mut plan = face.plan();
    if dry_run {
        plan.guards.clear();
    }
    plan
}
