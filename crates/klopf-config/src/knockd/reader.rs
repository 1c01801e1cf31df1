//! Sections and keys of `knockd.conf`.

use klopf_wire::FlagMask;

use super::keys::{self, DOOR_KEYS, OPTION_KEYS, Section, is_key};
use super::lines::{Line, Part, decoded, lines};
use super::values::{self, Note};
use super::{Config, Door, Fault, Sequence, Target};
use crate::fault::{MAX_FAULTS, boundary, escaped, visible};
use crate::suggest::nearest;

const NAME_BYTES: usize = 127;

/// A door while it is read.
pub(super) struct Draft<'a> {
    pub(super) header: Line<'a>,
    pub(super) sequence: Option<Sequence>,
    /// The last sequence key, right or wrong, or a key that was hardly meant to be another.
    pub(super) sequence_at: Option<(Line<'a>, Part<'a>)>,
    pub(super) flags_at: Option<(Line<'a>, Part<'a>)>,
    pub(super) timeout_at: Option<(Line<'a>, Part<'a>)>,
    pub(super) stop_at: Option<(Line<'a>, Part<'a>)>,
    pub(super) door: Door,
}

/// Everything found in a file.
pub(super) struct Reader<'a> {
    section: Section,
    pub(super) config: Config,
    pub(super) doors: Vec<Draft<'a>>,
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<Fault>,
    /// Up to the first fault, where knockd stops.
    pub(super) debug: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn read(text: &'a [u8]) -> Self {
        let mut reader = Self {
            section: Section::None,
            config: Config::default(),
            doors: Vec::new(),
            faults: Vec::new(),
            warnings: Vec::new(),
            debug: Vec::new(),
        };
        for line in lines(text) {
            reader.line(line);
        }
        reader
    }

    pub(super) fn fault(&mut self, line: &Line<'_>, note: Note<'_>) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(located(line, note));
        }
    }

    pub(super) fn warn(&mut self, line: &Line<'_>, note: Note<'_>) {
        if self.warnings.len() < MAX_FAULTS {
            self.warnings.push(located(line, note));
        }
    }

    fn debug(&mut self, text: impl FnOnce() -> String) {
        if self.faults.is_empty() {
            self.debug.push(text());
        }
    }

    fn line(&mut self, line: Line<'a>) {
        let text = line.text;
        if line.cut {
            let help = "keep lines shorter, e.g. by calling a script";
            self.warn(&line, Note::new(text, "the line is cut after 4095 bytes, and the rest read as the next", help));
        }
        match text.bytes {
            [] | [b'#', ..] => {}
            [b'[', name @ .., b']'] => self.header(line, name),
            [b'[', ..] => {
                let help = "a section begins with `[name]` and nothing else on its line";
                self.unreadable(&line, text, help.into());
                self.section = Section::Broken;
            }
            _ => self.directive(line),
        }
    }

    fn header(&mut self, line: Line<'a>, name: &[u8]) {
        self.debug(|| format!("config: new section: '{}'", decoded(name)));
        if name.is_empty() {
            let text = format!("config: line {}: bad section name", line.number);
            self.fault(&line, Note::new(line.text, text, "write the door's name between the brackets"));
            self.section = Section::Broken;
            return;
        }
        let name = cut_name(name);
        if name == "options" {
            self.section = Section::Options;
            return;
        }
        self.section = Section::Door;
        self.doors.push(Draft::new(line, name));
    }

    fn directive(&mut self, line: Line<'a>) {
        let (key, value) = line.text.key_and_value().map_or((line.text, None), |(key, value)| (key, Some(value)));
        let lower = decoded(key.bytes).to_ascii_lowercase();
        let known = match (self.section, value) {
            (Section::None, _) => false,
            (Section::Options | Section::Door, None) if lower == "usesyslog" => {
                self.config.use_syslog = true;
                self.debug(|| "config: usesyslog".to_owned());
                true
            }
            (_, None) => false,
            (Section::Options, Some(value)) => self.option(&lower, value),
            (Section::Door, Some(value)) => {
                // Taken out, so that the door and the reader can both be changed.
                let Some(mut draft) = self.doors.pop() else { return };
                let known = self.door_key(&mut draft, &lower, &line, value);
                self.doors.push(draft);
                known
            }
            (Section::Broken, Some(_)) => is_key(&lower, &OPTION_KEYS) || is_key(&lower, &DOOR_KEYS),
        };
        let said = self.section == Section::Broken && lower == "usesyslog";
        if !known && !said {
            let meant = nearest(&lower, &DOOR_KEYS);
            if let (Section::Door, Some("Sequence" | "One_Time_Sequences")) = (self.section, meant) {
                self.doors.last_mut().into_iter().for_each(|draft| draft.sequence_at = Some((line, key)));
            }
            let help = if line.offset == 0 && line.raw.starts_with(b"\xef\xbb\xbf") {
                "save the file without a byte order mark".into()
            } else {
                keys::help(self.section, &lower, value.is_some())
            };
            self.unreadable(&line, key, help);
        }
    }

    /// A line that says nothing here. Before the first section only the first such line is a fault.
    fn unreadable(&mut self, line: &Line<'a>, at: Part<'a>, help: String) {
        let text = if self.section == Section::None {
            self.section = Section::Broken;
            format!("config: line {}: all directives must belong to a section", line.number)
        } else {
            format!("config: line {}: syntax error", line.number)
        };
        self.fault(line, Note::new(at, text, help));
    }

    fn option(&mut self, key: &str, value: Part<'_>) -> bool {
        let shown = decoded(value.bytes);
        match key {
            "logfile" => {
                self.config.log_file = Some(value.bytes.to_vec());
                self.debug(|| format!("config: log file: {shown}"));
            }
            "pidfile" => {
                self.config.pid_file = Some(value.bytes.to_vec());
                self.debug(|| format!("config: pid file: {shown}"));
            }
            // Unlike with other keys the first one counts, and an empty one is none.
            "interface" if self.config.interface.is_none() => {
                self.debug(|| format!("config: interface: {shown}"));
                self.config.interface = Some(shown).filter(|name| !name.is_empty());
            }
            "interface" => {}
            _ => return false,
        }
        true
    }

    fn door_key(&mut self, draft: &mut Draft<'a>, key: &str, line: &Line<'a>, value: Part<'a>) -> bool {
        let command = || Some(value.bytes.to_vec());
        let named = match key {
            "sequence" => {
                self.sequence(draft, line, value);
                return true;
            }
            "one_time_sequences" => {
                self.one_time(draft, line, value);
                return true;
            }
            "tcpflags" => {
                self.flags(draft, line, value);
                return true;
            }
            "seq_timeout" | "timeout" => {
                draft.timeout_at = Some((*line, value));
                draft.door.seq_timeout_s = self.seconds(draft, "seq_timeout", line, value);
                return true;
            }
            "cmd_timeout" => {
                draft.door.cmd_timeout_s = self.seconds(draft, "cmd_timeout", line, value);
                return true;
            }
            "target" => {
                let target = values::target(value.bytes);
                draft.door.target = Some(target);
                if target == Target::Never {
                    let help = "write an address in its shortest form, in lower case";
                    self.warn(line, Note::new(value, "no packet goes to this target, so the door never opens", help));
                }
                "target"
            }
            "start_command" | "command" => {
                draft.door.start = command();
                "start_command"
            }
            "start_command_6" | "command_6" => {
                draft.door.start6 = command();
                "start_command_6"
            }
            "stop_command" => {
                draft.stop_at = Some((*line, value));
                draft.door.stop = command();
                "stop_command"
            }
            "stop_command_6" => {
                draft.door.stop6 = command();
                "stop_command_6"
            }
            _ => return false,
        };
        self.debug(|| format!("config: {}: {named}: {}", draft.door.name, decoded(value.bytes)));
        true
    }

    fn sequence(&mut self, draft: &mut Draft<'a>, line: &Line<'a>, value: Part<'a>) {
        let hits = values::sequence(&draft.door.name, value);
        self.only_one_kind(draft, line, value, |sequence| matches!(sequence, Sequence::OneTime(_)));
        draft.sequence_at = Some((*line, value));
        hits.warnings.into_iter().for_each(|note| self.warn(line, note));
        if hits.faults.is_empty() {
            let listed: Vec<_> = hits.ports.iter().map(|port| format!("{}:{}", port.number, port.proto)).collect();
            self.debug(|| format!("config: {}: sequence: {}", draft.door.name, listed.join(",")));
            draft.sequence = Some(Sequence::Fixed(hits.ports));
        }
        hits.faults.into_iter().for_each(|note| self.fault(line, note));
    }

    fn one_time(&mut self, draft: &mut Draft<'a>, line: &Line<'a>, value: Part<'a>) {
        self.only_one_kind(draft, line, value, |sequence| matches!(sequence, Sequence::Fixed(_)));
        draft.sequence_at = Some((*line, value));
        if value.bytes.is_empty() {
            let text = format!("config: section {}: one_time_sequences names no file", draft.door.name);
            self.fault(line, Note::new(line.text, text, "write the path of the file with the sequences"));
            return;
        }
        self.debug(|| format!("config: {}: one time sequences file: {}", draft.door.name, decoded(value.bytes)));
        draft.sequence = Some(Sequence::OneTime(value.bytes.to_vec()));
    }

    fn only_one_kind(&mut self, draft: &Draft<'_>, line: &Line<'_>, at: Part<'_>, other: fn(&Sequence) -> bool) {
        if draft.sequence.as_ref().is_some_and(other) {
            let text =
                format!("`{}` has both sequence and one_time_sequences; only this, the later, counts", draft.door.name);
            self.warn(line, Note::new(at, text, "remove one of them"));
        }
    }

    fn flags(&mut self, draft: &mut Draft<'a>, line: &Line<'a>, value: Part<'a>) {
        draft.flags_at = Some((*line, value));
        for part in value.split(b',') {
            let shown = decoded(part.bytes).to_ascii_uppercase();
            if let Some((bit, set)) = values::flag(part.bytes) {
                let FlagMask { set: must, clear: must_not } = &mut draft.door.flags;
                *(if set { must } else { must_not }) |= bit;
                self.debug(|| format!("config: tcp flag: {shown}"));
            } else {
                let text = format!("config: line {}: unrecognized flag \"{shown}\"", line.number);
                let help = if values::flag(part.trimmed().bytes).is_some() {
                    "write the flags without spaces, e.g. `syn,!ack`"
                } else {
                    "the flags are fin, syn, rst, psh, ack and urg; `!` before one means it must be clear"
                };
                self.fault(line, Note::new(part, text, help));
            }
        }
    }

    fn seconds(&mut self, draft: &Draft<'_>, key: &str, line: &Line<'_>, value: Part<'_>) -> u64 {
        let (seconds, plain) = values::seconds(value.bytes);
        let used = u64::try_from(seconds).unwrap_or(0);
        if !plain {
            let text = format!("`{}` is taken for {used} seconds", decoded(value.bytes));
            self.warn(line, Note::new(value, text, "write a whole number of seconds and nothing else"));
        }
        self.debug(|| format!("config: {}: {key}: {seconds}", draft.door.name));
        used
    }
}

impl<'a> Draft<'a> {
    fn new(header: Line<'a>, name: String) -> Self {
        let door = Door {
            name,
            sequence: Sequence::Fixed(Vec::new()),
            seq_timeout_s: 25,
            cmd_timeout_s: 10,
            flags: FlagMask::ANY,
            target: None,
            start: None,
            start6: None,
            stop: None,
            stop6: None,
        };
        Self { header, sequence: None, sequence_at: None, flags_at: None, timeout_at: None, stop_at: None, door }
    }
}

/// The name as text of at most 127 bytes of the file.
fn cut_name(name: &[u8]) -> String {
    match std::str::from_utf8(name) {
        Ok(text) => text.get(..boundary(text, NAME_BYTES)).unwrap_or_default().to_owned(),
        Err(_) => decoded(name.get(..NAME_BYTES).unwrap_or(name)),
    }
}

fn located(line: &Line<'_>, note: Note<'_>) -> Fault {
    let before = line.raw.get(..note.at.at).unwrap_or_default();
    let excerpt = decoded(line.raw);
    let single = excerpt.chars().count() == line.raw.len();
    let characters = |bytes: &[u8]| {
        std::str::from_utf8(bytes).ok().filter(|_| !single).map_or(bytes.len(), |text| text.chars().count())
    };
    Fault {
        text: escaped(&note.text),
        line: line.row,
        column: characters(before) + 1,
        excerpt: visible(&excerpt),
        help: escaped(&note.help),
        width: characters(note.at.bytes).max(1),
    }
}
