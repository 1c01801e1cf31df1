//! Reading the table back: leases from before, and who has changed it.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use netlink_packet_netfilter::nftables::{
    ChainAttribute, DataAttribute, GenAttribute, ListAttribute, NfTablesMessage, RuleAttribute, SetAttribute,
    SetElementAttribute, SetElementList, TableAttribute,
};

use super::layout::Hold;
use super::names::{self, TABLE};
use super::sets::{self, LeaseKey};
use super::socket::{FirewallError, Netlink};
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
    /// The address, or the first one of its network.
    pub address: IpAddr,
    /// Milliseconds that are left.
    pub left: u64,
}

/// The leases of all doors, the longest of each door and address.
pub(super) fn leases(netlink: &mut Netlink) -> Result<Vec<Found>, FirewallError> {
    let mut found: BTreeMap<(String, IpAddr), Found> = BTreeMap::new();
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
        let (door, who) = text.split_once(' ').map_or((text.as_str(), None), |(door, who)| (door, Some(who)));
        let (door, who, address) = (door.to_owned(), who.map(str::to_owned), key.network.address);
        let lease = Found { door: door.clone(), who, address, left };
        let known = found.entry((door, address)).or_insert_with(|| lease.clone());
        if known.left < left {
            *known = lease;
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
    let set = names::guarded(Hold::OnTrial, "");
    let found = match netlink.dump(sets::ask(&set), 1) {
        Err(error) if error.raw_os_error() == Some(table::ENOENT) => Vec::new(),
        found => found?,
    };
    let has_elements =
        |attribute: &SetElementList| matches!(attribute, SetElementList::Elements(all) if !all.is_empty());
    Ok(found.iter().any(|message| match message {
        NfTablesMessage::NewSetElement(message) => message.attributes.iter().any(has_elements),
        _ => false,
    }))
}

fn elements(netlink: &mut Netlink) -> io::Result<Vec<(LeaseKey, Vec<SetElementAttribute>)>> {
    let mut found = Vec::new();
    for set in table::sets(netlink)? {
        let Some(place) = names::place(&set) else { continue };
        for message in netlink.dump(sets::ask(&set), MOST_MESSAGES)? {
            let NfTablesMessage::NewSetElement(message) = message else { continue };
            let lists = message.attributes.into_iter().filter_map(|attribute| match attribute {
                SetElementList::Elements(elements) => Some(elements),
                _ => None,
            });
            for element in lists.flatten() {
                let ListAttribute::Element(attributes) = element else { continue };
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

/// The name of another program that has changed the table since the last call.
pub(super) fn culprit(news: &Netlink) -> Option<String> {
    let Some(messages) = news.news() else { return Some("another program".into()) };
    let own = std::process::id();
    let (mut touched, mut culprit) = (false, None);
    for message in messages {
        match message {
            // The end of a transaction says whose it was.
            NfTablesMessage::NewGen(message) => {
                let mut by = (None, String::from("another program"));
                for attribute in message.attributes {
                    match attribute {
                        GenAttribute::ProcPid(pid) => by.0 = Some(pid),
                        GenAttribute::ProcName(name) => by.1 = name,
                        _ => {}
                    }
                }
                if std::mem::take(&mut touched) && by.0 != Some(own) {
                    culprit = Some(by.1);
                }
            }
            message => touched |= concerns_us(&message),
        }
    }
    culprit
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
