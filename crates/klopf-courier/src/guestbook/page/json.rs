//! JSON of any kind: each string in it is a text, or HTML.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Texts, html};

/// Bytes without which a string has no body in it: the shortest, of 11 bytes, has more letters.
const SHORTEST: usize = 16;

/// All strings of a document that are long enough, in their order. Deeper than 128 levels nothing is read.
pub(crate) fn texts(json: &str) -> Texts {
    let mut texts = Vec::new();
    let json = whole_pairs(json);
    let mut reader = serde_json::Deserializer::from_str(&json);
    let whole = Strings(&mut texts).deserialize(&mut reader).and_then(|()| reader.end());
    let broken = whole.is_err();
    if broken {
        // What ends the reading, such as a number that is too large, may be somebody's entry.
        texts = strings(&json);
    }
    Texts { texts, broken }
}

/// All that stands between quotes, whatever stands around it.
fn strings(json: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut rest = json;
    while let Some(begin) = rest.find('"') {
        let string = rest.get(begin..).unwrap_or_default();
        let Some(end) = end(string) else { break };
        if let Ok(text) = serde_json::from_str::<String>(string.get(..end).unwrap_or_default()) {
            let _ = Strings(&mut texts).visit_str::<serde_json::Error>(&text);
        }
        rest = string.get(end..).unwrap_or_default();
    }
    texts
}

/// The bytes of the string with which a text begins.
fn end(text: &str) -> Option<usize> {
    let mut escaped = true;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map(|end| end + 1)
}

/// The document with `\ufffd` for each half of a pair of surrogates. One is allowed (RFC 8259, section 8.2), and somebody's
/// entry with one would end the reading of all behind it.
fn whole_pairs(json: &str) -> Cow<'_, str> {
    let (mut out, mut done, mut at) = (String::new(), 0, 0);
    while let Some(found) = json.get(at..).and_then(|rest| rest.find('\\')) {
        let begin = at + found;
        match (surrogate(json, begin), surrogate(json, begin + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => at = begin + 12,
            (Some(_), _) => {
                out.push_str(json.get(done..begin).unwrap_or_default());
                out.push_str("\\ufffd");
                (done, at) = (begin + 6, begin + 6);
            }
            // Whatever is escaped, and be it a backslash.
            (None, _) => {
                at = begin + 1 + json.get(begin + 1..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8)
            }
        }
    }
    if done == 0 {
        return Cow::Borrowed(json);
    }
    out.push_str(json.get(done..).unwrap_or_default());
    Cow::Owned(out)
}

/// The surrogate that is escaped at a place.
fn surrogate(json: &str, at: usize) -> Option<u16> {
    let digits = json
        .get(at..at + 6)?
        .strip_prefix("\\u")
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok().filter(|unit| (0xd800..=0xdfff).contains(unit))
}

/// Takes strings in as they come, so that those before a fault are there.
struct Strings<'a>(&'a mut Vec<String>);

impl<'de> DeserializeSeed<'de> for Strings<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strings<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if text.len() < SHORTEST {
            return Ok(());
        }
        if text.contains(['<', '&']) {
            self.0.extend(html::texts(text));
        } else {
            self.0.push(text.to_owned());
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<(), A::Error> {
        while all.next_element_seed(Strings(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<(), A::Error> {
        while all.next_key::<serde::de::IgnoredAny>()?.is_some() {
            all.next_value_seed(Strings(self.0))?;
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_pair_of_surrogates_ends_nothing() {
        let text = r#"["an entry with \ud83d half a pair", "one \udc00\ud83d\ude00 with more", "\\ud83d is none of them", "and the last of them"]"#;
        let read = texts(text);
        assert!(!read.broken);
        assert_eq!(
            read.texts,
            [
                "an entry with \u{fffd} half a pair",
                "one \u{fffd}\u{1f600} with more",
                "\\ud83d is none of them",
                "and the last of them"
            ]
        );
        assert!(matches!(whole_pairs(r#"["\ud83d\ude00 \n \\"]"#), Cow::Borrowed(_)));
        for cut in ["[\"\\", "[\"\\ud83", "[\"\\ud83d\\"] {
            assert!(texts(cut).broken);
        }
    }

    #[test]
    fn what_is_no_json_hides_nothing_of_the_rest() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for hostile in ["1e999", &deep, "nul", "'", "\"\\u12\"", "{\"a\" \"b\"}"] {
            let text =
                format!("[\"what was there before\", {hostile}, {{\"content\": \"what is \\\"behind\\\" it all\"}}]");
            let read = texts(&text);
            assert!(read.broken, "{hostile}");
            assert_eq!(read.texts, ["what was there before", "what is \"behind\" it all"], "{hostile}");
        }
    }
}
