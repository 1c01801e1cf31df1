//! Mails: what stands in them, and the mailboxes they come to.

mod dkim;
mod imap;
mod maildir;
mod reader;
pub(crate) mod text;
mod waiting;

pub(crate) use imap::look_at as look_at_imap;
pub(crate) use maildir::look_at as look_at_maildir;

use std::net::IpAddr;

use klopf_brief::Body;

/// Mails of a mailbox that are looked at, the newest.
const MAILS: usize = 1000;
/// Mails that are older than that are not looked at, in seconds.
const OLDEST: u64 = 31 * 86_400;

/// What may be a token, a share or a code in a text.
fn find(text: &str) -> Vec<(Body, Option<IpAddr>)> {
    klopf_wire::text::find(text).filter_map(|found| Some((Body::new(&found.body)?, found.address))).collect()
}

#[cfg(test)]
mod tests;
