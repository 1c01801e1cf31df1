//! Makes tokens, shares and codes of a profile.

use std::net::IpAddr;

use klopf_config::profile::Profile;
use klopf_spa::{Claim, CodePlace, KeyId, Name, Own, SharedDoor, door_hash, make_code, seal_shares, seal_token};

use crate::complain;
use crate::failure::{Failure, code};
use crate::open::unix_ms;
use crate::person::known_door;
use crate::profile::{Counter, Folders, Kept, Secrets, random};

/// Makes what opens a door of a profile.
pub(crate) struct Maker {
    profile: Profile,
    pub(crate) door: Name,
    id: KeyId,
    own: Own,
    counter: Counter,
}

impl Maker {
    /// For a door; the profile's usual one if none is named.
    ///
    /// # Errors
    /// Also if the door opens by no text.
    pub(crate) fn new(folders: &Folders, kept: &Kept, door: Option<&Name>) -> Result<Self, Failure> {
        let (profile, door) = (&kept.profile, known_door(kept, door)?);
        if profile.code_doors.contains(&door) {
            let why = format_args!(
                "the door {door} asks for a code of an authenticator, which no text can bring; it opens by klopf open alone"
            );
            return Err(Failure::new(code::USAGE, why));
        }
        let secrets = Secrets::of(kept)?;
        let own = own(folders, kept, &secrets);
        let counter = Counter::of_tokens(&folders.state, secrets.id());
        Ok(Self { profile: profile.clone(), door, id: secrets.id(), own, counter })
    }

    pub(crate) fn profile(&self) -> &Profile {
        &self.profile
    }

    /// What the profile says of the door's shares.
    pub(crate) fn shared(&self) -> Option<SharedDoor> {
        let books = self.profile.books.iter().find(|books| books.door == self.door)?;
        SharedDoor::new(self.door.clone(), books.shares, books.of.clone())
    }

    /// A token that lets this address in, for so many minutes.
    pub(crate) fn token(&self, address: IpAddr, hold: u16) -> Result<Vec<u8>, Failure> {
        let now = unix_ms();
        if !self.profile.clock {
            let why = "a token says when it was made, and this device has no clock; codes of klopf codes say no time";
            return Err(Failure::new(code::CONFIG, why));
        }
        let taken = self.counter.take(1, now)?;
        if let Some(warning) = taken.warning {
            complain(format_args!("warning: {warning}"));
        }
        let time = u32::try_from(now / 1000).unwrap_or(u32::MAX);
        let claim = Claim { address, door: door_hash(&self.door), time, counter: taken.first, hold };
        drawn(|random| seal_token(&self.profile.server, self.id, &self.own, &claim, random))
    }

    /// The shares of a token, one for each guestbook, in their order.
    pub(crate) fn shares(&self, token: &[u8], shared: &SharedDoor) -> Result<Vec<(Name, Vec<u8>)>, Failure> {
        let books: Vec<&str> = shared.books().iter().map(|book| &**book).collect();
        let shares = drawn(|random| seal_shares(&self.profile.server, token, shared.k(), &books, random))?;
        Ok(shared.books().iter().cloned().zip(shares).collect())
    }

    /// A code for paper; the sheet is 0 to 2047, the index 0 to 31.
    pub(crate) fn code(&self, place: CodePlace) -> Result<[u8; 11], Failure> {
        make_code(&self.profile.server, self.id, &self.own, &self.door, place).ok_or_else(unmade)
    }
}

/// What seals a profile's texts and sequences. Says so where the server does not know the device yet.
pub(crate) fn own(folders: &Folders, kept: &Kept, secrets: &Secrets) -> Own {
    let profile = &kept.profile;
    if !profile.bound {
        return Own::psk(&secrets.psk);
    }
    if !Counter::new(&folders.state, secrets.id(), profile.clock).has_begun() {
        complain(format_args!(
            "This device has sent no packet yet, and before one the server opens nothing of this: klopf open {}",
            kept.name
        ));
    }
    Own::bound(&secrets.psk, profile.device)
}

/// What was made with random bytes, if there were some.
fn drawn<T>(make: impl FnOnce(&mut dyn FnMut(&mut [u8])) -> Option<T>) -> Result<T, Failure> {
    let mut trouble = None;
    let mut fill = |bytes: &mut [u8]| trouble = random(bytes).err().or_else(|| trouble.take());
    let made = make(&mut fill);
    match trouble {
        None => made.ok_or_else(unmade),
        Some(failure) => Err(failure),
    }
}

fn unmade() -> Failure {
    Failure::new(code::SYSTEM, "it cannot be made; is this clock right?")
}
