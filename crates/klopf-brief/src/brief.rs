//! What the keeper gives the courier at its start.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// All that a courier needs to know. It is for one courier: another configuration is for another one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brief {
    /// Where to look.
    pub sources: Vec<Source>,
}

/// A mailbox or a guestbook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its number in offers and reports.
    pub id: u16,
    /// Its name in the configuration.
    pub name: String,
    /// What it is.
    pub what: What,
}

/// What a source is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A mailbox of a server.
    Imap(Imap),
    /// A mailbox on this host.
    Maildir(Maildir),
    /// A page on the web.
    Guestbook(Guestbook),
}

/// A mailbox that is read by IMAP (RFC 9051, RFC 3501).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imap {
    /// The server's name, which its certificate must have, or its address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the way there is kept secret.
    pub delivery: Delivery,
    /// Who logs in.
    pub user: String,
    /// With what.
    pub password: Secret,
    /// The mailbox, as `INBOX`.
    pub folder: String,
    /// What becomes of a mail whose token was taken.
    pub taken: Taken,
    /// Domains of which one must have signed a mail (RFC 6376); empty: none need have.
    pub require_dkim: Vec<String>,
    /// Milliseconds between two looks where the server has no IDLE (RFC 2177).
    pub every_ms: u64,
    /// Certificates that are trusted, in PEM; none: those that this host trusts.
    pub ca: Option<String>,
}

/// How the way to a server is kept secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// TLS from the start.
    Tls,
    /// TLS after STARTTLS, or nothing.
    StartTls,
    /// Not at all.
    Plain,
}

/// A Maildir, which this host's mail server fills.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maildir {
    /// Its absolute path; it has `new`, `cur` and `tmp`.
    pub path: String,
    /// As for [`Imap`]; a folder to move to is one of Maildir++, `.NAME` in it.
    pub taken: Taken,
    /// As for [`Imap`].
    pub require_dkim: Vec<String>,
    /// Whether whatever was looked at is removed, token or not: a box for `klopf deliver`.
    pub drop_box: bool,
}

/// What becomes of a mail whose token was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Taken {
    /// It is marked as read.
    Mark,
    /// It is deleted.
    Delete,
    /// It is moved to this folder, which is made if need be.
    Move(String),
}

/// A page that everybody may write to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guestbook {
    /// An `https:` address, or with [`Guestbook::insecure`] an `http:` one.
    pub url: String,
    /// How to read it.
    pub format: Format,
    /// Milliseconds between two looks.
    pub every_ms: u64,
    /// What the courier calls itself; none: as a feed reader would.
    pub user_agent: Option<String>,
    /// Whether it may be read without TLS.
    pub insecure: bool,
    /// Networks that are no part of the Internet and may be asked all the same.
    pub allow_private: Vec<Network>,
    /// As for [`Imap`].
    pub ca: Option<String>,
}

/// How a page is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// As it says and looks.
    #[default]
    Auto,
    /// HTML of any kind.
    Html,
    /// RSS, Atom or JSON Feed.
    Feed,
    /// JSON: every text in it is one.
    Json,
    /// Plain text.
    Text,
}

/// Addresses with the same beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its first address.
    pub address: IpAddr,
    /// How many bits are the same.
    pub prefix: u8,
}

/// A password, which is not shown, and wiped when it is dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Secret(pub Zeroizing<String>);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<Secret> for String {
    fn from(secret: Secret) -> Self {
        (*secret.0).clone()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Network {
    /// Whether an address is in it.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        let prefix = u32::from(self.prefix);
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.checked_shr(u32::BITS.saturating_sub(prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.checked_shr(u128::BITS.saturating_sub(prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl Brief {
    /// As text, which has secrets in it.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<String> {
        // A structure of texts and numbers can always be written.
        Zeroizing::new(serde_json::to_string(self).unwrap_or_default())
    }

    /// Reads what [`Brief::encode`] has written.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brief_comes_through_and_shows_no_secret() {
        let imap = Imap {
            host: "mail.example".into(),
            port: 993,
            delivery: Delivery::StartTls,
            user: "ada".into(),
            password: Secret::from("hunter2".to_owned()),
            folder: "INBOX".into(),
            taken: Taken::Move("Knocks".into()),
            require_dkim: vec!["example.org".into()],
            every_ms: 60_000,
            ca: None,
        };
        let maildir = Maildir { path: "/m".into(), taken: Taken::Delete, require_dkim: vec![], drop_box: true };
        let guestbook = Guestbook {
            url: "https://example.org/".into(),
            format: Format::Auto,
            every_ms: 1000,
            user_agent: None,
            insecure: false,
            allow_private: vec![Network { address: [127, 0, 0, 1].into(), prefix: 32 }],
            ca: Some("PEM".into()),
        };
        let all = [What::Imap(imap), What::Maildir(maildir), What::Guestbook(guestbook)];
        let sources = (1..).zip(all).map(|(id, what)| Source { id, name: format!("s{id}"), what }).collect();
        let brief = Brief { sources };
        assert_eq!(Brief::decode(&brief.encode()), Some(brief.clone()));
        assert!(!format!("{brief:?}").contains("hunter2"));
        assert_eq!(Brief::decode("{"), None);
    }

    #[test]
    fn networks_are_compared_by_their_prefix() {
        let network = |address: &str, prefix| Network { address: address.parse().unwrap(), prefix };
        let has = |network: Network, address: &str| network.contains(address.parse().unwrap());
        assert!(has(network("127.0.0.0", 8), "127.1.2.3") && !has(network("127.0.0.0", 8), "128.1.2.3"));
        assert!(has(network("0.0.0.0", 0), "8.8.8.8") && !has(network("0.0.0.0", 0), "::1"));
        assert!(has(network("fd00::", 8), "fd12::1") && !has(network("::1", 128), "::2"));
    }
}
