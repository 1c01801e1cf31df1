//! What a sealed knock says: packets, tokens, shares, codes, keys and invitations, byte by byte as `docs/PROTOCOL.md` has them.
//!
//! Pure: no clock, no random source, no socket or file; time and random bytes are arguments. It does not know what a door does.
#![forbid(unsafe_code)]

mod chance;
mod code;
mod decap;
pub mod encoded;
mod invitation;
mod keys;
mod knock;
mod name;
mod own;
mod packet;
mod page;
mod port;
mod shape;
mod share;
mod token;
mod tokens;
mod totp;
#[cfg(test)]
mod vectors;

pub use code::{CodePlace, ReadCode, is_code_of, make_code, read_code};
pub use invitation::{EncodedDoor, Invitation, InvitationError, InvitedKey, SharedDoor, is_mail_address};
pub use keys::{KeyError, KeyId, Psk, Public, Seed, ServerKey, ServerPublic};
pub use knock::{Knock, PacketPort, Way, usable};
pub use name::Name;
pub use own::Own;
pub use packet::{Checked, LONGEST, NotOpened, Opener, Random, Scratch, outer_id, seal};
pub use page::{PageHead, PageKey};
pub use port::HOP_STEP;
pub use shape::{Dress, Lengths, Shape, Undressed};
pub use share::{Share, combine, open_share, seal_shares};
pub use token::{Claim, door_hash, open_token, seal_token};
pub use tokens::{Known, Tokens};
pub use totp::{totp_code, totp_fits};
