//! What a person, or one device of theirs, has in common with the server alone.

use std::fmt;

use zeroize::Zeroizing;

use crate::Psk;
use crate::keys::derive;

/// The secret of tokens and codes (`own`): `psk`, or `psk || device` where the key belongs to one device.
#[derive(Clone, PartialEq, Eq)]
pub struct Own(Zeroizing<Vec<u8>>);

impl Own {
    /// That of a key which any device may use.
    #[must_use]
    pub fn psk(psk: &Psk) -> Self {
        Self(Zeroizing::new(psk.bytes().to_vec()))
    }

    /// That of a key which belongs to one device.
    #[must_use]
    pub fn bound(psk: &Psk, device: [u8; 16]) -> Self {
        Self(Zeroizing::new([&psk.bytes()[..], &device].concat()))
    }

    /// A key that follows from it.
    pub(crate) fn derive(&self, info: &str) -> Zeroizing<[u8; 32]> {
        derive(&self.0, info)
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Own(secret)")
    }
}
