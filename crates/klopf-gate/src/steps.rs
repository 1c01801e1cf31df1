//! Commands that are run one after the other, each not before its time. What is to begin is said here, not begun.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;

use crate::{Action, Command, Order};

/// What is run for one opening or closing.
pub(crate) struct Steps {
    pub(crate) door: String,
    pub(crate) address: IpAddr,
    pub(crate) lease: Option<u64>,
    pub(crate) opens: bool,
    /// Whether one of them could not be begun, or has failed.
    pub(crate) failed: bool,
    began: u64,
    left: VecDeque<Action>,
    /// Until when it waits.
    waits: Option<u64>,
}

/// What comes next.
pub(crate) enum Next {
    /// Begin this.
    Begin(Command),
    /// Nothing before its time.
    Wait,
    /// It was the last.
    Done(Steps),
}

/// All that are under way. All times are milliseconds since boot.
#[derive(Default)]
pub(crate) struct Schedule {
    steps: HashMap<u64, Steps>,
    waiting: BTreeSet<(u64, u64)>,
    next_id: u64,
    /// How many belong to no lease.
    on_their_own: usize,
}

impl Schedule {
    /// Takes up what an order runs; none if that is nothing.
    pub(crate) fn begin(&mut self, order: &Order, opens: bool, lease: Option<u64>, now: u64) -> Option<u64> {
        let Order { door, address, open, close, .. } = order;
        let left: VecDeque<Action> = if opens { open } else { close }.iter().cloned().collect();
        if left.is_empty() {
            return None;
        }
        let (id, failed, waits) = (self.next_id, false, None);
        self.next_id = id.wrapping_add(1);
        self.on_their_own += usize::from(lease.is_none());
        let steps = Steps { door: door.clone(), address: *address, lease, opens, failed, began: now, left, waits };
        self.steps.insert(id, steps);
        Some(id)
    }

    /// What comes next; none if there is no such number.
    pub(crate) fn next(&mut self, id: u64, now: u64) -> Option<Next> {
        let steps = self.steps.get_mut(&id)?;
        match steps.left.front().map(|action| steps.began.saturating_add(action.after)) {
            Some(at) if at > now => {
                self.wait(id, at);
                Some(Next::Wait)
            }
            Some(_) => steps.left.pop_front().map(|action| Next::Begin(action.run)),
            None => self.remove(id).map(Next::Done),
        }
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Steps> {
        self.steps.get_mut(&id)
    }

    /// Those whose time has come; each is to be asked for what comes next, or to [`Schedule::wait`] again.
    pub(crate) fn due(&mut self, now: u64) -> Vec<u64> {
        let later = self.waiting.split_off(&(now.saturating_add(1), 0));
        let due: Vec<u64> = std::mem::replace(&mut self.waiting, later).into_iter().map(|(_, id)| id).collect();
        for id in &due {
            self.steps.entry(*id).and_modify(|steps| steps.waits = None);
        }
        due
    }

    /// Has one wait until then.
    pub(crate) fn wait(&mut self, id: u64, until: u64) {
        let Some(steps) = self.steps.get_mut(&id) else { return };
        if let Some(before) = steps.waits.replace(until) {
            self.waiting.remove(&(before, id));
        }
        self.waiting.insert((until, id));
    }

    /// When the time of the next one comes.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.waiting.first().map(|&(at, _)| at)
    }

    /// Leaves out what has not begun. One that waits is gone; another ends with the command that runs.
    pub(crate) fn leave_out(&mut self, id: u64) {
        let Some(steps) = self.steps.get_mut(&id) else { return };
        steps.left.clear();
        if steps.waits.is_some() {
            self.remove(id);
        }
    }

    /// Leaves out all that would open something, and has what closes wait for nothing but the command in front.
    pub(crate) fn hurry(&mut self) {
        let ids: Vec<(u64, bool)> = self.steps.iter().map(|(&id, steps)| (id, steps.opens)).collect();
        for (id, opens) in ids {
            if opens {
                self.leave_out(id);
                continue;
            }
            let Some(steps) = self.steps.get_mut(&id) else { continue };
            steps.left.iter_mut().for_each(|action| action.after = 0);
            if steps.waits.is_some() {
                self.wait(id, 0);
            }
        }
    }

    /// How many belong to no lease.
    pub(crate) const fn on_their_own(&self) -> usize {
        self.on_their_own
    }

    fn remove(&mut self, id: u64) -> Option<Steps> {
        let steps = self.steps.remove(&id)?;
        if let Some(at) = steps.waits {
            self.waiting.remove(&(at, id));
        }
        self.on_their_own -= usize::from(steps.lease.is_none());
        Some(steps)
    }
}
