//! What `klopf.toml` says of sealed knocks: `[packet]` and `[key.NAME]`.

use std::fmt;
use std::time::Duration;

use data_encoding::BASE32_NOPAD;
use klopf_spa::{Name, PacketPort, Psk, Public, ServerPublic, Shape, Way as SealedWay};
use zeroize::Zeroizing;

use super::report::Wrong;
use super::{Door, Guestbook, Hours, Log, Network};

const TOTP_BYTES: std::ops::RangeInclusive<usize> = 10..=64;

/// `[packet]`: how sealed knocks come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The UDP port. `None`: the one that follows from the server's key, or the shape's own.
    pub port: Option<PacketPort>,
    /// What packets are dressed as.
    pub shape: Shape,
    /// How wrong a clock may be, 1 s to 1 h; 2 min unless written.
    pub window: Duration,
}

impl Default for Packet {
    fn default() -> Self {
        Self { port: None, shape: Shape::None, window: Duration::from_secs(120) }
    }
}

impl Packet {
    /// How packets are sent to a server with this key.
    #[must_use]
    pub fn way(&self, server: &ServerPublic) -> SealedWay {
        let usual = || PacketPort::Fixed(self.shape.port().unwrap_or_else(|| server.port()));
        SealedWay { port: self.port.unwrap_or_else(usual), shape: self.shape }
    }
}

/// `[key.NAME]`, or a file of `keys.d`: a person or device, and on which terms it may open doors. Moments are seconds since
/// 1970-01-01T00:00:00Z. `Debug` shows no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Unique.
    pub name: Name,
    /// Its public key, unique.
    pub public: Public,
    /// What it shares with the server besides.
    pub psk: Psk,
    /// The doors it may open. `None`: those that name it.
    pub doors: Option<Vec<Name>>,
    /// It counts from then on.
    pub not_before: Option<u64>,
    /// It counts before then; later than `not_before`.
    pub expires: Option<u64>,
    /// It must be used for the first time before then.
    pub join_before: Option<u64>,
    /// Whether it belongs to the first device that uses it.
    pub once: bool,
    /// When it may open doors, at most 64; empty: at any time.
    pub hours: Vec<Hours>,
    /// How often it may open doors, 1 or more.
    pub max_uses: Option<u32>,
    /// For how long it may open a door at most, up to 30 d.
    pub max_open_for: Option<Duration>,
    /// The addresses it may open doors for; empty: all.
    pub networks: Vec<Network>,
    /// Whether its device has no clock, so that only the counter keeps a knock from counting twice.
    pub no_clock: bool,
    /// For doors that ask for a second factor.
    pub totp: Option<Totp>,
    /// Sheets of codes, 0 to 2047, that open nothing any more; in ascending order.
    pub revoked_sheets: Vec<u16>,
}

/// The secret of one-time codes (RFC 6238), 10 to 64 bytes. Wiped when it is dropped, and not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Totp(Zeroizing<Vec<u8>>);

impl Totp {
    /// The 10 to 64 bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads base32 (RFC 4648, section 6), also in lower case, with spaces, and with or without padding.
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        let mut plain = Zeroizing::new(String::with_capacity(text.len()));
        plain.extend(text.chars().filter(|c| *c != ' ').map(|c| c.to_ascii_uppercase()));
        let Ok(bytes) = BASE32_NOPAD.decode(plain.trim_end_matches('=').as_bytes()).map(Zeroizing::new) else {
            let help = "write the letters A-Z and digits 2-7 with which an authenticator was set up";
            return Err(Wrong::new("`totp` is not base32", help));
        };
        if !TOTP_BYTES.contains(&bytes.len()) {
            let help = "take one of 16 to 103 characters; 32 are usual";
            return Err(Wrong::new(format!("`totp` is {} bytes long, and not 10 to 64", bytes.len()), help));
        }
        Ok(Self(bytes))
    }
}

impl fmt::Debug for Totp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Totp(secret)")
    }
}

/// The `keys` of a door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyList {
    /// `"*"`: every key, but for those that are restricted to other doors.
    All,
    /// These, at least one.
    Named(Vec<Name>),
}

/// A way to knock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A sealed knock.
    Packet,
    /// Hits on ports.
    Sequence,
    /// A token or a code in a mail.
    Mail,
    /// A token, its shares or a code in guestbooks.
    Guestbook,
    /// A sequence of hits that spells a sealed knock.
    Encoded,
    /// A sequence of either kind, or a token, in a log.
    Log,
}

impl Way {
    /// Those that take a key.
    pub const BY_KEY: [Self; 5] = [Self::Packet, Self::Encoded, Self::Log, Self::Mail, Self::Guestbook];
}

impl Door {
    /// Whether its `via` lets it open this way.
    #[must_use]
    pub fn takes(&self, way: Way) -> bool {
        self.via.as_ref().is_none_or(|ways| ways.contains(&way))
    }
}

impl super::Config {
    /// Whether the key may open the door, whatever its other terms and the door's `via` say. A door with `keys` must name it or
    /// all of them, and the `doors` of the key, if it has any, must name the door. A door without `keys` must be named
    /// by the key.
    #[must_use]
    pub fn may_open(key: &Key, door: &Door) -> bool {
        let names_door = key.doors.as_ref().map(|doors| doors.iter().any(|name| **name == *door.name));
        match &door.keys {
            Some(KeyList::Named(names)) => names.contains(&key.name) && names_door.unwrap_or(true),
            Some(KeyList::All) => names_door.unwrap_or(true),
            None => names_door.unwrap_or(false),
        }
    }

    /// Whether the key may open the door this way, whatever its other terms say: the door's `via` has it, and it is
    /// watched. A door that asks for a second factor opens by no token, and a sequence that is not encoded has no key.
    #[must_use]
    pub fn opens_by(&self, way: Way, key: &Key, door: &Door) -> bool {
        let in_log = |log: &Log| log.tokens || log.tells_of_hits() && door.encoded.is_some();
        let has = match way {
            Way::Packet => self.daemon.sources.packet,
            Way::Sequence => false,
            Way::Mail => !self.mails.is_empty() && !door.second_factor,
            Way::Guestbook => !self.guestbooks.is_empty() && !door.second_factor,
            Way::Encoded => self.daemon.sources.packet && door.encoded.is_some() && !door.second_factor,
            Way::Log => self.daemon.sources.log && self.logs.iter().any(in_log) && !door.second_factor,
        };
        has && door.takes(way) && Self::may_open(key, door)
    }

    /// The guestbooks that the door names, or all of them.
    pub fn books_of<'c>(&'c self, door: &'c Door) -> impl Iterator<Item = &'c Guestbook> {
        let named = |book: &&Guestbook| door.guestbooks.as_ref().is_none_or(|names| names.contains(&book.name));
        self.guestbooks.iter().filter(named)
    }
}
