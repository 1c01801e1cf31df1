//! What the tests share: chance that is the same each time, and a knock.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use klopf_spa::{Knock, Name, Opener, Psk, Seed, ServerKey, Shape, seal};

/// Milliseconds since 1970.
pub(crate) const NOW: u64 = 1_790_000_000_000;

/// A stream of bytes that nobody can tell from random ones: ChaCha20's, under a key of this number.
pub(crate) fn chance(seed: u8) -> impl FnMut(&mut [u8]) {
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &[seed; 32]).unwrap());
    let mut next = 0_u128;
    move |out| {
        next += 1;
        let nonce = next.to_le_bytes().first_chunk().copied().unwrap();
        out.fill(0);
        let _tag = key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), out).unwrap();
    }
}

/// The knock with this counter.
pub(crate) fn knock(counter: u64) -> Knock {
    let door = Name::new("ssh").unwrap();
    Knock { time: NOW + 1000 * counter, counter, device: [4; 16], allow: None, hold: 0, code: None, door }
}

/// That knock, sealed by somebody.
pub(crate) fn sealed(shape: Shape, counter: u64, random: &mut impl FnMut(&mut [u8])) -> Vec<u8> {
    let (server, seed, psk) = (ServerKey::new([1; 32]), Seed::new([2; 32]), Psk::new([3; 32]));
    seal((&server.public(), shape), (&seed, &psk), &knock(counter), NOW, random)
}

/// Who opens it, and knows that somebody as number 7.
#[allow(dead_code, reason = "not all tests open")]
pub(crate) fn opener(shape: Shape) -> Opener {
    let mut opener = Opener::new(&ServerKey::new([1; 32]), shape);
    opener.people([(7, Seed::new([2; 32]).public(), Psk::new([3; 32]))]);
    opener
}
