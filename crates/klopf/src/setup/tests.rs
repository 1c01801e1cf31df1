//! Whatever is answered, the file is fine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use clap::{Args as _, FromArgMatches as _};
use klopf_config::native::{IfKlopfdDies, PortRange, parse};
use klopf_wire::{Port, Proto};
use proptest::prelude::*;

use super::answers::{Answers, Dies, Firewall, How, Log, Mailbox, Place, Stay};
use super::draw::Avoid;
use super::host::{Host, Service};
use super::options::Options;
use super::questions::{Asking, missing};
use super::talk::Talk;
use super::text::{MOST_LINES, WIDTH, text};
use super::{draw, sound};
use crate::failure::{Failure, code};

fn guard() -> impl Strategy<Value = Vec<PortRange>> {
    let range = (any::<bool>(), 1_u16.., 0_u16..2000).prop_map(|(udp, first, wide)| {
        let last = first.saturating_add(wide);
        let proto = if udp { "udp" } else { "tcp" };
        if wide < 1000 { format!("{proto}/{first}") } else { format!("{proto}/{first}-{last}") }
    });
    let some = prop::collection::vec(range, 1..=8);
    some.prop_filter_map("overlap, or addresses of this host", |texts| sound::guard(&texts).ok())
}

fn networks() -> impl Strategy<Value = Vec<String>> {
    let v4 = any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).to_string());
    let v6 = (any::<u128>(), 16_u8..=128).prop_map(|(bits, prefix)| {
        format!("{}/{prefix}", Ipv6Addr::from_bits(bits >> (128 - prefix) << (128 - prefix)))
    });
    let some = prop::collection::vec(prop_oneof![v4, v6], 0..=3);
    some.prop_filter("none that has another name", |texts| sound::networks(texts).is_ok())
}

/// What needs ports keeps off those that are guarded.
fn how(guard: &[PortRange]) -> impl Strategy<Value = How> + use<> {
    let guard: Arc<[PortRange]> = guard.into();
    let path = || "/[a-z \"'\\\\#]{1,20}/[a-z.\u{e4}-]{1,30}";
    let drawn = {
        let guard = guard.clone();
        move |seed| draw::span(&avoid(&is_in(&guard)), &mut draw::from_seed(seed)).unwrap()
    };
    let encoded = drawn.clone();
    let firewall = prop_oneof![Just(Firewall::Nft), Just(Firewall::Iptables), Just(Firewall::Ufw)];
    let place = prop_oneof![Just(Place::Journal), path().prop_map(Place::File)];
    prop_oneof![
        Just(How::Packet),
        any::<u64>().prop_map(move |seed| {
            How::Sequence(draw::sequence(&avoid(&is_in(&guard)), &mut draw::from_seed(seed)).unwrap())
        }),
        any::<u64>().prop_map(move |seed| How::Encoded(encoded(seed))),
        ("imaps?://[a-z]{1,9}%40[a-z]{1,9}\\.example@[a-z]{1,9}\\.example(/[A-Z]{1,9})?", path())
            .prop_map(|(url, password_file)| How::Mail(Mailbox::Imap { url, password_file })),
        "/[a-z]{1,20}/[a-z]{1,30}".prop_map(|path| How::Mail(Mailbox::Maildir(path))),
        "https://[a-z]{1,9}\\.example/[a-z?=&]{0,40}".prop_map(How::Guestbook),
        (firewall, place, any::<u64>()).prop_map(move |(firewall, place, seed)| How::Log(Log::Firewall {
            firewall,
            place,
            span: drawn(seed)
        })),
        path().prop_map(|file| How::Log(Log::Web { file })),
    ]
}

fn is_in(guard: &[PortRange]) -> impl Fn(Port) -> bool + '_ {
    |port| guard.iter().any(|range| range.proto == port.proto && (range.first..=range.last).contains(&port.number))
}

fn avoid<'a>(busy: &'a dyn Fn(Port) -> bool) -> Avoid<'a> {
    Avoid { busy, ephemeral: (32_768, 60_999) }
}

fn answers() -> impl Strategy<Value = Answers> {
    let stay = ("[1-9][0-9]?[smh]", any::<bool>()).prop_map(|(open_for, extend)| Stay { open_for, extend });
    let dies = (any::<bool>(), networks()).prop_map(|(open, always_allow)| Dies { open, always_allow });
    let what = guard().prop_flat_map(|guard| (how(&guard), Just(guard)));
    (what, stay, dies).prop_map(|((how, guard), stay, dies)| Answers {
        guard,
        how,
        people: Vec::new(),
        endpoints: Vec::new(),
        stay,
        dies,
    })
}

proptest! {
    #[test]
    fn the_file_is_short_and_explained_and_the_check_has_nothing_to_say(answers in answers()) {
        let text = text(&answers);
        prop_assert!(text.lines().count() < MOST_LINES, "{}", text);
        for line in text.lines() {
            prop_assert!(line.chars().count() <= WIDTH, "{line}");
            prop_assert!(line.trim_end() == line, "{line:?}");
        }
        // Something is said of each section.
        for section in text.split("\n\n") {
            prop_assert!(section.contains("# "), "{}", section);
        }
        prop_assert_eq!(sound::complaint(&text), None, "{}", text);
        let door = parse("klopf.toml", &text).unwrap().config.doors.remove(0);
        let dies = if answers.dies.open { IfKlopfdDies::Open } else { IfKlopfdDies::StayClosed };
        prop_assert_eq!(door.name.as_str(), answers.door());
        prop_assert_eq!((door.guard, door.if_klopfd_dies), (answers.guard, dies));
        prop_assert_eq!((door.extend_while_connected, door.always_allow.len()), (answers.stay.extend, answers.dies.always_allow.len()));
        prop_assert_eq!(door.keys.is_some(), answers.how.has_keys());
        if let How::Sequence(hits) = answers.how {
            prop_assert_eq!(door.sequence, hits);
        }
    }
}

/// What comes of a command line, on a host with some services, and of what is typed.
fn set_up(line: &str, typed: Option<&str>) -> (Result<Answers, Failure>, String) {
    let options = options(line);
    let service = |number, name: &str| Service { port: Port::tcp(number), program: Some(name.to_owned()) };
    let services = vec![service(2222, "sshd"), service(443, "nginx")];
    let busy = vec![Port::tcp(2222), Port::tcp(443)];
    let login = Some(IpAddr::from([203, 0, 113, 7]));
    let host = Host { services, busy, ephemeral: (32_768, 60_999), login };
    let (mut input, mut output) = (typed.unwrap_or_default().as_bytes(), Vec::new());
    let talk = typed.map(|_| Talk::new(&mut input, &mut output));
    let mut chance = draw::from_seed(7);
    let answers = Asking { options: &options, host: &host, talk, chance: &mut chance }.answers();
    (answers, String::from_utf8(output).unwrap())
}

fn options(line: &str) -> Options {
    let command = Options::augment_args(clap::Command::new("setup").no_binary_name(true));
    let found = command.try_get_matches_from(format!("--endpoint h {line}").split_whitespace()).unwrap();
    Options::from_arg_matches(&found).unwrap()
}

fn shown(answers: &Answers) -> Vec<String> {
    answers.guard.iter().map(ToString::to_string).collect()
}

#[test]
fn defaults_are_ssh_by_a_packet() {
    let (answers, said) = set_up("--yes", None);
    let answers = answers.unwrap();
    assert_eq!((shown(&answers), said.as_str()), (vec!["tcp/2222".to_owned()], ""));
    assert_eq!((answers.how, answers.people.len()), (How::Packet, 0));
    assert_eq!(answers.stay, Stay { open_for: "30s".into(), extend: false });
    assert_eq!(answers.dies, Dies { open: false, always_allow: vec![] });
}

#[test]
fn empty_lines_say_the_same_as_nobody() {
    assert_eq!(set_up("", Some(&"\n".repeat(7))).0.unwrap(), set_up("--yes", None).0.unwrap());
}

#[test]
fn five_questions_are_asked_and_answered() {
    let typed =
        "1, 2 udp/1194\nguestbook\nhttp://b\nhttps://b.example/book\nada ada lap/top\nada, laptop\n2h\nyes\nopen\ny\n";
    let (answers, said) = set_up("", Some(typed));
    let answers = answers.unwrap();
    assert_eq!(shown(&answers), ["tcp/2222", "tcp/443", "udp/1194"]);
    assert_eq!(answers.how, How::Guestbook("https://b.example/book".into()));
    assert_eq!(answers.people.iter().map(|name| &**name).collect::<Vec<_>>(), ["ada", "laptop"]);
    assert_eq!(answers.stay, Stay { open_for: "2h".into(), extend: true });
    assert_eq!(answers.dies, Dies { open: true, always_allow: vec!["203.0.113.7".into()] });
    for text in [
        "1. What",
        "  1) tcp/2222 (sshd)",
        "2. How",
        "3. Who",
        "4. How long",
        "5. What if",
        "You are logged in from 203.0.113.7",
    ] {
        assert_eq!(said.matches(text).count(), 1, "{text}: {said}");
    }
    assert!(said.contains("would be read without TLS") && said.contains("a name has 1 to 64"), "{said}");
}

#[test]
fn what_an_option_says_is_not_asked() {
    let line = "--guard 22,udp/1194 --how mail --maildir /var/mail/k --for-whom ada --open-for 1m --extend-while-connected \
                --if-klopfd-dies open --always-allow 192.0.2.0/24";
    let (answers, said) = set_up(line, Some(""));
    let answers = answers.unwrap();
    assert_eq!((said.as_str(), shown(&answers).len()), ("", 2));
    assert_eq!(answers.how, How::Mail(Mailbox::Maildir("/var/mail/k".into())));
    assert_eq!(answers.stay, Stay { open_for: "1m".into(), extend: true });
    assert_eq!((missing(&options(line)), set_up(line, None).0.unwrap()), (vec![], answers));
}

#[test]
fn what_is_missing_is_named() {
    let all = ["--guard", "--how", "--for-whom or --no-invite", "--open-for", "--if-klopfd-dies"];
    assert_eq!(missing(&options("")), all);
    assert_eq!(missing(&options("--how sequence --guard 22")), ["--open-for", "--if-klopfd-dies"]);
    assert_eq!(missing(&options("--yes")), [""; 0]);
    assert_eq!(missing(&options("--yes --how mail")), ["--mail-imap or --maildir"]);
    assert_eq!(missing(&options("--yes --how guestbook")), ["--url"]);
}

#[test]
fn options_that_make_no_sense_are_refused_by_name() {
    for (line, named) in [
        ("--guard 22/tcp", "--guard: "),
        ("--guard tcp/22,tcp/20-30", "--guard: "),
        ("--how packet --url https://b.example/", "--url: it goes with --how guestbook"),
        ("--how sequence --for-whom ada", "--for-whom: a plain sequence has no keys"),
        ("--mail-imap https://b.example/", "--mail-imap: "),
        ("--mail-imap imaps://u:secret@b.example/", "--mail-imap: a password does not belong into `imap`"),
        ("--url https://127.0.0.1/", "--url: "),
        ("--always-allow 192.0.2.1/24", "--always-allow: "),
    ] {
        let failure = set_up(&format!("--yes {line}"), None).0.unwrap_err();
        assert_eq!(failure.code, code::USAGE, "{line}");
        assert!(failure.to_string().starts_with(named) && !failure.to_string().contains("secret"), "{failure}");
    }
}

#[test]
fn an_end_in_the_middle_is_no_answer() {
    let all = ["\n", "\n", "ada\n", "\n", "\n", "\n", "\n"];
    for length in 0..all.len() {
        let failure = set_up("", Some(&all[..length].concat())).0.unwrap_err();
        assert_eq!(failure.code, code::STOPPED, "after {length} answers");
    }
    assert!(set_up("", Some(&all.concat())).0.is_ok());
}

#[test]
fn a_sequence_misses_what_is_guarded_or_listens() {
    for _ in 0..20 {
        let How::Sequence(hits) = set_up("--yes --how sequence --guard 1024-20000", None).0.unwrap().how else {
            panic!("no sequence")
        };
        let guarded = |hit: &Port| hit.proto == Proto::Tcp && hit.number <= 20_000;
        assert!(!hits.iter().any(|hit| guarded(hit) || hit.number == 2222 && hit.proto == Proto::Tcp), "{hits:?}");
    }
}
