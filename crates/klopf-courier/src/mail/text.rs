//! From the bytes of a mail (RFC 5322, MIME) to the texts in which something may stand. Total, and without recursion:
//! what is in a mail is split in one loop, with bounds on depth, number and length.

mod decode;
mod lines;

use std::borrow::Cow;

use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::{ContentType, Header, HeaderName, HeaderValue, MessageParser};

use crate::guestbook::page::html;

/// Bytes of a mail that are looked at.
pub(crate) const LONGEST: usize = 256 << 10;
/// Levels of parts in parts.
const DEEPEST: usize = 32;
/// Parts of a mail, of whatever kind.
const PARTS: usize = 256;
/// Bytes of all texts of a mail. Some encodings make a text longer.
const ALL_TEXTS: usize = 2 << 20;
/// Bytes of the headers of a part that are read.
const HEAD: usize = 64 << 10;

/// The texts of a mail. The subject stands before the text that comes next, with an empty line in between, and by itself
/// as well. What is no mail at all is a text.
pub(crate) fn texts(mail: &[u8]) -> Vec<String> {
    let mail = mail.get(..LONGEST).unwrap_or(mail);
    let mut texts = Texts::default();
    let mut parts = vec![Part { bytes: Cow::Borrowed(mail), depth: 0, is_mail: true, of_digest: false }];
    let parser = parser();
    for _ in 0..PARTS {
        let Some(part) = parts.pop() else { break };
        let mut inner = take_apart(&parser, &part, &mut texts);
        // The first one is to come first.
        inner.reverse();
        parts.append(&mut inner);
    }
    texts.finish()
}

/// A mail, or a part of one, with its headers.
struct Part<'a> {
    bytes: Cow<'a, [u8]>,
    depth: usize,
    is_mail: bool,
    /// What has no type in a digest is a mail.
    of_digest: bool,
}

/// Only what is needed of the headers, so that a million others cost nothing.
fn parser() -> MessageParser {
    MessageParser::new()
        .header_text(HeaderName::Subject)
        .header_content_type(HeaderName::ContentType)
        .header_raw(HeaderName::ContentTransferEncoding)
        .default_header_ignore()
}

/// Puts a part's text to the others, or returns the parts in it.
fn take_apart<'a>(parser: &MessageParser, part: &Part<'a>, texts: &mut Texts) -> Vec<Part<'a>> {
    let (head, body) = split(&part.bytes);
    let parsed = head.get(..HEAD).unwrap_or(head);
    let message = parser.parse_headers(parsed);
    let headers = message.as_ref().map_or(&[][..], |message| message.headers());
    if part.is_mail && !headers.iter().any(|header| is_of_mail(&header.name)) {
        texts.add(&String::from_utf8_lossy(&part.bytes));
        return Vec::new();
    }
    if part.is_mail {
        texts.subject(value(headers, &HeaderName::Subject).and_then(HeaderValue::as_text));
    }
    let of_type = value(headers, &HeaderName::ContentType).and_then(HeaderValue::as_content_type);
    let encoding = value(headers, &HeaderName::ContentTransferEncoding).and_then(HeaderValue::as_text);
    let (kind, subtype) = of_type.map_or(("", ""), |of_type| (of_type.ctype(), of_type.subtype().unwrap_or_default()));
    let deeper = part.depth < DEEPEST;
    match (kind, subtype) {
        ("multipart", _) if deeper => {
            let boundary = of_type.and_then(|of_type| of_type.attribute("boundary")).unwrap_or_default();
            let of_digest = subtype == "digest";
            let inner: Vec<_> = inside(body, boundary.as_bytes())
                .map(|bytes| Part {
                    bytes: Cow::Owned(bytes.to_vec()),
                    depth: part.depth + 1,
                    is_mail: false,
                    of_digest,
                })
                .take(PARTS)
                .collect();
            if inner.is_empty() {
                texts.add(&String::from_utf8_lossy(body));
            }
            inner
        }
        ("message", "rfc822" | "global") | ("", _) if deeper && (kind == "message" || part.of_digest) => {
            let bytes = Cow::Owned(decode::decode(body, encoding).into_owned());
            vec![Part { bytes, depth: part.depth + 1, is_mail: true, of_digest: false }]
        }
        ("" | "text" | "message" | "multipart", _) => {
            texts.add(&text(&decode::decode(body, encoding), of_type));
            Vec::new()
        }
        _ => Vec::new(),
    }
}

/// The text of a part of type text.
fn text(bytes: &[u8], of_type: Option<&ContentType<'_>>) -> String {
    let attribute = |name| of_type.and_then(|of_type| of_type.attribute(name));
    let text = match attribute("charset").and_then(|charset| charset_decoder(charset.as_bytes())) {
        Some(decoder) => decoder(bytes),
        None => String::from_utf8_lossy(bytes).into_owned(),
    };
    let is = |name, value: &str| attribute(name).is_some_and(|given: &str| given.eq_ignore_ascii_case(value));
    match of_type.and_then(ContentType::subtype) {
        Some("html" | "xhtml") => html::texts(&text).join("\n\n"),
        _ if is("format", "flowed") => lines::unflow(&text, is("delsp", "yes")),
        _ => lines::unquote(&text),
    }
}

/// Headers and what comes after the first empty line.
fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut from = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let to = from + line.len();
        if matches!(line, b"\n" | b"\r\n") {
            return (bytes.get(..to).unwrap_or_default(), bytes.get(to..).unwrap_or_default());
        }
        from = to;
    }
    (bytes, &[])
}

/// The parts of a multipart (RFC 2046, section 5.1.1). Without its end mark the last one ends with the bytes.
fn inside<'a>(body: &'a [u8], boundary: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut starts = Vec::new();
    let mut from = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let to = from + line.len();
        let after = line.strip_prefix(b"--").and_then(|line| line.strip_prefix(boundary)).map(<[u8]>::trim_ascii_end);
        if let Some(after @ (b"" | b"--")) = after.filter(|_| !boundary.is_empty() && starts.len() <= PARTS) {
            starts.push((from, to, after.is_empty()));
        }
        from = to;
    }
    let ends: Vec<_> = starts.iter().skip(1).map(|(from, ..)| *from).chain([body.len()]).collect();
    let parts = starts.into_iter().zip(ends).take_while(|((_, _, more), _)| *more);
    parts.filter_map(|((_, from, _), to)| body.get(from..to))
}

/// Whether such a header shows that this is a mail.
fn is_of_mail(name: &HeaderName<'_>) -> bool {
    use HeaderName as Name;
    matches!(
        name,
        Name::From
            | Name::To
            | Name::Date
            | Name::Subject
            | Name::Received
            | Name::ReturnPath
            | Name::DeliveredTo
            | Name::MessageId
            | Name::MimeVersion
            | Name::ContentType
            | Name::ContentTransferEncoding
    )
}

/// The last value counts: what stands at the top was put there on the way.
fn value<'a, 'x>(headers: &'a [Header<'x>], name: &HeaderName<'_>) -> Option<&'a HeaderValue<'x>> {
    headers.iter().rev().find(|header| header.name == *name).map(|header| &header.value)
}

/// All texts so far.
#[derive(Default)]
struct Texts {
    texts: Vec<String>,
    length: usize,
    /// One that waits for the text it belongs to.
    subject: Option<String>,
}

impl Texts {
    fn subject(&mut self, subject: Option<&str>) {
        self.flush();
        self.subject = subject.map(lines::clean);
    }

    fn add(&mut self, text: &str) {
        let text = lines::clean(text);
        if text.trim().is_empty() {
            return;
        }
        let both = self.subject.as_ref().map(|subject| format!("{subject}\n\n{text}"));
        self.push(both.unwrap_or(text));
        self.flush();
    }

    fn flush(&mut self) {
        if let Some(subject) = self.subject.take() {
            self.push(subject);
        }
    }

    fn push(&mut self, text: String) {
        self.length = self.length.saturating_add(text.len());
        if self.length <= ALL_TEXTS {
            self.texts.push(text);
        }
    }

    fn finish(mut self) -> Vec<String> {
        self.flush();
        self.texts
    }
}

#[cfg(test)]
mod tests;
