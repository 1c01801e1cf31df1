//! What a file says of mails, guestbooks, and the tokens that come by them.

use klopf_spa::Name;

use super::sealed::{PSK, PUBLIC};
use super::*;

const FULL: &str = r#"
    [daemon]
    courier-user = "klopf-courier"
    [mail.work]
    imap = "imaps://ada%40example.org@Mail.example:1993/Knocks/New"
    password-file = "/etc/klopf/mail.password"
    taken = "move:Taken"
    require-dkim = ["Example.org", "example.net", "example.org"]
    every = "5s"
    ca-file = "ca.pem"
    [mail.plain]
    imap = "imap://ada@[::1]"
    password-file = "mail.password"
    insecure = true
    [mail.local]
    maildir = "/var/mail/klopf"
    taken = "delete"
    [mail.box]
    maildir = "/var/spool/klopf"
    drop-box = true
    [guestbook.a]
    url = "https://Example.org/guestbook?page=1"
    format = "html"
    every = "1d"
    user-agent = "Reader/1.0"
    ca-file = "/etc/klopf/ca.pem"
    [guestbook.b]
    url = "http://127.0.0.1:8080"
    insecure = true
    allow-private = ["127.0.0.1", "10.0.0.0/8"]
    [guestbook.c]
    url = "https://example.net/feed.xml"
    [door.vault]
    guard = ["tcp/8443"]
    keys = ["*"]
    guestbooks = ["c", "a", "b"]
    quorum = 2
    within = "30m"
    valid-for = "2d"
    via = ["packet", "guestbook"]
    [door.other]
    guard = ["tcp/22"]
    keys = ["*"]
    valid-for = "2d"
"#;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn key(rest: &str) -> String {
    format!("[key.k]\npublic = \"{}\"\npsk = \"{PSK}\"\n{rest}\n", PUBLIC[0])
}

fn minute(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// A sound mail with these lines in it, and a door for it.
fn mail(lines: &str) -> String {
    format!("[mail.m]\n{lines}\n[door.ssh]\nguard = [\"tcp/22\"]\nkeys = [\"*\"]\n{}", key(""))
}

fn imap(url: &str) -> String {
    mail(&format!("imap = \"{url}\"\npassword-file = \"p\""))
}

fn book(lines: &str) -> String {
    mail("maildir = \"/m\"").replace("[mail.m]\nmaildir = \"/m\"", &format!("[guestbook.g]\n{lines}"))
}

fn url(url: &str) -> String {
    book(&format!("url = \"{url}\""))
}

#[test]
fn every_key_of_sources_is_read() {
    let config = read(&format!("{FULL}{}", key("revoked-sheets = [2047, 17, 0, 17]")));
    assert_eq!(config.daemon.courier_user.as_deref(), Some("klopf-courier"));
    assert_eq!(config.keys[0].revoked_sheets, [0, 17, 2047]);
    let [work, plain, local, drop_box] = &config.mails[..] else { panic!("{:?}", config.mails) };
    let expected = Mail {
        name: name("work"),
        mailbox: Mailbox::Imap(Imap {
            host: "mail.example".into(),
            port: 1993,
            delivery: Delivery::Tls,
            user: "ada@example.org".into(),
            folder: "Knocks/New".into(),
            password_file: "/etc/klopf/mail.password".into(),
            every: Duration::from_secs(5),
            ca_file: Some("ca.pem".into()),
        }),
        taken: Taken::Move("Taken".into()),
        require_dkim: vec!["example.org".into(), "example.net".into()],
    };
    assert_eq!(*work, expected);
    let expected = Imap {
        host: "::1".into(),
        port: 143,
        delivery: Delivery::Plain,
        user: "ada".into(),
        folder: "INBOX".into(),
        password_file: "mail.password".into(),
        every: minute(1),
        ca_file: None,
    };
    assert_eq!((&plain.mailbox, &plain.taken), (&Mailbox::Imap(expected), &Taken::Mark));
    let maildir = |path: &str, drop_box| Mailbox::Maildir(Maildir { path: path.into(), drop_box });
    assert_eq!((&local.mailbox, &local.taken), (&maildir("/var/mail/klopf", false), &Taken::Delete));
    assert_eq!((&drop_box.mailbox, &drop_box.taken), (&maildir("/var/spool/klopf", true), &Taken::Delete));
    let [a, b, c] = &config.guestbooks[..] else { panic!("{:?}", config.guestbooks) };
    assert_eq!((a.url.as_str(), a.format), ("https://example.org/guestbook?page=1", Format::Html));
    assert_eq!((a.every, a.user_agent.as_deref()), (minute(1440), Some("Reader/1.0")));
    assert_eq!((a.insecure, a.ca_file.as_deref()), (false, Some("/etc/klopf/ca.pem")));
    assert_eq!((b.url.as_str(), b.insecure, b.allow_private.len()), ("http://127.0.0.1:8080/", true, 2));
    assert_eq!((c.format, c.every, &c.user_agent), (Format::Auto, minute(1), &None));
    let [vault, other] = &config.doors[..] else { panic!("{:?}", config.doors) };
    assert_eq!(vault.guestbooks, Some(vec![name("c"), name("a"), name("b")]));
    assert_eq!((vault.quorum, vault.share_within, vault.valid_for), (2, minute(30), minute(2880)));
    assert_eq!((&other.guestbooks, other.quorum, other.share_within), (&None, 1, minute(60)));
    assert!(!vault.takes(Way::Mail) && other.takes(Way::Mail) && other.takes(Way::Guestbook));
    let door = read("[door.a]\nsequence = [9, 5, 7]").doors.remove(0);
    assert_eq!((door.within, door.share_within, door.valid_for), (Duration::from_secs(5), minute(60), minute(1440)));
}

#[test]
fn a_slip_in_any_key_of_a_source_is_told() {
    for (section, keys) in [("mail", &mails::KEYS[..]), ("guestbook", &guestbooks::KEYS)] {
        for key in keys {
            let slip = format!("{key}x");
            let found = examine(Source { name: "", bytes: format!("[{section}.m]\n{slip} = 1").as_bytes() }, &[]).1;
            let found = found.iter().find(|fault| fault.line == 2).unwrap();
            assert_eq!(found.text, format!("unknown key `{slip}` in {section} `m`"));
            let names_it = found.help.contains(&format!("`{key}`"));
            assert!(names_it, "{slip}: {}", found.help);
            assert!(faults(&format!("{key} = 1"))[0].contains("belongs to a "), "{key} outside of its section");
        }
    }
    assert_eq!(faults("[mail]\nimap = 5"), ["2:1: mail `imap` must be a section"]);
    assert_eq!(faults("mail = 5"), ["1:8: `mail` must be a section"]);
    assert_eq!(
        faults("[guestbook.\"a b\"]\nurl = \"https://example.org\""),
        ["1:12: `a b` cannot be the name of a guestbook"]
    );
    assert_eq!(faults("[mials.a]"), ["1:2: unknown key `mials` in the file"]);
}

#[test]
fn wrong_mails_are_told() {
    let sound = "imap = \"imaps://a@b.example\"\npassword-file = \"p\"";
    for (lines, expected) in [
        ("", &["1:7: mail `m` says of no mailbox where it is"][..]),
        ("imap = \"imaps://a@b.example\"", &["2:1: mail `m` has no `password-file`"]),
        ("imap = \"imaps://a@b.example\"\npassword = \"x\"", &["3:1: a password does not belong into this file"]),
        ("imap = \"imaps://a@b.example\"\nPASSWD = 5", &["3:1: a password does not belong into this file"]),
        ("maildir = \"/m\"\nimap = \"imaps://a@b.example\"", &["2:1: mail `m` has `imap` and `maildir`"]),
        ("maildir = \"m\"", &["2:11: `maildir` must be an absolute path"]),
        ("maildir = \"/m\"\nevery = \"60s\"", &["3:1: `every` is for `imap`"]),
        ("maildir = \"/m\"\ninsecure = false", &["3:1: `insecure` is for `imap`"]),
        ("maildir = \"/m\"\ntaken = \"mark\"\ndrop-box = true", &["3:9: a `drop-box` keeps no mails"]),
        ("maildir = \"/m\"\ntaken = \"delete\"\ndrop-box = true", &[]),
        ("maildir = \"/m\"\ntaken = \"move:../x\"", &["3:9: `taken` cannot move mails to a folder of this name"]),
        ("maildir = \"/m\"\ntaken = \"move:.\"", &["3:9: `taken` cannot move mails to a folder of this name"]),
        ("SOUND\ndrop-box = true", &["4:1: `drop-box` is for a `maildir`"]),
        ("SOUND\ntaken = \"move:inbox\"", &["4:9: `taken` moves mails to the folder in which they are"]),
        ("SOUND\ntaken = \"move:\"", &["4:9: `taken` does not say where to move mails"]),
        ("SOUND\ntaken = \"move:a\\r\\nb\"", &["4:9: `taken` cannot move mails to a folder of this name"]),
        ("SOUND\ntaken = \"marked\"", &["4:9: `taken` cannot be `marked`"]),
        ("SOUND\nevery = \"4s\"", &["4:9: `4s` is too short"]),
        ("SOUND\nevery = \"25h\"", &["4:9: `25h` is too long"]),
        ("SOUND\nca-file = \"\"", &["4:11: `ca-file` names no file"]),
        ("SOUND\nrequire-dkim = []", &["4:16: `require-dkim` names no domain"]),
        ("SOUND\nrequire-dkim = [\"a@example.org\"]", &["4:17: `a@example.org` cannot be a domain"]),
        (
            "SOUND\nrequire-dkim = [\"org\", \"tür.example\"]",
            &["4:17: `org` cannot be a domain", "4:24: `tür.example` cannot be a domain"],
        ),
    ] {
        let lines = lines.replace("SOUND", sound);
        assert_eq!(faults(&mail(&lines)), expected, "{lines}");
    }
}

#[test]
fn wrong_addresses_of_mailboxes_are_told_and_not_repeated() {
    for (address, expected) in [
        ("imaps://a@b.example/", None),
        ("imaps://a@b.example/INBOX/", None),
        ("imap://a@192.0.2.1:1143/x", None),
        ("", Some("`imap` is no address")),
        ("mail.example", Some("`imap` is no address")),
        ("imaps://a@tür.example", Some("`imap` has letters beyond ASCII")),
        ("https://a@b.example", Some("`imap` is no address of a mailbox")),
        ("imaps://b.example", Some("`imap` does not say as whom to log in")),
        ("imaps://@b.example", Some("`imap` does not say as whom to log in")),
        ("imaps://a%0d@b.example", Some("`imap` does not say as whom to log in")),
        ("imaps://a:hunter2@b.example", Some("a password does not belong into `imap`")),
        ("imaps://a:hunter2", Some("`imap` does not say as whom to log in")),
        ("imaps://a@b.example/x#y", Some("`imap` has more behind the folder")),
        ("imaps://a@b.example/x?y", Some("`imap` has more behind the folder")),
        ("imaps://a@b.example/%ff", Some("`imap` names no folder that can be")),
        ("imaps://a@b.example/x%0a", Some("`imap` names no folder that can be")),
        ("imaps://a@b.example:0/x", Some("`imap` has no port that can be")),
        ("imaps://a@b.example:/x", Some("`imap` has no port that can be")),
        ("imaps://a@127.1", Some("`imap` names no host")),
        ("imaps://a@b..example", Some("`imap` names no host")),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|text| format!("2:8: {text}")).collect();
        assert_eq!(faults(&imap(address)), expected, "{address}");
        let shown = parse("k.toml", &imap(address)).map_or_else(|faults| faults.to_string(), |_| String::new());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn wrong_guestbooks_are_told() {
    let sound = "url = \"https://example.org/\"";
    for (lines, expected) in [
        ("", &["1:12: guestbook `g` has no `url`"][..]),
        ("SOUND\nformat = \"xml\"", &["3:10: `format` cannot be `xml`"]),
        ("SOUND\nevery = \"999ms\"", &["3:9: `999ms` is too short"]),
        ("SOUND\nuser-agent = \"\"", &["3:14: `user-agent` cannot be sent so"]),
        ("SOUND\nuser-agent = \"a\\nb\"", &["3:14: `user-agent` cannot be sent so"]),
        ("SOUND\nallow-private = []", &["3:17: `allow-private` names no network"]),
        ("SOUND\nallow-private = [\"localhost\"]", &["3:18: `localhost` is not a network"]),
        ("SOUND\npassword-file = \"p\"", &["3:1: unknown key `password-file` in guestbook `g`"]),
        ("SOUND\npassword = \"p\"", &["3:1: a guestbook has no password"]),
    ] {
        let lines = lines.replace("SOUND", sound);
        assert_eq!(faults(&book(&lines)), expected, "{lines}");
    }
    for (address, expected) in [
        ("https://example.org", None),
        ("https://xn--tr-xka.example:8443/a?b=c", None),
        ("https://192.0.2.1/", None),
        ("https://[2001:db8::1]/", None),
        ("example.org", Some("`url` is no address")),
        ("/guestbook", Some("`url` is no address")),
        ("ftp://example.org", Some("`url` is no address of a page")),
        ("https://a:b@example.org", Some("`url` has a user in it")),
        ("https://example.org/#a", Some("`url` has a `#` in it")),
        ("https://example.org/tür", Some("`url` has letters beyond ASCII")),
        ("https://example.org:99999/", Some("`url` has no port that can be")),
        ("https://0x7f.1/", Some("`url` names no host")),
        ("https://2130706433/", Some("`url` names no host")),
        ("http://example.org", Some("`url` would be read without TLS")),
        ("https://localhost/", Some("`localhost` is no part of the Internet")),
        ("https://127.0.0.1/", Some("`127.0.0.1` is no part of the Internet")),
        ("https://10.1.2.3/", Some("`10.1.2.3` is no part of the Internet")),
        ("https://169.254.169.254/", Some("`169.254.169.254` is no part of the Internet")),
        ("https://100.64.0.1/", Some("`100.64.0.1` is no part of the Internet")),
        ("https://[::1]/", Some("`::1` is no part of the Internet")),
        ("https://[::ffff:10.0.0.1]/", Some("`::ffff:10.0.0.1` is no part of the Internet")),
        ("https://[fe80::1]/", Some("`fe80::1` is no part of the Internet")),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|text| format!("2:7: {text}")).collect();
        assert_eq!(faults(&url(address)), expected, "{address}");
    }
    for (allowed, fine) in [("127.0.0.0/8", true), ("::1", true), ("10.0.0.0/8", false)] {
        let lines = format!("url = \"https://localhost/\"\nallow-private = [\"{allowed}\"]");
        assert_eq!(faults(&book(&lines)).is_empty(), fine, "{allowed}");
    }
}

#[test]
fn wrong_terms_for_tokens_are_told() {
    let books = "[guestbook.a]\nurl = \"https://a.example\"\n[guestbook.b]\nurl = \"https://b.example\"\n";
    for (lines, expected) in [
        ("guestbooks = [\"a\", \"b\"]\nquorum = 2", &[][..]),
        ("guestbooks = [\"a\"]\nquorum = 1", &[]),
        ("quorum = 1", &[]),
        ("guestbooks = []", &["4:14: `guestbooks` names no guestbook"]),
        ("guestbooks = [\"a\", \"a\"]", &["4:20: `guestbooks` names `a` more than once"]),
        ("guestbooks = [\"a\", \"bb\"]", &["4:20: there is no guestbook `bb`"]),
        ("guestbooks = [\"a b\"]", &["4:15: `a b` cannot be the name of a guestbook"]),
        ("quorum = 2", &["4:10: `quorum` needs `guestbooks`"]),
        ("quorum = 0", &["4:10: `quorum` is 1 to 8"]),
        ("quorum = 9", &["4:10: `quorum` is 1 to 8"]),
        ("guestbooks = [\"a\"]\nquorum = 2", &["5:10: 1 guestbook cannot have 2 shares of a token"]),
        ("guestbooks = [\"a\", \"b\"]\nquorum = 3", &["5:10: 2 guestbooks cannot have 3 shares of a token"]),
        ("valid-for = \"59s\"", &["4:13: `59s` is too short"]),
        ("valid-for = \"31d\"", &["4:13: `31d` is too long"]),
        ("within = \"2h\"", &["4:10: `2h` is too long"]),
    ] {
        let text = format!("[door.ssh]\nguard = [\"tcp/22\"]\nkeys = [\"*\"]\n{lines}\n{books}{}", key(""));
        assert_eq!(faults(&text), expected, "{lines}");
    }
    for (lines, expected) in [
        ("revoked-sheets = [2048]", "4:19: the number of a sheet is 0 to 2047"),
        ("revoked-sheets = [-1]", "4:19: the number of a sheet is 0 to 2047"),
        ("revoked-sheets = [\"1\"]", "4:19: `revoked-sheets` must be an integer, not a string"),
        ("revoked-sheets = 1", "4:18: `revoked-sheets` must be a list, not an integer"),
    ] {
        assert_eq!(faults(&key(lines)), [expected]);
    }
    let names: Vec<_> = (0..9).map(|n| format!("g{n}")).collect();
    let books: String = names.iter().map(|n| format!("[guestbook.{n}]\nurl = \"https://{n}.example\"\n")).collect();
    let listed: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
    let door =
        |quorum: &str| format!("[door.a]\nguard = [\"tcp/22\"]\n{quorum}\nguestbooks = [{}]\n", listed.join(","));
    let faults_of = |quorum| faults(&format!("{}{books}", door(quorum)));
    assert_eq!(faults_of("quorum = 2"), ["4:55: a token is split among no more than 8 guestbooks"]);
    assert_eq!(faults_of("quorum = 1"), [""; 0]);
}

#[test]
fn more_than_32_sources_are_too_many() {
    let mails = |n: u32| (0..n).map(|n| format!("[mail.m{n}]\nmaildir = \"/{n}\"\n")).collect::<String>();
    let book = "[guestbook.g]\nurl = \"https://example.org\"\n";
    assert_eq!(faults(&format!("{}{book}", mails(31))), [""; 0]);
    assert_eq!(faults(&format!("{book}{}", mails(32))), ["65:7: there are more than 32 mails and guestbooks"]);
}

#[test]
fn what_is_hardly_meant_of_tokens_is_warned_of() {
    let (mail, a, b) = (
        "[mail.m]\nmaildir = \"/m\"\n",
        "[guestbook.a]\nurl = \"https://a.example\"\n",
        "[guestbook.b]\nurl = \"https://b.example\"\n",
    );
    let no_mail = "no door opens by mail, so `m` is read for nothing";
    let no_book = "no door opens by guestbook `a`, so it is read for nothing";
    let only = "only `klopf grant` can open door `ssh`";
    for (lines, sources, expected) in [
        ("keys = [\"k\"]", &[mail, a][..], &[][..]),
        ("keys = [\"k\"]\nvia = [\"mail\"]", &[mail], &[]),
        ("keys = [\"k\"]\nvia = [\"guestbook\"]", &[a], &[]),
        ("sequence = [9, 5, 7]", &[mail, a], &[no_mail, no_book]),
        ("keys = [\"k\"]\nvia = [\"packet\"]", &[mail, a], &[no_mail, no_book]),
        ("keys = [\"k\"]\nvia = [\"mail\"]", &[], &[only]),
        (
            "keys = [\"k\"]\nvia = [\"mail\", \"packet\"]",
            &[],
            &["door `ssh` does not open via `mail`: there is no `[mail.NAME]`"],
        ),
        (
            "sequence = [9, 5, 7]\nvia = [\"mail\", \"guestbook\", \"sequence\"]",
            &[a, mail],
            &["no key may open door `ssh`, so it does not open via `mail`, `guestbook`", no_book, no_mail],
        ),
        (
            "keys = [\"k\"]\nguestbooks = [\"a\"]",
            &[a, b],
            &["no door opens by guestbook `b`, so it is read for nothing"],
        ),
        (
            "keys = [\"k\"]\nvia = [\"packet\"]\nguestbooks = [\"a\", \"b\"]\nquorum = 2\nvalid-for = \"1h\"",
            &[a, b],
            &[
                "`guestbooks` says nothing: door `ssh` does not open via `guestbook`",
                "`quorum` says nothing: door `ssh` does not open via `guestbook`",
                "`valid-for` says nothing: door `ssh` opens by no tokens",
                no_book,
                "no door opens by guestbook `b`, so it is read for nothing",
            ],
        ),
        (
            "keys = [\"k\"]\nguestbooks = [\"a\", \"b\"]\nquorum = 2",
            &[a, b, mail],
            &["one mail opens door `ssh` by a whole token, without its `quorum`"],
        ),
        (
            "keys = [\"k\"]\nguestbooks = [\"a\", \"b\"]\nquorum = 2\nwithin = \"1m\"",
            &[a, b],
            &["guestbook `a` is read too seldom for door `ssh`", "guestbook `b` is read too seldom for door `ssh`"],
        ),
        (
            "keys = [\"k\"]\nvia = [\"mail\"]\nsecond-factor = \"totp\"",
            &[mail],
            &["door `ssh` asks for a code, which no token has: only `klopf grant` can open it", no_mail],
        ),
        (
            "keys = [\"k\"]\nvia = [\"packet\", \"mail\"]\nsecond-factor = \"totp\"",
            &[mail],
            &["door `ssh` asks for a code, so it does not open via `mail`", no_mail],
        ),
        (
            "keys = [\"k\"]",
            &[a, "[guestbook.b]\nurl = \"https://A.example/\"\n", mail, "[mail.n]\nmaildir = \"/m/\"\n"],
            &["guestbooks `a` and `b` are the same page", "mails `m` and `n` are the same mailbox"],
        ),
        ("keys = [\"k\"]", &[a, "insecure = true\n"], &["`insecure` says nothing beside `https://`"]),
    ] {
        let key = key("totp = \"jbswy3dpehpk3pxp\"");
        let text = format!("[door.ssh]\nguard = [\"tcp/22\"]\n{lines}\n{}{key}", sources.concat());
        assert_eq!(warnings(&text), expected, "{lines}\n{sources:?}");
    }
    let help = |lines: &str| {
        let text = format!("[door.ssh]\nguard = [\"tcp/22\"]\n{lines}\n{a}{b}{mail}{}", key(""));
        parse("klopf.toml", &text).unwrap().warnings.remove(0).help
    };
    let quorum = "keys = [\"k\"]\nguestbooks = [\"a\", \"b\"]\nquorum = 2";
    assert_eq!(help(quorum), "write `via = [\"packet\", \"guestbook\"]`, or remove the line");
    assert_eq!(
        warnings(&format!(
            "[door.a]\nsequence = [9, 5, 7]\non-open = [\"/x\", \"{{key}}\"]\nkeys = [\"k\"]\nvia = [\"sequence\", \"mail\"]\n{mail}{}",
            key("")
        )),
        [""; 0]
    );
}

#[test]
fn faults_of_sources_show_their_place() {
    let text = "[mail.work]\nimap = \"imaps://ada:hunter2@mail.example/INBOX\"\n\n[guestbook.a]\nurl = \
        \"http://10.0.0.1/book?token=hunter2\"\nformat = \"htlm\"\n\n[door.a]\nguard = [\"tcp/22\"]\nguestbooks = [\"A\"]\n";
    insta::assert_snapshot!(parse("klopf.toml", text).unwrap_err().to_string(), @r#"
    error: mail `work` has no `password-file`
     --> klopf.toml:2:1
      |
    2 | imap = "imaps://ada:…
      | ^^^^
      |
      = help: add `password-file = "mail.password"`: a file whose first line is the password

    error: a password does not belong into `imap`
     --> klopf.toml:2:8
      |
    2 | imap = "imaps://ada:…
      |        ^^^^^^^^^^^^^^
      |
      = help: put it alone into a file that only root may read, and name that file in `password-file`

    error: `url` would be read without TLS
     --> klopf.toml:5:7
      |
    5 | url = "http://10.0.0.1/book?…
      |       ^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write `https://`, or add `insecure = true`: then all on the way can change what is read

    error: `10.0.0.1` is no part of the Internet
     --> klopf.toml:5:7
      |
    5 | url = "http://10.0.0.1/book?…
      |       ^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: if it is meant, add `allow-private = ["10.0.0.1"]`

    error: `format` cannot be `htlm`
     --> klopf.toml:6:10
      |
    6 | format = "htlm"
      |          ^^^^^^
      |
      = help: write `auto`, `html`, `feed`, `json` or `text`

    error: there is no guestbook `A`
      --> klopf.toml:10:15
       |
    10 | guestbooks = ["A"]
       |               ^^^
       |
       = help: did you mean `a`?
    "#);
}

#[test]
fn a_key_opens_a_door_by_what_there_is() {
    let config =
        read(&format!("{FULL}{}[door.code]\nguard = [\"tcp/1\"]\nkeys = [\"*\"]\nsecond-factor = \"totp\"", key("")));
    let ways = |config: &Config, door: usize| {
        let all = [Way::Packet, Way::Sequence, Way::Mail, Way::Guestbook];
        all.map(|way| config.opens_by(way, &config.keys[0], &config.doors[door]))
    };
    assert_eq!(ways(&config, 0), [true, false, false, true]);
    assert_eq!(ways(&config, 1), [true, false, true, true]);
    assert_eq!(ways(&config, 2), [true, false, false, false]);
    let books =
        |door: usize| config.books_of(&config.doors[door]).map(|book| book.name.to_string()).collect::<Vec<_>>();
    assert_eq!((books(0), books(1)), (vec!["a".into(), "b".into(), "c".into()], books(0)));
    let without = Config { mails: vec![], guestbooks: vec![], ..config.clone() };
    assert_eq!(ways(&without, 1), [true, false, false, false]);
    let other = Config { doors: vec![Door { keys: None, ..config.doors[1].clone() }], ..config.clone() };
    assert_eq!(ways(&other, 0), [false; 4]);
}

#[test]
fn what_leads_to_a_door_that_nothing_opens_is_no_fault_of_its_own() {
    let text = "[mail.m]\nmaildir = \"/m\"\n[door.a]\nguard = [\"tcp/22\"]\nkeys = [\"*\"]\n";
    assert_eq!(warnings(text), ["there is no key yet that opens door `a`"]);
}

/// As they are, and with the lines that they only show.
#[test]
fn the_examples_are_fine_with_a_key() {
    let key = key("");
    let key = Source { name: "keys.d/k.toml", bytes: key.strip_prefix("[key.k]\n").unwrap().as_bytes() };
    for (name, text, mails, books) in [
        ("packet", include_str!("../../../../../examples/packet.toml"), 0, 0),
        ("sequence", include_str!("../../../../../examples/sequence.toml"), 0, 0),
        ("encoded", include_str!("../../../../../examples/encoded.toml"), 0, 0),
        ("mail", include_str!("../../../../../examples/mail.toml"), 1, 0),
        ("guestbook", include_str!("../../../../../examples/guestbook.toml"), 0, 1),
        ("guestbooks", include_str!("../../../../../examples/guestbooks.toml"), 0, 3),
    ] {
        let read = parse_files(Source { name, bytes: text.as_bytes() }, &[key]).unwrap();
        assert_eq!((read.warnings, read.config.mails.len()), (vec![], mails), "{name}");
        assert_eq!(read.config.guestbooks.len(), books, "{name}");
        assert!(text.lines().count() <= 32, "{name}");
    }
    let all = include_str!("../../../../../examples/klopf.toml").replace("\n#", "\n").replace("\n ", "\n# ");
    let read = parse("klopf.toml", &all).unwrap();
    // With all of its lines there are packets and logs, and doors without `via`.
    let others = read.warnings.iter().map(|fault| &fault.text).filter(|text| !text.contains("counts twice"));
    assert_eq!(others.collect::<Vec<_>>(), [""; 0]);
    assert_eq!((read.config.mails.len(), read.config.guestbooks.len()), (2, 1));
}
