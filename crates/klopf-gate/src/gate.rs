//! Leases: what opens them, how long they last, and what closes them.

mod guarding;
mod looking;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::BorrowedFd;

use klopf_sys::Ended;

use self::looking::Looks;
pub use self::looking::{Known, Uses};
use crate::event::Why;
use crate::firewall::{Firewall, Network};
use crate::journal::Pending;
use crate::runner::{Runner, Running};
use crate::steps::{Next, Schedule, Steps};
use crate::{Command, Event, Guarded, Journal, Lease, Order, Refusal, Scope};

/// Opening commands that may run at the same time, and how many of them of one door. Closing ones have a bound of
/// their own, so that no number of hanging openings keeps a door open.
const MOST_OPENING: usize = 256;
pub(crate) const MOST_OPENING_OF_A_DOOR: usize = 64;
/// Closing commands that may run at the same time.
const MOST_CLOSING: usize = 256;
/// Leases that may be open at the same time.
const MOST_LEASES: usize = 1 << 20;
/// Orders without a lease that may have commands that are still to come.
const MOST_ON_THEIR_OWN: usize = 4096;
/// Milliseconds until a command is tried again whose time has come when as many run as may.
const PAUSE: u64 = 1000;
/// For whom a door's service runs: nobody alone.
const SERVICE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// An opening command runs.
    Opening,
    /// Open until its time has come.
    Open,
    /// It is closed as soon as the closing commands have run.
    Closing,
}

struct Held {
    order: Order,
    phase: Phase,
    /// When it was last granted; not known of one from before.
    opened: Option<u64>,
    due: u64,
    /// Why it ends before its time.
    why: Why,
    /// Whether an opening command has failed, so that a renewal tries them again.
    failed: bool,
    /// The opening commands, as long as there are some to come.
    opening: Option<u64>,
    /// Whether a connection under it was seen.
    connected: bool,
    /// What was asked for while it was being closed.
    next: Option<Box<Order>>,
}

impl Held {
    fn new(order: Order, phase: Phase, now: Option<u64>, due: u64) -> Self {
        let (why, failed, opening, connected, next) = (Why::Time, false, None, false, None);
        Self { order, phase, opened: now, due, why, failed, opening, connected, next }
    }

    /// Whether it stays as it is when the daemon ends: the kernel keeps it, and the next daemon takes it over.
    fn outlives(&self) -> bool {
        self.order.pass.is_some() || self.order.address == SERVICE
    }
}

/// What a further order must have in common with one to renew it: the door, whom that lets in, and what of it.
type Renewed = (String, Network, Option<u16>, u8);

/// Keeps leases: lets addresses through guards, starts commands, and closes what it opened. All times are milliseconds
/// since boot.
pub struct Gate {
    journal: Option<Journal>,
    /// Whether it was told that it cannot be written.
    journal_told: bool,
    leases: HashMap<u64, Held>,
    /// Ends of the leases that are open.
    ends: BTreeSet<(u64, u64)>,
    /// The lease that a further order of the same door, address and scope renews.
    renewable: HashMap<Renewed, u64>,
    runner: Runner,
    schedule: Schedule,
    next_id: u64,
    closing_down: bool,
    events: Vec<Event>,
    firewall: Option<Firewall>,
    guarded: HashMap<String, Guarded>,
    /// Leases that let somebody through a guard, by door.
    passes: HashMap<String, usize>,
    looks: Looks,
    /// When connections are looked at again.
    next_look: Option<u64>,
    /// When the next sign of life is due.
    next_beat: u64,
}

impl Gate {
    /// A gate that takes over what the journal holds. Without a journal nothing is remembered beyond a kill. With
    /// `pass_on`, what commands print also goes to the daemon's own standard output and error.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn new(journal: Option<Journal>, pass_on: bool) -> io::Result<Self> {
        let pending: Vec<Pending> = journal.iter().flat_map(Journal::pending).cloned().collect();
        let mut gate = Self {
            next_id: journal.as_ref().map_or(0, Journal::next_id),
            journal,
            journal_told: false,
            leases: HashMap::new(),
            ends: BTreeSet::new(),
            renewable: HashMap::new(),
            runner: Runner::new(pass_on)?,
            schedule: Schedule::default(),
            closing_down: false,
            events: Vec::new(),
            firewall: None,
            guarded: HashMap::new(),
            passes: HashMap::new(),
            looks: Looks::default(),
            next_look: None,
            next_beat: 0,
        };
        for Pending { id, door, address, scope, due, hold, close, pass, opened, .. } in pending {
            let native = close.iter().any(|action| matches!(action.run, Command::Vector(_)));
            let renews = pass.is_some() || native;
            let order = Order { door, address, scope, open: Vec::new(), close, hold, from_end: false, renews, pass };
            gate.keep(id, Held { failed: !opened, ..Held::new(order, Phase::Open, None, due) });
        }
        Ok(gate)
    }

    /// What to wait for; [`Gate::listen`] when it is ready.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.runner.fd()
    }

    /// Takes in what commands print.
    pub fn listen(&mut self) {
        self.runner.listen();
    }

    /// What has happened since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The leases in force.
    pub fn in_force(&self) -> impl Iterator<Item = Lease> {
        self.leases.values().filter(|held| held.order.address != SERVICE).map(|held| self.lease(held))
    }

    fn lease(&self, held: &Held) -> Lease {
        let Order { door, scope, pass, .. } = &held.order;
        let address = self.network(&held.order);
        Lease { door: door.clone(), address, port: scope.port, pass: pass.clone(), opened: held.opened, due: held.due }
    }

    /// Carries an order out.
    pub fn grant(&mut self, now: u64, order: Order) {
        let key = self.key(&order);
        if let Some(&id) = self.renewable.get(&key).filter(|_| order.renews) {
            return self.renew(now, id, order);
        }
        let refuse = |why| Event::Refused { door: order.door.clone(), address: order.address, why };
        let too_many = !self.may_open(&order.door) || self.schedule.on_their_own() >= MOST_ON_THEIR_OWN;
        if !order.open.is_empty() && too_many {
            return self.events.push(refuse(Refusal::TooManyCommands));
        }
        let leased = !order.close.is_empty() || order.renews;
        if leased && self.leases.len() >= MOST_LEASES {
            return self.events.push(refuse(Refusal::TooManyLeases));
        }
        if order.pass.is_some() && self.is_full(&order.door) {
            return self.events.push(refuse(Refusal::DoorIsFull));
        }
        let Some(id) = leased.then_some(self.next_id) else {
            return self.run(now, order, true, None);
        };
        self.next_id = self.next_id.saturating_add(1);
        let due = now.saturating_add(order.hold);
        if order.pass.is_some() && !self.serve(now, &order.door) && !self.let_in(id, &order, due, now) {
            return self.events.push(refuse(Refusal::NotTaken));
        }
        self.note(id, &order, due);
        self.keep(id, Held::new(order.clone(), Phase::Open, Some(now), due));
        self.run(now, order, true, Some(id));
        self.plan_look(id, now);
    }

    /// Takes in that a process has ended.
    pub fn ended(&mut self, now: u64, pid: u32, how: Ended) {
        let Some((Running { door, address, opens, steps: id }, output)) = self.runner.ended(pid) else { return };
        let served = door.clone();
        self.events.push(Event::Ended { door, address, how, output });
        let opening = self.schedule.get_mut(id).and_then(|steps| {
            steps.failed |= how != Ended::Status(0);
            steps.lease.filter(|_| steps.opens)
        });
        let over = |held: &Held| held.phase == Phase::Closing || (held.due <= now && !held.order.from_end);
        if opening.and_then(|lease| self.leases.get(&lease)).is_some_and(over) {
            self.schedule.leave_out(id);
        }
        self.go_on(now, id);
        if opens && address == SERVICE {
            self.served(now, &served);
        }
        self.tick(now);
    }

    /// Closes what is due, and does what is to be done from time to time.
    pub fn tick(&mut self, now: u64) {
        self.look_around(now);
        for id in self.schedule.due(now) {
            let Some((door, opens)) = self.schedule.get_mut(id).map(|steps| (steps.door.clone(), steps.opens)) else {
                continue;
            };
            if if opens { self.may_open(&door) } else { self.may_close() } {
                self.go_on(now, id);
            } else {
                self.schedule.wait(id, now.saturating_add(PAUSE));
            }
        }
        while let Some(&(due, id)) = self.ends.first().filter(|(due, _)| *due <= now && self.may_close()) {
            self.ends.remove(&(due, id));
            // Not before the opening command has ended; that asks again.
            let Some(held) = self.leases.get_mut(&id).filter(|held| held.phase == Phase::Open) else { continue };
            held.phase = Phase::Closing;
            let (order, why) = (held.order.clone(), held.why);
            held.opening.take().into_iter().for_each(|opening| self.schedule.leave_out(opening));
            self.events.push(Event::Due { door: order.door.clone(), address: order.address, why });
            if let Some(firewall) = self.firewall.as_mut().filter(|_| order.pass.is_some()) {
                firewall.shut_out(id, now);
            }
            if order.close.is_empty() {
                self.closed(now, id);
            } else {
                self.run(now, order, false, Some(id));
            }
        }
    }

    /// When [`Gate::tick`] has something to do, in milliseconds since boot.
    #[must_use]
    pub fn next_due(&self) -> Option<u64> {
        let end = self.ends.first().map(|&(due, _)| due).filter(|_| self.may_close());
        let steps = self.schedule.next_due();
        [end, steps, self.next_look, self.beat_due(), self.restore_due()].into_iter().flatten().min()
    }

    /// Ends leases before their time; how many.
    pub fn revoke(&mut self, now: u64, which: &dyn Fn(&Lease) -> bool) -> usize {
        let leases = self.leases.iter().filter(|(_, held)| held.order.address != SERVICE);
        let chosen: Vec<u64> = leases.filter(|(_, held)| which(&self.lease(held))).map(|(&id, _)| id).collect();
        for &id in &chosen {
            self.end_at(id, now, Why::Revoked);
        }
        self.tick(now);
        chosen.len()
    }

    /// Closes everything that is open, whatever time it has left; opening commands that still run are waited for. Leases
    /// through guards go on: the kernel keeps them, and the next daemon takes them over. Opening commands that are still to come
    /// are left out, and closing ones wait no more.
    pub fn close_all(&mut self, now: u64) {
        self.closing_down = true;
        self.schedule.hurry();
        let open = |held: &Held| held.phase == Phase::Open && !held.outlives();
        let open: Vec<u64> = self.leases.iter().filter(|(_, held)| open(held)).map(|(&id, _)| id).collect();
        for id in open {
            self.end_at(id, now, Why::Stopping);
        }
        self.tick(now);
    }

    /// Closes now what waits for an opening command that does not end.
    pub fn close_hanging(&mut self, now: u64) {
        for lease in self.leases.values_mut().filter(|lease| lease.phase == Phase::Opening) {
            lease.phase = Phase::Open;
        }
        self.close_all(now);
    }

    /// The end of the gate. A journal with nothing in it is removed.
    pub fn finish(self) {
        self.journal.into_iter().for_each(Journal::finish);
    }

    /// Commands that are running.
    #[must_use]
    pub fn running(&self) -> usize {
        self.runner.running().count()
    }

    /// Doors that are open and must be closed before the end.
    #[must_use]
    pub fn leases(&self) -> usize {
        self.leases.values().filter(|held| !held.outlives()).count()
    }

    fn renew(&mut self, now: u64, id: u64, order: Order) {
        let may_open = self.may_open(&order.door);
        let Some(lease) = self.leases.get_mut(&id) else { return };
        let (door, address) = (order.door.clone(), order.address);
        if lease.phase == Phase::Closing {
            lease.next = Some(Box::new(order));
            return self.events.push(Event::Held { door, address });
        }
        let again = lease.failed && lease.phase == Phase::Open && may_open;
        // The connection it was granted for is still to come.
        (lease.why, lease.connected, lease.opened) = (Why::Time, false, Some(now));
        let first = std::mem::take(&mut lease.order.close);
        let close = if first.is_empty() { order.close.clone() } else { first };
        lease.order = Order { close, ..order.clone() };
        // Who has a lease for an hour keeps it when ssh knocks for half a minute.
        let due = now.saturating_add(order.hold).max(lease.due);
        if order.pass.is_some() && !self.serve(now, &door) && !self.let_in(id, &order, due, now) {
            // It stands as long as before.
            return self.events.push(Event::Refused { door, address, why: Refusal::NotTaken });
        }
        if address != SERVICE {
            self.events.push(Event::Renewed { door, address });
        }
        self.reschedule(id, due, due.saturating_sub(now));
        if again {
            self.run(now, order, true, Some(id));
        }
    }

    fn key(&self, order: &Order) -> Renewed {
        let Scope { port, flags, .. } = order.scope;
        (order.door.clone(), self.network(order), port, flags)
    }

    /// The lease that keeps the service of a door up, if it has one.
    fn service(&self, door: &str) -> Option<u64> {
        self.renewable.get(&(door.to_owned(), Network::alone(SERVICE), None, 0)).copied()
    }

    fn may_open(&self, door: &str) -> bool {
        let opening = self.runner.running().filter(|running| running.opens);
        let of_this = opening.clone().filter(|running| running.door == door).count();
        of_this < MOST_OPENING_OF_A_DOOR && opening.count() < MOST_OPENING
    }

    fn may_close(&self) -> bool {
        self.runner.running().filter(|running| !running.opens).count() < MOST_CLOSING
    }

    fn keep(&mut self, id: u64, held: Held) {
        self.ends.insert((held.due, id));
        if held.order.renews {
            self.renewable.insert(self.key(&held.order), id);
        }
        if held.order.pass.is_some() {
            *self.passes.entry(held.order.door.clone()).or_default() += 1;
        }
        self.leases.insert(id, held);
    }

    /// Changes a lease's end.
    fn reschedule(&mut self, id: u64, due: u64, hold: u64) {
        self.end_at(id, due, Why::Time);
        self.write(|journal| journal.change(id, due, hold));
    }

    /// Changes a lease's end without writing it down.
    fn end_at(&mut self, id: u64, due: u64, why: Why) {
        if let Some(lease) = self.leases.get_mut(&id) {
            self.ends.remove(&(lease.due, id));
            (lease.due, lease.why) = (due, why);
            self.ends.insert((due, id));
        }
    }

    /// Puts a lease back among those that end, after its opening command has.
    fn ask_again(&mut self, id: u64) {
        if let Some(lease) = self.leases.get(&id) {
            self.ends.insert((lease.due, id));
        }
    }

    /// Forgets a lease, and opens again if that was asked for meanwhile.
    fn closed(&mut self, now: u64, id: u64) {
        let Some(held) = self.leases.remove(&id) else { return };
        let key = self.key(&held.order);
        if self.renewable.get(&key) == Some(&id) {
            self.renewable.remove(&key);
        }
        if held.order.pass.is_some()
            && let Some(count) = self.passes.get_mut(&key.0)
        {
            *count = count.saturating_sub(1);
        }
        self.write(|journal| journal.end(id));
        if let Some(service) = self.service(&key.0) {
            self.plan_look(service, now);
        }
        if let Some(order) = held.next.filter(|_| !self.closing_down) {
            self.grant(now, *order);
        }
    }

    /// Begins what an order runs.
    fn run(&mut self, now: u64, mut order: Order, opens: bool, lease: Option<u64>) {
        if self.closing_down {
            order.close.iter_mut().for_each(|action| action.after = 0);
        }
        if let Some(id) = self.schedule.begin(&order, opens, lease, now) {
            self.go_on(now, id);
        }
    }

    /// Goes on with what is run: begins what comes next, if its time has come.
    fn go_on(&mut self, now: u64, id: u64) {
        while let Some(next) = self.schedule.next(id, now) {
            match next {
                Next::Begin(command) if !self.start(id, &command) => {}
                Next::Begin(_) => return self.pass_through(id, Phase::Opening),
                Next::Wait => return self.pass_through(id, Phase::Open),
                Next::Done(steps) => return self.done(now, &steps),
            }
        }
    }

    /// Starts a command; whether it runs now.
    fn start(&mut self, id: u64, command: &Command) -> bool {
        let Some(steps) = self.schedule.get_mut(id) else { return false };
        let (door, address, opens) = (steps.door.clone(), steps.address, steps.opens);
        self.events.push(Event::Running { door: door.clone(), address, command: command.text(), opens });
        if command.is_empty() {
            return false;
        }
        match self.runner.start(command, Running { door: door.clone(), address, opens, steps: id }) {
            Ok(()) => true,
            Err(error) => {
                steps.failed = true;
                self.events.push(Event::NotStarted { door, address, error });
                false
            }
        }
    }

    /// An opening of a lease has come so far.
    fn pass_through(&mut self, id: u64, phase: Phase) {
        let Some(lease) = self.schedule.get_mut(id).filter(|steps| steps.opens).and_then(|steps| steps.lease) else {
            return;
        };
        if let Some(held) = self.leases.get_mut(&lease).filter(|held| held.phase != Phase::Closing) {
            (held.phase, held.failed, held.opening) = (phase, false, Some(id));
            self.ask_again(lease);
        }
    }

    /// All commands of an opening or a closing have run.
    fn done(&mut self, now: u64, steps: &Steps) {
        let Some(id) = steps.lease else { return };
        if !steps.opens {
            return self.closed(now, id);
        }
        // Else it took so long that its door was closed meanwhile.
        let Some(held) = self.leases.get_mut(&id).filter(|held| held.phase != Phase::Closing) else { return };
        (held.phase, held.failed, held.opening) = (Phase::Open, steps.failed, None);
        let hold = held.order.hold;
        let from_now = held.order.from_end.then(|| now.saturating_add(hold));
        let stop = self.closing_down && !held.outlives();
        if !steps.failed {
            self.write(|journal| journal.opened(id));
        }
        match from_now {
            _ if stop => self.end_at(id, now, Why::Stopping),
            Some(due) => self.reschedule(id, due, hold),
            None => self.ask_again(id),
        }
    }

    /// Writes a lease down, if there is anything to remember.
    fn note(&mut self, id: u64, order: &Order, due: u64) {
        if order.close.is_empty() && order.pass.is_none() {
            return;
        }
        let Order { door, address, scope, close, pass, hold, .. } = order.clone();
        let pending = Pending { id, door, address, scope, due, hold, close, pass, opened: false, this_boot: true };
        self.write(|journal| journal.begin(pending));
    }

    fn write(&mut self, change: impl FnOnce(&mut Journal) -> io::Result<()>) {
        match self.journal.as_mut().map(change) {
            // Said once, until it can be written again.
            Some(Err(error)) if !std::mem::replace(&mut self.journal_told, true) => {
                self.events.push(Event::JournalFailed(error));
            }
            Some(Ok(())) => self.journal_told = false,
            Some(Err(_)) | None => {}
        }
    }
}
