//! The page for borrowed computers: one file that makes tokens in any browser, for who knows its passphrase.
//!
//! `knock.html` is made of the folder `page` at the root of the repository, and has a place for what is sealed.

mod passphrase;

use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::BASE64URL_NOPAD;
use klopf_spa::{PageHead, PageKey};
use zeroize::Zeroizing;

use crate::failure::{Failure, code};
use crate::profile::random;

pub(crate) use self::passphrase::Passphrase;

const PAGE: &str = include_str!("knock.html");
/// What is sealed goes here.
const PLACE: &str = "{{sealed}}";

/// What RFC 9106, section 4, recommends where memory is scarce: the browser of a phone takes seconds for it.
const MEMORY: u32 = 64 * 1024;
const PASSES: u8 = 3;
const LANES: u8 = 4;

/// The page, with this key in it.
pub(crate) fn html(key: &PageKey, passphrase: &Passphrase) -> Result<String, Failure> {
    let mut salt = [0; 16];
    random(&mut salt)?;
    let head = PageHead { memory: MEMORY, passes: PASSES, lanes: LANES, salt };
    let sealed = sealed(key, &head, passphrase)
        .ok_or_else(|| Failure::new(code::SYSTEM, "the key cannot be sealed; is there memory for it (64 MiB)?"))?;
    Ok(PAGE.replace(PLACE, &BASE64URL_NOPAD.encode(&sealed)))
}

fn sealed(key: &PageKey, head: &PageHead, passphrase: &Passphrase) -> Option<Vec<u8>> {
    let mut wrap = Zeroizing::new([0; 32]);
    let params = Params::new(head.memory, head.passes.into(), head.lanes.into(), Some(wrap.len())).ok()?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(passphrase.bytes(), &head.salt, &mut *wrap).ok()?;
    key.seal(head, &wrap)
}

#[cfg(test)]
mod tests;
