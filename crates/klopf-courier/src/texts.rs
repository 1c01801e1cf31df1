//! The texts of mails and pages, for who wants to hold their readers against anything: the fuzz targets.

use klopf_brief::Format;

use crate::guestbook::page;
use crate::mail::text;

/// The texts of a mail in which something may stand, 2 MiB at most. Total: what is no mail at all is a text.
#[must_use]
pub fn of_mail(mail: &[u8]) -> Vec<String> {
    text::texts(mail)
}

/// The texts of a page in which something may stand, with what the server says of its type (RFC 9110, section 8.3).
/// Total: what is in no such format is read as far as it goes.
#[must_use]
pub fn of_page(page: &[u8], content_type: Option<&str>, format: Format) -> Vec<String> {
    page::read(page, content_type, format).texts
}
