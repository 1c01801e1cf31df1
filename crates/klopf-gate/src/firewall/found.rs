//! Reading the table back: leases from before, and who has changed it.

use std::collections::BTreeMap;
use std::io;

use netlink_packet_core::{DefaultNla, Nla};
use netlink_packet_netfilter::nftables::{
    ChainAttribute, DataAttribute, GenAttribute, ListAttribute, NfTablesMessage, RuleAttribute, SetAttribute,
    SetElementAttribute, SetElementList, TableAttribute,
};

use super::layout::{Hold, Network, Ports};
use super::names::{self, TABLE};
use super::sets::{self, LeaseKey};
use super::socket::{FirewallError, Heard, Netlink};
use super::table;

/// Messages with elements of a set that are looked at; each holds dozens.
const MOST_MESSAGES: usize = 1 << 20;

/// A lease that the kernel holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The door.
    pub door: String,
    /// Whose key opened it.
    pub who: Option<String>,
    /// For whom.
    pub network: Network,
    /// At which of the door's ports alone; none: all.
    pub port: Option<u16>,
    /// Where it stands.
    pub ports: Vec<Ports>,
    /// Milliseconds that are left.
    pub left: u64,
}

/// The leases of all doors, the longest of each door, network and port.
pub(super) fn leases(netlink: &mut Netlink) -> Result<Vec<Found>, FirewallError> {
    let mut found: BTreeMap<(String, Network, Option<u16>), Found> = BTreeMap::new();
    for (key, element) in elements(netlink)? {
        let (mut left, mut text) = (None, None);
        for attribute in element {
            match attribute {
                SetElementAttribute::Expiration(ms) => left = Some(ms),
                SetElementAttribute::UserData(bytes) => text = sets::comment(&bytes),
                _ => {}
            }
        }
        // What has no comment was not put there by Klopf.
        let (Some(text), Some(left)) = (text, left) else { continue };
        let (door, who, port) = sets::read_note(&text);
        let network = key.network;
        let known = found.entry((door.clone(), network, port)).or_insert_with(|| {
            let (who, ports) = (who.clone(), Vec::new());
            Found { door, who, network, port, ports, left }
        });
        known.ports.push(key.ports);
        if known.left < left {
            (known.left, known.who) = (left, who);
        }
    }
    Ok(found.into_values().collect())
}

/// Where leases stand.
pub(super) fn keys(netlink: &mut Netlink) -> Result<Vec<LeaseKey>, FirewallError> {
    Ok(elements(netlink)?.into_iter().map(|(key, _)| key).collect())
}

/// Whether any port is closed on trial only.
pub(super) fn on_trial(netlink: &mut Netlink) -> Result<bool, FirewallError> {
    let found = dumped(netlink, &names::guarded(Hold::OnTrial, ""))?;
    Ok(found.into_iter().any(|message| elements_of(message).next().is_some()))
}

/// What a set holds; nothing if it is not there.
fn dumped(netlink: &mut Netlink, set: &str) -> io::Result<Vec<NfTablesMessage>> {
    match netlink.dump(sets::ask(set), MOST_MESSAGES) {
        Err(error) if error.raw_os_error() == Some(table::ENOENT) => Ok(Vec::new()),
        found => found,
    }
}

/// The elements in a message.
fn elements_of(message: NfTablesMessage) -> impl Iterator<Item = Vec<SetElementAttribute>> {
    let attributes = match message {
        NfTablesMessage::NewSetElement(message) => message.attributes,
        _ => Vec::new(),
    };
    let lists = attributes.into_iter().filter_map(|attribute| match attribute {
        SetElementList::Elements(elements) => Some(elements),
        _ => None,
    });
    lists.flatten().filter_map(|element| match element {
        ListAttribute::Element(attributes) => Some(attributes),
        _ => None,
    })
}

fn elements(netlink: &mut Netlink) -> io::Result<Vec<(LeaseKey, Vec<SetElementAttribute>)>> {
    let mut found = Vec::new();
    for set in table::sets(netlink)? {
        let Some(place) = names::place(&set) else { continue };
        for message in dumped(netlink, &set)? {
            for attributes in elements_of(message) {
                let key = attributes.iter().find_map(|attribute| match attribute {
                    SetElementAttribute::Key(DataAttribute::Value(bytes)) => LeaseKey::read(place, bytes),
                    _ => None,
                });
                found.extend(key.map(|key| (key, attributes)));
            }
        }
    }
    Ok(found)
}

/// The name of another program that has changed the table since the last call. Changes by the socket `own` are our own.
pub(super) fn culprit(news: &Netlink, own: u32) -> Option<String> {
    let Some(heard) = news.heard() else { return Some("another program".into()) };
    let (mut touched, mut culprit) = (false, None);
    for Heard { port, message, .. } in heard {
        match message {
            // The end of a transaction says whose it was.
            NfTablesMessage::NewGen(message) if std::mem::take(&mut touched) => {
                let name = message.attributes.into_iter().find_map(|attribute| match attribute {
                    GenAttribute::ProcName(name) => Some(name),
                    _ => None,
                });
                culprit = Some(name.unwrap_or_else(|| "another program".into()));
            }
            message => touched |= port != own && concerns_us(&message),
        }
    }
    culprit
}

/// Where guards stand in the kernel, on trial excepted.
pub(super) fn guarded(netlink: &mut Netlink) -> Result<Vec<Ports>, FirewallError> {
    let mut found = Vec::new();
    for hold in [Hold::Firm, Hold::WhileAlive] {
        for message in dumped(netlink, &names::guarded(hold, ""))? {
            for element in elements_of(message) {
                let (mut first, mut last) = (None, None);
                for attribute in element {
                    match attribute {
                        SetElementAttribute::Key(DataAttribute::Value(bytes)) => first = sets::read_port(&bytes),
                        SetElementAttribute::KeyEnd(nested) => {
                            last = nested.first().and_then(|end| sets::read_port(&value(end)))
                        }
                        _ => {}
                    }
                }
                if let Some(((proto, first), (_, last))) = first.zip(last) {
                    found.push(Ports { proto, first, last });
                }
            }
        }
    }
    Ok(found)
}

fn value(attribute: &DefaultNla) -> Vec<u8> {
    let mut value = vec![0; attribute.value_len()];
    attribute.emit_value(&mut value);
    value
}

/// Whether a message is about a table of our name. Another family's is restored for nothing, which harms nobody.
fn concerns_us(message: &NfTablesMessage) -> bool {
    match message {
        NfTablesMessage::NewTable(message) | NfTablesMessage::DeleteTable(message) => {
            message.attributes.contains(&TableAttribute::Name(TABLE.into()))
        }
        NfTablesMessage::NewChain(message) | NfTablesMessage::DeleteChain(message) => {
            message.attributes.contains(&ChainAttribute::Table(TABLE.into()))
        }
        NfTablesMessage::NewRule(message) | NfTablesMessage::DeleteRule(message) => {
            message.attributes.contains(&RuleAttribute::Table(TABLE.into()))
        }
        NfTablesMessage::NewSet(message) | NfTablesMessage::DeleteSet(message) => {
            message.attributes.contains(&SetAttribute::Table(TABLE.into()))
        }
        NfTablesMessage::NewSetElement(message) | NfTablesMessage::DeleteSetElement(message) => {
            message.attributes.contains(&SetElementList::Table(TABLE.into()))
        }
        _ => false,
    }
}
