//! A person with `klopf open --via mail`: by a real Postfix, and without any.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use klopf_tests::scene::{STRANGER4, within};
use klopf_tests::{CLIENT4, Case, Device, Dovecot, Elsewhere, Kept, Postfix, Result, Stage, ensure, mail, until_some};
use klopf_wire::text;

use crate::client::Guest;
use crate::play::{DOOR, needs, work};

/// By TLS, and by STARTTLS.
const SERVERS: [&str; 2] = ["smtps://ada@mail.test", "smtp://ada@mail.test"];

pub(crate) fn cases() -> Vec<Case> {
    let (postfix, dovecot) = (needs(&[&Dovecot::NEEDS, &Postfix::NEEDS]), needs(&[&Dovecot::NEEDS]));
    vec![
        Case::new("klopf_sends_a_mail_that_opens_within_two_seconds", &postfix, sent),
        Case::new("klopf_waits_until_its_mail_has_opened", &postfix, waits),
        Case::new("a_mail_that_klopf_sends_tells_nothing_of_itself", &postfix, plain_mail),
        Case::new("without_a_mail_server_klopf_prints_a_link_with_the_token", &dovecot, linked),
        Case::new("a_wrong_password_is_said_and_a_link_is_left", &postfix, wrong_password),
        Case::new("a_mail_server_that_cannot_be_reached_is_said_and_a_link_is_left", &dovecot, unreachable),
        Case::new("a_mail_server_that_nobody_vouches_for_gets_no_password_of_klopf", &postfix, untrusted),
        Case::new("a_password_that_others_may_read_is_not_used", &dovecot, exposed),
    ]
}

/// What `client.toml` says of the mail server.
pub(crate) fn smtp(device: &Device<'_>, elsewhere: &Elsewhere, server: &str, password: &str) -> Result {
    device.configure("smtp.password", &format!("{password}\n"))?;
    let ca = &elsewhere.authority.ca;
    let from = Dovecot::ADDRESS;
    let text =
        format!("[smtp]\nserver = {server:?}\nfrom = {from:?}\npassword-file = \"smtp.password\"\nca-file = {ca:?}\n");
    device.configure("client.toml", &text).map(drop)
}

/// Both mail servers, and somebody who has been invited.
pub(crate) fn with_servers<'a>(stage: &'a Stage, elsewhere: &Elsewhere) -> Result<(Dovecot, Postfix, Guest<'a>)> {
    let dovecot = Dovecot::start_with(stage, elsewhere, &Postfix::auth(stage))?;
    let postfix = Postfix::start_for_people(stage, elsewhere, &dovecot.socket())?;
    let guest = Guest::invited(stage, elsewhere, &format!("{}{DOOR}", work(stage, elsewhere, "")?))?;
    Ok((dovecot, postfix, guest))
}

const OPEN: [&str; 6] = ["open", "laptop/ssh", "--via", "mail", "--allow", "10.99.0.2"];

/// Waits for the next mail of a mailbox.
fn next(dovecot: &Dovecot, before: usize) -> Result<Kept> {
    until_some("a mail comes to Dovecot", || Ok(dovecot.mails("INBOX")?.into_iter().nth(before)))
}

fn sent(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let (dovecot, _postfix, Guest { mut play, device }) = with_servers(stage, &elsewhere)?;
    for (server, before) in SERVERS.into_iter().zip(0..) {
        smtp(&device, &elsewhere, server, Dovecot::PASSWORD)?;
        play.is_closed(CLIENT4)?;
        let (out, err) = device.fails(&OPEN, 0)?;
        ensure!(out.is_empty() && err.contains(&format!("Sent to {}", Dovecot::ADDRESS)), "{out:?} {err:?}");
        next(&dovecot, before)?;
        let delivered = Instant::now();
        play.opens(CLIENT4)?;
        within(Duration::ZERO, Duration::from_secs(2), delivered, "to open by mail")?;
        play.is_closed(STRANGER4)?;
        play.revoke()?;
    }
    Ok(())
}

fn waits(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let (_dovecot, _postfix, Guest { mut play, device }) = with_servers(stage, &elsewhere)?;
    smtp(&device, &elsewhere, SERVERS[0], Dovecot::PASSWORD)?;
    let begun = Instant::now();
    let said = device.says(&[&OPEN[..], &["--wait", "tcp/22"]].concat())?;
    ensure!(said.contains("answers at tcp/22"), "it says {said:?}");
    within(Duration::ZERO, Duration::from_secs(8), begun, "to send a mail and get in")?;
    play.opens(CLIENT4)?;
    // One that opens nothing, for it is for somebody else.
    play.revoke()?;
    let other = ["open", "laptop", "--via", "mail", "--allow", "10.99.0.77", "--wait", "tcp/22", "--timeout", "1s"];
    let (_, err) = device.fails(&other, 69)?;
    ensure!(err.contains("klopf status") && err.contains("under way"), "it says {err:?}");
    Ok(())
}

fn plain_mail(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let (dovecot, _postfix, Guest { mut play, device }) = with_servers(stage, &elsewhere)?;
    smtp(&device, &elsewhere, SERVERS[0], Dovecot::PASSWORD)?;
    for (words, before) in [&[][..], &["--shape", "plain"], &["--language", "de"]].into_iter().zip(0..) {
        device.says(&[&OPEN[..], words].concat())?;
        let mail = next(&dovecot, before)?.mail;
        play.opens(CLIENT4)?;
        play.revoke()?;
        // What the servers on the way have written above is theirs.
        let own = mail.find("\nFrom: ").and_then(|at| mail.get(at..)).ok_or("no header")?;
        for word in ["klopf", "laptop", "10.99.0.2", "lettre", "User-Agent", "X-Mailer"] {
            ensure!(!own.to_lowercase().contains(&word.to_lowercase()), "it speaks of {word}:\n{own}");
        }
        let headers = own.split("\n\n").next().unwrap_or_default();
        for header in ["\nTo: ", "\nSubject: ", "\nDate: ", "\nMessage-ID: "] {
            ensure!(headers.to_lowercase().contains(&header.to_lowercase()), "no {header:?}:\n{own}");
        }
        ensure!(own.lines().all(|line| line.len() <= 998), "a line is too long for mail:\n{own}");
    }
    Ok(())
}

/// What a link says: whom to write to, of what, and what.
pub(crate) fn read_link(link: &str) -> Result<[String; 3]> {
    let rest = link.strip_prefix("mailto:").ok_or_else(|| format!("no link: {link}"))?;
    let (to, fields) = rest.split_once('?').ok_or("no fields")?;
    let field = |name| fields.split('&').find_map(|field| field.strip_prefix(name)).ok_or("a field is missing");
    Ok([decoded(to)?, decoded(field("subject=")?)?, decoded(field("body=")?)?])
}

/// A text without `%XX` (RFC 3986, section 2.1).
fn decoded(text: &str) -> Result<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (byte, rest) = part.split_at_checked(2).ok_or("half a byte")?;
        bytes.push(u8::from_str_radix(byte, 16)?);
        bytes.extend(rest.as_bytes());
    }
    Ok(String::from_utf8(bytes)?)
}

/// Makes sure that a link's mail opens the door.
fn link_opens(guest: &mut Guest<'_>, dovecot: &Dovecot, link: &str) -> Result {
    let [to, subject, body] = read_link(link.trim_end())?;
    ensure!(to == Dovecot::ADDRESS && !subject.is_empty(), "it is to {to:?} of {subject:?}");
    ensure!(text::read(&body).is_some(), "no token in {body:?}");
    guest.play.is_closed(CLIENT4)?;
    dovecot.deliver(&mail(&subject, &body))?;
    guest.play.opens(CLIENT4).map_err(|fault| format!("{fault}\n{body}"))?;
    guest.play.revoke()
}

fn linked(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let mut guest = Guest::invited(stage, &elsewhere, &format!("{}{DOOR}", work(stage, &elsewhere, "")?))?;
    for words in [&[][..], &["--language", "de"], &["--shape", "words"], &["--shape", "plain"]] {
        let (out, err) = guest.device.fails(&[&OPEN[..], words].concat(), 0)?;
        ensure!(out.lines().count() == 1, "more than a link: {out:?}");
        ensure!(err.contains("client.toml") && err.contains("[smtp]"), "how to send it is not said: {err}");
        link_opens(&mut guest, &dovecot, &out)?;
    }
    // To somebody else than the invitation says.
    let (out, _) = guest.device.fails(&[&OPEN[..], &["--to", "other+knock@host.test"]].concat(), 0)?;
    let [to, ..] = read_link(out.trim_end())?;
    ensure!(to == "other+knock@host.test", "it is to {to}");
    Ok(())
}

fn wrong_password(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let (dovecot, _postfix, mut guest) = with_servers(stage, &elsewhere)?;
    let wrong = "not the password";
    smtp(&guest.device, &elsewhere, SERVERS[0], wrong)?;
    let (out, err) = guest.device.fails(&OPEN, 69)?;
    let file = guest.device.path(".config/klopf/smtp.password").display().to_string();
    for told in ["mail.test", "ada", &file] {
        ensure!(err.contains(told), "it says nothing of {told}: {err}");
    }
    ensure!(!err.contains(wrong), "it says the password: {err}");
    link_opens(&mut guest, &dovecot, &out)
}

fn unreachable(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let mut guest = Guest::invited(stage, &elsewhere, &format!("{}{DOOR}", work(stage, &elsewhere, "")?))?;
    for (server, told) in [
        ("smtps://ada@mail.test", "465"),
        ("smtp://ada@mail.test", "587"),
        ("smtps://ada@nobody.test", "nobody.test"),
        // It speaks, but something else.
        ("smtp://ada@mail.test:143", "143"),
    ] {
        smtp(&guest.device, &elsewhere, server, Dovecot::PASSWORD)?;
        let (out, err) = guest.device.fails(&OPEN, 69).map_err(|fault| format!("{server}: {fault}"))?;
        ensure!(err.contains(told) && err.contains("link"), "{server}: {err}");
        link_opens(&mut guest, &dovecot, &out)?;
    }
    Ok(())
}

fn untrusted(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let (dovecot, _postfix, mut guest) = with_servers(stage, &elsewhere)?;
    let other = Elsewhere::authority(stage, "other")?;
    for server in SERVERS {
        smtp(&guest.device, &elsewhere, server, Dovecot::PASSWORD)?;
        let path = guest.device.path(".config/klopf/client.toml");
        let ca = |authority: &klopf_tests::Authority| authority.ca.display().to_string();
        let text = fs::read_to_string(&path)?.replace(&ca(&elsewhere.authority), &ca(&other));
        guest.device.configure("client.toml", &text)?;
        let (out, err) = guest.device.fails(&OPEN, 69)?;
        ensure!(err.contains("ertificate"), "{server}: {err}");
        link_opens(&mut guest, &dovecot, &out)?;
    }
    ensure!(!dovecot.log()?.contains("smtp"), "somebody has logged in:\n{}", dovecot.log()?);
    Ok(())
}

fn exposed(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let Guest { device, .. } = Guest::invited(stage, &elsewhere, &format!("{}{DOOR}", work(stage, &elsewhere, "")?))?;
    smtp(&device, &elsewhere, SERVERS[0], Dovecot::PASSWORD)?;
    let file = device.path(".config/klopf/smtp.password");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
    let (_, err) = device.fails(&OPEN, 77)?;
    ensure!(err.contains(&format!("chmod 600 {}", file.display())), "it says {err}");
    ensure!(!err.contains(Dovecot::PASSWORD), "it says the password");
    ensure!(dovecot.mails("INBOX")?.is_empty(), "a mail came");
    Ok(())
}
