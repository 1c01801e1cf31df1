//! A person who has been invited with an address for mails, for one device.

use klopf_tests::scene::STRANGER4;
use klopf_tests::{
    CLIENT4, CLIENT6, Case, Device, Dovecot, Elsewhere, Postfix, Result, Stage, ensure, mail, succeeded,
};

use crate::client::Guest;
use crate::client_mails::{read_link, smtp};
use crate::play::{DOOR, count, needs, nobody, work};

/// Nothing but where mails go: the key is for the device that uses it first.
const TERMS: [&str; 2] = ["--mail", "knock@host.test"];

pub(crate) fn cases() -> Vec<Case> {
    let (mails, postfix) = (needs(&[&Dovecot::NEEDS]), needs(&[&Dovecot::NEEDS, &Postfix::NEEDS]));
    vec![
        Case::new("after_the_first_knock_by_packet_tokens_open_by_mail", &postfix, first_packet),
        Case::new("before_the_first_packet_no_token_opens_and_no_invitation_is_used_up", &mails, no_packet),
        Case::new("a_device_that_has_joined_with_the_same_line_makes_no_tokens", &mails, second_device),
        Case::new("a_server_in_nobodys_invitation_is_asked_for", &mails, no_address),
        Case::new("a_device_that_joins_again_goes_on_where_it_was", &mails, joined_again),
    ]
}

fn first_packet(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start_with(stage, &elsewhere, &Postfix::auth(stage))?;
    let _postfix = Postfix::start_for_people(stage, &elsewhere, &dovecot.socket())?;
    let config = format!("{}{DOOR}", work(stage, &elsewhere, "")?);
    let Guest { mut play, device } = Guest::invited_with(stage, &elsewhere, &config, &TERMS)?;
    smtp(&device, &elsewhere, "smtps://ada@mail.test", Dovecot::PASSWORD)?;
    device.says(&["open", "laptop", "--wait", "tcp/22"])?;
    play.revoke()?;
    play.is_closed(CLIENT4)?;
    let (_, err) = device.fails(&["open", "laptop", "--via", "mail", "--allow", "10.99.0.2"], 0)?;
    ensure!(err.contains("Sent to knock@host.test"), "{err}");
    play.opens(CLIENT4)?;
    play.is_closed(STRANGER4)?;
    // Over a restart of the server.
    play.revoke()?;
    play.end(klopf_tests::Signal::KILL)?;
    play.start()?;
    device.says(&["open", "laptop", "--via", "mail", "--allow", "10.99.0.2", "--wait", "tcp/22"])?;
    play.opens(CLIENT4)
}

fn no_packet(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let config = format!("{}{DOOR}", work(stage, &elsewhere, "")?);
    let Guest { mut play, device } = Guest::invited_with(stage, &elsewhere, &config, &TERMS)?;
    let (token, err) = device.fails(&["token", "laptop", "--allow", "10.99.0.2"], 0)?;
    ensure!(err.contains("no packet yet") && err.contains("klopf open laptop"), "nothing of a packet: {err}");
    dovecot.deliver(&mail("Hi", &token))?;
    let marker = mail("marker", &play.plain(STRANGER4)?);
    dovecot.deliver(&marker)?;
    play.opens(STRANGER4)?;
    play.is_closed(CLIENT4)?;
    device.says(&["open", "laptop", "--wait", "tcp/22"])?;
    play.revoke()?;
    let (token, err) = device.fails(&["token", "laptop", "--allow", "10.99.0.2"], 0)?;
    ensure!(!err.contains("no packet"), "there was one: {err}");
    dovecot.deliver(&mail("Hi", &token))?;
    play.opens(CLIENT4)
}

/// The line of an invitation for the laptop.
fn line(guest: &Guest<'_>) -> Result<String> {
    let words = ["invite", "laptop", "--door", "ssh", "--endpoint", "host.test", "--replace", "--mail", TERMS[1]];
    succeeded("klopf invite", &guest.play.scene.klopf(&words)?.output()?)
}

fn second_device(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let config = format!("{}{DOOR}", work(stage, &elsewhere, "")?);
    let mut guest = Guest::invited_with(stage, &elsewhere, &config, &TERMS)?;
    let line = line(&guest)?;
    let thief = Device::new(stage, &stage.client, "thief", &std::fs::read_to_string(&elsewhere.hosts)?)?;
    let owner = Device::new(stage, &stage.client, "owner", &std::fs::read_to_string(&elsewhere.hosts)?)?;
    for device in [&owner, &thief] {
        device.join_quietly(&line)?;
    }
    owner.says(&["open", "laptop", "--wait", "tcp/22"])?;
    guest.play.revoke()?;
    let forged = thief.fails(&["token", "laptop", "--allow", &CLIENT6.to_string()], 0)?.0;
    dovecot.deliver(&mail("Hi", &forged))?;
    guest.play.scene.until_status("it is forged", |status| count(status, "forged") == 1)?;
    guest.play.is_closed(CLIENT6)?;
    let token = owner.fails(&["token", "laptop", "--allow", "10.99.0.2"], 0)?.0;
    dovecot.deliver(&mail("Hi", &token))?;
    guest.play.opens(CLIENT4)
}

fn no_address(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let config = format!("{}{DOOR}", work(stage, &elsewhere, "")?);
    let Guest { play, device } = Guest::invited_with(stage, &elsewhere, &config, &["--reusable"])?;
    let words = ["open", "laptop", "--via", "mail", "--allow", "10.99.0.50"];
    let (out, err) = device.fails(&words, 64)?;
    ensure!(out.is_empty() && err.contains("--to MAIL"), "{out:?} {err:?}");
    let (link, _) = device.fails(&[&words[..], &["--to", "knock@host.test"]].concat(), 0)?;
    let [to, _, body] = read_link(link.trim_end())?;
    ensure!(to == "knock@host.test", "{link}");
    dovecot.deliver(&mail("Hi", &body))?;
    play.until_lease(nobody(50)).map(drop)
}

fn joined_again(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let config = format!("{}{DOOR}", work(stage, &elsewhere, "")?);
    let mut guest = Guest::invited_with(stage, &elsewhere, &config, &TERMS)?;
    let line = line(&guest)?;
    let device = Device::new(stage, &stage.client, "again", &std::fs::read_to_string(&elsewhere.hosts)?)?;
    device.join_quietly(&line)?;
    device.says(&["open", "laptop", "--wait", "tcp/22"])?;
    guest.play.revoke()?;
    device.says(&["join", &line, "--force"])?;
    let token = device.fails(&["token", "laptop", "--allow", "10.99.0.2"], 0)?.0;
    dovecot.deliver(&mail("Hi", &token))?;
    guest.play.opens(CLIENT4)
}
