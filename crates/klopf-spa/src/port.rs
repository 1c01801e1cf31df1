//! The UDP port of packets, fixed or changing.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};

/// Seconds for which a changing port stays the same.
pub const HOP_STEP: u64 = 60;
/// Ports below are for well-known services.
const FIRST: u32 = 1024;

/// A port of four bytes of chance.
pub(crate) fn of(chance: u32) -> u16 {
    u16::try_from(FIRST + chance % (65_536 - FIRST)).unwrap_or(u16::MAX)
}

/// The port of a moment.
pub(crate) fn hop(key: &[u8; 32], unix_seconds: u64) -> u16 {
    let step = unix_seconds / HOP_STEP;
    let tag = sign(&Key::new(HMAC_SHA256, key), &step.to_be_bytes());
    of(u32::from_be_bytes(tag.as_ref().first_chunk().copied().unwrap_or_default()))
}
