//! Bytes to lines.

use std::fmt;

/// Takes bytes as they come and gives lines. Holds at most one line too much, and never looks at a byte twice.
#[derive(Debug)]
pub struct Lines {
    longest: usize,
    bytes: Vec<u8>,
    /// Where the next line begins.
    begin: usize,
    /// Up to where there is no end of a line.
    seen: usize,
}

/// A line is longer than it may be; there is no going on after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl Lines {
    /// For lines of at most so many bytes.
    #[must_use]
    pub const fn new(longest: usize) -> Self {
        Self { longest, bytes: Vec::new(), begin: 0, seen: 0 }
    }

    /// Takes bytes in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.begin);
        self.seen -= self.begin;
        self.begin = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next line without its end, if it is whole.
    ///
    /// # Errors
    /// The line is too long.
    pub fn line(&mut self) -> Result<Option<&[u8]>, TooLong> {
        let rest = self.bytes.get(self.seen..).unwrap_or_default();
        let end = rest.iter().position(|&byte| byte == b'\n').map(|at| self.seen + at);
        self.seen = end.unwrap_or(self.bytes.len());
        if self.seen - self.begin > self.longest {
            return Err(TooLong);
        }
        let Some(end) = end else { return Ok(None) };
        let begin = std::mem::replace(&mut self.begin, end + 1);
        self.seen = self.begin;
        Ok(self.bytes.get(begin..end))
    }
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a line is too long")
    }
}

impl std::error::Error for TooLong {}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop};
    use proptest::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn lines_come_whole() {
        let mut lines = Lines::new(3);
        assert_eq!(lines.line(), Ok(None));
        lines.push(b"a");
        assert_eq!(lines.line(), Ok(None));
        lines.push(b"b\n\ncde\nf");
        assert_eq!(lines.line(), Ok(Some(&b"ab"[..])));
        assert_eq!(lines.line(), Ok(Some(&b""[..])));
        assert_eq!(lines.line(), Ok(Some(&b"cde"[..])));
        assert_eq!(lines.line(), Ok(None));
        lines.push(b"gh");
        assert_eq!(lines.line(), Ok(None));
        lines.push(b"i\n");
        assert_eq!(lines.line(), Err(TooLong), "with its end");
        assert_eq!(lines.line(), Err(TooLong), "for ever");
        let mut lines = Lines::new(3);
        lines.push(b"abcd");
        assert_eq!(lines.line(), Err(TooLong), "without its end");
    }

    proptest! {
        #[test]
        fn how_bytes_are_cut_makes_no_difference(pieces in prop::collection::vec(bytes(), 0..8)) {
            let (mut lines, mut got) = (Lines::new(100), Vec::new());
            for piece in &pieces {
                lines.push(piece);
                while let Some(line) = lines.line().unwrap() {
                    got.push(line.to_vec());
                }
                prop_assert!(lines.bytes.len() <= 200);
            }
            let whole = pieces.concat();
            let mut expected: Vec<_> = whole.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
            expected.pop();
            prop_assert_eq!(got, expected);
        }
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<bool>().prop_map(|end| if end { b'\n' } else { b'x' }), 0..12)
    }
}
