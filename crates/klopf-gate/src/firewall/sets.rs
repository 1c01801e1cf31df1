//! Sets and maps of Klopf's table, and their elements.

use std::net::IpAddr;

use netlink_packet_core::DefaultNla;
use netlink_packet_netfilter::nftables::{
    DataAttribute as Data, ListAttribute, NfTablesMessage, SetAttribute, SetDescription, SetElementAttribute,
    SetElementList, SetElementMessage, SetFlags, SetMessage,
};

use super::layout::{Hold, Layout, Network, Place, Ports, Target};
use super::names::{self, Family, TABLE};
use super::socket::Change;

/// Milliseconds that a timeout is at least: what the kernel rounds to nothing it takes for ever.
const SHORTEST: u64 = 20;
/// Elements in one message, whose attributes have lengths of 16 bits.
const AT_ONCE: usize = 256;
/// A part of a key or value: nftables' number of its type, and its bytes.
type Field = (u32, u32);
const ADDRESS4: Field = (7, 4);
const ADDRESS6: Field = (8, 16);
const PROTOCOL: Field = (12, 1);
const PORT: Field = (13, 2);

/// A set, or with a value a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Set {
    pub(super) name: String,
    key: Vec<Field>,
    value: Option<Vec<Field>>,
    ranges: bool,
    timeouts: bool,
}

/// An element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) key: Vec<u8>,
    /// The end of the range that begins with the key.
    pub(super) end: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    /// Milliseconds.
    pub(super) timeout: Option<u64>,
    pub(super) comment: Option<String>,
}

/// Where a lease stands in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct LeaseKey {
    pub(super) network: Network,
    pub(super) ports: Ports,
}

impl LeaseKey {
    pub(super) fn place(&self) -> Place {
        Place::new(Family::of(self.network.address), self.network.prefix, self.ports)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let address = address_bytes(self.network.address);
        match self.place() {
            Place::Shared(..) => [address, port_bytes(self.ports.proto, self.ports.first)].concat(),
            Place::Own(..) => address,
        }
    }

    /// Reads a key back.
    pub(super) fn read(place: Place, bytes: &[u8]) -> Option<Self> {
        let family = place.family();
        let (address, rest) = bytes.split_at_checked(usize::try_from(family.words() * 4).ok()?)?;
        let address = match family {
            Family::V4 => IpAddr::from(<[u8; 4]>::try_from(address).ok()?),
            Family::V6 => IpAddr::from(<[u8; 16]>::try_from(address).ok()?),
        };
        let (prefix, ports) = match (place, rest) {
            (Place::Shared(_, prefix), &[proto, _, _, _, high, low, _, _]) => {
                let port = u16::from_be_bytes([high, low]);
                (prefix, Ports { proto, first: port, last: port })
            }
            (Place::Own(_, prefix, ports), []) => (prefix, ports),
            _ => return None,
        };
        Some(Self { network: Network { address, prefix }, ports })
    }
}

/// The sets of leases, and what else outlives an exchange of guards.
pub(super) fn lasting(layout: &Layout) -> Vec<Set> {
    let mut sets = Vec::new();
    for (&place, &target) in layout.places() {
        let family = place.family();
        let key: &[Field] = match place {
            Place::Shared(..) => &[address(family), PROTOCOL, PORT],
            Place::Own(..) => &[address(family)],
        };
        sets.push(Set::new(names::open(place), key).timeouts());
        if let Some(Target { with_port }) = target {
            let value = if with_port { &[address(family), PORT][..] } else { &[address(family)] };
            sets.push(Set::new(names::forward(place), key).timeouts().map(value));
        }
    }
    for family in [Family::V4, Family::V6] {
        let connection = [address(family), PORT, address(family), PORT];
        sets.push(Set::new(names::spared(family).into(), &connection).timeouts());
    }
    sets.push(Set::new(names::ALIVE.into(), &[PROTOCOL]).timeouts());
    sets.push(Set::new(names::TRIAL.into(), &[PROTOCOL]).timeouts());
    sets
}

/// The sets that say what is closed, with their elements. Nothing in them changes while rules use them.
pub(super) fn closing(layout: &Layout, suffix: &str) -> Vec<(Set, Vec<Element>)> {
    let (mut firm, mut alive, mut trial) = (Vec::new(), Vec::new(), Vec::new());
    let (mut rejected, mut always4, mut always6) = (Vec::new(), Vec::new(), Vec::new());
    for span in &layout.spans {
        let range = Element::ports(span.ports);
        rejected.extend(layout.rejects(span).then(|| range.clone()));
        match layout.hold(span) {
            Hold::Firm => firm.push(range),
            Hold::WhileAlive => alive.push(range),
            Hold::OnTrial => trial.push(range),
        }
        for network in layout.always(span) {
            let of_family = if network.address.is_ipv4() { &mut always4 } else { &mut always6 };
            of_family.push(Element::network(network, span.ports));
        }
    }
    let ports = |name, elements| (Set::new(name, &[PORT, PROTOCOL]).ranges(), elements);
    let always = |family, elements| {
        (Set::new(names::always(family, suffix), &[address(family), PROTOCOL, PORT]).ranges(), elements)
    };
    vec![
        ports(names::guarded(Hold::Firm, suffix), firm),
        ports(names::guarded(Hold::WhileAlive, suffix), alive),
        ports(names::guarded(Hold::OnTrial, suffix), trial),
        ports(names::rejected(suffix), rejected),
        always(Family::V4, always4),
        always(Family::V6, always6),
    ]
}

impl Set {
    fn new(name: String, key: &[Field]) -> Self {
        Self { name, key: key.into(), value: None, ranges: false, timeouts: false }
    }

    fn map(mut self, value: &[Field]) -> Self {
        self.value = Some(value.into());
        self
    }

    fn ranges(mut self) -> Self {
        self.ranges = true;
        self
    }

    fn timeouts(mut self) -> Self {
        self.timeouts = true;
        self
    }

    /// Makes it. `id` tells it from other sets of the batch.
    pub(super) fn make(&self, id: u32) -> Change {
        let mut flags = SetFlags::empty();
        flags.set(SetFlags::Timeout, self.timeouts);
        flags.set(SetFlags::Interval | SetFlags::Concat, self.ranges);
        flags.set(SetFlags::Map, self.value.is_some());
        let mut attributes = vec![
            SetAttribute::Table(TABLE.into()),
            SetAttribute::Name(self.name.clone()),
            SetAttribute::Flags(flags),
            SetAttribute::KeyType(kind(&self.key)),
            SetAttribute::KeyLen(length(&self.key)),
            SetAttribute::Id(id),
        ];
        if let Some(value) = &self.value {
            attributes.push(SetAttribute::DataType(kind(value)));
            attributes.push(SetAttribute::DataLen(length(value)));
        }
        if self.ranges {
            let fields = self.key.iter().map(|&(_, length)| {
                let inner = [&8_u16.to_ne_bytes()[..], &1_u16.to_ne_bytes(), &length.to_be_bytes()].concat();
                DefaultNla::new(1 | netlink_packet_core::NLA_F_NESTED, inner)
            });
            attributes.push(SetAttribute::Description(vec![SetDescription::Concat(fields.collect())]));
        }
        let needs = if self.ranges { "nf_tables with ranges in concatenations (Linux 5.6)" } else { "nf_tables" };
        Change::make(needs, NfTablesMessage::NewSet(SetMessage { attributes }))
    }

    pub(super) fn remove(name: &str) -> Change {
        let attributes = vec![SetAttribute::Table(TABLE.into()), SetAttribute::Name(name.into())];
        Change::remove(NfTablesMessage::DeleteSet(SetMessage { attributes }))
    }
}

impl Element {
    fn ports(Ports { proto, first, last }: Ports) -> Self {
        Self { key: range_bytes(proto, first), end: Some(range_bytes(proto, last)), ..Self::default() }
    }

    fn network(network: Network, Ports { proto, first, last }: Ports) -> Self {
        let lowest = address_bytes(network.address);
        let mask = Family::of(network.address).mask(network.prefix);
        let highest: Vec<u8> = lowest.iter().zip(mask).map(|(byte, mask)| byte | !mask).collect();
        let key = [lowest, port_bytes(proto, first)].concat();
        Self { key, end: Some([highest, port_bytes(proto, last)].concat()), ..Self::default() }
    }

    fn attributes(&self) -> Vec<SetElementAttribute> {
        let mut attributes = vec![SetElementAttribute::Key(Data::Value(self.key.clone()))];
        if let Some(end) = &self.end {
            attributes.push(SetElementAttribute::KeyEnd(vec![DefaultNla::new(1, end.clone())]));
        }
        if let Some(value) = &self.value {
            attributes.push(SetElementAttribute::Data(Data::Value(value.clone())));
        }
        if let Some(timeout) = self.timeout {
            attributes.push(SetElementAttribute::Timeout(timeout.max(SHORTEST)));
        }
        if let Some(comment) = &self.comment {
            // Kind 0 is nftables' comment: kind, length, and a text that ends with a zero byte.
            let text: Vec<u8> = comment.bytes().take(250).chain([0]).collect();
            let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
            attributes.push(SetElementAttribute::UserData([&[0, length][..], &text].concat()));
        }
        attributes
    }
}

/// Puts elements into a set.
pub(super) fn add(set: &str, elements: &[Element]) -> Vec<Change> {
    let message = |part: &[Element]| NfTablesMessage::NewSetElement(list(set, part));
    elements.chunks(AT_ONCE).map(|part| Change::make("nf_tables", message(part))).collect()
}

/// Takes an element out of a set.
pub(super) fn take(set: &str, element: &Element) -> Change {
    let bare = Element { key: element.key.clone(), ..Element::default() };
    Change::remove(NfTablesMessage::DeleteSetElement(list(set, &[bare])))
}

/// Asks for all elements of a set.
pub(super) fn ask(set: &str) -> NfTablesMessage {
    let attributes = vec![SetElementList::Table(TABLE.into()), SetElementList::Set(set.into())];
    NfTablesMessage::GetSetElement(SetElementMessage { attributes })
}

fn list(set: &str, elements: &[Element]) -> SetElementMessage {
    let elements = elements.iter().map(|element| ListAttribute::Element(element.attributes())).collect();
    let attributes =
        vec![SetElementList::Table(TABLE.into()), SetElementList::Set(set.into()), SetElementList::Elements(elements)];
    SetElementMessage { attributes }
}

/// What a lease's comment says: its door, whose key it was, and the one port that it is for. No name has a colon.
pub(super) fn note(door: &str, who: Option<&str>, port: Option<u16>) -> String {
    let who = who.map_or_else(String::new, |who| format!(" {who}"));
    let port = port.map_or_else(String::new, |port| format!(" :{port}"));
    format!("{door}{who}{port}")
}

/// The same from a comment.
pub(super) fn read_note(note: &str) -> (String, Option<String>, Option<u16>) {
    let (note, port) = match note.rsplit_once(" :").map(|(before, port)| (before, port.parse())) {
        Some((before, Ok(port))) => (before, Some(port)),
        _ => (note, None),
    };
    let (door, who) = note.split_once(' ').map_or((note, None), |(door, who)| (door, Some(who)));
    (door.to_owned(), who.map(str::to_owned), port)
}

/// A lease's comment in the kernel, from its userdata.
pub(super) fn comment(userdata: &[u8]) -> Option<String> {
    let (&[0, length], text) = userdata.split_first_chunk()? else { return None };
    let text = text.get(..usize::from(length))?.strip_suffix(&[0])?;
    String::from_utf8(text.to_vec()).ok()
}

pub(super) fn address_bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().into(),
        IpAddr::V6(address) => address.octets().into(),
    }
}

fn port_bytes(proto: u8, port: u16) -> Vec<u8> {
    [word(&[proto]), word(&port.to_be_bytes())].concat()
}

/// A port and its protocol, in the order in which sets of ports have them.
fn range_bytes(proto: u8, port: u16) -> Vec<u8> {
    [word(&port.to_be_bytes()), word(&[proto])].concat()
}

/// The protocol and the port of such a key.
pub(super) fn read_port(bytes: &[u8]) -> Option<(u8, u16)> {
    let &[high, low, _, _, proto, _, _, _] = bytes else { return None };
    Some((proto, u16::from_be_bytes([high, low])))
}

/// A value in a word of its own.
pub(super) fn word(bytes: &[u8]) -> Vec<u8> {
    let mut word = bytes.to_vec();
    word.resize(bytes.len().next_multiple_of(4), 0);
    word
}

const fn address(family: Family) -> Field {
    match family {
        Family::V4 => ADDRESS4,
        Family::V6 => ADDRESS6,
    }
}

/// nftables' number of a concatenated type: six bits a part.
fn kind(fields: &[Field]) -> u32 {
    fields.iter().fold(0, |kind, (field, _)| kind << 6 | field)
}

fn length(fields: &[Field]) -> u32 {
    match fields {
        [(_, length)] => *length,
        fields => fields.iter().map(|(_, length)| length.next_multiple_of(4)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_key_is_read_back() {
        for (address, prefix) in [("10.1.2.0", 24), ("10.1.2.3", 32), ("fd00::", 56), ("fd00::1", 128)] {
            for last in [60_000, 61_000] {
                let network = Network { address: address.parse().unwrap(), prefix };
                let key = LeaseKey { network, ports: Ports { proto: 17, first: 60_000, last } };
                assert_eq!(LeaseKey::read(key.place(), &key.bytes()), Some(key));
                assert_eq!(LeaseKey::read(key.place(), &key.bytes()[1..]), None);
            }
        }
    }

    #[test]
    fn a_range_of_ports_begins_with_what_tells_it_from_others() {
        let element = Element::ports(Ports { proto: 17, first: 22, last: 600 });
        let end = element.end.unwrap();
        assert_eq!((&*element.key, &*end), (&[0, 22, 0, 0, 17, 0, 0, 0][..], &[2, 88, 0, 0, 17, 0, 0, 0][..]));
        assert_eq!((read_port(&element.key), read_port(&end)), (Some((17, 22)), Some((17, 600))));
        assert_eq!(read_port(&end[1..]), None);
    }

    #[test]
    fn a_network_reaches_to_its_last_address_and_port() {
        let network = Network { address: "10.1.2.0".parse().unwrap(), prefix: 23 };
        let element = Element::network(network, Ports { proto: 6, first: 22, last: 23 });
        assert_eq!(element.key, [10, 1, 2, 0, 6, 0, 0, 0, 0, 22, 0, 0]);
        assert_eq!(element.end.unwrap(), [10, 1, 3, 255, 6, 0, 0, 0, 0, 23, 0, 0]);
    }

    #[test]
    fn a_note_is_read_back() {
        for (door, who, port) in [("ssh", None, None), ("ssh", Some("laptop"), Some(22)), ("ssh", None, Some(65_535))] {
            let text = note(door, who, port);
            assert_eq!(read_note(&text), (door.to_owned(), who.map(str::to_owned), port), "{text}");
        }
    }

    #[test]
    fn comments_are_read_back_and_rubbish_is_none() {
        let element = Element { comment: Some("ssh laptop".into()), ..Element::default() };
        let userdata = element.attributes().into_iter().find_map(|attribute| match attribute {
            SetElementAttribute::UserData(bytes) => Some(bytes),
            _ => None,
        });
        assert_eq!(comment(&userdata.unwrap()).as_deref(), Some("ssh laptop"));
        for rubbish in [&b""[..], b"\0", b"\0\x05a", b"\x01\x02a\0", b"\0\x02\xff\0"] {
            assert_eq!(comment(rubbish), None);
        }
    }
}
