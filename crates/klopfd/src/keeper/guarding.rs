//! Closing doors, on trial or for good, and opening them all.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

use klopf_control::{Reply, TrialNews};
use klopf_engine::Door;
use klopf_gate::firewall::{Firewall, FirewallError, Ports, TCP};
use klopf_gate::{Guarded, Lockfile};
use klopf_sys::{clock, interfaces};

use super::Keeper;
use super::lock::{Outcome, Reason, State, Trial};
use crate::control::ConnectionId;
use crate::face::{Event, Face};
use crate::plan::Plan;

/// Doors that are named in one line of the log.
const MOST_TOLD: usize = 16;

/// Connections, as this host's end and the other.
type Up = Vec<(SocketAddr, SocketAddr)>;

impl<F: Face> Keeper<'_, F> {
    /// Closes the doors for the first time. Where somebody is logged in over a port that was open until now, on trial.
    pub(super) fn first_guard(&mut self) -> Result<(), FirewallError> {
        if self.plan.guards.is_empty() {
            self.clear_leftovers();
            return Ok(());
        }
        let now = clock::boot_ms();
        let (guarded, was_on_trial) = match &mut self.firewall {
            Some(firewall) => (firewall.guarded()?, firewall.was_on_trial()?),
            None => (Vec::new(), false),
        };
        self.left_open = self.lockfile().left_open().intersection(&self.guard_names()).cloned().collect();
        if !self.left_open.is_empty() {
            let doors = self.left_open.iter().cloned().collect::<Vec<_>>().join(", ");
            self.warn(&format!("not guarded, as a trial has left it: {doors}; klopf lock tries again"));
        }
        if self.lockfile().is_unlocked() {
            self.state = State::Unlocked;
            let what = "no door is guarded, as klopf unlock or a trial has left it; klopf lock guards them again";
            self.warn(what);
        } else {
            let doors = self.logged_in(&guarded);
            if was_on_trial || !doors.is_empty() {
                // What was guarded before stays so, whatever comes of it.
                let new = self.new_doors(&guarded);
                let all = || self.guard_names().difference(&self.left_open).cloned().collect();
                let on_trial = if new.is_empty() { all() } else { new };
                let prove = if doors.is_empty() { on_trial.clone() } else { doors };
                self.state = State::Trial(Trial::new(Reason::Start, on_trial, prove, now, self.trial_ms));
            }
        }
        self.put_guards()?;
        match self.state {
            State::Trial(_) => self.begin_trial(None),
            State::Locked => {
                self.tell_guards();
                // The next start is not the first one.
                self.note_guards();
            }
            State::Unlocked => {}
        }
        for name in klopf_sys::vrfs() {
            self.warn(&format!(
                "guards do not hold at addresses of the VRF {name}: the kernel does not take those for local"
            ));
        }
        Ok(())
    }

    fn note_left_open(&mut self) {
        if let Err(error) = self.lockfile().leave_open(&self.left_open) {
            self.trouble(&format!("cannot note which doors are left open: {}", super::reason(&error)));
        }
    }

    /// Says what is closed.
    fn tell_guards(&mut self) {
        let ports = |door: &Guarded| door.guard.ports.iter().map(named).collect::<Vec<_>>().join(" ");
        let all = self.plan.guards.iter().map(|door| format!("{} ({})", ports(door), door.guard.door));
        let mut told: Vec<String> = all.clone().take(MOST_TOLD).collect();
        let more = all.count().saturating_sub(MOST_TOLD);
        told.extend((more > 0).then(|| format!("{more} more doors")));
        self.face.tell(&Event::Notice(&format!("guarded: {}", told.join(", "))));
    }

    /// Notes that these guards were in force, so that they need no trial again.
    pub(super) fn note_guards(&mut self) {
        let guarded = self.plan.guards.iter().filter(|door| !self.left_open.contains(&door.guard.door));
        let ports = guarded.flat_map(|door| &door.guard.ports).map(named);
        let known = self.lockfile().confirmed();
        let new: Vec<String> = ports.filter(|ports| !known.contains(ports)).collect();
        if new.is_empty() {
            return;
        }
        if let Err(error) = self.lockfile().confirm(new) {
            self.trouble(&format!("cannot note which ports are guarded: {}", super::reason(&error)));
        }
    }

    /// Takes away what guards an earlier daemon has left, when there are none any more.
    fn clear_leftovers(&mut self) {
        if self.runtime_dir.is_none() {
            return;
        }
        // Without nftables, or the right to it, nothing was left.
        let Ok(mut firewall) = Firewall::open(self.plan.share_table) else { return };
        if firewall.is_there().is_ok_and(|there| there) {
            match firewall.guard(&[], None, Up::new(), clock::boot_ms()) {
                Ok(()) => self.warn("no door guards ports any more; the guards from before are taken away"),
                Err(error) => self.trouble(&format!("guards from before cannot be taken away: {error}")),
            }
        }
    }

    /// Puts the plan's guards into the kernel, as the state says.
    pub(super) fn put_guards(&mut self) -> Result<(), FirewallError> {
        if self.plan.guards.is_empty() && self.gate.firewall().is_none() {
            return Ok(());
        }
        if self.gate.firewall().is_none() && self.firewall.is_none() {
            self.firewall = Some(Firewall::open(self.plan.share_table)?);
        }
        let guards = self.state.apply(&self.plan.guards, &self.left_open);
        let (up, ends) = (self.connected(), self.state.trial_ends());
        let done = self.gate.guard(clock::boot_ms(), guards, self.firewall.take(), ends, up);
        self.tell_gate();
        done
    }

    /// Says what cannot be guarded, and why.
    pub(super) fn tell_unguarded(&mut self, result: Result<(), FirewallError>) -> bool {
        let Err(error) = result else { return true };
        self.trouble(&format!("the guards stay as they were: {error}"));
        false
    }

    /// Decides on guards that a reload has changed: in a trial they join it, and where somebody is logged in over a port that
    /// was open before they are put on one. Whether that has to begin, once they are in force.
    pub(super) fn take_reload(&mut self, before: &Plan) -> bool {
        let changed = changed(before, &self.plan);
        if let Some(trial) = self.state.trial() {
            // The end of it may lead back.
            trial.join(changed);
            return false;
        }
        let guarded: Vec<Ports> = before.guards.iter().flat_map(|door| door.guard.ports.iter().copied()).collect();
        let doors = if matches!(self.state, State::Locked) { self.logged_in(&guarded) } else { BTreeSet::new() };
        if doors.is_empty() {
            self.face.keep_reloaded();
            return false;
        }
        let now = clock::boot_ms();
        self.state = State::Trial(Trial::new(Reason::Reload, changed.ports, doors, now, self.trial_ms));
        true
    }

    /// Begins a trial that the state already holds.
    pub(super) fn begin_trial(&mut self, stream: Option<ConnectionId>) {
        let own = own_addresses();
        let now = clock::boot_ms();
        let gate = &mut self.gate;
        let Some(trial) = self.state.trial() else { return };
        trial.begin(gate, own, now);
        trial.stream = stream;
        let (prove, seconds) = (trial.prove.clone(), trial.ends.saturating_sub(now).div_ceil(1000));
        let reason = trial.reason;
        let why = match reason {
            Reason::Start => "somebody may be logged in over a port that is guarded for the first time; ",
            Reason::Reload => "the new configuration is in force on trial; ",
            Reason::Lock => "",
        };
        let instructions = self.instructions(&prove);
        // The sequence is not for the log.
        let names = prove.into_iter().collect::<Vec<_>>().join(", ");
        let otherwise = if reason == Reason::Reload { "the old one comes back" } else { "they are opened again" };
        self.warn(&format!(
            "{why}the doors are guarded on trial for {seconds} s: if nobody knocks from another machine at {names} and \
             connects in that time, {otherwise}; `klopf lock` shows what to type there"
        ));
        self.stream_trial(&TrialNews::Begun { seconds, instructions });
    }

    /// Looks at the trial, if there is one and it is time.
    pub(super) fn look_at_trial(&mut self) {
        let now = clock::boot_ms();
        let (gate, next) = (&mut self.gate, self.state.next());
        let Some(trial) = self.state.trial() else { return };
        trial.note(gate);
        if next.is_none_or(|next| next > now) {
            return;
        }
        match trial.look(gate, now) {
            Outcome::GoesOn(news) => news.iter().for_each(|news| self.tell_trial(news)),
            Outcome::Confirmed(text) => self.confirm(&text),
            Outcome::Over(saw, not_seen) => self.undo(saw, not_seen),
        }
    }

    /// An origin has got further: in a trial that is news.
    pub(super) fn hit_in_trial(&mut self, door: &str, origin: IpAddr, stage: u8, of: usize) {
        let news = self.state.trial().and_then(|trial| trial.hit(door, origin, stage, of));
        news.iter().for_each(|news| self.tell_trial(news));
    }

    fn tell_trial(&mut self, news: &TrialNews) {
        if let TrialNews::Saw { text } = news {
            self.face.tell(&Event::Notice(&format!("trial: {text}")));
        }
        self.stream_trial(news);
    }

    fn stream_trial(&mut self, news: &TrialNews) {
        let stream = self.state.trial().and_then(|trial| trial.stream);
        if let (Some(stream), Some(server)) = (stream, &mut self.control) {
            server.reply(stream, &Reply::Trial(news.clone()));
        }
    }

    fn end_stream(&mut self, news: &TrialNews) {
        self.stream_trial(news);
        let stream = self.state.trial().and_then(|trial| trial.stream.take());
        if let (Some(stream), Some(server)) = (stream, &mut self.control) {
            server.finish(stream);
        }
    }

    fn confirm(&mut self, text: &str) {
        self.end_stream(&TrialNews::Confirmed { text: text.to_owned() });
        let on_trial = self.state.trial().map(|trial| trial.doors.clone()).unwrap_or_default();
        self.left_open.retain(|door| !on_trial.contains(door));
        self.note_left_open();
        self.state = State::Locked;
        if let Err(error) = self.lockfile().lock() {
            self.trouble(&format!("cannot note that the doors are locked: {}", super::reason(&error)));
        }
        self.note_guards();
        let done = self.put_guards();
        if self.tell_unguarded(done) {
            self.face.tell(&Event::Notice(&format!("trial: {text}; the doors stay guarded")));
        }
        self.face.keep_reloaded();
    }

    fn undo(&mut self, saw: Vec<String>, not_seen: Vec<String>) {
        let reason = self.state.trial().map(|trial| trial.reason);
        let on_trial = self.state.trial().map(|trial| trial.doors.clone()).unwrap_or_default();
        let all = on_trial.is_superset(&self.guard_names());
        let text = if reason == Some(Reason::Reload) {
            "nobody has come in: the configuration from before the reload is in force again; put the old file back, too, or \
             the next reload or start closes without asking"
                .to_owned()
        } else if all {
            "nobody has come in: no door is guarded any more; klopf lock tries again".to_owned()
        } else {
            let doors = on_trial.iter().cloned().collect::<Vec<_>>().join(", ");
            format!(
                "nobody has come in: {doors} is not guarded any more, the others are as before; klopf lock tries again"
            )
        };
        self.warn(&format!("trial: {text}"));
        for line in saw
            .iter()
            .map(|line| format!("seen: {line}"))
            .chain(not_seen.iter().map(|line| format!("not seen: {line}")))
        {
            self.warn(&line);
        }
        self.end_stream(&TrialNews::Undone { text, saw, not_seen });
        if reason == Some(Reason::Reload) {
            self.state = State::Locked;
            self.face.undo_reload();
            return self.apply_anew();
        }
        self.face.keep_reloaded();
        if all {
            self.open_all();
            return;
        }
        // The others had nothing to do with it.
        self.left_open.extend(on_trial);
        self.note_left_open();
        self.state = State::Locked;
        let done = self.put_guards();
        self.tell_unguarded(done);
    }

    /// Takes every guard away, and notes that it stays so.
    pub(super) fn open_all(&mut self) -> Vec<String> {
        let mut troubles = Vec::new();
        if let Err(error) = self.lockfile().unlock() {
            let what =
                format!("cannot note that nothing is guarded ({}): the next start guards again", super::reason(&error));
            self.trouble(&what);
            troubles.push(what);
        }
        self.state = State::Unlocked;
        if let Err(error) = self.put_guards() {
            let what = format!("the guards cannot be taken away: {error}");
            self.trouble(&what);
            troubles.push(what);
        }
        troubles
    }

    pub(super) fn lockfile(&self) -> Lockfile {
        Lockfile::new(&self.state_dir)
    }

    pub(super) fn guard_names(&self) -> BTreeSet<String> {
        self.plan.guards.iter().map(|door| door.guard.door.clone()).collect()
    }

    /// Doors with ports that are not `guarded` already, and were not before.
    fn new_doors(&self, guarded: &[Ports]) -> BTreeSet<String> {
        let confirmed = self.lockfile().confirmed();
        let covers = |ports: &Ports, other: &Ports| {
            other.proto == ports.proto && other.first <= ports.first && ports.last <= other.last
        };
        let known = |ports: &Ports| confirmed.contains(&named(ports)) || guarded.iter().any(|old| covers(ports, old));
        let closed = self.plan.guards.iter().filter(|door| !self.left_open.contains(&door.guard.door));
        let new = closed.filter(|door| !door.guard.ports.iter().all(known));
        new.map(|door| door.guard.door.clone()).collect()
    }

    /// Doors over whose ports somebody from outside is connected now, whom nothing else lets in. Ports that are `guarded`
    /// already, or were before, are of no account.
    fn logged_in(&self, guarded: &[Ports]) -> BTreeSet<String> {
        let (up, confirmed) = (self.connected(), self.lockfile().confirmed());
        let over = |door: &Guarded| {
            up.iter().any(|(own, other)| {
                let ports = door.guard.ports.iter().find(|ports| has(ports, own.port()));
                let always = door.guard.always.iter().any(|network| network.contains(other.ip()));
                let known = guarded.iter().any(|ports| has(ports, own.port()));
                !always && !known && ports.is_some_and(|ports| !confirmed.contains(&named(ports)))
            })
        };
        let guarded = self.plan.guards.iter().filter(|door| !self.left_open.contains(&door.guard.door));
        guarded.filter(|door| over(door)).map(|door| door.guard.door.clone()).collect()
    }

    /// TCP connections from outside that are up at ports that are guarded or about to be.
    fn connected(&self) -> Up {
        let ports = self.plan.guards.iter().flat_map(|door| &door.guard.ports).filter(|ports| ports.proto == TCP);
        let ranges: Vec<(u16, u16)> = ports.map(|ports| (ports.first, ports.last)).collect();
        if ranges.is_empty() {
            return Up::new();
        }
        // A kernel without socket diagnosis does not tell; then connection tracking must know them.
        let mut up = klopf_sys::established_tcp(&ranges).unwrap_or_default();
        up.retain(|(_, other)| !other.ip().is_loopback());
        up
    }

    /// What to type on another machine.
    fn instructions(&self, doors: &BTreeSet<String>) -> Vec<String> {
        let host = own_addresses().into_iter().next().map_or_else(|| "HOST".to_owned(), |address| address.to_string());
        let mut lines = vec![
            "On another machine, and not through a connection that is up already, type".to_owned(),
            "(or by the address that this host has from there):".to_owned(),
        ];
        for door in self.face.doors().iter().filter(|door| doors.contains(&door.status.name)).take(4) {
            let ssh = door.status.guard.iter().any(|port| port == "tcp/22");
            let then = if ssh { format!(" && ssh {host}") } else { String::new() };
            if door.sequence.is_empty() {
                lines.push(format!("  klopf open PROFILE/{}{then}", door.status.name));
            } else {
                lines.push(format!("  klopf knock {host} {}{then}", door.sequence));
            }
            if !ssh {
                lines.push(format!("  and then connect to {} of it", door.status.guard.join(" or ")));
            }
        }
        lines.push("Stay connected until it says Confirmed.".to_owned());
        lines
    }
}

/// Doors that guard ports and are not as before.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// Those that guard other ports.
    pub(super) ports: BTreeSet<String>,
    /// All, those that another knock opens among them.
    pub(super) all: BTreeSet<String>,
}

pub(super) fn changed(before: &Plan, now: &Plan) -> Changed {
    let old: HashMap<&str, &Guarded> = before.guards.iter().map(|door| (door.guard.door.as_str(), door)).collect();
    let doors = |plan: &Plan| plan.doors.iter().cloned().collect::<HashMap<String, Door>>();
    let (old_doors, new_doors) = (doors(before), doors(now));
    let mut changed = Changed::default();
    for door in &now.guards {
        let name = &door.guard.door;
        let old = old.get(name.as_str());
        if old.is_none_or(|old| old.guard.ports != door.guard.ports) {
            changed.ports.insert(name.clone());
        }
        // A door that stays as it is keeps its id.
        if old != Some(&door) || old_doors.get(name) != new_doors.get(name) {
            changed.all.insert(name.clone());
        }
    }
    changed
}

/// The ports as the configuration writes them.
fn named(ports: &Ports) -> String {
    let proto = if ports.proto == TCP { "tcp" } else { "udp" };
    if ports.first == ports.last {
        return format!("{proto}/{}", ports.first);
    }
    format!("{proto}/{}-{}", ports.first, ports.last)
}

fn has(ports: &Ports, port: u16) -> bool {
    ports.proto == TCP && (ports.first..=ports.last).contains(&port)
}

/// This host's addresses that others may reach, IPv4 first.
fn own_addresses() -> Vec<IpAddr> {
    let all = interfaces().unwrap_or_default();
    let link_local = |address: &IpAddr| match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let mut own: Vec<IpAddr> =
        all.into_iter().flat_map(|one| one.addresses).filter(|one| !one.is_loopback() && !link_local(one)).collect();
    own.sort_by_key(IpAddr::is_ipv6);
    own
}
