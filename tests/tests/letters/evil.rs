//! Servers and people that mean no good: they cost little, they are named, and the next good knock works.

use std::time::Duration;

use klopf_tests::scene::{STRANGER4, text};
use klopf_tests::{CLIENT4, Case, Dovecot, Elsewhere, Hostile, Result, Stage, ensure, mail, until, written};
use klopf_wire::text::Shape;

use crate::play::{DOOR, Maildir, Play, book, imap, needs, nobody, work};

/// What a web server does, and what is said of it.
const PAGES: [(&str, &str, &[&str]); 13] = [
    ("a_guestbook_that_never_answers_is_left", "silent", &["too-slow"]),
    ("a_guestbook_that_trickles_is_left", "trickle", &["too-slow"]),
    ("a_guestbook_without_end_is_read_in_part", "endless", &["too-long"]),
    ("headers_without_end_are_not_read", "headers", &["nonsense", "too-long"]),
    ("a_gigabyte_in_a_zip_is_read_in_part", "bomb", &["too-long"]),
    ("redirects_without_end_are_not_followed", "redirects", &["redirect"]),
    ("a_redirect_to_another_host_is_not_followed", "elsewhere http://book.test/", &["redirect"]),
    ("a_redirect_to_this_host_is_not_followed", "elsewhere http://127.0.0.1/", &["redirect"]),
    ("an_answer_with_an_error_is_said", "error", &["http-status"]),
    ("an_answer_that_is_no_http_is_said", "garbage", &["nonsense", "broken"]),
    ("an_answer_that_is_cut_is_said", "cut", &["broken"]),
    ("brackets_without_end_are_no_harm", "brackets", &["nonsense", "too-long"]),
    ("entities_of_entities_are_no_harm", "entities", &["nonsense", "too-long", ""]),
];

/// What a mail server does, and what is said of it.
const MAILS: [(&str, &str, &[&str]); 9] = [
    ("a_mail_server_that_drops_in_mid_literal_is_tried_again", "literal", &["broken", "unreachable"]),
    ("a_mail_server_that_sends_gigabytes_is_left", "gigabyte", &["too-long", "nonsense"]),
    ("a_mail_server_that_promises_gigabytes_is_left", "claims", &["too-long", "too-slow", "nonsense"]),
    ("a_mail_server_that_never_answers_is_left", "silent", &["too-slow"]),
    ("a_mail_server_that_trickles_is_left", "trickle", &["too-slow", "nonsense", "too-long"]),
    ("a_mail_server_that_greets_without_end_is_left", "endless", &["too-long", "nonsense"]),
    ("a_mail_server_that_says_too_much_is_left", "lines", &["too-long", "too-slow", "too-much", "nonsense", "broken"]),
    ("a_mail_server_that_speaks_no_imap_is_left", "garbage", &["nonsense", "broken", "too-long"]),
    ("a_mail_server_that_says_goodbye_is_tried_again", "bye", &["nonsense", "broken", "unreachable", "login"]),
];

pub(crate) fn cases() -> Vec<Case> {
    let (web, mails) = (needs(&[]), needs(&[&Dovecot::NEEDS]));
    let pages = PAGES.map(|(name, deed, said)| Case::new(name, &web, move |stage| page(stage, deed, said)));
    let servers = MAILS.map(|(name, deed, said)| Case::new(name, &mails, move |stage| server(stage, deed, said)));
    let others = [
        Case::new("broken_utf8_around_an_entry_is_no_harm", &web, |stage| around(stage, "utf8")),
        Case::new("elements_in_elements_without_end_are_no_harm", &web, |stage| around(stage, "deep")),
        Case::new("ten_thousand_almost_tokens_are_no_harm", &web, almost),
        Case::new("tls_that_is_none_is_said", &web, |stage| no_tls(stage, "plain")),
        Case::new("tls_that_is_too_old_is_said", &web, |stage| no_tls(stage, "old")),
        Case::new("a_mail_of_50_mb_is_no_harm", &mails, huge),
        Case::new("a_mail_with_parts_in_parts_a_thousand_deep_is_no_harm", &mails, deep),
        Case::new("a_thousand_mails_that_are_no_tokens_are_no_harm", &mails, many),
    ];
    pages.into_iter().chain(servers).chain(others).map(|case| case.lasting(Duration::from_secs(180))).collect()
}

fn page(stage: &Stage, deed: &str, said: &[&str]) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let evil = Hostile::web(stage, &elsewhere, deed)?;
    let maildir = Maildir::make(stage, "mail")?;
    let section = book(&elsewhere, "evil", "http://evil.test/", "insecure = true");
    let mut play = Play::begin(stage, &elsewhere, &format!("{section}{}{DOOR}", maildir.section("")))?;
    // Others are not kept waiting.
    evil.until_done(deed.split(' ').next().unwrap_or_default(), 1)?;
    let letter = mail("knock", &play.plain(STRANGER4)?);
    maildir.deliver("knock", &letter)?;
    play.opens(STRANGER4)?;
    play.until_source("evil", &format!("in trouble: {said:?}"), |of| {
        text(of, "state") != "starting" && said.contains(&text(of, "trouble"))
    })?;
    play.courier_is_small()?;
    let entry = play.plain(CLIENT4)?;
    evil.has(format!("<p>{entry}</p>"))?;
    evil.does("good")?;
    play.opens(CLIENT4)?;
    play.until_fine("evil")?;
    play.courier_is_small()
}

fn around(stage: &Stage, deed: &str) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let evil = Hostile::web(stage, &elsewhere, deed)?;
    let section = book(&elsewhere, "evil", "http://evil.test/", "insecure = true");
    let mut play = Play::begin(stage, &elsewhere, &format!("{section}{DOOR}"))?;
    let entry = play.plain(CLIENT4)?;
    evil.has(format!("<p>{entry}</p>"))?;
    play.opens(CLIENT4)?;
    play.courier_is_small()
}

fn almost(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let evil = Hostile::web(stage, &elsewhere, "good")?;
    let section = book(&elsewhere, "evil", "http://evil.test/", "insecure = true");
    let mut play = Play::begin(stage, &elsewhere, &format!("{section}{DOOR}"))?;
    // Of the right length and with the right check, and by nobody.
    let entry = play.plain(CLIENT4)?;
    let token = play.token_with(nobody(50), |_| ())?;
    let mut page = format!("<p>{entry}</p>\n");
    for number in 1..=10_000_u32 {
        let mut other = token.clone();
        other.iter_mut().zip(number.wrapping_mul(0x9e37_79b1).to_le_bytes()).for_each(|(byte, by)| *byte ^= by);
        page.push_str(&format!("<p>{}</p>\n", written(&other, Shape::Plain)?));
    }
    evil.has(&page)?;
    play.opens(CLIENT4)?;
    play.courier_is_small()?;
    // The next good one comes to the top.
    let entry = play.plain(STRANGER4)?;
    evil.has(format!("<p>{entry}</p>\n{page}"))?;
    play.opens(STRANGER4)?;
    play.has_leases(2)?;
    play.courier_is_small()
}

fn no_tls(stage: &Stage, deed: &str) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let evil = Hostile::secure_web(stage, &elsewhere, &elsewhere.authority, deed)?;
    let section = book(&elsewhere, "evil", "https://evil.test/", "");
    let mut play = Play::begin(stage, &elsewhere, &format!("{section}{DOOR}"))?;
    play.until_trouble("evil", &["tls"])?;
    let entry = play.plain(CLIENT4)?;
    evil.has(format!("<p>{entry}</p>"))?;
    evil.does("good")?;
    play.opens(CLIENT4)
}

fn server(stage: &Stage, deed: &str, said: &[&str]) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let evil = Hostile::imap(stage, &elsewhere, deed)?;
    dovecot.deliver(&mail("private", "hello"))?;
    let maildir = Maildir::make(stage, "mail")?;
    let section = imap(stage, "evil", "imap://ada@evil.test/INBOX", "insecure = true\nevery = \"5s\"")?;
    let mut play = Play::begin(stage, &elsewhere, &format!("{section}{}{DOOR}", maildir.section("")))?;
    evil.until_done(deed, 1)?;
    let letter = mail("knock", &play.plain(STRANGER4)?);
    maildir.deliver("knock", &letter)?;
    play.opens(STRANGER4)?;
    play.until_trouble("evil", said)?;
    play.courier_is_small()?;
    evil.does("good")?;
    let letter = mail("knock", &play.plain(CLIENT4)?);
    dovecot.deliver(&letter)?;
    play.opens(CLIENT4)?;
    play.until_fine("evil")?;
    play.courier_is_small()
}

fn huge(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let mut play = Play::begin(stage, &elsewhere, &format!("{}{DOOR}", work(stage, &elsewhere, "")?))?;
    let line = "a line of a mail that is as long as lines of mails are, and says nothing\n";
    dovecot.deliver(&mail("huge", "").replace("\n\n", &format!("\n\n{}", line.repeat(50_000_000 / line.len()))))?;
    let letter = mail("knock", &play.plain(CLIENT4)?);
    dovecot.deliver(&letter)?;
    play.opens(CLIENT4)?;
    play.courier_is_small()?;
    ensure!(dovecot.mails("INBOX")?.iter().filter(|kept| !kept.seen).count() == 1, "the huge one is touched");
    Ok(())
}

fn deep(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let mut play = Play::begin(stage, &elsewhere, &format!("{}{DOOR}", work(stage, &elsewhere, "")?))?;
    let mut bomb = String::from("From: a@example.org\nSubject: bomb\nMIME-Version: 1.0\n");
    for depth in 0..1000 {
        bomb.push_str(&format!("Content-Type: multipart/mixed; boundary=\"b{depth}\"\n\n--b{depth}\n"));
    }
    bomb.push_str("Content-Type: text/plain\n\nboom\n");
    let forwarded = format!("Subject: bomb\n\n{}", "Content-Type: message/rfc822\n\n".repeat(1000));
    for letter in [bomb, forwarded] {
        dovecot.deliver(&letter)?;
    }
    let letter = mail("knock", &play.plain(CLIENT4)?);
    dovecot.deliver(&letter)?;
    play.opens(CLIENT4)?;
    play.courier_is_small()
}

fn many(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let maildir = Maildir::make(stage, "mail")?;
    for number in 0..999 {
        maildir
            .deliver(&format!("1700000000.{number}.host"), &mail("advertisement", &format!("buy {number} of them")))?;
    }
    let mut play = Play::begin(stage, &elsewhere, &format!("{}{DOOR}", maildir.section("")))?;
    let letter = mail("knock", &play.plain(CLIENT4)?);
    maildir.deliver("1700000001.0.host", &letter)?;
    play.opens(CLIENT4)?;
    until("all were looked at", || {
        let source = play.until_fine("box")?;
        Ok(source.get("looked-at").and_then(serde_json::Value::as_u64).is_some_and(|looked| looked >= 1000))
    })?;
    play.courier_is_small()
}
