//! Characters as they count, whatever a program has made of them on the way: references of HTML that were left in the
//! text, line ends of quoted-printable, what is not seen, and full width.

/// References by name (HTML, section 13.5) to what stands in words, makes tags, or is not seen. Any other is a blank.
const REFERENCES: [(&str, char); 13] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("auml", 'ä'),
    ("ouml", 'ö'),
    ("uuml", 'ü'),
    ("Auml", 'Ä'),
    ("Ouml", 'Ö'),
    ("Uuml", 'Ü'),
    ("szlig", 'ß'),
    ("shy", '\u{ad}'),
    ("zwnj", '\u{200c}'),
    ("zwj", '\u{200d}'),
];
/// Bytes of a name at most.
const LONGEST_NAME: usize = 8;
/// Bytes of a reference to the `&` of a reference, and so on, at most.
const LONGEST_CHAIN: usize = 32;

/// The text in characters as they count.
pub(super) fn cleaned(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (c, length) = match c {
            '&' => reference(rest).unwrap_or(('&', 1)),
            '=' if rest.starts_with("=\n") => ('\u{ad}', 2),
            '=' if rest.starts_with("=\r\n") => ('\u{ad}', 3),
            '\u{ff01}'..='\u{ff5e}' => (char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c), c.len_utf8()),
            _ => (c, c.len_utf8()),
        };
        if !is_invisible(c) {
            out.push(c);
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    out
}

/// Soft hyphens, joiners, marks of direction and of variants.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// What the reference at the beginning of a text stands for, and its bytes. Its `&` may have become a reference too,
/// over and over.
fn reference(text: &str) -> Option<(char, usize)> {
    let mut at = 1;
    while at < LONGEST_CHAIN && text.get(at..)?.strip_prefix("amp;").is_some_and(|more| named(more).is_some()) {
        at += 4;
    }
    let (c, length) = named(text.get(at..)?)?;
    Some((c, at + length))
}

/// What `NAME;`, `#NUMBER;` or `#xNUMBER;` stands for, and its bytes.
fn named(text: &str) -> Option<(char, usize)> {
    let length = text.bytes().take(LONGEST_NAME + 1).position(|byte| byte == b';').filter(|length| *length > 0)?;
    let name = text.get(..length)?;
    let number = name.strip_prefix('#');
    if !number.unwrap_or(name).bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let c = match number {
        None => REFERENCES.iter().find(|(known, _)| *known == name).map(|(_, c)| *c),
        Some(number) => match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => number.parse(),
        }
        .ok()
        .and_then(char::from_u32),
    };
    Some((c.unwrap_or(' '), length + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_what_they_were_before_programs_changed_them() {
        for (text, expected) in [
            ("plain & simple; 1=2", "plain & simple; 1=2"),
            ("Gr&uuml;&szlig;e K&#246;ln K&#xF6;ln K&amp;ouml;ln K&amp;amp;#246;ln", "Grüße Köln Köln Köln Köln"),
            ("a&nbsp;b&amp;nbsp;c&nosuch;d&#1114112;e", "a b c d e"),
            ("AT&amp;T R&amp;amp;D &lt;br&gt;", "AT&T R&D <br>"),
            ("so\u{ad}ft\u{200b}e&shy;r\u{feff}", "softer"),
            ("abc=\nde=\r\nf= \n", "abcdef= \n"),
            ("ａｂＣ２！\u{3000}", "abC2!\u{3000}"),
            ("&;&#;&#x;& b;&ü;&morethanenough;", "&; & b;&ü;&morethanenough;"),
            ("=", "="),
            ("&", "&"),
        ] {
            assert_eq!(cleaned(text).replace("  ", " "), expected, "{text}");
        }
    }

    #[test]
    fn what_never_ends_is_read_at_once() {
        for piece in ["&", "&amp;", "amp;", "&#", "=", "\u{ad}"] {
            assert!(cleaned(&format!("&{}", piece.repeat(1_000_000))).len() <= 6_000_000);
        }
    }
}
