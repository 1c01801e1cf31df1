//! Leases and running commands.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use klopf_sys::{Ended, Output};

use crate::journal::Pending;
use crate::{Command, Event, Journal, Refusal};

/// Commands that may run at the same time.
const MOST_COMMANDS: usize = 256;
/// Leases that may be open at the same time.
const MOST_LEASES: usize = 65_536;
/// Bytes of a command's output that are passed on.
const OUTPUT_KEPT: usize = 64 << 10;

/// Everything about one opening, filled in and ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The door's name.
    pub door: String,
    /// For whom it opens.
    pub address: IpAddr,
    /// What opens it.
    pub open: Option<Command>,
    /// What closes it. Without it there is nothing to remember, unless there is a lease.
    pub close: Option<Command>,
    /// Milliseconds from opening to closing.
    pub hold: u64,
    /// Whether the time counts from the end of the opening command (`knockd.conf`) or from the grant.
    pub from_end: bool,
    /// Whether a further order for the same door and address only makes the lease longer.
    pub renews: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The opening command runs.
    Opening,
    /// Open until its time has come.
    Open,
    /// The closing command runs.
    Closing,
}

struct Lease {
    order: Order,
    phase: Phase,
    due: u64,
    /// Whether the opening command has failed, so that a renewal tries it again.
    failed: bool,
}

struct Running {
    door: String,
    address: IpAddr,
    lease: Option<u64>,
    opens: bool,
    output: Output,
}

/// Starts commands, keeps leases, and closes what it opened. All times are milliseconds since boot.
pub struct Gate {
    journal: Option<Journal>,
    leases: HashMap<u64, Lease>,
    /// Ends of the leases that are open.
    ends: BTreeSet<(u64, u64)>,
    /// The lease that a further order of the same door and address renews.
    renewable: HashMap<(String, IpAddr), u64>,
    running: HashMap<u32, Running>,
    next_id: u64,
    closing_down: bool,
    events: Vec<Event>,
}

impl Gate {
    /// A gate that takes over what the journal holds. Without a journal nothing is remembered beyond a kill.
    #[must_use]
    pub fn new(journal: Option<Journal>) -> Self {
        let pending = journal.as_ref().map(Journal::pending).unwrap_or_default();
        let mut gate = Self {
            journal,
            leases: HashMap::new(),
            ends: BTreeSet::new(),
            renewable: HashMap::new(),
            running: HashMap::new(),
            next_id: pending.iter().map(|pending| pending.id + 1).max().unwrap_or(0),
            closing_down: false,
            events: Vec::new(),
        };
        for Pending { id, door, address, due, hold, close } in pending {
            let renews = matches!(close, Command::Vector(_));
            let order = Order { door, address, open: None, close: Some(close), hold, from_end: false, renews };
            gate.keep(id, Lease { order, phase: Phase::Open, due, failed: false });
        }
        gate
    }

    /// What has happened since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Carries an order out.
    pub fn grant(&mut self, now: u64, order: Order) {
        let key = (order.door.clone(), order.address);
        if let Some(&id) = self.renewable.get(&key).filter(|_| order.renews) {
            return self.renew(now, id, order);
        }
        let refuse = |why| Event::Refused { door: order.door.clone(), address: order.address, why };
        if self.running.len() >= MOST_COMMANDS && order.open.is_some() {
            return self.events.push(refuse(Refusal::TooManyCommands));
        }
        let leased = order.close.is_some() || order.renews;
        if leased && self.leases.len() >= MOST_LEASES {
            return self.events.push(refuse(Refusal::TooManyLeases));
        }
        let Some(id) = leased.then_some(self.next_id) else {
            self.run(&order, true, None);
            return;
        };
        self.next_id += 1;
        let due = now.saturating_add(order.hold);
        if let Some(close) = order.close.clone() {
            let (door, address) = key;
            let pending = Pending { id, door, address, due, hold: order.hold, close };
            self.write(|journal| journal.begin(pending));
        }
        let started = self.run(&order, true, Some(id));
        let phase = if started { Phase::Opening } else { Phase::Open };
        self.keep(id, Lease { failed: !started && order.open.is_some(), order, phase, due });
    }

    /// Takes in that a process has ended.
    pub fn ended(&mut self, now: u64, pid: u32, how: Ended) {
        let Some(Running { door, address, lease, opens, output }) = self.running.remove(&pid) else { return };
        output.seal();
        self.events.push(Event::Ended { door, address, how, output: output.tail(OUTPUT_KEPT) });
        let Some((id, lease)) = lease.and_then(|id| Some((id, self.leases.get_mut(&id)?))) else { return };
        match lease.phase {
            Phase::Closing if opens => {} // it took so long that its door was closed meanwhile
            Phase::Closing => self.forget(id),
            Phase::Opening | Phase::Open => {
                lease.phase = Phase::Open;
                lease.failed = how != Ended::Status(0);
                let hold = lease.order.hold;
                let due =
                    if self.closing_down { Some(now) } else { lease.order.from_end.then(|| now.saturating_add(hold)) };
                if let Some(due) = due {
                    self.reschedule(id, due, hold);
                }
                self.tick(now);
            }
        }
    }

    /// Closes what is due.
    pub fn tick(&mut self, now: u64) {
        while let Some(&(due, id)) = self.ends.first().filter(|(due, _)| *due <= now) {
            let Some(lease) = self.leases.get_mut(&id) else {
                self.ends.remove(&(due, id));
                continue;
            };
            if lease.phase == Phase::Opening {
                // Not before the opening command has ended; that asks again.
                self.ends.remove(&(due, id));
                continue;
            }
            if self.running.len() >= MOST_COMMANDS {
                return;
            }
            self.ends.remove(&(due, id));
            lease.phase = Phase::Closing;
            let order = lease.order.clone();
            self.unname(&order, id);
            self.events.push(Event::Due { door: order.door.clone(), address: order.address });
            if !self.run(&order, false, Some(id)) {
                self.forget(id);
            }
        }
    }

    /// When [`Gate::tick`] has something to do, in milliseconds since boot.
    #[must_use]
    pub fn next_due(&self) -> Option<u64> {
        let waits = self.running.len() >= MOST_COMMANDS;
        self.ends.first().map(|&(due, _)| due).filter(|_| !waits)
    }

    /// Closes everything that is open, whatever time it has left; opening commands that still run are waited for.
    pub fn close_all(&mut self, now: u64) {
        self.closing_down = true;
        let open: Vec<u64> = self.leases.iter().filter(|(_, l)| l.phase == Phase::Open).map(|(&id, _)| id).collect();
        for id in open {
            self.reschedule(id, now, 0);
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

    /// Commands that are running.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Doors that are open.
    #[must_use]
    pub fn leases(&self) -> usize {
        self.leases.len()
    }

    fn renew(&mut self, now: u64, id: u64, order: Order) {
        let Some(lease) = self.leases.get_mut(&id) else { return };
        let again = lease.failed && lease.phase == Phase::Open;
        lease.order = Order { close: lease.order.close.take().or_else(|| order.close.clone()), ..order.clone() };
        self.events.push(Event::Renewed { door: order.door.clone(), address: order.address });
        self.reschedule(id, now.saturating_add(order.hold), order.hold);
        let again = again && self.running.len() < MOST_COMMANDS && self.run(&order, true, Some(id));
        if let Some(lease) = self.leases.get_mut(&id).filter(|_| again) {
            (lease.phase, lease.failed) = (Phase::Opening, false);
        }
    }

    fn keep(&mut self, id: u64, lease: Lease) {
        self.ends.insert((lease.due, id));
        if lease.order.renews {
            self.renewable.insert((lease.order.door.clone(), lease.order.address), id);
        }
        self.leases.insert(id, lease);
    }

    fn reschedule(&mut self, id: u64, due: u64, hold: u64) {
        if let Some(lease) = self.leases.get_mut(&id) {
            self.ends.remove(&(lease.due, id));
            lease.due = due;
            self.ends.insert((due, id));
        }
        self.write(|journal| journal.change(id, due, hold));
    }

    fn unname(&mut self, order: &Order, id: u64) {
        let key = (order.door.clone(), order.address);
        if self.renewable.get(&key) == Some(&id) {
            self.renewable.remove(&key);
        }
    }

    fn forget(&mut self, id: u64) {
        self.leases.remove(&id);
        self.write(|journal| journal.end(id));
    }

    /// Starts a command of an order; whether it runs now.
    fn run(&mut self, order: &Order, opens: bool, lease: Option<u64>) -> bool {
        let Some(command) = (if opens { &order.open } else { &order.close }) else { return false };
        let (door, address) = (order.door.clone(), order.address);
        self.events.push(Event::Running { door: door.clone(), address, command: command.text(), opens });
        if command.is_empty() {
            return false;
        }
        let started = Output::new().and_then(|output| Ok((command.start(&door, address, &output)?, output)));
        match started {
            Ok((pid, output)) => {
                self.running.insert(pid, Running { door, address, lease, opens, output });
                true
            }
            Err(error) => {
                self.events.push(Event::NotStarted { door, address, error });
                false
            }
        }
    }

    fn write(&mut self, change: impl FnOnce(&mut Journal) -> std::io::Result<()>) {
        if let Some(Err(error)) = self.journal.as_mut().map(change) {
            self.events.push(Event::JournalFailed(error));
        }
    }
}
