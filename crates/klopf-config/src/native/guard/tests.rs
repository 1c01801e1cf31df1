use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;
use crate::native::{Checked, parse};
use crate::{Fault, check};

const HEAD: &str = "[door.a]\nsequence = [9, 5, 7]\n";

fn read(text: &str) -> Checked {
    parse("klopf.toml", text).unwrap_or_else(|faults| panic!("{text}\n{faults}"))
}

/// Line, column and text of each fault.
fn faults(text: &str) -> Vec<String> {
    let shown = |fault: &Fault| format!("{}:{}: {}", fault.line, fault.column, fault.text);
    check("klopf.toml", text.as_bytes()).faults.iter().map(shown).collect()
}

fn shown(text: &str) -> String {
    let found = check("klopf.toml", text.as_bytes());
    let all: Vec<_> = found.faults.iter().chain(&found.warnings).map(ToString::to_string).collect();
    all.join("\n\n")
}

#[test]
fn what_is_not_written_has_defaults() {
    let doors = read(&format!("{HEAD}guard = [\"tcp/22\"]")).config.doors;
    let [Door { closed, if_klopfd_dies, extend_while_connected, close_on_disconnect, max_leases, .. }] = doors[..]
    else {
        panic!("{doors:?}")
    };
    assert_eq!((closed, if_klopfd_dies), (Closed::Drop, IfKlopfdDies::StayClosed));
    assert_eq!((extend_while_connected, close_on_disconnect, max_leases), (false, false, None));
    assert_eq!((doors[0].allow_prefix, doors[0].allow_prefix6), (32, 128));
    assert_eq!((doors[0].forward, doors[0].start.as_ref(), doors[0].open_for), (None, None, None));
}

#[test]
fn words_and_bounds_are_taken() {
    for line in [
        "closed = \"drop\"",
        "if-klopfd-dies = \"stay-closed\"",
        "extend-while-connected = false",
        "close-on-disconnect = true",
        "max-leases = 1",
        "max-leases = 4294967295",
        "allow-prefix = 8",
        "allow-prefix = 32",
        "allow-prefix6 = 0x10",
        "allow-prefix6 = 128",
        "forward = \"10.0.0.5\"",
        "start = \"a@b.target\"\non-open = [\"/x\"]\non-close = [\"/y\"]",
    ] {
        assert_eq!(read(&format!("{HEAD}guard = [\"tcp/22\"]\n{line}")).warnings, [], "{line}");
    }
}

#[test]
fn wrong_values_are_told() {
    for (line, expected) in [
        ("closed = \"rejct\"", "`closed` cannot be `rejct`"),
        ("closed = true", "`closed` must be a string, not a boolean"),
        ("if-klopfd-dies = \"closed\"", "`if-klopfd-dies` cannot be `closed`"),
        ("extend-while-connected = \"true\"", "`extend-while-connected` must be true or false, not a string"),
        ("close-on-disconnect = 1", "`close-on-disconnect` must be true or false, not an integer"),
        ("max-leases = 0", "`max-leases` is 1 to 4294967295"),
        ("max-leases = -1", "`max-leases` is 1 to 4294967295"),
        ("max-leases = 4294967296", "`max-leases` is 1 to 4294967295"),
        ("max-leases = 99999999999999999999", "`max-leases` is 1 to 4294967295"),
        ("max-leases = \"5\"", "`max-leases` must be an integer, not a string"),
        ("allow-prefix = 7", "`allow-prefix` is 8 to 32"),
        ("allow-prefix = 33", "`allow-prefix` is 8 to 32"),
        ("allow-prefix = \"/24\"", "`allow-prefix` must be an integer, not a string"),
        ("allow-prefix6 = 15", "`allow-prefix6` is 16 to 128"),
        ("allow-prefix6 = 129", "`allow-prefix6` is 16 to 128"),
        ("forward = 22", "`forward` must be a string, not an integer"),
        ("forward = \"db.example.org:22\"", "`db.example.org:22` is not an address and its port"),
        ("start = [\"ssh.service\"]", "`start` must be a string, not a list"),
        ("start = \"ssh\"", "`ssh` is not a unit that can be started"),
    ] {
        let column = line.find("= ").unwrap() + 3;
        let expected = format!("4:{column}: {expected}");
        assert_eq!(faults(&format!("{HEAD}guard = [\"tcp/22\"]\n{line}")), [expected]);
    }
    for (guard, expected) in [
        ("\"tcp/22\"", &["3:9: `guard` must be a list, not a string"][..]),
        ("[]", &["3:9: `guard` names no port"]),
        (
            "[22, \"22\", \"tcp/0\"]",
            &[
                "3:10: `guard` must be a string, not an integer",
                "3:14: `22` is not a protocol and its ports",
                "3:20: `tcp/0` is not a protocol and its ports",
            ],
        ),
    ] {
        assert_eq!(faults(&format!("{HEAD}guard = {guard}\nclosed = \"reject\"")), expected);
    }
    let ranges = |n: usize| format!("{HEAD}guard = [{}]", (1..=n).map(|i| format!("\"udp/{i}\",")).collect::<String>());
    assert_eq!(read(&ranges(64)).config.doors[0].guard.len(), 64);
    assert_eq!(faults(&ranges(65)), ["3:577: the door guards more than 64 ranges of ports"]);
}

#[test]
fn what_needs_a_guard_is_told_without_one() {
    for key in NEED_GUARD {
        let value = match key {
            "closed" => "\"reject\"",
            "if-klopfd-dies" => "\"open\"",
            "max-leases" => "5",
            "allow-prefix" => "24",
            "allow-prefix6" => "56",
            "forward" => "\"10.0.0.5:22\"",
            "start" => "\"ssh.service\"",
            _ => "true",
        };
        let line = format!("{key} = {value}");
        assert_eq!(faults(&format!("{HEAD}{line}")), [format!("3:1: `{key}` needs `guard`")]);
        assert_eq!(faults(&format!("{HEAD}{line}\nguard = [\"tcp/22\"]")), [""; 0]);
        let plain = read(&format!("{HEAD}guard = [\"tcp/22\"]")).config.doors;
        assert_ne!(read(&format!("{HEAD}guard = [\"tcp/22\"]\n{line}")).config.doors, plain, "{key} is read");
    }
    assert_eq!(
        faults(&format!("{HEAD}closed = \"drop\"\ngaurd = [\"tcp/22\"]")),
        ["4:1: unknown key `gaurd` in door `a`"]
    );
    assert_eq!(faults(&format!("{HEAD}closed = \"drop\"\nguard = 5s")), ["4:9: string values must be quoted"]);
}

#[test]
fn a_port_that_is_written_twice_is_guarded_once() {
    let range = |proto, first, last| PortRange { proto, first, last };
    let (tcp, udp) = (Proto::Tcp, Proto::Udp);
    for (guard, ranges, warning) in [
        (r#""tcp/22", "udp/22", "tcp/22", "tcp/22-22""#, &[range(tcp, 22, 22), range(udp, 22, 22)][..], None),
        (r#""tcp/22-23", "tcp/24""#, &[range(tcp, 22, 23), range(tcp, 24, 24)], None),
        (
            r#""tcp/20-30", "udp/1", "tcp/25""#,
            &[range(udp, 1, 1), range(tcp, 20, 30)],
            Some("`tcp/20-30` and `tcp/25` overlap"),
        ),
        (
            r#""tcp/20-30", "tcp/40-50", "tcp/30-45""#,
            &[range(tcp, 20, 50)],
            Some("`tcp/20-30` and `tcp/30-45` overlap"),
        ),
    ] {
        let found = read(&format!("{HEAD}guard = [{guard}]"));
        assert_eq!(found.config.doors[0].guard, ranges, "{guard}");
        let warnings: Vec<_> = found.warnings.iter().map(|fault| fault.text.as_str()).collect();
        assert_eq!(warnings, warning.into_iter().collect::<Vec<_>>(), "{guard}");
    }
}

#[test]
fn a_guarded_port_may_be_knocked_at() {
    let text =
        "[door.a]\nsequence = [9, 5, 7]\nguard = [\"tcp/5\"]\n[door.b]\nsequence = [22, 5, 443]\nguard = [\"tcp/7\"]";
    assert_eq!(read(text).warnings, []);
}

#[test]
fn a_forward_to_a_port_is_for_a_single_one() {
    for (guard, to, fine) in [
        ("\"tcp/22\"", "10.0.0.5:2222", true),
        ("\"tcp/22\", \"tcp/22\"", "[fd00::5]:22", true),
        ("\"tcp/22\", \"udp/22\"", "10.0.0.5:22", false),
        ("\"tcp/22-23\"", "10.0.0.5:22", false),
        ("\"tcp/22-23\", \"tcp/80\"", "10.0.0.5", true),
    ] {
        let expected = ["3:11: `forward` names one port, and `guard` more than one"];
        let text = format!("{HEAD}forward = \"{to}\"\nguard = [{guard}]");
        assert_eq!(faults(&text), &expected[usize::from(fine)..], "{guard} {to}");
    }
}

/// Doors `a`, `b` and so on with these lines each.
fn doors(lines: &[&str]) -> String {
    let door = |(name, lines): (char, &&str)| format!("[door.{name}]\nsequence = [9, 5, {}]\n{lines}\n", name as u32);
    ('a'..='z').zip(lines).map(door).collect()
}

#[test]
fn doors_with_a_port_in_common_agree() {
    let fine: &[&str] = &[];
    for (lines, expected) in [
        (["guard=['tcp/22']\nclosed='reject'", "guard=['tcp/23', 'udp/22']"], fine),
        (["guard=['tcp/22']\nclosed='drop'", "guard=['tcp/20-30']"], fine),
        (["guard=['tcp/22']\nallow-prefix=24\nmax-leases=1", "guard=['tcp/22']\nstart='a.service'"], fine),
        (
            ["guard=['tcp/22']\nclosed='reject'", "guard=['tcp/1', 'tcp/20-30']"],
            &["7:7: doors `a` and `b` both guard tcp/22, and differ in `closed`"],
        ),
        (
            ["guard=['udp/20-30']", "if-klopfd-dies='open'\nguard=['udp/25-60']"],
            &["7:7: doors `a` and `b` both guard udp/25, and differ in `if-klopfd-dies`"],
        ),
        (
            ["guard=['tcp/22']\nforward='10.0.0.5:22'", "guard=['tcp/22']\nforward='10.0.0.5:23'"],
            &["7:7: doors `a` and `b` both guard tcp/22, and differ in `forward`"],
        ),
        (
            ["guard=['tcp/22']\nforward='10.0.0.5'", "guard=['tcp/22']"],
            &["7:7: doors `a` and `b` both guard tcp/22, and differ in `forward`"],
        ),
        (["guard=['tcp/22']\nforward='10.0.0.5:22'", "guard=['tcp/1-99']\nforward='10.0.0.5'"], fine),
        (["guard=['tcp/22']\nclosed='drop'", "guard=['tcp/22']\nclosed='rejct'"], &["8:8: `closed` cannot be `rejct`"]),
        (
            ["guard=['tcp/22']\nclosed='reject'", "guard=['tcp/22']\nclosd='reject'"],
            &["8:1: unknown key `closd` in door `b`"],
        ),
        (
            ["guard=['tcp/22']\nclosed='reject'", "guard=['tcp/22']\nclosed=reject"],
            &["8:8: string values must be quoted"],
        ),
    ] {
        assert_eq!(faults(&doors(&lines)), expected, "{lines:?}");
    }
    let odd_one_out = ["guard=['tcp/22']", "guard=['tcp/1-99']\nclosed='reject'", "guard=['tcp/22', 'tcp/80']"];
    assert_eq!(faults(&doors(&odd_one_out)), ["6:7: doors `a` and `b` both guard tcp/22, and differ in `closed`"]);
}

#[test]
fn ten_thousand_doors_are_no_fault() {
    let many = |guard: &dyn Fn(u32) -> String| {
        let door = |i| format!("[door.d{i}]\nguard=[{}]\nsequence=[{}, {}, 1]\n", guard(i), 1 + i % 9999, 1 + i / 3);
        check("klopf.toml", (0..10_000).map(door).collect::<String>().as_bytes())
    };
    let (same, wide) = (many(&|_| "'tcp/22'".into()), many(&|i| format!("'tcp/{}-65535'", 1 + i)));
    assert_eq!([same.doors, same.faults.len(), wide.doors, wide.faults.len()], [10_000, 0, 10_000, 0]);
    // Doors of single ports, and as many that guard them all and differ from the last.
    let differing = many(&|i| match i {
        0..5000 => format!("'tcp/{}'", 1 + i),
        5000 => "'tcp/65535']\nclosed=\"reject\"\nalways-allow=[".into(),
        _ => "'tcp/1-65535'".into(),
    });
    assert_eq!(differing.faults.len(), crate::fault::MAX_FAULTS);
}

#[test]
fn faults_show_their_place() {
    let text = "\
[door.ssh]
sequence = [42000, 1337, 23000]
guard = [\"tcp/22\", \"udp/60-70\", \"tcp/20-30\", \"udp/546\"]
extend-while-connected = \"yes\"
allow-prefix = 64
forward = \"127.0.0.1:22\"
start = \"ssh\"

[door.admin]
sequence = [23000, 1337, 42000]
guard = [\"tcp/443\"]
closed = \"reject\"

[door.web]
sequence = [1337, 23000, 42000]
guard = [\"tcp/80\", \"tcp/443\"]
forward = \"10.0.0.5:80\"

[door.command]
sequence = [1337, 42000, 23000]
max-leases = 5
";
    insta::assert_snapshot!(shown(text), @r#"
    error: `extend-while-connected` must be true or false, not a string
     --> klopf.toml:4:26
      |
    4 | extend-while-connected = "yes"
      |                          ^^^^^
      |
      = help: write it like `extend-while-connected = true`

    error: `allow-prefix` is 8 to 32
     --> klopf.toml:5:16
      |
    5 | allow-prefix = 64
      |                ^^
      |
      = help: write another number, or remove the line

    error: nothing can be forwarded to 127.0.0.1
     --> klopf.toml:6:11
      |
    6 | forward = "127.0.0.1:22"
      |           ^^^^^^^^^^^^^^
      |
      = help: write the address of a host behind this one; without `forward` a lease leads to this host

    error: `ssh` is not a unit that can be started
     --> klopf.toml:7:9
      |
    7 | start = "ssh"
      |         ^^^^^
      |
      = help: write `ssh.service`

    error: doors `admin` and `web` both guard tcp/443, and differ in `closed`
      --> klopf.toml:16:9
       |
    16 | guard = ["tcp/80", "tcp/443"]
       |         ^^^^^^^^^^^^^^^^^^^^^
       |
       = help: write the same `closed` in both, or guard other ports

    error: `forward` names one port, and `guard` more than one
      --> klopf.toml:17:11
       |
    17 | forward = "10.0.0.5:80"
       |           ^^^^^^^^^^^^^
       |
       = help: write `forward = "10.0.0.5"`, which keeps the port, or a door for each port

    error: `max-leases` needs `guard`
      --> klopf.toml:21:1
       |
    21 | max-leases = 5
       | ^^^^^^^^^^
       |
       = help: add the ports to close, e.g. `guard = ["tcp/22"]`, or remove it

    warning: a guard of udp/68 shuts out DHCP: this host may lose its address
     --> klopf.toml:3:20
      |
    3 | guard = ["tcp/22", "udp/60-70", "tcp/20-30", "udp/546"]
      |                    ^^^^^^^^^^^
      |
      = help: leave out 68, unless its address is fixed

    warning: `tcp/22` and `tcp/20-30` overlap
     --> klopf.toml:3:33
      |
    3 | guard = ["tcp/22", "udp/60-70", "tcp/20-30", "udp/546"]
      |                                 ^^^^^^^^^^^
      |
      = help: both are guarded; write each port once

    warning: a guard of udp/546 shuts out DHCPv6: this host may lose its address
     --> klopf.toml:3:46
      |
    3 | guard = ["tcp/22", "udp/60-70", "tcp/20-30", "udp/546"]
      |                                              ^^^^^^^^^
      |
      = help: leave out 546, unless its address is fixed

    warning: a port scan could hit the sequence of `web`: its numbers only rise
      --> klopf.toml:15:12
       |
    15 | sequence = [1337, 23000, 42000]
       |            ^^^^^^^^^^^^^^^^^^^^
       |
       = help: take three or more ports, far apart, that do not only rise

    warning: nothing happens when door `command` opens
      --> klopf.toml:19:7
       |
    19 | [door.command]
       |       ^^^^^^^
       |
       = help: add `guard = ["tcp/22"]`, or a command: `on-open = ["/etc/init.d/ssh", "start"]`
    "#);
}

fn ranges() -> impl Strategy<Value = Vec<PortRange>> {
    let proto = prop_oneof![Just(Proto::Tcp), Just(Proto::Udp)];
    let range =
        (proto, 1..12_u16, 0..4_u16).prop_map(|(proto, first, more)| PortRange { proto, first, last: first + more });
    prop::collection::vec(range, 1..4)
}

fn ports_of(ranges: &[PortRange]) -> Vec<(Proto, u16)> {
    ranges.iter().flat_map(|range| (range.first..=range.last).map(|port| (range.proto, port))).collect()
}

fn written(ranges: &[PortRange]) -> String {
    ranges.iter().map(|range| format!("\"{range}\",")).collect()
}

proptest! {
    #[test]
    fn a_guard_has_each_of_its_ports_once(ranges in ranges()) {
        let guard = read(&format!("{HEAD}guard = [{}]", written(&ranges))).config.doors.remove(0).guard;
        let ports: BTreeSet<_> = ports_of(&ranges).into_iter().collect();
        prop_assert_eq!(ports_of(&guard).len(), ports.len());
        prop_assert_eq!(ports_of(&guard).into_iter().collect::<BTreeSet<_>>(), ports);
    }

    /// Compared port by port.
    #[test]
    fn each_disagreement_is_found(all in prop::collection::vec((ranges(), 0..3_usize), 1..9)) {
        let lines: Vec<_> = all
            .iter()
            .map(|(ranges, terms)| {
                let terms = ["", "closed = \"reject\"", "if-klopfd-dies = \"open\""][*terms];
                format!("guard = [{}]\n{terms}", written(ranges))
            })
            .collect();
        let mut owners = HashMap::new();
        let mut expected = Vec::new();
        for (index, (ranges, terms)) in all.iter().enumerate() {
            let ports = ports_of(ranges);
            if ports.iter().any(|port| owners.get(port).is_some_and(|other| other != terms)) {
                expected.push(index * 4 + 3);
            } else {
                owners.extend(ports.into_iter().map(|port| (port, *terms)));
            }
        }
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let found = check("klopf.toml", doors(&lines).as_bytes()).faults;
        prop_assert_eq!(found.iter().map(|fault| fault.line).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn anything_like_a_guard_is_fine(
        lines in prop::collection::vec(
            "(\\[door\\.[ab]\\]|guard = \\[('(tcp|udp)/[0-9]{1,2}(-[0-9]{0,2})?',?){0,3}\\]|\
            (closed|if-klopfd-dies|forward|start|max-leases|allow-prefix6?|close-on-disconnect) = \
            (true|-?[0-9]{1,11}|'(drop|reject|open|[0-9.:\\[\\]f%]{0,9}|[a-z@.\\\\]{0,3}(\\.service)?)'))",
            0..12,
        ),
    ) {
        let text = lines.join("\n");
        let found = check("klopf.toml", text.as_bytes());
        prop_assert_eq!(found.faults.is_empty(), parse("klopf.toml", &text).is_ok());
        for fault in found.faults.iter().chain(&found.warnings) {
            prop_assert!(fault.to_string().contains("help: "));
        }
    }
}
