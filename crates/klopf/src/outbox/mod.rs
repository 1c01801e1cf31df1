//! How a text leaves this device other than as a packet: as a mail, or as an entry in a guestbook.

mod entry;
mod mail;
mod mailto;
mod settings;

pub(crate) use entry::post;
pub(crate) use mail::{Letter, send};
pub(crate) use mailto::link;
pub(crate) use settings::Settings;
