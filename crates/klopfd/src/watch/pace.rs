//! How often the watch looks at packets: at each at once, or, when there are many, every half millisecond at all that have come.
//!
//! While it waits for the next packet, each packet wakes it: without these rests a flood took twice the CPU a packet, and its
//! sender got half as many out (docs/decisions.md, "The packet source"). Those who knock in a flood wait half a millisecond longer for it.

use std::time::Duration;

/// Between two looks when there are many packets: a fraction of what the rings hold of the fastest flood.
const REST: Duration = Duration::from_micros(500);
/// So many packets in a millisecond are many.
const MANY: usize = 8;
/// With fewer at a look after a rest there are not many any more.
const FEW: usize = 3;

/// Whether there are many packets.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The millisecond that is counted, and what came in it.
    counted: (u64, usize),
    resting: bool,
}

impl Pace {
    /// Takes in how many packets were there at a look, at a time in milliseconds, and whether that was all.
    pub(super) fn looked(&mut self, now: u64, packets: usize, all: bool) {
        let before = if self.counted.0 == now { self.counted.1 } else { 0 };
        self.counted = (now, before + packets);
        let many = if self.resting { packets >= FEW } else { self.counted.1 >= MANY };
        self.resting = many && all;
    }

    /// For how long packets are left alone; none if the next one is to be seen at once.
    pub(super) fn rest(&self) -> Option<Duration> {
        self.resting.then_some(REST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_knock_is_seen_packet_by_packet() {
        let mut pace = Pace::default();
        for (now, packets) in [(1, 1), (1, 1), (1, 2), (2, 3), (3, 5), (3, 2), (90, 0)] {
            pace.looked(now, packets, true);
            assert_eq!(pace.rest(), None, "{now}");
        }
    }

    #[test]
    fn in_a_flood_there_are_rests_until_it_ends() {
        let mut pace = Pace::default();
        (0..8).for_each(|_| pace.looked(7, 1, true));
        assert_eq!(pace.rest(), Some(REST));
        (8..20).for_each(|now| pace.looked(now, 300, true));
        assert_eq!(pace.rest(), Some(REST));
        pace.looked(20, 2, true);
        assert_eq!(pace.rest(), None);
    }

    #[test]
    fn what_was_left_is_looked_at_at_once() {
        let mut pace = Pace::default();
        pace.looked(7, 512, false);
        assert_eq!(pace.rest(), None);
        pace.looked(7, 40, true);
        assert_eq!(pace.rest(), Some(REST));
    }
}
