//! `knockd.conf` and one-time sequence files, as knockd 0.8 reads them.

mod keys;
mod lines;
mod one_time;
mod reader;
mod values;

use std::net::IpAddr;

use klopf_wire::{FlagMask, Port};

pub use self::one_time::{OneTimeLine, one_time_lines};
use self::reader::{Draft, Reader};
use self::values::Note;
use crate::{Level, scan};

/// A whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// `LogFile`; empty: none, whatever the command line says.
    pub log_file: Option<Vec<u8>>,
    /// `PidFile`; empty: none, whatever the command line says.
    pub pid_file: Option<Vec<u8>>,
    /// `Interface`.
    pub interface: Option<String>,
    /// `UseSyslog`.
    pub use_syslog: bool,
    /// The doors, in file order; equal names are two doors.
    pub doors: Vec<Door>,
}

/// What opens a door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sequence {
    /// Always these hits, 1 to 32.
    Fixed(Vec<Port>),
    /// The next unused line of the file with this path.
    OneTime(Vec<u8>),
}

/// A section other than `[options]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// As written, cut at 127 bytes; bytes that are not UTF-8 are replaced.
    pub name: String,
    /// What opens it.
    pub sequence: Sequence,
    /// Whole seconds from the first hit to the last.
    pub seq_timeout_s: u64,
    /// Seconds from the end of the start command to the stop command.
    pub cmd_timeout_s: u64,
    /// Which TCP packets count.
    pub flags: FlagMask,
    /// `None`: packets to the host itself.
    pub target: Option<Target>,
    /// Run by the shell at the opening. In all four, `Some` of nothing means given and empty.
    pub start: Option<Vec<u8>>,
    /// In place of `start` for IPv6 origins.
    pub start6: Option<Vec<u8>>,
    /// Run `cmd_timeout_s` later.
    pub stop: Option<Vec<u8>>,
    /// In place of `stop` for IPv6 origins.
    pub stop6: Option<Vec<u8>>,
}

/// Packets to whom count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// To this address.
    Address(IpAddr),
    /// To nobody: the text is not the shortest form of an address, and knockd compares text.
    Never,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// knockd's own message where it has one, e.g. `config: line 2: syntax error`; control characters are escaped.
    pub text: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line, control characters escaped.
    pub excerpt: String,
    /// What to do.
    pub help: String,
    /// Characters to underline, from `column` on.
    pub(crate) width: usize,
}

/// A file without faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What it says.
    pub config: Config,
    /// What works but is hardly meant, in file order.
    pub warnings: Vec<Fault>,
}

/// Reads and checks a file.
///
/// # Errors
/// All faults, in file order, at most a hundred.
pub fn parse(text: &[u8]) -> Result<Checked, Vec<Fault>> {
    let (config, faults, warnings) = examine(text);
    if faults.is_empty() { Ok(Checked { config, warnings }) } else { Err(faults) }
}

/// What `knockd -D` prints about a file as it reads it, up to the first fault.
///
/// knockd leaves out `config: interface: ...` when the command line names an interface, and prints the sequence in force
/// behind `config: DOOR: one time sequences file: ...`; both is for the caller to do.
#[must_use]
pub fn debug_lines(text: &[u8]) -> Vec<String> {
    Reader::read(text).debug
}

impl Fault {
    /// The fault or warning as it is shown to people.
    #[must_use]
    pub fn shown(&self, file_name: &str, level: Level) -> crate::Fault {
        crate::Fault {
            level,
            file: crate::fault::escaped(file_name),
            line: self.line,
            column: self.column,
            text: self.text.strip_prefix("error: ").unwrap_or(&self.text).to_owned(),
            help: self.help.clone(),
            excerpt: self.excerpt.clone(),
            width: self.width,
        }
    }
}

/// The configuration, which only counts without faults, the faults and the warnings.
pub(crate) fn examine(text: &[u8]) -> (Config, Vec<Fault>, Vec<Fault>) {
    let mut reader = Reader::read(text);
    let drafts = std::mem::take(&mut reader.doors);
    for draft in &drafts {
        check_door(draft, &mut reader);
    }
    check_shared(&drafts, &mut reader);
    let complete = |draft: Draft<'_>| Some(Door { sequence: draft.sequence?, ..draft.door });
    reader.config.doors = drafts.into_iter().filter_map(complete).collect();
    reader.faults.sort_by_key(|fault| fault.line);
    reader.warnings.sort_by_key(|fault| fault.line);
    (reader.config, reader.faults, reader.warnings)
}

fn check_door(draft: &Draft<'_>, reader: &mut Reader<'_>) {
    let door = &draft.door;
    if draft.sequence_at.is_none() {
        let text = format!("error: section '{}' has an empty knock sequence", door.name);
        let note = Note::new(draft.header.text, text, "add a line such as `sequence = 7000,9000,8000`");
        reader.fault(&draft.header, note);
    }
    if let (Some(Sequence::Fixed(ports)), Some((line, at))) = (&draft.sequence, draft.sequence_at) {
        if let Some(why) = scan::weakness(ports) {
            let text = format!("a port scan could hit the sequence of `{}`: {why}", door.name);
            reader.warn(&line, Note::new(at, text, scan::HELP));
        }
        if let Some((line, at)) = draft.timeout_at.filter(|_| door.seq_timeout_s == 0 && ports.len() > 1) {
            let text = format!("`{}` never opens: its hits would have to come in no time", door.name);
            reader.warn(&line, Note::new(at, text, "give it some seconds"));
        }
    }
    if let Some((line, at)) = draft.flags_at.filter(|_| values::contradicts_itself(door.flags)) {
        let text = format!("no TCP packet fits `{}`: a flag must be set and clear", door.name);
        reader.warn(&line, Note::new(at, text, "remove one of the two"));
    }
    let given = |command: &Option<Vec<u8>>| command.as_ref().is_some_and(|command| !command.is_empty());
    if let Some((line, at)) = draft.stop_at.filter(|_| given(&door.stop) && !given(&door.start)) {
        let text = format!("the stop command of `{}` never runs: there is no start command", door.name);
        reader.warn(&line, Note::new(at, text, "add `start_command`, or remove `stop_command`"));
    }
}

fn check_shared(drafts: &[Draft<'_>], reader: &mut Reader<'_>) {
    let fixed: Vec<_> = drafts
        .iter()
        .filter_map(|draft| match &draft.sequence {
            Some(Sequence::Fixed(ports)) if draft.door.target != Some(Target::Never) => {
                Some((draft.sequence_at?, (draft.door.target, draft.door.name.as_str(), ports.as_slice())))
            }
            Some(Sequence::Fixed(_) | Sequence::OneTime(_)) | None => None,
        })
        .collect();
    let doors: Vec<_> = fixed.iter().map(|(_, door)| *door).collect();
    for (index, text) in scan::shared(&doors) {
        if let Some(((line, at), _)) = fixed.get(index) {
            reader.warn(line, Note::new(*at, text, "fine if that is meant; else change one of the sequences"));
        }
    }
}

#[cfg(test)]
mod tests;
