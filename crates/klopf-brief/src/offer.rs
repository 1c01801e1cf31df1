//! What the courier offers to the watch, and what the watch answers.

use std::net::IpAddr;

use crate::bytes::{Reader, Writer};

/// Bytes of an [`Offer`].
pub const OFFER_SIZE: usize = 128;
/// Bytes of an [`Answer`].
pub const ANSWER_SIZE: usize = 8;
/// Bytes of a [`Body`] at most.
pub const LONGEST_BODY: usize = 96;

/// What may be a token, a share or a code: up to [`LONGEST_BODY`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Body {
    bytes: [u8; LONGEST_BODY],
    length: u8,
}

impl Body {
    /// None if there are more bytes than that.
    #[must_use]
    pub fn new(body: &[u8]) -> Option<Self> {
        let mut bytes = [0; LONGEST_BODY];
        bytes.get_mut(..body.len())?.copy_from_slice(body);
        Some(Self { bytes, length: u8::try_from(body.len()).ok()? })
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Which offer this is; its answer has the same number.
    pub number: u32,
    /// Where it was found.
    pub source: u16,
    /// What it is.
    pub body: Body,
    /// The address that stood beside it, which only a code needs.
    pub address: Option<IpAddr>,
}

/// What the watch says to the courier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What became of an offer.
    To(u32, Verdict),
    /// The watch is new, or has other keys or doors, and does not know what was offered before: all that is there is to be
    /// offered again.
    Again,
}

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A door was opened, and that it was is on the disk.
    Taken,
    /// It was taken before, or is too old: it will never open anything.
    Spent,
    /// It is a share, and waits for others.
    Waits,
    /// Its maker is known, and may not do that.
    Refused,
    /// It is nothing, or nobody's who is known here.
    Nothing,
    /// There was no time to look at it: it may be offered again, later.
    Later,
}

impl Verdict {
    const ALL: [Self; 6] = [Self::Taken, Self::Spent, Self::Waits, Self::Refused, Self::Nothing, Self::Later];

    /// Its number, for messages of fixed size.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The verdict with this number.
    #[must_use]
    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

impl Offer {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; OFFER_SIZE] {
        let mut out = Writer::<OFFER_SIZE>::new();
        out.put(&self.number.to_le_bytes()).put(&self.source.to_le_bytes()).address(self.address);
        out.put(&[self.body.length]).put(&self.body.bytes);
        out.bytes
    }

    /// Reads one; none if it is none.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader::of::<OFFER_SIZE>(bytes)?;
        let (number, source, address) = (from.u32()?, from.u16()?, from.address()?);
        let (length, all) = (usize::from(from.u8()?), from.take::<LONGEST_BODY>()?);
        Some(Self { number, source, body: Body::new(all.get(..length)?)?, address })
    }
}

impl Answer {
    /// Its bytes.
    #[must_use]
    pub fn encode(self) -> [u8; ANSWER_SIZE] {
        let mut out = Writer::<ANSWER_SIZE>::new();
        match self {
            Self::To(number, verdict) => drop(out.put(&[1, verdict.number()]).put(&number.to_le_bytes())),
            Self::Again => drop(out.put(&[2])),
        }
        out.bytes
    }

    /// Reads one; none if it is none.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader::of::<ANSWER_SIZE>(bytes)?;
        let (kind, verdict, number) = (from.u8()?, from.u8()?, from.u32()?);
        match kind {
            1 => Some(Self::To(number, Verdict::of(verdict)?)),
            2 => Some(Self::Again),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_answer_comes_through() {
        for answer in Verdict::ALL.map(|verdict| Answer::To(u32::MAX, verdict)).into_iter().chain([Answer::Again]) {
            assert_eq!(Answer::decode(&answer.encode()), Some(answer));
        }
        assert_eq!(Body::new(&[0; LONGEST_BODY + 1]), None);
    }

    proptest! {
        #[test]
        fn every_offer_comes_through(
            number: u32,
            source: u16,
            body in prop::collection::vec(any::<u8>(), 0..=LONGEST_BODY),
            address: Option<IpAddr>,
        ) {
            let body = Body::new(&body).unwrap();
            let offer = Offer { number, source, body, address };
            prop_assert_eq!(Offer::decode(&offer.encode()), Some(offer));
        }

        #[test]
        fn any_bytes_are_decoded_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..140)) {
            let _ = (Offer::decode(&bytes), Answer::decode(&bytes));
        }

        #[test]
        fn any_offer_of_the_right_size_is_decoded_without_panic(bytes in prop::collection::vec(any::<u8>(), OFFER_SIZE)) {
            if let Some(offer) = Offer::decode(&bytes) {
                prop_assert_eq!(Offer::decode(&offer.encode()), Some(offer));
            }
        }
    }
}
