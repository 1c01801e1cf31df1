//! Mails: what stands in them, and the mailboxes they come to.

#[expect(dead_code, reason = "its readers come next")]
mod text;
