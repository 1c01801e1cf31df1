//! No fault shows a secret.

use super::sealed::{PSK, PUBLIC};
use super::*;

const TOTP: &str = "JBSWY3DPEHPK3PXP";

/// Everything that is said about the files, plain and coloured.
fn said(main: &str, keys: &[(&str, &str)]) -> String {
    let keys: Vec<_> = keys.iter().map(|(name, text)| Source { name, bytes: text.as_bytes() }).collect();
    let (config, faults, warnings) = examine(Source { name: "klopf.toml", bytes: main.as_bytes() }, &keys);
    let both = |fault: &Fault| format!("{fault}\n{}\n{fault:?}\n", fault.coloured());
    faults.iter().chain(&warnings).map(both).collect::<String>() + &format!("{config:?}")
}

fn last(main: &str) -> String {
    examine(Source { name: "klopf.toml", bytes: main.as_bytes() }, &[]).1.last().map(ToString::to_string).unwrap()
}

#[test]
fn debug_does_not_show_secrets() {
    let text = format!("[key.a]\npublic = \"{}\"\npsk = \"{PSK}\"\ntotp = \"{TOTP}\"", PUBLIC[0]);
    let shown = format!("{:?}", read(&text).keys);
    assert!(shown.contains("Psk(secret)") && shown.contains("Some(Totp(secret))"), "{shown}");
    assert!(!shown.contains(PSK) && !shown.contains("33, 222"), "{shown}");
}

#[test]
fn a_fault_of_a_secret_shows_its_place_and_not_its_value() {
    insta::assert_snapshot!(last("[key.a]\n  psk = \"secret\" # of the laptop"), @r#"
    error: `psk`: a key of this kind has 43 characters, and here are 6
     --> klopf.toml:2:9
      |
    2 |   psk = "…"
      |         ^^^
      |
      = help: copy it once more, whole and without spaces
    "#);
    insta::assert_snapshot!(last("[key.a]\npsk = 'secret"), @r#"
    error: invalid literal string, expected `'`
     --> klopf.toml:2:7
      |
    2 | psk = "…"
      |       ^
      |
      = help: write `key = value`, texts in double quotes, lists in square brackets
    "#);
    insta::assert_snapshot!(last("[key.a]\ndoors = [\n  \"a b\",\n]"), @r#"
    error: `a b` cannot be the name of a door
     --> klopf.toml:3:3
      |
    3 |   "a b",
      |   ^^^^^
      |
      = help: write a name as in `[door.NAME]`
    "#);
}

#[test]
fn no_disorder_shows_a_secret() {
    for secret in [PSK, TOTP, "VERY/SECRET+AND=BROKEN=="] {
        for text in [
            // Right, and with the wrong type, length, quotes or place.
            "psk = \"@\"",
            "totp = \"@\"",
            "psk = \"@",
            "psk = '@'x",
            "psk = @",
            "psk = [\"@\"]",
            "psk = { \"@\" = 1 }",
            "psk \"@\"",
            "psk: \"@\"",
            "PSK = \"@\"",
            "psk == \"@\"",
            "psk =\n\"@\"",
            "psk =\n@ # x",
            "psk = \"\"\"\n@\\q\n\"\"\"",
            "psk = \"\"\"\n@\n\"\"\" x",
            "psk = '''\n@\n'''\npsk = 5 5",
            "psk = \"\"\"@\"",
            "psk = [\n\"@\",\n@\n]",
            "psk = \"x\" \"@\"",
            "psk = \"@\"\npsk = \"@\"",
            "pks = \"@\"",
            "pks = @",
            "totq = \"@\"\ntotq = @",
            "\"@\"",
            "@",
            "@ = 1",
            "\"@\" = 1",
            "= \"@\"",
            "# \u{1} @",
            "doors = [\"ssh\"]\n\"@\"",
            "doors = [\n\"ssh\"\n]\n@",
            "hours = \"@\" # psk",
            "once = true, psk = \"@\"",
            "expires = 2027-01-01 psk = @",
            "once = true psk = \"@\"\n@",
            "\u{1}psk = \"@\"",
            "psk\u{1} = \"@\"",
            "[\"@\"]",
            "psk = \"@\\",
        ] {
            // What is quoted as a value that is no secret by its key may be shown.
            if text.starts_with("hours") {
                continue;
            }
            let text = text.replace('@', secret);
            let inline = text.replace('\n', " ");
            for main in [
                format!("[key.a]\n{text}\n"),
                format!("[key.a]\npublic = \"{}\"\n{text}\nmax-uses = 0\n", PUBLIC[0]),
                format!("[key.a\n{text}\n"),
                format!("[kye.a]\n{text}\n"),
                format!("[key.a] {inline}\n"),
                format!("[door.a]\nsequence = [9, 5, 7]\n[key.a]\r\n{text}\r\n"),
                format!("[[key]]\n{text}\n"),
                format!("key.a.{text}\n"),
                format!("[key]\na.{text}\na = {{ {inline} }}\n"),
            ] {
                assert!(!said(&main, &[]).contains(secret), "{main}\n{}", said(&main, &[]));
            }
            for file in [text.clone(), format!("{text}\n[key.a]\n{text}"), format!("\u{feff}{text}\r\nonce = 1")] {
                let said = said("", &[("keys.d/a.toml", &file)]);
                assert!(!said.contains(secret), "{file}\n{said}");
            }
        }
    }
}

#[test]
fn a_secret_in_another_section_is_not_shown() {
    for line in [
        "psk = \"@\"",
        "psk = @",
        "pks = \"@\" x",
        "totp = '@",
        "log = \"@\" x",
        "psk =\n@",
        "key = { a = { psk = \"@\" } } x",
        "key.a.pks = @",
    ] {
        for section in ["", "[daemon]\n", "[door.a]\n", "[packet]\n"] {
            let main = format!("{section}{}\n", line.replace('@', PSK));
            assert!(!said(&main, &[]).contains(PSK), "{main}\n{}", said(&main, &[]));
        }
    }
}

#[test]
fn bytes_that_are_no_text_show_no_secret() {
    let mut text = format!("[key.a]\npsk = \"{PSK}").into_bytes();
    text.extend(b"\xff\"\n");
    let faults = parse_bytes("klopf.toml", &text).unwrap_err();
    assert!(!faults.to_string().contains(PSK), "{faults}");
}

#[test]
fn lines_without_secrets_are_shown() {
    for (text, line) in [
        ("[key.a]\nonce = 1", "once = 1"),
        ("[key.a]\nhours = [\n  \"08:00\",\n]", "  \"08:00\","),
        ("[key.a]\n  doors = [\"a b\"] # x", "  doors = [\"a b\"] # x"),
        ("[key.a]\n\npublic = \"x\"", "public = \"x\""),
        ("[key.a]\n[door.b]\nwithin = 5", "within = 5"),
        ("[key.a]\nonces = true", "onces = …"),
        ("[key.a]\ndoors = [\"a b\"] # psk of x", "doors = [\"a b\"] # psk …"),
        ("[door.b]\nsecond-factor = \"totpp\"", "second-factor = \"totpp\""),
        ("[packet]\nport = 0", "port = 0"),
        ("[dor.a]", "[dor.a]"),
    ] {
        let shown: String = faults_shown(text);
        assert!(shown.contains(&format!("| {line}\n")), "{shown}");
    }
}

fn faults_shown(text: &str) -> String {
    parse("klopf.toml", text).unwrap_err().to_string()
}

proptest! {
    #[test]
    fn a_secret_among_anything_is_not_shown(
        before in prop::collection::vec("(\\[{0,2}(key|door|kye)(\\.a)?\\]{0,2}|(once|doors|psk|totp|pu|hours) ?=? ?[\\[\"'{5,]{0,3})", 0..4),
        word in "(psk|totp|psk2|key\\.a\\.psk)",
        quote in "(\"|'|\"\"\"|\"\"\"\n|''')?",
        after in "[\"'\\]}\n5a=]{0,4}",
    ) {
        let text = format!("{}\n{word} = {quote}{PSK}{after}\n", before.join("\n"));
        prop_assert!(!said(&text, &[("keys.d/a.toml", &text)]).contains(PSK), "{}", said(&text, &[]));
    }
}

/// Somebody pastes a secret into the wrong place.
#[test]
fn a_secret_in_the_place_of_another_value_is_not_repeated() {
    const FACTOR: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
    let main = Source { name: "klopf.toml", bytes: b"[door.ssh]\nguard = [\"tcp/22\"]\nkeys = [\"*\"]\n" };
    for line in
        ["doors = [\"{}\"]", "hours = [\"{}\"]", "networks = [\"{}\"]", "max-open-for = \"{}\"", "expires = \"{}\""]
    {
        for secret in [sealed::PSK, FACTOR, &FACTOR.to_lowercase()] {
            let line = line.replace("{}", secret);
            let text = format!("public = \"{}\"\npsk = \"{}\"\n{line}\n", sealed::PUBLIC[0], sealed::PSK);
            let key = Source { name: "keys.d/laptop.toml", bytes: text.as_bytes() };
            let faults = parse_files(main, &[key]).unwrap_err();
            for fault in faults.iter() {
                let (text, help) = (&fault.text, &fault.help);
                assert!(!text.contains(secret) && !help.contains(secret), "{line}: {text}; {help}");
            }
        }
    }
}

#[test]
fn no_disorder_shows_a_password() {
    const PASSWORD: &str = "hunter2";
    for line in [
        "imap = \"imaps://ada:$@mail.example/\"",
        "imap = \"imaps://ada:$@mail.example/",
        "imap = \"imaps://ada:$\" 5",
        "imap = \"imaps://ada:x/$@mail.example/\"",
        "imap = \"imaps://ada:x@y:$@mail.example/\"",
        "imap = \"ada:$@mail.example\"",
        "imap = imaps://ada:$@mail.example/",
        "imap = [\"imaps://ada:$@mail.example/\"]",
        "imap = \"\"\"\nimaps://ada:$@mail.example/\"\"\" x",
        "maildir = \"imaps://ada:$@mail.example/\"",
        "taken = \"imaps://ada:$@mail.example/\"",
        "url = \"https://ada:$@example.org/\"",
        "url = \"https://example.org/?key=$#\"",
        "url = \"http://example.org/?key=$\" x",
        "format = \"https://example.org/?key=$\"",
        "password = \"$\"",
        "password = '$",
        "password = \"$\" x",
        "password: $",
        "pasword = \"$\" x",
        "passphrase = $",
        "password-file = $",
        "password-file = \"$\" x",
        "password-file = [\"$\"]",
        "password_file = \"$\"",
        "secret = \"$\" x",
        "work = { password = \"$\" } x",
    ] {
        let line = line.replace('$', PASSWORD);
        for section in ["[mail.work]\n", "[guestbook.a]\n", "[mail.work\n", "[mial.work]\n", "[mail]\n", "mail.a.", ""]
        {
            let inline = line.replace('\n', " ");
            for main in [format!("{section}{line}\n"), format!("{section}every = \"1\"\n{inline}\nevery = 5 5\n")] {
                // What has its place elsewhere is a value like others there.
                let elsewhere = section.is_empty() && (line.starts_with("secret") || line.starts_with("password_file"));
                let said = said(&main, &[]);
                assert!(elsewhere || !said.contains(PASSWORD), "{main}\n{said}");
            }
        }
    }
    for line in ["guestbooks = [\"https://example.org/?key=$\"]", "password = \"$\"", "keys = [\"imaps://a:$\"]"] {
        for section in ["[daemon]\n", "[door.a]\nsequence = [9, 5, 7]\n", "[packet]\n", ""] {
            let main = format!("{section}{}\n", line.replace('$', PASSWORD));
            assert!(!said(&main, &[]).contains(PASSWORD), "{main}\n{}", said(&main, &[]));
        }
    }
}

#[test]
fn what_is_no_password_is_shown() {
    for (text, line) in [
        ("[mail.a]\nimap = \"imaps://ada@mail.example:0/\"", "imap = \"imaps://ada@mail.example:0/\""),
        ("[mail.a]\npassword-file = \"/etc/p\" x", "password-file = \"/etc/p\" x"),
        ("[guestbook.a]\nurl = \"http://[::1]:80/a\"", "url = \"http://[::1]:80/a\""),
        ("[guestbook.a]\nallow-private = [\n  \"a\",\n]", "  \"a\","),
        ("[mail.a]\nmaildir = \"/m\"\nevery = 5", "every = 5"),
    ] {
        let shown = faults_shown(text);
        assert!(shown.contains(&format!("| {line}\n")), "{shown}");
    }
    let config = read("[guestbook.a]\nurl = \"https://example.org/book?key=hunter2\"");
    assert!(!format!("{config:?}").contains("hunter2"));
    assert_eq!(config.guestbooks[0].url.to_string(), "https://example.org/…");
}
