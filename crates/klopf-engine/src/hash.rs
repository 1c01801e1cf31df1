//! A hash that strangers cannot foresee.

use std::hash::{BuildHasher, Hasher};

use siphasher::sip::SipHasher13;

/// SipHash-1-3 under a secret key.
#[derive(Clone, Copy)]
pub(crate) struct Keyed(pub(crate) [u8; 16]);

impl BuildHasher for Keyed {
    type Hasher = KeyedHasher;

    fn build_hasher(&self) -> KeyedHasher {
        KeyedHasher(SipHasher13::new_with_key(&self.0))
    }
}

pub(crate) struct KeyedHasher(SipHasher13);

impl Hasher for KeyedHasher {
    fn finish(&self) -> u64 {
        self.0.finish()
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }
}
