use klopf_spa::ServerKey;
use klopf_spa::encoded::{Fields, Span, Template, Transport, Whom};

use super::*;

fn profile() -> Profile {
    let name = |text| Name::new(text).unwrap();
    Profile {
        endpoints: vec!["host.example".into(), "2001:db8::1".into()],
        doors: vec![name("ssh"), name("web")],
        code_doors: vec![name("web")],
        door: name("web"),
        allow: Allow::Auto,
        stun: Some(("2001:db8::2".into(), 3479)),
        way: Way { port: PacketPort::Fixed(51_900), shape: Shape::None },
        clock: false,
        bound: true,
        mail: Some("a\\\"b@example.org".into()),
        books: vec![
            Books { door: name("web"), shares: 2, of: vec![name("a"), name("b.c"), name("d")] },
            Books { door: name("ssh"), shares: 2, of: vec![name("a"), name("b")] },
        ],
        encoded: vec![
            sequences("web", Whom::V6Net, Transport::Udp, true),
            sequences("ssh", Whom::Observed, Transport::Tcp, false),
        ],
        device: [0xa5; 16],
        server: ServerKey::new([1; 32]).public(),
        keys: Keys::Here(Seed::new([2; 32]), Psk::new([3; 32])),
    }
}

fn sequences(door: &str, whom: Whom, transport: Transport, port: bool) -> EncodedDoor {
    let fields = Fields { whom, port, hold: port, flags: port };
    let template = Template { span: Span::new(40_000, 40_255).unwrap(), transport, fields };
    EncodedDoor { door: Name::new(door).unwrap(), template }
}

fn faults(text: &str) -> String {
    parse("p.toml", text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn a_profile_is_read_as_it_is_written() {
    let simple = Profile {
        code_doors: Vec::new(),
        allow: Allow::Address([192, 0, 2, 7].into()),
        stun: None,
        way: Way { port: PacketPort::Hop, shape: Shape::None },
        clock: true,
        bound: false,
        mail: None,
        books: Vec::new(),
        encoded: Vec::new(),
        keys: Keys::Keyring,
        ..profile()
    };
    for profile in [profile(), simple, Profile { stun: Some(("stun.example".into(), 3478)), ..profile() }] {
        assert_eq!(parse("p.toml", profile.text().as_bytes()), Ok(profile));
    }
}

#[test]
fn what_may_be_left_out_has_a_value() {
    let text = profile().text();
    let optional = ["door =", "allow", "stun", "shape", "clock", "code", "bound", "mail", "books", "encoded"];
    let keep = |line: &&str| !optional.iter().any(|key| line.starts_with(key));
    let read = parse("p.toml", text.lines().filter(keep).collect::<Vec<_>>().join("\n").as_bytes()).unwrap();
    let expected = Profile {
        code_doors: Vec::new(),
        door: Name::new("ssh").unwrap(),
        allow: Allow::Observed,
        stun: None,
        clock: true,
        bound: false,
        mail: None,
        books: Vec::new(),
        encoded: Vec::new(),
        ..profile()
    };
    assert_eq!(read, expected);
}

#[test]
fn every_fault_has_its_place() {
    let good = profile().text();
    for (from, to, place, text) in [
        ("endpoints = [\"host.example\"", "endpoints = [\"-oProxy\"", "p.toml:2:14", "cannot be a host"),
        ("door = \"web\"", "door = \"wob\"", "p.toml:5:8", "none of `doors`"),
        ("allow = \"auto\"", "allow = \"aut\"", "p.toml:10:9", "observed, auto, or an address"),
        ("port = 51900", "port = 0", "p.toml:14:8", "`port` is 1 to 65535"),
        ("port = 51900", "port = true", "p.toml:14:8", "a number or"),
        ("clock", "clok", "p.toml:16:1", "did you mean `clock`?"),
        ("a5a5a5", "a5a5", "p.toml:27:10", "32 hexadecimal digits"),
        ("bound = true", "bound = 1", "p.toml:18:9", "true or false"),
        ("mail = \"a", "mail = \"a ", "p.toml:20:8", "no address of a mailbox"),
        ("books.\"web\" =", "books.\"wob\" =", "p.toml:22:7", "none of `doors`"),
        ("shares = 2", "shares = 9", "p.toml:22:26", "`shares` is 2 to 8"),
        ("shares = 2", "shares = 4", "p.toml:22:15", "3 guestbooks cannot have 4 shares"),
        ("shares = 2, ", "", "p.toml:22:7", "`shares` is missing in `books`"),
        ("\"b.c\"", "\"a\"", "p.toml:22:40", "no name of another guestbook"),
        ("[\"a\", \"b\"]", "[\"a\"]", "p.toml:23:34", "among 2 to 8 guestbooks"),
        ("encoded.\"web\"", "encoded.\"wob\"", "p.toml:25:9", "none of `doors`"),
        ("ports = \"40000-40255\"", "ports = \"40000-40254\"", "p.toml:25:27", "a power of two"),
        ("ports = \"40000-40255\", ", "", "p.toml:25:17", "`encoded` needs `ports`"),
        ("\"udp\"", "\"icmp\"", "p.toml:25:50", "`icmp` is no way to hit ports"),
        ("\"addr6\", ", "", "p.toml:25:66", "`net` without an address"),
        ("fields = []", "felds = []", "p.toml:26:57", "did you mean `fields`?"),
        ("server = ", "sever = ", "p.toml:1:1", "`server` is missing"),
    ] {
        let shown = faults(&good.replacen(from, to, 1));
        assert!(shown.contains(place) && shown.contains(text), "{to}:\n{shown}");
    }
    assert!(faults("").contains("`private` is missing"));
    assert!(faults(&good.replace("psk = ", "psk = \"keyring\" #")).contains("is in the keyring and one is not"));
}

#[test]
fn no_fault_shows_a_key() {
    let profile = profile();
    let Keys::Here(seed, psk) = &profile.keys else { return };
    let (text, seed, psk, server) = (profile.text(), seed.text(), psk.text(), profile.server.text());
    let broken = [
        text.replacen("private = \"", "private = ", 1),
        text.replacen("private = \"", "private \"", 1),
        text.replacen("private", "privat", 1),
        text.replacen("private = ", "allow = ", 1),
        text.replacen("psk = \"", "psk = \"!", 1),
        text.replacen("psk = \"", "\"", 1),
        text.replacen("psk = \"", "psk = [\"", 1),
        text.replacen("server = \"", "endpoints = [\"", 1),
        text.replacen("\nprivate = \"", "", 1),
        text.replacen(&*psk, &format!("{}\n{}", &psk[..22], &psk[22..]), 1),
        text.replacen("psk = \"", "psk = \"\"\"\n", 1),
        text.replacen("[\"ssh\"", &format!("[\"{}!\"", *psk), 1),
        format!("{}\nprivate = 3", *text),
        text.replacen("private = \"", "private = \"\u{1b}", 1),
        format!("#{}\n{}", *psk, text.replacen("port", "prot", 1)),
    ];
    for broken in broken {
        let shown = faults(&broken);
        for key in [&seed, &psk, &server] {
            for part in [&key[..16], &key[14..30], &key[key.len() - 16..]] {
                assert!(!shown.contains(part), "{shown}");
            }
        }
    }
    let shown = format!("{profile:?}");
    assert!(!shown.contains(&**seed) && !shown.contains(&**psk));
}

#[test]
fn a_stun_server_has_a_port_or_the_usual_one() {
    for (text, host, port) in [
        ("stun.example", "stun.example", 3478),
        ("stun.example:19302", "stun.example", 19302),
        ("192.0.2.1:1", "192.0.2.1", 1),
        ("2001:db8::1", "2001:db8::1", 3478),
        ("[2001:db8::1]", "2001:db8::1", 3478),
        ("[2001:db8::1]:99", "2001:db8::1", 99),
    ] {
        assert_eq!(stun_server(text), Some((host.to_owned(), port)), "{text}");
    }
    for text in ["", ":1", "host:0", "host:x", "host:70000", "[]:1", "-h:1", "a b:1"] {
        assert_eq!(stun_server(text), None, "{text}");
    }
}

#[test]
fn an_address_to_let_in_is_one_that_somebody_can_have() {
    assert_eq!(Allow::parse("::ffff:192.0.2.7"), Ok(Allow::Address([192, 0, 2, 7].into())));
    for text in ["", "0.0.0.0", "127.0.0.1", "::1", "ff02::1", "255.255.255.255", "me", "192.0.2.0/24"] {
        assert!(Allow::parse(text).is_err(), "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_without_panic(text: Vec<u8>, line: String, at: u16) {
        let _ = parse("p.toml", &text).map_err(|faults| faults.to_string());
        let mut file = profile().text().to_string();
        let at = (0..=usize::from(at) % file.len()).rev().find(|at| file.is_char_boundary(*at)).unwrap();
        file.insert_str(at, &line);
        if let Err(faults) = parse("p.toml", file.as_bytes()) {
            let Keys::Here(seed, _) = profile().keys else { return Ok(()) };
            assert!(!faults.to_string().contains(&seed.text()[..21]));
        }
    }
}
