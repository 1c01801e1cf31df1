//! The lines of a log.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use klopf_wire::line::{LONGEST, Patterns, Preset, looks_like_a_firewalls};

use super::body;
use super::bytes::harmless;
use super::lore::Lore;
use super::moment::{self, Moment};
use super::replay::Replay;
use crate::failure::{Failure, code};
use crate::say;

/// Milliseconds between two lines that do not say when they were written.
const APART: u64 = 10;
/// So much of a line is shown, in characters.
const SHOWN: usize = 160;
/// More lines that are no hits are not shown.
const MISSES: u32 = 10;

/// How lines are read.
#[derive(Args)]
pub(super) struct Lines {
    /// The format of the lines; without it, and without patterns, as the server's configuration reads this file, else any of the kernel's
    #[arg(long, value_enum, requires = "log")]
    preset: Option<Format>,
    /// What the firewall's rule puts before each line
    #[arg(long, value_name = "TEXT", requires = "preset")]
    prefix: Option<String>,
    /// A regular expression with groups src, dport, and perhaps dst and proto; may be given more than once
    #[arg(long = "pattern", value_name = "REGEX", requires = "log")]
    patterns: Vec<String>,
}

impl Lines {
    /// Whether the command line says how.
    fn are_said(&self) -> bool {
        self.preset.is_some() || !self.patterns.is_empty()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Iptables,
    Nft,
    Ufw,
}

/// Explains each line.
pub(super) fn explain(lore: &Lore, path: &Path, lines: &Lines, now: u64) -> Result<ExitCode, Failure> {
    let patterns = match (!lines.are_said()).then(|| lore.reader_of(path)).flatten() {
        Some(reader) => reader,
        None => patterns(lines)?,
    };
    let unread =
        |error: io::Error| Failure::new(code::NO_INPUT, format_args!("cannot read {}: {error}", path.display()));
    let mut input: Box<dyn BufRead> = match path == Path::new("-") {
        true => Box::new(io::stdin().lock()),
        false => Box::new(BufReader::new(File::open(path).map_err(unread)?)),
    };
    let mut replay = Replay::new(lore, true);
    let (mut number, mut at, mut missed, mut texts) = (0_u64, 0_u64, 0_u32, 0_u32);
    let mut line = Vec::new();
    while next(&mut input, &mut line).map_err(unread)? {
        number += 1;
        let moment = moment::read(&line, now);
        at = moment.map_or(at + APART, Moment::ms);
        let Some((_, hit)) = patterns.read(&line) else {
            if looks_like_a_firewalls(&line) {
                missed += 1;
                if missed <= MISSES {
                    let why = patterns.miss(&line).map_or("", |miss| miss.text());
                    say(format_args!("{number:>6}  no hit: {why}\n        {}", harmless(&line, SHOWN)));
                }
            } else if let Some((told, true)) = body::told(lore, &String::from_utf8_lossy(&line), now) {
                texts += 1;
                say(format_args!("{number:>6}  {}", told.trim().replace('\n', "\n        ")));
            }
            continue;
        };
        let knock = hit.knock();
        let times = moment.map_or_else(|| vec![now], Moment::candidates);
        let told = replay.hit(at, &times, &knock);
        say(format_args!("{number:>6}  {} hits {}", knock.origin, knock.port));
        told.iter().for_each(|told| say(format_args!("        {told}")));
    }
    say(format_args!(
        "{number} lines, {} hits from {} addresses: {} sequences and {} encoded ones are complete; {texts} lines hold a token or the \
         like.",
        replay.hits,
        replay.origins(),
        replay.sequences,
        replay.spelled
    ));
    if missed > 0 {
        say(format_args!("{missed} lines look like a firewall's and are no hits."));
    }
    Ok(ExitCode::SUCCESS)
}

fn patterns(lines: &Lines) -> Result<Patterns, Failure> {
    let preset = match lines.preset {
        Some(Format::Iptables) => Some(Preset::Iptables),
        Some(Format::Nft) => Some(Preset::Nft),
        Some(Format::Ufw) => Some(Preset::Ufw),
        None => lines.patterns.is_empty().then_some(Preset::Iptables),
    };
    Patterns::new(preset, lines.prefix.as_deref(), &lines.patterns).map_err(|wrong| {
        let told: Vec<String> = wrong.iter().map(|wrong| format!("{}: {}", wrong.text, wrong.help)).collect();
        Failure::new(code::CONFIG, told.join("\n"))
    })
}

/// The next line, cut where none can be a hit any more; false at the end.
fn next(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let most = u64::try_from(LONGEST).unwrap_or(u64::MAX) + 3;
    let length = input.by_ref().take(most).read_until(b'\n', line)?;
    if length > 0 && line.last() != Some(&b'\n') {
        input.skip_until(b'\n')?;
    }
    Ok(length > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_one_by_one_however_long_they_are() {
        let text = [b"one\n".to_vec(), vec![b'x'; 100_000], b"\nthree".to_vec()].concat();
        let (mut input, mut line, mut lengths) = (&*text, Vec::new(), Vec::new());
        while next(&mut input, &mut line).unwrap() {
            lengths.push(line.len());
        }
        assert_eq!(lengths, [4, LONGEST + 3, 5]);
    }
}
