//! The table itself, its chains and rules, and taking it away without a daemon.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, Hook, HookNumber, InetHookNumber, NfTablesMessage, RuleAttribute, RuleMessage,
    SetAttribute, SetMessage, TableAttribute, TableFlags, TableMessage,
};

use super::layout::Layout;
use super::names::{ADMITTED, CLOSED, FORWARD, GUARD, REFUSED, TABLE};
use super::rules::{self, Rule};
use super::socket::{Change, FirewallError, Netlink};

/// The file in the runtime directory that says which process the daemon is.
pub const PID_FILE: &str = "klopfd.pid";
/// There is no such thing.
pub(super) const ENOENT: i32 = 2;
const EPERM: i32 = 1;
const EINVAL: i32 = 22;
const EOPNOTSUPP: i32 = 95;
/// Right after connection tracking (-200): before any translation of destinations, also those earlier than the usual -100.
pub(super) const GUARD_PRIORITY: i32 = -199;
/// After the guard, and before others translate destinations: the first to do so is the one that counts.
const FORWARD_PRIORITY: i32 = -198;
/// Sets of a table that are looked at.
const MOST_SETS: usize = 1 << 17;

/// What is known of the table.
pub(super) struct State {
    flags: TableFlags,
    /// The netlink port of who owns it.
    owner: Option<u32>,
}

/// The table as the kernel has it; none if it is not there.
pub(super) fn state(netlink: &mut Netlink) -> Result<Option<State>, FirewallError> {
    let request = NfTablesMessage::GetTable(TableMessage { attributes: vec![TableAttribute::Name(TABLE.into())] });
    let attributes = match netlink.get(request) {
        Ok(Some(NfTablesMessage::NewTable(table))) => table.attributes,
        Ok(_) => return Ok(None),
        Err(error) if error.raw_os_error() == Some(ENOENT) => return Ok(None),
        // Without the module nfnetlink does not know whom the request is for.
        Err(error) if error.raw_os_error() == Some(EINVAL) => {
            let what = "the kernel has no nf_tables (CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET)";
            return Err(FirewallError { what, error });
        }
        Err(error) => return Err(FirewallError { what: "nf_tables", error }),
    };
    let mut state = State { flags: TableFlags::empty(), owner: None };
    for attribute in attributes {
        match attribute {
            TableAttribute::Flags(flags) => state.flags = flags,
            TableAttribute::Owner(owner) => state.owner = Some(owner),
            _ => {}
        }
    }
    Ok(Some(state))
}

/// Whether the table is there, and is ours to take.
pub(super) fn in_order(netlink: &mut Netlink, share: bool) -> Result<bool, FirewallError> {
    let Some(state) = state(netlink)? else { return Ok(false) };
    if let Some(owner) = state.owner.filter(|owner| *owner != netlink.port()) {
        let what = format!("the table inet klopf belongs to process {owner}: is another klopfd running?");
        let error = io::Error::new(io::ErrorKind::ResourceBusy, what);
        return Err(FirewallError { what: "nf_tables", error });
    }
    Ok(state.flags.contains(TableFlags::Persisent) != share)
}

/// The names of the table's sets.
pub(super) fn sets(netlink: &mut Netlink) -> io::Result<Vec<String>> {
    let request = NfTablesMessage::GetSet(SetMessage { attributes: vec![SetAttribute::Table(TABLE.into())] });
    let mut names = Vec::new();
    let found = match netlink.dump(request, MOST_SETS) {
        Err(error) if error.raw_os_error() == Some(ENOENT) => Vec::new(),
        found => found?,
    };
    for message in found {
        let NfTablesMessage::NewSet(set) = message else { continue };
        let of_table = set.attributes.contains(&SetAttribute::Table(TABLE.into()));
        names.extend(set.attributes.into_iter().filter_map(|attribute| match attribute {
            SetAttribute::Name(name) if of_table => Some(name),
            _ => None,
        }));
    }
    Ok(names)
}

/// Whether the kernel has tables with an owner that they outlive, which those before Linux 6.9 have not: by one that is gone
/// in the same moment.
pub(super) fn may_be_owned(netlink: &mut Netlink) -> Result<bool, FirewallError> {
    let attributes = vec![TableAttribute::Name(format!("{TABLE}_{}", std::process::id()))];
    let mut owned = attributes.clone();
    owned.push(TableAttribute::Flags(TableFlags::Owner | TableFlags::Persisent));
    let made = Change::make("nf_tables", NfTablesMessage::NewTable(TableMessage { attributes: owned }));
    let gone = Change::remove(NfTablesMessage::DeleteTable(TableMessage { attributes }));
    match netlink.transact(vec![made, gone]) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.errno(), Some(EOPNOTSUPP | EINVAL)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the table has the chain that changes where packets go.
pub(super) fn translates(netlink: &mut Netlink) -> Result<bool, FirewallError> {
    let attributes = vec![ChainAttribute::Table(TABLE.into()), ChainAttribute::Name(FORWARD.into())];
    match netlink.get(NfTablesMessage::GetChain(ChainMessage { attributes })) {
        Ok(found) => Ok(found.is_some()),
        Err(error) if error.raw_os_error() == Some(ENOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Makes the table, or takes it over.
pub(super) fn make(owned: bool) -> Change {
    let flags = if owned { TableFlags::Owner | TableFlags::Persisent } else { TableFlags::empty() };
    let attributes = vec![TableAttribute::Name(TABLE.into()), TableAttribute::Flags(flags)];
    Change::make("nf_tables", NfTablesMessage::NewTable(TableMessage { attributes }))
}

/// Takes the table away with all that is in it.
pub(super) fn remove() -> Change {
    let attributes = vec![TableAttribute::Name(TABLE.into())];
    Change::remove(NfTablesMessage::DeleteTable(TableMessage { attributes }))
}

/// The chains, empty.
pub(super) fn chains(layout: &Layout) -> Vec<Change> {
    let regular = [ADMITTED, CLOSED, REFUSED].map(|name| chain("nf_tables", name, None));
    let guard = chain("nf_tables", GUARD, Some(("filter", GUARD_PRIORITY)));
    let nat = layout.translates().then(|| chain("nft_chain_nat", FORWARD, Some(("nat", FORWARD_PRIORITY))));
    regular.into_iter().chain([guard]).chain(nat).collect()
}

fn chain(needs: &'static str, name: &str, base: Option<(&str, i32)>) -> Change {
    let mut attributes = vec![ChainAttribute::Table(TABLE.into()), ChainAttribute::Name(name.into())];
    if let Some((kind, priority)) = base {
        let number = Hook::Number(HookNumber::Inet(InetHookNumber::PreRouting));
        attributes.push(ChainAttribute::Hook(vec![number, Hook::Priority(priority.cast_unsigned())]));
        attributes.push(ChainAttribute::Policy(1)); // accept
        attributes.push(ChainAttribute::Type(kind.into()));
    }
    Change::make(needs, NfTablesMessage::NewChain(ChainMessage { attributes }))
}

/// The rules that use the sets of a suffix.
pub(super) fn rules(layout: &Layout, suffix: &str) -> Vec<Change> {
    let mut all =
        vec![(ADMITTED, rules::admitted_chain(layout, suffix)), (CLOSED, rules::closed_chain(layout, suffix))];
    if layout.translates() {
        all.push((REFUSED, rules::refused_chain()));
        all.push((FORWARD, rules::forward_chain(layout, suffix)));
    }
    all.push((GUARD, rules::guard_chain(layout, suffix)));
    all.into_iter().flat_map(|(chain, rules)| rules.into_iter().map(move |rule| append(chain, rule))).collect()
}

/// The same, in the place of those that are there.
pub(super) fn other_rules(layout: &Layout, suffix: &str, translates: bool) -> Vec<Change> {
    let chains = [ADMITTED, CLOSED, REFUSED, GUARD].into_iter().chain(translates.then_some(FORWARD));
    chains.map(flush).chain(rules(layout, suffix)).collect()
}

fn append(chain: &str, rule: Rule) -> Change {
    let attributes = vec![
        RuleAttribute::Table(TABLE.into()),
        RuleAttribute::Chain(chain.into()),
        RuleAttribute::Expressions(rule.expressions),
    ];
    Change::append(rule.needs, NfTablesMessage::NewRule(RuleMessage { attributes }))
}

/// Removes all rules of a chain.
fn flush(chain: &str) -> Change {
    let attributes = vec![RuleAttribute::Table(TABLE.into()), RuleAttribute::Chain(chain.into())];
    Change::remove(NfTablesMessage::DeleteRule(RuleMessage { attributes }))
}

/// What [`unlock`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlocked {
    /// Nothing was guarded.
    NothingThere,
    /// The guards are gone.
    Removed,
    /// The guards are gone, and so is the daemon that held them and did not answer.
    RemovedAfterKilling {
        /// Its process id.
        pid: u32,
    },
}

/// Why [`unlock`] failed.
#[derive(Debug)]
pub enum UnlockError {
    /// Not allowed, or not possible.
    Firewall(FirewallError),
    /// A process that is no klopfd, or that is not known, holds the table.
    Held {
        /// Perhaps its number.
        owner: Option<u32>,
    },
    /// The guards are gone, but that they shall stay so could not be written down: the next start closes again.
    NotNoted(io::Error),
}

impl std::fmt::Display for UnlockError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Firewall(error) => error.fmt(f),
            Self::Held { owner: Some(pid) } => {
                write!(f, "a process, perhaps {pid}, holds the table inet klopf; end it, and ask again")
            }
            Self::Held { owner: None } => f.write_str("the kernel does not let go of the table inet klopf; end klopfd"),
            Self::NotNoted(error) => write!(f, "cannot note that it stays so ({error}): the next start closes again"),
        }
    }
}

impl std::error::Error for UnlockError {}

/// Takes every guard away without the daemon's help, and notes in the state directory that it stays so. A daemon that
/// holds the table is ended: it has been asked before, and has not answered.
///
/// # Errors
/// See [`UnlockError`].
pub fn unlock(runtime_dir: &Path, state_dir: &Path) -> Result<Unlocked, UnlockError> {
    let noted = crate::Lockfile::new(state_dir).unlock();
    let mut netlink = Netlink::open().map_err(|error| UnlockError::Firewall(error.into()))?;
    let mut killed = None;
    let done = loop {
        match netlink.transact(vec![remove()]) {
            Ok(()) => break killed.map_or(Unlocked::Removed, |pid| Unlocked::RemovedAfterKilling { pid }),
            Err(error) if error.errno() == Some(ENOENT) => break Unlocked::NothingThere,
            // The table has an owner, and this process all rights.
            Err(error) if error.errno() == Some(EPERM) && killed.is_none() => {
                let owner = state(&mut netlink).ok().flatten().and_then(|state| state.owner);
                killed = Some(end_daemon(runtime_dir, owner).ok_or(UnlockError::Held { owner })?);
            }
            Err(error) => return Err(UnlockError::Firewall(error)),
        }
    };
    noted.map_err(UnlockError::NotNoted)?;
    Ok(done)
}

/// Ends the daemon of a runtime directory, or else the one that owns the table, and waits until it has gone. An owner is
/// named by its socket, and the first of a process has the process's number.
fn end_daemon(runtime_dir: &Path, owner: Option<u32>) -> Option<u32> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let name = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let noted = std::fs::read_to_string(runtime_dir.join(PID_FILE)).ok().and_then(|text| text.trim().parse().ok());
    let pid = [noted, owner].into_iter().flatten().find(|pid| name(pid).trim() == "klopfd")?;
    let alive = || {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !state.is_empty() && !state.contains(") Z ")
    };
    klopf_sys::kill(pid);
    let begun = Instant::now();
    while alive() && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
    Some(pid)
}
