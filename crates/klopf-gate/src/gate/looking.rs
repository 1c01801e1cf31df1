//! The gate's eye on connections: leases that last as long as they are used, and services that run as long.
//!
//! A look is a list of the kernel's connections that is made little by little, so that nobody waits for it.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use klopf_sys::clock;

use super::{Gate, Held, Phase, SERVICE};
use crate::event::Why;
use crate::firewall::{FirewallError, Network, TCP};
use crate::{Connection, Connections, Event, Guarded, Lease, Listing, Order, Progress};

/// Milliseconds between two looks, at least.
const LOOK: u64 = 1000;
/// How many times longer than a look the pause after it is.
const PAUSE: u64 = 20;
/// Parts of a list that are taken at once.
const PARTS: usize = 1;

/// Connections to guarded ports, as they were listed last.
#[derive(Debug)]
pub struct Known {
    /// When the list was begun, in milliseconds since boot: what was up then is in it.
    pub began: u64,
    /// Those that were up, or had been and are remembered, 65,536 at most.
    pub connections: Vec<Connection>,
    whole: bool,
}

/// What the gate knows of connections, and how it comes to know more.
#[derive(Default)]
pub(super) struct Looks {
    kernel: Option<Connections>,
    /// Whether it was told that connections cannot be known.
    told: bool,
    under_way: Option<UnderWay>,
    /// Whether another look is to follow at once.
    again: bool,
    last: Option<Known>,
    pace: Pace,
}

struct UnderWay {
    listing: Listing,
    began: u64,
    /// Whether the doors are still those it was begun for.
    whole: bool,
    /// Microseconds of work it has cost.
    cost: u64,
}

/// How often to look. All times are milliseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    /// How long the last look took.
    took: u64,
    /// How much of that was work.
    cost: u64,
}

impl Pace {
    /// Between two looks.
    fn pause(self) -> u64 {
        self.cost.saturating_mul(PAUSE).max(LOOK)
    }

    /// How long before its end a lease is made longer that is in use: so much that the next look does not come too late.
    fn ahead(self) -> u64 {
        self.pause().saturating_add(self.took.saturating_mul(2)).saturating_add(LOOK + LOOK / 2)
    }

    /// When to look at a lease that ends then: before [`Pace::ahead`] there is no need. After a short pause if the usual
    /// one is too long for it.
    fn before(self, due: u64, now: u64) -> u64 {
        let shortest = self.took.max(LOOK / 2);
        let last = due.saturating_sub(self.took.saturating_mul(2).saturating_add(LOOK));
        let usual = due.saturating_sub(self.ahead()).max(now.saturating_add(self.pause()));
        usual.min(last).max(now.saturating_add(shortest))
    }
}

impl Gate {
    /// The connections to guarded ports as far as they are known; none before the first look, which
    /// [`Gate::want_connections`] asks for.
    #[must_use]
    pub fn known_connections(&self) -> Option<&Known> {
        self.looks.last.as_ref()
    }

    /// How many connections are known to be up under each lease that has some, by its door, whom it lets in, and the one
    /// port that it is for.
    #[must_use]
    pub fn uses(&self) -> Option<Uses<'_>> {
        self.looks.last.as_ref().map(|known| uses(&self.guarded, &self.shapes(), known))
    }

    /// Of what shapes the leases of each door are.
    fn shapes(&self) -> Shapes {
        let mut shapes = Shapes::new();
        for order in self.leases.values().map(|held| &held.order).filter(|order| order.pass.is_some()) {
            let Network { address, prefix } = self.network(order);
            let of_door = shapes.entry(order.door.clone()).or_default();
            of_door.insert((address.is_ipv4(), prefix, order.scope.port));
        }
        shapes
    }

    /// Whether a connection is one to a door's ports.
    #[must_use]
    pub fn leads_to(&self, door: &str, connection: &Connection) -> bool {
        self.guarded.get(door).is_some_and(|door| leads_to(door, connection))
    }

    /// Begins to look at connections, or will as soon as a look that is under way is done.
    pub fn want_connections(&mut self, now: u64) {
        if self.looks.under_way.is_some() {
            self.looks.again = true;
            return;
        }
        (self.next_look, self.looks.again) = (None, false);
        let begun = self.conntrack().map(|known| known.and_then(Connections::begin));
        match begun {
            Some(Ok(listing)) => self.looks.under_way = Some(UnderWay { listing, began: now, whole: true, cost: 0 }),
            Some(Err(error)) => self.not_known(now, error),
            None => {}
        }
    }

    /// What to wait for while a look is under way; [`Gate::look_on`] when it is ready.
    #[must_use]
    pub fn looking(&self) -> Option<BorrowedFd<'_>> {
        self.looks.under_way.as_ref().map(|look| look.listing.as_fd())
    }

    /// Goes on with a look, if one is under way. At its end leases in use are made longer, those that ended with their
    /// connections are closed, and services that nobody uses are stopped.
    pub fn look_on(&mut self, now: u64) {
        let Some(UnderWay { listing, began, whole, cost }) = &mut self.looks.under_way else { return };
        let before = clock::worked_us();
        let (doors, began, same) = (&self.guarded, *began, *whole);
        let wanted = |one: &Connection| (one.up || one.established) && doors.values().any(|door| leads_to(door, one));
        let progress = listing.go_on(PARTS, &wanted);
        *cost = cost.saturating_add(clock::worked_us().saturating_sub(before));
        let cost = *cost / 1000;
        let list = match progress {
            Ok(Progress::More) => return,
            Ok(Progress::Done(list)) => list,
            Err(error) => {
                self.looks.under_way = None;
                return self.not_known(now, error);
            }
        };
        self.looks.under_way = None;
        self.looks.pace = Pace { took: now.saturating_sub(began), cost };
        let known = Known { began, whole: list.whole && same, connections: list.connections };
        self.act_on(now, &known);
        self.looks.last = Some(known);
        if self.looks.again {
            self.want_connections(now);
        } else {
            self.plan_looks(now);
        }
    }

    /// Ends the connections that are up under leases that have ended, and under none of the others; how many. Where the
    /// kernel tracks many connections that takes a while.
    pub fn cut(&mut self, ended: &[Lease], others: &[Lease]) -> usize {
        let doors = self.guarded.clone();
        let under = |leases: &[Lease], one: &Connection| {
            let lets_in =
                |lease: &Lease| lease.address.contains(one.origin) && lease.port.is_none_or(|port| port == one.port);
            leases.iter().any(|lease| lets_in(lease) && doors.get(&lease.door).is_some_and(|door| leads_to(door, one)))
        };
        let wanted = |one: &Connection| one.up && under(ended, one) && !under(others, one);
        let Some(Ok(kernel)) = self.conntrack() else { return 0 };
        let listed = match ended {
            [Lease { address: Network { address, prefix }, .. }] if *prefix == whole(*address) => {
                kernel.list_of(*address)
            }
            _ => kernel.list(&wanted),
        };
        let connections: Vec<Connection> = listed.unwrap_or_default().into_iter().filter(|one| wanted(one)).collect();
        let tcp = connections.iter().filter(|one| one.proto == TCP);
        let sockets: HashSet<_> = tcp.map(|one| (one.port, SocketAddr::new(one.origin, one.from_port))).collect();
        // What is not this host's own, or cannot be ended, is still cut.
        let _ = klopf_sys::end_tcp(|own, other| sockets.contains(&(own.port(), other)));
        for connection in &connections {
            // One that is gone already is what was wanted.
            let _ = kernel.cut(connection);
        }
        connections.len()
    }

    /// A look that is under way was begun for other doors.
    pub(super) fn doors_changed(&mut self) {
        if let Some(look) = &mut self.looks.under_way {
            look.whole = false;
        }
    }

    /// Sees to it that connections are looked at in time for all that depends on them. Without anything they are not.
    pub(super) fn plan_looks(&mut self, now: u64) {
        self.next_look = self.leases.values().filter_map(|held| self.needs_look(held, now)).min();
    }

    /// The same for a new lease, or for a service whose last lease has ended.
    pub(super) fn plan_look(&mut self, id: u64, now: u64) {
        let needed = self.leases.get(&id).and_then(|held| self.needs_look(held, now));
        self.next_look = [self.next_look, needed].into_iter().flatten().min();
    }

    fn needs_look(&self, held: &Held, now: u64) -> Option<u64> {
        let (terms, pace) = (self.guarded.get(&held.order.door)?, self.looks.pace);
        let after_pause = now.saturating_add(pace.pause());
        if held.order.address == SERVICE {
            return (!leased(&self.passes, &held.order.door)).then_some(after_pause);
        }
        held.order.pass.as_ref().filter(|_| held.phase != Phase::Closing)?;
        let to_extend = terms.extend.then(|| pace.before(held.due, now));
        [to_extend, terms.until_disconnect.then_some(after_pause)].into_iter().flatten().min()
    }

    fn act_on(&mut self, now: u64, known: &Known) {
        let (pace, uses) = (self.looks.pace, uses(&self.guarded, &self.shapes(), known));
        let (mut longer, mut over): (Vec<(u64, Order)>, _) = (Vec::new(), Vec::new());
        for (&id, held) in &mut self.leases {
            let door = held.order.door.as_str();
            let Some(terms) = self.guarded.get(door).filter(|_| held.phase == Phase::Open) else { continue };
            if held.order.address == SERVICE {
                let used = |one: &Connection| one.up && leads_to(terms, one);
                if !leased(&self.passes, door) && !known.connections.iter().any(used) {
                    over.push((id, Why::Unused));
                }
            } else if held.order.pass.is_some() {
                let Order { address, scope, .. } = &held.order;
                let used = uses.contains_key(&(door, terms.guard.admits(*address, scope.prefix), scope.port));
                if used && terms.extend && held.due.saturating_sub(now) <= pace.ahead() {
                    longer.push((id, held.order.clone()));
                }
                if !used && held.connected && terms.until_disconnect {
                    over.push((id, Why::Disconnected));
                }
                held.connected |= used;
            }
        }
        for (id, order) in longer {
            let due = now.saturating_add(order.hold.max(pace.ahead()));
            if self.let_in_quietly(id, &order, due, now) {
                self.reschedule(id, due, order.hold);
            }
        }
        // What was not listed may be up all the same, if the list is not whole.
        for (id, why) in over.into_iter().filter(|_| known.whole) {
            self.end_at(id, now, why);
        }
    }

    fn let_in_quietly(&mut self, id: u64, order: &Order, due: u64, now: u64) -> bool {
        let before = self.events.len();
        let done = self.let_in(id, order, due, now);
        if done {
            self.events.truncate(before);
        }
        done
    }

    /// Connections cannot be known, which is said once; later it is tried again.
    fn not_known(&mut self, now: u64, error: std::io::Error) {
        if !std::mem::replace(&mut self.looks.told, true) {
            self.events.push(Event::Firewall(FirewallError { what: "connection tracking", error }));
        }
        self.looks.again = false;
        self.plan_looks(now);
    }

    /// The way to the kernel's connections; none if nothing is guarded.
    fn conntrack(&mut self) -> Option<std::io::Result<&Connections>> {
        self.firewall.as_ref()?;
        if self.looks.kernel.is_none() {
            match Connections::open() {
                Ok(connections) => self.looks.kernel = Some(connections),
                Err(error) => return Some(Err(error)),
            }
        }
        self.looks.kernel.as_ref().map(Ok)
    }
}

/// Connections by door, whom a lease lets in, and the one port that it is for.
pub type Uses<'a> = HashMap<(&'a str, Network, Option<u16>), u32>;

/// By door, whether leases are for IPv4, how many bits of the address count, and the one port that they are for.
type Shapes = HashMap<String, HashSet<(bool, u8, Option<u16>)>>;

fn uses<'a>(doors: &'a HashMap<String, Guarded>, shapes: &Shapes, known: &Known) -> Uses<'a> {
    let mut uses = Uses::new();
    for one in known.connections.iter().filter(|one| one.up) {
        for (name, _) in doors.iter().filter(|(_, door)| leads_to(door, one)) {
            for &(v4, prefix, port) in shapes.get(name).into_iter().flatten() {
                if v4 == one.origin.is_ipv4() && port.is_none_or(|port| port == one.port) {
                    let lease = (name.as_str(), Network::of(one.origin, prefix), port);
                    let count = uses.entry(lease).or_default();
                    *count = count.saturating_add(1);
                }
            }
        }
    }
    uses
}

/// Whether a door has leases.
fn leased(passes: &HashMap<String, usize>, door: &str) -> bool {
    passes.get(door).is_some_and(|count| *count > 0)
}

/// Whether a connection is one to a door's ports.
fn leads_to(door: &Guarded, connection: &Connection) -> bool {
    let has = |ports: &crate::firewall::Ports| (ports.first..=ports.last).contains(&connection.port);
    door.guard.ports.iter().any(|ports| ports.proto == connection.proto && has(ports))
}

/// The prefix of a single address.
fn whole(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_between_looks_grows_with_the_time_they_take() {
        for (took, pause, ahead) in [(0, 1000, 2500), (50, 1000, 2600), (500, 10_000, 12_500)] {
            let pace = Pace { took, cost: took };
            assert_eq!((pace.pause(), pace.ahead()), (pause, ahead), "{took}");
        }
    }

    #[test]
    fn a_lease_is_looked_at_before_its_end_and_not_much_before() {
        for (took, due, look) in [
            (0, 60_000, 57_500),
            (0, 3000, 1000),
            (0, 1500, 500),
            (0, 1000, 500),
            (500, 60_000, 47_500),
            (500, 20_000, 10_000),
            (500, 10_000, 8000),
            (500, 1000, 500),
        ] {
            assert_eq!(Pace { took, cost: took }.before(100_000 + due, 100_000), 100_000 + look, "{took} {due}");
        }
    }

    #[test]
    fn a_lease_in_use_is_made_longer_before_it_lapses() {
        for took in [0, 1, 20, 100, 500, 2000] {
            for hold in [1001, 10_000, 60_000, 3_600_000].map(|hold: u64| hold.max(3 * took)) {
                let pace = Pace { took, cost: took };
                let (mut now, mut due) = (0, hold);
                for _ in 0..100 {
                    now = pace.before(due, now) + took;
                    assert!(now < due, "{took} {hold}: {now} {due}");
                    if due - now <= pace.ahead() {
                        due = now + hold.max(pace.ahead());
                    }
                }
            }
        }
    }
}
