//! Transfer encodings (RFC 2045, section 6). A mail may be cut anywhere and changed on the way, so what does not belong
//! there is stepped over.

use std::borrow::Cow;

/// The bytes of a part, by the name of its encoding.
pub(super) fn decode<'a>(bytes: &'a [u8], encoding: Option<&str>) -> Cow<'a, [u8]> {
    let encoding = encoding.unwrap_or_default().trim();
    if encoding.eq_ignore_ascii_case("base64") {
        Cow::Owned(base64(bytes))
    } else if encoding.eq_ignore_ascii_case("quoted-printable") {
        Cow::Owned(quoted_printable(bytes))
    } else {
        Cow::Borrowed(bytes)
    }
}

/// What follows its end mark, as the footer of a list, is taken as it is.
fn base64(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0_u32, 0);
    for (at, &byte) in bytes.iter().enumerate() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                let rest = bytes.get(at..).unwrap_or_default().trim_ascii_start();
                let rest = rest.iter().position(|byte| *byte != b'=').and_then(|from| rest.get(from..));
                out.extend(rest.unwrap_or_default());
                return out;
            }
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            let [.., low] = (bits >> count).to_be_bytes();
            out.push(low);
        }
    }
    out
}

fn quoted_printable(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let ends = line.ends_with(b"\n");
        let mut rest = line.trim_ascii_end();
        let soft = rest.strip_suffix(b"=");
        rest = soft.unwrap_or(rest);
        while let Some((&byte, after)) = rest.split_first() {
            let escaped = after.first_chunk::<2>().filter(|_| byte == b'=').and_then(|[high, low]| {
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                Some(digit(*high)? << 4 | digit(*low)?)
            });
            out.push(escaped.unwrap_or(byte));
            rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
        }
        if ends && soft.is_none() {
            out.push(b'\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_whatever_was_done_to_it() {
        let read = |text: &str| String::from_utf8(decode(text.as_bytes(), Some(" Base64")).into_owned()).unwrap();
        assert_eq!(read("a2xv\r\n cGZk\n"), "klopfd");
        assert_eq!(read("a2xvcA=="), "klop");
        assert_eq!(read("a2xvcGY="), "klopf");
        assert_eq!(read("a2xvcA==\r\n____\r\na list"), "klop\r\n____\r\na list", "with the footer of a list");
        assert_eq!(read("a2xvc"), "klo", "cut in the middle");
    }

    #[test]
    fn quoted_printable_is_read_whatever_was_done_to_it() {
        let read =
            |text: &str| String::from_utf8(decode(text.as_bytes(), Some("QUOTED-printable")).into_owned()).unwrap();
        assert_eq!(read("a=3D=6bb=6B"), "a=kbk");
        assert_eq!(read("kl=\r\nopf=  \r\nd\r\nx"), "klopfd\nx");
        assert_eq!(read("1=2=zz= 3="), "1=2=zz= 3");
        assert_eq!(read("=C3=B6"), "ö");
    }
}
