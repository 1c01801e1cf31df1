//! Markup that was left in a text: tags and references to characters, where a page was taken for plain text or was
//! escaped twice. It must not count as words.

use std::borrow::Cow;

/// Bytes of a tag at most.
const LONGEST_TAG: usize = 500;
/// The tags that programs put around and into what people write; what else stands in brackets may be a token.
const TAGS: &str = "a b blockquote br code div em font h1 h2 h3 hr i img li ol p pre small span strong td tr u ul wbr";
/// Bytes of a reference at most.
const LONGEST_REFERENCE: usize = 10;

/// The text with blanks in the place of markup; every other character stays where it is.
pub(super) fn blanked(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut done = 0;
    let mut rest = 0;
    while let Some(at) = text.get(rest..).and_then(|rest| rest.find(['<', '&'])).map(|found| rest + found) {
        rest = at + 1;
        let Some(length) = text.get(at..).and_then(markup) else { continue };
        out.push_str(text.get(done..at).unwrap_or_default());
        out.extend(std::iter::repeat_n(' ', length));
        done = at + length;
        rest = done;
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(out)
}

/// The bytes of a tag or a reference with which a text begins.
fn markup(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (most, inner, last): (usize, fn(u8) -> bool, u8) = match bytes.first()? {
        b'<' if is_tag(bytes) => (LONGEST_TAG, |byte| byte != b'<', b'>'),
        b'&' => (LONGEST_REFERENCE, |byte| byte.is_ascii_alphanumeric() || byte == b'#', b';'),
        _ => return None,
    };
    let end = bytes.iter().take(most).skip(1).take_while(|byte| **byte != last && inner(**byte)).count() + 1;
    (end > 1 && end < most && bytes.get(end) == Some(&last)).then_some(end + 1)
}

fn is_tag(bytes: &[u8]) -> bool {
    let name = bytes.get(1..).unwrap_or_default();
    let name = name.strip_prefix(b"/").unwrap_or(name);
    let length = name.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    name.get(..length).is_some_and(|name| TAGS.split(' ').any(|tag| tag.as_bytes().eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_references_are_blank_and_all_else_is_where_it_was() {
        for (text, expected) in [
            ("plain", "plain"),
            ("a<br>b", "a    b"),
            ("a<br/>\n&nbsp;&#160;b", "a     \n            b"),
            ("<p class=\"ä\">x</p>", "              x    "),
            ("I <3 you & me; 1 < 2 > 0", "I <3 you & me; 1 < 2 > 0"),
            ("<unfinished <b>x", "<unfinished    x"),
            ("&amp;uuml;", "     uuml;"),
            ("<", "<"),
            ("&;", "&;"),
            ("<mfzwizq>", "<mfzwizq>"),
            ("</DIV>.", "      ."),
        ] {
            assert_eq!(blanked(text), expected, "{text}");
            assert_eq!(blanked(text).len(), text.len());
        }
        assert_eq!(blanked(&format!("<a{}>", " ".repeat(LONGEST_TAG))).trim().len(), LONGEST_TAG + 3);
    }

    #[test]
    fn what_never_ends_is_read_at_once() {
        for piece in ["<a", "&a", "<a ", "</br "] {
            let text = piece.repeat(1_000_000);
            assert_eq!(blanked(&text), text);
        }
    }
}
