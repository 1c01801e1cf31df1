//! Knocking: whom to, for whom, and with which number.
//!
//! The host is resolved once; packets go to the very addresses that are connected to later.

mod allow;
mod explain;
mod knocker;
mod stun;
mod target;
mod trouble;

pub(crate) use explain::explain;
pub(crate) use knocker::{Ask, Knocker, Sent};
pub(crate) use target::{Target, resolve};
pub(crate) use trouble::probable_causes;
pub use stun::{binding_request, mapped_address};
