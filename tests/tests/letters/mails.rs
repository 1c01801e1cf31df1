//! Knocks by mail, through the real Dovecot.

use std::time::Duration;

use klopf_tests::scene::{STRANGER4, STRANGER6, text, within};
use klopf_tests::{
    CLIENT4, CLIENT6, Case, Dovecot, Elsewhere, Kept, Postfix, Result, SHAPES, Stage, ensure, mail, until, wrapped,
};
use klopf_wire::text::Shape;

use crate::play::{DOOR, Play, imap, needs, nobody, work};

pub(crate) fn cases() -> Vec<Case> {
    let needs = needs(&[&Dovecot::NEEDS, &Postfix::NEEDS]);
    vec![
        Case::new("a_mail_opens_for_the_claimed_address_within_two_seconds", &needs, at_once),
        Case::new("without_idle_a_mail_opens_at_the_next_look", &needs, by_polling),
        Case::new("a_mail_opens_in_every_shape_of_text", &needs, shapes),
        Case::new("a_token_is_found_wherever_a_mail_program_puts_it", &needs, places),
        Case::new("a_mail_is_marked_when_its_token_was_taken_and_others_are_not", &needs, marked),
        Case::new("a_mail_is_moved_when_its_token_was_taken_and_others_are_not", &needs, moved),
        Case::new("a_mail_is_deleted_when_its_token_was_taken_and_others_are_not", &needs, deleted),
        Case::new("mails_that_came_while_nobody_looked_are_caught_up_with", &needs, caught_up),
        Case::new("a_mail_server_that_comes_back_is_listened_to_again", &needs, comes_back),
        Case::new("starttls_is_asked_for_and_works", &needs, starttls),
        Case::new("a_wrong_password_is_said_and_mended_by_a_reload", &needs, wrong_password),
        Case::new("a_mail_server_that_nobody_vouches_for_is_told_nothing", &needs, untrusted),
        Case::new("a_mailbox_that_is_not_there_is_said", &needs, no_mailbox),
        Case::new("mails_come_by_postfix_to_dovecot", &needs, by_postfix),
        Case::new("ten_mails_at_once_all_open", &needs, many),
    ]
}

fn at_once(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let mut play = Play::begin(stage, &elsewhere, &format!("{}{DOOR}", work(stage, &elsewhere, "")?))?;
    play.until_source("work", "listens", |of| text(of, "state") == "listening")?;
    for (address, stranger) in [(CLIENT4, STRANGER4), (CLIENT6, STRANGER6)] {
        play.is_closed(address)?;
        let letter = mail("hello", &play.plain(address)?);
        let delivered = dovecot.deliver(&letter)?;
        play.opens(address)?;
        within(Duration::ZERO, Duration::from_secs(2), delivered, "to open by mail")?;
        play.is_closed(stranger)?;
        let status = play.scene.status()?;
        let lease = status.lease(address)?;
        ensure!(text(lease, "who") == "ada" && text(lease, "by") == "mail", "lease: {lease}");
    }
    let source = play.until_source("work", "counts", |of| of.get("taken").is_some_and(|taken| taken == 2))?;
    ensure!(text(&source, "kind") == "imap", "source: {source}");
    let said = play.scene.says(&["status"])?;
    ensure!(said.contains("work") && said.contains("mail"), "klopf status does not speak of mail:\n{said}");
    play.courier_is_small()
}

fn by_polling(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start_without_idle(stage, &elsewhere)?;
    let config = format!("{}{DOOR}", work(stage, &elsewhere, "every = \"5s\"")?);
    let mut play = Play::begin(stage, &elsewhere, &config)?;
    play.until_source("work", "waits", |of| text(of, "state") == "waiting")?;
    let letter = mail("hello", &play.plain(CLIENT4)?);
    let delivered = dovecot.deliver(&letter)?;
    play.opens(CLIENT4)?;
    // Pauses are uneven on purpose.
    within(Duration::ZERO, Duration::from_millis(7500), delivered, "to open by mail")
}

fn shapes(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let mut play = Play::begin(stage, &elsewhere, &format!("{}{DOOR}", work(stage, &elsewhere, "")?))?;
    for (shape, address) in SHAPES.into_iter().zip([CLIENT4, CLIENT6, STRANGER4, STRANGER6]) {
        let token = play.token(address, shape)?;
        dovecot.deliver(&mail("a few words", &token))?;
        play.opens(address).map_err(|fault| format!("{shape:?}: {fault}\n{token}"))?;
    }
    Ok(())
}

/// A mail with these headers and this body.
fn raw(headers: &str, body: &str) -> String {
    format!("From: a@example.org\nTo: ada@host.test\nSubject: hello\nMIME-Version: 1.0\n{headers}\n\n{body}\n")
}

fn places(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let mut play = Play::begin(stage, &elsewhere, &format!("{}{DOOR}", work(stage, &elsewhere, "")?))?;
    type Put = fn(&str) -> String;
    let put: [(&str, Put); 6] = [
        ("subject", |token| mail(token, "nothing here")),
        ("quoted", |token| {
            let quoted: String = wrapped(&in_lines(token)).lines().map(|line| format!("> > {line}\n")).collect();
            mail("Re: hello", &format!("Somebody wrote:\n{quoted}\n-- \nbest wishes\n"))
        }),
        ("HTML alone", |token| {
            let html =
                format!("<html><body><p>Hi,</p><p><b>{}</b></p></body></html>", in_lines(token).replace('\n', "<br>"));
            raw("Content-Type: text/html; charset=utf-8", &html)
        }),
        ("quoted-printable", |token| {
            let soft: String = in_lines(token).replace('\n', "=\n");
            raw(
                "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable",
                &format!("Gr=FC=DFe\n{soft}"),
            )
        }),
        ("attachment", |token| {
            raw(
                "Content-Type: multipart/mixed; boundary=\"x\"",
                &format!(
                    "--x\nContent-Type: text/plain\n\nsee there\n--x\nContent-Type: text/plain; name=\"a.txt\"\n\
                     Content-Disposition: attachment\n\n{token}\n--x--\n"
                ),
            )
        }),
        ("flowed", |token| {
            raw("Content-Type: text/plain; format=flowed; delsp=yes", &in_lines(token).replace('\n', " \n"))
        }),
    ];
    for ((what, letter), last) in put.into_iter().zip(50..) {
        let address = nobody(last);
        let letter = letter(&play.plain(address)?);
        dovecot.deliver(&letter)?;
        play.until_lease(address).map_err(|fault| format!("{what}: {fault}\n{letter}"))?;
    }
    Ok(())
}

/// A token broken into short lines.
fn in_lines(token: &str) -> String {
    token.as_bytes().chunks(30).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n")
}

/// Somebody's mail without a token, one that opens, one that does not; and what becomes of them.
fn becomes(stage: &Stage, taken: &str, is: impl Fn(&[Kept], &[Kept]) -> bool) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let config = format!("{}{DOOR}", work(stage, &elsewhere, &format!("taken = {taken:?}"))?);
    dovecot.deliver(&mail("private", "Dear Ada, how are you?"))?;
    let mut play = Play::begin(stage, &elsewhere, &config)?;
    let wrong = play.token_with(CLIENT4, |claim| claim.door = [1; 4])?;
    dovecot.deliver(&mail("wrong", &klopf_tests::written(&wrong, Shape::Plain)?))?;
    play.until_refused("unknown-door", 1)?;
    let letter = mail("knock", &play.plain(CLIENT4)?);
    dovecot.deliver(&letter)?;
    play.opens(CLIENT4)?;
    until(&format!("the mails are as {taken} says"), || Ok(is(&dovecot.mails("INBOX")?, &dovecot.mails("Knocks")?)))
        .map_err(|fault| format!("{fault}: {:#?} {:#?}", dovecot.mails("INBOX"), dovecot.mails("Knocks")))?;
    let private = dovecot.mails("INBOX")?.into_iter().find(|kept| about(kept, "private")).ok_or("a mail is lost")?;
    ensure!(!private.seen && !private.deleted, "somebody else's mail is touched: {private:?}");
    play.until_fine("work").map(drop)
}

fn about(kept: &Kept, subject: &str) -> bool {
    kept.mail.contains(&format!("Subject: {subject}"))
}

fn marked(stage: &Stage) -> Result {
    becomes(stage, "mark", |inbox, _| inbox.len() == 3 && inbox.iter().all(|kept| kept.seen == about(kept, "knock")))
}

fn moved(stage: &Stage) -> Result {
    becomes(stage, "move:Knocks", |inbox, knocks| {
        inbox.len() == 2
            && inbox.iter().all(|kept| !about(kept, "knock") && !kept.seen)
            && knocks.len() == 1
            && knocks.iter().all(|kept| about(kept, "knock"))
    })
}

fn deleted(stage: &Stage) -> Result {
    becomes(stage, "delete", |inbox, _| {
        inbox.len() == 2 && inbox.iter().all(|kept| !about(kept, "knock") && !kept.seen)
    })
}

fn caught_up(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let config = format!("{}{DOOR}", work(stage, &elsewhere, "")?);
    let mut play = Play::set(stage, &elsewhere, &config, "")?;
    for last in 100..120 {
        let letter = mail("meanwhile", &play.plain(nobody(last))?);
        dovecot.deliver(&letter)?;
        dovecot.deliver(&mail("private", &format!("number {last}")))?;
    }
    play.start()?;
    play.scene.until_status("all have opened", |status| status.leases() == 20)?;
    until("all are marked", || Ok(dovecot.mails("INBOX")?.iter().filter(|kept| kept.seen).count() == 20))
}

fn comes_back(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let mut play = Play::begin(stage, &elsewhere, &format!("{}{DOOR}", work(stage, &elsewhere, "")?))?;
    play.until_fine("work")?;
    dovecot.stop(&elsewhere)?;
    play.until_trouble("work", &["unreachable", "broken"])?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let letter = mail("hello", &play.plain(CLIENT4)?);
    dovecot.deliver(&letter)?;
    play.opens(CLIENT4)?;
    play.until_fine("work").map(drop)
}

fn starttls(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let lines = format!("ca-file = {:?}", elsewhere.authority.ca);
    let section = imap(stage, "work", "imap://ada@mail.test/INBOX", &lines)?;
    let mut play = Play::begin(stage, &elsewhere, &format!("{section}{DOOR}"))?;
    let letter = mail("hello", &play.plain(CLIENT4)?);
    dovecot.deliver(&letter)?;
    play.opens(CLIENT4)?;
    let log = dovecot.log()?;
    let logins = log.lines().filter(|line| line.contains("Login: user=<ada>"));
    ensure!(logins.clone().count() > 0 && logins.clone().all(|line| line.contains("TLS")), "not by TLS:\n{log}");
    Ok(())
}

fn wrong_password(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let config = format!("{}{DOOR}", work(stage, &elsewhere, "")?);
    stage.write("mail.password", "guess what\n")?;
    let mut play = Play::begin(stage, &elsewhere, &config)?;
    let source = play.until_trouble("work", &["login"])?;
    ensure!(text(&source, "state") == "failing", "source: {source}");
    let said = play.scene.says(&["status"])?;
    ensure!(said.contains("password"), "klopf status does not say it:\n{said}");
    stage.write("mail.password", &format!("{}\n", Dovecot::PASSWORD))?;
    play.scene.says(&["reload"])?;
    let letter = mail("hello", &play.plain(CLIENT4)?);
    dovecot.deliver(&letter)?;
    play.opens(CLIENT4)
}

fn untrusted(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let other = Elsewhere::authority(stage, "other")?;
    let section = imap(stage, "work", "imaps://ada@mail.test/INBOX", &format!("ca-file = {:?}", other.ca))?;
    let play = Play::begin(stage, &elsewhere, &format!("{section}{DOOR}"))?;
    play.until_trouble("work", &["tls"])?;
    // Its name is not on the certificate.
    let lines = format!("ca-file = {:?}", elsewhere.authority.ca);
    let section = imap(stage, "work", "imaps://ada@localhost/INBOX", &lines)?;
    play.scene.configure(&format!("{section}{DOOR}"))?;
    play.scene.says(&["reload"])?;
    play.until_trouble("work", &["tls", "unreachable"])?;
    ensure!(!dovecot.log()?.contains("user=<ada>"), "it has said who it is:\n{}", dovecot.log()?);
    Ok(())
}

fn no_mailbox(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let _dovecot = Dovecot::start(stage, &elsewhere)?;
    let lines = format!("ca-file = {:?}", elsewhere.authority.ca);
    let section = imap(stage, "work", "imaps://ada@mail.test/Nowhere", &lines)?;
    let play = Play::begin(stage, &elsewhere, &format!("{section}{DOOR}"))?;
    play.until_trouble("work", &["no-mailbox"]).map(drop)
}

fn by_postfix(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let postfix = Postfix::start(stage, &["/bin/false"], &dovecot.socket())?;
    let mut play = Play::begin(stage, &elsewhere, &format!("{}{DOOR}", work(stage, &elsewhere, "")?))?;
    let letter = mail("hello", &play.plain(CLIENT4)?);
    postfix.submit(&stage.client, Postfix::DELIVERED, &letter)?;
    play.opens(CLIENT4)?;
    postfix.stop()
}

fn many(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let mut play = Play::begin(stage, &elsewhere, &format!("{}{DOOR}", work(stage, &elsewhere, "")?))?;
    play.until_source("work", "listens", |of| text(of, "state") == "listening")?;
    let letters = (50..60).map(|last| Ok(mail("hello", &play.plain(nobody(last))?))).collect::<Result<Vec<_>>>()?;
    for letter in &letters {
        dovecot.deliver(letter)?;
    }
    play.scene.until_status("all have opened", |status| status.leases() == 10)?;
    ensure!(play.count("granted")? == 10, "not ten, but {}", play.count("granted")?);
    Ok(())
}
