//! What the administrator asks over the control socket.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use klopf_control::{Guards, KeyStatus, LeaseStatus, OpenedBy, RefusalStatus, Reply, Request, Status, Table};
use klopf_gate::{By, Lease};
use klopf_sys::clock;

use super::Keeper;
use super::guarding::{Changed, changed};
use super::lock::{Reason, State, Trial};
use crate::control::ConnectionId;
use crate::face::{Event, Face};
use crate::plan::Person;

/// Milliseconds that a lease may last that is granted by hand.
const LONGEST_GRANT: u64 = 30 * 86_400_000;
/// Refusals and troubles that are remembered.
const MOST_REMEMBERED: usize = 64;
/// Milliseconds that the watch may take to tell its counts, and a look at connections to be done.
const KNOWN_IN: u64 = 500;

/// What has gone wrong lately, for who asks.
#[derive(Debug, Default)]
pub(super) struct Memory {
    refusals: VecDeque<(u64, RefusalStatus)>,
    troubles: VecDeque<String>,
    counters: BTreeMap<String, u64>,
    /// Who waits for a status.
    waiting: Vec<Waiting>,
}

/// Somebody who waits for a status: counts and connections are on their way.
#[derive(Debug)]
struct Waiting {
    id: ConnectionId,
    /// In milliseconds since boot.
    since: u64,
    counted: bool,
}

impl Memory {
    pub(super) fn refused(&mut self, door: &str, origin: IpAddr, why: &str, text: String) {
        self.refused_via(door, Some(origin), None, why, text);
    }

    /// As [`Memory::refused`], of what came by a mailbox or guestbook.
    pub(super) fn refused_via(
        &mut self,
        door: &str,
        origin: Option<IpAddr>,
        via: Option<String>,
        why: &str,
        text: String,
    ) {
        let refusal = RefusalStatus { door: door.to_owned(), origin, via, why: why.to_owned(), text, ms_ago: 0 };
        self.refusals.push_front((clock::boot_ms(), refusal));
        self.refusals.truncate(MOST_REMEMBERED);
    }

    pub(super) fn trouble(&mut self, what: &str) {
        if self.troubles.back().is_none_or(|last| last != what) {
            self.troubles.push_back(what.to_owned());
        }
        if self.troubles.len() > MOST_REMEMBERED {
            self.troubles.pop_front();
        }
    }

    pub(super) fn counted(&mut self, counts: &[(&'static str, u64)]) {
        self.counters = counts.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
    }

    /// The counts are there for who waits.
    pub(super) fn all_counted(&mut self) {
        self.waiting.iter_mut().for_each(|waiting| waiting.counted = true);
    }

    /// When a status is given as things are known then, in milliseconds since boot.
    pub(super) fn next(&self) -> Option<u64> {
        self.waiting.first().map(|waiting| waiting.since + KNOWN_IN)
    }
}

impl<F: Face> Keeper<'_, F> {
    /// Hears what is asked, and answers.
    pub(super) fn answer(&mut self) {
        let Some(server) = &mut self.control else { return };
        let (requests, gone, starves) = (server.requests(), server.gone(), server.starves());
        if starves {
            self.trouble("somebody asks over the control socket, and there are no file descriptors left");
        }
        for id in gone {
            self.memory.waiting.retain(|waiting| waiting.id != id);
            if let Some(trial) = self.state.trial().filter(|trial| trial.stream == Some(id)) {
                // The trial goes on: who began it may have been cut off, which it is there for.
                trial.stream = None;
            }
            if self.rehearsal.as_ref().is_some_and(|rehearsal| rehearsal.connection == id) {
                self.end_rehearsal();
            }
        }
        for (id, request) in requests {
            if let Some(reply) = self.carry_out(id, request) {
                self.reply(id, &reply);
            }
        }
        self.give_status();
    }

    /// Does what is asked; none if the answer comes later.
    fn carry_out(&mut self, id: ConnectionId, request: Request) -> Option<Reply> {
        match request {
            Request::Status => {
                let since = clock::boot_ms();
                self.memory.waiting.push(Waiting { id, since, counted: false });
                if self.gate.in_force().any(|lease| lease.pass.is_some()) {
                    self.gate.want_connections(since);
                }
                self.watching.ask_counts();
                self.counts_wanted = true;
                None
            }
            Request::Grant { door, address, for_ms } => Some(self.grant_by_hand(&door, address, for_ms)),
            Request::Revoke { what, cut } => Some(self.revoke(&what, cut)),
            Request::RevokeKey { key, cut } => {
                let text = self.end_leases(&|lease| who(lease) == Some(&*key), cut).1;
                Some(done(&text))
            }
            Request::Lock { doors } => self.lock(id, doors),
            Request::Unlock if self.plan.guards.is_empty() => Some(done("nothing is guarded: no door guards ports")),
            Request::Unlock => {
                self.left_open.clear();
                let _ = self.lockfile().leave_open(&self.left_open);
                let troubles = self.open_all();
                self.warn("every guard was taken away by hand; klopf lock guards again");
                Some(match troubles.first() {
                    None => done("no door is guarded any more, until `klopf lock`"),
                    Some(trouble) => failed(trouble, None),
                })
            }
            Request::Reload { confirm } => self.reload_by_hand(id, confirm),
            Request::Rehearse { interface } => match self.rehearse(id, interface) {
                Ok((sequence, port)) => {
                    if let Some(server) = &mut self.control {
                        server.reply(id, &Reply::Rehearsal { sequence, port });
                    }
                    None
                }
                Err(why) => Some(failed(&why, None)),
            },
        }
    }

    fn reply(&mut self, id: ConnectionId, reply: &Reply) {
        if let Some(server) = &mut self.control {
            server.reply(id, reply);
            server.finish(id);
        }
    }

    fn grant_by_hand(&mut self, door: &str, address: IpAddr, for_ms: Option<u64>) -> Reply {
        let address = address.to_canonical();
        if !is_somebodys(address) {
            return failed(&format!("{address} is nobody's address"), None);
        }
        if for_ms.is_some_and(|ms| !(1..=LONGEST_GRANT).contains(&ms)) {
            return failed("a lease lasts a moment at least, and 30 days at most", None);
        }
        let Some(order) = self.face.by_hand(door, address, for_ms) else {
            let names: Vec<String> = self.face.doors().into_iter().map(|door| door.status.name).collect();
            return failed(&format!("there is no door {door}"), Some(format!("the doors are: {}", names.join(", "))));
        };
        let hold = order.hold;
        self.gate.grant(clock::boot_ms(), order);
        let refused = self.gate.events();
        let why = refused.iter().find_map(|event| match event {
            klopf_gate::Event::Refused { why, .. } => Some(why.name()),
            _ => None,
        });
        self.tell_gate_of(refused);
        match why {
            Some(why) => failed(&format!("refused: {why}"), None),
            None => done(&format!("door {door} is open for {address}, for {:?}", Duration::from_millis(hold))),
        }
    }

    fn revoke(&mut self, what: &str, cut: bool) -> Reply {
        let address: Option<IpAddr> = what.parse().ok();
        let known = |lease: &Lease| {
            let named = lease.address.to_string() == what;
            address.is_some_and(|address| lease.address.contains(address))
                || lease.door == what
                || who(lease) == Some(what)
                || named
        };
        let (ended, text) = self.end_leases(&known, cut);
        if ended == 0 {
            let help = "`klopf status` lists the leases; name an address, a door or a key".to_owned();
            return failed(&format!("there is no lease of {what}"), Some(help));
        }
        done(&text)
    }

    /// Ends leases, and with `cut` the connections under them; how many, and what was done in words.
    fn end_leases(&mut self, which: &dyn Fn(&Lease) -> bool, cut: bool) -> (usize, String) {
        let (chosen, others): (Vec<Lease>, Vec<Lease>) = self.gate.in_force().partition(which);
        let ended = self.gate.revoke(clock::boot_ms(), which);
        let cut = cut.then(|| self.gate.cut(&chosen, &others));
        self.tell_gate();
        let plural = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
        let connections = cut.map_or_else(String::new, |cut| format!(", and cut {}", plural(cut, "connection")));
        if cut.is_some() && ended > 0 {
            self.face.tell(&Event::Notice(&format!("revoked by hand: {}{connections}", plural(ended, "lease"))));
        }
        (ended, format!("ended {}{connections}", plural(ended, "lease")))
    }

    fn lock(&mut self, id: ConnectionId, doors: Vec<String>) -> Option<Reply> {
        let all = self.guard_names();
        if let Some(unknown) = doors.iter().find(|door| !all.contains(*door)) {
            let help = "write `guard` into the door's section, and reload".to_owned();
            return Some(failed(&format!("there is no door {unknown} that guards ports"), Some(help)));
        }
        match self.state {
            _ if all.is_empty() && self.lockfile().is_unlocked() => {
                self.state = State::Locked;
                Some(match self.lockfile().lock() {
                    Ok(()) => done("no door guards ports yet; from now on those that will are guarded"),
                    Err(error) => failed(&super::reason(&error), None),
                })
            }
            _ if all.is_empty() => {
                let help = "write `guard = [\"tcp/22\"]` into a door's section, and reload".to_owned();
                Some(failed("no door guards ports", Some(help)))
            }
            State::Locked if self.left_open.is_empty() => Some(done("the doors are guarded already")),
            State::Trial(ref mut trial) => {
                if let (Some(other), Some(server)) = (trial.stream.take(), &mut self.control) {
                    server.reply(other, &failed("somebody else asks, and is told from now on", None));
                    server.finish(other);
                }
                self.begin_trial(Some(id));
                None
            }
            State::Locked | State::Unlocked => {
                let locked = matches!(self.state, State::Locked);
                let on_trial = if locked { self.left_open.clone() } else { all };
                let prove = if doors.is_empty() { on_trial.clone() } else { doors.into_iter().collect() };
                self.state = State::Trial(Trial::new(Reason::Lock, on_trial, prove, clock::boot_ms(), self.trial_ms));
                let result = self.put_guards();
                if let Err(error) = result {
                    self.state = if locked { State::Locked } else { State::Unlocked };
                    return Some(failed(&format!("the doors cannot be guarded: {error}"), None));
                }
                self.begin_trial(Some(id));
                None
            }
        }
    }

    fn reload_by_hand(&mut self, id: ConnectionId, confirm: bool) -> Option<Reply> {
        let before = self.plan.clone();
        if !confirm {
            return Some(if self.reload() {
                done(match self.state {
                    State::Trial(_) => "the new configuration is in force, on trial: `klopf lock` says what to do",
                    _ => "the new configuration is in force",
                })
            } else {
                failed(
                    "the configuration is broken; the old one stays in force",
                    Some("`klopf check` shows every fault".into()),
                )
            });
        }
        if self.state.trial().is_some() {
            return Some(failed("a trial goes on; wait for its end", None));
        }
        let locked = matches!(self.state, State::Locked);
        if !self.face.reload() {
            let help = "`klopf check` shows every fault".into();
            return Some(failed("the configuration is broken; the old one stays in force", Some(help)));
        }
        let Changed { ports, all } = changed(&before, &self.face.plan());
        if !locked || all.is_empty() {
            self.apply_anew();
            self.face.keep_reloaded();
            return Some(done("the new configuration is in force; no guard has changed"));
        }
        self.state = State::Trial(Trial::new(Reason::Reload, ports, all, clock::boot_ms(), self.trial_ms));
        self.apply_anew();
        self.begin_trial(Some(id));
        None
    }

    /// Answers those for whom all is known, or who have waited long enough.
    fn give_status(&mut self) {
        if self.memory.waiting.is_empty() {
            return;
        }
        let (now, looking) = (clock::boot_ms(), self.gate.looking().is_some());
        let looked = self.gate.known_connections().map(|known| known.began);
        let ready = |waiting: &mut Waiting| {
            let seen = !looking || looked.is_some_and(|began| began >= waiting.since);
            (waiting.counted && seen) || waiting.since + KNOWN_IN <= now
        };
        let ready: Vec<Waiting> = self.memory.waiting.extract_if(.., ready).collect();
        if ready.is_empty() {
            return;
        }
        let reply = Reply::Status(Box::new(self.status()));
        for waiting in ready {
            self.reply(waiting.id, &reply);
        }
    }

    fn status(&mut self) -> Status {
        let now = clock::boot_ms();
        let leases: Vec<Lease> = self.gate.in_force().collect();
        let mut of_door: HashMap<&str, usize> = HashMap::new();
        for lease in &leases {
            *of_door.entry(&lease.door).or_default() += 1;
        }
        let mut doors = Vec::new();
        for door in self.face.doors() {
            let mut status = door.status;
            status.guarded = self.gate.firewall().is_some_and(|firewall| firewall.guards_door(&status.name));
            status.leases = of_door.get(status.name.as_str()).copied().unwrap_or_default();
            doors.push(status);
        }
        let guards = match self.state {
            _ if self.plan.guards.is_empty() => Guards::None,
            State::Locked => Guards::Guarded,
            State::Trial(_) => Guards::Trial,
            State::Unlocked => Guards::Unlocked,
        };
        let table = match self.gate.firewall() {
            Some(firewall) if firewall.owned() => Table::Owned,
            Some(firewall) if firewall.guards() => Table::Shared,
            _ => Table::None,
        };
        let refusals = self.memory.refusals.iter().map(|(at, refusal)| {
            let ms_ago = now.saturating_sub(*at);
            RefusalStatus { ms_ago, ..refusal.clone() }
        });
        let refusals = refusals.collect();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_ms: now.saturating_sub(self.began),
            guards,
            trial_left_ms: self.state.trial_ends().map(|ends| ends.saturating_sub(now)),
            table,
            doors,
            leases: self.lease_status(leases, now),
            refusals,
            counters: self.memory.counters.clone(),
            troubles: self.memory.troubles.iter().cloned().chain(self.face.problem().map(str::to_owned)).collect(),
            keys: self.key_status(),
            sources: self.source_status().into_iter().chain(self.log_status()).collect(),
        }
    }

    fn key_status(&self) -> Vec<KeyStatus> {
        let people = self.plan.packets.iter().flat_map(|packets| &packets.people);
        let one = |person: &Person| {
            let mark = self.replay.marks().get(person.key.id);
            let (uses, joined) = mark.map_or((0, false), |mark| (mark.uses(), mark.device().is_some()));
            KeyStatus { name: person.name.clone(), uses, joined }
        };
        people.map(one).collect()
    }

    fn lease_status(&self, leases: Vec<Lease>, now: u64) -> Vec<LeaseStatus> {
        let uses = self.gate.uses();
        let one = |lease: Lease| {
            let known = uses.as_ref().filter(|_| lease.pass.is_some());
            let connections = known
                .map(|uses| uses.get(&(lease.door.as_str(), lease.address, lease.port)).copied().unwrap_or_default());
            let (who, origin, by) =
                lease.pass.map_or((None, None, By::Sequence), |pass| (pass.who, pass.origin, pass.by));
            LeaseStatus {
                door: lease.door,
                address: lease.address.to_string(),
                port: lease.port,
                who,
                origin,
                by: match by {
                    By::Sequence => OpenedBy::Sequence,
                    By::Encoded => OpenedBy::Encoded,
                    By::Packet => OpenedBy::Packet,
                    By::Mail => OpenedBy::Mail,
                    By::Guestbook => OpenedBy::Guestbook,
                    By::Log => OpenedBy::Log,
                    By::Hand => OpenedBy::Hand,
                    By::Adopted => OpenedBy::Adopted,
                },
                opened_ms_ago: lease.opened.map(|opened| now.saturating_sub(opened)),
                left_ms: Some(lease.due.saturating_sub(now)),
                connections,
            }
        };
        leases.into_iter().map(one).collect()
    }
}

/// The key that a lease was opened with.
fn who(lease: &Lease) -> Option<&str> {
    lease.pass.as_ref()?.who.as_deref()
}

/// Whether an address can be that of a host.
pub(super) fn is_somebodys(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !(address.is_unspecified() || address.is_multicast() || broadcast)
}

fn done(text: &str) -> Reply {
    Reply::Done { text: text.to_owned() }
}

fn failed(why: &str, help: Option<String>) -> Reply {
    Reply::Failed { why: why.to_owned(), help }
}
