//! Knocks by mail that come to a Maildir of this host: by a mail server, or by `klopf deliver`.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use klopf_tests::scene::{STRANGER4, text, within};
use klopf_tests::{
    CLIENT4, CLIENT6, Case, Elsewhere, Postfix, Result, Signal, Stage, built, ensure, mail, mails_of, until,
};

use crate::play::{DOOR, Maildir, Play, needs, nobody};

pub(crate) fn cases() -> Vec<Case> {
    let (plain, postfix) = (needs(&[]), needs(&[&Postfix::NEEDS]));
    vec![
        Case::new("a_mail_in_a_maildir_opens_within_a_second", &plain, at_once),
        Case::new("a_mail_in_a_maildir_is_marked", &plain, |stage| becomes(stage, "mark")),
        Case::new("a_mail_in_a_maildir_is_moved", &plain, |stage| becomes(stage, "move:Knocks")),
        Case::new("a_mail_in_a_maildir_is_deleted", &plain, |stage| becomes(stage, "delete")),
        Case::new("a_maildir_that_comes_later_is_listened_to", &plain, comes_later),
        Case::new("what_is_delivered_to_the_drop_box_opens_and_leaves_nothing", &plain, drop_box),
        Case::new("postfix_pipes_mails_to_klopf_deliver", &postfix, by_postfix),
    ]
}

fn at_once(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let maildir = Maildir::make(stage, "mail")?;
    let mut play = Play::begin(stage, &elsewhere, &format!("{}{DOOR}", maildir.section("")))?;
    play.until_source("box", "listens", |of| text(of, "state") == "listening" && text(of, "kind") == "maildir")?;
    for (name, address) in [("one", CLIENT4), ("two", CLIENT6)] {
        let letter = mail("hello", &play.plain(address)?);
        maildir.deliver(name, &letter)?;
        let delivered = Instant::now();
        play.opens(address)?;
        within(Duration::ZERO, Duration::from_secs(1), delivered, "to open by Maildir")?;
    }
    Ok(())
}

fn becomes(stage: &Stage, taken: &str) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let maildir = Maildir::make(stage, "mail")?;
    maildir.deliver("private", &mail("private", "Dear Ada"))?;
    let config = format!("{}{DOOR}", maildir.section(&format!("taken = {taken:?}")));
    let mut play = Play::begin(stage, &elsewhere, &config)?;
    let letter = mail("knock", &play.plain(CLIENT4)?);
    maildir.deliver("knock", &letter)?;
    play.opens(CLIENT4)?;
    until(&format!("the mails are as {taken} says"), || {
        let (inbox, knocks) = (mails_of(&maildir.path)?, mails_of(&maildir.path.join(".Knocks"))?);
        let seen: Vec<bool> = inbox.iter().map(|kept| kept.seen).collect();
        // In the order of their names: "knock", "private".
        Ok(match taken {
            "mark" => seen == [true, false],
            "delete" => seen == [false] && knocks.is_empty(),
            _ => seen == [false] && knocks.len() == 1,
        })
    })?;
    ensure!(fs::exists(maildir.path.join("new/private"))?, "somebody else's mail is touched");
    Ok(())
}

fn comes_later(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let config = format!("[mail.box]\nmaildir = {:?}\n\n{DOOR}", stage.path("mail"));
    let mut play = Play::begin(stage, &elsewhere, &config)?;
    play.until_trouble("box", &["no-mailbox", "no-access"])?;
    let maildir = Maildir::make(stage, "mail")?;
    let letter = mail("hello", &play.plain(CLIENT4)?);
    maildir.deliver("one", &letter)?;
    play.opens(CLIENT4)?;
    play.until_fine("box").map(drop)
}

/// Runs `klopf deliver` as the courier's user.
fn deliver(stage: &Stage, maildir: &Maildir, letter: &str) -> Result {
    let mut command = stage.server.command("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(program(stage)?);
    command.args(["deliver", "--maildir"]).arg(&maildir.path).stdin(Stdio::piped());
    let mut child = command.spawn()?;
    child.stdin.take().ok_or("no pipe")?.write_all(letter.as_bytes())?;
    let status = child.wait()?;
    ensure!(status.success(), "klopf deliver: {status}");
    Ok(())
}

/// `klopf` where everybody may run it.
fn program(stage: &Stage) -> Result<std::path::PathBuf> {
    let path = stage.path("klopf");
    if !path.exists() {
        fs::copy(built("klopf")?, &path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(path)
}

fn drop_box(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let maildir = Maildir::make(stage, "mail")?;
    let config = format!("{}{DOOR}", maildir.section("drop-box = true"));
    let mut play = Play::begin(stage, &elsewhere, &config)?;
    deliver(stage, &maildir, &mail("advertisement", "buy this"))?;
    let letter = mail("hello", &play.plain(CLIENT4)?);
    deliver(stage, &maildir, &letter)?;
    play.opens(CLIENT4)?;
    // What comes while nobody looks waits.
    play.end(Signal::TERM)?;
    let letter = mail("hello", &play.plain(STRANGER4)?);
    deliver(stage, &maildir, &letter)?;
    play.start()?;
    play.opens(STRANGER4)?;
    until("nothing is left", || Ok(mails_of(&maildir.path)?.is_empty()))
}

fn by_postfix(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let maildir = Maildir::make(stage, "mail")?;
    let config = format!("{}{DOOR}", maildir.section("drop-box = true"));
    let program = program(stage)?;
    let words = [&program.to_string_lossy(), "deliver", "--maildir", &maildir.path.to_string_lossy()];
    let postfix = Postfix::start(stage, &words, &stage.path("nowhere"))?;
    let mut play = Play::begin(stage, &elsewhere, &config)?;
    for (last, to) in [(50, Postfix::PIPED), (51, Postfix::FORWARDED)] {
        let letter = mail("hello", &play.plain(nobody(last))?);
        postfix.submit(&stage.client, to, &letter)?;
        play.until_lease(nobody(last)).map_err(|fault| format!("{to}: {fault}"))?;
    }
    // klopfd is down, and Postfix need not know.
    play.end(Signal::KILL)?;
    let letter = mail("hello", &play.plain(CLIENT4)?);
    postfix.submit(&stage.client, Postfix::PIPED, &letter)?;
    postfix.until_sent(Postfix::PIPED, 2)?;
    play.start()?;
    play.opens(CLIENT4)?;
    postfix.stop()
}
