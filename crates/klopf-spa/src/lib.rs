//! What a sealed knock says: packets, short tokens, keys and invitations, byte by byte as `docs/PROTOCOL.md` has them.
//!
//! Pure: no clock, no random source, no socket or file; time and random bytes are arguments. It does not know what a door does.
#![forbid(unsafe_code)]

mod keys;
mod name;
mod port;

pub use keys::{KeyError, KeyId, Psk, Public, Seed, ServerKey, ServerPublic};
pub use name::Name;
pub use port::HOP_STEP;
