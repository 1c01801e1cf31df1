//! What a file says of sealed knocks.

use klopf_spa::{Name, PacketPort, Psk, Public, Shape};

use super::*;

pub(super) const PUBLIC: [&str; 3] = [
    "Be7hH48GWozJaGJWSJr5NSEwYKV4xfYB7J4UHnhrOw8gWFEQfSBISNAl8l3DGHlgbpWZuBoSsKrLKVSVdoziUA",
    "kKVikX68QiShUXNrv17pMGk-R4FbLvTjfJh2hIlZW36FPG_vvoEll8ReDMmF83dcsMdjrDxlIaN0fsol1wC16w",
    "LChMh46XJLDs3i-ns9YP5ydGVEPNxVbJ6tTQoeRuqhwJLK8VmOwerE-9BfeiSx1JcvLKkVTIK5htqolOMrhSzg",
];
pub(super) const PSK: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
const DOOR: &str = "[door.ssh]\nguard = [\"tcp/22\"]\n";

/// A section of a key, the `n`th of three.
pub(super) fn key(name: &str, n: usize, rest: &str) -> String {
    format!("[key.{name}]\npublic = \"{}\"\npsk = \"{PSK}\"\n{rest}\n", PUBLIC[n])
}

/// The key `a` with a term, and a door for it.
fn term(line: &str) -> String {
    format!("{}{DOOR}keys = [\"a\"]\n", key("a", 0, line))
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// File, line, column and text of each fault and each warning.
fn files(main: &str, keys: &[(&str, &str)]) -> Vec<String> {
    let source = |name, text: &'static str| Source { name, bytes: text.as_bytes() };
    let leaked = |text: &str| -> &'static str { text.to_owned().leak() };
    let keys: Vec<_> = keys.iter().map(|(name, text)| source(name, leaked(text))).collect();
    let (_, faults, warnings) = examine(source("klopf.toml", leaked(main)), &keys);
    let shown = |fault: &Fault| format!("{}:{}:{}: {}", fault.file, fault.line, fault.column, fault.text);
    faults.iter().chain(&warnings).map(shown).collect()
}

fn helps(text: &str) -> Vec<String> {
    parse("klopf.toml", text).unwrap_err().iter().map(|fault| fault.help.clone()).collect()
}

#[test]
fn every_key_of_sealed_knocks_is_read() {
    let rest = r#"
        doors = ["ssh"]
        not-before = 2026-11-22T08:00:00Z
        expires = 2027-01-01T00:00:00Z
        join-before = 2026-11-23T12:00:00+01:00
        once = true
        hours = ["mon-fri 08:00-18:00", "22:00-06:00"]
        max-uses = 10
        max-open-for = "1h"
        networks = ["192.0.2.0/24", "2001:db8::/32"]
        no-clock = true
        totp = "JBSW Y3DP ehpk 3pxp"
        [door.ssh]
        guard = ["tcp/22"]
        keys = ["laptop"]
        second-factor = "totp"
        via = ["packet"]
        [packet]
        port = 51900
        shape = "quic"
        window = "90s"
    "#;
    let mut config = read(&key("laptop", 0, rest));
    assert_eq!(warnings(&key("laptop", 0, rest)), [""; 0]);
    let network = |address: &str, prefix| Network { address: address.parse().unwrap(), prefix };
    let expected = Key {
        name: name("laptop"),
        public: Public::parse(PUBLIC[0]).unwrap(),
        psk: Psk::parse(PSK).unwrap(),
        doors: Some(vec![name("ssh")]),
        not_before: Some(1_795_334_400),
        expires: Some(1_798_761_600),
        join_before: Some(1_795_431_600),
        once: true,
        hours: vec![
            Hours { days: [true, true, true, true, true, false, false], from: 480, to: 1080 },
            Hours { days: [true; 7], from: 1320, to: 360 },
        ],
        max_uses: Some(10),
        max_open_for: Some(Duration::from_secs(3600)),
        networks: vec![network("192.0.2.0", 24), network("2001:db8::", 32)],
        no_clock: true,
        totp: config.keys[0].totp.clone(),
        revoked_sheets: Vec::new(),
    };
    assert_eq!(config.keys, [expected]);
    assert_eq!(config.keys[0].totp.as_ref().unwrap().bytes(), b"Hello!\xde\xad\xbe\xef");
    let door = config.doors.remove(0);
    assert_eq!(door.keys, Some(KeyList::Named(vec![name("laptop")])));
    assert_eq!((door.second_factor, door.via, door.sequence.len()), (true, Some(vec![Way::Packet]), 0));
    let packet = Packet { port: Some(PacketPort::Fixed(51900)), shape: Shape::Quic, window: Duration::from_secs(90) };
    assert_eq!(config.packet, packet);
}

#[test]
fn what_is_not_written_of_sealed_knocks_has_defaults() {
    let config = read(&term(""));
    assert_eq!(config.packet, Packet { port: None, shape: Shape::None, window: Duration::from_secs(120) });
    let key = &config.keys[0];
    assert_eq!((key.once, key.no_clock, key.max_uses, key.doors.is_none()), (false, false, None, true));
    assert_eq!(read("packet.port = \"hop\"").packet.port, Some(PacketPort::Hop));
    for (word, shape) in [("none", Shape::None), ("dns", Shape::Dns), ("ntp", Shape::Ntp)] {
        assert_eq!(read(&format!("packet.shape = \"{word}\"")).packet.shape, shape);
    }
}

#[test]
fn a_file_of_keys_d_is_the_key_of_its_name() {
    let text = key("x", 0, "doors = [\"ssh\"]");
    let text = text.strip_prefix("[key.x]\n").unwrap();
    let main = format!("{}{DOOR}", key("phone", 1, "doors = [\"ssh\"]"));
    let file = Source { name: "/etc/klopf/keys.d/laptop.toml", bytes: text.as_bytes() };
    let config = parse_files(Source { name: "klopf.toml", bytes: main.as_bytes() }, &[file]).unwrap().config;
    assert_eq!(config.keys.iter().map(|key| key.name.to_string()).collect::<Vec<_>>(), ["phone", "laptop"]);
    assert!(config.keys.iter().all(|key| Config::may_open(key, &config.doors[0])));

    assert_eq!(
        files(DOOR, &[("keys.d/a b.toml", text), ("keys.d/b.toml", "")]),
        [
            "keys.d/a b.toml:1:1: a file `a b.toml` names no key",
            "keys.d/b.toml:1:1: key `b` has no `public`",
            "keys.d/b.toml:1:1: key `b` has no `psk`",
        ]
    );
    // Each file has its own faults, whatever the others have.
    assert_eq!(
        files(
            &main,
            &[("keys.d/a.toml", &key("a", 0, "")), ("keys.d/b.toml", "once = 1\npsk = "), ("keys.d/c.toml", "x")]
        ),
        [
            "keys.d/a.toml:1:2: this file is key `a` as a whole",
            "keys.d/b.toml:1:8: `once` must be true or false, not an integer",
            "keys.d/b.toml:2:7: string values must be quoted",
            "keys.d/c.toml:1:1: key with no value, expected `=`",
        ]
    );
    let not_text = Source { name: "keys.d/a.toml", bytes: b"x\xff" };
    let faults = parse_files(Source { name: "klopf.toml", bytes: b"" }, &[not_text]).unwrap_err();
    assert_eq!((faults.0[0].file.as_str(), faults.0.len()), ("keys.d/a.toml", 1));
}

#[test]
fn who_may_open_is_said_by_the_door_and_by_the_key() {
    let of_key = [None, Some("[\"ssh\"]"), Some("[\"web\"]"), Some("[\"web\", \"ssh\"]")];
    let of_door = [None, Some("[\"a\"]"), Some("[\"b\"]"), Some("[\"*\"]"), Some("[\"b\", \"*\"]")];
    let expected = [
        [false, true, false, true],
        [true, true, false, true],
        [false, false, false, false],
        [true, true, false, true],
        [true, true, false, true],
    ];
    for (keys, row) in of_door.iter().zip(expected) {
        for (doors, may) in of_key.iter().zip(row) {
            let line =
                |word, value: &Option<&str>| value.map(|value| format!("{word} = {value}\n")).unwrap_or_default();
            let text = format!(
                "{}{}{DOOR}{}[door.web]\nsequence = [9, 5, 7]\n",
                key("a", 0, &line("doors", doors)),
                key("b", 1, ""),
                line("keys", keys)
            );
            let config = read(&text);
            assert_eq!(Config::may_open(&config.keys[0], &config.doors[0]), may, "{keys:?} {doors:?}");
        }
    }
}

#[test]
fn wrong_values_of_sealed_knocks_are_told() {
    for (line, expected) in [
        ("port = 0", "2:8: a port is 1 to 65535"),
        ("port = 65536", "2:8: a port is 1 to 65535"),
        ("port = \"51900\"", "2:8: `51900` is no port for packets"),
        ("port = true", "2:8: `port` must be a number or `\"hop\"`, not a boolean"),
        ("shape = \"tls\"", "2:9: `shape` cannot be `tls`"),
        ("window = 120", "2:10: `window` must be a string, not an integer"),
        ("window = \"999ms\"", "2:10: `999ms` is too short"),
        ("window = \"61m\"", "2:10: `61m` is too long"),
    ] {
        assert_eq!(faults(&format!("[packet]\n{line}")), [expected]);
    }
    assert_eq!(helps("packet.shape = \"x\""), ["write `none`, `dns`, `ntp` or `quic`"]);
    for (line, expected) in [
        ("doors = \"ssh\"", "4:9: `doors` must be a list, not a string"),
        ("doors = []", "4:9: `doors` names no door"),
        ("doors = [\"a b\"]", "4:10: `a b` cannot be the name of a door"),
        ("doors = [\"shh\"]", "4:10: there is no door `shh`"),
        ("not-before = 2027-01-01T00:00:00", "4:14: `not-before` does not say in which time zone"),
        ("expires = 2027-01-01", "4:11: `expires` needs a date and a time"),
        ("expires = \"2027-01-01T00:00:00Z\"", "4:11: `expires` must be a date and time, not a string"),
        ("join-before = 08:00:00", "4:15: `join-before` needs a date and a time"),
        ("once = 1", "4:8: `once` must be true or false, not an integer"),
        ("no-clock = \"yes\"", "4:12: `no-clock` must be true or false, not a string"),
        ("hours = \"mon\"", "4:9: `hours` must be a list, not a string"),
        ("hours = []", "4:9: `hours` names no time"),
        ("hours = [\"mon-fry 08:00-18:00\"]", "4:10: `mon-fry 08:00-18:00` is no time of the week"),
        ("hours = [8]", "4:10: `hours` must be a string, not an integer"),
        ("max-uses = 0", "4:12: `max-uses` is 1 to 4294967295"),
        ("max-open-for = \"31d\"", "4:16: `31d` is too long"),
        ("networks = []", "4:12: `networks` names no network"),
        ("networks = [\"192.0.2.1/24\"]", "4:13: `192.0.2.1/24` is an address within a network"),
        ("totp = 5", "4:8: `totp` must be a string, not an integer"),
        ("totp = \"JBSWY3DPEHPK3PX1\"", "4:8: `totp` is not base32"),
        ("totp = \"JBSWY3DP\"", "4:8: `totp` is 5 bytes long, and not 10 to 64"),
        ("totp = \"\"", "4:8: `totp` is 0 bytes long, and not 10 to 64"),
        ("experis = 5", "4:1: unknown key `experis` in key `a`"),
        ("guard = [\"tcp/22\"]", "4:1: unknown key `guard` in key `a`"),
    ] {
        assert_eq!(faults(&term(line)), [expected]);
    }
    let times = vec!["\"08:00-09:00\""; 65].join(",");
    assert_eq!(faults(&term(&format!("hours = [{times}]"))), ["4:906: `hours` has more than 64 times"]);
    for (line, expected) in [
        ("keys = \"*\"", "3:8: `keys` must be a list, not a string"),
        ("keys = []", "3:8: `keys` names no key"),
        ("keys = [\"a b\"]", "3:9: `a b` cannot be the name of a key"),
        ("second-factor = \"sms\"", "3:17: `second-factor` cannot be `sms`"),
        ("second-factor = true", "3:17: `second-factor` must be a string, not a boolean"),
        ("via = \"packet\"", "3:7: `via` must be a list, not a string"),
        ("via = []", "3:7: `via` names no way to knock"),
        ("via = [\"packets\"]", "3:8: `packets` is no way to knock"),
        ("via = [\"logs\"]", "3:8: `logs` is no way to knock"),
        ("via = [\"sequence\", \"encrypted\"]", "3:20: `encrypted` is no way to knock"),
    ] {
        assert_eq!(faults(&format!("{DOOR}{line}\nsequence = [9, 5, 7]")), [expected]);
    }
    assert_eq!(helps("[door.a]\nvia = [\"mails\"]"), ["did you mean `mail`?"]);
}

#[test]
fn keys_have_names_and_both_halves() {
    assert_eq!(faults("key = 5"), ["1:7: `key` must be a section"]);
    assert_eq!(faults("packet = 5"), ["1:10: `packet` must be a section"]);
    assert_eq!(faults("[key]\na = 5"), ["2:1: key `a` must be a section"]);
    assert_eq!(
        faults("[key.\"a b\"]\n"),
        ["1:6: `a b` cannot be the name of a key", "1:6: key `a b` has no `public`", "1:6: key `a b` has no `psk`"]
    );
    for (public, psk, expected) in [
        (&PUBLIC[0][1..], PSK, "2:10: `public`: a key of this kind has 86 characters, and here are 85"),
        (&PUBLIC[0].replace('h', "/"), PSK, "2:10: `public`: character 4 is none of A-Z a-z 0-9 - _"),
        (&"A".repeat(86), PSK, "2:10: `public`: it has the form of a key and is none"),
        (PUBLIC[0], &PSK[1..], "3:7: `psk`: a key of this kind has 43 characters, and here are 42"),
        (PUBLIC[0], &PSK.replace('B', "="), "3:7: `psk`: character 4 is none of A-Z a-z 0-9 - _"),
    ] {
        assert_eq!(faults(&format!("[key.a]\npublic = \"{public}\"\npsk = \"{psk}\"")), [expected]);
    }
    assert_eq!(faults(&format!("psk = \"{PSK}\"")), ["1:1: `psk` belongs to a key"]);
    assert_eq!(faults("window = \"2m\""), ["1:1: `window` belongs to `[packet]`"]);
}

#[test]
fn terms_that_leave_no_time_are_told() {
    let terms = "not-before = 2027-01-01T00:00:00Z\nexpires = 2027-01-01T01:00:00+01:00";
    assert_eq!(faults(&term(terms)), ["5:11: key `a` expires before its `not-before`"]);
    let terms = "not-before = 2027-01-01T00:00:00Z\nexpires = 2027-01-01T00:00:01Z";
    assert_eq!(faults(&term(terms)), [""; 0]);
}

#[test]
fn names_that_lead_nowhere_are_told() {
    let text = format!("{}{DOOR}keys = [\"laptop\", \"laptpo\", \"phone\"]", key("laptop", 0, ""));
    assert_eq!(faults(&text), ["7:19: there is no key `laptpo`", "7:29: there is no key `phone`"]);
    assert_eq!(
        helps(&text),
        ["did you mean `laptop`?", "add `[key.phone]`, or a file keys.d/phone.toml, or leave it out"]
    );
    assert_eq!(helps(&term("doors = [\"shh\"]")), ["did you mean `ssh`?"]);
    let text = format!("public = \"{}\"\npsk = \"{PSK}\"\ndoors = [\"x\"]", PUBLIC[0]);
    assert_eq!(files("", &[("keys.d/a.toml", &text)]), ["keys.d/a.toml:3:10: there is no door `x`"]);
    // What is not TOML may have it.
    assert_eq!(files("[door.x\n", &[("keys.d/a.toml", &text)]), ["klopf.toml:1:8: unclosed table, expected `]`"]);
    let main = format!("{DOOR}keys = [\"a\"]");
    assert_eq!(
        files(&main, &[("keys.d/a.toml", "psk = 5 5")]).iter().filter(|fault| fault.contains("no key")).count(),
        0
    );
}

#[test]
fn what_is_written_twice_is_told() {
    let text = format!("{}{}{DOOR}keys = [\"*\"]", key("a", 0, ""), key("b", 0, ""));
    assert_eq!(faults(&text), ["6:10: keys `a` and `b` are one and the same"]);
    let file = format!("public = \"{}\"\npsk = \"{PSK}\"", PUBLIC[1]);
    let main = format!("{}{DOOR}keys = [\"*\"]", key("a", 0, ""));
    assert_eq!(
        files(&main, &[("keys.d/a.toml", &file), ("keys.d/b.toml", &file)]),
        [
            "klopf.toml:1:6: key `a` is in keys.d/a.toml, too",
            "keys.d/b.toml:1:10: keys `a` and `b` are one and the same"
        ]
    );
}

#[test]
fn doors_that_nothing_opens_are_warned_of() {
    let only = "only `klopf grant` can open door `ssh`";
    let a = key("a", 0, "");
    for (lines, keys, expected) in [
        ("", "", &[only][..]),
        ("sequence = [9, 5, 7]", "", &[]),
        ("keys = [\"a\"]", &a, &[]),
        ("", &a, &[only]),
        ("", &key("a", 0, "doors = [\"ssh\"]"), &[]),
        ("keys = [\"*\"]", "", &["there is no key yet that opens door `ssh`"]),
        ("keys = [\"a\"]\nvia = [\"sequence\"]", &a, &[only]),
        ("sequence = [9, 5, 7]\nvia = [\"packet\"]", "", &[only]),
        (
            "sequence = [9, 5, 7]\nkeys = [\"a\"]\nvia = [\"packet\"]",
            &a,
            &["the sequence of door `ssh` opens nothing: `via` leaves it out"],
        ),
        (
            "sequence = [9, 5, 7]\nkeys = [\"a\"]\nvia = [\"sequence\"]",
            &a,
            &["no key opens door `ssh`: its `via` leaves out `packet`"],
        ),
        (
            "sequence = [9, 5, 7]\nvia = [\"packet\", \"sequence\"]",
            &a,
            &["no key may open door `ssh`, so it does not open via `packet`"],
        ),
        ("keys = [\"a\"]\nvia = [\"packet\", \"sequence\"]", &a, &["door `ssh` has no sequence"]),
        (
            "sequence = [9, 5, 7]\nsecond-factor = \"totp\"",
            "",
            &[
                "the sequence of door `ssh` opens it without a second factor",
                "no key opens door `ssh`, so it asks for no second factor",
            ],
        ),
    ] {
        assert_eq!(warnings(&format!("{DOOR}{lines}\n{keys}")), expected, "{lines}\n{keys}");
    }
    let sequence = |lines: &str| read(&format!("{DOOR}sequence = [9, 5, 7]\n{lines}")).doors[0].sequence.len();
    assert_eq!((sequence(""), sequence("via = [\"packet\"]")), (3, 0), "a sequence that opens nothing is none");
    // Who may open it is not known before the fault is mended.
    for lines in ["kyes = [\"a\"]", "vias = [\"packet\"]", "keys = [\"b\"]", "keys = 5"] {
        let (_, faults, warnings) =
            examine(Source { name: "klopf.toml", bytes: format!("{DOOR}{lines}\n{a}").as_bytes() }, &[]);
        assert_eq!((faults.len(), warnings), (1, vec![]), "{lines}");
    }
}

#[test]
fn keys_without_a_code_are_warned_of_at_doors_that_ask_for_one() {
    let totp = "totp = \"jbswy3dpehpk3pxp====\"";
    let text = format!(
        "{}{}{}{DOOR}keys = [\"a\", \"b\"]\nsecond-factor = \"totp\"",
        key("a", 0, totp),
        key("b", 1, ""),
        key("c", 2, "")
    );
    assert_eq!(warnings(&text), ["key `b` can never open door `ssh`, which asks for a code"]);
    assert_eq!(files(&text, &[]), ["klopf.toml:5:6: key `b` can never open door `ssh`, which asks for a code"]);
}

#[test]
fn the_placeholder_of_the_key_is_for_doors_with_keys() {
    let door = "[door.a]\nsequence = [9, 5, 7]\non-open = [\"/x\", \"{key}\"]\n";
    assert_eq!(warnings(door), ["a sequence has nothing to put in place of `{key}`"]);
    assert_eq!(warnings(&format!("{door}keys = [\"k\"]\n{}", key("k", 0, ""))), [""; 0]);
}

#[test]
fn lines_are_found_by_what_is_written_there() {
    let text = b"[daemon]\n\n[door.ssh]\nguard = [\"tcp/22\"]\nkeys = [\n  \"a\",\n]\n[key.a]\n= broken\n";
    for (path, line) in [
        (&["door", "ssh", "keys"][..], Some(5)),
        (&["door", "ssh"], Some(3)),
        (&["key", "a"], Some(8)),
        (&["key", "b"], None),
        (&["door", "ssh", "keys", "a"], None),
        (&[], None),
    ] {
        assert_eq!(line_of(text, path), line, "{path:?}");
    }
}

#[test]
fn packets_go_where_the_shape_or_the_server_says() {
    let server = klopf_spa::ServerKey::new([3; 32]).public();
    let (hop, fixed) = (klopf_spa::PacketPort::Hop, klopf_spa::PacketPort::Fixed);
    for (port, shape, expected) in [
        (None, Shape::None, fixed(server.port())),
        (None, Shape::Quic, fixed(443)),
        (Some(PacketPort::Fixed(7)), Shape::Dns, fixed(7)),
        (Some(PacketPort::Hop), Shape::Ntp, hop),
    ] {
        let way = Packet { port, shape, ..Packet::default() }.way(&server);
        assert_eq!(way.port, expected, "{port:?} {shape:?}");
        assert_eq!(way.shape.name(), format!("{shape:?}").to_lowercase());
    }
}
