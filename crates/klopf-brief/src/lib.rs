//! What keeper, watch and courier say to each other of mails and guestbooks.
//!
//! The keeper gives the courier a [`Brief`], once. The courier [`Offer`]s to the watch what it has found, and has an
//! [`Answer`] to each; to the keeper it [`Report`]s how its sources are. Offers, answers and reports have fixed sizes,
//! and every decoder is total. No text from outside goes any further than the courier.
//!
//! Pure: no file, socket or clock. It does not know what a token is.
#![forbid(unsafe_code)]

mod brief;
mod bytes;
mod offer;
mod report;

pub use brief::{Brief, Delivery, Format, Guestbook, Imap, Maildir, Network, Secret, Source, Taken, What};
pub use offer::{ANSWER_SIZE, Answer, Body, LONGEST_BODY, OFFER_SIZE, Offer, Verdict};
pub use report::{REPORT_SIZE, Report, State, Trouble};

/// The courier's exit status when another one is to begin in its place (`EX_TEMPFAIL` of sysexits.h).
pub const ANEW: u8 = 75;
