//! What is kept on this device: profiles, keys, the counter of knocks, and what was opened.
//!
//! Nothing here sends anything. Files with keys are for their owner alone, and are written whole or not at all.

mod counter;
mod files;
mod folders;
mod key_file;
mod opened;
mod secrets;
mod store;

pub(crate) use counter::Counter;
pub(crate) use folders::Folders;
pub(crate) use key_file::KeyFiles;
pub(crate) use opened::{Opened, OpenedList};
pub(crate) use secrets::{CoreFiles, Secrets};
pub(crate) use store::{Kept, Store};

/// Random bytes of the system.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), crate::failure::Failure> {
    getrandom::fill(bytes).map_err(|error| {
        let why = format_args!("the system gives no random bytes: {error}");
        crate::failure::Failure::new(crate::failure::code::SYSTEM, why)
    })
}
