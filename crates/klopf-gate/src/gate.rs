//! Leases and running commands.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use klopf_sys::{Ended, Output, Outputs, PassOn};

use crate::journal::Pending;
use crate::{Command, Event, Journal, Refusal};

/// Opening commands that may run at the same time, and how many of them of one door. Closing ones have a bound of
/// their own, so that no number of hanging openings keeps a door open.
const MOST_OPENING: usize = 256;
pub(crate) const MOST_OPENING_OF_A_DOOR: usize = 64;
/// Closing commands that may run at the same time.
const MOST_CLOSING: usize = 256;
/// Leases that may be open at the same time.
const MOST_LEASES: usize = 65_536;
/// Outputs of ended commands that somebody still writes to; with more, the oldest is left alone.
const MOST_LEFT_BEHIND: usize = 256;

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
    /// What was asked for while it was being closed.
    next: Option<Box<Order>>,
}

struct Running {
    door: String,
    address: IpAddr,
    lease: Option<u64>,
    opens: bool,
    /// One for both of its outputs, or one for each.
    outputs: Vec<(u64, Output)>,
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
    /// Whether what commands print is passed on to the daemon's own outputs.
    pass_on: bool,
    outputs: Outputs,
    next_output: u64,
    left_behind: BTreeMap<u64, Output>,
    next_id: u64,
    closing_down: bool,
    events: Vec<Event>,
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
            leases: HashMap::new(),
            ends: BTreeSet::new(),
            renewable: HashMap::new(),
            running: HashMap::new(),
            pass_on,
            outputs: Outputs::new()?,
            next_output: 0,
            left_behind: BTreeMap::new(),
            closing_down: false,
            events: Vec::new(),
        };
        for Pending { id, door, address, due, hold, close, opened, .. } in pending {
            let renews = matches!(close, Command::Vector(_));
            let order = Order { door, address, open: None, close: Some(close), hold, from_end: false, renews };
            gate.keep(id, Lease { order, phase: Phase::Open, due, failed: !opened, next: None });
        }
        Ok(gate)
    }

    /// What to wait for; [`Gate::listen`] when it is ready.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.outputs.as_fd()
    }

    /// Takes in what commands print.
    pub fn listen(&mut self) {
        for number in self.outputs.ready() {
            let of_running = self.running.values_mut().flat_map(|running| &mut running.outputs);
            match of_running.into_iter().find(|(own, _)| *own == number) {
                // Its end is the command's end.
                Some((_, output)) => drop(output.drain()),
                None if self.left_behind.get_mut(&number).is_some_and(Output::drain) => {}
                None => drop(self.left_behind.remove(&number)),
            }
        }
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
        if order.open.is_some() && !self.may_open(&order.door) {
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
        self.next_id = self.next_id.saturating_add(1);
        let due = now.saturating_add(order.hold);
        if let Some(close) = order.close.clone() {
            let ((door, address), hold) = (key, order.hold);
            let pending = Pending { id, door, address, due, hold, close, opened: false, this_boot: true };
            self.write(|journal| journal.begin(pending));
        }
        let started = self.run(&order, true, Some(id));
        let phase = if started { Phase::Opening } else { Phase::Open };
        self.keep(id, Lease { failed: !started && order.open.is_some(), order, phase, due, next: None });
    }

    /// Takes in that a process has ended.
    pub fn ended(&mut self, now: u64, pid: u32, how: Ended) {
        let Some(Running { door, address, lease, opens, outputs }) = self.running.remove(&pid) else { return };
        let printed: Vec<Vec<u8>> = outputs.into_iter().map(|output| self.leave(output)).collect();
        // What it complained of says more than what it said.
        let output = printed.into_iter().rfind(|printed| !printed.is_empty()).unwrap_or_default();
        self.events.push(Event::Ended { door, address, how, output });
        if let Some((id, lease)) = lease.and_then(|id| Some((id, self.leases.get_mut(&id)?))) {
            match lease.phase {
                Phase::Closing if opens => {} // it took so long that its door was closed meanwhile
                Phase::Closing => self.closed(now, id),
                Phase::Opening | Phase::Open => {
                    lease.phase = Phase::Open;
                    lease.failed = how != Ended::Status(0);
                    let (well, hold) = (!lease.failed, lease.order.hold);
                    let from_now = lease.order.from_end.then(|| now.saturating_add(hold));
                    if well {
                        self.write(|journal| journal.opened(id));
                    }
                    match from_now {
                        _ if self.closing_down => self.end_at(id, now),
                        Some(due) => self.reschedule(id, due, hold),
                        None => self.ask_again(id),
                    }
                }
            }
        }
        self.tick(now);
    }

    /// Closes what is due.
    pub fn tick(&mut self, now: u64) {
        while let Some(&(due, id)) = self.ends.first().filter(|(due, _)| *due <= now && self.may_close()) {
            self.ends.remove(&(due, id));
            // Not before the opening command has ended; that asks again.
            let Some(lease) = self.leases.get_mut(&id).filter(|lease| lease.phase == Phase::Open) else { continue };
            lease.phase = Phase::Closing;
            let order = lease.order.clone();
            self.events.push(Event::Due { door: order.door.clone(), address: order.address });
            if !self.run(&order, false, Some(id)) {
                self.closed(now, id);
            }
        }
    }

    /// When [`Gate::tick`] has something to do, in milliseconds since boot.
    #[must_use]
    pub fn next_due(&self) -> Option<u64> {
        self.ends.first().map(|&(due, _)| due).filter(|_| self.may_close())
    }

    /// Closes everything that is open, whatever time it has left; opening commands that still run are waited for.
    pub fn close_all(&mut self, now: u64) {
        self.closing_down = true;
        let open: Vec<u64> = self.leases.iter().filter(|(_, l)| l.phase == Phase::Open).map(|(&id, _)| id).collect();
        for id in open {
            self.end_at(id, now);
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
        self.running.len()
    }

    /// Doors that are open.
    #[must_use]
    pub fn leases(&self) -> usize {
        self.leases.len()
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
        lease.order = Order { close: lease.order.close.take().or_else(|| order.close.clone()), ..order.clone() };
        self.events.push(Event::Renewed { door, address });
        self.reschedule(id, now.saturating_add(order.hold), order.hold);
        let again = again && self.run(&order, true, Some(id));
        if let Some(lease) = self.leases.get_mut(&id).filter(|_| again) {
            (lease.phase, lease.failed) = (Phase::Opening, false);
        }
    }

    fn may_open(&self, door: &str) -> bool {
        let opening = self.running.values().filter(|running| running.opens);
        let of_this = opening.clone().filter(|running| running.door == door).count();
        of_this < MOST_OPENING_OF_A_DOOR && opening.count() < MOST_OPENING
    }

    fn may_close(&self) -> bool {
        self.running.values().filter(|running| !running.opens).count() < MOST_CLOSING
    }

    fn keep(&mut self, id: u64, lease: Lease) {
        self.ends.insert((lease.due, id));
        if lease.order.renews {
            self.renewable.insert((lease.order.door.clone(), lease.order.address), id);
        }
        self.leases.insert(id, lease);
    }

    /// Changes a lease's end.
    fn reschedule(&mut self, id: u64, due: u64, hold: u64) {
        self.end_at(id, due);
        self.write(|journal| journal.change(id, due, hold));
    }

    /// Changes a lease's end without writing it down.
    fn end_at(&mut self, id: u64, due: u64) {
        if let Some(lease) = self.leases.get_mut(&id) {
            self.ends.remove(&(lease.due, id));
            lease.due = due;
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
        let Some(lease) = self.leases.remove(&id) else { return };
        let key = (lease.order.door, lease.order.address);
        if self.renewable.get(&key) == Some(&id) {
            self.renewable.remove(&key);
        }
        self.write(|journal| journal.end(id));
        if let Some(order) = lease.next.filter(|_| !self.closing_down) {
            self.grant(now, *order);
        }
    }

    /// The end of what a command printed. What it left behind is read on, so that it need not wait.
    fn leave(&mut self, (number, mut output): (u64, Output)) -> Vec<u8> {
        let tail = output.ended().to_vec();
        self.left_behind.insert(number, output);
        if self.left_behind.len() > MOST_LEFT_BEHIND {
            self.left_behind.pop_first();
        }
        tail
    }

    /// Starts a command of an order; whether it runs now.
    fn run(&mut self, order: &Order, opens: bool, lease: Option<u64>) -> bool {
        let Some(command) = (if opens { &order.open } else { &order.close }) else { return false };
        let (door, address) = (order.door.clone(), order.address);
        self.events.push(Event::Running { door: door.clone(), address, command: command.text(), opens });
        if command.is_empty() {
            return false;
        }
        let started = self.outputs().and_then(|outputs| {
            let ends = outputs.first().zip(outputs.last()).ok_or(io::ErrorKind::InvalidInput)?;
            let pid = command.start(&door, address, &ends.0.1, &ends.1.1)?;
            Ok((pid, outputs))
        });
        match started {
            Ok((pid, outputs)) => {
                self.running.insert(pid, Running { door, address, lease, opens, outputs });
                true
            }
            Err(error) => {
                self.events.push(Event::NotStarted { door, address, error });
                false
            }
        }
    }

    /// Places for what a command prints.
    fn outputs(&mut self) -> io::Result<Vec<(u64, Output)>> {
        let kinds: &[PassOn] = if self.pass_on { &[PassOn::Stdout, PassOn::Stderr] } else { &[PassOn::Not] };
        let mut outputs = Vec::new();
        for &kind in kinds {
            let output = Output::new(kind)?;
            self.next_output += 1;
            self.outputs.add(&output, self.next_output)?;
            outputs.push((self.next_output, output));
        }
        Ok(outputs)
    }

    fn write(&mut self, change: impl FnOnce(&mut Journal) -> io::Result<()>) {
        if let Some(Err(error)) = self.journal.as_mut().map(change) {
            self.events.push(Event::JournalFailed(error));
        }
    }
}
