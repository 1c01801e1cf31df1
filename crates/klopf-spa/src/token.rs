//! The short token: a sealed knock where every byte costs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aes_gcm_siv::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use zeroize::Zeroizing;

use crate::keys::{derive, hash};
use crate::knock::{Reader, usable};
use crate::packet::Random;
use crate::{KeyId, Own, ServerPublic};

/// Bytes of a token for an IPv4 address, and for an IPv6 one.
pub(crate) const LENGTHS: [usize; 2] = [49, 61];
/// Bytes before the sealed claim.
const HEAD: usize = 12;
const LATEST: u64 = (1 << 48) - 1;

/// What a token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whom to let in. Never an IPv4 address written as an IPv6 one.
    pub address: IpAddr,
    /// The door, by [`door_hash`].
    pub door: [u8; 4],
    /// When it was made, in seconds since 1970.
    pub time: u32,
    /// Greater than that of every token before; below 2^48.
    pub counter: u64,
    /// For how many minutes; 0: as long as the door says.
    pub hold: u16,
}

/// Names a door in a token.
#[must_use]
pub fn door_hash(name: &str) -> [u8; 4] {
    hash(&[b"klopf door", name.as_bytes()])
}

/// A token: 49 bytes for an IPv4 address, 61 for an IPv6 one. None if the counter is too great.
#[must_use]
pub fn seal_token(server: &ServerPublic, id: KeyId, own: &Own, claim: &Claim, random: Random<'_>) -> Option<Vec<u8>> {
    let mut n = [0; 8];
    random(&mut n);
    let head = head(server, id, n);
    let mut plain = Vec::new();
    match claim.address {
        IpAddr::V4(v4) => {
            plain.push(0x14);
            plain.extend(v4.octets());
        }
        IpAddr::V6(v6) => {
            plain.push(0x16);
            plain.extend(v6.octets());
        }
    }
    plain.extend(claim.door);
    plain.extend(claim.time.to_be_bytes());
    plain.extend(claim.counter.to_be_bytes().get(2..).filter(|_| claim.counter <= LATEST)?);
    plain.extend(claim.hold.to_be_bytes());
    let payload = Payload { msg: &plain, aad: &bound(server, id) };
    let sealed = cipher(own).encrypt(&Nonce::from(head), payload).ok()?;
    Some([&head[..], &sealed].concat())
}

/// Opens a token with one key; none if it is not by that key. By whose it may be: [`crate::Tokens`].
#[must_use]
pub fn open_token(server: &ServerPublic, id: KeyId, own: &Own, token: &[u8]) -> Option<Claim> {
    let (head, sealed) = token.split_first_chunk::<HEAD>()?;
    let payload = Payload { msg: sealed, aad: &bound(server, id) };
    let plain = cipher(own).decrypt(&Nonce::from(*head), payload).ok()?;
    let mut from = Reader(&plain);
    let address = match from.take()? {
        [0x14] => Ipv4Addr::from(from.take::<4>()?).into(),
        [0x16] => Ipv6Addr::from(from.take::<16>()?).into(),
        _ => return None,
    };
    let (door, time) = (from.take()?, u32::from_be_bytes(from.take()?));
    let [a, b, c, d, e, f] = from.take()?;
    let counter = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    let hold = u16::from_be_bytes(from.take()?);
    let whole = from.0.is_empty();
    whole.then_some(Claim { address: usable(address)?, door, time, counter, hold })
}

/// How the id of the key begins by which a token says it is; none if its length is not that of a token. Takes the key that [`mask`] is.
pub(crate) fn hidden_id(mask: &Key, token: &[u8]) -> Option<[u8; 4]> {
    let mut from = Reader(token);
    let (n, hidden) = (from.take()?, from.take()?);
    LENGTHS.contains(&token.len()).then(|| hide(mask, n, hidden))
}

/// The key that hides ids.
pub(crate) fn mask(server: &ServerPublic) -> Zeroizing<[u8; 32]> {
    derive(server.bytes(), "klopf token 1 mask")
}

/// Hides the beginning of an id, or shows it again.
fn hide(mask: &Key, n: [u8; 8], mut id: [u8; 4]) -> [u8; 4] {
    let stream = sign(mask, &n);
    id.iter_mut().zip(stream.as_ref()).for_each(|(byte, with)| *byte ^= with);
    id
}

/// Chance, and the beginning of the key's id hidden behind it.
fn head(server: &ServerPublic, id: KeyId, n: [u8; 8]) -> [u8; HEAD] {
    let [i0, i1, i2, i3, ..] = id.0;
    let hidden = hide(&Key::new(HMAC_SHA256, &*mask(server)), n, [i0, i1, i2, i3]);
    let mut head = [0; HEAD];
    head.iter_mut().zip(n.into_iter().chain(hidden)).for_each(|(to, from)| *to = from);
    head
}

fn cipher(own: &Own) -> Aes256GcmSiv {
    Aes256GcmSiv::new(&(*own.derive("klopf token 1 seal")).into())
}

fn bound(server: &ServerPublic, id: KeyId) -> Vec<u8> {
    [b"klopf token 1", &server.bytes()[..], &id.0].concat()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{Psk, ServerKey};

    pub(crate) fn claim(address: &str) -> Claim {
        let address = address.parse().unwrap();
        Claim { address, door: door_hash("ssh"), time: 1_800_000_000, counter: LATEST, hold: 90 }
    }

    #[test]
    fn a_token_opens_for_its_key_alone_and_not_with_a_changed_bit() {
        let (server, id, psk) = (ServerKey::new([1; 32]).public(), KeyId([2; 8]), Psk::new([3; 32]));
        let own = Own::psk(&psk);
        for (address, length) in [("192.0.2.7", 49), ("2001:db8::7", 61)] {
            let token = seal_token(&server, id, &own, &claim(address), &mut |out| out.fill(5)).unwrap();
            assert_eq!(token.len(), length);
            assert_eq!(open_token(&server, id, &own, &token), Some(claim(address)));
            assert_eq!(open_token(&server, KeyId([9; 8]), &own, &token), None);
            assert_eq!(open_token(&server, id, &Own::psk(&Psk::new([4; 32])), &token), None);
            assert_eq!(open_token(&ServerKey::new([9; 32]).public(), id, &own, &token), None);
            for bit in 0..length * 8 {
                let mut changed = token.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(open_token(&server, id, &own, &changed), None, "bit {bit}");
            }
        }
        let too_late = Claim { counter: LATEST + 1, ..claim("192.0.2.7") };
        assert_eq!(seal_token(&server, id, &own, &too_late, &mut |_| ()), None);
    }

    #[test]
    fn a_token_of_a_device_opens_with_its_number_alone() {
        let (server, id, psk) = (ServerKey::new([1; 32]).public(), KeyId([2; 8]), Psk::new([3; 32]));
        let bound = |device| Own::bound(&psk, [device; 16]);
        let token = seal_token(&server, id, &bound(7), &claim("192.0.2.7"), &mut |out| out.fill(5)).unwrap();
        assert_eq!(open_token(&server, id, &bound(7), &token), Some(claim("192.0.2.7")));
        assert_eq!(open_token(&server, id, &bound(8), &token), None);
        assert_eq!(open_token(&server, id, &Own::psk(&psk), &token), None);
        assert_eq!(format!("{:?}", bound(7)), "Own(secret)");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let (server, own) = (ServerKey::new([1; 32]).public(), Own::psk(&Psk::new([3; 32])));
            assert_eq!(open_token(&server, KeyId([2; 8]), &own, &bytes), None);
            let hidden = hidden_id(&Key::new(HMAC_SHA256, &*mask(&server)), &bytes);
            assert_eq!(hidden.is_some(), LENGTHS.contains(&bytes.len()));
        }
    }
}
