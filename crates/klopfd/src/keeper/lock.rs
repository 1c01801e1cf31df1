//! Whether the doors are closed: for good, on trial, or not at all.
//!
//! A trial closes for two minutes. Who comes in through a door in that time, by a knock from outside, proves that there
//! is a way in, and the guards stay. Otherwise everything is undone.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use klopf_control::TrialNews;
use klopf_gate::firewall::Hold;
use klopf_gate::{Connection, Gate, Guarded, Known};

use super::guarding::Changed;
use crate::control::ConnectionId;

/// How long a trial is, unless somebody says otherwise.
pub(crate) const TRIAL: Duration = Duration::from_secs(120);
/// Milliseconds between two looks at who has come in.
const LOOK: u64 = 250;
/// Milliseconds after which what is known of connections is asked for again, while it matters.
const ASK: u64 = 500;
/// Milliseconds between two tellings of the time that is left.
const TELL: u64 = 5000;

/// What the guards are now.
#[derive(Debug)]
pub(super) enum State {
    /// In force.
    Locked,
    /// In force for a time.
    Trial(Box<Trial>),
    /// Not in force, by the administrator's wish or after a trial.
    Unlocked,
}

/// Why a trial was begun, which says what is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// `klopf lock`.
    Lock,
    /// The first start, with an administrator logged in over a port that is guarded.
    Start,
    /// `klopf reload --confirm`.
    Reload,
}

/// A trial that goes on.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) reason: Reason,
    /// When it ends, in milliseconds since boot.
    pub(super) ends: u64,
    began: u64,
    /// Doors whose guards end with it.
    pub(super) doors: BTreeSet<String>,
    /// Doors of which one must be come in by.
    pub(super) prove: BTreeSet<String>,
    /// Who hears of it.
    pub(super) stream: Option<ConnectionId>,
    /// Connections that were up at its beginning, once they are known: who began them, from which port.
    before: Option<HashSet<(IpAddr, u16)>>,
    /// This host's own addresses.
    own: Vec<IpAddr>,
    saw: Vec<String>,
    hits: u8,
    knocked: HashSet<(String, IpAddr)>,
    next_look: u64,
    next_tell: u64,
}

/// What a look at a trial has shown.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It goes on; news to tell.
    GoesOn(Vec<TrialNews>),
    /// Somebody has come in.
    Confirmed(String),
    /// Its time is up; what was seen and what was not.
    Over(Vec<String>, Vec<String>),
}

impl State {
    /// Says of each guard whether it is in force and how long it holds. Some doors may be left open.
    pub(super) fn apply(&self, guards: &[Guarded], left_open: &BTreeSet<String>) -> Vec<Guarded> {
        let applied = |guarded: &Guarded| {
            let mut guarded = guarded.clone();
            guarded.in_force = !matches!(self, Self::Unlocked) && !left_open.contains(&guarded.guard.door);
            if let Self::Trial(trial) = self
                && trial.doors.contains(&guarded.guard.door)
            {
                (guarded.in_force, guarded.guard.hold) = (true, Hold::OnTrial);
            }
            guarded
        };
        guards.iter().map(applied).collect()
    }

    pub(super) fn trial(&mut self) -> Option<&mut Trial> {
        match self {
            Self::Trial(trial) => Some(trial),
            Self::Locked | Self::Unlocked => None,
        }
    }

    /// When a trial ends.
    pub(super) fn trial_ends(&self) -> Option<u64> {
        match self {
            Self::Trial(trial) => Some(trial.ends),
            Self::Locked | Self::Unlocked => None,
        }
    }

    /// When the trial is to be looked at, in milliseconds since boot.
    pub(super) fn next(&self) -> Option<u64> {
        match self {
            Self::Trial(trial) => Some(trial.next_look.min(trial.ends)),
            Self::Locked | Self::Unlocked => None,
        }
    }
}

impl Trial {
    pub(super) fn new(
        reason: Reason,
        doors: BTreeSet<String>,
        prove: BTreeSet<String>,
        now: u64,
        length: u64,
    ) -> Box<Self> {
        Box::new(Self {
            reason,
            ends: now.saturating_add(length),
            began: now,
            doors,
            prove,
            stream: None,
            before: None,
            own: Vec::new(),
            saw: Vec::new(),
            hits: 0,
            knocked: HashSet::new(),
            next_look: now.saturating_add(LOOK),
            next_tell: now.saturating_add(TELL),
        })
    }

    /// Doors whose guards have changed meanwhile are on trial, too.
    pub(super) fn join(&mut self, changed: Changed) {
        if self.reason == Reason::Reload {
            self.prove.extend(changed.all);
        }
        self.doors.extend(changed.ports);
    }

    /// Begins to look what is there, and so proves nothing.
    pub(super) fn begin(&mut self, gate: &mut Gate, own: Vec<IpAddr>, now: u64) {
        self.own = own;
        gate.want_connections(now);
    }

    /// Takes note of the first connections that are known, before others are.
    pub(super) fn note(&mut self, gate: &Gate) {
        let all = |known: &Known| known.connections.iter().map(|one| (one.origin, one.from_port)).collect();
        if self.before.is_none() {
            self.before = gate.known_connections().filter(|known| known.began >= self.began).map(all);
        }
    }

    /// Takes note that somebody has made so many hits.
    pub(super) fn hit(&mut self, door: &str, origin: IpAddr, stage: u8, of: usize) -> Option<TrialNews> {
        if !self.prove.contains(door) || stage <= self.hits {
            return None;
        }
        self.hits = stage;
        Some(self.see(format!("{origin} has made {stage} of {of} hits at door {door}")))
    }

    fn see(&mut self, text: String) -> TrialNews {
        self.saw.push(text.clone());
        TrialNews::Saw { text }
    }

    /// Looks whether somebody has come in.
    pub(super) fn look(&mut self, gate: &mut Gate, now: u64) -> Outcome {
        self.next_look = now.saturating_add(LOOK);
        let stale = gate.known_connections().is_none_or(|known| known.began.saturating_add(ASK) <= now);
        if stale && gate.looking().is_none() && (self.before.is_none() || !self.knocked.is_empty()) {
            gate.want_connections(now);
        }
        let known = gate.known_connections();
        let mut news = Vec::new();
        let by_knock = |lease: &klopf_gate::Lease| {
            let knocked = lease.pass.as_ref().is_some_and(|pass| pass.by.is_knock());
            knocked && lease.opened.is_some_and(|opened| opened >= self.began) && self.prove.contains(&lease.door)
        };
        let leases: Vec<_> = gate.in_force().filter(by_knock).collect();
        for lease in leases {
            let outside = |address: &IpAddr| !address.is_loopback() && !self.own.contains(address);
            let Some(origin) = lease.pass.as_ref().and_then(|pass| pass.origin).filter(outside) else { continue };
            if self.knocked.insert((lease.door.clone(), origin)) {
                news.push(self.see(format!("{origin} has knocked right at door {}", lease.door)));
            }
            let new = |one: &&Connection| {
                let before = self.before.as_ref().is_none_or(|before| before.contains(&(one.origin, one.from_port)));
                one.established && !before && lease.address.contains(one.origin) && gate.leads_to(&lease.door, one)
            };
            if let Some(one) = known.and_then(|known| known.connections.iter().find(new)) {
                let (door, port) = (&lease.door, one.port);
                return Outcome::Confirmed(format!(
                    "{origin} knocked at door {door} and has a connection to port {port}"
                ));
            }
        }
        if now >= self.ends {
            return Outcome::Over(self.saw.clone(), self.not_seen());
        }
        if now >= self.next_tell {
            self.next_tell = now.saturating_add(TELL);
            news.push(TrialNews::Left { seconds: self.ends.saturating_sub(now).div_ceil(1000) });
        }
        Outcome::GoesOn(news)
    }

    fn not_seen(&self) -> Vec<String> {
        let doors = self.prove.iter().cloned().collect::<Vec<_>>().join(", ");
        if !self.knocked.is_empty() {
            return vec!["a new connection through the door, from the address that had knocked".to_owned()];
        }
        let whole = if self.hits == 0 { "a single hit of a knock" } else { "a whole knock" };
        vec![format!("{whole} at {doors}, from outside"), "a new connection through the door".to_owned()]
    }
}
