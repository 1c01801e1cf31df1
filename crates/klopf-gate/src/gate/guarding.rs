//! The gate's part in the kernel: guards, leases through them, and leases that depend on connections.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use super::{Gate, Held, Phase, SERVICE};
use crate::event::Why;
use crate::firewall::{Admission, BEAT, Firewall, FirewallError, Found, Network, Ports, Scope};
use crate::order::{By, Pass};
use crate::{Action, Event, Guarded, Order};

/// Milliseconds by which the kernel's end of a lease must be later than the journal's to count.
const LATER: u64 = 1000;

impl Gate {
    /// Closes what these doors say. `firewall` is used from the first call on that has one. Guards on trial hold until
    /// `trial_ends`; connections that are `up` are never cut. Leases of doors that are not named end.
    ///
    /// # Errors
    /// The kernel has not taken it; then everything is as before.
    pub fn guard(
        &mut self,
        now: u64,
        doors: Vec<Guarded>,
        firewall: Option<Firewall>,
        trial_ends: Option<u64>,
        up: Vec<(SocketAddr, SocketAddr)>,
    ) -> Result<(), FirewallError> {
        let guarded: HashMap<String, Guarded> =
            doors.iter().map(|guarded| (guarded.guard.door.clone(), guarded.clone())).collect();
        let first = self.firewall.is_none();
        if let Some(mut firewall) = firewall.filter(|_| first) {
            self.adopt(now, &mut firewall, &guarded)?;
            self.firewall = Some(firewall);
        }
        let Some(firewall) = &mut self.firewall else { return Ok(()) };
        let in_force: Vec<_> = doors.into_iter().filter(|door| door.in_force).map(|door| door.guard).collect();
        firewall.guard(&in_force, trial_ends, up, now)?;
        self.guarded = guarded;
        let renewable = self.leases.iter().filter(|(_, held)| held.order.renews);
        self.renewable = renewable.map(|(&id, held)| (self.key(&held.order), id)).collect();
        let gone = |held: &Held| held.order.pass.is_some() && !self.guarded.contains_key(&held.order.door);
        let gone: Vec<u64> = self.leases.iter().filter(|(_, held)| gone(held)).map(|(&id, _)| id).collect();
        for id in gone {
            self.end_at(id, now, Why::NoDoor);
        }
        if first {
            self.serve_adopted(now);
        }
        self.doors_changed();
        self.plan_looks(now);
        self.tick(now);
        Ok(())
    }

    /// The way to the kernel, if anything was guarded.
    #[must_use]
    pub fn firewall(&self) -> Option<&Firewall> {
        self.firewall.as_ref()
    }

    /// A descriptor that tells of changes to the table by others; [`Gate::heard`] when it is ready.
    #[must_use]
    pub fn news(&self) -> Option<BorrowedFd<'_>> {
        self.firewall.as_ref().and_then(Firewall::fd)
    }

    /// Restores what others have changed in the table.
    pub fn heard(&mut self, now: u64) {
        match self.firewall.as_mut().map(|firewall| firewall.heard(now)) {
            Some(Ok(Some(by))) => self.events.push(Event::Restored { by }),
            Some(Err(error)) => self.events.push(Event::Firewall(error)),
            Some(Ok(None)) | None => {}
        }
    }

    /// Takes over the leases that the kernel holds and the journal does not, and tells the firewall of all.
    fn adopt(
        &mut self,
        now: u64,
        firewall: &mut Firewall,
        guarded: &HashMap<String, Guarded>,
    ) -> Result<(), FirewallError> {
        let mut adopted = 0;
        let standing: HashMap<(String, Network, Option<u16>), u64> = self
            .leases
            .iter()
            .filter_map(|(&id, Held { order: Order { door, address, scope, .. }, .. })| {
                let network = guarded.get(door)?.guard.admits(*address, scope.prefix);
                Some(((door.clone(), network, scope.port), id))
            })
            .collect();
        let there = firewall.is_there()?;
        let found = firewall.found()?;
        // Leases that stand in the same place have one element, which is called after the longest.
        let mut held: HashMap<Network, Vec<Ports>> = HashMap::new();
        for one in &found {
            held.entry(one.network).or_default().extend(&one.ports);
        }
        let stands = |(door, network, port): &(String, Network, Option<u16>)| {
            let mut opened = guarded.get(door).into_iter().flat_map(|terms| terms.guard.opened(*port));
            let there = held.get(network);
            opened.any(|own| there.is_some_and(|there| there.iter().any(|ports| own.meets(ports))))
        };
        let mut gone: HashSet<u64> = standing.iter().filter(|(key, _)| !stands(key)).map(|(_, &id)| id).collect();
        for Found { door, who, network, port, left, .. } in found {
            let Some(terms) = guarded.get(&door) else { continue };
            let due = now.saturating_add(left);
            let known = standing.get(&(door.clone(), network, port));
            match known.and_then(|&id| Some((id, self.leases.get(&id)?.due))) {
                // The kernel's copy counts: the last renewal may be missing in the journal.
                Some((id, known)) if known.saturating_add(LATER) < due => self.end_at(id, due, Why::Time),
                Some(_) => {}
                None => {
                    let pass = Some(Pass { who, origin: None, by: By::Adopted });
                    let (hold, renews, address, open, close) = (left, true, network.address, Vec::new(), Vec::new());
                    let prefix = Some(network.prefix).filter(|_| terms.guard.admits(address, None) != network);
                    let scope = Scope { port, prefix, flags: 0 };
                    let order = Order { door, address, scope, open, close, hold, from_end: false, renews, pass };
                    let id = self.next_id;
                    self.next_id = self.next_id.saturating_add(1);
                    self.note(id, &order, due);
                    self.keep(id, Held::new(order, Phase::Open, None, due));
                    adopted += 1;
                }
            }
        }
        let running =
            |door: &str| guarded.get(door).is_none_or(|terms| terms.service.is_none() || self.is_served(door));
        // What is in the journal alone has ended, and that could not be written down; unless the table itself is gone.
        gone.retain(|id| {
            self.leases.get(id).is_some_and(|held| held.order.pass.is_some() && running(&held.order.door))
        });
        let gone = if there { gone } else { HashSet::new() };
        let lets_in = |held: &Held| held.order.pass.is_some() && running(&held.order.door);
        for (&id, held) in self.leases.iter().filter(|(id, held)| lets_in(held) && !gone.contains(id)) {
            firewall.let_in(id, admission(&held.order, held.due), now)?;
        }
        for id in gone {
            self.end_at(id, now, Why::Time);
        }
        if adopted > 0 {
            self.events.push(Event::Adopted(adopted));
        }
        Ok(())
    }

    /// Lets an address through the guard of its door; whether the kernel has taken it.
    pub(super) fn let_in(&mut self, id: u64, order: &Order, due: u64, now: u64) -> bool {
        let Some(firewall) = &mut self.firewall else { return true };
        let result = firewall.let_in(id, admission(order, due), now);
        let hold = due.saturating_sub(now);
        if let Err(error) = result {
            if !self.leases.contains_key(&id) {
                firewall.shut_out(id, now);
            }
            self.events.push(Event::Firewall(error));
            return false;
        }
        let (network, port) = (self.network(order), order.scope.port);
        self.events.push(Event::LetIn { door: order.door.clone(), network, port, hold });
        true
    }

    /// For whom an order opens: what its door's guard lets in, or as it says where nothing is guarded.
    pub(super) fn network(&self, Order { door, address, scope, pass, .. }: &Order) -> Network {
        let terms = self.guarded.get(door).filter(|_| pass.is_some());
        terms.map_or_else(|| scope.network(*address), |terms| terms.guard.admits(*address, scope.prefix))
    }

    /// Whether no further lease of a door may begin.
    pub(super) fn is_full(&self, door: &str) -> bool {
        let most = self.guarded.get(door).and_then(|guarded| guarded.most);
        let now = self.passes.get(door).copied().unwrap_or_default();
        most.is_some_and(|most| now >= usize::try_from(most).unwrap_or(usize::MAX))
    }

    /// Starts the service of a door, if it has one that does not run; whether it is only just starting.
    pub(super) fn serve(&mut self, now: u64, door: &str) -> bool {
        let service = self.guarded.get(door).and_then(|guarded| guarded.service.clone());
        let Some((start, stop)) = service.filter(|_| !self.is_served(door)) else { return false };
        if !self.is_starting(door) {
            let (open, close) = (vec![Action::at_once(start)], vec![Action::at_once(stop)]);
            let (door, scope) = (door.to_owned(), Scope::default());
            // It ends when it is not used any more.
            let hold = u64::MAX / 4;
            let (renews, pass) = (true, None);
            // One whose start has failed, or is not known to have done well, is tried again.
            self.grant(now, Order { door, address: SERVICE, scope, open, close, hold, from_end: false, renews, pass });
        }
        self.is_starting(door)
    }

    /// Starts what leases from before need and is not known to run.
    fn serve_adopted(&mut self, now: u64) {
        let leased = |door: &String| self.passes.get(door).is_some_and(|count| *count > 0);
        let waits =
            |(door, terms): &(&String, &Guarded)| terms.service.is_some() && leased(door) && !self.is_served(door);
        let doors: Vec<String> = self.guarded.iter().filter(waits).map(|(door, _)| door.clone()).collect();
        for door in doors {
            if !self.serve(now, &door) {
                self.served(now, &door);
            }
        }
    }

    /// Whether the service of a door runs, as far as is known.
    fn is_served(&self, door: &str) -> bool {
        let service = self.service(door).and_then(|id| self.leases.get(&id));
        service.is_some_and(|held| held.phase == Phase::Open && !held.failed)
    }

    /// Whether the service of a door is only just starting: nobody is let in before it listens.
    pub(super) fn is_starting(&self, door: &str) -> bool {
        let service = self.service(door);
        service.and_then(|id| self.leases.get(&id)).is_some_and(|held| held.phase == Phase::Opening)
    }

    /// The service of a door has started, or failed to: lets in who waits for it.
    pub(super) fn served(&mut self, now: u64, door: &str) {
        let waits = |held: &Held| held.order.pass.is_some() && held.order.door == door;
        let waiting: Vec<(u64, Order, u64)> = self
            .leases
            .iter()
            .filter(|(_, held)| waits(held))
            .map(|(&id, held)| (id, held.order.clone(), held.due))
            .collect();
        for (id, order, due) in waiting {
            self.let_in(id, &order, due, now);
        }
    }

    /// When the table is to be restored, if that had to wait.
    pub(super) fn restore_due(&self) -> Option<u64> {
        self.firewall.as_ref().and_then(Firewall::restore_due)
    }

    /// When the next sign of life is due, if guards hang on it.
    pub(super) fn beat_due(&self) -> Option<u64> {
        self.firewall.as_ref().filter(|firewall| firewall.hangs_on_life()).map(|_| self.next_beat)
    }

    /// Gives a sign of life, and begins to look at connections, when it is time.
    pub(super) fn look_around(&mut self, now: u64) {
        if self.beat_due().is_some_and(|due| due <= now) {
            self.next_beat = now.saturating_add(BEAT);
            if let Some(Err(error)) = self.firewall.as_mut().map(|firewall| firewall.beat(now)) {
                self.events.push(Event::Firewall(error));
            }
        }
        if self.next_look.is_some_and(|due| due <= now) && self.looking().is_none() {
            self.want_connections(now);
        }
    }
}

/// What a lease lets in, in the firewall's terms.
fn admission(Order { door, address, scope, pass, .. }: &Order, due: u64) -> Admission {
    let who = pass.as_ref().and_then(|pass| pass.who.clone());
    Admission { door: door.clone(), address: *address, scope: *scope, who, due }
}
