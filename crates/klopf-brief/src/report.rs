//! How a source is, for the keeper and who asks it.

use crate::bytes::{Reader, Writer};

/// Bytes of a [`Report`].
pub const REPORT_SIZE: usize = 48;

/// How a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Which one.
    pub source: u16,
    /// What it does.
    pub state: State,
    /// What is wrong, or was wrong with the last look; none: nothing.
    pub trouble: Option<Trouble>,
    /// What belongs to the trouble, such as a status of HTTP; 0: nothing.
    pub detail: u16,
    /// When it was last looked at with success, seconds since 1970; 0: never.
    pub last_good: u64,
    /// When it is looked at next, seconds since 1970; 0: as soon as something comes.
    pub next: u64,
    /// How many mails, or entries of a guestbook, it has looked at.
    pub looked_at: u32,
    /// How many tokens of it were taken.
    pub taken: u32,
}

/// What a source does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It was not looked at yet.
    Starting,
    /// It is told when something comes.
    Listening,
    /// It waits for its next look.
    Waiting,
    /// The last look has failed; it is tried again.
    Failing,
}

macro_rules! troubles {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $words:literal;)+) => {
        /// Why a source cannot be read, or not all of it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Trouble {
            $($(#[$doc])* $name,)+
        }

        impl Trouble {
            /// All there are, each at the place of its number.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// A stable name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// In plain words, for an administrator.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $words,)+ }
            }
        }
    };
}

troubles! {
    /// The host's name has no address.
    UnknownHost = "unknown-host", "the host's name has no address";
    /// The host or its port cannot be reached.
    Unreachable = "unreachable", "it cannot be reached";
    /// The host's address is not one of the Internet, and not allowed.
    PrivateAddress = "private-address", "its address is none of the Internet; `allow-private` allows it";
    /// No TLS, or a certificate that is not trusted.
    Tls = "tls", "the connection is not secure: its certificate or its TLS is not good";
    /// It takes too long.
    TooSlow = "too-slow", "it took too long to answer";
    /// It is longer than what is read of anything.
    TooLong = "too-long", "it is too long, and was read in part or not at all";
    /// It ended before it was whole.
    Broken = "broken", "the connection ended too soon";
    /// An answer of HTTP that is no page; `detail` is its status.
    HttpStatus = "http-status", "it answers with an error";
    /// It sends to another host, to one without TLS, or too often.
    Redirect = "redirect", "it sends to another place, where nobody follows it";
    /// What it says is not in the form that it should have.
    Nonsense = "nonsense", "what it sends cannot be read";
    /// User or password are wrong.
    Login = "login", "it does not let us in: user or password is wrong";
    /// There is no such mailbox.
    NoMailbox = "no-mailbox", "there is no such mailbox";
    /// A directory or file cannot be read or changed.
    NoAccess = "no-access", "the directory cannot be read or changed by the courier's user";
    /// A mail could not be marked, moved or deleted.
    NotMarked = "not-marked", "a mail whose token was taken cannot be marked, moved or deleted";
    /// There is more in it than can be looked at.
    TooMuch = "too-much", "there is too much in it; only part of it was looked at";
}

impl Trouble {
    /// In plain words, with its detail.
    #[must_use]
    pub fn in_words(self, detail: u16) -> String {
        if detail == 0 { self.text().to_owned() } else { format!("{} ({detail})", self.text()) }
    }
}

impl State {
    const ALL: [Self; 4] = [Self::Starting, Self::Listening, Self::Waiting, Self::Failing];

    /// A stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Listening => "listening",
            Self::Waiting => "waiting",
            Self::Failing => "failing",
        }
    }
}

impl Report {
    /// Of a source that was not looked at yet.
    #[must_use]
    pub const fn starting(source: u16) -> Self {
        let (state, trouble, detail) = (State::Starting, None, 0);
        Self { source, state, trouble, detail, last_good: 0, next: 0, looked_at: 0, taken: 0 }
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; REPORT_SIZE] {
        let mut out = Writer::<REPORT_SIZE>::new();
        let trouble = self.trouble.map_or(0, |trouble| trouble as u8 + 1);
        out.put(&self.source.to_le_bytes()).put(&[self.state as u8, trouble]).put(&self.detail.to_le_bytes());
        out.put(&self.last_good.to_le_bytes()).put(&self.next.to_le_bytes());
        out.put(&self.looked_at.to_le_bytes()).put(&self.taken.to_le_bytes());
        out.bytes
    }

    /// Reads one; none if it is none.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader::of::<REPORT_SIZE>(bytes)?;
        Some(Self {
            source: from.u16()?,
            state: *State::ALL.get(usize::from(from.u8()?))?,
            trouble: match from.u8()?.checked_sub(1) {
                None => None,
                Some(number) => Some(*Trouble::ALL.get(usize::from(number))?),
            },
            detail: from.u16()?,
            last_good: from.u64()?,
            next: from.u64()?,
            looked_at: from.u32()?,
            taken: from.u32()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_report_comes_through() {
        for state in State::ALL {
            for trouble in Trouble::ALL.iter().copied().map(Some).chain([None]) {
                let report = Report {
                    state,
                    trouble,
                    detail: 503,
                    last_good: u64::MAX,
                    next: 1,
                    looked_at: u32::MAX,
                    taken: 7,
                    ..Report::starting(9)
                };
                assert_eq!(Report::decode(&report.encode()), Some(report));
            }
        }
    }

    #[test]
    fn no_two_troubles_have_the_same_name_or_text() {
        for of in [Trouble::name, Trouble::text] {
            let words: std::collections::BTreeSet<_> = Trouble::ALL.iter().copied().map(of).collect();
            assert_eq!(words.len(), Trouble::ALL.len());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Report::decode(&bytes);
        }
    }
}
