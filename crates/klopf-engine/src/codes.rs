//! How many wrong codes a key may send.

use std::collections::HashMap;

use crate::budget::{Bucket, Rate};
use crate::hash::Keyed;
use crate::{Code, Millis, Refusal};

/// Wrong codes of one key. A code has six digits, and some of them are right at any time: without a bound, who has
/// stolen a key would find one within hours (RFC 4226, section 7.3).
const WRONG: Rate = Rate::one_in(5, 60_000);

/// What is left to keys that have sent wrong codes, by their ids.
pub(crate) struct Codes(HashMap<[u8; 8], Bucket, Keyed>);

impl Codes {
    pub(crate) fn new(key: [u8; 16]) -> Self {
        Self(HashMap::with_hasher(Keyed(key)))
    }

    /// Passes a right code, unless there were too many wrong ones: guessing must not go on until one is right.
    pub(crate) fn check(&mut self, id: [u8; 8], code: Code, now: Millis) -> Result<(), Refusal> {
        match code {
            Code::Absent => Err(Refusal::NoCode),
            Code::Wrong => {
                self.0.entry(id).or_insert(WRONG.full()).take(WRONG, now);
                Err(Refusal::WrongCode)
            }
            Code::Right if self.0.get(&id).is_some_and(|left| !left.has_one(WRONG, now)) => Err(Refusal::WrongCode),
            Code::Right => Ok(()),
        }
    }

    /// Forgets keys that are gone.
    pub(crate) fn keep(&mut self, known: impl Fn([u8; 8]) -> bool) {
        self.0.retain(|&id, _| known(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guesses_codes_waits_and_other_keys_do_not() {
        let mut codes = Codes::new([7; 16]);
        let mut check = |id, code, now| codes.check([id; 8], code, Millis(now));
        for now in 1..=4 {
            assert_eq!(check(1, Code::Wrong, now), Err(Refusal::WrongCode));
        }
        assert_eq!(check(1, Code::Right, 5), Ok(()), "who mistypes is let in");
        assert_eq!(check(1, Code::Wrong, 5), Err(Refusal::WrongCode));
        assert_eq!(check(1, Code::Right, 60_000), Err(Refusal::WrongCode), "the sixth guess says nothing");
        assert_eq!(check(2, Code::Right, 60_000), Ok(()));
        assert_eq!(check(1, Code::Absent, 60_000), Err(Refusal::NoCode));
        assert_eq!(check(1, Code::Right, 60_001), Ok(()));
    }

    #[test]
    fn a_reload_forgives_only_keys_that_are_gone() {
        let mut codes = Codes::new([7; 16]);
        for id in [1, 2, 1, 2, 1, 2, 1, 2, 1, 2] {
            let _ = codes.check([id; 8], Code::Wrong, Millis(1));
        }
        codes.keep(|id| id == [1; 8]);
        assert_eq!(codes.check([1; 8], Code::Right, Millis(1)), Err(Refusal::WrongCode));
        assert_eq!(codes.0.len(), 1);
    }
}
