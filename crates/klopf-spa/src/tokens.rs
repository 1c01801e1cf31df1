//! The server's side of tokens, codes and encoded sequences: which keys one may be by, before any seal is tried.

use std::cmp::Ordering;

use aws_lc_rs::hmac::{HMAC_SHA256, Key};

use crate::code::{self, ReadCode};
use crate::encoded::{self, Template};
use crate::token;
use crate::{KeyId, ServerPublic};

/// Looks up by whom a token, a code or an encoded sequence may be, by the beginning of the id that it hides.
///
/// One HMAC and a binary search for each, however many keys there are.
pub struct Tokens {
    token_mask: Key,
    code_mask: Key,
    encoded_mask: Key,
    /// By id.
    known: Vec<Known>,
}

/// A key that the server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Known {
    /// Its id.
    pub id: KeyId,
    /// By which the caller knows it.
    pub number: u32,
}

impl Tokens {
    /// One that knows no keys.
    #[must_use]
    pub fn new(server: &ServerPublic) -> Self {
        let mask = |key: &[u8; 32]| Key::new(HMAC_SHA256, key);
        Self {
            token_mask: mask(&token::mask(server)),
            code_mask: mask(&code::mask(server)),
            encoded_mask: mask(&encoded::mask_key(server)),
            known: Vec::new(),
        }
    }

    /// Takes the keys that count from now on. Of two with one id the smaller number counts.
    pub fn keys(&mut self, known: impl IntoIterator<Item = Known>) {
        self.known = known.into_iter().collect();
        self.known.sort_unstable();
        self.known.dedup_by_key(|known| known.id);
    }

    /// The keys by one of which a token may be: mostly one, or none. None at all if its length is not a token's.
    #[must_use]
    pub fn of_token(&self, token: &[u8]) -> &[Known] {
        token::hidden_id(&self.token_mask, token).map_or(&[], |start| self.beginning(&start))
    }

    /// What a code says without any key, and the keys by one of which it may be: one of 65,536. None if its length is not
    /// a code's.
    #[must_use]
    pub fn of_code(&self, code: &[u8]) -> Option<(ReadCode, &[Known])> {
        let read = code::read(&self.code_mask, code)?;
        Some((read, self.beginning(&read.id)))
    }

    /// The keys by one of which symbols may be: one of 64. None at all if they are none of this template.
    #[must_use]
    pub fn of_sequence(&self, template: &Template, symbols: &[u16]) -> &[Known] {
        let hint = encoded::hint(&self.encoded_mask, template, symbols);
        hint.map_or(&[], |hint| self.range(|id| encoded::hint_of(id).cmp(&hint)))
    }

    fn beginning(&self, start: &[u8]) -> &[Known] {
        self.range(|id| id.0.get(..start.len()).unwrap_or_default().cmp(start))
    }

    /// Those whose beginning is equal.
    fn range(&self, compare: impl Fn(KeyId) -> Ordering) -> &[Known] {
        let beginning = |known: &Known| compare(known.id);
        let first = self.known.partition_point(|known| beginning(known).is_lt());
        let end = self.known.partition_point(|known| beginning(known).is_le());
        self.known.get(first..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::tests::claim;
    use crate::{CodePlace, Own, Psk, ServerKey, make_code, open_token, seal_token};

    fn id(number: u64) -> KeyId {
        KeyId(number.to_be_bytes())
    }

    #[test]
    fn of_many_keys_those_that_begin_alike_are_found_and_one_opens() {
        let server = ServerKey::new([1; 32]).public();
        let own = Own::psk(&Psk::new([3; 32]));
        let mut tokens = Tokens::new(&server);
        // Ids spread over all beginnings, and two neighbours with the same first four bytes.
        let spread = |number: u32| id(u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut neighbour = spread(40_000);
        neighbour.0[7] ^= 1;
        let keys = (0..100_000).rev().map(|number| Known { id: spread(number), number });
        tokens.keys(keys.chain([Known { id: neighbour, number: 100_000 }]));
        for number in [0, 1, 40_000, 65_535, 99_999, 100_000] {
            let id = if number == 100_000 { neighbour } else { spread(number) };
            let token = seal_token(&server, id, &own, &claim("192.0.2.7"), &mut |out| out.fill(5)).unwrap();
            let candidates = tokens.of_token(&token);
            assert!(candidates.iter().all(|known| known.id.0[..4] == id.0[..4]) && candidates.len() <= 2);
            let opens = |known: &&Known| open_token(&server, known.id, &own, &token).is_some();
            assert_eq!(candidates.iter().find(opens).map(|known| known.number), Some(number));
        }
        let both = seal_token(&server, neighbour, &own, &claim("192.0.2.7"), &mut |out| out.fill(5)).unwrap();
        assert_eq!(tokens.of_token(&both).len(), 2);
    }

    #[test]
    fn the_first_and_the_last_ids_are_found_and_others_are_not() {
        let server = ServerKey::new([1; 32]).public();
        let own = Own::psk(&Psk::new([3; 32]));
        let mut tokens = Tokens::new(&server);
        let token = |id| seal_token(&server, id, &own, &claim("192.0.2.7"), &mut |out| out.fill(5)).unwrap();
        assert_eq!(tokens.of_token(&token(id(0))), []);
        let (first, last) = (Known { id: id(0), number: 3 }, Known { id: id(u64::MAX), number: 4 });
        tokens.keys([last, first, Known { number: 9, ..first }]);
        assert_eq!(tokens.of_token(&token(first.id)), [first]);
        assert_eq!(tokens.of_token(&token(last.id)), [last]);
        assert_eq!(tokens.of_token(&token(id(1 << 40))), []);
        assert_eq!(tokens.of_token(&[0; 50]), []);
        let place = CodePlace { sheet: 2047, index: 31 };
        let (read, of) = tokens.of_code(&make_code(&server, last.id, &own, "ssh", place).unwrap()).unwrap();
        assert_eq!((read.place, read.id, of), (place, [255; 2], &[last][..]));
        assert_eq!(tokens.of_code(&[0; 49]), None);
    }
}
