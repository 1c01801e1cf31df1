//! Tags that were left in a text, where a page was taken for plain text or was escaped twice. They must not count as
//! words.

use std::borrow::Cow;

/// Bytes of a tag at most.
const LONGEST: usize = 500;
/// The tags that programs put around and into what people write; what else stands in brackets may be a token.
const TAGS: &str = "a b blockquote br code div em font h1 h2 h3 hr i img li ol p pre small span strong td tr u ul wbr";

/// The text with blanks in the place of tags; every other character stays where it is.
pub(super) fn blanked(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut done = 0;
    let mut rest = 0;
    while let Some(at) = text.get(rest..).and_then(|rest| rest.find('<')).map(|found| rest + found) {
        rest = at + 1;
        let Some(length) = text.get(at..).and_then(tag) else { continue };
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

/// The bytes of a tag with which a text begins.
fn tag(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let name = bytes.get(1..)?;
    let name = name.strip_prefix(b"/").unwrap_or(name);
    let length = name.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let name = name.get(..length)?;
    TAGS.split(' ').find(|tag| tag.as_bytes().eq_ignore_ascii_case(name))?;
    let end = bytes.iter().take(LONGEST).skip(1).position(|byte| matches!(byte, b'<' | b'>'))? + 1;
    (bytes.get(end) == Some(&b'>')).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_blank_and_all_else_is_where_it_was() {
        for (text, expected) in [
            ("plain", "plain"),
            ("a<br>b", "a    b"),
            ("a<br/>\n&nbsp;b", "a     \n&nbsp;b"),
            ("<p class=\"ä\">x</p>", "              x    "),
            ("I <3 you & me; 1 < 2 > 0", "I <3 you & me; 1 < 2 > 0"),
            ("<unfinished <b>x", "<unfinished    x"),
            ("<", "<"),
            ("<mfzwizq>", "<mfzwizq>"),
            ("</DIV>.", "      ."),
        ] {
            assert_eq!(blanked(text), expected, "{text}");
            assert_eq!(blanked(text).len(), text.len());
        }
        assert_eq!(blanked(&format!("<a{}>", " ".repeat(LONGEST))).trim().len(), LONGEST + 3);
    }

    #[test]
    fn what_never_ends_is_read_at_once() {
        for piece in ["<a", "<a ", "</br ", "a"] {
            let text = format!("<{}", piece.repeat(1_000_000));
            assert_eq!(blanked(&text), text);
        }
    }
}
