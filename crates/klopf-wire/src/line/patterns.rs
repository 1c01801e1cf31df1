//! Which lines of a log are hits, by a preset and by patterns of one's own.

use std::net::IpAddr;

use regex::bytes::{Captures, Regex, RegexBuilder};

use super::kernel::{self, Kernel};
use super::{Hit, LONGEST, Miss, Preset};
use crate::{Port, Proto, TcpFlags};

/// More patterns are not taken.
pub const MOST_PATTERNS: usize = 16;
/// A longer pattern is not taken, in bytes.
const LONGEST_PATTERN: usize = 1024;
/// As long as the kernel lets a prefix be, in bytes.
const LONGEST_PREFIX: usize = 127;
/// What a pattern may grow to, in bytes. With the length of a line it limits the time for one.
const LARGEST: usize = 1 << 17;
/// What a pattern may keep while it runs, in bytes; twice, for it runs in two directions.
const CACHE: usize = 1 << 18;
const GROUPS: [&str; 4] = ["src", "dst", "proto", "dport"];

/// Reads hits out of lines. The first that reads a line counts.
#[derive(Clone, Debug)]
pub struct Patterns {
    preset: Option<(Preset, Kernel)>,
    own: Vec<Regex>,
}

/// Why something is no pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Which of one's own patterns, from 0; `None`: the prefix, or all of them.
    pub pattern: Option<usize>,
    /// What is wrong, in one line.
    pub text: String,
    /// What to do.
    pub help: String,
}

impl Wrong {
    fn new(pattern: Option<usize>, text: impl Into<String>, help: impl Into<String>) -> Self {
        Self { pattern, text: text.into(), help: help.into() }
    }
}

impl Patterns {
    /// With a `prefix`, which needs a preset, that text must directly precede the kernel's words. Patterns of one's own are regular
    /// expressions of bytes in the syntax of the crate `regex`, where `\d` is a digit of ASCII and `.` any byte; they have
    /// groups `src` and `dport`, and may have `dst` and `proto` (`tcp`, `udp` or their numbers; TCP if it is not there).
    ///
    /// # Errors
    /// All that is wrong.
    pub fn new(preset: Option<Preset>, prefix: Option<&str>, own: &[String]) -> Result<Self, Vec<Wrong>> {
        let mut wrong = Vec::from_iter(prefix.and_then(|prefix| wrong_prefix(preset, prefix)));
        if own.len() > MOST_PATTERNS {
            let text = format!("there are more than {MOST_PATTERNS} patterns");
            wrong.push(Wrong::new(None, text, "let one match more, by `(a|b)`, or leave some out"));
        }
        let mut patterns = Vec::new();
        for (index, pattern) in own.iter().take(MOST_PATTERNS).enumerate() {
            match compiled(pattern) {
                Ok(pattern) => patterns.push(pattern),
                Err((text, help)) => wrong.push(Wrong::new(Some(index), text, help)),
            }
        }
        let preset = preset.map(|preset| (preset, Kernel::new(preset, prefix)));
        if wrong.is_empty() { Ok(Self { preset, own: patterns }) } else { Err(wrong) }
    }

    /// The hit that a line tells of, and which pattern says so: an index below [`Patterns::len`]. The line may have its end
    /// or not, and must not be cut.
    #[must_use]
    pub fn read(&self, line: &[u8]) -> Option<(usize, Hit)> {
        let line = bare(line).ok()?;
        let preset = self.preset.as_ref().and_then(|(_, kernel)| kernel.read(line).ok());
        let own =
            || self.own.iter().zip(self.first_own()..).find_map(|(own, index)| Some((index, hit(own, line).ok()?)));
        preset.map(|hit| (0, hit)).or_else(own)
    }

    /// Why a line is no hit, as the pattern says that gets farthest; `None` if it is one.
    #[must_use]
    pub fn miss(&self, line: &[u8]) -> Option<Miss> {
        let line = match bare(line) {
            Ok(line) => line,
            Err(miss) => return Some(miss),
        };
        let preset = self.preset.iter().map(|(_, kernel)| kernel.read(line));
        let mut misses = Vec::new();
        for read in preset.chain(self.own.iter().map(|own| hit(own, line))) {
            misses.push(read.err()?);
        }
        Some(misses.into_iter().find(|miss| *miss != Miss::Other).unwrap_or(Miss::Other))
    }

    /// How many patterns there are; a preset is one, and the first.
    #[must_use]
    pub fn len(&self) -> usize {
        self.first_own() + self.own.len()
    }

    /// Whether there are none, so that nothing is a hit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A pattern as it is written; a preset by its name.
    #[must_use]
    pub fn shown(&self, index: usize) -> Option<&str> {
        match (&self.preset, index.checked_sub(self.first_own())) {
            (Some((preset, _)), None) => Some(preset.name()),
            (_, own) => self.own.get(own?).map(Regex::as_str),
        }
    }

    fn first_own(&self) -> usize {
        usize::from(self.preset.is_some())
    }
}

/// The line without its end.
fn bare(line: &[u8]) -> Result<&[u8], Miss> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    (line.len() <= LONGEST).then_some(line).ok_or(Miss::Long)
}

fn hit(own: &Regex, line: &[u8]) -> Result<Hit, Miss> {
    // Groups cost more than to see that there is nothing.
    if !own.is_match(line) {
        return Err(Miss::Other);
    }
    let found = own.captures(line).ok_or(Miss::Other)?;
    let group = |name: &str| found.name(name).map(|group| group.as_bytes());
    let src = group("src").and_then(address).ok_or(Miss::Address)?;
    let dst = group("dst").map(|text| address(text).ok_or(Miss::Address)).transpose()?;
    let proto = proto(&found).ok_or(Miss::Protocol)?;
    let number = group("dport").and_then(kernel::number).ok_or(Miss::Port)?;
    let flags = match proto {
        Proto::Tcp => TcpFlags::SYN,
        Proto::Udp => TcpFlags::default(),
    };
    Ok(Hit { src, dst, port: Port { proto, number }, flags })
}

/// Servers that listen for both families write `::ffff:192.0.2.7`.
fn address(text: &[u8]) -> Option<IpAddr> {
    kernel::address(text).map(|address| address.to_canonical())
}

fn proto(found: &Captures<'_>) -> Option<Proto> {
    let Some(text) = found.name("proto") else { return Some(Proto::Tcp) };
    let is = |word: &str| text.as_bytes().eq_ignore_ascii_case(word.as_bytes());
    match () {
        () if is("tcp") || is("6") => Some(Proto::Tcp),
        () if is("udp") || is("17") => Some(Proto::Udp),
        () => None,
    }
}

fn wrong_prefix(preset: Option<Preset>, prefix: &str) -> Option<Wrong> {
    let wrong = |text: &str, help: &str| Some(Wrong::new(None, text, help));
    match prefix {
        _ if preset.is_none() => wrong("`prefix` is for a `preset`", "add `preset`, or write it into the patterns"),
        "" => wrong("`prefix` is empty", "write what the firewall's rule puts before the line, or remove it"),
        _ if prefix.len() > LONGEST_PREFIX || prefix.contains(char::is_control) => {
            let help =
                format!("write it as in the firewall's rule: at most {LONGEST_PREFIX} bytes, no control characters");
            wrong("no line can have this `prefix`", &help)
        }
        _ if prefix.contains(" SRC=") => {
            wrong("no line can have this `prefix`", "write what precedes `IN=`, without `IN=` itself")
        }
        _ => None,
    }
}

/// The pattern, or what is wrong and what to do.
fn compiled(pattern: &str) -> Result<Regex, (String, String)> {
    let wrong = |text: String, help: &str| (text, help.to_owned());
    if pattern.len() > LONGEST_PATTERN {
        let text = format!("a pattern has more than {LONGEST_PATTERN} bytes");
        return Err(wrong(text, "write a shorter one: it need not match the whole line"));
    }
    let built = RegexBuilder::new(pattern).unicode(false).size_limit(LARGEST).dfa_size_limit(CACHE).build();
    let regex = built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            let help = "count less in it: `[0-9]+` takes less than `[0-9]{1,500}`";
            wrong("a pattern takes too much memory".to_owned(), help)
        }
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            let last = last.strip_prefix("error: ").unwrap_or(last);
            let help = match last {
                _ if last.contains("look-around") || last.contains("backreference") => {
                    "write it without: such patterns could take for ever"
                }
                _ if last.contains("Unicode") => "write it in ASCII: lines are bytes",
                _ => "write a regular expression in single quotes, such as '^(?<src>[0-9a-f.:]+) .* dport=(?<dport>[0-9]+)'",
            };
            wrong(format!("a pattern is no regular expression: {last}"), help)
        }
    })?;
    let names: Vec<_> = regex.capture_names().flatten().collect();
    if let Some(name) = names.iter().find(|name| !GROUPS.contains(name)) {
        let text = format!("a pattern has a group `{name}`, which means nothing");
        return Err(wrong(
            text,
            "the groups are `src`, `dst`, `proto` and `dport`; write others without a name: `(...)`",
        ));
    }
    let missing = |name: &str, what: &str| {
        let text = format!("a pattern has no group `{name}`");
        Err((text, format!("put what matches {what} into `(?<{name}>...)`")))
    };
    match () {
        () if !names.contains(&"src") => missing("src", "the source address"),
        () if !names.contains(&"dport") => missing("dport", "the destination port"),
        () => Ok(regex),
    }
}
