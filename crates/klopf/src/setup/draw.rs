//! Ports by chance.

use klopf_config::weakness;
use klopf_wire::{Port, Proto};

use super::answers::Span;

/// Hits of a sequence, and which of them go over UDP.
const PROTOS: [Proto; 4] = [Proto::Tcp, Proto::Udp, Proto::Tcp, Proto::Tcp];
/// Lower ones are for services that everybody has.
const LOWEST: u16 = 1024;
/// How far apart hits are at least.
const APART: u16 = 1000;
/// Where spans are, first and last port.
const SPANS: (u16, u16) = (30_000, 60_000);
/// So many sequences are tried; on any real host the first will do.
const TRIES: u32 = 1000;

/// What is to be avoided.
pub(super) struct Avoid<'a> {
    /// Ports that are guarded, or have a service.
    pub(super) busy: &'a dyn Fn(Port) -> bool,
    /// What this host takes for its own connections, first and last; avoided where that is possible.
    pub(super) ephemeral: (u16, u16),
}

impl Avoid<'_> {
    fn own(&self, first: u16, last: u16) -> bool {
        first <= self.ephemeral.1 && self.ephemeral.0 <= last
    }
}

/// A sequence that no port scan hits. `chance` gives random numbers. Nothing if there are no such ports.
pub(super) fn sequence(avoid: &Avoid<'_>, chance: &mut dyn FnMut() -> u64) -> Option<Vec<Port>> {
    let mut at = |proto, strict: bool| {
        let number = LOWEST + u16::try_from(chance() % u64::from(u16::MAX - LOWEST + 1)).unwrap_or(0);
        let port = Port { proto, number };
        let taken = (avoid.busy)(port) || strict && avoid.own(number, number);
        (!taken).then_some(port)
    };
    let mut attempt = |strict| {
        let hits: Vec<Port> = PROTOS.iter().filter_map(|proto| (0..64).find_map(|_| at(*proto, strict))).collect();
        let near = |a: &Port, b: &Port| a.number.abs_diff(b.number) < APART;
        let close = hits.iter().enumerate().any(|(index, hit)| hits.iter().take(index).any(|other| near(hit, other)));
        (hits.len() == PROTOS.len() && !close && weakness(&hits).is_none()).then_some(hits)
    };
    (0..TRIES).find_map(|_| attempt(true)).or_else(|| (0..TRIES).find_map(|_| attempt(false)))
}

/// A span of TCP ports in which nothing listens. Nothing if there is none.
pub(super) fn span(avoid: &Avoid<'_>, chance: &mut dyn FnMut() -> u64) -> Option<Span> {
    let is_free = |span: &Span| !(span.first..=span.last()).any(|number| (avoid.busy)(Port::tcp(number)));
    let all = (SPANS.0..=SPANS.1 - Span::SIZE).map(|first| Span { first });
    let quiet: Vec<Span> = all.clone().filter(|span| !avoid.own(span.first, span.last())).collect();
    let mut one_of = |spans: Vec<Span>| {
        let length = u64::try_from(spans.len()).ok().filter(|length| *length > 0)?;
        // Any by chance, and the next one that is free.
        let start = usize::try_from(chance() % length).ok()?;
        spans.iter().cycle().skip(start).take(spans.len()).find(|span| is_free(span)).copied()
    };
    one_of(quiet).or_else(|| one_of(all.collect()))
}

/// Numbers from a seed (Marsaglia's xorshift).
#[cfg(test)]
pub(super) fn from_seed(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 8
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ports_by_chance_are_free_and_no_scan_hits_them(seed: u64, low in 1024_u16..40_000, wide in 0_u16..25_000, taken in prop::collection::vec(any::<u16>(), 0..200)) {
            let busy = |port: Port| taken.contains(&port.number);
            let ephemeral = (low, low + wide);
            let avoid = Avoid { busy: &busy, ephemeral };
            let own = |number: u16| (ephemeral.0..=ephemeral.1).contains(&number);
            let hits = sequence(&avoid, &mut from_seed(seed)).unwrap();
            prop_assert_eq!(weakness(&hits), None);
            prop_assert!(hits.iter().all(|hit| !busy(*hit) && hit.number >= LOWEST && !own(hit.number)), "{:?}", hits);
            prop_assert!(hits.iter().any(|hit| hit.proto == Proto::Udp));
            let span = span(&avoid, &mut from_seed(seed)).unwrap();
            prop_assert!((span.first..=span.last()).all(|number| !busy(Port::tcp(number))));
            prop_assert!(span.first >= SPANS.0 && span.last() <= SPANS.1);
            // There is room below or above, and then it is taken, unless services are scattered all over that.
            if taken.is_empty() && low >= SPANS.0 + Span::SIZE {
                prop_assert!(!own(span.first) && !own(span.last()));
            }
        }
    }

    #[test]
    fn where_all_is_the_hosts_own_it_is_taken_all_the_same() {
        let avoid = Avoid { busy: &|_| false, ephemeral: (1, u16::MAX) };
        assert!(sequence(&avoid, &mut from_seed(7)).is_some() && span(&avoid, &mut from_seed(7)).is_some());
        let full = Avoid { busy: &|_| true, ephemeral: (32_768, 60_999) };
        assert_eq!((sequence(&full, &mut from_seed(7)), span(&full, &mut from_seed(7))), (None, None));
    }

    #[test]
    fn no_two_are_the_same() {
        let avoid = Avoid { busy: &|_| false, ephemeral: (32_768, 60_999) };
        let mut chance = from_seed(7);
        let drawn: Vec<_> = (0..50).map(|_| sequence(&avoid, &mut chance).unwrap()).collect();
        assert!((1..50).all(|index| !drawn[..index].contains(&drawn[index])));
    }
}
