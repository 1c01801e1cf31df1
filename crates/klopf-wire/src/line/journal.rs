//! What `journalctl --output=export` writes (systemd's "Journal Export Formats"): entries of fields, one to a line as
//! `KEY=value`, or, if the value is not plain text, `KEY`, its length in 8 bytes, lowest first, and the value. An empty line ends an entry.

/// What is kept of a message, in bytes; as for lines.
pub const LONGEST_MESSAGE: usize = super::LONGEST;
/// A longer cursor is none, in bytes. Those of systemd have some 130.
pub const LONGEST_CURSOR: usize = 512;
/// The journal takes no longer names of fields, in bytes.
const LONGEST_NAME: usize = 64;

const MESSAGE: &[u8] = b"MESSAGE";
const CURSOR: &[u8] = b"__CURSOR";

/// An entry of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'r> {
    /// The first field `MESSAGE`, any bytes, line ends among them, at most [`LONGEST_MESSAGE`]; empty if there is none.
    pub message: &'r [u8],
    /// Whether the message was longer, so that only its beginning is here.
    pub is_cut: bool,
    /// Where the entry is, for `--after-cursor`; empty if it is not known.
    pub cursor: &'r [u8],
}

/// Reads entries out of bytes as they come. It keeps no more than one message and one cursor.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    state: State,
    name: Vec<u8>,
    message: Field,
    cursor: Field,
    /// Whether the entry has any field.
    has_fields: bool,
    broken: u64,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// The name of a field, or the end of an entry.
    #[default]
    Name,
    /// A value to the end of its line.
    Text,
    /// The length of a value: what is known of it, and how many bytes are.
    Length(u64, u32),
    /// A value of which so many bytes are to come.
    Bytes(u64),
    /// The end of the line behind such a value.
    End,
    /// Anything to the next empty line, for an entry made no sense; whether it is at the beginning of a line.
    Lost(bool),
}

/// A value of which not more than a limit is kept.
#[derive(Clone, Debug, Default)]
struct Field {
    bytes: Vec<u8>,
    is_cut: bool,
    is_there: bool,
}

impl Field {
    fn add(&mut self, bytes: &[u8], limit: usize) {
        let room = limit.saturating_sub(self.bytes.len());
        self.bytes.extend(bytes.iter().take(room));
        self.is_cut |= bytes.len() > room;
    }

    fn clear(&mut self) {
        self.bytes.clear();
        (self.is_cut, self.is_there) = (false, false);
    }
}

impl Reader {
    /// At the beginning of an entry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many entries made no sense and were left out.
    #[must_use]
    pub fn broken(&self) -> u64 {
        self.broken
    }

    /// Takes what has come, in pieces of any length, and calls with each entry that it ends, in order.
    pub fn read(&mut self, mut bytes: &[u8], mut each: impl FnMut(Entry<'_>)) {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Name => self.name(bytes, &mut each),
                State::Text => self.text(bytes),
                State::Length(length, known) => self.length(length, known, bytes),
                State::Bytes(left) => self.bytes(left, bytes),
                State::End => self.end(bytes),
                State::Lost(at_start) => self.lost(at_start, bytes),
            }
        }
    }

    fn name<'b>(&mut self, bytes: &'b [u8], each: &mut impl FnMut(Entry<'_>)) -> &'b [u8] {
        let Some(end) = memchr::memchr2(b'\n', b'=', bytes) else {
            return if self.grow_name(bytes) { &[] } else { bytes };
        };
        let (part, rest) = bytes.split_at_checked(end).unwrap_or_default();
        if !self.grow_name(part) {
            return bytes;
        }
        let Some((&separator, rest)) = rest.split_first() else { return &[] };
        match (separator, self.name.is_empty()) {
            (b'\n', true) => self.end_entry(each),
            (_, true) => self.lose(),
            (b'\n', false) => self.state = State::Length(0, 0),
            (_, false) => self.state = State::Text,
        }
        self.has_fields |= !self.name.is_empty();
        rest
    }

    /// Whether the name is one so far.
    fn grow_name(&mut self, part: &[u8]) -> bool {
        let plain = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
        let fits = self.name.len() + part.len() <= LONGEST_NAME && part.iter().all(plain);
        if fits {
            self.name.extend_from_slice(part);
        } else {
            self.lose();
        }
        fits
    }

    fn text<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let end = memchr::memchr(b'\n', bytes);
        let (part, rest) = bytes.split_at_checked(end.unwrap_or(bytes.len())).unwrap_or_default();
        self.add(part);
        if end.is_some() {
            self.end_field();
        }
        rest.get(1..).unwrap_or_default()
    }

    fn length<'b>(&mut self, length: u64, known: u32, bytes: &'b [u8]) -> &'b [u8] {
        let Some((&byte, rest)) = bytes.split_first() else { return &[] };
        let length = length | u64::from(byte) << (8 * known);
        self.state = match known {
            7 if length == 0 => State::End,
            7 => State::Bytes(length),
            _ => State::Length(length, known + 1),
        };
        rest
    }

    fn bytes<'b>(&mut self, left: u64, bytes: &'b [u8]) -> &'b [u8] {
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let (part, rest) = bytes.split_at_checked(length).unwrap_or_default();
        self.add(part);
        let left = left.saturating_sub(u64::try_from(length).unwrap_or(u64::MAX));
        self.state = if left == 0 { State::End } else { State::Bytes(left) };
        rest
    }

    fn end<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        match bytes.split_first() {
            Some((b'\n', rest)) => {
                self.end_field();
                rest
            }
            _ => {
                self.lose();
                bytes
            }
        }
    }

    fn lost<'b>(&mut self, at_start: bool, bytes: &'b [u8]) -> &'b [u8] {
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            self.state = State::Lost(false);
            return &[];
        };
        self.state = if at_start && end == 0 { State::Name } else { State::Lost(true) };
        bytes.get(end + 1..).unwrap_or_default()
    }

    /// Adds to the value of the field, if anybody wants it.
    fn add(&mut self, part: &[u8]) {
        match &*self.name {
            MESSAGE if !self.message.is_there => self.message.add(part, LONGEST_MESSAGE),
            CURSOR if !self.cursor.is_there => self.cursor.add(part, LONGEST_CURSOR),
            _ => {}
        }
    }

    fn end_field(&mut self) {
        match &*self.name {
            MESSAGE => self.message.is_there = true,
            CURSOR => self.cursor.is_there = true,
            _ => {}
        }
        self.name.clear();
        self.state = State::Name;
    }

    fn end_entry(&mut self, each: &mut impl FnMut(Entry<'_>)) {
        if self.has_fields {
            let cursor: &[u8] = if self.cursor.is_cut { &[] } else { &self.cursor.bytes };
            each(Entry { message: &self.message.bytes, is_cut: self.message.is_cut, cursor });
        }
        self.clear();
    }

    fn lose(&mut self) {
        self.broken += 1;
        self.clear();
        self.state = State::Lost(false);
    }

    fn clear(&mut self) {
        self.name.clear();
        self.message.clear();
        self.cursor.clear();
        self.has_fields = false;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Read = (Vec<u8>, bool, Vec<u8>);

    /// The entries in pieces of these lengths, over and over, and how many were broken.
    fn read_in(bytes: &[u8], lengths: &[usize]) -> (Vec<Read>, u64) {
        let (mut reader, mut found, mut rest) = (Reader::new(), Vec::new(), bytes);
        for length in lengths.iter().cycle() {
            let (piece, behind) = rest.split_at((*length).clamp(1, rest.len().max(1)).min(rest.len()));
            reader.read(piece, |entry| found.push((entry.message.to_vec(), entry.is_cut, entry.cursor.to_vec())));
            assert!(reader.message.bytes.len() <= LONGEST_MESSAGE && reader.cursor.bytes.len() <= LONGEST_CURSOR);
            assert!(reader.name.len() <= LONGEST_NAME);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        (found, reader.broken())
    }

    fn read(bytes: &[u8]) -> (Vec<Read>, u64) {
        read_in(bytes, &[usize::MAX])
    }

    fn binary(name: &str, value: &[u8]) -> Vec<u8> {
        let length = u64::try_from(value.len()).unwrap().to_le_bytes();
        [name.as_bytes(), b"\n", &length, value, b"\n"].concat()
    }

    fn entry(message: &str, cursor: &str) -> Read {
        (message.into(), false, cursor.into())
    }

    #[test]
    fn entries_come_with_their_cursors() {
        let text = "__CURSOR=s=1;i=a\n_TRANSPORT=kernel\nPRIORITY=4\nMESSAGE=KNOCK IN=eth0 OUT= \n\n\
            \n__CURSOR=s=1;i=b\nMESSAGE=\n\n__CURSOR=s=1;i=c\n_PID=1\n\nMESSAGE=no cursor\n\nMESSAGE=not over";
        let found = [
            entry("KNOCK IN=eth0 OUT= ", "s=1;i=a"),
            entry("", "s=1;i=b"),
            entry("", "s=1;i=c"),
            entry("no cursor", ""),
        ];
        assert_eq!(read(text.as_bytes()), (found.to_vec(), 0));
        assert_eq!(read_in(text.as_bytes(), &[1]).0, found);
    }

    #[test]
    fn a_binary_message_cannot_pass_for_an_entry() {
        let forged = b"two\nlines\n\n__CURSOR=forged\nMESSAGE=forged\n\n\xff\0";
        let text =
            [b"__CURSOR=s=1\n", &binary("MESSAGE", forged)[..], &binary("X", b""), b"MESSAGE=second\n\n"].concat();
        let expected = vec![(forged.to_vec(), false, b"s=1".to_vec())];
        assert_eq!(read(&text), (expected.clone(), 0), "the first message counts");
        assert_eq!(read_in(&text, &[3, 1, 7]), (expected, 0));
    }

    #[test]
    fn what_is_too_long_is_cut_or_left_out() {
        let long = "x".repeat(LONGEST_MESSAGE + 1);
        let text = format!("MESSAGE={long}\n__CURSOR={long}\n\n__CURSOR=b\nMESSAGE={}\n\n", &long[1..]);
        let (found, broken) = read(text.as_bytes());
        let [cut, whole] = &found[..] else { panic!("{} entries", found.len()) };
        assert_eq!((cut.0.len(), cut.1, &*cut.2), (LONGEST_MESSAGE, true, &b""[..]));
        assert_eq!((whole.0.len(), whole.1, broken), (LONGEST_MESSAGE, false, 0));
    }

    #[test]
    fn an_entry_without_sense_is_counted_and_the_next_one_is_read() {
        let long = "X".repeat(LONGEST_NAME + 1);
        let endless = [b"MESSAGE\n\x03\0\0\0\0\0\0\0abcd\nMESSAGE=a\n", &b"\n"[..]].concat();
        let odd: [&[u8]; 5] =
            [b"=a\n\n", b"-- No entries --\n\n", long.as_bytes(), &endless, b"MESSAGE=a\n=\nMESSAGE=b\n\n"];
        for odd in odd {
            let end = if odd.ends_with(b"\n\n") { "" } else { "\n\n" };
            let text = [odd, end.as_bytes(), b"MESSAGE=good\n__CURSOR=c\n\n"].concat();
            assert_eq!(read(&text), (vec![entry("good", "c")], 1), "{:?}", String::from_utf8_lossy(odd));
        }
        assert_eq!(read(b"MESSAGE\n\xff\xff\xff\xff\xff\xff\xff\xffabc\n\n"), (vec![], 0), "it waits for the rest");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_alike_in_any_pieces(bytes: Vec<u8>, lengths in proptest::collection::vec(1_usize..9, 1..9)) {
            prop_assert_eq!(read_in(&bytes, &lengths), read(&bytes));
        }

        #[test]
        fn any_fields_are_read_alike_in_any_pieces(
            parts in proptest::collection::vec("(MESSAGE|__CURSOR|X)?[=\n]?[a=\0\n]{0,12}", 0..12),
            lengths in proptest::collection::vec(1_usize..9, 1..9),
        ) {
            let bytes = parts.concat().into_bytes();
            prop_assert_eq!(read_in(&bytes, &lengths), read(&bytes));
        }

        #[test]
        fn what_was_written_is_read(
            entries in proptest::collection::vec((any::<Vec<u8>>(), "[a-z0-9;=]{0,40}"), 0..6),
            lengths in proptest::collection::vec(1_usize..99, 1..9),
        ) {
            let write = |(message, cursor): &(Vec<u8>, String)| {
                [format!("__CURSOR={cursor}\n").as_bytes(), &binary("MESSAGE", message), b"\n"].concat()
            };
            let text: Vec<u8> = entries.iter().flat_map(write).collect();
            let expected = entries.into_iter().map(|(message, cursor)| (message, false, cursor.into_bytes())).collect();
            prop_assert_eq!(read_in(&text, &lengths), (expected, 0));
        }
    }
}
