//! The watch: reads packets, recognises knocks and tells the keeper. No rights, no files, no way out but the pair.

mod encoded;
mod letters;
mod logs;
mod pace;
mod sealed;
mod shares;
mod sight;
mod telling;
mod tokens;

use std::collections::{BTreeSet, VecDeque};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use klopf_brief::{Offer, Verdict};
use klopf_engine::{Claim, Door, DoorId, Effect, Engine, Grant, Limits, Millis, Refusal, SealedRefusal, Source, Wall};
use klopf_sys::{Code, Depth, PacketSocket, Pair, Received, Ring, SandboxError, User, Wait, clock, wait_any};
use klopf_wire::{Malformed, parse_datagram, parse_packet};

use self::encoded::{Encoded, Medium};
use self::letters::Letters;
use self::logs::{Found, Logs};
use self::pace::Pace;
use self::sealed::{Seals, Staged};
use self::sight::Sight;
use self::telling::Telling;
use crate::message::{DOWN_SIZE, Down, UP_SIZE, Up};

/// The first argument by which the program knows that it is to be the watch.
pub(crate) const ROLE: &str = "@watch";
pub(crate) use self::logs::NFLOG_RANGE;

/// Packets that are taken in before the keeper is heard again.
const PACKETS_AT_ONCE: usize = 512;
/// The same for what may be sealed knocks, each of which may cost a tenth of a millisecond.
const DATAGRAMS_AT_ONCE: usize = 64;
/// The same for what the courier offers.
const OFFERS_AT_ONCE: usize = 64;
/// Messages of the keeper that are taken in before packets are looked at again.
const MESSAGES_AT_ONCE: usize = 1024;
/// Messages to the keeper that wait while it is busy; with more waiting, grants are dropped and counted.
const OUTBOX: usize = 4096;
/// Milliseconds between two hints that the services may have changed.
const STRANGE_PAUSE: u64 = 1000;

/// What the keeper hands over at the start.
pub(crate) struct Handed {
    pub(crate) messages: Pair,
    /// The way to the courier.
    pub(crate) letters: Pair,
    pub(crate) user: User,
    pub(crate) seccomp_optional: bool,
    pub(crate) debug: bool,
}

/// Becomes the watch; returns when the keeper is gone.
pub(crate) fn main(handed: Handed) -> ExitCode {
    klopf_sys::set_name(c"klopf-watch");
    match prepare(handed) {
        Ok(mut watch) => {
            watch.run();
            ExitCode::SUCCESS
        }
        Err(error) if matches!(error.downcast_ref(), Some(SandboxError::NoSeccomp)) => {
            ExitCode::from(crate::exit::NO_SECCOMP)
        }
        Err(error) => {
            // The one moment in which the watch still has somewhere to say so.
            crate::say(&format!("watch: {error}"));
            ExitCode::from(crate::exit::OS_ERROR)
        }
    }
}

fn prepare(handed: Handed) -> Result<Watch, Box<dyn std::error::Error>> {
    let chance = clock::random()?;
    let engine = Engine::new(Limits::default(), chance);
    let mut watch = Watch {
        messages: handed.messages,
        letters: Letters::new(handed.letters),
        logs: Logs::default(),
        staged_logs: logs::Staged::default(),
        ring: None,
        datagrams: None,
        pace: Pace::default(),
        engine,
        sight: Sight::default(),
        staged_sight: Sight::default(),
        staged_doors: Vec::new(),
        seals: Seals::default(),
        staged_seals: Staged::default(),
        strict: BTreeSet::new(),
        telling: Telling::default(),
        outbox: VecDeque::new(),
        effects: Vec::new(),
        counts: Counts::default(),
        strange: Strange::default(),
        debug: handed.debug,
        chance,
        ready: None,
        code: Code::default(),
    };
    // The first reading looks for the kernel's page of clocks and the time zone, with calls that are forbidden later.
    let _ = (clock::monotonic_ms(), clock::minute_of_week());
    // Later, nothing can be looked for.
    watch.code = Code::find();
    klopf_sys::keep_secrets(true);
    klopf_sys::drop_privileges(handed.user)?;
    let confined = klopf_sys::confine(&[watch.messages.as_fd(), watch.letters.as_fd()], handed.seccomp_optional)?;
    klopf_sys::close_stderr();
    watch.ready = Some(Up::Ready { landlock: confined.landlock, seccomp: confined.seccomp });
    Ok(watch)
}

struct Watch {
    messages: Pair,
    letters: Letters,
    logs: Logs,
    staged_logs: logs::Staged,
    /// Of headers; none while no door needs it.
    ring: Option<Ring>,
    /// Of whole packets; the same.
    datagrams: Option<Ring>,
    pace: Pace,
    engine: Engine,
    sight: Sight,
    staged_sight: Sight,
    staged_doors: Vec<Door>,
    seals: Seals,
    staged_seals: Staged,
    /// The doors in force that are strict.
    strict: BTreeSet<DoorId>,
    telling: Telling,
    outbox: VecDeque<[u8; UP_SIZE]>,
    effects: Vec<Effect>,
    counts: Counts,
    strange: Strange,
    debug: bool,
    /// Random, so that nobody can choose origins that collide.
    chance: [u8; 16],
    /// What is to be said when the first doors are in force.
    ready: Option<Up>,
    /// Of which most is of no more use then.
    code: Code,
}

/// What is counted before the engine sees a packet.
#[derive(Default)]
struct Counts {
    packets: u64,
    malformed: [u64; 4],
    dropped_messages: u64,
}

/// When the keeper was last told that services may have changed, and the wrong hits then.
#[derive(Default)]
struct Strange {
    told: Option<u64>,
    wrong_hits: u64,
}

impl Watch {
    fn run(&mut self) {
        loop {
            let [messages, letters, logs, packets, datagrams] = self.wait_for_something();
            if messages && !self.listen() {
                return;
            }
            let now = clock::monotonic_ms();
            self.engine.expire(Millis(now), &mut self.effects);
            self.seals.encoded.iter_mut().for_each(|encoded| encoded.forget(now));
            let packets = if packets { self.look(now) } else { 0 };
            let datagrams = if datagrams { self.look_at_datagrams(now) } else { 0 };
            let all = packets < PACKETS_AT_ONCE && datagrams < DATAGRAMS_AT_ONCE;
            self.pace.looked(now, packets + datagrams, all);
            if letters {
                self.look_at_letters(now);
            }
            if logs {
                self.look_at_logs(now);
            }
            self.tell(now);
            self.flush();
        }
    }

    /// Waits; what is ready of messages, letters, logs, packets and datagrams.
    fn wait_for_something(&self) -> [bool; 5] {
        let write = !self.outbox.is_empty();
        let own = [
            Wait { fd: self.messages.as_fd(), write },
            Wait { fd: self.letters.as_fd(), write: self.letters.unsent() },
        ];
        // A descriptor that nobody waits at wakes nobody.
        let rest = self.pace.rest();
        let rings = [&self.ring, &self.datagrams].map(|ring| ring.as_ref().filter(|_| rest.is_none()));
        let of_rings = rings.into_iter().flatten().map(|ring| Wait { fd: ring.as_fd(), write: false });
        let waits = own.into_iter().chain(of_rings).chain(self.logs.waits());
        let most = self.until_next().into_iter().chain(rest).min();
        let Ok(ready) = wait_any(waits, most) else { return [true; 5] };
        let mut ready = ready.into_iter();
        let mut next = || ready.next().unwrap_or_default();
        let [messages, letters] = [next(), next()];
        let [packets, datagrams] = rings.map(|ring| rest.is_some() || ring.is_some() && next());
        let logs = ready.any(|ready| ready) || self.logs.due();
        [messages, letters, logs, packets, datagrams]
    }

    /// How long there is nothing to do but to wait; for ever if nobody knocks.
    fn until_next(&self) -> Option<Duration> {
        if self.logs.due() {
            return Some(Duration::ZERO);
        }
        let timeout = self.engine.next_timeout().map(|Millis(at)| at);
        let encoded = self.seals.encoded.as_ref().and_then(Encoded::next);
        let next = [timeout, encoded, self.logs.next(), self.telling.next()].into_iter().flatten().min()?;
        Some(Duration::from_millis(next.saturating_sub(clock::monotonic_ms())))
    }

    /// Takes in packets, a bounded number of them; how many.
    fn look(&mut self, now: u64) -> usize {
        let Self { ring, engine, sight, effects, counts, outbox, seals, .. } = self;
        let debug = self.debug;
        let Some(ring) = ring else { return 0 };
        ring.drain(PACKETS_AT_ONCE, |frame| {
            counts.packets += 1;
            match parse_packet(frame.packet) {
                Ok(knock) => {
                    if let Some(seen) = sight.observation(&frame, knock) {
                        if debug && outbox.len() < OUTBOX / 2 {
                            outbox.push_back(Up::Packet(knock).encode());
                        }
                        engine.observe(Millis(now), &seen, effects);
                        seals.hit(engine, Millis(now), Medium::Packet, &seen, effects);
                    }
                }
                Err(why) => {
                    if let Some(count) = counts.malformed.get_mut(why as usize) {
                        *count += 1;
                    }
                }
            }
        })
    }

    /// Takes in what may be sealed knocks, a bounded number of them; how many.
    fn look_at_datagrams(&mut self, now: u64) -> usize {
        let Self { datagrams, engine, sight, effects, seals, .. } = self;
        let Some(datagrams) = datagrams else { return 0 };
        datagrams.drain(DATAGRAMS_AT_ONCE, |frame| {
            // What is broken was counted where its headers were seen, or is none of ours.
            let Ok((knock, payload)) = parse_datagram(frame.packet) else { return };
            if sight.observation(&frame, knock).is_some_and(|seen| seen.here) {
                seals.take_in(engine, Millis(now), knock.origin, payload, effects);
            }
        })
    }

    /// Takes in what logs tell, a bounded part of it.
    fn look_at_logs(&mut self, now: u64) {
        let Self { logs, engine, sight, effects, seals, .. } = self;
        let (millis, first) = (Millis(now), effects.len());
        logs.read(now, |id, found| {
            let (knock, old) = match found {
                Found::Token(body) => return seals.token(engine, millis, id, body, effects),
                Found::Packet(knock) => (knock, false),
                Found::Hit { hit, old } => (hit.knock(), old),
            };
            let seen = sight.told(knock);
            // A plain sequence does not say when it was: one of last week must not open today.
            if !old {
                engine.observe_logged(millis, &seen, effects);
            }
            seals.hit(engine, millis, Medium::Log(id), &seen, effects);
        });
        // A browser says the same address several times, and a log that is read again says all again.
        let mut at = 0;
        effects.retain(|effect| {
            let is_again = matches!(effect, Effect::RefuseSealed(refusal)
                if matches!(refusal.why, Refusal::Replayed | Refusal::TooOld));
            at += 1;
            at <= first || !is_again
        });
    }

    /// Takes in what the courier offers, a bounded number of them.
    fn look_at_letters(&mut self, now: u64) {
        self.letters.flush();
        for _ in 0..OFFERS_AT_ONCE {
            // What is accepted here must get to the keeper, or a token would be lost.
            if self.outbox.len() >= OUTBOX / 2 {
                return;
            }
            let Some(offer) = self.letters.receive() else { return };
            let read = self.seals.letters.as_mut().map(|letters| letters.read(&self.engine, now, &offer));
            match read {
                None => self.letters.answer(offer.number, Verdict::Nothing),
                Some(Err((verdict, why))) => {
                    why.into_iter().for_each(|why| self.engine.count_refusal(why));
                    self.letters.answer(offer.number, verdict);
                }
                Some(Ok(claim)) => self.judge(now, &offer, &claim),
            }
        }
    }

    /// Decides on what a token, some shares or a code claim.
    fn judge(&mut self, now: u64, offer: &Offer, claim: &Claim) {
        let wall = Wall { unix_ms: clock::wall_ms(), minute_of_week: clock::minute_of_week() };
        let mut effects = Vec::new();
        self.engine.observe_claim(Millis(now), wall, claim, &mut effects);
        let later =
            |effect: &Effect| matches!(effect, Effect::RefuseSealed(refusal) if refusal.why == Refusal::TooManyGrants);
        if !effects.iter().any(later) {
            self.seals.letters.iter_mut().for_each(tokens::Opens::answered);
        }
        for effect in effects {
            match effect {
                Effect::Grant(Grant { door, address, sealed: Some(sealed), .. }) => {
                    // It is answered when it is on the disk.
                    self.post(Up::Sealed { door, address, sealed, offer: Some(offer.number) });
                }
                Effect::RefuseSealed(refusal) => {
                    let letters = self.seals.letters.as_ref();
                    let verdict = letters.map(|letters| letters.verdict(&self.engine, claim, refusal.why));
                    self.letters.answer(offer.number, verdict.unwrap_or(Verdict::Nothing));
                    // A guestbook keeps its entries for ever, and shows them anew to each new courier.
                    let old = matches!(refusal.why, Refusal::Replayed | Refusal::TooOld)
                        && matches!(refusal.source, Source::Guestbooks(_));
                    if !old && refusal.why != Refusal::TooManyGrants {
                        self.effects.push(effect);
                    }
                }
                _ => {}
            }
        }
    }

    /// Turns effects into messages.
    fn tell(&mut self, now: u64) {
        let mut effects = std::mem::take(&mut self.effects);
        // Somebody waits for a grant. What led to it may be told later, but not of doors whose log has an old order.
        let (first, rest): (Vec<Effect>, Vec<Effect>) = effects
            .drain(..)
            .partition(|effect| matches!(effect, Effect::Grant(grant) if self.strict.contains(&grant.door)));
        for effect in first.into_iter().chain(rest) {
            match effect {
                Effect::Stage { door, origin, stage } if self.telling.may(now) => {
                    self.post(Up::Stage { door, origin, stage });
                }
                Effect::TimedOut { door, origin, stage } if self.telling.may(now) => {
                    self.post(Up::TimedOut { door, origin, stage });
                }
                Effect::Broken { door, origin, stage, at } if self.telling.may(now) => {
                    self.post(Up::Broken { door, origin, stage, at });
                }
                Effect::Stage { .. } | Effect::TimedOut { .. } | Effect::Broken { .. } => {}
                Effect::Grant(grant) => {
                    if let Some(sealed) = grant.sealed {
                        let Grant { door, address, .. } = grant;
                        self.post(Up::Sealed { door, address, sealed, offer: None });
                        if self.seals.letters.as_ref().is_some_and(|letters| letters.acquainted(sealed.key)) {
                            self.letters.again();
                        }
                        continue;
                    }
                    self.post(Up::Grant { door: grant.door, address: grant.address, uses_up: grant.uses_up });
                }
                Effect::Refuse { door, origin, .. } if self.telling.may(now) => {
                    self.post(Up::Refused { door, origin });
                }
                Effect::RefuseSealed(refusal) if self.telling.may(now) => self.post(Up::SealedRefused(refusal)),
                // A flood must not keep it from being known.
                Effect::RefuseSealed(SealedRefusal { key: Some(key), form, burnt: Some(counter), .. }) => {
                    self.post(Up::Burnt { key, form, counter });
                }
                Effect::Refuse { .. } | Effect::RefuseSealed(_) => {}
            }
        }
        self.effects = effects;
        self.logs.reports(now).into_iter().for_each(|report| self.post(report));
        if let Some(count) = self.telling.silenced(now) {
            self.post(Up::Silenced(count));
        }
        let wrong_hits = self.engine.counters().wrong_hits;
        let rested = self.strange.told.is_none_or(|told| now.saturating_sub(told) >= STRANGE_PAUSE);
        if wrong_hits != self.strange.wrong_hits && rested {
            self.strange = Strange { told: Some(now), wrong_hits };
            self.post(Up::Strange);
        }
    }

    fn post(&mut self, message: Up) {
        if self.outbox.len() < OUTBOX {
            self.outbox.push_back(message.encode());
        } else {
            self.counts.dropped_messages += 1;
        }
    }

    fn flush(&mut self) {
        while let Some(message) = self.outbox.front() {
            if !self.messages.send(message) {
                return;
            }
            self.outbox.pop_front();
        }
    }

    /// Takes in what the keeper says, a bounded number of messages; false when it is gone.
    fn listen(&mut self) -> bool {
        let mut bytes = [0; DOWN_SIZE];
        for _ in 0..MESSAGES_AT_ONCE {
            match self.messages.receive_with(&mut bytes) {
                (Received::Nothing, _) => return true,
                (Received::Closed, _) => return false,
                (Received::Message(length), fd) => match (bytes.get(..length).and_then(Down::decode), fd) {
                    (Some(message), None) => self.obey(message),
                    (Some(Down::Ring(depth)), Some(fd)) => match Ring::map(PacketSocket::inherited(fd, depth)) {
                        Ok(ring) => *self.ring_of(depth) = Some(ring),
                        // The keeper starts another watch.
                        Err(_) => return false,
                    },
                    (Some(message), Some(fd)) => self.logs.take(&message, fd),
                    (None, _) => {}
                },
            }
        }
        true
    }

    fn obey(&mut self, message: Down) {
        match message {
            Down::Door(door) => self.staged_doors.push(door),
            Down::Ways(ways) => {
                if let Some(door) = self.staged_doors.last_mut() {
                    door.ways = ways;
                }
            }
            Down::MayAsk(may_ask) => {
                if let Some(door) = self.staged_doors.last_mut() {
                    door.may_ask = may_ask;
                }
            }
            Down::AskPorts(ports) => {
                if let Some(door) = self.staged_doors.last_mut() {
                    door.may_ask.ports.extend(ports);
                }
            }
            Down::Sequence(ports) => {
                if let Some(door) = self.staged_doors.last_mut() {
                    door.sequences.push(ports);
                }
            }
            Down::CommitDoors => {
                self.strict = self.staged_doors.iter().filter(|door| door.strict).map(|door| door.id).collect();
                let (doors, staged) = (std::mem::take(&mut self.staged_doors), std::mem::take(&mut self.staged_seals));
                let before = std::mem::take(&mut self.seals);
                self.seals = staged.commit(&mut self.engine, &doors, before, self.chance);
                self.engine.reload(doors);
                self.logs.commit(std::mem::take(&mut self.staged_logs));
                self.letters.again();
                self.ready.take().into_iter().for_each(|ready| self.post(ready));
                self.code.release();
            }
            Down::Called(_)
            | Down::Spelling(_)
            | Down::Server(..)
            | Down::Key(_)
            | Down::Secrets(..)
            | Down::KeyDoor(_)
            | Down::Hours(_)
            | Down::Network(_)
            | Down::Factor(_)
            | Down::Sheet(_)
            | Down::Source(..) => self.staged_seals.add(message, self.staged_doors.last()),
            Down::Log(..) | Down::Text(_) | Down::LogPrefix | Down::LogPattern => self.staged_logs.add(&message),
            // These come with a descriptor, or are of no use.
            Down::Ring(_) | Down::LogChanges | Down::LogFile(..) | Down::LogPackets(_) | Down::LogJournal(_) => {}
            Down::Mark(id, mark) => self.engine.restore(id, &mark),
            Down::CommitSight(services_known) => {
                self.sight = std::mem::take(&mut self.staged_sight);
                self.sight.services_known = services_known;
            }
            Down::Local(..) | Down::Loopback(_) | Down::Interface(_) | Down::Service(..) => {
                self.staged_sight.add(&message);
            }
            Down::Begin => {
                self.staged_doors.clear();
                self.staged_seals = Staged::default();
                self.staged_logs = logs::Staged::default();
                self.staged_sight = Sight::default();
            }
            Down::Judged(offer, verdict) => self.letters.answer(offer, verdict),
            Down::Count => self.post_counts(),
            // However much waits to be said, this must not: the keeper would take the watch for hung.
            Down::Ping(number) => self.outbox.push_front(Up::Pong(number).encode()),
        }
    }

    fn ring_of(&mut self, depth: Depth) -> &mut Option<Ring> {
        match depth {
            Depth::Headers => &mut self.ring,
            Depth::Whole => &mut self.datagrams,
        }
    }

    fn post_counts(&mut self) {
        let values = self.engine.counters().named().map(|(_, value)| value);
        let own = [self.counts.packets, self.counts.dropped_messages, self.engine.attempts() as u64];
        let all: Vec<u64> = own.into_iter().chain(self.counts.malformed).chain(values).collect();
        for (which, value) in (0..).zip(all) {
            self.post(Up::Count(which, value));
        }
    }
}

/// The names of the counts, in the order of their numbers in [`Up::Count`].
pub(crate) fn count_names() -> Vec<&'static str> {
    let malformed = [Malformed::Network, Malformed::Fragment, Malformed::OtherProtocol, Malformed::Transport];
    let engine = klopf_engine::Counters::default().named().map(|(name, _)| name);
    let own = ["packets", "dropped-messages", "attempts-now"];
    own.into_iter().chain(malformed.map(Malformed::name)).chain(engine).collect()
}
