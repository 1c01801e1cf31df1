//! What a sealed knock says: packets, short tokens, keys and invitations, byte by byte as `docs/PROTOCOL.md` has them.
//!
//! Pure: no clock, no random source, no socket or file; time and random bytes are arguments. It does not know what a door does.
#![forbid(unsafe_code)]

mod chance;
mod invitation;
mod keys;
mod knock;
mod name;
mod packet;
mod page;
mod port;
mod shape;
mod token;
mod totp;
#[cfg(test)]
mod vectors;

pub use invitation::{Invitation, InvitationError, InvitedKey};
pub use keys::{KeyError, KeyId, Psk, Public, Seed, ServerKey, ServerPublic};
pub use knock::{Knock, PacketPort, Way};
pub use name::Name;
pub use packet::{Checked, LONGEST, NotOpened, Opener, Random, Scratch, seal};
pub use page::{PageHead, PageKey};
pub use port::HOP_STEP;
pub use shape::{Dress, Lengths, Shape, Undressed};
pub use token::{Claim, door_hash, is_of, open_token, parse_token, seal_token, token_text};
pub use totp::{totp_code, totp_fits};
