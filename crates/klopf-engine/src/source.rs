//! Where a sealed knock comes from and in what form, and what of that a door takes.

use crate::marks::Mark;
use std::net::IpAddr;

use crate::Refusal;

/// Names a mailbox, a guestbook or a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u16);

/// Where a sealed knock comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A packet, from this address.
    Packet(IpAddr),
    /// A mailbox.
    Mail(SourceId),
    /// One guestbook or, with shares, several.
    Guestbooks(Books),
    /// A log, into which others may write, too: whom to let in is only what the knock itself says.
    Log(SourceId),
}

/// Up to eight guestbooks, each once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Books {
    books: [SourceId; Self::MOST],
    count: u8,
}

impl Books {
    /// How many there are at most: a token has no more shares.
    pub const MOST: usize = 8;

    /// Those of the first eight that differ.
    #[must_use]
    pub fn new(books: impl IntoIterator<Item = SourceId>) -> Self {
        let mut own = Self::default();
        for book in books {
            if own.contains(book) {
                continue;
            }
            if let Some(place) = own.books.get_mut(usize::from(own.count)) {
                *place = book;
                own.count += 1;
            }
        }
        own
    }

    /// Each of them.
    #[must_use]
    pub fn all(&self) -> &[SourceId] {
        self.books.get(..usize::from(self.count)).unwrap_or_default()
    }

    fn contains(&self, book: SourceId) -> bool {
        self.all().contains(&book)
    }
}

/// The form of a sealed knock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A packet.
    Packet,
    /// A whole token.
    Token,
    /// A token that so many shares have made.
    Shares(u8),
    /// A code of the sheet with this number.
    Code(u16),
    /// A sequence of hits that spells it.
    Encoded,
}

impl Form {
    /// Under which id the counters are kept that a key has used up in this form: packets, tokens, encoded sequences and each sheet have
    /// their own. Ids are hashes, so another key's is met no sooner than by another hash of 64 bits.
    #[must_use]
    pub fn mark_of(self, key: [u8; 8]) -> [u8; 8] {
        const TOKENS: u64 = 0x746f_6b65_6e73_0000;
        const SHEETS: u64 = 0x7368_6565_7473_0000;
        const ENCODED: u64 = 0x656e_636f_6465_0000;
        let differs = match self {
            Self::Packet => 0,
            Self::Token | Self::Shares(_) => TOKENS,
            Self::Code(sheet) => SHEETS | u64::from(sheet),
            Self::Encoded => ENCODED,
        };
        (u64::from_be_bytes(key) ^ differs).to_be_bytes()
    }

    /// How many counters are kept, and so how many later knocks may overtake one. Packets overtake each other on the way;
    /// tokens are read in any order, after days, the last one first.
    #[must_use]
    pub const fn keeps(self) -> usize {
        match self {
            Self::Packet | Self::Code(_) | Self::Encoded => 32,
            Self::Token | Self::Shares(_) => Mark::MOST,
        }
    }
}

/// The ways in which a door may be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ways {
    /// By its sequence, in packets.
    pub sequence: bool,
    /// By an encoded sequence, in packets.
    pub encoded: bool,
    /// By either of them, or a token, in a log.
    pub log: bool,
    /// By sealed packet.
    pub packet: bool,
    /// By mail.
    pub mail: bool,
    /// By these guestbooks.
    pub guestbooks: Vec<SourceId>,
    /// How many guestbooks must have a share of the token; 1: it may be whole.
    pub quorum: u8,
    /// For how many milliseconds after the first share the others may come.
    pub share_within: u64,
    /// How many milliseconds old a token may be.
    pub valid_for: u64,
}

impl Default for Ways {
    /// By packets alone: sealed ones, and those of a sequence.
    fn default() -> Self {
        Self {
            sequence: true,
            encoded: false,
            log: false,
            packet: true,
            mail: false,
            guestbooks: Vec::new(),
            quorum: 1,
            share_within: 3_600_000,
            valid_for: 86_400_000,
        }
    }
}

impl Ways {
    /// Whether a sealed knock in this form may come from there.
    ///
    /// # Errors
    /// [`Refusal::WrongWay`] or [`Refusal::NeedsShares`].
    pub fn take(&self, source: &Source, form: Form) -> Result<(), Refusal> {
        let yes = |way| if way { Ok(()) } else { Err(Refusal::WrongWay) };
        let quorum = usize::from(self.quorum);
        match (source, form) {
            (Source::Packet(_), Form::Packet) => yes(self.packet),
            (Source::Packet(_), Form::Encoded) => yes(self.encoded),
            (Source::Log(_), Form::Encoded | Form::Token) => yes(self.log),
            (Source::Mail(_), Form::Token | Form::Code(_)) => yes(self.mail),
            (Source::Guestbooks(books), Form::Token | Form::Shares(_) | Form::Code(_)) => {
                let all = books.all();
                yes(!all.is_empty() && all.iter().all(|book| self.guestbooks.contains(book)))?;
                let shares = if let Form::Shares(shares) = form { shares.into() } else { 1 };
                if shares.min(all.len()) >= quorum { Ok(()) } else { Err(Refusal::NeedsShares) }
            }
            _ => Err(Refusal::WrongWay),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books(numbers: &[u16]) -> Source {
        Source::Guestbooks(Books::new(numbers.iter().map(|&number| SourceId(number))))
    }

    #[test]
    fn a_door_takes_the_ways_that_it_has_and_no_other() {
        let guestbooks = vec![SourceId(1), SourceId(2), SourceId(3)];
        let none = Ways { packet: false, ..Ways::default() };
        let vault = Ways { guestbooks: guestbooks.clone(), quorum: 2, ..none.clone() };
        let open = Ways { guestbooks, ..none.clone() };
        let mail = Ways { mail: true, ..none.clone() };
        let packet = Source::Packet([192, 0, 2, 7].into());
        let post = Source::Mail(SourceId(9));
        let log = Source::Log(SourceId(8));
        let logged = Ways { log: true, ..none.clone() };
        for (ways, source, form, expected) in [
            (&Ways::default(), packet, Form::Packet, Ok(())),
            (&none, packet, Form::Packet, Err(Refusal::WrongWay)),
            (&Ways::default(), packet, Form::Token, Err(Refusal::WrongWay)),
            (&Ways::default(), post, Form::Token, Err(Refusal::WrongWay)),
            (&Ways::default(), books(&[1]), Form::Token, Err(Refusal::WrongWay)),
            (&mail, post, Form::Token, Ok(())),
            (&mail, post, Form::Code(3), Ok(())),
            (&mail, post, Form::Shares(2), Err(Refusal::WrongWay)),
            (&mail, post, Form::Packet, Err(Refusal::WrongWay)),
            (&open, books(&[2]), Form::Token, Ok(())),
            (&open, books(&[2]), Form::Code(0), Ok(())),
            (&open, books(&[1, 3]), Form::Shares(2), Ok(())),
            (&open, books(&[4]), Form::Token, Err(Refusal::WrongWay)),
            (&open, books(&[]), Form::Token, Err(Refusal::WrongWay)),
            (&vault, books(&[2]), Form::Token, Err(Refusal::NeedsShares)),
            (&vault, books(&[2]), Form::Code(0), Err(Refusal::NeedsShares)),
            (&vault, books(&[2]), Form::Shares(2), Err(Refusal::NeedsShares)),
            (&vault, books(&[2, 2]), Form::Shares(2), Err(Refusal::NeedsShares)),
            (&vault, books(&[1, 2]), Form::Shares(1), Err(Refusal::NeedsShares)),
            (&vault, books(&[1, 2]), Form::Shares(2), Ok(())),
            (&vault, books(&[1, 4]), Form::Shares(2), Err(Refusal::WrongWay)),
            (&vault, books(&[1, 2, 3]), Form::Shares(3), Ok(())),
            (&Ways::default(), packet, Form::Encoded, Err(Refusal::WrongWay)),
            (&Ways { encoded: true, ..none.clone() }, packet, Form::Encoded, Ok(())),
            (&Ways { encoded: true, ..none.clone() }, log, Form::Encoded, Err(Refusal::WrongWay)),
            (&logged, log, Form::Encoded, Ok(())),
            (&logged, log, Form::Token, Ok(())),
            (&logged, log, Form::Packet, Err(Refusal::WrongWay)),
            (&logged, packet, Form::Encoded, Err(Refusal::WrongWay)),
            (&open, books(&[2]), Form::Encoded, Err(Refusal::WrongWay)),
        ] {
            assert_eq!(ways.take(&source, form), expected, "{ways:?} {source:?} {form:?}");
        }
    }

    #[test]
    fn packets_tokens_sequences_and_sheets_are_marked_apart() {
        let forms = [Form::Packet, Form::Token, Form::Encoded, Form::Code(0), Form::Code(1), Form::Code(2047)];
        let ids: std::collections::BTreeSet<_> = forms.iter().map(|form| form.mark_of([7; 8])).collect();
        assert_eq!(ids.len(), forms.len());
        assert_eq!(Form::Packet.mark_of([7; 8]), [7; 8]);
        assert_eq!(Form::Shares(2).mark_of([7; 8]), Form::Token.mark_of([7; 8]));
    }

    #[test]
    fn no_more_than_eight_books_are_kept_each_once() {
        let many = Books::new((0..20).map(|number| SourceId(number / 2)));
        assert_eq!(many.all().len(), Books::MOST);
        assert!(many.contains(SourceId(7)) && !many.contains(SourceId(8)));
    }
}
