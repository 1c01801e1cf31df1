use klopf_spa::ServerKey;

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
        mail: Some("a\\\"b@example.org".into()),
        shared_doors: vec![SharedDoor::new(name("web"), 2, vec![name("a"), name("b.c")]).unwrap()],
        bound: true,
        way: Way { port: PacketPort::Fixed(51_900), shape: Shape::None },
        clock: false,
        device: [0xa5; 16],
        server: ServerKey::new([1; 32]).public(),
        keys: Keys::Here(Seed::new([2; 32]), Psk::new([3; 32])),
    }
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
        mail: None,
        shared_doors: Vec::new(),
        bound: false,
        way: Way { port: PacketPort::Hop, shape: Shape::None },
        clock: true,
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
    let keep = |line: &&str| {
        !["door =", "allow", "stun", "shape", "clock", "code", "mail", "shares", "bound"]
            .iter()
            .any(|k| line.starts_with(k))
    };
    let read = parse("p.toml", text.lines().filter(keep).collect::<Vec<_>>().join("\n").as_bytes()).unwrap();
    let expected = Profile {
        code_doors: Vec::new(),
        door: Name::new("ssh").unwrap(),
        allow: Allow::Observed,
        stun: None,
        mail: None,
        shared_doors: Vec::new(),
        bound: false,
        clock: true,
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
        ("mail = \"", "mail = \"@", "p.toml:13:8", "no mail address"),
        ("needed = 2", "needed = 3", "p.toml:15:10", "so cannot a door take shares"),
        ("needed = 2", "need = 2", "p.toml:15:10", "unknown key"),
        ("port = 51900", "port = 0", "p.toml:18:8", "`port` is 1 to 65535"),
        ("port = 51900", "port = true", "p.toml:18:8", "a number or"),
        ("clock", "clok", "p.toml:20:1", "did you mean `clock`?"),
        ("a5a5a5", "a5a5", "p.toml:22:10", "32 hexadecimal digits"),
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
