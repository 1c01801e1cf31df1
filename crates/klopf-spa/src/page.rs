//! What a page for borrowed computers holds: all that tokens are made with, and no more, sealed with a passphrase.

use aes_gcm_siv::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use zeroize::Zeroizing;

use crate::{KeyId, Name, Own, ServerPublic};

const VERSION: u8 = 1;
/// Bytes before what is sealed.
const HEAD: usize = 23;

/// How the key of the seal comes of the passphrase, by Argon2id (RFC 9106).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageHead {
    /// Memory, in KiB.
    pub memory: u32,
    /// How many times it is gone through.
    pub passes: u8,
    /// Lanes.
    pub lanes: u8,
    /// Random bytes.
    pub salt: [u8; 16],
}

/// What tokens are made with.
pub struct PageKey {
    server: ServerPublic,
    id: KeyId,
    /// The key of a token's seal.
    seal: Zeroizing<[u8; 32]>,
    mail: String,
    doors: Vec<Name>,
}

impl PageKey {
    /// Of a key; `mail` is where mails with tokens go, and the first of `doors` the usual one.
    #[must_use]
    pub fn new(server: &ServerPublic, id: KeyId, own: &Own, mail: Option<&str>, doors: &[Name]) -> Self {
        let seal = own.derive("klopf token 1 seal");
        Self { server: *server, id, seal, mail: mail.unwrap_or_default().to_owned(), doors: doors.to_vec() }
    }

    /// Sealed with the 32 bytes that Argon2id makes of the passphrase. They must be fresh: salt and key are for one page.
    /// None if the mail address is longer than 255 bytes.
    #[must_use]
    pub fn seal(&self, head: &PageHead, key: &[u8; 32]) -> Option<Vec<u8>> {
        let mut plain = Zeroizing::new(Vec::with_capacity(4096));
        plain.extend(self.server.bytes());
        plain.extend(self.id.0);
        plain.extend(*self.seal);
        for text in [self.mail.as_str()].into_iter().chain(self.doors.iter().map(|door| &**door)) {
            plain.push(u8::try_from(text.len()).ok()?);
            plain.extend(text.as_bytes());
        }
        let head = head.bytes();
        let payload = Payload { msg: &plain, aad: &[b"klopf page 1", &head[..]].concat() };
        let sealed = Aes256GcmSiv::new(key.into()).encrypt(&Nonce::default(), payload).ok()?;
        Some([&head[..], &sealed].concat())
    }
}

impl PageHead {
    fn bytes(&self) -> [u8; HEAD] {
        let mut out = [0; HEAD];
        let [a, b, c, d] = self.memory.to_be_bytes();
        let start = [VERSION, a, b, c, d, self.passes, self.lanes];
        let all = start.into_iter().chain(self.salt);
        out.iter_mut().zip(all).for_each(|(to, from)| *to = from);
        out
    }
}
