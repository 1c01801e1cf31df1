//! How names and dates are written in IMAP. Pure.

use data_encoding::BASE64_NOPAD;

/// Whether a text can stand in quotes as it is.
pub(super) fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// In quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A mailbox's name in quotes, in the UTF-7 of IMAP (RFC 3501, section 5.1.3).
pub(super) fn mailbox(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut shifted: Vec<u8> = Vec::new();
    for letter in name.chars() {
        if matches!(letter, ' '..='~') {
            shift(&mut out, &mut shifted);
            out.push(letter);
            if letter == '&' {
                out.push('-');
            }
        } else {
            let mut units = [0; 2];
            shifted.extend(letter.encode_utf16(&mut units).iter().flat_map(|unit| unit.to_be_bytes()));
        }
    }
    shift(&mut out, &mut shifted);
    quoted(&out)
}

fn shift(out: &mut String, units: &mut Vec<u8>) {
    if !units.is_empty() {
        out.push('&');
        out.push_str(&BASE64_NOPAD.encode(units).replace('/', ","));
        out.push('-');
        units.clear();
    }
}

/// The day of a time in seconds since 1970, as `7-Mar-2026`, by the calendar of civil days (proleptic Gregorian).
pub(super) fn day(seconds: u64) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut days = seconds / 86_400;
    // Whole cycles of the calendar first, so that no time takes long.
    let mut year = 1970 + 400 * (days / 146_097);
    days %= 146_097;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut name = "Dec";
    for (month, length) in MONTHS.into_iter().zip(lengths) {
        name = month;
        if days < length {
            break;
        }
        days -= length;
    }
    format!("{}-{name}-{year}", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        let days = [0, 951_782_400, 951_868_800, 1_709_164_800, 1_798_675_200, 4_107_542_400].map(day);
        assert_eq!(days, ["1-Jan-1970", "29-Feb-2000", "1-Mar-2000", "29-Feb-2024", "31-Dec-2026", "1-Mar-2100"]);
    }

    #[test]
    fn mailboxes_have_their_names_in_utf_7() {
        assert_eq!(mailbox("INBOX"), "\"INBOX\"");
        assert_eq!(mailbox("A & B"), "\"A &- B\"");
        assert_eq!(mailbox("Entwürfe/日本語"), "\"Entw&APw-rfe/&ZeVnLIqe-\"");
        assert_eq!(mailbox("a\"\\\r\n"), "\"a\\\"\\\\&AA0ACg-\"");
        assert!(is_plain("a b~") && !is_plain("ä") && !is_plain("\r"));
    }
}
