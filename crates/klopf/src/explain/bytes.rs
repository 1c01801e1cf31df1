//! Bytes in rows, and texts of strangers.

use std::fmt::Write;

/// Bytes of a row.
const ROW: usize = 16;

/// The parts of bytes, each with its meaning, over as many lines as it takes.
pub(super) fn rows(out: &mut String, bytes: &[u8], parts: &[(usize, String)]) {
    let mut at = 0;
    for (length, meaning) in parts {
        let part = bytes.get(at..(at + length).min(bytes.len())).unwrap_or_default();
        for (line, row) in part.chunks(ROW).enumerate() {
            let hex = row.iter().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x} ");
                hex
            });
            let meaning = if line == 0 { meaning } else { "" };
            let text = format!("  {:>4}  {hex:<48} {meaning}", at + line * ROW);
            let _ = writeln!(out, "{}", text.trim_end());
        }
        at += length;
    }
}

/// What a stranger may have written, in a line that it cannot leave.
pub(super) fn harmless(bytes: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == most {
            shown.push_str("...");
            break;
        }
        if c == ' ' || c.is_ascii_graphic() { shown.push(c) } else { shown.extend(c.escape_default()) }
    }
    shown
}

/// Reads hexadecimal digits, with blanks and colons between them; none if that is not what it is.
pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace() && *c != ':').collect();
    data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok().filter(|bytes| !bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_text_stays_in_its_line() {
        assert_eq!(harmless(b"a\x1b[2J\nb\xff", 100), "a\\u{1b}[2J\\nb\\u{fffd}");
        assert_eq!(harmless(b"abcdef", 3), "abc...");
        assert_eq!((hex("0a:FF\n 10"), hex("0a f"), hex(""), hex("xx")), (Some(vec![10, 255, 16]), None, None, None));
    }
}
