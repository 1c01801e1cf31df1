//! Tokens, shares and codes: from what the courier offers to what it claims.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use klopf_brief::{Offer, Verdict};
use klopf_engine::{
    Asks, Books, Budget, Claim, Code, Door, DoorId, Engine, Form, Key, KeyRef, Millis, Refusal, Source, SourceId, Ways,
};
use klopf_spa::encoded;
use klopf_spa::{KeyId, Known, Name, Own, Psk, ServerPublic, Tokens, combine, is_code_of, open_share, open_token};
use klopf_sys::clock;
use klopf_wire::Knock;

use super::encoded::{Medium, Sought};
use super::shares::{Of, Shares, Whole};

/// Codes that are looked at at once, and a second (`docs/PROTOCOL.md`, section 9, point 18).
const TRIES: (u32, u32) = (1000, 100);

/// What opens them.
pub(super) struct Opens {
    server: ServerPublic,
    tokens: Tokens,
    keys: HashMap<KeyRef, Person>,
    doors: HashMap<[u8; 4], DoorId>,
    /// How shares may come at a door.
    ways: HashMap<DoorId, Ways>,
    sources: HashMap<SourceId, (bool, Name)>,
    shares: Shares,
    /// Of which shares the last claim was made.
    made_of: Option<Of>,
    /// How often a code is looked at: there are so few that somebody could try.
    tries: Budget,
    /// Whether something may have come of a device that is not known yet.
    strangers: Cell<bool>,
}

struct Person {
    id: KeyId,
    psk: Psk,
    /// Whether it belongs to one device.
    once: bool,
    doors: BTreeSet<DoorId>,
}

/// What is offered is judged without the engine, or a claim.
pub(super) type Read = Result<Claim, (Verdict, Option<Refusal>)>;

const NOTHING: (Verdict, Option<Refusal>) = (Verdict::Nothing, Some(Refusal::NoToken));

impl Opens {
    pub(super) fn new(server: ServerPublic) -> Self {
        let tokens = Tokens::new(&server);
        let (keys, doors, ways) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self {
            server,
            tokens,
            keys,
            doors,
            ways,
            sources: HashMap::new(),
            shares: Shares::default(),
            made_of: None,
            tries: Budget::new(TRIES.0, TRIES.1),
            strangers: Cell::new(false),
        }
    }

    /// Whether what was offered before is worth another look, now that a packet with this key was accepted.
    pub(super) fn acquainted(&self, key: KeyRef) -> bool {
        self.keys.get(&key).is_some_and(|person| person.once) && self.strangers.take()
    }

    /// Takes the keys.
    pub(super) fn keys<'a>(&mut self, keys: impl IntoIterator<Item = (&'a Key, Psk)>) {
        for (key, psk) in keys {
            let person = Person { id: KeyId(key.id), psk, once: key.once, doors: key.doors.clone() };
            self.keys.insert(key.key, person);
        }
        self.tokens.keys(self.keys.iter().map(|(key, person)| Known { id: person.id, number: key.0 }));
    }

    pub(super) fn add_door(&mut self, name: &Name, door: &Door) {
        self.doors.insert(klopf_spa::door_hash(name), door.id);
        self.ways.insert(door.id, door.ways.clone());
    }

    /// Takes the sources, and what waits of before, where that is still worth something.
    pub(super) fn go_on(&mut self, sources: HashMap<SourceId, (bool, Name)>, before: Option<Self>) {
        if let Some(before) = before.filter(|before| before.sources == sources && before.server == self.server) {
            (self.shares, self.tries) = (before.shares, before.tries);
        }
        self.sources = sources;
    }

    /// There is an answer to what was read last that holds: shares that made it are of no more use.
    pub(super) fn answered(&mut self) {
        self.made_of.take().into_iter().for_each(|of| self.shares.used(of));
    }

    /// Reads what was offered at a moment of the monotonic clock, in milliseconds.
    pub(super) fn read(&mut self, engine: &Engine, now: u64, offer: &Offer) -> Read {
        self.made_of = None;
        let id = SourceId(offer.source);
        // A source that has gone with a reload is no longer asked, either.
        let (is_book, name) = self.sources.get(&id).cloned().ok_or((Verdict::Nothing, None))?;
        let source = if is_book { Source::Guestbooks(Books::new([id])) } else { Source::Mail(id) };
        let body = offer.body.bytes();
        match body.len() {
            49 | 61 => self.token(engine, body, source, Form::Token),
            70 | 82 if is_book => self.share(engine, now, id, &name, body),
            11 => self.code(engine, now, body, source, offer.address),
            _ => Err(NOTHING),
        }
    }

    /// Reads what has the length and the check of a token in a log. Shares and codes do not count there.
    ///
    /// # Errors
    /// What is to be counted.
    pub(super) fn read_in_log(&self, engine: &Engine, log: SourceId, body: &[u8]) -> Result<Claim, Refusal> {
        match body.len() {
            49 | 61 => self
                .token(engine, body, Source::Log(log), Form::Token)
                .map_err(|(_, why)| why.unwrap_or(Refusal::NoToken)),
            _ => Err(Refusal::NoToken),
        }
    }

    fn token(&self, engine: &Engine, token: &[u8], source: Source, form: Form) -> Read {
        let candidates = self.tokens.of_token(token);
        if candidates.is_empty() {
            return Err((Verdict::Nothing, Some(Refusal::UnknownKey)));
        }
        let opened = candidates.iter().find_map(|known| {
            let (key, person) = self.person(*known)?;
            let (own, device) = self.own(engine, person)?;
            Some((key, device, open_token(&self.server, person.id, &own, token)?))
        });
        let (key, device, said) = opened.ok_or((Verdict::Nothing, Some(Refusal::Forged)))?;
        Ok(Claim {
            key,
            door: self.doors.get(&said.door).copied(),
            source,
            form,
            address: said.address,
            time: u64::from(said.time) * 1000,
            counter: said.counter,
            device,
            hold: u32::from(said.hold) * 60,
            asks: Asks::default(),
            code: Code::Absent,
        })
    }

    /// What the symbols of an encoded sequence claim, if they were sealed with the key of somebody who may open the door. Each key
    /// that is tried is asked for before.
    pub(super) fn sequence(
        &self,
        engine: &Engine,
        sought: &Sought,
        symbols: &[u16],
        (medium, knock): (Medium, &Knock),
        may_try: &mut impl FnMut() -> bool,
    ) -> Option<Claim> {
        let Sought { door, hash, template } = sought;
        let (key, device, said, mark) = self.tokens.of_sequence(template, symbols).iter().find_map(|known| {
            let (key, person) = self.person(*known).filter(|(_, person)| person.doors.contains(door) && may_try())?;
            let (own, device) = self.own(engine, person)?;
            let sealed_by = (&self.server, person.id, &own);
            let (said, mark) = encoded::open(sealed_by, *hash, template, symbols, clock::wall_ms() / 1000)?;
            Some((key, device, said, mark))
        })?;
        let source = match medium {
            Medium::Packet => Source::Packet(knock.origin),
            Medium::Log(log) => Source::Log(log),
        };
        // Others may write into a log, too.
        let observed = matches!(source, Source::Packet(_)).then_some(knock.origin);
        let whole = |address: IpAddr| if address.is_ipv4() { 32 } else { 128 };
        let prefix = said.allow.filter(|(address, prefix)| *prefix < whole(*address)).map(|(_, prefix)| prefix);
        Some(Claim {
            key,
            door: Some(*door),
            source,
            form: Form::Encoded,
            address: said.allow.map(|(address, _)| address).or(observed)?,
            time: mark.time() * 1000,
            counter: mark.0,
            device,
            hold: said.hold,
            asks: Asks { port: said.port, prefix, flags: said.flags },
            code: Code::Absent,
        })
    }

    fn share(&mut self, engine: &Engine, now: u64, id: SourceId, book: &Name, body: &[u8]) -> Read {
        let share = open_share(&self.server, book, body).ok_or(NOTHING)?;
        let wholes = self.shares.add(now, id, share);
        let claims = wholes.iter().filter_map(|whole| Some((whole, self.whole(engine, whole)?)));
        match claims.max_by_key(|(whole, _)| std::cmp::Reverse(whole.took)) {
            Some((whole, claim)) => {
                self.made_of = Some(whole.of);
                Ok(claim)
            }
            None => Err((Verdict::Waits, None)),
        }
    }

    /// The token that some shares make, if they came soon enough after each other for its door.
    fn whole(&self, engine: &Engine, whole: &Whole) -> Option<Claim> {
        let form = Form::Shares(u8::try_from(whole.shares.len()).ok()?);
        let token = combine(&whole.shares)?;
        let claim = self.token(engine, &token, Source::Guestbooks(whole.books), form).ok()?;
        let ways = claim.door.and_then(|door| self.ways.get(&door));
        // Somebody invited can seal shares that they have read anew, for a book that is not the door's.
        let counts = |ways: &Ways| {
            whole.took <= ways.share_within && ways.take(&claim.source, claim.form) != Err(Refusal::WrongWay)
        };
        ways.is_none_or(counts).then_some(claim)
    }

    fn code(&mut self, engine: &Engine, now: u64, body: &[u8], source: Source, address: Option<IpAddr>) -> Read {
        let address = address.and_then(klopf_spa::usable).ok_or(NOTHING)?;
        let (read, candidates) = self.tokens.of_code(body).ok_or(NOTHING)?;
        if candidates.is_empty() {
            return Err((Verdict::Nothing, Some(Refusal::UnknownKey)));
        }
        if !self.tries.take(Millis(now)) {
            return Err((Verdict::Later, None));
        }
        let found = candidates.iter().find_map(|known| {
            let (key, person) = self.person(*known)?;
            let (own, device) = self.own(engine, person)?;
            let fits = |hash: &[u8; 4]| is_code_of(&self.server, person.id, &own, *hash, body);
            let mut doors = self.doors.iter().filter(|(_, door)| person.doors.contains(door));
            doors.find(|(hash, _)| fits(hash)).map(|(_, door)| (key, device, *door))
        });
        let (key, device, door) = found.ok_or((Verdict::Nothing, Some(Refusal::Forged)))?;
        Ok(Claim {
            key,
            door: Some(door),
            source,
            form: Form::Code(read.place.sheet),
            address,
            time: 0,
            counter: u64::from(read.place.index) + 1,
            device,
            hold: 0,
            asks: Asks::default(),
            code: Code::Absent,
        })
    }

    /// What the courier is told of what the engine has refused.
    pub(super) fn verdict(&self, engine: &Engine, claim: &Claim, why: Refusal) -> Verdict {
        match why {
            // Where the marks were lost all of before is refused, and is not to be deleted for that.
            Refusal::Replayed if self.is_marked(engine, claim) => Verdict::Spent,
            Refusal::TooManyGrants => Verdict::Later,
            _ => Verdict::Refused,
        }
    }

    fn is_marked(&self, engine: &Engine, claim: &Claim) -> bool {
        let id = self.keys.get(&claim.key).map(|person| claim.form.mark_of(person.id.0));
        id.is_some_and(|id| !engine.marks().is_new(id, claim.counter))
    }

    /// What somebody's tokens are sealed with, and the device that made them; none while the device is not known.
    fn own(&self, engine: &Engine, person: &Person) -> Option<(Own, [u8; 16])> {
        let own = person.own(engine);
        self.strangers.set(self.strangers.get() || own.is_none());
        own
    }

    fn person(&self, known: Known) -> Option<(KeyRef, &Person)> {
        let key = KeyRef(known.number);
        self.keys.get(&key).map(|person| (key, person))
    }
}

impl Person {
    fn own(&self, engine: &Engine) -> Option<(Own, [u8; 16])> {
        if !self.once {
            return Some((Own::psk(&self.psk), [0; 16]));
        }
        let device = engine.marks().get(self.id.0)?.device()?;
        Some((Own::bound(&self.psk, device), device))
    }
}
