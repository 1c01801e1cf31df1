//! Which ports are closed, and where in the kernel's sets a lease for a door stands. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::names::Family;

/// TCP, as in an IP header.
pub const TCP: u8 = 6;
/// UDP, as in an IP header.
pub const UDP: u8 = 17;

/// Ports of one protocol (6 or 17), `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ports {
    /// 6 for TCP, 17 for UDP.
    pub proto: u8,
    /// The lowest port.
    pub first: u16,
    /// The highest port.
    pub last: u16,
}

impl Ports {
    /// All of them, or the one with a number.
    pub(crate) fn part(self, number: Option<u16>) -> Option<Self> {
        match number {
            None => Some(self),
            Some(port) if self.contains(self.proto, port) => Some(Self { first: port, last: port, ..self }),
            Some(_) => None,
        }
    }

    /// Whether they have a port in common.
    pub(crate) const fn meets(&self, other: &Self) -> bool {
        self.proto == other.proto && self.first <= other.last && other.first <= self.last
    }

    /// Whether a port is among them.
    pub(crate) fn contains(self, proto: u8, port: u16) -> bool {
        proto == self.proto && (self.first..=self.last).contains(&port)
    }
}

/// Addresses that share their first `prefix` bits; the other bits of `address` are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    /// The first address.
    pub address: IpAddr,
    /// How many bits are fixed, 32 or 128 at most.
    pub prefix: u8,
}

impl Network {
    /// The network of an address.
    #[must_use]
    pub fn of(address: IpAddr, prefix: u8) -> Self {
        let address = match address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0);
                IpAddr::V4((v4.to_bits() & mask).into())
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0);
                IpAddr::V6((v6.to_bits() & mask).into())
            }
        };
        Self { address, prefix }
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && Self::of(address, self.prefix).address == self.address
    }

    /// The network that is this address alone.
    #[must_use]
    pub fn alone(address: IpAddr) -> Self {
        Self { address, prefix: Family::of(address).bits() }
    }

    fn covers(&self, other: &Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.address)
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.address, self.prefix) {
            (IpAddr::V4(_), 32) | (IpAddr::V6(_), 128) => self.address.fmt(f),
            (address, prefix) => write!(f, "{address}/{prefix}"),
        }
    }
}

/// How much of a door a lease opens; by default what the door says, all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// Which of its ports alone, of either protocol.
    pub port: Option<u16>,
    /// How many bits of the address count, if the door lets in fewer addresses.
    pub prefix: Option<u8>,
    /// Flags that only commands are told of.
    pub flags: u8,
}

impl Scope {
    /// The network of an address that it names: without a prefix the address alone.
    #[must_use]
    pub fn network(&self, address: IpAddr) -> Network {
        Network::of(address, self.prefix.unwrap_or_else(|| Family::of(address).bits()))
    }
}

/// How long a guard holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// Until it is taken away, with a daemon or without.
    Firm,
    /// As long as the daemon says that it lives.
    WhileAlive,
    /// Until its trial ends, unless that is confirmed.
    OnTrial,
}

/// The guard of one door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The door's name.
    pub door: String,
    /// What is closed.
    pub ports: Vec<Ports>,
    /// Whether a closed port answers as one at which nothing listens.
    pub reject: bool,
    /// How long it holds.
    pub hold: Hold,
    /// Who is never shut out.
    pub always: Vec<Network>,
    /// The bits of a knocker's IPv4 address that count.
    pub prefix4: u8,
    /// The bits of a knocker's IPv6 address that count.
    pub prefix6: u8,
    /// The bits that count in a lease for the widest network of IPv4 addresses that may ask for one.
    pub widest4: u8,
    /// The same for IPv6.
    pub widest6: u8,
    /// Where a lease leads to: an address behind this host and a port, the same one if none is named.
    pub forward: Option<(IpAddr, Option<u16>)>,
}

impl Guard {
    /// One that is firm, and lets in who has a lease, by the whole of their address.
    #[must_use]
    pub fn new(door: String, ports: Vec<Ports>) -> Self {
        Self {
            door,
            ports,
            reject: false,
            hold: Hold::Firm,
            always: Vec::new(),
            prefix4: 32,
            prefix6: 128,
            widest4: 32,
            widest6: 128,
            forward: None,
        }
    }

    /// Whom a lease for an address lets in, or for its network of so many bits; never fewer than the door says by itself, nor
    /// more than may be asked for.
    #[must_use]
    pub fn admits(&self, address: IpAddr, asked: Option<u8>) -> Network {
        let prefixes = self.prefixes(Family::of(address));
        let prefix = asked.unwrap_or(u8::MAX).clamp(*prefixes.start(), *prefixes.end());
        Network::of(address, prefix)
    }

    /// Of how many bits the networks of its leases may be.
    fn prefixes(&self, family: Family) -> RangeInclusive<u8> {
        let (widest, own) = match family {
            Family::V4 => (self.widest4, self.prefix4),
            Family::V6 => (self.widest6, self.prefix6),
        };
        widest.min(own)..=own
    }

    /// The ports that a lease opens: all, or those with a number.
    pub(crate) fn opened(&self, number: Option<u16>) -> impl Iterator<Item = Ports> {
        self.ports.iter().filter_map(move |ports| ports.part(number))
    }
}

/// Ports that the same doors guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) ports: Ports,
    /// Indices of the guards, in order.
    pub(super) guards: Vec<usize>,
}

/// A set of leases: those for single ports share one of a family and a prefix; a range of ports has one of its own, for
/// then the kernel can find a lease by one step in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Place {
    /// By address, of which so many bits count, protocol and port.
    Shared(Family, u8),
    /// By address, of which so many bits count, for these ports.
    Own(Family, u8, Ports),
}

impl Place {
    pub(super) fn new(family: Family, prefix: u8, ports: Ports) -> Self {
        if ports.first == ports.last { Self::Shared(family, prefix) } else { Self::Own(family, prefix, ports) }
    }

    pub(super) fn family(self) -> Family {
        match self {
            Self::Shared(family, _) | Self::Own(family, ..) => family,
        }
    }
}

/// What leases of a place are led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Whether the port changes, too.
    pub(super) with_port: bool,
}

/// All guards, laid out for the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) guards: Vec<Guard>,
    pub(super) spans: Vec<Span>,
    /// Indices of the spans of each guard.
    of_guard: Vec<Vec<usize>>,
    by_door: BTreeMap<String, usize>,
    places: BTreeMap<Place, Option<Target>>,
}

impl Layout {
    pub(super) fn new(guards: &[Guard]) -> Self {
        let mut edges: BTreeMap<(u8, u32), (Vec<usize>, Vec<usize>)> = BTreeMap::new();
        for (index, guard) in guards.iter().enumerate() {
            for ports in &guard.ports {
                edges.entry((ports.proto, u32::from(ports.first))).or_default().0.push(index);
                edges.entry((ports.proto, u32::from(ports.last) + 1)).or_default().1.push(index);
            }
        }
        let mut spans: Vec<Span> = Vec::new();
        // A guard may name ports twice.
        let mut inside: BTreeMap<usize, usize> = BTreeMap::new();
        let mut edges = edges.into_iter().peekable();
        while let Some(((proto, at), (begin, end))) = edges.next() {
            for index in end {
                if let Some(count) = inside.get_mut(&index) {
                    *count -= 1;
                    if *count == 0 {
                        inside.remove(&index);
                    }
                }
            }
            for index in begin {
                *inside.entry(index).or_default() += 1;
            }
            let next = edges.peek().filter(|((other, _), _)| *other == proto).map(|((_, next), _)| *next);
            if let (false, Some(next), Ok(first)) = (inside.is_empty(), next, u16::try_from(at)) {
                let last = u16::try_from(next - 1).unwrap_or(u16::MAX);
                spans.push(Span { ports: Ports { proto, first, last }, guards: inside.keys().copied().collect() });
            }
        }
        let mut of_guard = vec![Vec::new(); guards.len()];
        for (number, span) in spans.iter().enumerate() {
            for &guard in &span.guards {
                if let Some(list) = of_guard.get_mut(guard) {
                    list.push(number);
                }
            }
        }
        let by_door = guards.iter().enumerate().map(|(index, guard)| (guard.door.clone(), index)).collect();
        let places = BTreeMap::new();
        let mut layout = Self { guards: guards.to_vec(), spans, of_guard, by_door, places };
        layout.places = layout.find_places();
        layout
    }

    pub(super) fn guard(&self, door: &str) -> Option<&Guard> {
        self.guards.get(*self.by_door.get(door)?)
    }

    /// The spans that a door guards.
    pub(super) fn spans_of(&self, door: &str) -> impl Iterator<Item = &Span> {
        let indices = self.by_door.get(door).and_then(|&guard| self.of_guard.get(guard));
        indices.into_iter().flatten().filter_map(|&span| self.spans.get(span))
    }

    /// The span that has these ports.
    pub(super) fn span(&self, Ports { proto, first, last }: Ports) -> Option<&Span> {
        let after = self.spans.partition_point(|span| (span.ports.proto, span.ports.first) <= (proto, first));
        let span = self.spans.get(after.checked_sub(1)?)?;
        (span.ports.contains(proto, first) && span.ports.contains(proto, last)).then_some(span)
    }

    pub(super) fn guards_of<'a>(&'a self, span: &'a Span) -> impl Iterator<Item = &'a Guard> {
        span.guards.iter().filter_map(|&guard| self.guards.get(guard))
    }

    /// How long the guard of a span holds: as the firmest of its doors says.
    pub(super) fn hold(&self, span: &Span) -> Hold {
        self.guards_of(span).map(|guard| guard.hold).min().unwrap_or(Hold::Firm)
    }

    pub(super) fn rejects(&self, span: &Span) -> bool {
        self.guards_of(span).any(|guard| guard.reject)
    }

    /// Who always passes at a span. No network in it covers another, for which the kernel has no room.
    pub(super) fn always(&self, span: &Span) -> Vec<Network> {
        let mut all: Vec<Network> = self.guards_of(span).flat_map(|guard| guard.always.iter().copied()).collect();
        all.sort_by_key(|network| network.prefix);
        let mut kept: Vec<Network> = Vec::new();
        for network in all {
            if !kept.iter().any(|wider| wider.covers(&network)) {
                kept.push(network);
            }
        }
        kept
    }

    /// All places in which a lease may stand, with what of a host behind this one it leads to.
    pub(super) fn places(&self) -> &BTreeMap<Place, Option<Target>> {
        &self.places
    }

    fn find_places(&self) -> BTreeMap<Place, Option<Target>> {
        let mut places = BTreeMap::new();
        for span in &self.spans {
            let families = [Family::V4, Family::V6].into_iter();
            let all = families.flat_map(|family| self.guards_of(span).map(move |guard| (family, guard)));
            for (family, prefix) in all.flat_map(|(family, guard)| guard.prefixes(family).map(move |one| (family, one)))
            {
                // All of a range, or one port of it.
                for place in [Place::new(family, prefix, span.ports), Place::Shared(family, prefix)] {
                    let target = self.forward(span, family).map(|(_, port)| Target { with_port: port.is_some() });
                    let known: &mut Option<Target> = places.entry(place).or_default();
                    // One map has one kind of values.
                    let with_port = [*known, target].into_iter().flatten().any(|target| target.with_port);
                    *known = known.or(target).map(|_| Target { with_port });
                }
            }
        }
        places
    }

    /// Where leases of a family at a span lead to.
    pub(super) fn forward(&self, span: &Span, family: Family) -> Option<(IpAddr, Option<u16>)> {
        self.guards_of(span).filter_map(|guard| guard.forward).find(|(to, _)| family.has(*to))
    }

    pub(super) fn any_rejects(&self) -> bool {
        self.guards.iter().any(|guard| guard.reject)
    }

    /// Whether any packet is to go elsewhere than it says.
    pub(super) fn translates(&self) -> bool {
        self.any_rejects() || self.guards.iter().any(|guard| guard.forward.is_some())
    }

    /// Whether any guard holds only for a time.
    pub(super) fn has(&self, hold: Hold) -> bool {
        self.spans.iter().any(|span| self.hold(span) == hold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(door: &str, ports: &[(u8, u16, u16)]) -> Guard {
        let ports = ports.iter().map(|&(proto, first, last)| Ports { proto, first, last });
        Guard::new(door.into(), ports.collect())
    }

    fn spans(guards: &[Guard]) -> Vec<(u8, u16, u16, Vec<usize>)> {
        let layout = Layout::new(guards);
        layout.spans.into_iter().map(|s| (s.ports.proto, s.ports.first, s.ports.last, s.guards)).collect()
    }

    #[test]
    fn ports_that_the_same_doors_guard_are_one_span() {
        let doors = [guard("a", &[(6, 22, 22), (17, 100, 200)]), guard("b", &[(17, 150, 300), (6, 22, 22)])];
        assert_eq!(
            spans(&doors),
            [(6, 22, 22, vec![0, 1]), (17, 100, 149, vec![0]), (17, 150, 200, vec![0, 1]), (17, 201, 300, vec![1]),]
        );
        assert_eq!(Layout::new(&doors).spans_of("b").count(), 3);
    }

    #[test]
    fn edges_of_the_range_of_ports_are_kept() {
        assert_eq!(
            spans(&[guard("a", &[(6, 1, 65535), (6, 65535, 65535)])]),
            [(6, 1, 65534, vec![0]), (6, 65535, 65535, vec![0])]
        );
    }

    #[test]
    fn networks_within_networks_are_left_out() {
        let mut one = guard("a", &[(6, 22, 22)]);
        let net = |text: &str, prefix| Network::of(text.parse().unwrap(), prefix);
        one.always = vec![net("10.1.0.0", 16), net("10.0.0.0", 8), net("10.0.0.0", 8), net("fd00::", 8)];
        let layout = Layout::new(&[one]);
        assert_eq!(layout.always(&layout.spans[0]), [net("10.0.0.0", 8), net("fd00::", 8)]);
    }

    #[test]
    fn leases_that_share_a_map_have_one_kind_of_targets() {
        let mut doors = [guard("a", &[(6, 8022, 8022)]), guard("b", &[(6, 8023, 8023)]), guard("c", &[(6, 22, 22)])];
        doors[0].forward = Some(("10.0.0.5".parse().unwrap(), Some(22)));
        doors[1].forward = Some(("10.0.0.6".parse().unwrap(), None));
        let layout = Layout::new(&doors);
        assert_eq!(layout.places().get(&Place::Shared(Family::V4, 32)), Some(&Some(Target { with_port: true })));
        assert_eq!(layout.places().get(&Place::Shared(Family::V6, 128)), Some(&None));
    }

    #[test]
    fn a_lease_is_as_wide_as_the_door_says_or_as_it_may_ask_for() {
        let one = Guard { prefix4: 28, widest4: 20, prefix6: 64, widest6: 128, ..guard("a", &[(6, 22, 22)]) };
        let widths = |address: &str, asked: [Option<u8>; 5]| {
            asked.map(|asked| one.admits(address.parse().unwrap(), asked).prefix)
        };
        assert_eq!(widths("10.1.2.3", [None, Some(32), Some(24), Some(20), Some(8)]), [28, 28, 24, 20, 20]);
        assert_eq!(widths("fd00::1", [None, Some(128), Some(64), Some(48), Some(0)]), [64; 5]);
        let layout = Layout::new(std::slice::from_ref(&one));
        let has = |family, prefix| layout.places().contains_key(&Place::Shared(family, prefix));
        assert!((20..=28).all(|prefix| has(Family::V4, prefix)) && has(Family::V6, 64));
        assert_eq!(layout.places().len(), 10, "and no more");
    }

    #[test]
    fn a_lease_for_one_port_of_a_range_has_a_place() {
        let layout = Layout::new(&[guard("a", &[(17, 60_000, 61_000), (6, 22, 22)])]);
        let (range, port) = ((17, 60_000, 61_000), (17, 60_500, 60_500));
        let span = |(proto, first, last)| layout.span(Ports { proto, first, last }).map(|span| span.ports.first);
        assert_eq!([span(range), span(port), span((6, 22, 22))], [Some(60_000), Some(60_000), Some(22)]);
        assert_eq!([span((17, 61_001, 61_001)), span((17, 1, 1)), span((6, 60_500, 60_500))], [None; 3]);
        assert_eq!(layout.places().len(), 4);
        let opened = |number| guard("a", &[(17, 60_000, 61_000), (6, 60_001, 60_001)]).opened(number).count();
        assert_eq!([None, Some(60_001), Some(60_002), Some(1)].map(opened), [2, 2, 1, 0]);
    }

    #[test]
    fn the_firmest_guard_counts() {
        let mut doors = [guard("a", &[(6, 22, 22)]), guard("b", &[(6, 22, 23)])];
        doors[0].hold = Hold::OnTrial;
        doors[1].hold = Hold::WhileAlive;
        let layout = Layout::new(&doors);
        let holds: Vec<Hold> = layout.spans.iter().map(|span| layout.hold(span)).collect();
        assert_eq!(holds, [Hold::WhileAlive, Hold::WhileAlive]);
    }
}
