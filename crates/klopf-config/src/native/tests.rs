use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::check;

mod actions;
mod encoded;
mod logs;
mod masked;
mod sealed;
mod tokens;

const FULL: &str = r#"
[daemon]
interfaces = ["eth0", "wg-home"]
state-dir = "/s"
runtime-dir = "/r"
user = "klopf"
log = "syslog"
service-ports = ["tcp/443", "udp/60000-61000"]
seccomp = "optional"
share-table = true

[door.ssh]
guard = ["tcp/22", "udp/60000-61000"]
sequence = ["42000", "23000/udp", 1337, "0x"]
within = "10s"
on-open = ["/etc/init.d/ssh", "start", "{ip} {door}"]
on-close = ["/etc/init.d/ssh", "stop"]
may-ask = { ports = ["tcp/22"], for = "8h", prefix = 24, prefix6 = 56, flags = [0, 1] }
open-for = "30s"
always-allow = ["192.0.2.0/24", "2001:db8::1"]
closed = "reject"
if-klopfd-dies = "open"
extend-while-connected = true
close-on-disconnect = true
max-leases = 10
allow-prefix = 24
allow-prefix6 = 56
forward = "fd00::5"
start = "ssh.service"
"#;

fn full() -> String {
    FULL.replace("\"0x\"", "0xbb8")
}

fn read(text: &str) -> Config {
    parse("klopf.toml", text).unwrap_or_else(|faults| panic!("{text}\n{faults}")).config
}

/// Line, column and text of each fault.
fn faults(text: &str) -> Vec<String> {
    let faults = parse("klopf.toml", text).err();
    let shown = |fault: &Fault| format!("{}:{}: {}", fault.line, fault.column, fault.text);
    faults.iter().flatten().map(shown).collect()
}

fn warnings(text: &str) -> Vec<String> {
    parse("klopf.toml", text).unwrap().warnings.into_iter().map(|fault| fault.text).collect()
}

#[test]
fn every_key_is_read() {
    let range = |proto, first, last| PortRange { proto, first, last };
    let network = |address: &str, prefix| Network { address: address.parse().unwrap(), prefix };
    let vector = |words: &[&str]| {
        let run = words.iter().map(ToString::to_string).collect();
        vec![Action { run, after: Duration::ZERO }]
    };
    let expected = Config {
        packet: Packet::default(),
        keys: Vec::new(),
        daemon: Daemon {
            interfaces: vec!["eth0".into(), "wg-home".into()],
            state_dir: "/s".into(),
            runtime_dir: "/r".into(),
            user: Some("klopf".into()),
            log: Some(LogTarget::Syslog),
            service_ports: vec![range(Proto::Tcp, 443, 443), range(Proto::Udp, 60000, 61000)],
            seccomp_optional: true,
            share_table: true,
            courier_user: None,
            sources: Watched::default(),
        },
        mails: Vec::new(),
        guestbooks: Vec::new(),
        logs: Vec::new(),
        doors: vec![Door {
            name: "ssh".into(),
            encoded: None,
            sequence: vec![Port::tcp(42000), Port::udp(23000), Port::tcp(1337), Port::tcp(3000)],
            keys: None,
            second_factor: false,
            via: None,
            within: Duration::from_secs(10),
            share_within: Duration::from_secs(10),
            valid_for: Duration::from_secs(86400),
            guestbooks: None,
            quorum: 1,
            on_open: vector(&["/etc/init.d/ssh", "start", "{ip} {door}"]),
            on_close: vector(&["/etc/init.d/ssh", "stop"]),
            may_ask: MayAsk {
                ports: Some(vec![range(Proto::Tcp, 22, 22)]),
                hold: Some(Duration::from_secs(8 * 3600)),
                prefix: 24,
                prefix6: 56,
                flags: 0b0011,
            },
            open_for: Some(Duration::from_secs(30)),
            always_allow: vec![network("192.0.2.0", 24), network("2001:db8::1", 128)],
            guard: vec![range(Proto::Tcp, 22, 22), range(Proto::Udp, 60000, 61000)],
            closed: Closed::Reject,
            if_klopfd_dies: IfKlopfdDies::Open,
            extend_while_connected: true,
            close_on_disconnect: true,
            max_leases: Some(10),
            allow_prefix: 24,
            allow_prefix6: 56,
            forward: Some(Forward { address: "fd00::5".parse().unwrap(), port: None }),
            start: Some("ssh.service".into()),
        }],
    };
    assert_eq!(read(&full()), expected);
    assert_eq!(warnings(&full()), [""; 0]);
}

#[test]
fn what_is_not_written_has_defaults() {
    assert_eq!(read(""), Config::default());
    let door = read("door.a.sequence = [9, 5, 7]").doors.remove(0);
    assert_eq!((door.within, door.open_for, door.on_open), (Duration::from_secs(5), None, Vec::new()));
    for (log, target) in [
        ("journal", LogTarget::Journal),
        ("stderr", LogTarget::Stderr),
        ("/var/log/klopf", LogTarget::File("/var/log/klopf".into())),
    ] {
        assert_eq!(read(&format!("daemon.log = \"{log}\"")).daemon.log, Some(target));
    }
    assert!(!read("daemon.seccomp = \"required\"").daemon.seccomp_optional);
}

#[test]
fn the_order_of_sections_and_keys_does_not_matter() {
    let mut parts: Vec<_> = FULL.trim().split("\n\n").map(|part| part.lines().collect::<Vec<_>>()).collect();
    parts.reverse();
    for part in &mut parts {
        let header = part.remove(0);
        part.reverse();
        part.insert(0, header);
    }
    let turned: Vec<_> = parts.iter().map(|part| part.join("\n")).collect();
    assert_eq!(read(&turned.join("\n").replace("\"0x\"", "3000")), read(&full()));
    let doors = read("[door.z]\nsequence=[9,5,7]\n[daemon]\n[door.a]\nsequence=[8,5,7]").doors;
    assert_eq!(doors.iter().map(|door| door.name.as_str()).collect::<Vec<_>>(), ["z", "a"], "doors keep their order");
}

#[test]
fn a_slip_in_any_key_is_told() {
    for (section, keys, rest) in [
        ("[daemon]", &daemon::KEYS[..], ""),
        ("[door.a]", &doors::KEYS[..], "\nsequence = [9, 5, 7]"),
        ("[packet]", &packet::KEYS[..], ""),
    ] {
        for key in keys {
            let text = format!("{section}\n{key}x = 1{rest}");
            let found = parse("klopf.toml", &text).unwrap_err();
            let place = if section == "[door.a]" { "door `a`".to_owned() } else { format!("`{section}`") };
            assert_eq!(faults(&text), [format!("2:1: unknown key `{key}x` in {place}")]);
            assert_eq!(found.0[0].help, format!("did you mean `{key}`?"));
            assert!(faults(&format!("{key} = 1"))[0].contains("belongs to"), "{key} outside of its section");
        }
    }
    assert_eq!(faults("[kye.a]"), ["1:2: unknown key `kye` in the file"]);
    assert_eq!(faults("[dor.a]"), ["1:2: unknown key `dor` in the file"]);
}

#[test]
fn wrong_values_are_told() {
    for (line, expected) in [
        ("interfaces = \"eth0\"", "`interfaces` must be a list, not a string"),
        ("interfaces = [1]", "`interfaces` must be a string, not an integer"),
        ("interfaces = [\"\"]", "`` cannot be the name of an interface"),
        ("interfaces = [\"eth0/1\"]", "`eth0/1` cannot be the name of an interface"),
        ("interfaces = [\"sixteen-letters-\"]", "`sixteen-letters-` cannot be the name of an interface"),
        ("state-dir = \"s\"", "`state-dir` must be an absolute path"),
        ("runtime-dir = \"\"", "`runtime-dir` must be an absolute path"),
        ("runtime-dir = \"/a\\u0000\"", "`runtime-dir` holds a NUL character"),
        ("user = \"\"", "`user` is empty"),
        ("user = 0.5", "`user` must be a string, not a float"),
        ("log = \"jornal\"", "cannot log to `jornal`"),
        ("log = true", "`log` must be a string, not a boolean"),
        ("service-ports = [\"443/tcp\"]", "`443/tcp` is not a protocol and its ports"),
        ("seccomp = \"off\"", "`seccomp` cannot be `off`"),
        ("seccomp = 2020-01-01", "`seccomp` must be a string, not a date"),
        ("share-table = \"yes\"", "`share-table` must be true or false, not a string"),
    ] {
        let column = line.find("= ").unwrap() + 3 + usize::from(line.contains("= ["));
        assert_eq!(faults(&format!("[daemon]\n{line}")), [format!("2:{column}: {expected}")]);
    }
    for (line, expected) in [
        ("within = 5", "3:10: `within` must be a string, not an integer"),
        ("within = \"61m\"", "3:10: `61m` is too long"),
        ("open-for = \"31d\"", "3:12: `31d` is too long"),
        ("on-open = \"/bin/sh x\"", "3:11: `on-open` must be a list, for no shell takes it apart"),
        ("on-open = []", "3:11: `on-open` names no program"),
        ("on-open = [\"sh\"]", "3:12: the program must be an absolute path"),
        ("on-close = [\"/x\", 5]", "3:19: `on-close` must be a string, not an integer"),
        ("on-close = [\"/x\", \"\\u0000\"]", "3:19: `on-close` holds a NUL character"),
        ("always-allow = [\"10.0.0.1/8\"]", "3:17: `10.0.0.1/8` is an address within a network"),
        ("always-allow = {}", "3:16: `always-allow` must be a list, not a table"),
    ] {
        assert_eq!(faults(&format!("[door.a]\nsequence = [9, 5, 7]\n{line}")), [expected]);
    }
    for (value, expected) in [
        ("\"1,2\"", &["2:12: `sequence` must be a list, not a string"][..]),
        ("[]", &["2:12: the sequence is empty"]),
        (
            "[0, \"x\", 1.5, 70000]",
            &[
                "2:13: a port is 1 to 65535",
                "2:16: `x` is not a port",
                "2:21: `sequence` must be a string, not a float",
                "2:26: a port is 1 to 65535",
            ],
        ),
    ] {
        assert_eq!(faults(&format!("[door.a]\nsequence = {value}")), expected);
    }
    let ports = |n: usize| format!("[door.a]\nsequence = [{}]", vec!["9"; n].join(","));
    assert_eq!(faults(&ports(32)), [""; 0]);
    assert_eq!(faults(&ports(33)), ["2:77: the sequence has more than 32 ports"]);
}

#[test]
fn doors_have_names_and_sequences() {
    for name in ["a", "A-Z_0.9", &"n".repeat(64)] {
        assert_eq!(faults(&format!("[door.\"{name}\"]\nsequence = [9, 5, 7]")), [""; 0]);
    }
    for name in ["", "a b", "tür", "a/b", &"n".repeat(65)] {
        let expected = format!("1:7: `{name}` cannot be the name of a door");
        assert_eq!(faults(&format!("[door.\"{name}\"]\nsequence = [9, 5, 7]")), [expected]);
    }
    assert_eq!(faults("[door]\na = 5"), ["2:5: door `a` must be a section"]);
    assert_eq!(faults("door = 5\n[[daemon]]"), ["1:8: `door` must be a section", "2:1: `daemon` must be a section"]);
}

#[test]
fn what_follows_from_a_fault_is_not_told() {
    for (text, expected) in [
        ("[door.a]\nsequence = ", &["2:12: string values must be quoted"][..]),
        ("[door.a]\nsequense = [1]", &["2:1: unknown key `sequense` in door `a`"]),
        (
            "[door.a]\nsequence = [9, 5\nwithin = \"5s\"\n\nopen-for = \"1m\"\n[door.b]\n",
            &["3:1: missing comma between array elements, expected `,`"],
        ),
        (
            "[door.a]\nwithin = 5s\nopen-for = 1m\nlog = 1",
            &[
                "2:10: string values must be quoted",
                "3:12: string values must be quoted",
                "4:1: unknown key `log` in door `a`",
            ],
        ),
        ("[door.a]\nwithin = \"5s\"\nwithin = 5\n[door.a]", &["3:1: duplicate key", "4:7: duplicate key"]),
        // What follows from a broken header.
        ("[door.a\nguard = 5\nsequence = [9]", &["1:8: unclosed table, expected `]`"]),
        ("[door.a]\nwithin = \"5s\"\n[door.a]\nwithin = 5", &["3:7: duplicate key"]),
    ] {
        assert_eq!(faults(text), expected, "{text}");
    }
    assert_eq!(faults(&"x = 1\n".repeat(200_000)), ["1:1: the file is longer than 1 MiB"]);
    assert_eq!(faults(&(0..1000).map(|i| format!("x{i} = 1\n")).collect::<String>()).len(), 100);
}

#[test]
fn odd_files_are_warned_of() {
    for (text, expected) in [
        ("sequence=[9,5,7]", &[][..]),
        ("sequence=[9]", &["a port scan could hit the sequence of `a`: it has fewer than three hits"]),
        (
            "sequence=[9,5,7]\n[door.b]\non-close=[\"/x\"]\nsequence=[9,5,7]\n[door.c]\non-open=[\"/x\"]\nsequence=[9,5,7,1]",
            &[
                "doors `a` and `b` have the same sequence: both open",
                "the sequence of `c` begins with that of `a`: it opens both",
            ],
        ),
    ] {
        assert_eq!(warnings(&format!("[door.a]\non-open=[\"/x\"]\n{text}")), expected, "{text}");
    }
    assert_eq!(warnings("[door.a]\nsequence=[9,5,7]"), ["nothing happens when door `a` opens"]);
    assert_eq!(warnings("[door.a]\nsequence=[9,5,7]\nguard=[\"tcp/22\"]"), [""; 0]);
    for (argument, expected) in [
        ("{ip} {door} {} {awk} {print $1} {ip", None),
        ("{key}", Some("a sequence has nothing to put in place of `{key}`")),
        ("{addr}{for}", None),
        ("a{port}b", Some("nobody who opens `a` says what `{port}` is")),
        ("{flag3}", Some("nobody who opens `a` says what `{flag3}` is")),
        ("{Flag0}", Some("`{Flag0}` is left as it is")),
        ("{IP}", Some("`{IP}` is left as it is")),
        ("%IP%", Some("`%IP%` is left as it is")),
        ("{prt}", Some("`{prt}` is left as it is")),
    ] {
        let text = format!("[door.a]\nsequence=[9,5,7]\non-open=[\"/x\", \"{argument}\"]");
        assert_eq!(warnings(&text), expected.into_iter().collect::<Vec<_>>(), "{argument}");
    }
}

proptest! {
    #[test]
    fn any_text_is_fine(text: String) {
        let _ = parse("klopf.toml", &text);
    }

    #[test]
    fn any_bytes_are_fine(name in "[a-z.\u{1b}]{0,4}(toml)?", text: Vec<u8>) {
        let found = check(&name, &text);
        for fault in found.faults.iter().chain(&found.warnings) {
            prop_assert!(!fault.to_string().contains(|c: char| c.is_control() && c != '\n'));
            prop_assert!(!fault.coloured().is_empty());
        }
    }

    #[test]
    fn anything_like_a_file_is_fine(
        lines in prop::collection::vec(
            "(\\[{1,2}(door\\.)?[a\"]{0,2}\\]{0,2}|(sequence|within|guard|on-open|[a-z.]{0,3}) = [\\[\"{0-9smd/,'ä=}\\]]{0,9})",
            0..9,
        ),
    ) {
        let text = lines.join("\n");
        let found = check("klopf.toml", text.as_bytes());
        prop_assert_eq!(found.faults.is_empty(), parse("klopf.toml", &text).is_ok());
        for fault in found.faults.iter().chain(&found.warnings) {
            prop_assert!(fault.to_string().contains("help: "));
        }
    }

    #[test]
    fn a_network_contains_its_first_address(bits: u128, prefix in 0..=128u8) {
        let address = values::masked(std::net::IpAddr::V6(bits.into()), prefix);
        let read = values::network(&format!("{address}/{prefix}")).ok();
        prop_assert_eq!(read, Some(Network { address, prefix }));
        prop_assert!(read.is_some_and(|network| network.contains(std::net::IpAddr::V6(bits.into()))));
    }
}

#[test]
fn a_duplicate_names_the_first() {
    let help =
        |text: &str| parse("klopf.toml", text).unwrap_err().iter().map(|fault| fault.help.clone()).collect::<Vec<_>>();
    let line = |line: usize| vec![format!("remove one of the two; the first is in line {line}")];
    let door = "[door.a]\nsequence = [9, 5, 7]\non-open = [\"/x\"]\n";
    assert_eq!(help(&format!("{door}sequence = [9]\n")), line(2));
    assert_eq!(help(&format!("[daemon]\n{door}\n[door.a] # again\nsequence = [9]\n")), line(2));
    assert_eq!(help("[daemon]\nuser = \"a\"\n\"user\" = \"b\"\n"), line(2));
}
