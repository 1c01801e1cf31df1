//! Knocking: whom to, for whom, and with which number.
//!
//! The host is resolved once; packets go to the very addresses that are connected to later.

mod allow;
mod explain;
mod knocker;
mod target;
mod trouble;

pub(crate) use allow::public_address;
pub(crate) use explain::{date, explain, layers};
pub(crate) use knocker::{Ask, Knocker, Sent, unix_ms};
pub(crate) use target::{Target, is_public, resolve, towards};
pub(crate) use trouble::probable_causes;
