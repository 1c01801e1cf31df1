//! The way of a packet through all tables, as the kernel tells it (`meta nftrace`).

use std::collections::HashMap;
use std::net::IpAddr;

use netlink_packet_core::{DefaultNla, Nla, NlasIterator};
use netlink_packet_netfilter::nftables::{
    DataAttribute, Expressions, Immediate, Meta, MetaKey, NfTablesMessage, Operator, Register, TableFlags,
};

use super::layout::{TCP, UDP};
use super::names::{Family, TABLE};
use super::rules;
use super::socket::{FirewallError, Heard, Netlink};
use super::survey::{family_name, first_chain, make_table, own_table, remove_table};

/// A chain has decided about a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// `inet`, `ip`, `ip6`, `netdev`, `bridge` or `arp`.
    pub family: &'static str,
    /// The table's name.
    pub table: String,
    /// The chain's name.
    pub chain: String,
    /// The number of the rule; none if it was the chain's policy.
    pub rule: Option<u64>,
    /// Whether the packet goes on; otherwise it was dropped, or refused with an answer.
    pub accepted: bool,
}

/// The steps of one packet, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way(pub Vec<Step>);

impl Way {
    /// Where it ended, if it was dropped.
    #[must_use]
    pub fn dropped(&self) -> Option<&Step> {
        self.0.iter().find(|step| !step.accepted)
    }

    /// Whether Klopf's own table let it through; none if it never got there.
    #[must_use]
    pub fn let_in(&self) -> Option<bool> {
        let own = |step: &&Step| step.is_klopfs();
        let mut own = self.0.iter().filter(own).peekable();
        own.peek().is_some().then(|| own.all(|step| step.accepted))
    }
}

impl Step {
    /// Whether it is of Klopf's own table.
    #[must_use]
    pub fn is_klopfs(&self) -> bool {
        self.family == "inet" && self.table == TABLE
    }
}

/// Traces what comes from some addresses, by a table of its own that is gone with it.
pub struct Tracer {
    netlink: Netlink,
    news: Netlink,
    table: String,
    packets: HashMap<u32, Packet>,
}

/// What is known of a packet.
#[derive(Debug, Default)]
struct Packet {
    /// Protocol and destination port, as it came in.
    to: Option<(u8, u16)>,
    steps: Vec<Step>,
}

impl Tracer {
    /// Begins to trace what comes from these addresses.
    ///
    /// # Errors
    /// No right, or a kernel without tracing.
    pub fn start(sources: &[IpAddr]) -> Result<Self, FirewallError> {
        let (mut netlink, news) = (Netlink::open()?, Netlink::tracing()?);
        let table = own_table(std::process::id());
        let mut make = |flags| {
            let changes = first_chain(&table, sources.iter().map(|source| trace(*source)));
            netlink.transact([make_table(&table, flags)].into_iter().chain(changes).collect())
        };
        // With an owner it goes even when this process is killed. Not before Linux 5.12.
        make(TableFlags::Owner).or_else(|_| make(TableFlags::empty()))?;
        Ok(Self { netlink, news, table, packets: HashMap::new() })
    }

    /// The ways of all packets to a port since the last [`Tracer::forget`], as far as they have got.
    pub fn ways(&mut self, proto: u8, port: u16) -> Vec<Way> {
        // If some news are lost, the rest may tell.
        for Heard { family, message, .. } in self.news.heard().unwrap_or_default() {
            if let (NfTablesMessage::Trace(attributes), Some(family)) = (message, family_name(family)) {
                take(&mut self.packets, family, &attributes);
            }
        }
        let of_port = self.packets.values().filter(|packet| packet.to == Some((proto, port)));
        of_port.map(|packet| Way(packet.steps.clone())).collect()
    }

    /// Forgets all packets.
    pub fn forget(&mut self) {
        // What was lost is told as an error, in the midst of the rest. A stream that does not end is not waited for.
        let mut more = (0..1000).map(|_| self.news.heard());
        let _ = more.find(|heard| heard.as_ref().is_some_and(Vec::is_empty));
        self.packets.clear();
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // It traces nothing any more, and is taken away at the next start.
        let _ = self.netlink.transact(vec![remove_table(&self.table)]);
    }
}

/// Traces what comes from an address.
fn trace(source: IpAddr) -> Vec<Expressions> {
    let (family, bytes) = match source {
        IpAddr::V4(v4) => (Family::V4, v4.octets().to_vec()),
        IpAddr::V6(v6) => (Family::V6, v6.octets().to_vec()),
    };
    let register = || Register::from(rules::register(0));
    let mut rule = rules::only(family).to_vec();
    rule.extend([
        rules::load(1, family.source(), family.words() * 4, 0),
        rules::compare(0, Operator::Equal, bytes),
        Expressions::Immediate(vec![
            Immediate::DestinationRegister(register()),
            Immediate::Data(DataAttribute::Value(vec![1])),
        ]),
        Expressions::Meta(vec![Meta::Key(MetaKey::NftraceBit), Meta::SourceRegister(register())]),
    ]);
    rule
}

/// Takes in what the kernel tells of a packet. Numbers are those of linux/netfilter/nf_tables.h.
fn take(packets: &mut HashMap<u32, Packet>, family: &'static str, attributes: &[DefaultNla]) {
    const POLICY: u32 = 1;
    const RULE: u32 = 3;
    let value = |wanted: u16| attributes.iter().find(|one| one.kind() & 0x3fff == wanted).map(bytes);
    let word = |wanted| value(wanted).and_then(|bytes| number(&bytes));
    let text = |wanted| value(wanted).map(|bytes| String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned());
    let Some(id) = word(6) else { return };
    let packet = packets.entry(id).or_default();
    if let (None, Some(network), Some(transport)) = (packet.to, value(8), value(9)) {
        packet.to = destination(&network, &transport);
    }
    let (verdict, rule) = match word(4) {
        Some(POLICY) => (word(16), None),
        Some(RULE) => {
            let handle = value(3).and_then(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?)));
            (value(5).and_then(|nested| code(&nested)), handle)
        }
        _ => return,
    };
    // Jumps and the like decide nothing.
    let Some(accepted) = verdict.and_then(|verdict| matches!(verdict, 0 | 1).then_some(verdict == 1)) else { return };
    let (Some(table), Some(chain)) = (text(1), text(2)) else { return };
    packet.steps.push(Step { family, table, chain, rule, accepted });
}

fn bytes(attribute: &DefaultNla) -> Vec<u8> {
    let mut bytes = vec![0; attribute.value_len()];
    attribute.emit_value(&mut bytes);
    bytes
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// The code in a verdict's attributes.
fn code(nested: &[u8]) -> Option<u32> {
    let mut parts = NlasIterator::new(nested).flatten();
    parts.find(|part| part.kind() == 1).and_then(|part| number(part.value()))
}

/// Protocol and destination port by the headers of network and transport.
fn destination(network: &[u8], transport: &[u8]) -> Option<(u8, u16)> {
    let proto = match network.first()? >> 4 {
        4 => *network.get(9)?,
        6 => *network.get(6)?,
        _ => return None,
    };
    let port = u16::from_be_bytes([*transport.get(2)?, *transport.get(3)?]);
    [TCP, UDP].contains(&proto).then_some((proto, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(table: &str, accepted: bool) -> Step {
        Step { family: "inet", table: table.into(), chain: "c".into(), rule: None, accepted }
    }

    #[test]
    fn a_way_ends_where_it_is_dropped() {
        let way = Way(vec![step("klopf", true), step("nat", true), step("filter", false)]);
        assert_eq!((way.let_in(), way.dropped().unwrap().table.as_str()), (Some(true), "filter"));
        let way = Way(vec![step("raw", true), step("klopf", false)]);
        assert_eq!((way.let_in(), way.dropped().unwrap().is_klopfs()), (Some(false), true));
        assert_eq!(Way(vec![step("raw", false)]).let_in(), None);
    }

    #[test]
    fn what_the_kernel_tells_is_read() {
        let number = |kind, value: u32| DefaultNla::new(kind, value.to_be_bytes().to_vec());
        let text = |kind, value: &str| DefaultNla::new(kind, format!("{value}\0").into_bytes());
        let mut ip = vec![0x45, 0, 0, 44, 0, 0, 0, 0, 64, TCP];
        ip.resize(20, 0);
        let headers = [DefaultNla::new(8, ip), DefaultNla::new(9, vec![0x80, 0, 0, 22])];
        let mut packets = HashMap::new();
        let code = [8_u16.to_ne_bytes(), 1_u16.to_ne_bytes(), [0; 2], [0; 2]].concat();
        let handle = DefaultNla::new(3, 7_u64.to_be_bytes().to_vec());
        let start = [number(6, 5), text(1, "filter"), text(2, "input"), number(4, 3), handle, DefaultNla::new(5, code)];
        take(&mut packets, "ip", &start.iter().chain(&headers).cloned().collect::<Vec<_>>());
        take(&mut packets, "inet", &[number(6, 5), text(1, "f"), text(2, "i"), number(4, 1), number(16, 1)]);
        take(&mut packets, "inet", &[number(6, 5), text(1, "f"), text(2, "i"), number(4, 2)]);
        let packet = packets.get(&5).unwrap();
        assert_eq!(packet.to, Some((TCP, 22)));
        let decided: Vec<_> = packet.steps.iter().map(|step| (step.family, step.rule, step.accepted)).collect();
        assert_eq!(decided, [("ip", Some(7), false), ("inet", None, true)]);
    }
}
