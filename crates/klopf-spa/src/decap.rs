//! What a packet's sender and its server have in common: AuthDecap of HPKE (RFC 9180, 4.1).
//!
//! The `hpke` crate does all else. Its own exchange of keys takes twice the time of aws-lc's, and it would do again for
//! each packet what is the same for all packets of a key.

use std::sync::OnceLock;

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use hpke::kdf::{HkdfSha256, Kdf as _};
use hpke::kem::{SharedSecret, X25519HkdfSha256 as Kem};
use zeroize::Zeroizing;

use crate::{Public, ServerKey, ServerPublic};

/// "KEM" and the number of DHKEM(X25519, HKDF-SHA256).
const SUITE: &[u8; 5] = b"KEM\x00\x20";

type Secret = Zeroizing<[u8; 32]>;

/// The server, to whom packets are sent.
pub(crate) struct Recipient {
    private: PrivateKey,
    public: ServerPublic,
}

/// Somebody who sends packets.
pub(crate) struct Sender {
    pub(crate) public: Public,
    /// What the two long-lived keys make, from the first packet on. Most of many people have sent none, so it is apart.
    shared: OnceLock<Box<Secret>>,
}

impl Sender {
    pub(crate) const fn new(public: Public) -> Self {
        Self { public, shared: OnceLock::new() }
    }
}

impl Recipient {
    /// It is always there: any 32 bytes are a private key (RFC 7748).
    pub(crate) fn new(server: &ServerKey, public: ServerPublic) -> Option<Self> {
        let private = PrivateKey::from_private_key(&X25519, server.bytes()).ok()?;
        Some(Self { private, public })
    }

    /// The secret of a packet with this encapsulated key; none if that or the sender's key is of small order.
    pub(crate) fn decap(&self, sender: &Sender, enc: &[u8; 32]) -> Option<SharedSecret<Kem>> {
        let ephemeral = self.agreed(enc)?;
        let shared = match sender.shared.get() {
            Some(shared) => shared,
            None => {
                let shared = self.agreed(sender.public.exchange_bytes())?;
                sender.shared.get_or_init(|| Box::new(shared))
            }
        };
        let both = Zeroizing::new([*ephemeral, ***shared]);
        let context = [enc, &self.public.bytes()[..], sender.public.exchange_bytes()].concat();
        let mut secret = SharedSecret::default();
        HkdfSha256::extract_and_expand(both.as_flattened(), SUITE, &context, &mut secret.0).ok()?;
        Some(secret)
    }

    /// X25519, which has no result for the few public keys that would make the same of every private one.
    fn agreed(&self, with: &[u8]) -> Option<Secret> {
        let keep = |secret: &[u8]| secret.try_into().map(Zeroizing::new).map_err(drop);
        agree(&self.private, UnparsedPublicKey::new(&X25519, with), (), keep).ok()
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use hpke::{Deserializable, Kem as _};
    use proptest::prelude::*;

    use super::*;
    use crate::Seed;

    type Enc = <Kem as hpke::Kem>::EncappedKey;

    fn bytes(hex: &str) -> [u8; 32] {
        HEXLOWER.decode(hex.as_bytes()).unwrap().try_into().unwrap()
    }

    fn person(exchange: [u8; 32]) -> Sender {
        let mut public = [0; 64];
        public[..32].copy_from_slice(&exchange);
        Sender::new(Public(public))
    }

    #[test]
    fn the_standards_own_example_comes_out() {
        // RFC 9180, A.2.4.
        let server = ServerKey::new(bytes("7b36a42822e75bf3362dfabbe474b3016236408becb83b859a6909e22803cb0c"));
        let private = bytes("90761c5b0a7ef0985ed66687ad708b921d9803d51637c8d1cb72d03ed0f64418");
        let sender = person(*ServerKey::new(private).public().bytes());
        let enc = bytes("656a2e00dc9990fd189e6e473459392df556e9a2758754a09db3f51179a3fc02");
        let secret = Recipient::new(&server, server.public()).unwrap().decap(&sender, &enc).unwrap();
        assert_eq!(secret.0, bytes("86a6c0ed17714f11d2951747e660857a5fd7616c933ef03207808b7a7123fe67"));
    }

    #[test]
    fn a_key_that_makes_the_same_secret_with_everybody_has_none() {
        // The points of small order, <https://cr.yp.to/ecdh.html#validate>, and with the bit that does not count.
        let small = [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ];
        let server = ServerKey::new([1; 32]);
        let recipient = Recipient::new(&server, server.public()).unwrap();
        let good = *ServerKey::new([2; 32]).public().bytes();
        assert!(recipient.decap(&person(good), &good).is_some());
        for mut point in small.map(bytes) {
            for high in [0, 0x80] {
                point[31] |= high;
                assert!(recipient.decap(&person(good), &point).is_none(), "{point:x?}");
                assert!(recipient.decap(&person(point), &good).is_none(), "{point:x?}");
            }
        }
    }

    proptest! {
        #[test]
        fn it_is_what_hpke_makes(server: [u8; 32], seed: [u8; 32], encs in prop::collection::vec(any::<[u8; 32]>(), 1..4)) {
            let (server, public) = (ServerKey::new(server), Seed::new(seed).public());
            let (recipient, sender) = (Recipient::new(&server, server.public()).unwrap(), Sender::new(public));
            for enc in encs {
                let theirs = Kem::decap(&server.exchange().0, Some(&public.exchange().unwrap()), &Enc::from_bytes(&enc).unwrap());
                prop_assert_eq!(recipient.decap(&sender, &enc).map(|secret| secret.0), theirs.ok().map(|secret| secret.0));
            }
        }
    }
}
