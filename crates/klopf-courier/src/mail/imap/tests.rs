//! Conversations with servers of the tests.

mod server;

use std::thread;

use klopf_brief::{Delivery, Secret, State, Taken};

use super::super::tests::{Courier, find};
use super::*;
use server::{Deed, Event, Store, Talk, serve, serve_tls};

const QUICK: Limits = Limits { step: Duration::from_millis(300), fetch: Duration::from_millis(300) };
const PATIENT: Limits = Limits { step: Duration::from_secs(20), fetch: Duration::from_secs(20) };
const ALL: &str = "IDLE UIDPLUS MOVE AUTH=PLAIN";
const CA: &str = include_str!("../../guestbook/tests/tls/ca.pem");
const OTHER_CA: &str = include_str!("../../guestbook/tests/tls/other-ca.pem");

fn plain(port: u16, taken: Taken) -> Imap {
    Imap {
        host: "127.0.0.1".into(),
        port,
        delivery: Delivery::Plain,
        user: "ada".into(),
        password: Secret::from("pass\"word".to_owned()),
        folder: "INBOX".into(),
        taken,
        require_dkim: Vec::new(),
        every_ms: 1000,
        ca: None,
    }
}

fn secure(port: u16, delivery: Delivery, host: &str, ca: &str) -> Imap {
    Imap { delivery, host: host.into(), ca: Some(ca.into()), ..plain(port, Taken::Mark) }
}

fn mailbox(imap: &Imap, limits: Limits) -> Mailbox<'_> {
    Mailbox::new(imap, Reader::new(find, &imap.require_dkim).unwrap(), limits)
}

fn deed(deed: impl FnOnce(Talk) + Send + 'static) -> Deed {
    Box::new(deed)
}

/// Listens until there is trouble.
fn listen(mailbox: &mut Mailbox<'_>, courier: &Courier) -> Trouble {
    let bell = Pair::new().unwrap();
    mailbox.listen(&mut courier.outlet(), &bell.0).unwrap_err()
}

fn offers(courier: &Courier) -> Vec<String> {
    courier.offers.try_iter().collect()
}

#[test]
fn mails_are_looked_at_once_and_those_with_a_taken_token_marked() {
    let store = Store::default();
    for (uid, text) in [(1, "hello"), (2, "knock good"), (3, "knock bad"), (4, "knock spent")] {
        store.put(uid, text);
    }
    let (first, events, listens) = store.deed(ALL);
    let (second, more, _) = store.deed(ALL);
    let imap = plain(serve(vec![first, second]), Taken::Mark);
    let courier = Courier::new();
    let mut mailbox = mailbox(&imap, PATIENT);
    events.send(Event::Mail("knock good2")).unwrap();
    events.send(Event::Lost).unwrap();
    assert_eq!(listen(&mut mailbox, &courier), Trouble::Broken);
    listens.recv().unwrap();
    assert_eq!(offers(&courier), ["good", "bad", "spent", "good2"]);
    let flags = |flags: [&str; 5]| (1..).zip(flags.map(String::from)).collect::<Vec<(u32, String)>>();
    assert_eq!(store.there(), flags(["", "\\Seen", "", "\\Seen", "\\Seen"]));
    let fetched = store.log().into_iter().filter(|command| command.contains("FETCH")).count();
    assert_eq!((fetched, courier.report().looked_at), (5, 5));
    assert_eq!((courier.report().state, courier.report().trouble), (State::Listening, None));

    more.send(Event::Lost).unwrap();
    assert_eq!(listen(&mut mailbox, &courier), Trouble::Broken);
    assert!(store.log().iter().all(|command| !command.contains("FETCH")), "nothing is new after a lost connection");
}

/// What becomes of a mail with a taken token, and the commands for it.
fn taken(taken: Taken, can: &'static str) -> (Vec<(u32, String)>, Vec<String>, Option<Trouble>) {
    let store = Store::default();
    store.put(1, "hello");
    store.put(2, "knock good");
    let (deed, events, _) = store.deed(can);
    events.send(Event::Lost).unwrap();
    let imap = plain(serve(vec![deed]), taken);
    let courier = Courier::new();
    listen(&mut mailbox(&imap, PATIENT), &courier);
    let log =
        store.log().into_iter().filter(|line| !["IDLE", "NOOP"].contains(&line.as_str()) && !line.contains("CH "));
    (store.there(), log.collect(), courier.report().trouble)
}

#[test]
fn mails_are_deleted_or_moved_and_never_others() {
    let there = |flags: &[&str]| (1..).zip(flags.iter().map(|flag| flag.to_string())).collect::<Vec<(u32, String)>>();
    let folder = || Taken::Move("Knocks".into());
    let (mails, log, trouble) = taken(Taken::Delete, ALL);
    assert_eq!((mails, trouble), (there(&[""]), None));
    assert_eq!(log, ["UID STORE 2 +FLAGS.SILENT (\\Deleted)", "UID EXPUNGE 2"]);
    let (mails, log, _) = taken(Taken::Delete, "IDLE");
    assert_eq!((mails, log.len()), (there(&["", "\\Deleted"]), 1));
    let (mails, log, _) = taken(folder(), ALL);
    assert_eq!(mails, there(&[""]));
    assert_eq!(log, ["UID MOVE 2 \"Knocks\"", "CREATE \"Knocks\"", "UID MOVE 2 \"Knocks\""]);
    let (mails, log, _) = taken(folder(), "IDLE UIDPLUS");
    assert_eq!((mails, log.len()), (there(&[""]), 5));
    let (mails, _, trouble) = taken(Taken::Move("Other".into()), "IDLE UIDPLUS MOV");
    assert_eq!((mails, trouble), (there(&[""]), None));
}

#[test]
fn a_mail_that_comes_is_offered_at_once_and_all_again_when_asked() {
    let store = Store::default();
    store.put(1, "knock bad");
    let (first, events, listens) = store.deed(ALL);
    let imap = plain(serve(vec![first]), Taken::Mark);
    let courier = Courier::new();
    let outlet = courier.outlet();
    let source = thread::spawn(move || run(&imap, outlet, find));
    let next = || courier.offers.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(next(), "bad");
    listens.recv().unwrap();
    let begin = Instant::now();
    events.send(Event::Mail("knock bad2")).unwrap();
    assert_eq!(next(), "bad2");
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    listens.recv().unwrap();
    events.send(Event::Nothing).unwrap();
    courier.again();
    assert_eq!([next(), next()], ["bad", "bad2"]);
    listens.recv().unwrap();
    events.send(Event::Nothing).unwrap();
    courier.board.lock().ending = true;
    courier.board.alarm();
    source.join().unwrap();
}

#[test]
fn a_server_that_does_not_tell_is_asked() {
    let store = Store::default();
    store.put(1, "knock bad");
    let (deed, ..) = store.deed("UIDPLUS");
    let imap = Imap { every_ms: 60_000, ..plain(serve(vec![deed]), Taken::Mark) };
    let courier = Courier::new();
    let outlet = courier.outlet();
    let source = thread::spawn(move || run(&imap, outlet, find));
    let next = || courier.offers.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(next(), "bad");
    courier.again();
    assert_eq!(next(), "bad");
    courier.board.lock().ending = true;
    courier.board.alarm();
    source.join().unwrap();
    assert_eq!(courier.report().state, State::Waiting);
    assert!(store.log().iter().all(|command| command != "IDLE"));
}

#[test]
fn passwords_of_all_kinds_are_sent_and_only_where_the_server_takes_them() {
    let logins = |can: &'static str, user: &str, password: &str| {
        let (sender, heard) = std::sync::mpsc::channel();
        let port = serve(vec![deed(move |mut talk| {
            talk.say("* OK hello\r\n");
            loop {
                let (tag, command) = talk.command();
                match command.as_str() {
                    "CAPABILITY" => drop(talk.say(&format!("* CAPABILITY {can}\r\n{tag} OK\r\n"))),
                    "AUTHENTICATE PLAIN" => return sender.send(talk.say("+ \r\n").line()).unwrap(),
                    "" => return,
                    _ => return sender.send(command).unwrap(),
                }
            }
        })]);
        let secret = Secret::from(password.to_owned());
        let imap = Imap { user: user.into(), password: secret, ..plain(port, Taken::Mark) };
        let trouble = Session::open(&imap, PATIENT).err();
        (heard.recv().ok(), trouble)
    };
    assert_eq!(logins("", "ada", "a\"\\ b").0.unwrap(), "LOGIN \"ada\" \"a\\\"\\\\ b\"");
    assert_eq!(logins("AUTH=PLAIN", "ada", "ä").0.unwrap(), data_encoding::BASE64.encode("\0ada\0ä".as_bytes()));
    assert_eq!(logins("AUTH=PLAIN LOGINDISABLED", "a", "b").0.unwrap(), data_encoding::BASE64.encode(b"\0a\0b"));
    assert_eq!(logins("LOGINDISABLED", "a", "b"), (None, Some(Trouble::Login)));
    assert_eq!(logins("", "a", "b\r\nk9 DELETE INBOX"), (None, Some(Trouble::Login)));
}

#[test]
fn tls_is_for_the_right_host_or_there_is_none() {
    let good = || deed(|mut talk: Talk| talk.greet(ALL).end());
    let open = |imap: Imap| Session::open(&imap, PATIENT).err();
    let tls = |host, ca| open(secure(serve_tls(vec![good()]), Delivery::Tls, host, ca));
    assert_eq!(tls("127.0.0.1", CA), None);
    assert_eq!(tls("127.0.0.1", OTHER_CA), Some(Trouble::Tls));
    assert_eq!(tls("127.0.0.1", "no PEM"), Some(Trouble::Tls));
    assert_eq!(tls("localhost", CA), Some(Trouble::Tls), "the certificate is for the address");
    assert_eq!(open(secure(serve(vec![good()]), Delivery::Tls, "127.0.0.1", CA)), Some(Trouble::Tls));

    let start = |greeting: &'static str, answer: &'static str| {
        let deed = deed(move |mut talk: Talk| {
            let (tag, command) = talk.say(greeting).command();
            if command == "STARTTLS" {
                talk.say(&answer.replace("TAG", &tag)).end();
            }
        });
        open(secure(serve(vec![deed]), Delivery::StartTls, "127.0.0.1", CA))
    };
    assert_eq!(start("* OK hello\r\n", "TAG NO never\r\n"), Some(Trouble::Tls));
    assert_eq!(start("* PREAUTH hello\r\n", ""), Some(Trouble::Tls));
    assert_eq!(start("* OK hello\r\n", "TAG OK now\r\n* CAPABILITY injected\r\n"), Some(Trouble::Tls));
    let started = deed(|mut talk| {
        let (tag, command) = talk.say("* OK hello\r\n").command();
        assert_eq!(command, "STARTTLS");
        talk.say(&format!("{tag} OK now\r\n"));
        talk.secure().let_in(ALL).end();
    });
    assert_eq!(open(secure(serve(vec![started]), Delivery::StartTls, "127.0.0.1", CA)), None);
}

/// The trouble with a server that does this; the next one is good, and its knock is found.
#[track_caller]
fn trouble_with(limits: Limits, bad: impl FnOnce(Talk) + Send + 'static) -> Trouble {
    let store = Store::default();
    for uid in 1..=3 {
        store.put(uid, "hello");
    }
    store.put(4, "knock good");
    let (good, events, _) = store.deed(ALL);
    events.send(Event::Lost).unwrap();
    let imap = plain(serve(vec![deed(bad), good]), Taken::Mark);
    let courier = Courier::new();
    let mut mailbox = mailbox(&imap, limits);
    let trouble = listen(&mut mailbox, &courier);
    mailbox.limits = PATIENT;
    assert_eq!((listen(&mut mailbox, &courier), offers(&courier)), (Trouble::Broken, vec!["good".to_owned()]));
    trouble
}

/// Answers the search with one mail, and then waits for it to be fetched.
fn asked_for_a_mail(talk: &mut Talk) {
    talk.greet(ALL);
    for answer in ["", "* SEARCH 3\r\n"] {
        let (tag, _) = talk.command();
        talk.say(&format!("{answer}{tag} OK\r\n"));
    }
    talk.command();
}

#[test]
fn whatever_a_server_does_has_a_name_and_the_next_good_knock_works() {
    let says = |text: &'static str| {
        trouble_with(PATIENT, move |mut talk| {
            talk.say(text).command();
        })
    };
    assert_eq!(says("* BYE too many\r\n"), Trouble::Broken);
    assert_eq!(trouble_with(PATIENT, drop), Trouble::Broken);
    assert_eq!(says("220 smtp.example ESMTP\r\n"), Trouble::Nonsense);
    assert_eq!(says("\u{1}\u{2}\r\n\r\n"), Trouble::Nonsense);
    let refuses = |what: &'static str| {
        trouble_with(PATIENT, move |mut talk| {
            talk.say("* OK hello\r\n");
            loop {
                let (tag, command) = talk.command();
                let end = if command.starts_with(what) { "NO" } else { "OK" };
                if command.is_empty() {
                    return;
                }
                talk.say(&format!("{tag} {end} [X] {{5}}\r\n"));
            }
        })
    };
    assert_eq!(refuses("LOGIN"), Trouble::Login);
    assert_eq!(refuses("SELECT"), Trouble::NoMailbox);
    assert_eq!(refuses("UID SEARCH"), Trouble::Nonsense);
    let fetch = |answer: &'static str| {
        trouble_with(PATIENT, move |mut talk| {
            asked_for_a_mail(&mut talk);
            talk.say(answer);
        })
    };
    assert_eq!(fetch("* 1 FETCH (UID 3 BODY[]<0> {5000}\r\nSubject: knock go"), Trouble::Broken);
    assert_eq!(fetch("* 1 FETCH (UID 3 BODY[]<0> {3000000000}\r\nSubject: knock"), Trouble::TooLong);
    assert_eq!(fetch("k999 OK of another command\r\n"), Trouble::Nonsense);
    assert_eq!(fetch("+ go on\r\n"), Trouble::Nonsense);
    assert_eq!(fetch("* BYE\r\n"), Trouble::Broken);
    assert_eq!(fetch("* 1 FETCH (UID 3 INTERNALDATE NIL BODYSTRUCTURE ((((((\r\n"), Trouble::Broken);
}

#[test]
fn a_server_that_sends_without_end_ends() {
    for endless in ["* OK [", "* 1 EXISTS\r\n", "* SEARCH 1 1 1 1 1 1 1 1\r\n"] {
        let trouble = trouble_with(PATIENT, move |mut talk| {
            asked_for_a_mail(&mut talk);
            for _ in 0..(4 << 20) / endless.len() {
                talk.say(endless);
            }
        });
        assert_eq!(trouble, Trouble::TooLong);
    }
}

#[test]
fn a_server_that_takes_its_time_has_only_so_much() {
    assert_eq!(trouble_with(QUICK, |mut talk| talk.end()), Trouble::TooSlow);
    let trickle = |mut talk: Talk| {
        asked_for_a_mail(&mut talk);
        talk.say("* 1 FETCH (UID 3 BODY[]<0> {5000}\r\n");
        let (mut end, ended) = (false, Instant::now());
        while !end {
            // Until nobody takes it any more.
            talk.say("x");
            end = ended.elapsed() > Duration::from_millis(600);
            thread::yield_now();
        }
    };
    assert!(matches!(trouble_with(QUICK, trickle), Trouble::TooSlow | Trouble::Broken));
}

#[test]
fn a_host_that_is_not_there_cannot_be_reached() {
    let port = serve(Vec::new());
    // Whoever listened there is gone, or goes now.
    let trouble = Session::open(&plain(port, Taken::Mark), PATIENT).err();
    assert!(matches!(trouble, Some(Trouble::Unreachable | Trouble::Broken)), "{trouble:?}");
}

#[test]
fn pauses_grow_and_are_longer_when_not_let_in() {
    let pauses = |trouble| [0, 1, 5, 6, 7, 99].map(|before| pause(trouble, before, u32::MAX / 2).as_secs_f64().round());
    assert_eq!(pauses(Trouble::Broken), [5.0, 10.0, 160.0, 300.0, 300.0, 300.0]);
    assert_eq!(pauses(Trouble::Login), [60.0, 120.0, 1920.0, 3600.0, 3600.0, 3600.0]);
    assert_eq!([0, u32::MAX].map(|chance| pause(Trouble::Broken, 0, chance).as_millis()), [4000, 6000]);
}
