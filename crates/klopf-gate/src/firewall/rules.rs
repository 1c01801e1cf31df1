//! The rules of Klopf's table, as nf_tables has them. Numbers are those of linux/netfilter/nf_tables.h.
//!
//! Registers are words of four bytes from [`Word`] 0 on; every part of a concatenated key begins with a word of its own.

use netlink_packet_core::DefaultNla;
use netlink_packet_netfilter::nftables::{
    Bitwise, Cmp, DataAttribute as Data, ExpressionAttribute, Expressions, Immediate, ListAttribute, Lookup, Meta,
    MetaKey, Operator, Payload, Register, Verdict, VerdictAttribute,
};

use super::layout::{Hold, Layout, Place, TCP, Target, UDP};
use super::names::{self, Family};

/// A rule: what it needs of the kernel, and its expressions.
pub(super) struct Rule {
    pub(super) needs: &'static str,
    pub(super) expressions: Vec<ListAttribute<ExpressionAttribute>>,
}

// States of connections, as bits.
const ESTABLISHED: u32 = 1 << 1;
const RELATED: u32 = 1 << 2;
const NEW: u32 = 1 << 3;

// Kinds of addresses, and of packets.
const RTN_UNICAST: u32 = 1;
const RTN_LOCAL: u32 = 2;
const PACKET_HOST: u8 = 0;

// Flags of TCP segments.
const SYN: u8 = 1 << 1;
const ACK: u8 = 1 << 4;

/// Number of a word among the registers.
type Word = u32;

/// The rules of the base chain.
pub(super) fn guard_chain(layout: &Layout, suffix: &str) -> Vec<Rule> {
    const ARPHRD_LOOPBACK: u16 = 772;
    let mut rules = vec![
        rule("nft_ct, the matching of connection states", state(ESTABLISHED | RELATED).into_iter().chain([accept()])),
        rule(
            "nf_tables",
            [meta(MetaKey::Iftype, 0), compare(0, Operator::Equal, ARPHRD_LOOPBACK.to_ne_bytes().to_vec()), accept()],
        ),
    ];
    rules.extend(guarded(layout, suffix).map(|key| rule("nf_tables", key.into_iter().chain([goto(names::CLOSED)]))));
    rules
}

/// Matches packets to guarded ports, in one way for each kind of guard that there is.
fn guarded(layout: &Layout, suffix: &str) -> impl Iterator<Item = Vec<Expressions>> {
    let holds = [Hold::Firm, Hold::WhileAlive, Hold::OnTrial].into_iter().filter(|hold| layout.has(*hold));
    holds.map(move |hold| {
        let mut expressions = range_key(0).to_vec();
        expressions.push(lookup(&names::guarded(hold, suffix), 0, None));
        let life = match hold {
            Hold::Firm => None,
            Hold::WhileAlive => Some(names::ALIVE),
            Hold::OnTrial => Some(names::TRIAL),
        };
        expressions.extend(life.map(|_| meta(MetaKey::L4Proto, 0)));
        expressions.extend(life.map(|set| lookup(set, 0, None)));
        expressions
    })
}

/// The rules that say who passes at a guarded port.
pub(super) fn admitted_chain(layout: &Layout, suffix: &str) -> Vec<Rule> {
    // What only passes through this host is none of its doors' business. Broadcasts and the like are for this host, too.
    let mut rules = vec![rule(
        "nft_fib_inet, the kind of an address",
        [destination_kind(), compare(0, Operator::Equal, RTN_UNICAST.to_ne_bytes().to_vec()), accept()],
    )];
    for &place in layout.places().keys() {
        let open = lookup(&names::open(place), 0, None);
        rules.push(rule("nf_tables", lease_key(place).into_iter().chain([open, accept()])));
    }
    for family in [Family::V4, Family::V6] {
        if layout.spans.iter().any(|span| layout.always(span).iter().any(|network| family.has(network.address))) {
            let always = lookup(&names::always(family, suffix), 0, None);
            let key = lease_key(Place::Shared(family, family.bits()));
            rules.push(rule("nf_tables", key.into_iter().chain([always, accept()])));
        }
    }
    for family in [Family::V4, Family::V6] {
        // Not for a new connection between the same ends.
        let no_syn = [load(2, 13, 1, 0), mask(0, vec![SYN]), compare(0, Operator::Equal, vec![0])];
        let spared = lookup(names::spared(family), 0, None);
        let key = only(family).into_iter().chain(is(TCP)).chain(no_syn).chain(connection_key(family));
        rules.push(rule("nf_tables", key.chain([spared, accept()])));
    }
    rules
}

/// The rules for packets to guarded ports.
///
/// A TCP port that is to look unused is left to the kernel's own answer: a reset made by nf_tables can be told from that,
/// by its traffic class and its flow label. Only what cannot begin a connection, nor be of one, gets the other kind. For UDP both are the
/// same, and no connection is remembered that would stand in the way of a later lease.
pub(super) fn closed_chain(layout: &Layout, suffix: &str) -> Vec<Rule> {
    let mut rules = vec![rule("nf_tables", [verdict(Verdict::Jump, Some(names::ADMITTED))])];
    if layout.any_rejects() {
        // Nobody answers to what was sent to all.
        let drop = || verdict(Verdict::Other(0), None);
        let elsewhere = compare(0, Operator::NotEqual, RTN_LOCAL.to_ne_bytes().to_vec());
        rules.push(rule("nft_fib_inet, the kind of an address", [destination_kind(), elsewhere, drop()]));
        let for_others = [meta(MetaKey::PacketType, 0), compare(0, Operator::NotEqual, vec![PACKET_HOST]), drop()];
        rules.push(rule("nf_tables", for_others));
        let rejected =
            |proto| is(proto).into_iter().chain(range_key(0)).chain([lookup(&names::rejected(suffix), 0, None)]);
        let new = state(NEW).into_iter().chain(rejected(TCP)).chain([accept()]);
        rules.push(rule("nft_ct, the matching of connection states", new));
        let unreachable = DefaultNla::new(2, vec![1]);
        let kind = DefaultNla::new(1, 2_u32.to_be_bytes().to_vec());
        let unreachable = Expressions::Other { expression_type: "reject".into(), attributes: vec![kind, unreachable] };
        // Segments with ACK alone may be of a connection that is up, and were only late.
        let no_ack = [load(2, 13, 1, 0), mask(0, vec![SYN | ACK]), compare(0, Operator::NotEqual, vec![ACK])];
        for (proto, but, answer) in [(TCP, &no_ack[..], other("reject", &[(1, 1)])), (UDP, &[], unreachable)] {
            let refused = rejected(proto).chain(but.iter().cloned()).chain([answer]);
            rules.push(rule("nft_reject_inet, refusing at prerouting", refused));
        }
    }
    rules.push(rule("nf_tables", [verdict(Verdict::Other(0), None)]));
    rules
}

/// The rules that let the kernel answer at TCP ports that are to look unused: nothing can listen at port 0.
pub(super) fn refused_chain() -> Vec<Rule> {
    let zero = Expressions::Immediate(vec![
        Immediate::DestinationRegister(Register::from(register(0))),
        Immediate::Data(Data::Value(vec![0; 2])),
    ]);
    let redirect = is(TCP).into_iter().chain([zero, other("redir", &[(1, register(0))])]);
    let admitted = rule("nf_tables", [verdict(Verdict::Jump, Some(names::ADMITTED))]);
    vec![admitted, rule("nft_redir, answering like an unused port", redirect)]
}

/// The rules that change where packets go: leases to hosts behind this one, and what is refused to the kernel's answer.
pub(super) fn forward_chain(layout: &Layout, suffix: &str) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (&place, &target) in layout.places() {
        let Some(Target { with_port }) = target else { continue };
        let family = place.family();
        let mut translation = vec![(1, 1), (2, u32::from(family.number())), (3, register(0))];
        translation.extend(with_port.then(|| (5, register(family.words()))));
        let to = lookup(&names::forward(place), 0, Some(0));
        rules.push(rule("nft_nat, forwarding", lease_key(place).into_iter().chain([to, other("nat", &translation)])));
    }
    if layout.any_rejects() {
        rules.extend(guarded(layout, suffix).map(|key| {
            let rejected = range_key(0).into_iter().chain([lookup(&names::rejected(suffix), 0, None)]);
            rule("nf_tables", key.into_iter().chain(rejected).chain([goto(names::REFUSED)]))
        }));
    }
    rules
}

fn rule(needs: &'static str, expressions: impl IntoIterator<Item = Expressions>) -> Rule {
    Rule { needs, expressions: expressions.into_iter().map(ListAttribute::from).collect() }
}

/// The protocol and the port that a packet is for, into two words.
fn port_key(at: Word) -> [Expressions; 2] {
    [meta(MetaKey::L4Proto, at), load(2, 2, 2, at + 1)]
}

/// The same the other way round, for sets with ranges. The kernel narrows a key down part by part, and goes through all that is left
/// after each: most elements have the same protocol, and hardly any two the same port.
fn range_key(at: Word) -> [Expressions; 2] {
    [load(2, 2, 2, at), meta(MetaKey::L4Proto, at + 1)]
}

/// What a lease of a place is found by, into words from 0 on; where that is the address alone, after matching the ports.
fn lease_key(place: Place) -> Vec<Expressions> {
    let family = place.family();
    let words = family.words();
    let address = load(1, family.source(), words * 4, 0);
    match place {
        Place::Shared(_, prefix) => {
            let counts = (prefix < family.bits()).then(|| mask(0, family.mask(prefix)));
            only(family).into_iter().chain([address]).chain(counts).chain(port_key(words)).collect()
        }
        Place::Own(_, prefix, ports) => {
            let mut key = is(ports.proto).to_vec();
            key.push(load(2, 2, 2, 0));
            if ports.first == ports.last {
                key.push(compare(0, Operator::Equal, ports.first.to_be_bytes().to_vec()));
            } else {
                key.push(compare(0, Operator::GreatherThanEqual, ports.first.to_be_bytes().to_vec()));
                key.push(compare(0, Operator::LessThanEqual, ports.last.to_be_bytes().to_vec()));
            }
            key.extend(only(family));
            key.push(address);
            key.extend((prefix < family.bits()).then(|| mask(0, family.mask(prefix))));
            key
        }
    }
}

/// Both addresses and ports.
fn connection_key(family: Family) -> [Expressions; 4] {
    let (words, source) = (family.words(), family.source());
    [
        load(1, source, words * 4, 0),
        load(2, 0, 2, words),
        load(1, source + words * 4, words * 4, words + 1),
        load(2, 2, 2, 2 * words + 1),
    ]
}

/// What kind of an address the packet is for, from the host's routes.
fn destination_kind() -> Expressions {
    other("fib", &[(1, register(0)), (2, 3), (3, 1 << 1)])
}

/// The packet is of a protocol.
fn is(proto: u8) -> [Expressions; 2] {
    [meta(MetaKey::L4Proto, 0), compare(0, Operator::Equal, vec![proto])]
}

/// The packet's connection is in one of these states.
fn state(states: u32) -> [Expressions; 3] {
    let masked = mask(0, states.to_ne_bytes().to_vec());
    [other("ct", &[(1, register(0)), (2, 0)]), masked, compare(0, Operator::NotEqual, vec![0; 4])]
}

/// The packet is of a family.
pub(super) fn only(family: Family) -> [Expressions; 2] {
    [meta(MetaKey::Nfproto, 0), compare(0, Operator::Equal, vec![family.number()])]
}

pub(super) const fn register(word: Word) -> u32 {
    8 + word
}

pub(super) fn meta(key: MetaKey, to: Word) -> Expressions {
    Expressions::Meta(vec![Meta::Key(key), Meta::DestinationRegister(Register::from(register(to)))])
}

/// Bytes of the packet: from its network header (1) or its transport header (2).
pub(super) fn load(base: u32, offset: u32, length: u32, to: Word) -> Expressions {
    Expressions::Payload(vec![
        Payload::DestinationRegister(Register::from(register(to))),
        Payload::Base(base),
        Payload::Offset(offset),
        Payload::Len(length),
    ])
}

pub(super) fn compare(word: Word, operator: Operator, with: Vec<u8>) -> Expressions {
    Expressions::Cmp(vec![
        Cmp::SourceRegister(Register::from(register(word))),
        Cmp::Op(operator),
        Cmp::Data(Data::Value(with)),
    ])
}

fn mask(word: Word, mask: Vec<u8>) -> Expressions {
    let nothing = vec![0; mask.len()];
    Expressions::Bitwise(vec![
        Bitwise::SourceRegister(Register::from(register(word))),
        Bitwise::DestinationRegister(Register::from(register(word))),
        Bitwise::Length(u32::try_from(mask.len()).unwrap_or(0)),
        Bitwise::Mask(Data::Value(mask)),
        Bitwise::Xor(Data::Value(nothing)),
    ])
}

fn lookup(set: &str, key: Word, value: Option<Word>) -> Expressions {
    let to = value.map(|word| Lookup::DestinationRegister(Register::from(register(word))));
    let from = [Lookup::Set(set.into()), Lookup::SourceRegister(Register::from(register(key)))];
    Expressions::Lookup(from.into_iter().chain(to).collect())
}

fn accept() -> Expressions {
    verdict(Verdict::Other(1), None)
}

fn goto(chain: &str) -> Expressions {
    verdict(Verdict::Goto, Some(chain))
}

pub(super) fn verdict(verdict: Verdict, chain: Option<&str>) -> Expressions {
    let chain = chain.map(|chain| VerdictAttribute::Chain(chain.into()));
    let attributes = [VerdictAttribute::Code(verdict)].into_iter().chain(chain).collect();
    Expressions::Immediate(vec![
        Immediate::DestinationRegister(Register::Verdict),
        Immediate::Data(Data::Verdict(attributes)),
    ])
}

/// An expression that the library has no type for; all its attributes are numbers.
pub(super) fn other(name: &str, attributes: &[(u16, u32)]) -> Expressions {
    let attributes = attributes.iter().map(|&(kind, value)| DefaultNla::new(kind, value.to_be_bytes().to_vec()));
    Expressions::Other { expression_type: name.into(), attributes: attributes.collect() }
}
