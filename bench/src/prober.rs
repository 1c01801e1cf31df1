//! Probes of a port of the server from the client's end of the link, and the first answer to one.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use crate::contender::SEQUENCE;
use crate::error::Result;
use crate::frame;
use crate::interrupt::Interrupt;
use crate::lab::{CLIENT, Injector, Lab};

/// Between two probes.
const EVERY: Duration = Duration::from_micros(50);
const KNOCK_FROM: u16 = 50000;
/// Source ports of probes, used in turn.
const PROBE_FROM: std::ops::Range<u16> = 10000..40000;

pub(crate) struct Prober {
    wire: Injector,
    next: u16,
}

/// The first probe that was answered.
pub(crate) struct Answered {
    pub(crate) sent: Instant,
    /// Whether it was the first of all.
    pub(crate) first: bool,
}

impl Prober {
    pub(crate) fn new(lab: &Lab) -> Result<Self> {
        Ok(Self { wire: lab.wire()?, next: PROBE_FROM.start })
    }

    /// The whole sequence, with a pause before the last hit; the moment before that was sent.
    pub(crate) fn knock(&self, pause: Duration) -> Result<Instant> {
        let mut last = Instant::now();
        for (place, port) in (1..).zip(SEQUENCE) {
            if place == SEQUENCE.len() && !pause.is_zero() {
                thread::sleep(pause);
            }
            last = Instant::now();
            self.wire.syn((CLIENT, KNOCK_FROM), port)?;
        }
        Ok(last)
    }

    /// Sends a datagram; the moment before.
    pub(crate) fn datagram(&self, source: Ipv4Addr, port: u16, payload: &[u8]) -> Result<Instant> {
        let before = Instant::now();
        self.wire.udp((source, KNOCK_FROM), port, payload)?;
        Ok(before)
    }

    /// Sends SYNs to the port, the first at once, each from a port of its own, until one is answered. In between it lets
    /// others run, and does not sleep: to wake up takes a virtual machine longer than the time between two probes.
    pub(crate) fn until_answered(
        &mut self,
        port: u16,
        limit: Duration,
        interrupt: &Interrupt,
    ) -> Result<Option<Answered>> {
        let begin = Instant::now();
        let mut due = begin;
        let mut sent = HashMap::new();
        while begin.elapsed() < limit {
            let now = Instant::now();
            if now >= due {
                interrupt.check()?;
                sent.insert(self.next, now);
                self.wire.syn((CLIENT, self.next), port)?;
                self.next = if self.next + 1 == PROBE_FROM.end { PROBE_FROM.start } else { self.next + 1 };
                due = (due + EVERY).max(now);
            }
            if let Some(answered) = self.answers(port).iter().filter_map(|to| sent.get(to)).min() {
                let first = sent.values().all(|other| other >= answered);
                return Ok(Some(Answered { sent: *answered, first }));
            }
            thread::yield_now();
        }
        Ok(None)
    }

    /// The source ports of the probes whose answers have come.
    fn answers(&self, port: u16) -> Vec<u16> {
        let mut buffer = [0; 128];
        let mut answered = Vec::new();
        while let Some(frame) = self.wire.receive(&mut buffer) {
            answered.extend(frame::syn_ack(frame).filter(|(from, _)| *from == port).map(|(_, to)| to));
        }
        answered
    }
}
