//! The names of Klopf's table, chains and sets. Administrators see them.

use std::net::IpAddr;

use super::layout::{Hold, Place, Ports, TCP, UDP};

/// The table, of family inet.
pub(super) const TABLE: &str = "klopf";
/// The base chain.
pub(super) const GUARD: &str = "guard";
/// Where packets to guarded ports go.
pub(super) const CLOSED: &str = "closed";
/// Who passes there.
pub(super) const ADMITTED: &str = "admitted";
/// Where packets go that are answered as at an unused port.
pub(super) const REFUSED: &str = "refused";
/// Where leases are led to other hosts, and what is refused to the kernel's answer.
pub(super) const FORWARD: &str = "forward";
/// As long as protocols are in here, the daemon lives.
pub(super) const ALIVE: &str = "alive";
/// As long as protocols are in here, a trial goes on.
pub(super) const TRIAL: &str = "trial";

/// An IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    pub(super) fn has(self, address: IpAddr) -> bool {
        Self::of(address) == self
    }

    /// 4 or 6.
    pub(super) const fn digit(self) -> char {
        match self {
            Self::V4 => '4',
            Self::V6 => '6',
        }
    }

    /// NFPROTO_IPV4 or NFPROTO_IPV6.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::V4 => 2,
            Self::V6 => 10,
        }
    }

    /// Bits of an address.
    pub(super) const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// Words of an address.
    pub(super) const fn words(self) -> u32 {
        match self {
            Self::V4 => 1,
            Self::V6 => 4,
        }
    }

    /// Where the source address stands in a header, in bytes.
    pub(super) const fn source(self) -> u32 {
        match self {
            Self::V4 => 12,
            Self::V6 => 8,
        }
    }

    /// The mask of a prefix.
    pub(super) fn mask(self, prefix: u8) -> Vec<u8> {
        let bytes = self.words() * 4;
        let byte = |index: u32| {
            let bits = u32::from(prefix).saturating_sub(index * 8).min(8);
            !u8::MAX.checked_shr(bits).unwrap_or(0)
        };
        (0..bytes).map(byte).collect()
    }
}

/// Ports that are closed.
pub(super) fn guarded(hold: Hold, suffix: &str) -> String {
    let kind = match hold {
        Hold::Firm => "",
        Hold::WhileAlive => "_while_alive",
        Hold::OnTrial => "_on_trial",
    };
    format!("guarded{kind}{suffix}")
}

/// Ports that answer as if nothing listened there.
pub(super) fn rejected(suffix: &str) -> String {
    format!("rejected{suffix}")
}

/// Who is never shut out.
pub(super) fn always(family: Family, suffix: &str) -> String {
    format!("always{}{suffix}", family.digit())
}

/// The leases.
pub(super) fn open(place: Place) -> String {
    of_place("open", place)
}

/// Where leases lead to.
pub(super) fn forward(place: Place) -> String {
    of_place("forward", place)
}

fn of_place(kind: &str, place: Place) -> String {
    let narrower = |family: Family, prefix| if prefix == family.bits() { String::new() } else { format!("_{prefix}") };
    match place {
        Place::Shared(family, prefix) => format!("{kind}{}{}", family.digit(), narrower(family, prefix)),
        Place::Own(family, prefix, Ports { proto, first, last }) => {
            let proto = if proto == TCP { "tcp" } else { "udp" };
            let ports = if first == last { first.to_string() } else { format!("{first}_{last}") };
            format!("{kind}{}{}_{proto}_{ports}", family.digit(), narrower(family, prefix))
        }
    }
}

/// The place that a set's name tells; none if it is no set of leases.
pub(super) fn place(set: &str) -> Option<Place> {
    let rest = set.strip_prefix("open")?;
    let family = [Family::V4, Family::V6].into_iter().find(|family| rest.starts_with(family.digit()))?;
    let rest = rest.get(1..)?;
    if rest.is_empty() {
        return Some(Place::Shared(family, family.bits()));
    }
    let words: Vec<&str> = rest.strip_prefix('_')?.split('_').collect();
    let (prefix, words) = match words.as_slice() {
        words @ ["tcp" | "udp", ..] => (family.bits(), words),
        [prefix, words @ ..] => (prefix.parse().ok().filter(|prefix| *prefix <= family.bits())?, words),
        [] => return None,
    };
    let Some((&proto, ports)) = words.split_first() else { return Some(Place::Shared(family, prefix)) };
    let (first, last) = match ports {
        [port] => (port, port),
        [first, last] => (first, last),
        _ => return None,
    };
    let proto = match proto {
        "tcp" => TCP,
        "udp" => UDP,
        _ => return None,
    };
    Some(Place::Own(family, prefix, Ports { proto, first: first.parse().ok()?, last: last.parse().ok()? }))
}

/// Connections that were up before anything was closed.
pub(super) const fn spared(family: Family) -> &'static str {
    match family {
        Family::V4 => "spared4",
        Family::V6 => "spared6",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_known_by_its_sets_name() {
        let range = Ports { proto: UDP, first: 60_000, last: 61_000 };
        let port = Ports { proto: TCP, first: 22, last: 22 };
        for (at, name) in [
            (Place::Shared(Family::V4, 32), "open4"),
            (Place::Shared(Family::V6, 56), "open6_56"),
            (Place::Own(Family::V4, 32, range), "open4_udp_60000_61000"),
            // As earlier versions named them.
            (Place::Own(Family::V6, 56, port), "open6_56_tcp_22"),
        ] {
            assert_eq!((open(at).as_str(), place(name)), (name, Some(at)));
        }
        for other in
            ["open", "open5", "open4_", "open4_40", "open6_129", "open4x", "guarded", "open4_next", "open4_33_tcp_1"]
        {
            assert_eq!(place(other), None, "{other}");
        }
    }

    #[test]
    fn masks() {
        assert_eq!(Family::V4.mask(24), [255, 255, 255, 0]);
        assert_eq!(Family::V4.mask(9), [255, 128, 0, 0]);
        assert_eq!(Family::V4.mask(32), [255; 4]);
        assert_eq!(Family::V6.mask(56)[6..9], [255, 0, 0]);
    }
}
