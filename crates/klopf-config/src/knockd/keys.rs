//! The keys of `knockd.conf`, and what to say of a line that has none of them.

use crate::suggest::{listed, nearest};

pub(super) const OPTION_KEYS: [&str; 4] = ["LogFile", "PidFile", "Interface", "UseSyslog"];
pub(super) const DOOR_KEYS: [&str; 13] = [
    "Sequence",
    "One_Time_Sequences",
    "Seq_Timeout",
    "Timeout",
    "TCPFlags",
    "Target",
    "Start_Command",
    "Command",
    "Start_Command_6",
    "Command_6",
    "Cmd_Timeout",
    "Stop_Command",
    "Stop_Command_6",
];

/// Where the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// Before the first header.
    None,
    /// Behind a header that cannot be read, or lines without one: said once, that is enough.
    Broken,
    Options,
    Door,
}

pub(super) fn is_key(word: &str, keys: &[&str]) -> bool {
    keys.iter().any(|key| key.eq_ignore_ascii_case(word))
}

/// What to do about a line with this key, in lower case, that cannot be read in this section.
pub(super) fn help(section: Section, key: &str, has_value: bool) -> String {
    let (here, there) = match section {
        Section::None => return "write a section header such as `[options]` or `[door]` above it".into(),
        Section::Options => (&OPTION_KEYS[..], &DOOR_KEYS[..]),
        Section::Door | Section::Broken => (&DOOR_KEYS[..], &OPTION_KEYS[..]),
    };
    if key.starts_with(';') {
        "a comment begins with `#`".into()
    } else if key == "usesyslog" {
        "write `UseSyslog` without a value".into()
    } else if is_key(key, if has_value { &[] } else { here }) {
        "write it as `key = value`".into()
    } else if is_key(key, there) && section == Section::Options {
        "move it below the header of its door".into()
    } else if is_key(key, there) {
        "move it below `[options]`, written in lower case".into()
    } else if let Some(meant) = nearest(key, here) {
        format!("did you mean `{meant}`?")
    } else {
        format!("the keys here are {}", listed(here))
    }
}
