//! A token in shares, one for each of several guestbooks (Shamir, "How to share a secret", 1979).

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use aes_gcm_siv::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use blahaj::Sharks;

use crate::ServerPublic;
use crate::chance::Drawn;
use crate::keys::derive;
use crate::knock::Reader;
use crate::packet::Random;
use crate::token;

/// Of how many shares a token can be, and how many of them can be needed.
pub(crate) const SHARES: RangeInclusive<u8> = 2..=8;
/// Bytes of a part before its values.
const HEAD: usize = 5;
const TAG: usize = 16;

/// A share that was opened.
///
/// Everybody who was invited can make one; what it is worth shows when a token comes of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share {
    /// The same in all shares of one token, and else random.
    pub group: [u8; 4],
    /// How many are needed, 2 to 8.
    pub k: u8,
    /// Which one it is, 1 to 8.
    pub x: u8,
    /// A byte for each of the token: 49 or 61.
    pub values: Vec<u8>,
}

/// Splits a token into shares, one for each of these books in their order, any `k` of which make it whole again.
///
/// None if that is no token's length, there are not 2 to 8 books, one is there twice, or `k` is not 2 to their number.
#[must_use]
pub fn seal_shares(
    server: &ServerPublic,
    token: &[u8],
    k: u8,
    books: &[&str],
    random: Random<'_>,
) -> Option<Vec<Vec<u8>>> {
    let n = u8::try_from(books.len()).ok().filter(|n| SHARES.contains(n))?;
    let different = books.iter().collect::<BTreeSet<_>>().len() == books.len();
    if !different || !(2..=n).contains(&k) || !token::LENGTHS.contains(&token.len()) {
        return None;
    }
    let mut group = [0; 4];
    random(&mut group);
    let dealer = Sharks(k).dealer_rng(token, &mut Drawn(random));
    books
        .iter()
        .zip(dealer)
        .map(|(book, dealt)| {
            let values = dealt.y.iter().map(|value| value.0).collect();
            seal(server, book, &Share { group, k, x: dealt.x.0, values })
        })
        .collect()
}

pub(crate) fn seal(server: &ServerPublic, book: &str, share: &Share) -> Option<Vec<u8>> {
    let part = [&share.group[..], &[16 * share.k + share.x], &share.values].concat();
    cipher(server).encrypt(&Nonce::default(), Payload { msg: &part, aad: &bound(book) }).ok()
}

/// Opens a share that came by this book; none if it is not for it, or by nobody who was invited.
#[must_use]
pub fn open_share(server: &ServerPublic, book: &str, body: &[u8]) -> Option<Share> {
    // Others cost nothing.
    if !token::LENGTHS.iter().any(|length| body.len() == HEAD + length + TAG) {
        return None;
    }
    let part = cipher(server).decrypt(&Nonce::default(), Payload { msg: body, aad: &bound(book) }).ok()?;
    let mut from = Reader(&part);
    let (group, [numbers]) = (from.take()?, from.take()?);
    let share = Share { group, k: numbers >> 4, x: numbers & 15, values: from.0.to_vec() };
    share.is_sound().then_some(share)
}

/// The token of exactly as many shares as are needed, in any order.
///
/// None if there are more or fewer, or they are not different ones of one group. If one of them is wrong so is the
/// token, which then opens for no key.
#[must_use]
pub fn combine(shares: &[Share]) -> Option<Vec<u8>> {
    let first = shares.first()?;
    let kin = |share: &Share| (share.group, share.k, share.values.len()) == (first.group, first.k, first.values.len());
    let different = shares.iter().map(|share| share.x).collect::<BTreeSet<_>>().len() == usize::from(first.k);
    if !different || shares.len() != usize::from(first.k) || !shares.iter().all(|share| share.is_sound() && kin(share))
    {
        return None;
    }
    let dealt = |share: &Share| blahaj::Share::try_from(&*[&[share.x], &*share.values].concat()).ok();
    let dealt: Vec<blahaj::Share> = shares.iter().map(dealt).collect::<Option<_>>()?;
    Sharks(first.k).recover(&dealt).ok()
}

impl Share {
    fn is_sound(&self) -> bool {
        SHARES.contains(&self.k) && (1..=*SHARES.end()).contains(&self.x) && token::LENGTHS.contains(&self.values.len())
    }
}

fn cipher(server: &ServerPublic) -> Aes256GcmSiv {
    Aes256GcmSiv::new(&(*derive::<32>(server.bytes(), "klopf share 1")).into())
}

fn bound(book: &str) -> Vec<u8> {
    [b"klopf share 1", book.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ServerKey;

    const BOOKS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

    fn server() -> ServerPublic {
        ServerKey::new([1; 32]).public()
    }

    /// Bytes that differ each time.
    fn chance() -> impl FnMut(&mut [u8]) {
        let mut next = 0_u64;
        move |out| {
            for byte in out {
                next = next.wrapping_add(0x9e37_79b9_7f4a_7c15);
                *byte = (next ^ (next >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9).to_be_bytes()[0];
            }
        }
    }

    fn shares(token: &[u8], k: u8, n: usize) -> Vec<Share> {
        let sealed = seal_shares(&server(), token, k, &BOOKS[..n], &mut chance()).unwrap();
        assert_eq!(sealed.len(), n);
        let open = |(book, body): (&&str, &Vec<u8>)| open_share(&server(), book, body).unwrap();
        BOOKS.iter().zip(&sealed).map(open).collect()
    }

    #[test]
    fn any_k_of_n_make_the_token_and_no_other_number_does() {
        let tokens: [Vec<u8>; 2] = [(0..49).collect(), (100..161).collect()];
        for (token, n) in tokens.iter().flat_map(|token| (2..=8).map(move |n| (token, n))) {
            for k in 2..=u8::try_from(n).unwrap() {
                let shares = shares(token, k, n);
                for chosen in 0_u32..1 << n {
                    let some: Vec<Share> =
                        (0..n).rev().filter(|at| chosen >> at & 1 == 1).map(|at| shares[at].clone()).collect();
                    let expected = (chosen.count_ones() == u32::from(k)).then(|| token.clone());
                    assert_eq!(combine(&some), expected, "{k} of {n}: {chosen:b}");
                }
            }
        }
    }

    #[test]
    fn fewer_than_k_shares_are_as_they_could_be_of_any_token() {
        // With k of 3 every value of the missing share gives another token, so two of them exclude none.
        let two = shares(&[7; 49], 3, 3);
        let mut found: Vec<u8> = (0..=255)
            .map(|value| {
                let guessed = Share { values: vec![value; 49], ..two[2].clone() };
                combine(&[two[0].clone(), two[1].clone(), guessed]).unwrap()[0]
            })
            .collect();
        found.sort_unstable();
        assert_eq!(found, (0..=255).collect::<Vec<u8>>());
    }

    #[test]
    fn a_share_counts_in_its_book_and_at_its_server_alone_and_not_with_a_changed_bit() {
        for length in token::LENGTHS {
            let sealed = seal_shares(&server(), &vec![7; length], 2, &["a", "b"], &mut chance()).unwrap();
            let body = &sealed[0];
            assert_eq!(body.len(), length + 21);
            assert!(open_share(&server(), "a", body).is_some());
            assert_eq!(open_share(&server(), "b", body), None);
            assert_eq!(open_share(&server(), "", body), None);
            assert_eq!(open_share(&ServerKey::new([9; 32]).public(), "a", body), None);
            for bit in 0..body.len() * 8 {
                let mut changed = body.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(open_share(&server(), "a", &changed), None, "bit {bit}");
            }
        }
    }

    #[test]
    fn what_cannot_be_split_is_refused() {
        let split = |length: usize, k, books: &[&str]| {
            seal_shares(&server(), &vec![0; length], k, books, &mut |out| out.fill(5)).is_some()
        };
        assert!(split(49, 2, &BOOKS) && split(61, 8, &BOOKS));
        assert!(!split(49, 1, &BOOKS) && !split(49, 9, &BOOKS) && !split(49, 0, &BOOKS) && !split(49, 255, &BOOKS));
        assert!(!split(49, 3, &BOOKS[..2]) && !split(49, 2, &BOOKS[..1]) && !split(49, 2, &[]));
        assert!(!split(49, 2, &["a"; 9]) && !split(49, 2, &["a", "b", "a"]), "one book twice");
        assert!(!split(48, 2, &BOOKS) && !split(0, 2, &BOOKS) && !split(11, 2, &BOOKS));
    }

    #[test]
    fn what_the_invited_have_made_wrong_opens_not() {
        let share = |k, x, length| Share { group: [1; 4], k, x, values: vec![0; length] };
        let opens = |share: &Share| open_share(&server(), "a", &seal(&server(), "a", share).unwrap()).is_some();
        assert!(opens(&share(2, 1, 49)) && opens(&share(8, 8, 61)));
        for wrong in [share(1, 1, 49), share(9, 1, 49), share(0, 1, 49), share(2, 0, 49), share(2, 9, 49)] {
            assert!(!opens(&wrong), "{wrong:?}");
        }
        assert!(!opens(&share(2, 1, 48)) && !opens(&share(2, 1, 0)));
    }

    /// Shares as somebody could fill them in who knows the type.
    fn any_share() -> impl Strategy<Value = Share> {
        let values = prop_oneof![Just(0), Just(48), Just(49), Just(61), Just(200)]
            .prop_flat_map(|length: usize| proptest::collection::vec(any::<u8>(), length));
        let number = prop_oneof![0_u8..10, any::<u8>()];
        (0_u8..2, number.clone(), number, values).prop_map(|(group, k, x, values)| Share {
            group: [group; 4],
            k,
            x,
            values,
        })
    }

    proptest! {
        #[test]
        fn any_shares_are_combined_without_panic(
            shares in proptest::collection::vec(any_share(), 0..10),
            one in any_share(),
            numbers: Vec<u8>,
        ) {
            let token = combine(&shares);
            assert!(token.is_none_or(|token| token::LENGTHS.contains(&token.len())));
            // Of one kind, so that more get further.
            let alike: Vec<Share> = numbers.iter().map(|x| Share { x: *x, ..one.clone() }).collect();
            let _ = combine(&alike);
        }

        #[test]
        fn any_bytes_are_opened_without_panic(book: String, bytes: Vec<u8>, seventy in proptest::collection::vec(any::<u8>(), 70)) {
            assert_eq!(open_share(&server(), &book, &bytes), None);
            assert_eq!(open_share(&server(), &book, &seventy), None);
        }
    }
}
