//! What `klopf check` says about a configuration.

use crate::native::Source;
use crate::{Fault, Level, knockd, native};

/// The faults and warnings of a configuration, by file and in file order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// What keeps the daemon from taking the file. Empty: it is taken.
    pub faults: Vec<Fault>,
    /// What works but is hardly meant.
    pub warnings: Vec<Fault>,
    /// How many doors it has; only counts without faults.
    pub doors: usize,
    /// How many keys, likewise.
    pub keys: usize,
    /// How many mails, likewise.
    pub mails: usize,
    /// How many guestbooks, likewise.
    pub guestbooks: usize,
    /// How many logs, likewise.
    pub logs: usize,
}

/// Checks a file as the daemon does at its start.
///
/// By its name: `.toml` is the native format, everything else knockd's.
#[must_use]
pub fn check(file_name: &str, text: &[u8]) -> Check {
    check_files(Source { name: file_name, bytes: text }, &[])
}

/// As [`check`], with the files of `keys.d`, which only count beside a `klopf.toml`.
#[must_use]
pub fn check_files(main: Source<'_>, keys: &[Source<'_>]) -> Check {
    let Source { name: file_name, bytes: text } = main;
    if is_native(file_name) {
        let (config, faults, warnings) = native::examine(main, keys);
        let (doors, keys) = (config.doors.len(), config.keys.len());
        let (mails, guestbooks) = (config.mails.len(), config.guestbooks.len());
        let logs = config.logs.len();
        return Check { faults, warnings, doors, keys, mails, guestbooks, logs };
    }
    let (config, faults, warnings) = knockd::examine(text);
    let shown = |found: Vec<knockd::Fault>, level| found.iter().map(|fault| fault.shown(file_name, level)).collect();
    let doors = config.doors.len();
    let (faults, warnings) = (shown(faults, Level::Error), shown(warnings, Level::Warning));
    Check { faults, warnings, doors, ..Check::default() }
}

/// Whether a file of this name is in the native format.
#[must_use]
pub fn is_native(file_name: &str) -> bool {
    file_name.rsplit_once('.').is_some_and(|(_, extension)| extension.eq_ignore_ascii_case("toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(file_name: &str, text: impl AsRef<[u8]>) -> String {
        let found = check(file_name, text.as_ref());
        let all: Vec<_> = found.faults.iter().chain(&found.warnings).map(ToString::to_string).collect();
        all.join("\n\n")
    }

    #[test]
    fn the_name_decides_the_format() {
        for (name, native) in [("klopf.toml", true), ("/etc/a.TOML", true), ("knockd.conf", false), ("toml", false)] {
            assert_eq!(check(name, b"[daemon]\nlog = \"stderr\"").faults.is_empty(), native, "{name}");
        }
        assert_eq!(check("a.toml", b""), Check::default());
    }

    #[test]
    fn native_faults_show_their_place() {
        let text = "[daemon]\nlog = \"jornal\"\n\n[door.ssh]\nguard = [\"22/tcp\"]\nsequence = [\"42000\", \"23000:udp\", \
            1337]\n\talways-allow = [\"192.0.2.1/24\"]\non-open = [\"/bin/ä\", \"{IP}\"]\n";
        insta::assert_snapshot!(shown("klopf.toml", text), @r#"
        error: cannot log to `jornal`
         --> klopf.toml:2:7
          |
        2 | log = "jornal"
          |       ^^^^^^^^
          |
          = help: did you mean `journal`?

        error: `22/tcp` is not a protocol and its ports
         --> klopf.toml:5:10
          |
        5 | guard = ["22/tcp"]
          |          ^^^^^^^^
          |
          = help: write `tcp/22`

        error: `23000:udp` is not a port
         --> klopf.toml:6:22
          |
        6 | sequence = ["42000", "23000:udp", 1337]
          |                      ^^^^^^^^^^^
          |
          = help: write `23000/udp`

        error: `192.0.2.1/24` is an address within a network
         --> klopf.toml:7:18
          |
        7 |     always-allow = ["192.0.2.1/24"]
          |                     ^^^^^^^^^^^^^^
          |
          = help: write `192.0.2.0/24` for the network, or `192.0.2.1` alone

        warning: `{IP}` is left as it is
         --> klopf.toml:8:22
          |
        8 | on-open = ["/bin/ä", "{IP}"]
          |                      ^^^^^^
          |
          = help: did you mean `{ip}`?
        "#);
    }

    #[test]
    fn knockd_faults_show_their_place() {
        let text = b"[T\xfcr]\nsequence = 70000,ssh\n\ttcpflags = syn, ack\n\x1b[2J = 5\n[side]\n# nothing\n";
        insta::assert_snapshot!(shown("knockd.conf", text), @r#"
        error: config: section Tür: port 70000 is invalid
         --> knockd.conf:2:12
          |
        2 | sequence = 70000,ssh
          |            ^^^^^
          |
          = help: ports are 0 to 65535

        error: config: section Tür: port ssh is not a number
         --> knockd.conf:2:18
          |
        2 | sequence = 70000,ssh
          |                  ^^^
          |
          = help: write the port's number

        error: config: line 3: unrecognized flag " ACK"
         --> knockd.conf:3:17
          |
        3 |     tcpflags = syn, ack
          |                    ^^^^
          |
          = help: write the flags without spaces, e.g. `syn,!ack`

        error: config: line 4: syntax error
         --> knockd.conf:4:1
          |
        4 | ␛[2J = 5
          | ^^^^
          |
          = help: the keys here are `Sequence`, `One_Time_Sequences`, `Seq_Timeout`, `Timeout`, `TCPFlags`, `Target`, `Start_Command`, `Command`, `Start_Command_6`, `Command_6`, `Cmd_Timeout`, `Stop_Command`, `Stop_Command_6`

        error: section 'side' has an empty knock sequence
         --> knockd.conf:5:1
          |
        5 | [side]
          | ^^^^^^
          |
          = help: add a line such as `sequence = 7000,9000,8000`
        "#);
    }

    #[test]
    fn warnings_show_their_place() {
        let text = "[ssh]\nsequence = 7000,7001 # two\ntarget = FE80::1\nstop_command = true\n";
        insta::assert_snapshot!(shown("knockd.conf", text), @r#"
        warning: `7001 # two` is taken for port 7001
         --> knockd.conf:2:17
          |
        2 | sequence = 7000,7001 # two
          |                 ^^^^^^^^^^
          |
          = help: separate ports by commas; there are no comments behind a value

        warning: a port scan could hit the sequence of `ssh`: it has fewer than three hits, its numbers only rise, 7000 and 7001 are neighbours
         --> knockd.conf:2:12
          |
        2 | sequence = 7000,7001 # two
          |            ^^^^^^^^^^^^^^^
          |
          = help: take three or more ports, far apart, that do not only rise

        warning: no packet goes to this target, so the door never opens
         --> knockd.conf:3:10
          |
        3 | target = FE80::1
          |          ^^^^^^^
          |
          = help: write an address in its shortest form, in lower case

        warning: the stop command of `ssh` never runs: there is no start command
         --> knockd.conf:4:16
          |
        4 | stop_command = true
          |                ^^^^
          |
          = help: add `start_command`, or remove `stop_command`
        "#);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        insta::assert_snapshot!(shown("\u{1b}c.toml", "a = 1\u{1b}]0;x\u{7}\u{202e}\n[door.\"\\u001b[2J\"]\nsequence = [9, 5, 7]"), @r#"
        error: unexpected key or value, expected newline, `#`
         --> \u{1b}c.toml:1:7
          |
        1 | a = 1␛]0;x␇�
          |       ^
          |
          = help: write `key = value`, texts in double quotes, lists in square brackets

        error: `\u{1b}[2J` cannot be the name of a door
         --> \u{1b}c.toml:2:7
          |
        2 | [door."\u001b[2J"]
          |       ^^^^^^^^^^^
          |
          = help: take 1 to 64 of the characters A-Z, a-z, 0-9, `_`, `.` and `-`
        "#);
    }

    #[test]
    fn what_is_not_utf8_is_no_toml() {
        insta::assert_snapshot!(shown("klopf.toml", b"[daemon]\nuser = \"\xfc\""), @r#"
        error: the file is not UTF-8 here
         --> klopf.toml:2:9
          |
        2 | user = "�"
          |         ^
          |
          = help: save it as UTF-8
        "#);
    }

    #[test]
    fn colour_is_only_added() {
        let found = check("knockd.conf", b"[x]\nfoo");
        let (mut plain, mut escape) = (String::new(), false);
        for c in found.faults[0].coloured().chars() {
            escape |= c == '\u{1b}';
            if !escape {
                plain.push(c);
            }
            escape &= c != 'm';
        }
        assert_eq!(plain, found.faults[0].to_string());
    }
}
