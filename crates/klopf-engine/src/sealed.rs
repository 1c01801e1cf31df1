//! Policy: whether a sealed knock is granted, in the order of `docs/PROTOCOL.md`, section 6.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use crate::codes::Codes;
use crate::hash::Keyed;
use crate::recognise::Doors;
use crate::{Budget, Claim, Door, Grant, Key, KeyRef, Mark, Marks, Millis, Refusal, Sealed, SealedRefusal, Uses, Wall};

/// By how many milliseconds a counter may be above the time of its knock. One far above would stand in the way of all
/// that come after it.
const AHEAD: u64 = 86_400_000;
/// By how many milliseconds clocks may differ, unless told otherwise.
const WINDOW: u64 = 60_000;

/// The keys, with what was accepted of them.
pub(crate) struct Keys {
    keys: HashMap<KeyRef, Key, Keyed>,
    pub(crate) marks: Marks,
    uses: Uses,
    codes: Codes,
    pub(crate) window: u64,
    /// Knocks that were made before, in milliseconds since 1970, may have been accepted already.
    pub(crate) earliest: u64,
}

impl Keys {
    pub(crate) fn new(key: [u8; 16]) -> Self {
        let keys = HashMap::with_hasher(Keyed(key));
        Self { keys, marks: Marks::new(key), uses: Uses::new(key), codes: Codes::new(key), window: WINDOW, earliest: 0 }
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
        let in_time = key.no_clock || ahead.unsigned_abs() <= *window;
        // Before the terms, so that what they refuse now cannot be played again when they would not.
        let sound = key.no_clock || claim.counter <= claim.time.saturating_add(AHEAD);
        let burns = in_time && sound && claim.time >= *earliest && marks.accept(key.id, claim.counter);
        let answer = match marks.get(key.id).filter(|_| burns) {
            _ if !in_time => Err(Refusal::WrongClock),
            _ if !sound => Err(Refusal::Forged),
            None => Err(Refusal::Replayed),
            Some(mark) => permit(key, mark, uses, (now, wall), claim, doors).and_then(|door| {
                if door.second_factor {
                    codes.check(key.id, claim.code, now)?;
                }
                if grants.take(now) { Ok(door) } else { Err(Refusal::TooManyGrants) }
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
                let (counter, device, hold) = (claim.counter, claim.device, key.hold(claim.hold));
                let sealed = Some(Sealed { key: key.key, origin: claim.origin, counter, device, hold });
                Ok(Grant { door: door.id, address: claim.lets_in(), uses_up: None, sealed })
            }
            Err(why) => Err(SealedRefusal {
                clock_ahead: (why == Refusal::WrongClock).then_some(ahead),
                burnt: burns.then_some(claim.counter),
                ..refuse(claim, why)
            }),
        }
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
    key.invites(claim.device, mark, wall)?;
    let door = claim.door.and_then(|door| doors.named(door)).ok_or(Refusal::UnknownDoor)?;
    if !key.doors.contains(&door.id) {
        return Err(Refusal::WrongDoor);
    }
    key.is_good(mark, uses.begins(key.id, door.id, now), wall)?;
    if !key.may_let_in(claim.lets_in()) {
        return Err(Refusal::WrongNetwork);
    }
    Ok(door)
}

fn refuse(claim: &Claim, why: Refusal) -> SealedRefusal {
    SealedRefusal {
        key: Some(claim.key),
        door: claim.door,
        origin: claim.origin,
        address: claim.address,
        why,
        clock_ahead: None,
        burnt: None,
    }
}
