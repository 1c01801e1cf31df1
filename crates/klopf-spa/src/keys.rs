//! Keys of servers and people. Secrets are wiped when they are dropped, and `Debug` does not show them.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use data_encoding::BASE64URL_NOPAD;
use hpke::Kem as _;
use hpke::kem::X25519HkdfSha256 as Kem;
use hpke::{Deserializable, Serializable};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

pub(crate) type PrivateKey = <Kem as hpke::Kem>::PrivateKey;
pub(crate) type PublicKey = <Kem as hpke::Kem>::PublicKey;

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// A character that base64url does not have, at this place, counted from 0.
    Character(usize),
    /// It is a text of another length: so many characters are needed, so many there.
    Length(usize, usize),
    /// It is no key on the curve.
    NoKey,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character(at) => write!(f, "character {} is none of A-Z a-z 0-9 - _", at + 1),
            Self::Length(needed, there) => {
                write!(f, "a key of this kind has {needed} characters, and here are {there}")
            }
            Self::NoKey => f.write_str("it has the form of a key and is none"),
        }
    }
}

impl std::error::Error for KeyError {}

/// HKDF-SHA256 with the salt "klopf".
pub(crate) fn derive<const N: usize>(key: &[u8], info: &str) -> Zeroizing<[u8; N]> {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let mut out = Zeroizing::new([0; N]);
    let prk = Salt::new(HKDF_SHA256, b"klopf").extract(key);
    let filled = prk.expand(&[info.as_bytes()], Length(N)).and_then(|okm| okm.fill(&mut *out));
    // It can only fail for more than 8,160 bytes.
    debug_assert!(filled.is_ok());
    out
}

/// The first `N` bytes of SHA-256.
pub(crate) fn hash<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let whole = digest(&SHA256, &parts.concat());
    whole.as_ref().first_chunk().copied().unwrap_or([0; N])
}

fn decoded<const N: usize>(text: &str) -> Result<Zeroizing<[u8; N]>, KeyError> {
    let needed = BASE64URL_NOPAD.encode_len(N);
    if text.len() != needed {
        return Err(KeyError::Length(needed, text.chars().count()));
    }
    let mut bytes = Zeroizing::new([0; N]);
    match BASE64URL_NOPAD.decode_mut(text.as_bytes(), &mut *bytes) {
        Ok(_) => Ok(bytes),
        Err(wrong) => Err(KeyError::Character(wrong.error.position)),
    }
}

fn encoded(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(BASE64URL_NOPAD.encode(bytes))
}

/// A secret of 32 bytes: made of random ones, written as 43 characters of base64url.
macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
        pub struct $name(Box<[u8; 32]>);

        impl $name {
            /// Takes 32 random bytes.
            #[must_use]
            pub fn new(bytes: [u8; 32]) -> Self {
                Self(Box::new(bytes))
            }

            /// Reads its text, 43 characters of base64url.
            ///
            /// # Errors
            /// Says where it is wrong, never what it says.
            pub fn parse(text: &str) -> Result<Self, KeyError> {
                decoded::<32>(text).map(|bytes| Self::new(*bytes))
            }

            /// Its text, 43 characters of base64url.
            #[must_use]
            pub fn text(&self) -> Zeroizing<String> {
                encoded(&*self.0)
            }

            /// The 32 bytes.
            #[must_use]
            pub fn bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(secret)"))
            }
        }
    };
}

secret!(
    /// The private key of a person or device (`seed`).
    Seed
);
secret!(
    /// What a person and the server share besides (`psk`).
    Psk
);
secret!(
    /// The server's private key (`skS`).
    ServerKey
);

impl Seed {
    /// The public key of it.
    #[must_use]
    pub fn public(&self) -> Public {
        let (_, exchange) = self.exchange();
        let mut public = [0; 64];
        let (first, second) = public.split_at_mut(32);
        first.copy_from_slice(&exchange.to_bytes());
        if let Some(signing) = self.signing() {
            use aws_lc_rs::signature::KeyPair as _;
            second.copy_from_slice(signing.public_key().as_ref());
        }
        Public(public)
    }

    /// The key pair for HPKE.
    pub(crate) fn exchange(&self) -> (PrivateKey, PublicKey) {
        pair(&derive(&*self.0, "klopf key 1 x25519"))
    }

    /// The key pair for signatures; it is always there.
    pub(crate) fn signing(&self) -> Option<aws_lc_rs::signature::Ed25519KeyPair> {
        let seed = derive::<32>(&*self.0, "klopf key 1 ed25519");
        aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&*seed).ok()
    }
}

impl ServerKey {
    /// The public key of it.
    #[must_use]
    pub fn public(&self) -> ServerPublic {
        ServerPublic(self.exchange().1.to_bytes().into())
    }

    pub(crate) fn exchange(&self) -> (PrivateKey, PublicKey) {
        pair(&self.0)
    }
}

/// An X25519 pair; every 32 bytes are a private key (RFC 7748).
fn pair(private: &[u8; 32]) -> (PrivateKey, PublicKey) {
    let private = PrivateKey::from_bytes(private).unwrap_or_else(|_| Kem::derive_keypair(private).0);
    let public = Kem::sk_to_pk(&private);
    (private, public)
}

/// The server's public key (`pkS`), known to those who are invited and to nobody else.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ServerPublic(pub(crate) [u8; 32]);

/// The public key of a person or device.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Public(pub(crate) [u8; 64]);

/// Names a key: a hash of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 8]);

impl ServerPublic {
    /// Takes its bytes, of which any 32 will do.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads its text, 43 characters of base64url.
    ///
    /// # Errors
    /// Says where it is wrong.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        decoded(text).map(|bytes| Self(*bytes))
    }

    /// Its text, 43 characters of base64url.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        encoded(&self.0)
    }

    /// The UDP port at which the server takes packets, unless another one was agreed.
    #[must_use]
    pub fn port(&self) -> u16 {
        crate::port::of(u32::from_be_bytes(*derive(&self.0, "klopf packet 1 port")))
    }

    /// The UDP port of a moment, where it changes; in seconds since 1970.
    #[must_use]
    pub fn hop_port(&self, unix_seconds: u64) -> u16 {
        crate::port::hop(&derive(&self.0, "klopf packet 1 hop"), unix_seconds)
    }

    /// For HPKE.
    pub(crate) fn exchange(&self) -> Option<PublicKey> {
        PublicKey::from_bytes(&self.0).ok()
    }
}

impl fmt::Debug for ServerPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerPublic(not for everybody)")
    }
}

impl Public {
    /// Takes its bytes.
    ///
    /// # Errors
    /// [`KeyError::NoKey`] if they are no keys.
    pub fn new(bytes: [u8; 64]) -> Result<Self, KeyError> {
        let public = Self(bytes);
        // Zero is what a field that was left out becomes. With the other points of small order no packet opens.
        let sound = public.exchange().is_some_and(|key| key.to_bytes().iter().any(|byte| *byte != 0));
        if sound { Ok(public) } else { Err(KeyError::NoKey) }
    }

    /// The 64 bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// Reads its text, 86 characters of base64url.
    ///
    /// # Errors
    /// Says where it is wrong.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        Self::new(*decoded(text)?)
    }

    /// Its text, 86 characters of base64url.
    #[must_use]
    pub fn text(&self) -> String {
        encoded(&self.0).to_string()
    }

    /// Which key it is.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId(hash(&[b"klopf key 1", &self.0]))
    }

    /// For HPKE: the first 32 bytes.
    pub(crate) fn exchange_bytes(&self) -> &[u8] {
        self.0.get(..32).unwrap_or_default()
    }

    /// For HPKE.
    pub(crate) fn exchange(&self) -> Option<PublicKey> {
        PublicKey::from_bytes(self.exchange_bytes()).ok()
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = self.0.get(32..).unwrap_or_default();
        let key = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, key);
        key.verify(message, signature).is_ok()
    }
}

impl fmt::Debug for Public {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Public({})", self.id())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let seed = Seed::new([7; 32]);
        assert_eq!(Seed::parse(&seed.text()), Ok(seed.clone()));
        let public = seed.public();
        assert_eq!(Public::parse(&public.text()), Ok(public));
        let server = ServerKey::new([9; 32]).public();
        assert_eq!(ServerPublic::parse(&server.text()), Ok(server));
        assert_eq!((public.text().len(), server.text().len()), (86, 43));
    }

    #[test]
    fn what_is_no_key_is_refused_with_the_place() {
        assert_eq!(Seed::parse("abc"), Err(KeyError::Length(43, 3)));
        let text = Seed::new([7; 32]).text().replacen('B', "!", 1);
        assert!(matches!(Seed::parse(&text), Err(KeyError::Character(_))), "{text}");
        assert_eq!(Public::new([0; 64]), Err(KeyError::NoKey));
        assert_eq!(Psk::parse(&"é".repeat(43)), Err(KeyError::Length(43, 43)));
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?} {:?} {:?}", Seed::new([7; 32]), Psk::new([7; 32]), ServerKey::new([7; 32]));
        assert_eq!(shown, "Seed(secret) Psk(secret) ServerKey(secret)");
    }
}
