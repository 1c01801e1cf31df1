//! The knock lab: what a knock is, piece by piece.

mod sequence;

pub(crate) use self::sequence::sequence;
