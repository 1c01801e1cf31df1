//! The knock lab: what a knock is, piece by piece.
//!
//! [`lore`] is what is known of keys and doors. With it [`ports`] explains hits, [`body`] texts and [`packet`] sealed packets;
//! [`log`] and [`capture`] read files of many, which [`replay`] follows as the daemon would.

mod body;
mod bytes;
mod capture;
mod help;
mod log;
mod lore;
mod moment;
mod packet;
mod ports;
mod replay;
mod sequence;
mod terms;

use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueHint};
use klopf_spa::Name;

use self::lore::Lore;
pub(crate) use self::sequence::{Key, sequence};
use crate::failure::{Failure, code};
use crate::open::unix_ms;
use crate::person::{What, known_door};
use crate::profile::{CoreFiles, Folders, Store};
use crate::sequence::Template;
use crate::{check, complain, say};

/// More is not read from standard input, in bytes.
const LONGEST: u64 = 1 << 20;

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Explain a knock, a log or a packet capture, piece by piece
    #[command(after_help = help::EXPLAIN)]
    Explain(Options),
}

#[derive(Args)]
pub(crate) struct Options {
    /// The profile and the door, if there are several; and the ports that were hit, a text with a token, a share or a code,
    /// or a sealed packet in hexadecimal. Read from standard input if it is not given
    #[arg(value_name = "[PROFILE[/DOOR]] WHAT")]
    words: Vec<String>,
    #[command(flatten)]
    template: Template,
    /// Explain with the keys of this host's server, for root; then no profile is named, but perhaps a /DOOR
    #[arg(long)]
    server: bool,
    /// The server's configuration
    #[arg(short, long, value_name = "FILE", default_value = check::NATIVE, value_hint = ValueHint::FilePath)]
    config: PathBuf,
    /// Explain each line of a log, or of standard input: -
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "pcap")]
    log: Option<PathBuf>,
    #[command(flatten)]
    lines: log::Lines,
    /// Explain each packet of a capture, pcap or pcapng
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pcap: Option<PathBuf>,
}

/// Runs it.
pub(crate) fn run(task: Task) -> ExitCode {
    let _core_files = CoreFiles::none();
    let Task::Explain(options) = task;
    explained(&options).unwrap_or_else(|failure| failure.tell())
}

fn explained(options: &Options) -> Result<ExitCode, Failure> {
    let (what, words) = named(options)?;
    let (lore, door) = lore(options, what)?;
    let now = unix_ms() / 1000;
    if options.log.is_some() || options.pcap.is_some() {
        if !words.is_empty() {
            return Err(Failure::new(code::USAGE, "a file is explained, or what stands in the line, not both"));
        }
        return match (&options.log, &options.pcap) {
            (Some(path), _) => log::explain(&lore, path, &options.lines, now),
            (_, Some(path)) => capture::explain(&lore, path, now),
            (None, None) => Ok(ExitCode::SUCCESS),
        };
    }
    let text = if words.is_empty() { typed()? } else { words.join(" ") };
    let (told, sound) = piece(&lore, door.as_ref(), &text, now)?;
    say(told.trim());
    Ok(if sound { ExitCode::SUCCESS } else { code::DATA.into() })
}

/// What a text is, and whether it is by a key that is known.
fn piece(lore: &Lore, door: Option<&Name>, text: &str, now: u64) -> Result<(String, bool), Failure> {
    if let Some(ports) = port_numbers(text) {
        return Ok(ports::told(lore, door, &ports, now));
    }
    if let Some(told) = bytes::hex(text).and_then(|bytes| packet::told(lore, &bytes, now)) {
        return Ok(told);
    }
    body::told(lore, text, now).ok_or_else(|| {
        let why = if bytes::hex(text).is_some() {
            "these bytes are no sealed packet for this server"
        } else {
            "this is nothing of Klopf's: not ports as 40012 40133, no token, share or code that is whole, no packet in hexadecimal"
        };
        Failure::new(code::DATA, why)
    })
}

/// Ports with blanks or commas between them; none if there is something else.
fn port_numbers(text: &str) -> Option<Vec<u16>> {
    let words = text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty());
    let bare = |word: &str| {
        let number = word.split(['/', ':']).next()?;
        number.parse::<u16>().ok().filter(|number| *number > 0)
    };
    let ports: Vec<u16> = words.map(bare).collect::<Option<_>>()?;
    // One alone is no knock.
    (ports.len() > 1).then_some(ports)
}

/// The profile and door that the first word names, if it does, and the others.
fn named(options: &Options) -> Result<(What, &[String]), Failure> {
    let Some((first, rest)) = options.words.split_first() else { return Ok((What::default(), &[])) };
    let Ok(what) = What::parse(first) else { return Ok((What::default(), &options.words)) };
    let is_one = match (&what.profile, &what.door) {
        (_, Some(_)) => true,
        (Some(name), None) => !options.server && Store::new(&Folders::find()?).names().contains(name),
        (None, None) => false,
    };
    Ok(if is_one { (what, rest) } else { (What::default(), &options.words) })
}

/// What is known, and the door that was named.
fn lore(options: &Options, what: What) -> Result<(Lore, Option<Name>), Failure> {
    if options.server {
        let Template { ports, proto, fields } = &options.template;
        if ports.is_some() || proto.is_some() || fields.is_some() {
            let why = "with --server the configuration says what a door takes; leave out --ports, --proto and --fields";
            return Err(Failure::new(code::USAGE, why));
        }
        let lore = Lore::of_server(&options.config)?;
        if let Some(door) = what.door.as_ref().filter(|door| !lore.doors.iter().any(|known| known.name == **door)) {
            return Err(Failure::new(code::NO_INPUT, format_args!("there is no door {door}")));
        }
        return Ok((lore, what.door));
    }
    let folders = Folders::find()?;
    let kept = Store::new(&folders).choose(what.profile.as_ref())?;
    let usual = known_door(&kept, what.door.as_ref())?;
    let lore = Lore::of_profile(&folders, &kept, &usual, &options.template)?;
    let told = what.door.or_else(|| options.template.ports.map(|_| usual));
    Ok((lore, told))
}

fn typed() -> Result<String, Failure> {
    let mut text = Vec::new();
    let read = io::stdin().lock().take(LONGEST).read_to_end(&mut text);
    read.map_err(|error| Failure::new(code::NO_INPUT, format_args!("standard input cannot be read: {error}")))?;
    if text.len() as u64 == LONGEST {
        complain("Standard input is longer than 1 MiB; the rest is left out.");
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_told_from_texts() {
        assert_eq!(port_numbers("40012, 40133/udp\n7:tcp"), Some(vec![40_012, 40_133, 7]));
        for text in ["", "40012", "40012 0", "40012 65536", "abandon ability", "40012 x"] {
            assert_eq!(port_numbers(text), None, "{text}");
        }
    }
}
