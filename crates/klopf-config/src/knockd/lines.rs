//! Lines as knockd reads them, and parts of them that know where they are.

/// The longest line in bytes; what is beyond is the next line.
const LONGEST: usize = 4095;

/// A line, or what is taken for one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// As knockd counts: a cut line is two.
    pub(super) number: usize,
    /// As an editor counts.
    pub(super) row: usize,
    /// Where it begins in the file.
    pub(super) offset: usize,
    /// All of it but the newline.
    pub(super) raw: &'a [u8],
    /// What counts: up to the first NUL, without white space at both ends.
    pub(super) text: Part<'a>,
    /// Whether it was cut here, and the rest is the next line.
    pub(super) cut: bool,
}

/// A piece of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) bytes: &'a [u8],
    /// Where it begins in [`Line::raw`].
    pub(super) at: usize,
}

impl<'a> Part<'a> {
    pub(super) fn trimmed(self) -> Self {
        let blank = |b: &&u8| matches!(b, b' ' | b'\t'..=b'\r');
        let left = self.bytes.iter().take_while(blank).count();
        let right = self.bytes.iter().rev().take_while(blank).count();
        let bytes = self.bytes.get(left..self.bytes.len() - right).unwrap_or_default();
        Self { bytes, at: self.at + left }
    }

    /// The pieces between the separators, at least one.
    pub(super) fn split(self, separator: u8) -> impl Iterator<Item = Self> + use<'a> {
        let mut at = self.at;
        self.bytes.split(move |b| *b == separator).map(move |bytes| {
            let part = Self { bytes, at };
            at += bytes.len() + 1;
            part
        })
    }

    /// Trimmed key and value at the first `=`, if there is one.
    pub(super) fn key_and_value(self) -> Option<(Self, Self)> {
        let equals = self.bytes.iter().position(|b| *b == b'=')?;
        let key = Self { bytes: self.bytes.get(..equals)?, at: self.at };
        let value = Self { bytes: self.bytes.get(equals + 1..)?, at: self.at + equals + 1 };
        Some((key.trimmed(), value.trimmed()))
    }
}

/// The lines of a file.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let (mut number, mut row, mut offset) = (0, 1, 0);
    std::iter::from_fn(move || {
        let rest = text.get(offset..).filter(|rest| !rest.is_empty())?;
        let window = rest.get(..LONGEST).unwrap_or(rest);
        let newline = window.iter().position(|b| *b == b'\n');
        let raw = window.get(..newline.unwrap_or(window.len()))?;
        let seen = raw.split(|b| *b == 0).next()?;
        number += 1;
        let cut = newline.is_none() && rest.get(raw.len()).is_some_and(|b| *b != b'\n');
        let line = Line { number, row, offset, raw, text: Part { bytes: seen, at: 0 }.trimmed(), cut };
        offset += raw.len() + usize::from(newline.is_some());
        row += usize::from(newline.is_some());
        Some(line)
    })
}

/// Text from bytes: UTF-8, or else Latin-1.
pub(super) fn decoded(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| bytes.iter().copied().map(char::from).collect(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut() {
        let rows = |text: &[u8]| lines(text).map(|l| (l.number, l.row, l.raw.len(), l.cut)).collect::<Vec<_>>();
        assert_eq!(rows(b""), []);
        assert_eq!(rows(b"a\n\nbc"), [(1, 1, 1, false), (2, 2, 0, false), (3, 3, 2, false)]);
        let long = [b"a".repeat(4096), b"\nb\n".to_vec()].concat();
        assert_eq!(rows(&long), [(1, 1, 4095, true), (2, 1, 1, false), (3, 2, 1, false)]);
        let exact = [b"a".repeat(4095), b"\nb\n".to_vec()].concat();
        assert_eq!(rows(&exact), [(1, 1, 4095, false), (2, 1, 0, false), (3, 2, 1, false)]);
        let fits = [b"a".repeat(4094), b"\nb\n".to_vec()].concat();
        assert_eq!(rows(&fits), [(1, 1, 4094, false), (2, 2, 1, false)]);
    }

    #[test]
    fn parts_know_their_place() {
        let line = lines(b" \x0b k = a ,\x0cb\0,c\r\n").next().unwrap();
        let (key, value) = line.text.key_and_value().unwrap();
        assert_eq!((key.bytes, key.at), (&b"k"[..], 3));
        let parts: Vec<_> = value.split(b',').map(Part::trimmed).map(|p| (p.bytes, p.at)).collect();
        assert_eq!(parts, [(&b"a"[..], 7), (b"b", 11)]);
        assert_eq!(Part { bytes: b"kv", at: 0 }.key_and_value(), None);
    }

    #[test]
    fn bytes_become_text() {
        for (bytes, text) in [(&b"T\xc3\xbcr"[..], "Tür"), (b"T\xfcr", "Tür"), (b"\xfc", "ü"), (b"", "")] {
            assert_eq!(decoded(bytes), text, "{bytes:?}");
        }
    }
}
