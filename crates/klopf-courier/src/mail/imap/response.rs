//! Responses of an IMAP server (RFC 3501, RFC 9051): the little that is needed of them. Pure, total, and without recursion.

/// A line with the literals in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Line(Vec<Piece>);

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Literal(Vec<u8>),
}

/// What a response is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Response {
    /// `+`: the server waits for more.
    Continue,
    /// The end of a command, with its tag, and whether it was done.
    Done { tag: Vec<u8>, end: End, try_create: bool },
    /// `BYE`: it ends the connection.
    Bye,
    /// `OK` or `PREAUTH` without a tag.
    Greeting { logged_in: bool },
    /// `[UIDVALIDITY]`, by which numbers of mails hold.
    Validity(u32),
    /// There may be a new mail.
    Exists,
    /// What a server can do.
    Capability(Vec<Vec<u8>>),
    /// Numbers of mails.
    Search(Vec<u32>),
    /// Something about a mail.
    Fetch(Fetched),
    /// Anything else.
    Other,
    /// What no server says.
    Nonsense,
}

/// How a command has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Ok,
    No,
    Bad,
}

/// What is known of a mail.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fetched {
    pub(super) uid: Option<u32>,
    pub(super) size: Option<u64>,
    pub(super) body: Option<Vec<u8>>,
}

/// Puts lines together from the bytes that come.
#[derive(Debug, Default)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    /// Those of them that were used.
    used: usize,
    /// Those of them in which there is no end of a line.
    searched: usize,
    line: Line,
    /// Of the literal that comes.
    literal: Option<usize>,
}

/// A literal is longer than what may come.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Lines {
    /// Where bytes that come are put.
    pub(super) fn room(&mut self) -> &mut Vec<u8> {
        let used = std::mem::take(&mut self.used);
        self.bytes.drain(..used);
        self.searched = self.searched.saturating_sub(used);
        &mut self.bytes
    }

    /// Whether there is nothing left, not even a part of a line.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.len() == self.used && self.literal.is_none() && self.line.0.is_empty()
    }

    /// The next line that is whole. So many more bytes may come.
    ///
    /// # Errors
    /// There is a literal that is longer.
    pub(super) fn next(&mut self, may_come: usize) -> Result<Option<Line>, TooLong> {
        loop {
            let rest = self.bytes.get(self.used..).unwrap_or_default();
            if let Some(length) = self.literal {
                let Some(literal) = rest.get(..length) else {
                    return if length > rest.len().saturating_add(may_come) { Err(TooLong) } else { Ok(None) };
                };
                self.line.0.push(Piece::Literal(literal.to_vec()));
                self.used += length;
                self.searched = self.used;
                self.literal = None;
                continue;
            }
            let from = self.searched.max(self.used);
            let end = self.bytes.get(from..).unwrap_or_default().iter().position(|byte| *byte == b'\n');
            let Some(end) = end.map(|end| from + end) else {
                self.searched = self.bytes.len();
                return Ok(None);
            };
            let text = self.bytes.get(self.used..end).unwrap_or_default();
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            let literal = if self.line.0.is_empty() && is_for_people(text) { None } else { announced(text) };
            self.line.0.push(Piece::Text(text.to_vec()));
            self.used = end + 1;
            self.searched = self.used;
            match literal {
                Some(length) => self.literal = Some(length),
                None => return Ok(Some(std::mem::take(&mut self.line))),
            }
        }
    }
}

/// Lines that end with a text for people have no literals.
fn is_for_people(line: &[u8]) -> bool {
    let mut words = line.split(|byte| *byte == b' ');
    let (tag, status) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is = |name: &str| status.eq_ignore_ascii_case(name.as_bytes());
    tag == b"+" || ["OK", "NO", "BAD", "BYE", "PREAUTH"].into_iter().any(is)
}

/// The length of the literal that follows a line.
fn announced(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"}")?;
    let open = line.iter().rposition(|byte| *byte == b'{')?;
    let digits = line.get(open + 1..)?;
    number(digits.strip_suffix(b"+").unwrap_or(digits))
}

fn number<N: std::str::FromStr>(digits: &[u8]) -> Option<N> {
    let plain = digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()
}

impl Line {
    /// What it says.
    pub(super) fn read(self) -> Response {
        let Some(Piece::Text(text)) = self.0.first() else { return Response::Other };
        let (tag, rest) = word(text);
        let (first, after) = word(rest);
        let is = |word: &[u8], name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        if tag == b"+" {
            return Response::Continue;
        }
        if tag != b"*" {
            let end = match first {
                _ if is(first, "OK") => End::Ok,
                _ if is(first, "NO") => End::No,
                _ if is(first, "BAD") => End::Bad,
                _ => return Response::Nonsense,
            };
            return Response::Done { tag: tag.to_vec(), end, try_create: is(word(after).0, "[TRYCREATE]") };
        }
        if is(first, "OK") || is(first, "PREAUTH") {
            let (code, value) = word(after);
            return match value.split(|byte| *byte == b']').next().and_then(number) {
                Some(validity) if is(code, "[UIDVALIDITY") => Response::Validity(validity),
                _ => Response::Greeting { logged_in: is(first, "PREAUTH") },
            };
        }
        if is(first, "BYE") {
            return Response::Bye;
        }
        if is(first, "CAPABILITY") {
            return Response::Capability(words(after).map(<[u8]>::to_ascii_uppercase).collect());
        }
        if is(first, "SEARCH") {
            return Response::Search(words(after).filter_map(number).filter(|uid| *uid > 0).collect());
        }
        match (number::<u32>(first), word(after).0) {
            (Some(_), what) if is(what, "EXISTS") => Response::Exists,
            (Some(_), what) if is(what, "FETCH") => Response::Fetch(self.fetched()),
            _ => Response::Other,
        }
    }

    /// Names and values, in the outermost parentheses.
    fn fetched(self) -> Fetched {
        let mut fetched = Fetched::default();
        let mut depth = 0_usize;
        let mut name: Option<Vec<u8>> = None;
        for token in self.tokens() {
            let value = match token {
                Token::Open => {
                    depth += 1;
                    continue;
                }
                Token::Close => {
                    depth = depth.saturating_sub(1);
                    // A list was a value, of no interest.
                    name = name.filter(|_| depth != 1);
                    continue;
                }
                _ if depth != 1 => continue,
                Token::Atom(value) => (value, false),
                Token::Text(value) => (value, true),
            };
            match (name.take(), value) {
                (None, (value, false)) => name = Some(value.to_ascii_uppercase()),
                (None, _) => {}
                (Some(name), (value, is_text)) => match name.as_slice() {
                    b"UID" => fetched.uid = number(&value).filter(|uid| *uid > 0),
                    b"RFC822.SIZE" => fetched.size = number(&value),
                    name if name.starts_with(b"BODY[]") => {
                        fetched.body = Some(if is_text { value } else { Vec::new() });
                    }
                    _ => {}
                },
            }
        }
        fetched
    }

    fn tokens(self) -> impl Iterator<Item = Token> {
        self.0.into_iter().flat_map(|piece| match piece {
            Piece::Literal(literal) => vec![Token::Text(literal)],
            Piece::Text(text) => tokens(&text),
        })
    }
}

enum Token {
    Open,
    Close,
    Atom(Vec<u8>),
    /// A quoted string or a literal.
    Text(Vec<u8>),
}

fn tokens(mut text: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    while let Some((&first, rest)) = text.split_first() {
        text = rest;
        match first {
            b' ' => {}
            b'(' => tokens.push(Token::Open),
            b')' => tokens.push(Token::Close),
            b'"' => {
                let mut value = Vec::new();
                while let Some((&byte, after)) = text.split_first() {
                    text = after;
                    match (byte, text.split_first()) {
                        (b'"', _) => break,
                        (b'\\', Some((&escaped, after))) => {
                            value.push(escaped);
                            text = after;
                        }
                        _ => value.push(byte),
                    }
                }
                tokens.push(Token::Text(value));
            }
            _ => {
                let length = rest.iter().take_while(|byte| !matches!(byte, b' ' | b'(' | b')' | b'"')).count();
                let (atom, after) = rest.split_at(length);
                text = after;
                // What announces a literal is no value.
                if first != b'{' && !(first == b'~' && atom.first() == Some(&b'{')) {
                    tokens.push(Token::Atom([&[first], atom].concat()));
                }
            }
        }
    }
    tokens
}

fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    (word, rest.get(1..).unwrap_or_default())
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b' ').filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All lines in what comes, in pieces of so many bytes.
    fn read(text: &[u8], piece: usize) -> Vec<Response> {
        let mut lines = Lines::default();
        let mut responses = Vec::new();
        for piece in text.chunks(piece) {
            lines.room().extend(piece);
            while let Some(line) = lines.next(1 << 20).unwrap() {
                responses.push(line.read());
            }
        }
        responses
    }

    #[test]
    fn what_servers_say_is_understood_in_whatever_pieces_it_comes() {
        let text = b"* OK [CAPABILITY IMAP4rev1] hello {5}\r\n* capability IMAP4rev1 Idle\r\n* OK [UIDVALIDITY 77] valid\r\n\
            * 12 exists\r\n* SEARCH 4 2 0 x 9\r\n* SEARCH\r\n+ idling\r\n* LIST () \"/\" {3}\r\na)b\r\n\
            t3 NO [TRYCREATE] no such mailbox\r\n* BYE\r\n* 1 FETCH (FLAGS (\\Seen ($x)) UID 9 RFC822.SIZE 5 BODY[]<0> {5}\r\n\
            a)\r\nb INTERNALDATE NIL)\r\nt4 ok\r\n* PREAUTH\r\n* 2 FETCH (BODY[]<0> \"q\\\"\" UID 3)\n* 3 FETCH (BODY[] NIL UID 4)\r\n";
        let fetched = |uid, size, body: &[u8]| Response::Fetch(Fetched { uid, size, body: Some(body.to_vec()) });
        let done = |tag: &[u8], end, try_create| Response::Done { tag: tag.to_vec(), end, try_create };
        for piece in [1, 2, 7, 1000] {
            let expected = [
                Response::Greeting { logged_in: false },
                Response::Capability(vec![b"IMAP4REV1".to_vec(), b"IDLE".to_vec()]),
                Response::Validity(77),
                Response::Exists,
                Response::Search(vec![4, 2, 9]),
                Response::Search(vec![]),
                Response::Continue,
                Response::Other,
                done(b"t3", End::No, true),
                Response::Bye,
                fetched(Some(9), Some(5), b"a)\r\nb"),
                done(b"t4", End::Ok, false),
                Response::Greeting { logged_in: true },
                fetched(Some(3), None, b"q\""),
                fetched(Some(4), None, b""),
            ];
            assert_eq!(read(text, piece), expected);
        }
    }

    #[test]
    fn a_literal_that_is_longer_than_what_may_come_is_refused_at_once() {
        let mut lines = Lines::default();
        lines.room().extend(b"* 1 FETCH (BODY[] {4000000000}\r\nabc");
        assert_eq!(lines.next(2 << 20), Err(TooLong));
        assert_eq!(read(b"* X {99999999999999999999999999}\r\n", 3), [Response::Other]);
    }

    #[test]
    fn a_million_parentheses_are_only_a_long_line() {
        let deep = format!("* 1 FETCH (BODYSTRUCTURE {}\r\n* 2 EXISTS\r\n", "(".repeat(1 << 20));
        assert_eq!(read(deep.as_bytes(), 4096), [Response::Fetch(Fetched::default()), Response::Exists]);
        assert_eq!(read(b"* 1 FETCH (INTERNALDATE NIL UID)\r\n", 5), [Response::Fetch(Fetched::default())]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), piece in 1_usize..40) {
            read(&bytes, piece);
        }

        #[test]
        fn any_words_are_read_without_panic(words in prop::collection::vec(0_usize..WORDS.len(), 0..60)) {
            let mut lines = Lines::default();
            lines.room().extend(words.iter().flat_map(|word| WORDS[*word].bytes()));
            while let Ok(Some(line)) = lines.next(10) {
                line.read();
            }
        }
    }

    const WORDS: [&str; 20] = [
        "* ",
        "1 ",
        "FETCH ",
        "(",
        ")",
        "UID ",
        "BODY[]<0> ",
        "{3}\r\n",
        "{0}\r\n",
        "abc",
        "\"",
        "\\",
        "\r\n",
        "\n",
        "OK ",
        "[UIDVALIDITY ",
        "]",
        "+",
        "SEARCH ",
        "NIL ",
    ];
}
