//! What a sealed knock asks for.

use std::net::IpAddr;

use crate::{Asks, DoorId, Form, Hold, KeyRef, Refusal, Source};

/// A sealed knock that was opened: its key made it, whatever it says. Whether that is granted is the engine's to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whose key made it.
    pub key: KeyRef,
    /// The door; none if there is no door with the name it gives.
    pub door: Option<DoorId>,
    /// Where it came from.
    pub source: Source,
    /// In what form.
    pub form: Form,
    /// Whom to let in.
    pub address: IpAddr,
    /// When it was made, milliseconds since 1970 by the client's clock; 0 of a code, which does not say.
    pub time: u64,
    /// Its counter; of a code its place on the sheet, from 1.
    pub counter: u64,
    /// The device that made it, or what stands for one where the key is for any.
    pub device: [u8; 16],
    /// For how long, in seconds; 0: as long as the door says.
    pub hold: u32,
    /// What else it asks for.
    pub asks: Asks,
    /// Its second factor.
    pub code: Code,
}

/// The second factor of a sealed knock, once it was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// There is none.
    Absent,
    /// It is not the key's at this time, or the key has none.
    Wrong,
    /// It is the key's.
    Right,
}

/// What a grant has from a sealed knock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Whose key it was.
    pub key: KeyRef,
    /// Where it came from.
    pub source: Source,
    /// In what form.
    pub form: Form,
    /// Its counter, which must be accepted and written down before anything opens.
    pub counter: u64,
    /// Whether it says to be of a time that has not come yet, by this host's clock.
    pub ahead: bool,
    /// Its device.
    pub device: [u8; 16],
    /// For how long.
    pub hold: Hold,
    /// What else it asks for.
    pub asks: Asks,
}

/// A sealed knock that is not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedRefusal {
    /// Whose key it was; none if that is no longer known.
    pub key: Option<KeyRef>,
    /// The door.
    pub door: Option<DoorId>,
    /// Where it came from.
    pub source: Source,
    /// In what form.
    pub form: Form,
    /// Whom it was to let in; none if that is not known.
    pub address: Option<IpAddr>,
    /// Why not.
    pub why: Refusal,
    /// With [`Refusal::WrongClock`], by how many milliseconds the client's clock is ahead; negative if it is behind.
    pub clock_ahead: Option<i64>,
    /// The counter that the knock has used up all the same, so that it does not count when the reason is gone.
    pub burnt: Option<u64>,
}
