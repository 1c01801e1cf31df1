use proptest::prelude::*;

use super::*;
use crate::check;

fn door(name: &str, ports: &[Port]) -> Door {
    Door {
        name: name.into(),
        sequence: Sequence::Fixed(ports.to_vec()),
        seq_timeout_s: 25,
        cmd_timeout_s: 10,
        flags: FlagMask::ANY,
        target: None,
        start: None,
        start6: None,
        stop: None,
        stop6: None,
    }
}

fn read(text: impl AsRef<[u8]>) -> Config {
    parse(text.as_ref()).map(|checked| checked.config).unwrap()
}

fn faults(text: impl AsRef<[u8]>) -> Vec<String> {
    parse(text.as_ref()).map_or_else(|faults| faults.into_iter().map(|fault| fault.text).collect(), |_| Vec::new())
}

fn warnings(text: &str) -> Vec<String> {
    parse(text.as_bytes()).unwrap().warnings.into_iter().map(|fault| fault.text).collect()
}

#[test]
fn every_key_is_read() {
    let text = "[options]\r\n\tLogFile = /a = b # c\nPIDFILE=\nInterface = eth0\ninterface = eth1\nusesyslog\n\
        [ a b ]\nSequence = 1,2\nsequence = 7000 , 8000:UDP\nSeq_Timeout = 5\ntimeout = 7s\nTCPFlags = syn,!ACK\n\
        tcpflags = fin\ntarget = fd00::1\ncommand = x\nstart_command = echo %IP%\nCommand_6 =\nCmd_Timeout = -3\n\
        stop_command = y=z\nstop_command_6 = w";
    let expected = Door {
        seq_timeout_s: 7,
        cmd_timeout_s: 0,
        flags: FlagMask { set: 3, clear: 16 },
        target: Some(Target::Address("fd00::1".parse().unwrap())),
        start: Some(b"echo %IP%".to_vec()),
        start6: Some(Vec::new()),
        stop: Some(b"y=z".to_vec()),
        stop6: Some(b"w".to_vec()),
        ..door(" a b ", &[Port::tcp(7000), Port::udp(8000)])
    };
    let config = Config {
        log_file: Some(b"/a = b # c".to_vec()),
        pid_file: Some(Vec::new()),
        interface: Some("eth0".into()),
        use_syslog: true,
        doors: vec![expected],
    };
    assert_eq!(read(text), config);
}

#[test]
fn harmless_files_are_taken() {
    let ssh = || vec![door("ssh", &[Port::tcp(7000)])];
    let long = format!("[ssh]\nsequence=7000\n#{}\nsequence=7000", "x".repeat(4094));
    for text in [
        "[ssh]\nsequence=7000",
        "# c\n\n\x0b[ssh]\x0c\n   # hi = 3\n\tsequence = 7000 \r\n",
        "[ssh]\nsequence=1,2\nsequence=7000\0,8000\n\0\n",
        long.as_str(),
    ] {
        assert_eq!(read(text).doors, ssh(), "{text:?}");
    }
    assert_eq!(read(""), Config::default());
    assert!(read("[ssh]\nUseSyslog\nsequence=7000").use_syslog);
    assert_eq!(read("[options]\ninterface =\ninterface = lo").interface.as_deref(), Some("lo"));
    assert_eq!(read("[x]\nsequence=1\n[x]\nsequence=2").doors.len(), 2);
    assert_eq!(read("[x]\none_time_sequences = /a b").doors[0].sequence, Sequence::OneTime(b"/a b".to_vec()));
    let early = read("[options]\nLogFile=/l\n[ssh]\nsequence=7000");
    assert_eq!(read("[ssh]\nsequence=7000\n[options]\nLogFile=/l"), early, "sections come in any order");
}

#[test]
fn names_are_kept_and_cut() {
    let name = |header: &[u8]| read([header, b"\nsequence=7000"].concat()).doors.remove(0).name;
    assert_eq!(name(b"[a]b]"), "a]b");
    assert_eq!(name(b"[T\xfcr]"), "Tür");
    assert_eq!(name(format!("[{}]", "n".repeat(200)).as_bytes()), "n".repeat(127));
    assert_eq!(name(format!("[{}ü]", "n".repeat(126)).as_bytes()), "n".repeat(126), "no half characters");
    assert_eq!(name(b"[Options]"), "Options");
}

#[test]
fn every_fault_is_told_once() {
    for (text, expected) in [
        ("UseSyslog\nsequence=1", &["config: line 1: all directives must belong to a section"][..]),
        (
            "foo\nbar\n[x]\nsequence=1",
            &["config: line 1: all directives must belong to a section", "config: line 2: syntax error"],
        ),
        ("\u{feff}[x]\nsequence=1", &["config: line 1: all directives must belong to a section"]),
        ("[x] # c\nsequence=1", &["config: line 1: all directives must belong to a section"]),
        ("[]\nsequence=1\ncommand=x", &["config: line 1: bad section name"]),
        ("[x]\nsequence=1\n[y\ncommand=x\nlogfile=y\nUseSyslog", &["config: line 3: syntax error"]),
        ("[x]\nfoo = 1", &["error: section 'x' has an empty knock sequence", "config: line 2: syntax error"]),
        ("[x]\nsequense = 1", &["config: line 2: syntax error"]),
        ("[x]\nsequence", &["config: line 2: syntax error"]),
        ("[x]\nsequence=1\n; hi", &["config: line 3: syntax error"]),
        ("[options]\nUseSyslog = 1\nfoo", &["config: line 2: syntax error", "config: line 3: syntax error"]),
        (
            "[x]\nsequence=1\ninterface=lo\n[options]\ncommand=x",
            &["config: line 3: syntax error", "config: line 5: syntax error"],
        ),
        (
            "[x]\nsequence=1\ntcpflags = syn, ack,,ece",
            &[
                "config: line 3: unrecognized flag \" ACK\"",
                "config: line 3: unrecognized flag \"\"",
                "config: line 3: unrecognized flag \"ECE\"",
            ],
        ),
        (
            "[a]\n[b]\nsequence=70000",
            &["error: section 'a' has an empty knock sequence", "config: section b: port 70000 is invalid"],
        ),
        ("[porch]\nsequence =", &["config: section porch: the knock sequence has no ports"]),
        ("[x]\none_time_sequences=", &["config: section x: one_time_sequences names no file"]),
        ("[\u{1b}[2J]\nsequence=x", &["config: section \\u{1b}[2J: port x is not a number"]),
    ] {
        assert_eq!(faults(text), expected, "{text}");
    }
    let long = format!("[x]\nsequence=1\ncommand={}", "a".repeat(4088));
    assert_eq!(faults(long), ["config: line 4: syntax error"]);
    assert_eq!(faults("[x]\nsequence=1\n".to_owned() + &"foo\n".repeat(1000)).len(), 100);
}

#[test]
fn odd_files_are_warned_of() {
    for (text, expected) in [
        ("[x]\nsequence=7000,9000,8000", &[][..]),
        ("[x]\nsequence=7000", &["a port scan could hit the sequence of `x`: it has fewer than three hits"]),
        (
            "[x]\nsequence=9000,0,8000 ; y:tcp:udp",
            &[
                "port 0 is reserved, and most programs cannot hit it",
                "`8000 ; y` is taken for port 8000",
                "`udp` is ignored",
            ],
        ),
        (
            "[x]\nsequence=7,9,5\n[y]\nsequence=7,9,5\n[z]\nsequence=7,9,5,1\n[t]\ntarget=::1\nsequence=7,9,5",
            &[
                "doors `x` and `y` have the same sequence: both open",
                "the sequence of `z` begins with that of `x`: it opens both",
            ],
        ),
        (
            "[x]\nsequence=7,9,5\nseq_timeout=5 s\ncmd_timeout=",
            &["`5 s` is taken for 5 seconds", "`` is taken for 0 seconds"],
        ),
        ("[x]\nsequence=7,9,5\nseq_timeout=0", &["`x` never opens: its hits would have to come in no time"]),
        ("[x]\nsequence=7,9,5\ntcpflags=syn\ntcpflags=!syn", &["no TCP packet fits `x`: a flag must be set and clear"]),
        ("[x]\nsequence=7,9,5\nstop_command=y", &["the stop command of `x` never runs: there is no start command"]),
        ("[x]\nsequence=7,9,5\ntarget=localhost", &["no packet goes to this target, so the door never opens"]),
        (
            "[x]\none_time_sequences=/f\nsequence=7,9,5",
            &["`x` has both sequence and one_time_sequences; only this, the later, counts"],
        ),
    ] {
        assert_eq!(warnings(text), expected, "{text}");
    }
    let long = format!("[x]\nsequence=7,9,5\n#{}", "a".repeat(4095));
    assert!(faults(&long)[0].ends_with("syntax error"));
    let warned = check("knockd.conf", long.as_bytes()).warnings;
    assert_eq!(warned[0].text, "the line is cut after 4095 bytes, and the rest read as the next");
}

#[test]
fn debug_lines_are_knockds() {
    let text = "[options]\nLogFile = /l\nPidFile=\ninterface = lo\nUseSyslog\n[ a b ]\n\
        sequence = 1, 2 : UDP ,3:tcp:x\ntimeout=-3\ntcpflags = syn,!ack\ntarget = 1.2.3.4\ncommand = echo %IP%\n\
        stop_command = foo\ncmd_timeout = abc\ncommand_6 =\nstop_command_6 = x\none_time_sequences = /o\n\
        [y]\nsequence=70000\nseq_timeout=3";
    let expected = "config: new section: 'options'\nconfig: log file: /l\nconfig: pid file: \nconfig: interface: lo\n\
        config: usesyslog\nconfig: new section: ' a b '\nconfig:  a b : sequence: 1:tcp,2:udp,3:tcp\n\
        config:  a b : seq_timeout: -3\nconfig: tcp flag: SYN\nconfig: tcp flag: !ACK\nconfig:  a b : target: 1.2.3.4\n\
        config:  a b : start_command: echo %IP%\nconfig:  a b : stop_command: foo\nconfig:  a b : cmd_timeout: 0\n\
        config:  a b : start_command_6: \nconfig:  a b : stop_command_6: x\n\
        config:  a b : one time sequences file: /o\nconfig: new section: 'y'";
    assert_eq!(debug_lines(text.as_bytes()).join("\n"), expected);
}

/// A file and what it says.
fn written() -> impl Strategy<Value = (String, Config)> {
    let port = (any::<u16>(), any::<bool>(), prop::sample::select(vec!["", " ", "\t"]));
    let command = || prop::option::of("([a-z=#%:]([a-z =#%:]{0,10}[a-z=#%:])?)?");
    let door = (
        "[a-z][a-zäö \\]=#]{0,20}",
        prop::collection::vec(port, 1..=32),
        prop::option::of(0..100_000u32),
        (command(), command(), command(), command()),
        prop::collection::vec((0..6u8, any::<bool>()), 0..4),
        prop::option::of(any::<std::net::IpAddr>()),
    );
    (prop::option::of("/[a-z]{0,8}"), prop::collection::vec(door, 0..4)).prop_map(|(log, doors)| {
        let mut config = Config { log_file: log.map(String::into_bytes), ..Config::default() };
        let mut text = String::new();
        for (name, ports, timeout, (start, start6, stop, stop6), flags, target) in doors {
            let mut door = super::tests::door(&name, &[]);
            let mut elements = Vec::new();
            let mut read = Vec::new();
            for (number, udp, space) in ports {
                read.push(if udp { Port::udp(number) } else { Port::tcp(number) });
                elements.push(format!("{space}{number}{space}{}", if udp { ": UDP" } else { "" }));
            }
            text += &format!("[{name}]\nSequence = {}\n", elements.join(","));
            door.sequence = Sequence::Fixed(read);
            for (bit, set) in flags {
                let flag = ["fin", "syn", "rst", "psh", "ack", "urg"][usize::from(bit)];
                text += &format!("tcpflags={}{flag}\n", if set { "" } else { "!" });
                *(if set { &mut door.flags.set } else { &mut door.flags.clear }) |= 1 << bit;
            }
            if let Some(seconds) = timeout {
                text += &format!("seq_timeout={seconds}\nCMD_TIMEOUT = {seconds}\n");
                (door.seq_timeout_s, door.cmd_timeout_s) = (seconds.into(), seconds.into());
            }
            if let Some(address) = target {
                text += &format!("target = {address}\n");
                door.target = Some(Target::Address(address));
            }
            for (key, value, field) in [
                ("start_command", start, &mut door.start),
                ("Command_6", start6, &mut door.start6),
                ("stop_command", stop, &mut door.stop),
                ("stop_command_6", stop6, &mut door.stop6),
            ] {
                if let Some(value) = value {
                    text += &format!("\t{key} = {value}\r\n");
                    *field = Some(value.into_bytes());
                }
            }
            config.doors.push(door);
        }
        if let Some(log) = &config.log_file {
            text += &format!("[options]\nLogFile = {}\n", String::from_utf8_lossy(log));
        }
        (text, config)
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read((text, config) in written()) {
        prop_assume!(config.doors.iter().all(|door| door.name != "options"));
        prop_assert_eq!(parse(text.as_bytes()).map(|checked| checked.config), Ok(config));
    }

    #[test]
    fn any_bytes_are_fine(text: Vec<u8>) {
        let _ = (parse(&text), debug_lines(&text), one_time_lines(&text));
    }

    #[test]
    fn anything_like_a_file_is_fine(
        lines in prop::collection::vec("(\\[[^\n]{0,3}\\]|[A-Za-z_6]{0,3}(sequence|tcpflags|timeout)? ?=?[^\n]{0,9})", 0..9),
    ) {
        let text = lines.join("\n");
        let found = check("knockd.conf", text.as_bytes());
        prop_assert_eq!(found.faults.is_empty(), parse(text.as_bytes()).is_ok());
        for fault in found.faults.iter().chain(&found.warnings) {
            prop_assert!(!fault.to_string().contains(|c: char| c.is_control() && c != '\n'));
        }
    }

    #[test]
    fn one_time_lines_are_where_they_say(text in "([ \t]{0,2}[0-9#,:a-z]{0,9}\r?\n){0,9}") {
        for line in one_time_lines(text.as_bytes()) {
            prop_assert!(line.offset == 0 || text.as_bytes()[line.offset - 1] == b'\n');
            prop_assert!((1..=32).contains(&line.ports.len()));
        }
    }
}
