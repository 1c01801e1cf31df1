//! Which characters bytes stand for.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};

/// Bytes at the start of a page in which it may say so itself.
const DECLARED_WITHIN: usize = 1024;

/// Reads bytes by their byte order mark, by what the server says, by what the page says, or as UTF-8. What cannot be
/// read becomes U+FFFD.
pub(crate) fn decode<'a>(bytes: &'a [u8], content_type: Option<&str>) -> Cow<'a, str> {
    let told = content_type.and_then(|text| after(text.as_bytes(), b"charset="));
    let encoding = told.or_else(|| {
        // In other forms that is what somebody has written.
        let begins = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        begins.filter(|byte| **byte == b'<')?;
        let start = bytes.get(..DECLARED_WITHIN).unwrap_or(bytes);
        // What can be read as ASCII here is not in UTF-16, whatever it says.
        let declared = after(start, b"charset=").or_else(|| after(start, b"encoding="))?;
        declared.is_ascii_compatible().then_some(declared)
    });
    encoding.unwrap_or(UTF_8).decode(bytes).0
}

/// The encoding whose name stands behind a mark.
fn after(text: &[u8], mark: &[u8]) -> Option<&'static Encoding> {
    let at = text.windows(mark.len()).position(|window| window.eq_ignore_ascii_case(mark))?;
    let name = text.get(at + mark.len()..)?;
    let quote = |byte: &u8| matches!(byte, b'"' | b'\'');
    let name = name.strip_prefix(b"\"").or_else(|| name.strip_prefix(b"'")).unwrap_or(name);
    let end = name.iter().position(|byte| quote(byte) || matches!(byte, b';' | b' ' | b'>' | b'/' | b'?'));
    Encoding::for_label(name.get(..end.unwrap_or(name.len()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_the_page_and_the_mark_are_asked_for_the_charset() {
        assert_eq!(decode(b"\xe4", Some("text/html; charset=\"ISO-8859-1\"")), "ä");
        assert_eq!(decode(b"<meta charset='latin1'>\xe4", Some("text/html")), "<meta charset='latin1'>ä");
        assert!(decode(b"<?xml version=\"1.0\" encoding=\"windows-1252\"?>\x93", None).ends_with('\u{201c}'));
        assert_eq!(decode(b"\xff\xfea\0", None), "a");
        assert_eq!(decode(b"\xef\xbb\xbf\xc3\xa4", Some("text/plain; charset=latin1")), "ä");
        assert_eq!(decode("ä".as_bytes(), Some("text/plain; charset=klingon")), "ä");
        assert_eq!(decode(b"<meta charset=utf-16le>ab", None), "<meta charset=utf-16le>ab");
    }

    #[test]
    fn broken_utf_8_does_not_hide_the_rest() {
        assert_eq!(decode(b"a\xff\xc3b", None), "a\u{fffd}\u{fffd}b");
    }
}
