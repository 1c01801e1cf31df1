//! Policy: whether a sealed knock is granted, in the order of `docs/PROTOCOL.md`, section 6.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use crate::codes::Codes;
use crate::hash::Keyed;
use crate::recognise::Doors;
use crate::{
    Budget, Claim, Door, Form, Grant, Key, KeyRef, Mark, Marks, Millis, Refusal, Sealed, SealedRefusal, Uses, Wall,
    Ways,
};

/// By how many milliseconds a counter may be above the time of its knock. One far above would stand in the way of all
/// that come after it.
const AHEAD: u64 = 86_400_000;
/// By how many milliseconds clocks may differ, unless told otherwise.
const WINDOW: u64 = 60_000;

/// Since when it is known what was accepted, milliseconds since 1970. What was made before may have been accepted already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Earliest {
    /// Of knocks of all kinds.
    pub all: u64,
    /// Of packets, but for those of keys whose devices have no clock.
    pub packets: u64,
}

/// The keys, with what was accepted of them.
pub(crate) struct Keys {
    keys: HashMap<KeyRef, Key, Keyed>,
    pub(crate) marks: Marks,
    uses: Uses,
    codes: Codes,
    pub(crate) window: u64,
    pub(crate) earliest: Earliest,
}

impl Keys {
    pub(crate) fn new(key: [u8; 16]) -> Self {
        let keys = HashMap::with_hasher(Keyed(key));
        Self {
            keys,
            marks: Marks::new(key),
            uses: Uses::new(key),
            codes: Codes::new(key),
            window: WINDOW,
            earliest: Earliest::default(),
        }
    }

    /// Takes other keys. What was accepted of the old ones is not forgotten.
    pub(crate) fn reload(&mut self, keys: Vec<Key>) {
        let ids: BTreeSet<_> = keys.iter().map(|key| key.id).collect();
        self.codes.keep(|id| ids.contains(&id));
        self.keys.clear();
        self.keys.extend(keys.into_iter().map(|key| (key.key, key)));
        self.keys.shrink_to_fit();
    }

    /// Decides on a sealed knock. If the clock is right its counter is used up, whatever the answer is.
    pub(crate) fn decide(
        &mut self,
        now: Millis,
        wall: Wall,
        claim: &Claim,
        doors: &Doors,
        grants: &mut Budget,
    ) -> Result<Grant, SealedRefusal> {
        let Self { keys, marks, uses, codes, window, earliest } = self;
        let Some(key) = keys.get(&claim.key) else {
            return Err(SealedRefusal { key: None, ..refuse(claim, Refusal::UnknownKey) });
        };
        let ahead = wall.ahead(claim.time);
        // Who made it is there, and makes another.
        let by_packet = matches!(claim.form, Form::Packet | Form::Encoded);
        // Whoever copies a token to where it counts not must not spoil it. A code could be used by them, too, and is better spoiled.
        let of_time = matches!(claim.form, Form::Token | Form::Shares(_));
        let door = claim.door.and_then(|door| doors.named(door)).filter(|_| of_time);
        if door.is_some_and(|door| door.ways.take(&claim.source, claim.form) == Err(Refusal::WrongWay)) {
            return Err(refuse(claim, Refusal::WrongWay));
        }
        let in_time = if key.no_clock { Ok(()) } else { in_time(claim, ahead, *window, doors) };
        // Before the terms, so that what they refuse now cannot be played again when they would not.
        let has_time = !key.no_clock && !matches!(claim.form, Form::Code(_));
        let sound = !has_time || claim.counter <= claim.time.saturating_add(AHEAD);
        let own = claim.form.mark_of(key.id);
        let dated = claim.form == Form::Packet && !key.no_clock;
        let known_since = if dated { earliest.all.max(earliest.packets) } else { earliest.all };
        let counts = in_time.is_ok() && sound && claim.time >= known_since && marks.is_new(own, claim.counter);
        // A token would be lost for good that had come at a bad time. One that opens nothing anyway costs nobody anything.
        if !by_packet && counts && !grants.take(now) {
            return Err(refuse(claim, Refusal::TooManyGrants));
        }
        let burns = counts && marks.accept(own, claim.counter, claim.form);
        let mark = marks.get(key.id).cloned().unwrap_or_default();
        let answer = match in_time {
            Err(why) => Err(why),
            Ok(()) if !sound => Err(Refusal::Forged),
            Ok(()) if !burns => Err(Refusal::Replayed),
            Ok(()) => permit(key, &mark, uses, (now, wall), claim, doors).and_then(|door| {
                if door.second_factor {
                    codes.check(key.id, claim.code, now)?;
                }
                if !by_packet || grants.take(now) { Ok(door) } else { Err(Refusal::TooManyGrants) }
            }),
        };
        match answer {
            Ok(door) => {
                if uses.begins(key.id, door.id, now) {
                    marks.count_use(key.id);
                    uses.begin(key.id, door.id, now);
                }
                if key.binds() {
                    marks.bind_device(key.id, claim.device);
                }
                let &Claim { source, form, counter, device, asks, .. } = claim;
                let hold = key.hold(claim.hold, door.may_ask.hold);
                let sealed = Some(Sealed { key: key.key, source, form, counter, ahead: ahead > 0, device, hold, asks });
                Ok(Grant { door: door.id, address: claim.address, uses_up: None, sealed })
            }
            Err(why) => Err(SealedRefusal {
                clock_ahead: (why == Refusal::WrongClock).then_some(ahead),
                burnt: burns.then_some(claim.counter),
                ..refuse(claim, why)
            }),
        }
    }
}

/// Whether it was made at a time that counts; `ahead` is by how much the client's clock seems to be.
fn in_time(claim: &Claim, ahead: i64, window: u64, doors: &Doors) -> Result<(), Refusal> {
    let within = |most: u64| ahead.unsigned_abs() <= most;
    match claim.form {
        Form::Code(_) => Ok(()),
        Form::Packet | Form::Encoded if within(window) => Ok(()),
        Form::Token | Form::Shares(_) if ahead < 0 => {
            let door = claim.door.and_then(|door| doors.named(door));
            let most = door.map_or_else(|| Ways::default().valid_for, |door| door.ways.valid_for);
            if within(most) { Ok(()) } else { Err(Refusal::TooOld) }
        }
        Form::Token | Form::Shares(_) if within(window) => Ok(()),
        _ => Err(Refusal::WrongClock),
    }
}

/// The door, if the key may open it now, on this device and for this address.
fn permit<'a>(
    key: &Key,
    mark: &Mark,
    uses: &Uses,
    (now, wall): (Millis, Wall),
    claim: &Claim,
    doors: &'a Doors,
) -> Result<&'a Door, Refusal> {
    key.knows(claim.form)?;
    key.invites(claim.device, mark, wall)?;
    let door = claim.door.and_then(|door| doors.named(door)).ok_or(Refusal::UnknownDoor)?;
    if !key.doors.contains(&door.id) {
        return Err(Refusal::WrongDoor);
    }
    door.ways.take(&claim.source, claim.form)?;
    key.is_good(mark, uses.begins(key.id, door.id, now), wall)?;
    if !key.may_let_in(claim.address, &claim.asks) {
        return Err(Refusal::WrongNetwork);
    }
    door.may_ask.grants(claim.address, &claim.asks)?;
    Ok(door)
}

fn refuse(claim: &Claim, why: Refusal) -> SealedRefusal {
    SealedRefusal {
        key: Some(claim.key),
        door: claim.door,
        source: claim.source,
        form: claim.form,
        address: Some(claim.address),
        why,
        clock_ahead: None,
        burnt: None,
    }
}
