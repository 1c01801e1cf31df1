//! A set of ports of both protocols, in a fixed 16 kB.

use crate::{Port, Proto};

/// A set of ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSet {
    tcp: Vec<u64>,
    udp: Vec<u64>,
}

const WORDS: usize = 65536 / 64;

impl Default for PortSet {
    fn default() -> Self {
        Self { tcp: vec![0; WORDS], udp: vec![0; WORDS] }
    }
}

impl PortSet {
    /// Adds a port.
    pub fn insert(&mut self, port: Port) {
        let words = match port.proto {
            Proto::Tcp => &mut self.tcp,
            Proto::Udp => &mut self.udp,
        };
        if let Some(word) = words.get_mut(usize::from(port.number / 64)) {
            *word |= 1 << (port.number % 64);
        }
    }

    /// Whether a port is in the set.
    #[must_use]
    pub fn contains(&self, port: Port) -> bool {
        let word = self.words(port.proto).get(usize::from(port.number / 64));
        word.is_some_and(|word| word >> (port.number % 64) & 1 == 1)
    }

    /// Whether there are no ports of a protocol in the set.
    #[must_use]
    pub fn is_empty(&self, proto: Proto) -> bool {
        self.words(proto).iter().all(|&word| word == 0)
    }

    /// All ports that are not in the set.
    #[must_use]
    pub fn complement(&self) -> Self {
        let not = |words: &[u64]| words.iter().map(|word| !word).collect();
        Self { tcp: not(&self.tcp), udp: not(&self.udp) }
    }

    /// Adds all ports of another set.
    pub fn extend(&mut self, other: &Self) {
        for (mine, theirs) in [(&mut self.tcp, &other.tcp), (&mut self.udp, &other.udp)] {
            for (word, more) in mine.iter_mut().zip(theirs) {
                *word |= more;
            }
        }
    }

    /// The ports of a protocol as ascending ranges, first and last port included, with gaps between them.
    #[must_use]
    pub fn ranges(&self, proto: Proto) -> Vec<(u16, u16)> {
        let mut ranges: Vec<(u16, u16)> = Vec::new();
        for number in (0..=u16::MAX).filter(|&number| self.contains(Port { proto, number })) {
            match ranges.last_mut() {
                Some((_, last)) if u32::from(*last) + 1 == u32::from(number) => *last = number,
                _ => ranges.push((number, number)),
            }
        }
        ranges
    }

    fn words(&self, proto: Proto) -> &[u64] {
        match proto {
            Proto::Tcp => &self.tcp,
            Proto::Udp => &self.udp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_neighbours_and_keep_the_ends() {
        let mut set = PortSet::default();
        for number in [0, 1, 2, 63, 64, 65535] {
            set.insert(Port::tcp(number));
        }
        assert_eq!(set.ranges(Proto::Tcp), [(0, 2), (63, 64), (65535, 65535)]);
        assert!(set.is_empty(Proto::Udp) && !set.contains(Port::udp(1)));
        assert_eq!(set.complement().ranges(Proto::Tcp), [(3, 62), (65, 65534)]);
        assert_eq!(set.complement().ranges(Proto::Udp), [(0, 65535)]);
    }
}
