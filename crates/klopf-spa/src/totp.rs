//! Codes of a second factor (RFC 6238): SHA-1, six digits, thirty seconds, as the common apps have them.

use aws_lc_rs::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key, sign};

const STEP: u64 = 30;
const CODES: u32 = 1_000_000;

/// The code of a moment, in seconds since 1970.
#[must_use]
pub fn totp_code(secret: &[u8], unix_seconds: u64) -> u32 {
    code_of_step(&Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret), unix_seconds / STEP)
}

/// Whether a code is that of a moment, of the half minute before, or of the one behind it.
#[must_use]
pub fn totp_fits(secret: &[u8], code: u32, unix_seconds: u64) -> bool {
    let (key, step) = (Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret), unix_seconds / STEP);
    (step.saturating_sub(1)..=step.saturating_add(1)).any(|step| code_of_step(&key, step) == code)
}

/// RFC 4226, section 5.3.
fn code_of_step(key: &Key, step: u64) -> u32 {
    let tag = sign(key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag.last().copied().unwrap_or_default() & 15);
    let four = tag.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default();
    (u32::from_be_bytes(four) & 0x7fff_ffff) % CODES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 6238, appendix B, the last six digits.
        let secret = b"12345678901234567890";
        for (time, code) in [(59, 287_082), (1_111_111_109, 81_804), (1_111_111_111, 50_471), (20_000_000_000, 353_130)]
        {
            assert_eq!(totp_code(secret, time), code);
            assert!(totp_fits(secret, code, time + 30) && totp_fits(secret, code, time.saturating_sub(30)));
            assert!(!totp_fits(secret, code, time + 60) && !totp_fits(secret, code + 1, time));
        }
    }
}
