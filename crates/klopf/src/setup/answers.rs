//! What was answered.

use klopf_config::native::PortRange;
use klopf_spa::Name;
use klopf_wire::Port;

/// All five, and what belongs to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answers {
    /// What to guard, at least one.
    pub(super) guard: Vec<PortRange>,
    pub(super) how: How,
    /// Whom to invite, by the names that their keys get.
    pub(super) people: Vec<Name>,
    /// How this host is reached from outside; none: as `klopf invite` finds it.
    pub(super) endpoints: Vec<String>,
    pub(super) stay: Stay,
    pub(super) dies: Dies,
}

/// How long they may stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stay {
    /// As in the file: `30s`.
    pub(super) open_for: String,
    /// Whether connections that are up extend it.
    pub(super) extend: bool,
}

/// What if klopfd dies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dies {
    pub(super) open: bool,
    /// Addresses and networks as in the file.
    pub(super) always_allow: Vec<String>,
}

/// How to knock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum How {
    Packet,
    /// The hits, in order.
    Sequence(Vec<Port>),
    Encoded(Span),
    Mail(Mailbox),
    /// The address of the page.
    Guestbook(String),
    Log(Log),
}

/// 256 ports from the first on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: u16,
}

impl Span {
    pub(super) const SIZE: u16 = 256;

    pub(super) fn last(self) -> u16 {
        self.first.saturating_add(Self::SIZE - 1)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mailbox {
    Imap { url: String, password_file: String },
    Maildir(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Log {
    /// Encoded sequences, which a firewall writes down.
    Firewall { firewall: Firewall, place: Place, span: Span },
    /// Tokens in what a web server is asked for.
    Web { file: String },
}

/// Whose log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Firewall {
    Nft,
    Iptables,
    Ufw,
}

/// Where a log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    File(String),
    /// The kernel's part of systemd's journal.
    Journal,
}

impl How {
    /// Whether people need keys.
    pub(super) fn has_keys(&self) -> bool {
        !matches!(self, Self::Sequence(_))
    }
}

impl Answers {
    /// What the door is called: after the only service that is behind it, as far as that is known.
    pub(super) fn door(&self) -> &'static str {
        const KNOWN: [(u16, &str); 9] = [
            (22, "ssh"),
            (25, "mail"),
            (80, "web"),
            (443, "web"),
            (993, "mail"),
            (3389, "desktop"),
            (5432, "database"),
            (5900, "desktop"),
            (51820, "wireguard"),
        ];
        match self.guard.as_slice() {
            [one] if one.first == one.last => {
                KNOWN.iter().find(|(port, _)| *port == one.first).map_or("service", |(_, name)| name)
            }
            _ => "services",
        }
    }
}
