//! A look at the tables of others: what may drop a packet before Klopf's table sees it or after, which ports lead to
//! containers, and what this kernel lacks. Changes nothing.

use std::fmt;

use netlink_packet_core::{DefaultNla, Nla};
use netlink_packet_netfilter::NetfilterProtoFamily as Family;
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, Cmp, DataAttribute, ExpressionAttribute, Expressions, Hook, HookNumber,
    InetHookNumber, ListAttribute, Meta, MetaKey, NfTablesMessage, Operator, Payload, RuleAttribute, RuleMessage,
    SetAttribute, SetFlags, SetMessage, TableAttribute, TableFlags, TableMessage,
};

use super::layout::{Ports, TCP, UDP};
use super::names::TABLE;
use super::rules;
use super::socket::{Change, FirewallError, Netlink};
use super::table::GUARD_PRIORITY;

/// Chains and rules that are looked at.
const MOST: usize = 1 << 16;
/// What tables of this program's own begin with, before its process id.
const OWN: &str = "klopf_doctor_";

/// When a chain sees a packet that comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before Klopf's table.
    Before,
    /// After it.
    After,
    /// Not on its way in.
    Never,
}

/// A chain of somebody else to which the kernel gives packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseChain {
    /// `inet`, `ip`, `ip6`, `netdev`, `bridge` or `arp`.
    pub family: &'static str,
    /// The table's name.
    pub table: String,
    /// The chain's name.
    pub name: String,
    /// When it sees packets.
    pub when: When,
    /// Whether it drops what its rules do not decide.
    pub drops: bool,
}

/// What matters here of a rule of somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignRule {
    /// As of [`BaseChain`].
    pub family: &'static str,
    /// The table's name.
    pub table: String,
    /// The chain's name.
    pub chain: String,
    /// Whether it asks by which interface a packet comes, but for the loopback.
    pub by_interface: bool,
    /// Ports of this host that it leads elsewhere.
    pub publishes: Option<Ports>,
}

/// As nft(8) writes it.
impl fmt::Display for BaseChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.family, self.table, self.name)
    }
}

/// The way to look.
pub struct Survey(Netlink);

impl Survey {
    /// Opens it.
    ///
    /// # Errors
    /// No netlink to netfilter.
    pub fn open() -> Result<Self, FirewallError> {
        Ok(Self(Netlink::open()?))
    }

    /// The base chains of others.
    ///
    /// # Errors
    /// No right, or no nf_tables.
    pub fn base_chains(&mut self) -> Result<Vec<BaseChain>, FirewallError> {
        let request = NfTablesMessage::GetChain(ChainMessage { attributes: Vec::new() });
        let all = self.0.dump_all(request, MOST)?;
        let chains = all.into_iter().filter_map(|(family, message)| match message {
            NfTablesMessage::NewChain(message) => base_chain(family, message.attributes),
            _ => None,
        });
        Ok(chains.collect())
    }

    /// The rules of others.
    ///
    /// # Errors
    /// As [`Survey::base_chains`].
    pub fn rules(&mut self) -> Result<Vec<ForeignRule>, FirewallError> {
        let request = NfTablesMessage::GetRule(RuleMessage { attributes: Vec::new() });
        let all = self.0.dump_all(request, MOST)?;
        let rules = all.into_iter().filter_map(|(family, message)| match message {
            NfTablesMessage::NewRule(message) => foreign_rule(family, message.attributes),
            _ => None,
        });
        Ok(rules.collect())
    }

    /// What this kernel does not have, or this user may not use, of what guards need: each with the error. Tried in
    /// batches that end by undoing themselves, so that no packet ever sees them.
    pub fn lacks(&mut self) -> Vec<FirewallError> {
        let own = own_table(std::process::id());
        let attempts = [
            ("nf_tables (CONFIG_NF_TABLES_INET)", TableFlags::empty(), Vec::new()),
            ("sets of ranges (Linux 5.6)", TableFlags::empty(), vec![set(&own)]),
            ("connection states (nft_ct, nf_conntrack)", TableFlags::empty(), rule(&own, ct())),
            ("kinds of addresses (nft_fib_inet)", TableFlags::empty(), rule(&own, fib())),
            (OWNER, TableFlags::Owner | TableFlags::Persisent, Vec::new()),
        ];
        let mut lacks = Vec::new();
        for (what, flags, changes) in attempts {
            let batch = [make_table(&own, flags)].into_iter().chain(changes).chain([remove_table(&own)]).collect();
            if let Err(FirewallError { error, .. }) = self.0.transact(batch) {
                lacks.push(FirewallError { what, error });
                if lacks.len() == 1 && what.starts_with("nf_tables") {
                    break;
                }
            }
        }
        lacks
    }

    /// Takes away what a tracer has left whose process is dead.
    pub fn tidy(&mut self, dead: impl Fn(u32) -> bool) {
        let request = NfTablesMessage::GetTable(TableMessage { attributes: Vec::new() });
        for (_, message) in self.0.dump_all(request, MOST).unwrap_or_default() {
            let NfTablesMessage::NewTable(message) = message else { continue };
            for attribute in message.attributes {
                if let TableAttribute::Name(name) = attribute
                    && name.strip_prefix(OWN).and_then(|pid| pid.parse().ok()).is_some_and(&dead)
                {
                    // It harms nobody if it stays.
                    let _ = self.0.transact(vec![remove_table(&name)]);
                }
            }
        }
    }
}

/// What [`Survey::lacks`] calls tables that outlive their owner; guards do without.
pub const OWNER: &str = "tables with an owner that they outlive (Linux 6.9)";

pub(super) fn own_table(pid: u32) -> String {
    format!("{OWN}{pid}")
}

pub(super) fn make_table(name: &str, flags: TableFlags) -> Change {
    let attributes = vec![TableAttribute::Name(name.into()), TableAttribute::Flags(flags)];
    Change::make("nf_tables", NfTablesMessage::NewTable(TableMessage { attributes }))
}

pub(super) fn remove_table(name: &str) -> Change {
    let attributes = vec![TableAttribute::Name(name.into())];
    Change::remove(NfTablesMessage::DeleteTable(TableMessage { attributes }))
}

/// A chain that sees packets before all others, with one rule.
pub(super) fn first_chain(table: &str, rules: impl IntoIterator<Item = Vec<Expressions>>) -> Vec<Change> {
    const FIRST: i32 = -1000;
    let number = Hook::Number(HookNumber::Inet(InetHookNumber::PreRouting));
    let attributes = vec![
        ChainAttribute::Table(table.into()),
        ChainAttribute::Name("all".into()),
        ChainAttribute::Hook(vec![number, Hook::Priority(FIRST.cast_unsigned())]),
        ChainAttribute::Policy(1), // accept
        ChainAttribute::Type("filter".into()),
    ];
    let chain = Change::make("nf_tables", NfTablesMessage::NewChain(ChainMessage { attributes }));
    let rules = rules.into_iter().map(|expressions| {
        let attributes = vec![
            RuleAttribute::Table(table.into()),
            RuleAttribute::Chain("all".into()),
            RuleAttribute::Expressions(expressions.into_iter().map(ListAttribute::from).collect()),
        ];
        Change::append("nf_tables", NfTablesMessage::NewRule(RuleMessage { attributes }))
    });
    [chain].into_iter().chain(rules).collect()
}

fn rule(table: &str, expressions: Vec<Expressions>) -> Vec<Change> {
    first_chain(table, [expressions])
}

fn ct() -> Vec<Expressions> {
    vec![rules::other("ct", &[(1, rules::register(0)), (2, 0)])]
}

fn fib() -> Vec<Expressions> {
    vec![rules::other("fib", &[(1, rules::register(0)), (2, 3), (3, 1 << 1)])]
}

fn set(table: &str) -> Change {
    // A protocol and a port, a word each.
    let lengths = [1_u32, 2].map(|length| {
        let inner = [&8_u16.to_ne_bytes()[..], &1_u16.to_ne_bytes(), &length.to_be_bytes()].concat();
        DefaultNla::new(1 | netlink_packet_core::NLA_F_NESTED, inner)
    });
    let attributes = vec![
        SetAttribute::Table(table.into()),
        SetAttribute::Name("ranges".into()),
        SetAttribute::Flags(SetFlags::Interval | SetFlags::Concat),
        SetAttribute::KeyType(0),
        SetAttribute::KeyLen(8),
        SetAttribute::Id(1),
        SetAttribute::Description(vec![netlink_packet_netfilter::nftables::SetDescription::Concat(lengths.to_vec())]),
    ];
    Change::make("nf_tables", NfTablesMessage::NewSet(SetMessage { attributes }))
}

/// The word for a family, as nft(8) has it.
pub(super) fn family_name(family: Family) -> Option<&'static str> {
    Some(match family {
        Family::Inet => "inet",
        Family::IPv4 => "ip",
        Family::IPv6 => "ip6",
        Family::NetDev => "netdev",
        Family::Bridge => "bridge",
        Family::ARP => "arp",
        _ => return None,
    })
}

/// Whether a table is not Klopf's.
pub(super) fn foreign(family: &str, table: &str) -> bool {
    family != "inet" || (table != TABLE && !table.starts_with(OWN))
}

fn base_chain(family: Family, attributes: Vec<ChainAttribute>) -> Option<BaseChain> {
    let family = family_name(family)?;
    let (mut table, mut name, mut hook, mut priority, mut drops) = (None, None, None, 0, false);
    for attribute in attributes {
        match attribute {
            ChainAttribute::Table(text) => table = Some(text),
            ChainAttribute::Name(text) => name = Some(text),
            ChainAttribute::Policy(policy) => drops = policy == 0,
            ChainAttribute::Hook(parts) => {
                for part in parts {
                    match part {
                        Hook::Number(number) => hook = Some(u32::from(number)),
                        Hook::Priority(value) => priority = value.cast_signed(),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let (table, name, when) = (table?, name?, when(family, hook?, priority));
    foreign(family, &table).then_some(BaseChain { family, table, name, when, drops })
}

/// By the numbers of `enum nf_inet_hooks` and `enum nf_dev_hooks`.
fn when(family: &str, hook: u32, priority: i32) -> When {
    match (family, hook) {
        ("netdev", 0) | ("inet", 5) => When::Before,
        ("inet" | "ip" | "ip6", 0) if priority < GUARD_PRIORITY => When::Before,
        ("inet" | "ip" | "ip6", 0..=2) => When::After,
        _ => When::Never,
    }
}

fn foreign_rule(family: Family, attributes: Vec<RuleAttribute>) -> Option<ForeignRule> {
    let family = family_name(family)?;
    let (mut table, mut chain, mut facts) = (None, None, Facts::default());
    for attribute in attributes {
        match attribute {
            RuleAttribute::Table(text) => table = Some(text),
            RuleAttribute::Chain(text) => chain = Some(text),
            RuleAttribute::Expressions(list) => {
                let elements = list.into_iter().filter_map(|element| match element {
                    ListAttribute::Element(attributes) => Some(attributes),
                    _ => None,
                });
                for attribute in elements.flatten() {
                    if let ExpressionAttribute::Data(expression) = attribute {
                        facts.take(&expression);
                    }
                }
            }
            _ => {}
        }
    }
    let (table, chain) = (table?, chain?);
    let Facts { by_interface, translates, proto, ports, .. } = facts;
    let publishes = proto.zip(ports).filter(|_| translates).map(|(proto, (first, last))| Ports { proto, first, last });
    foreign(family, &table).then_some(ForeignRule { family, table, chain, by_interface, publishes })
}

/// What a comparison is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loaded {
    Protocol,
    Port,
    Interface,
    Else,
}

/// The name or the number of the loopback interface, which nearly every firewall asks for.
fn is_loopback(value: &[u8]) -> bool {
    value.starts_with(b"lo\0") || value == 1_u32.to_ne_bytes()
}

/// What is known of a rule from the expressions so far.
#[derive(Debug, Default)]
struct Facts {
    loaded: Option<Loaded>,
    /// Whether an interface is loaded that was not compared yet.
    interface_loaded: bool,
    by_interface: bool,
    translates: bool,
    proto: Option<u8>,
    ports: Option<(u16, u16)>,
}

impl Facts {
    fn take(&mut self, expression: &Expressions) {
        match expression {
            Expressions::Meta(parts) => {
                for part in parts {
                    use MetaKey::{Iif, Iifgroup, Iifkind, Iifname, L4Proto};
                    self.loaded = Some(match part {
                        Meta::Key(L4Proto) => Loaded::Protocol,
                        Meta::Key(Iif | Iifgroup | Iifkind | Iifname) => {
                            self.interface_loaded = true;
                            Loaded::Interface
                        }
                        Meta::Key(_) => Loaded::Else,
                        _ => continue,
                    });
                }
            }
            Expressions::Payload(parts) => {
                let has = |part| parts.contains(&part);
                self.loaded = Some(if has(Payload::Base(2)) && has(Payload::Offset(2)) && has(Payload::Len(2)) {
                    Loaded::Port
                } else if has(Payload::Base(1)) && has(Payload::Offset(9)) && has(Payload::Len(1)) {
                    Loaded::Protocol
                } else {
                    Loaded::Else
                });
            }
            Expressions::Cmp(parts) => {
                let value = parts.iter().find_map(|part| match part {
                    Cmp::Data(DataAttribute::Value(value)) => Some(value.as_slice()),
                    _ => None,
                });
                let equal = parts.contains(&Cmp::Op(Operator::Equal));
                match (self.loaded, value) {
                    (Some(Loaded::Protocol), Some(&[proto])) if equal => self.proto = Some(proto),
                    (Some(Loaded::Port), Some(&[high, low])) if equal => {
                        let port = u16::from_be_bytes([high, low]);
                        self.ports = Some((port, port));
                    }
                    (Some(Loaded::Interface), Some(value)) => {
                        self.interface_loaded = false;
                        self.by_interface |= !is_loopback(value);
                    }
                    _ => {}
                }
            }
            // Perhaps together with what was loaded after it.
            Expressions::Lookup(_) => self.by_interface |= std::mem::take(&mut self.interface_loaded),
            Expressions::Other { expression_type, attributes } => self.extension(expression_type, attributes),
            _ => {}
        }
    }

    /// Translations, and what iptables-nft writes in its own way.
    fn extension(&mut self, kind: &str, attributes: &[DefaultNla]) {
        let value = |wanted: u16| {
            let found = attributes.iter().find(|one| one.kind() & 0x3fff == wanted)?;
            let mut bytes = vec![0; found.value_len()];
            found.emit_value(&mut bytes);
            Some(bytes)
        };
        let name = || value(1).unwrap_or_default();
        match kind {
            // NFT_NAT_DNAT
            "nat" => self.translates |= value(1).is_some_and(|kind| kind == 1_u32.to_be_bytes()),
            "redir" => self.translates = true,
            "target" => self.translates |= matches!(name().as_slice(), b"DNAT\0" | b"REDIRECT\0"),
            "match" => {
                let proto = match name().as_slice() {
                    b"tcp\0" => TCP,
                    b"udp\0" => UDP,
                    _ => return,
                };
                // The destination ports of struct xt_tcp and struct xt_udp, of the host's byte order.
                if let Some(&[_, _, _, _, a, b, c, d, ..]) = value(3).as_deref() {
                    self.proto = Some(proto);
                    self.ports = Some((u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d])));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_before_or_after_klopfs() {
        for (family, hook, priority, expected) in [
            ("netdev", 0, 0, When::Before),
            ("netdev", 1, 0, When::Never),
            ("inet", 5, 500, When::Before),
            ("ip", 0, -300, When::Before),
            ("ip6", 0, -200, When::Before),
            ("ip6", 0, -150, When::After),
            ("inet", 0, -100, When::After),
            ("inet", 1, -1000, When::After),
            ("ip", 2, 0, When::After),
            ("ip", 3, 0, When::Never),
            ("bridge", 0, -300, When::Never),
        ] {
            assert_eq!(when(family, hook, priority), expected, "{family} {hook} {priority}");
        }
    }

    #[test]
    fn klopfs_own_tables_are_not_foreign() {
        assert!(!foreign("inet", "klopf") && !foreign("inet", &own_table(7)));
        assert!(foreign("ip", "klopf") && foreign("inet", "filter"));
    }

    #[test]
    fn what_a_rule_publishes_is_read() {
        let mut facts = Facts::default();
        let port = rules::load(2, 2, 2, 0);
        for expression in [
            rules::meta(MetaKey::Iifname, 0),
            rules::compare(0, Operator::NotEqual, b"docker0".to_vec()),
            rules::meta(MetaKey::L4Proto, 0),
            rules::compare(0, Operator::Equal, vec![TCP]),
            port,
            rules::compare(0, Operator::Equal, 8080_u16.to_be_bytes().to_vec()),
            Expressions::Other {
                expression_type: "target".into(),
                attributes: vec![DefaultNla::new(1, b"DNAT\0".to_vec())],
            },
        ] {
            facts.take(&expression);
        }
        assert_eq!((facts.proto, facts.ports), (Some(TCP), Some((8080, 8080))));
        assert!(facts.by_interface && facts.translates);
        let mut facts = Facts::default();
        facts.take(&rules::meta(MetaKey::Iif, 0));
        facts.take(&rules::compare(0, Operator::Equal, 1_u32.to_ne_bytes().to_vec()));
        assert!(!facts.by_interface, "nothing that comes from outside");
    }
}
