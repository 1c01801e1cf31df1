//! How authenticators are told a secret: the Key URI format that the common ones read.

use std::fmt::Write as _;

use data_encoding::BASE32_NOPAD;
use zeroize::Zeroizing;

/// The URI. SHA-1, six digits and 30 seconds are what it means without saying so.
pub(super) fn uri(host: &str, key: &str, secret: &[u8]) -> Zeroizing<String> {
    let issuer = encoded(&format!("Klopf {host}"));
    let secret = Zeroizing::new(BASE32_NOPAD.encode(secret));
    let mut uri = Zeroizing::new(String::with_capacity(1024));
    for part in ["otpauth://totp/", &issuer, ":", &encoded(key), "?secret=", &secret, "&issuer=", &issuer] {
        uri.push_str(part);
    }
    uri
}

/// Percent-encoding (RFC 3986, section 2.1).
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_told_with_whose_it_is() {
        // The secret of RFC 6238, appendix B.
        let uri = uri("2001:db8::7", "laptop", b"12345678901234567890");
        let issuer = "Klopf%202001%3Adb8%3A%3A7";
        let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        assert_eq!(*uri, format!("otpauth://totp/{issuer}:laptop?secret={secret}&issuer={issuer}"));
    }
}
