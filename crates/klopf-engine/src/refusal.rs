//! Named noes.

/// Why something is not granted. The names are those of `docs/PROTOCOL.md`, sections 2 and 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Refusal {
    /// The length is not that of a packet, or its outer seal does not open.
    NoPacket,
    /// The nonce came in lately, or the counter was accepted before or is not above the floor.
    Replayed,
    /// There is no such key.
    UnknownKey,
    /// The origin, or all origins together, have used up the budget of attempts.
    TooManyPackets,
    /// The inner seal, the form or the signature is wrong.
    Forged,
    /// The client's clock differs from the server's by more than the window.
    WrongClock,
    /// The key is for one device, and another device was first.
    InvitationUsed,
    /// The key was to be used for the first time before now.
    InvitationExpired,
    /// There is no such door.
    UnknownDoor,
    /// The key may not open this door.
    WrongDoor,
    /// The key's time is over.
    Expired,
    /// The key's time has not come.
    NotYet,
    /// The key does not open anything at this hour.
    WrongHour,
    /// The key has opened as often as it may.
    UsedUp,
    /// The key may not let in this address, or not its network, or the door lets in no network so wide.
    WrongNetwork,
    /// The door asks for a second factor, and there is none.
    NoCode,
    /// The second factor is wrong, or too many were of late.
    WrongCode,
    /// More doors were opened in a short time than the host should take.
    TooManyGrants,
    /// It was found in a text and is no token, share or code.
    NoToken,
    /// The token was made longer ago than the door takes.
    TooOld,
    /// The door does not open this way, or not by this guestbook.
    WrongWay,
    /// The door takes tokens from guestbooks in shares only, or more of them.
    NeedsShares,
    /// The sheet of the code was revoked.
    SheetRevoked,
    /// The door does not open the port that is asked for by itself.
    WrongPort,
    /// The door does not take flags that are set.
    WrongFlags,
}

impl Refusal {
    /// All there are, each at the place of its number.
    pub const ALL: [Self; 25] = [
        Self::NoPacket,
        Self::Replayed,
        Self::UnknownKey,
        Self::TooManyPackets,
        Self::Forged,
        Self::WrongClock,
        Self::InvitationUsed,
        Self::InvitationExpired,
        Self::UnknownDoor,
        Self::WrongDoor,
        Self::Expired,
        Self::NotYet,
        Self::WrongHour,
        Self::UsedUp,
        Self::WrongNetwork,
        Self::NoCode,
        Self::WrongCode,
        Self::TooManyGrants,
        Self::NoToken,
        Self::TooOld,
        Self::WrongWay,
        Self::NeedsShares,
        Self::SheetRevoked,
        Self::WrongPort,
        Self::WrongFlags,
    ];

    /// A stable name for logs and counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoPacket => "no-packet",
            Self::Replayed => "replayed",
            Self::UnknownKey => "unknown-key",
            Self::TooManyPackets => "too-many-packets",
            Self::Forged => "forged",
            Self::WrongClock => "wrong-clock",
            Self::InvitationUsed => "invitation-used",
            Self::InvitationExpired => "invitation-expired",
            Self::UnknownDoor => "unknown-door",
            Self::WrongDoor => "wrong-door",
            Self::Expired => "expired",
            Self::NotYet => "not-yet",
            Self::WrongHour => "wrong-hour",
            Self::UsedUp => "used-up",
            Self::WrongNetwork => "wrong-network",
            Self::NoCode => "no-code",
            Self::WrongCode => "wrong-code",
            Self::TooManyGrants => "too-many-grants",
            Self::NoToken => "no-token",
            Self::TooOld => "too-old",
            Self::WrongWay => "wrong-way",
            Self::NeedsShares => "needs-shares",
            Self::SheetRevoked => "sheet-revoked",
            Self::WrongPort => "wrong-port",
            Self::WrongFlags => "wrong-flags",
        }
    }

    /// The reason in plain words, for an administrator.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoPacket => "not a sealed knock for this server",
            Self::Replayed => "this knock was here before",
            Self::UnknownKey => "no key with this id is known here",
            Self::TooManyPackets => "too many sealed knocks in a short time",
            Self::Forged => "not made with the key whose id it shows",
            Self::WrongClock => "the clocks of client and server differ too much",
            Self::InvitationUsed => "the key is for one device, and another device was first",
            Self::InvitationExpired => "the key was not used before its invitation ran out",
            Self::UnknownDoor => "there is no such door",
            Self::WrongDoor => "the key may not open this door",
            Self::Expired => "the key has expired",
            Self::NotYet => "the key is not valid yet",
            Self::WrongHour => "the key is not valid at this hour",
            Self::UsedUp => "the key has been used as often as it may be",
            Self::WrongNetwork => "the key may not let in this address, or the door not such a network",
            Self::NoCode => "the door asks for a code, and none was given",
            Self::WrongCode => "the code was wrong, or too many wrong codes were given lately",
            Self::TooManyGrants => "too many doors were opened in a short time",
            Self::NoToken => "no token, share or code for this server",
            Self::TooOld => "the token is older than the door takes",
            Self::WrongWay => "the door does not open this way",
            Self::NeedsShares => "the door takes tokens in shares, from more guestbooks than this one",
            Self::SheetRevoked => "the sheet of this code was revoked",
            Self::WrongPort => "the door does not open this port by itself",
            Self::WrongFlags => "the door does not take these flags",
        }
    }

    /// Its number, for messages of fixed size.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The refusal with this number.
    #[must_use]
    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_comes_back_from_its_number() {
        for (number, why) in (0..).zip(Refusal::ALL) {
            assert_eq!((why.number(), Refusal::of(number)), (number, Some(why)));
        }
        assert_eq!((Refusal::of(25), Refusal::of(u8::MAX)), (None, None));
    }

    #[test]
    fn no_two_refusals_have_the_same_name_or_text() {
        for of in [Refusal::name, Refusal::text] {
            let words: std::collections::BTreeSet<_> = Refusal::ALL.into_iter().map(of).collect();
            assert_eq!(words.len(), Refusal::ALL.len());
        }
    }
}
