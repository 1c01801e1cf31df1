//! `mailto:` links (RFC 6068).

use std::fmt::Write;

/// A link that has a mail program write this mail.
pub(crate) fn link(to: &str, subject: &str, body: &str) -> String {
    // Lines end with CR LF (section 5), however they end here.
    let body = body.lines().collect::<Vec<_>>().join("\r\n");
    format!("mailto:{}?subject={}&body={}", encoded(to, "@"), encoded(subject, ""), encoded(&body, ""))
}

/// All but letters, digits, `-._~` (RFC 3986, section 2.3) and what is to be kept as %XX.
fn encoded(text: &str, kept: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let c = char::from(byte);
        if byte.is_ascii_alphanumeric() || "-._~".contains(c) || kept.contains(c) {
            out.push(c);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_ends_a_field_or_begins_another() {
        let link = link("a+b@example.org", "Hi & bye?", "Grüße, 100 %\nof us=all");
        assert_eq!(
            link,
            "mailto:a%2Bb@example.org?subject=Hi%20%26%20bye%3F&body=Gr%C3%BC%C3%9Fe%2C%20100%20%25%0D%0Aof%20us%3Dall"
        );
    }
}
