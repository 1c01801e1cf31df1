//! Encoded sequences: from the hits of an origin to what they claim.

use std::net::IpAddr;

use klopf_engine::{Budget, Claim, DoorId, Engine, KeyRef, Millis, Recent, SourceId};
use klopf_spa::encoded::{Queue, Span, Template, Transport};
use klopf_spa::{Name, door_hash};
use klopf_wire::{Knock, Proto};

use super::tokens::Opens;
use crate::plan::Spelling;

/// Origins whose hits are kept, of strangers and of those with [`KNOWN`] hits: 6 MB at most of each.
const ORIGINS: usize = 1 << 15;
/// Hits after which an origin is no longer pushed out by strangers.
const KNOWN: u8 = 3;
/// Keys that are tried at once, and a second: an eighth of a processor.
const TRIES: (u32, u32) = (20_000, 20_000);

/// Follows hits on all spans.
pub(super) struct Encoded {
    spans: Vec<Spelled>,
    origins: Recent<(IpAddr, Medium, usize), Heard>,
    tries: Budget,
    /// How often there were more keys to try than it may.
    pub(super) untried: u64,
}

/// Ports, and what they may spell.
struct Spelled {
    span: Span,
    transport: Transport,
    /// Milliseconds between two hits at most.
    pause: u64,
    doors: Vec<Sought>,
}

/// A door that a sequence is to be for.
pub(super) struct Sought {
    pub(super) door: DoorId,
    pub(super) hash: [u8; 4],
    pub(super) template: Template,
}

/// Where a hit was seen. What both show is followed apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Medium {
    Packet,
    Log(SourceId),
}

/// The hits of one origin on one span.
#[derive(Default)]
struct Heard {
    queue: Queue,
    hits: u8,
    last: Millis,
    /// What they made lately: a second pass makes it again.
    made: Option<(KeyRef, u64)>,
}

impl Encoded {
    /// Nothing is heard yet. `key` must be random.
    pub(super) fn new<'a>(doors: impl IntoIterator<Item = (&'a Name, DoorId, Spelling)>, key: [u8; 16]) -> Self {
        let mut spans: Vec<Spelled> = Vec::new();
        for (name, door, Spelling { template, pause }) in doors {
            let Template { span, transport, .. } = template;
            let sought = Sought { door, hash: door_hash(name), template };
            match spans.iter_mut().find(|known| (known.span, known.transport) == (span, transport)) {
                Some(known) => {
                    known.pause = known.pause.max(pause);
                    known.doors.push(sought);
                }
                None => spans.push(Spelled { span, transport, pause, doors: vec![sought] }),
            }
        }
        let longest = spans.iter().map(|spelled| spelled.pause).max().unwrap_or(0);
        let (origins, tries) = (Recent::new(ORIGINS, longest, key), Budget::new(TRIES.0, TRIES.1));
        Self { spans, origins, tries, untried: 0 }
    }

    /// Takes in the opening of a connection, or a datagram, to this host. What the sequences claim that it completes.
    pub(super) fn hit(&mut self, engine: &Engine, opens: &Opens, now: Millis, hit: (Medium, &Knock)) -> Vec<Claim> {
        let (medium, knock) = hit;
        let transport = match knock.port.proto {
            Proto::Tcp => Transport::Tcp,
            Proto::Udp => Transport::Udp,
        };
        let Self { spans, origins, tries, untried } = self;
        let mut claims = Vec::new();
        for (place, spelled) in spans.iter().enumerate().filter(|(_, spelled)| spelled.transport == transport) {
            let Some(symbol) = spelled.span.symbol(knock.port.number) else { continue };
            let key = (knock.origin, medium, place);
            let heard = origins.take(now, &key).filter(|heard| now.since(heard.last) <= spelled.pause);
            let mut heard = heard.unwrap_or_default();
            if heard.queue.push(symbol) {
                heard.hits = heard.hits.saturating_add(1);
                let mut may_try = || {
                    let may = tries.take(now);
                    *untried += u64::from(!may);
                    may
                };
                let claim = spelled.doors.iter().find_map(|sought| {
                    let mut readings = heard.queue.readings(sought.template.length());
                    readings.find_map(|symbols| opens.sequence(engine, sought, &symbols, hit, &mut may_try))
                });
                if let Some(claim) = claim {
                    heard.queue = Queue::default();
                    let made = Some((claim.key, claim.counter));
                    if std::mem::replace(&mut heard.made, made) != made {
                        claims.push(claim);
                    }
                }
            }
            heard.last = now;
            let known = heard.hits >= KNOWN;
            origins.put(now, key, heard, known);
        }
        claims
    }

    /// When there is something to forget.
    pub(super) fn next(&self) -> Option<u64> {
        self.origins.next().map(|Millis(at)| at)
    }

    /// Forgets what is too old.
    pub(super) fn forget(&mut self, now: u64) {
        self.origins.forget(Millis(now));
    }
}
