//! JSON of any kind: each string in it is a text, or HTML.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Texts, html};

/// Bytes without which a string has no body in it: the shortest, of 11 bytes, has more letters.
const SHORTEST: usize = 16;

/// All strings of a document that are long enough, in their order. Deeper than 128 levels nothing is read.
pub(crate) fn texts(json: &str) -> Texts {
    let mut texts = Vec::new();
    let mut reader = serde_json::Deserializer::from_str(json);
    let whole = Strings(&mut texts).deserialize(&mut reader).and_then(|()| reader.end());
    Texts { texts, broken: whole.is_err() }
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
