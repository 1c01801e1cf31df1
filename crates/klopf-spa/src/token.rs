//! The short token: a sealed knock where every byte costs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aes_gcm_siv::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use data_encoding::BASE32_NOPAD;

use crate::keys::{derive, hash};
use crate::knock::{Reader, usable};
use crate::packet::Random;
use crate::{KeyId, Psk, ServerPublic};

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
pub fn seal_token(server: &ServerPublic, id: KeyId, psk: &Psk, claim: &Claim, random: Random<'_>) -> Option<Vec<u8>> {
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
    let sealed = cipher(psk).encrypt(&Nonce::from(head), payload).ok()?;
    Some([&head[..], &sealed].concat())
}

/// Opens a token with one key; none if it is not by that key. Whose it may be is cheap to see: [`is_of`].
#[must_use]
pub fn open_token(server: &ServerPublic, id: KeyId, psk: &Psk, token: &[u8]) -> Option<Claim> {
    let (head, sealed) = token.split_first_chunk::<HEAD>()?;
    let payload = Payload { msg: sealed, aad: &bound(server, id) };
    let plain = cipher(psk).decrypt(&Nonce::from(*head), payload).ok()?;
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

/// Whether a token says that it is by this key; one in four thousand million others does, too.
#[must_use]
pub fn is_of(server: &ServerPublic, id: KeyId, token: &[u8]) -> bool {
    let length = [49, 61].contains(&token.len());
    token.first_chunk::<HEAD>().is_some_and(|given| {
        let [n0, n1, n2, n3, n4, n5, n6, n7, ..] = *given;
        length && head(server, id, [n0, n1, n2, n3, n4, n5, n6, n7]) == *given
    })
}

/// A token as text: base32 in lower case.
#[must_use]
pub fn token_text(token: &[u8]) -> String {
    BASE32_NOPAD.encode(token).to_ascii_lowercase()
}

/// A token of a text, in whatever case.
#[must_use]
pub fn parse_token(text: &str) -> Option<Vec<u8>> {
    // Longer ones are none, and cost nothing.
    let bounded = (79..=98).contains(&text.len());
    bounded.then(|| BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok()).flatten()
}

/// Chance, and the key's id hidden behind it.
fn head(server: &ServerPublic, id: KeyId, n: [u8; 8]) -> [u8; HEAD] {
    let mask = derive::<32>(server.bytes(), "klopf token 1 mask");
    let tag = sign(&Key::new(HMAC_SHA256, &*mask), &n);
    let mut head = [0; HEAD];
    let hidden = id.0.iter().zip(tag.as_ref()).map(|(id, mask)| id ^ mask);
    head.iter_mut().zip(n.into_iter().chain(hidden)).for_each(|(to, from)| *to = from);
    head
}

fn cipher(psk: &Psk) -> Aes256GcmSiv {
    Aes256GcmSiv::new(&(*derive::<32>(psk.bytes(), "klopf token 1 seal")).into())
}

fn bound(server: &ServerPublic, id: KeyId) -> Vec<u8> {
    [b"klopf token 1", &server.bytes()[..], &id.0].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ServerKey;

    fn claim(address: &str) -> Claim {
        let address = address.parse().unwrap();
        Claim { address, door: door_hash("ssh"), time: 1_800_000_000, counter: LATEST, hold: 90 }
    }

    #[test]
    fn a_token_opens_for_its_key_alone_and_not_with_a_changed_bit() {
        let (server, id, psk) = (ServerKey::new([1; 32]).public(), KeyId([2; 8]), Psk::new([3; 32]));
        for (address, length) in [("192.0.2.7", 49), ("2001:db8::7", 61)] {
            let token = seal_token(&server, id, &psk, &claim(address), &mut |out| out.fill(5)).unwrap();
            assert_eq!(token.len(), length);
            assert_eq!(open_token(&server, id, &psk, &token), Some(claim(address)));
            assert_eq!(parse_token(&token_text(&token)), Some(token.clone()));
            assert!(is_of(&server, id, &token) && !is_of(&server, KeyId([9; 8]), &token));
            assert_eq!(open_token(&server, KeyId([9; 8]), &psk, &token), None);
            assert_eq!(open_token(&server, id, &Psk::new([4; 32]), &token), None);
            assert_eq!(open_token(&ServerKey::new([9; 32]).public(), id, &psk, &token), None);
            for bit in 0..length * 8 {
                let mut changed = token.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(open_token(&server, id, &psk, &changed), None, "bit {bit}");
            }
        }
        let too_late = Claim { counter: LATEST + 1, ..claim("192.0.2.7") };
        assert_eq!(seal_token(&server, id, &psk, &too_late, &mut |_| ()), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, text: String) {
            let server = ServerKey::new([1; 32]).public();
            assert_eq!(open_token(&server, KeyId([2; 8]), &Psk::new([3; 32]), &bytes), None);
            let _ = (parse_token(&text), is_of(&server, KeyId([2; 8]), &bytes));
        }
    }
}
