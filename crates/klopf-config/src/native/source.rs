//! What `klopf.toml` says of tokens that come as text: `[mail.NAME]` and `[guestbook.NAME]`.

use std::fmt;
use std::time::Duration;

use klopf_spa::Name;

use super::Network;

/// `[mail.NAME]`: a mailbox in which tokens come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Unique among the mailboxes.
    pub name: Name,
    /// Where it is.
    pub mailbox: Mailbox,
    /// What becomes of a mail whose token was taken.
    pub taken: Taken,
    /// Domains of which one must have signed a mail (RFC 6376), in lower case; empty: none need have.
    pub require_dkim: Vec<String>,
}

/// Where a mailbox is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mailbox {
    /// On a server.
    Imap(Imap),
    /// On this host.
    Maildir(Maildir),
}

/// A mailbox that is read by IMAP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imap {
    /// The server's name in ASCII, or its address without brackets.
    pub host: String,
    /// Its port; 993 or 143 unless written.
    pub port: u16,
    /// How the way there is kept secret.
    pub delivery: Delivery,
    /// Who logs in, not empty.
    pub user: String,
    /// The folder, `INBOX` unless written.
    pub folder: String,
    /// The file whose first line is the password; absolute, or relative to where `klopf.toml` is.
    pub password_file: String,
    /// Between two looks where the server has no IDLE, 5 s to 1 d; 60 s unless written.
    pub every: Duration,
    /// The file with the certificates that are trusted, a path as `password_file`. `None`: those that the host trusts.
    pub ca_file: Option<String>,
}

/// How the way to a server is kept secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// `imaps://`: TLS from the start.
    Tls,
    /// `imap://`: TLS after STARTTLS, or nothing.
    StartTls,
    /// `imap://` with `insecure`: not at all.
    Plain,
}

/// A Maildir, which this host's mail server or `klopf deliver` fills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maildir {
    /// Its absolute path.
    pub path: String,
    /// Whether whatever was looked at is removed, token or not; then [`Mail::taken`] is [`Taken::Delete`].
    pub drop_box: bool,
}

/// What becomes of a mail whose token was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Taken {
    /// It is marked as read.
    #[default]
    Mark,
    /// It is deleted.
    Delete,
    /// It is moved to this folder, another one than that of the mailbox. Of a Maildir it is `.NAME` in it, and the name has no
    /// `/` and does not begin with a dot.
    Move(String),
}

/// `[guestbook.NAME]`: a page to which tokens are posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guestbook {
    /// Unique among the guestbooks; shares are for a book by it.
    pub name: Name,
    /// Where it is.
    pub url: PageUrl,
    /// How to read it.
    pub format: Format,
    /// Between two looks, 1 s to 1 d; 60 s unless written.
    pub every: Duration,
    /// What the courier calls itself, printable ASCII. `None`: as a feed reader would.
    pub user_agent: Option<String>,
    /// Whether it may be read without TLS.
    pub insecure: bool,
    /// Networks that are no part of the Internet and may be asked all the same.
    pub allow_private: Vec<Network>,
    /// The file with the certificates that are trusted, as for [`Imap`].
    pub ca_file: Option<String>,
}

/// An address `https://` or, with `insecure`, `http://`, as RFC 3986 has it: in ASCII, with a host, without user and
/// fragment. `Debug` and `Display` show the host only: paths and queries can have secrets in them.
#[derive(Clone, PartialEq, Eq)]
pub struct PageUrl(pub(super) String);

impl PageUrl {
    /// The whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or_default();
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        let more = if rest.len() > host.len() + 1 { "/…" } else { "/" };
        write!(f, "{scheme}://{host}{more}")
    }
}

impl fmt::Debug for PageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PageUrl({self})")
    }
}

/// How a page is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
