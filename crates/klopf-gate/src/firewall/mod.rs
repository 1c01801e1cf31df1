//! Klopf's own table in nf_tables, spoken to over netlink and changed in atomic batches.
//!
//! The kernel's copy is the one that counts: guards stand there with or without the daemon, and a lease is an element
//! with a timeout that the kernel itself ends. This module keeps what the kernel should hold, puts it there, and puts it
//! there again when somebody else has changed it.

mod found;
mod layout;
mod names;
mod rules;
mod sets;
mod socket;
mod survey;
mod table;
mod trace;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;

pub use self::found::Found;
use self::layout::Layout;
pub use self::layout::{Guard, Hold, Network, Ports, Scope, TCP, UDP};
use self::names::Family;
use self::sets::{Element, LeaseKey, add, take};
pub use self::socket::FirewallError;
use self::socket::{Change, Netlink};
pub use self::survey::{BaseChain, ForeignRule, OWNER, Survey, When};
pub use self::table::{PID_FILE, UnlockError, Unlocked, unlock};
pub use self::trace::{Step, Tracer, Way};

/// Milliseconds for which a guard holds that is a lease, from each sign of life.
pub const ALIVE_FOR: u64 = 12_000;
/// Milliseconds between signs of life.
pub const BEAT: u64 = 4_000;
/// Milliseconds for which a connection is spared that was up before anything was closed: as long as the kernel's
/// connection tracking remembers an idle one.
const SPARED_FOR: u64 = 5 * 86_400_000;
/// What the names of sets end with that are made beside others.
const ASIDE: [&str; 2] = ["_next", "_other"];
/// Connections that are spared at most.
const MOST_SPARED: usize = 16_384;

/// So often the table is restored at once, within so many milliseconds; then that waits.
const MOST_IN_A_ROW: usize = 32;
const IN_A_ROW: u64 = 10_000;
/// Milliseconds that it waits.
const PAUSE: u64 = 1000;
/// Milliseconds until it is tried again when the kernel has not taken it.
const PAUSE_AFTER_ERROR: u64 = 5000;
/// Keys of leases that are changed in one batch.
const AT_ONCE: usize = 1024;

type Result<T = ()> = std::result::Result<T, FirewallError>;

/// What a lease lets in, in the kernel's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The door's name.
    pub door: String,
    /// For whom.
    pub address: IpAddr,
    /// How much of the door.
    pub scope: Scope,
    /// Whose key it was.
    pub who: Option<String>,
    /// Until when, in milliseconds since boot.
    pub due: u64,
}

/// The table. All times are milliseconds since boot.
pub struct Firewall {
    netlink: Netlink,
    /// Hears of changes, where others may make some.
    news: Option<Netlink>,
    share: bool,
    /// What the kernel holds; none if that is not known.
    installed: Option<Layout>,
    wanted: Layout,
    leases: HashMap<u64, Admission>,
    /// Leases by where they stand, each with its end.
    by_key: HashMap<LeaseKey, Vec<u64>>,
    trial_ends: Option<u64>,
    /// Who has changed the table, if it is not restored yet.
    culprit: Option<String>,
    /// When it was restored lately.
    restored: Vec<u64>,
    /// Before that it is not restored again.
    not_before: u64,
    /// Connections that were up before their port was closed: this host's end, and the other.
    spared: Vec<(SocketAddr, SocketAddr)>,
}

impl Firewall {
    /// Opens the way to nf_tables and looks whether it is there. Changes nothing. With `share`, other programs may
    /// change the table, too.
    ///
    /// # Errors
    /// No right (`CAP_NET_ADMIN`), or no nf_tables in the kernel.
    pub fn open(share: bool) -> Result<Self> {
        let mut netlink = Netlink::open()?;
        // Another owner is told of when something is to be changed.
        table::state(&mut netlink)?;
        let share = share || !table::may_be_owned(&mut netlink)?;
        Ok(Self {
            netlink,
            news: None,
            share,
            installed: None,
            wanted: Layout::default(),
            leases: HashMap::new(),
            by_key: HashMap::new(),
            trial_ends: None,
            culprit: None,
            restored: Vec::new(),
            not_before: 0,
            spared: Vec::new(),
        })
    }

    /// Whether the table is there, from before.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn is_there(&mut self) -> Result<bool> {
        Ok(table::state(&mut self.netlink)?.is_some())
    }

    /// Where guards stand that an earlier daemon has left, on trial excepted.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn guarded(&mut self) -> Result<Vec<Ports>> {
        found::guarded(&mut self.netlink)
    }

    /// Whether a trial was under way when the last daemon ended.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn was_on_trial(&mut self) -> Result<bool> {
        found::on_trial(&mut self.netlink)
    }

    /// The leases that the kernel holds, from before.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn found(&mut self) -> Result<Vec<Found>> {
        found::leases(&mut self.netlink)
    }

    /// Closes what these guards say, and nothing else; leases stay. Those on trial hold until `trial_ends`. Connections
    /// that are `up`, as this host's end and the other, are never cut.
    ///
    /// Packets see the old guards or the new ones, never none and never both by half.
    ///
    /// # Errors
    /// The kernel has not taken it; then the old guards are in force.
    pub fn guard(
        &mut self,
        guards: &[Guard],
        trial_ends: Option<u64>,
        up: Vec<(SocketAddr, SocketAddr)>,
        now: u64,
    ) -> Result {
        let layout = Layout::new(guards);
        if trial_ends == self.trial_ends && self.installed.as_ref() == Some(&layout) {
            return Ok(());
        }
        self.spared = up;
        self.spared.truncate(MOST_SPARED);
        let wanted_before = std::mem::replace(&mut self.wanted, layout);
        let trial_before = std::mem::replace(&mut self.trial_ends, trial_ends);
        let result = self.install(now);
        if result.is_err() {
            (self.wanted, self.trial_ends) = (wanted_before, trial_before);
            self.index();
            // It may have been changed by half. What the kernel does not take now is tried again.
            let _ = self.restore(now);
        }
        result
    }

    /// Puts what is wanted into the kernel.
    fn install(&mut self, now: u64) -> Result {
        if self.wanted.spans.is_empty() {
            return self.clear();
        }
        let known = self.installed.is_some();
        let done = if known || table::in_order(&mut self.netlink, self.share)? {
            // What cannot be exchanged, perhaps because another version made it, is made anew.
            self.exchange(now).or_else(|_| self.rebuild(now))
        } else {
            self.rebuild(now)
        };
        self.installed = done.is_ok().then(|| self.wanted.clone());
        self.listen();
        done
    }

    /// Takes the table away.
    fn clear(&mut self) -> Result {
        self.installed = None;
        self.by_key.clear();
        let removed = self.netlink.transact(vec![table::remove()]);
        match removed {
            Err(error) if error.errno() != Some(table::ENOENT) => Err(error),
            _ => Ok(()),
        }
    }

    /// Makes the whole table in one batch.
    fn rebuild(&mut self, now: u64) -> Result {
        self.index();
        let there = table::state(&mut self.netlink)?.is_some();
        let old = there.then(table::remove);
        let changes = old.into_iter().chain(self.everything(now)).collect();
        self.netlink.transact(changes)
    }

    fn everything(&self, now: u64) -> Vec<Change> {
        let mut changes = vec![table::make(!self.share)];
        let closing = sets::closing(&self.wanted, "");
        let lasting = sets::lasting(&self.wanted);
        let all = lasting.iter().chain(closing.iter().map(|(set, _)| set));
        changes.extend(all.zip(1..).map(|(set, id)| set.make(id)));
        changes.extend(closing.iter().flat_map(|(set, elements)| add(&set.name, elements)));
        changes.extend(self.lasting_elements(now));
        for key in self.by_key.keys() {
            changes.extend(self.elements(key, now).flat_map(|(set, element)| add(&set, &[element])));
        }
        changes.extend(table::chains(&self.wanted));
        changes.extend(table::rules(&self.wanted, ""));
        changes
    }

    /// Replaces the guards of a table that is there, so that no packet sees it without them: what is new is made
    /// beside what is old, and the rules change over. Twice, so that names stay the same.
    fn exchange(&mut self, now: u64) -> Result {
        let mut old: Vec<LeaseKey> = match &self.installed {
            Some(_) => self.by_key.keys().copied().collect(),
            None => found::keys(&mut self.netlink)?,
        };
        self.index();
        let lasting = sets::lasting(&self.wanted);
        let mut first: Vec<Change> = vec![table::make(!self.share)];
        first.extend(lasting.iter().zip(1..).map(|(set, id)| set.make(id)));
        first.extend(table::chains(&self.wanted));
        self.netlink.transact(first)?;
        self.netlink.transact(self.lasting_elements(now))?;
        let keys: Vec<LeaseKey> = self.by_key.keys().copied().collect();
        self.renew(&keys, now)?;
        // An earlier exchange may have been cut short, and its sets be in use.
        let left = table::sets(&mut self.netlink)?;
        let next = if left.iter().any(|name| name.ends_with(ASIDE[0])) { ASIDE[1] } else { ASIDE[0] };
        self.remove_sets(&left, |name| name.ends_with(next))?;
        self.fill(next)?;
        let translates = table::translates(&mut self.netlink)?;
        self.netlink.transact(table::other_rules(&self.wanted, next, translates))?;
        let own: Vec<String> = sets::closing(&self.wanted, "").into_iter().map(|(set, _)| set.name).collect();
        self.remove_sets(&left, |name| own.iter().any(|own| own == name))?;
        self.fill("")?;
        self.netlink.transact(table::other_rules(&self.wanted, "", translates))?;
        let left = table::sets(&mut self.netlink)?;
        let kept: Vec<String> = sets::lasting(&self.wanted).into_iter().map(|set| set.name).chain(own).collect();
        self.remove_sets(&left, |name| kept.iter().all(|kept| kept != name))?;
        old.retain(|key| !self.by_key.contains_key(key) && self.wanted.places().contains_key(&key.place()));
        self.forget(&old);
        Ok(())
    }

    /// Removes some of the sets that are there; no rule may use them.
    fn remove_sets(&mut self, all: &[String], which: impl Fn(&str) -> bool) -> Result {
        let chosen = all.iter().filter(|name| which(name)).map(|name| sets::Set::remove(name));
        self.netlink.transact(chosen.collect())
    }

    /// Makes the closing sets of a suffix and fills them; nothing uses them yet.
    fn fill(&mut self, suffix: &str) -> Result {
        let closing = sets::closing(&self.wanted, suffix);
        self.netlink.transact(closing.iter().zip(1..).map(|((set, _), id)| set.make(id)).collect())?;
        for change in closing.iter().flat_map(|(set, elements)| add(&set.name, elements)) {
            self.netlink.transact(vec![change])?;
        }
        Ok(())
    }

    /// Signs of life, the trial, and spared connections.
    fn lasting_elements(&self, now: u64) -> Vec<Change> {
        let mut changes = Vec::new();
        if self.wanted.has(Hold::WhileAlive) {
            changes.extend(for_a_time(names::ALIVE, ALIVE_FOR));
        }
        if let Some(ends) = self.trial_ends.filter(|_| self.wanted.has(Hold::OnTrial)) {
            changes.extend(for_a_time(names::TRIAL, ends.saturating_sub(now)));
        }
        for family in [Family::V4, Family::V6] {
            let of_family = self.spared.iter().filter(|(own, other)| family.has(own.ip()) && family.has(other.ip()));
            let elements: Vec<Element> = of_family.map(|(own, other)| spared(*own, *other)).collect();
            changes.extend(add(names::spared(family), &elements));
        }
        changes
    }

    /// Says that the daemon lives, to be called every [`BEAT`] while [`Firewall::hangs_on_life`].
    ///
    /// # Errors
    /// The kernel has not taken it.
    pub fn beat(&mut self, now: u64) -> Result {
        match self.netlink.transact(for_a_time(names::ALIVE, ALIVE_FOR)) {
            Err(error) if error.errno() == Some(table::ENOENT) => self.restore(now),
            done => done,
        }
    }

    /// Whether a guard is in force that holds only while the daemon lives.
    #[must_use]
    pub fn hangs_on_life(&self) -> bool {
        self.installed.as_ref().is_some_and(|layout| layout.has(Hold::WhileAlive))
    }

    /// Whether anything is guarded.
    #[must_use]
    pub fn guards(&self) -> bool {
        self.installed.is_some()
    }

    /// Whether other programs cannot change the table.
    #[must_use]
    pub fn owned(&self) -> bool {
        self.guards() && !self.share
    }

    /// Whether the door guards anything now.
    #[must_use]
    pub fn guards_door(&self, door: &str) -> bool {
        self.installed.as_ref().is_some_and(|layout| layout.guard(door).is_some())
    }

    /// Lets in at a door. A lease that is there is made longer or shorter.
    ///
    /// # Errors
    /// The kernel has not taken it; the lease is kept all the same, and stands when the table is next made.
    pub fn let_in(&mut self, lease: u64, admission: Admission, now: u64) -> Result {
        let keys = self.keys(&admission);
        let guarded = self.guards_door(&admission.door);
        self.leases.insert(lease, admission);
        let fresh = keys.iter().all(|key| !self.by_key.contains_key(key));
        for key in &keys {
            let leases = self.by_key.entry(*key).or_default();
            if !leases.contains(&lease) {
                leases.push(lease);
            }
        }
        if !guarded {
            return Ok(());
        }
        let tried = if fresh { self.put(&keys, now) } else { self.renew(&keys, now) };
        match tried {
            Err(error) if error.errno() == Some(table::ENOENT) => self.restore(now),
            done => done,
        }
    }

    /// Ends a lease. What it let in stays open if another lease has it, too.
    pub fn shut_out(&mut self, lease: u64, now: u64) {
        let Some(held) = self.leases.remove(&lease) else { return };
        let mut gone = Vec::new();
        let mut shorter = Vec::new();
        for key in self.keys(&held) {
            let Some(leases) = self.by_key.get_mut(&key) else { continue };
            leases.retain(|other| *other != lease);
            if leases.is_empty() {
                self.by_key.remove(&key);
                gone.push(key);
            } else {
                shorter.push(key);
            }
        }
        if self.installed.is_some() {
            self.forget(&gone);
            // If the kernel does not take it, the lease ends by its own clock.
            let _ = self.renew(&shorter, now);
        }
    }

    /// A descriptor to wait on; [`Firewall::heard`] when it is ready. None where nobody else can change the table.
    #[must_use]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.news.as_ref().map(Netlink::fd)
    }

    /// Looks who has changed the table, and restores it; the name of the program that did. Where that goes on and on,
    /// some time passes before the next time; see [`Firewall::restore_due`].
    ///
    /// # Errors
    /// It could not be restored.
    pub fn heard(&mut self, now: u64) -> Result<Option<String>> {
        let culprit = self.news.as_ref().and_then(|news| found::culprit(news, self.netlink.port()));
        self.culprit = culprit.or_else(|| self.culprit.take());
        if self.restore_due().is_none_or(|due| due > now) {
            return Ok(None);
        }
        self.restored.retain(|at| now.saturating_sub(*at) < IN_A_ROW);
        self.restored.push(now);
        if self.restored.len() >= MOST_IN_A_ROW {
            self.not_before = now.saturating_add(PAUSE);
        }
        self.restore(now)?;
        Ok(self.culprit.take())
    }

    /// When the table is restored that others have changed, or that could not be made.
    #[must_use]
    pub fn restore_due(&self) -> Option<u64> {
        let missing = self.culprit.is_some() || self.installed.is_none();
        (missing && !self.wanted.spans.is_empty()).then_some(self.not_before)
    }

    /// Puts what is wanted into the kernel again, whatever that holds now.
    fn restore(&mut self, now: u64) -> Result {
        self.installed = None;
        if self.wanted.spans.is_empty() {
            return Ok(());
        }
        let done = self.install(now);
        if done.is_err() {
            self.not_before = now.saturating_add(PAUSE_AFTER_ERROR);
        }
        done
    }

    /// Begins to hear of changes, where others can make some.
    fn listen(&mut self) {
        if self.share && self.news.is_none() {
            // Without it the guards stand as long as nobody takes them away.
            self.news = Netlink::listening().ok();
        }
    }

    fn keys(&self, Admission { door, address, scope, .. }: &Admission) -> Vec<LeaseKey> {
        let Some(guard) = self.wanted.guard(door) else { return Vec::new() };
        let network = guard.admits(*address, scope.prefix);
        let opened = self.wanted.spans_of(door).filter_map(|span| span.ports.part(scope.port));
        opened.map(|ports| LeaseKey { network, ports }).collect()
    }

    /// Finds out anew which lease stands where.
    fn index(&mut self) {
        let mut by_key: HashMap<LeaseKey, Vec<u64>> = HashMap::new();
        for (&lease, held) in &self.leases {
            for key in self.keys(held) {
                by_key.entry(key).or_default().push(lease);
            }
        }
        self.by_key = by_key;
    }

    /// The element of a key: until the last of its leases ends.
    fn element(&self, key: &LeaseKey, now: u64) -> Option<(String, Element)> {
        let held = self.by_key.get(key)?.iter().filter_map(|lease| self.leases.get(lease));
        let last = held.max_by_key(|held| held.due)?;
        let timeout = Some(last.due.saturating_sub(now).max(1));
        let comment = Some(sets::note(&last.door, last.who.as_deref(), last.scope.port));
        Some((names::open(key.place()), Element { key: key.bytes(), timeout, comment, ..Element::default() }))
    }

    /// The element that leads a key's leases to another host.
    fn forwarding(&self, key: &LeaseKey, lease: &Element) -> Option<(String, Element)> {
        let place = key.place();
        let (to, port) = self.wanted.forward(self.wanted.span(key.ports)?, place.family())?;
        let set = names::forward(place);
        // Leases that share a place have single ports.
        let with_port = self.wanted.places().get(&place).is_some_and(|target| target.is_some_and(|to| to.with_port));
        let port = with_port.then(|| port.unwrap_or(key.ports.first));
        let mut value = sets::address_bytes(to);
        value.extend(port.map(|port| sets::word(&port.to_be_bytes())).unwrap_or_default());
        Some((set, Element { value: Some(value), comment: None, ..lease.clone() }))
    }

    /// Both elements of a key.
    fn elements(&self, key: &LeaseKey, now: u64) -> impl Iterator<Item = (String, Element)> {
        let lease = self.element(key, now);
        let forwarding = lease.as_ref().and_then(|(_, lease)| self.forwarding(key, lease));
        [lease, forwarding].into_iter().flatten()
    }

    /// Writes keys that the kernel does not hold.
    fn put(&mut self, keys: &[LeaseKey], now: u64) -> Result {
        let all = keys.iter().flat_map(|key| self.elements(key, now));
        let changes = all.flat_map(|(set, element)| add(&set, &[element])).collect();
        self.netlink.transact(changes)
    }

    /// Writes keys that the kernel may hold already.
    fn renew(&mut self, keys: &[LeaseKey], now: u64) -> Result {
        for part in keys.chunks(AT_ONCE) {
            let all = part.iter().flat_map(|key| self.elements(key, now));
            let changes = all.flat_map(|(set, element)| renewal(&set, &element)).collect();
            // One that ends just now cannot be taken out any more.
            self.netlink.transact(changes).or_else(|_| self.put(part, now))?;
        }
        Ok(())
    }

    /// Takes keys away, of which some may have ended by themselves. Where they led to ends by itself: without a lease
    /// nobody gets so far.
    fn forget(&mut self, keys: &[LeaseKey]) {
        for part in keys.chunks(AT_ONCE) {
            let element = |key: &LeaseKey| Element { key: key.bytes(), timeout: Some(1000), ..Element::default() };
            let all = part.iter().flat_map(|key| removal(&names::open(key.place()), &element(key)));
            // If the kernel does not take it, they end by its clock.
            let _ = self.netlink.transact(all.collect());
        }
    }
}

/// Makes sure that an element is there with this very timeout. Before Linux 6.12 adding one again did not change it.
fn renewal(set: &str, element: &Element) -> Vec<Change> {
    let mut changes = removal(set, element);
    changes.extend(add(set, std::slice::from_ref(element)));
    changes
}

/// Makes sure that an element is not there, whether it was or not.
fn removal(set: &str, element: &Element) -> Vec<Change> {
    let mut changes = add(set, std::slice::from_ref(element));
    changes.push(take(set, element));
    changes
}

/// Lets guards hold for so long that hang on a set: both protocols are put into it.
fn for_a_time(set: &str, timeout: u64) -> Vec<Change> {
    let element = |proto: u8| Element { key: vec![proto], timeout: Some(timeout), ..Element::default() };
    [TCP, UDP].into_iter().flat_map(|proto| renewal(set, &element(proto))).collect()
}

/// A connection as its packets come in.
fn spared(own: SocketAddr, other: SocketAddr) -> Element {
    let end = |end: SocketAddr| [sets::address_bytes(end.ip()), sets::word(&end.port().to_be_bytes())].concat();
    Element { key: [end(other), end(own)].concat(), timeout: Some(SPARED_FOR), ..Element::default() }
}
