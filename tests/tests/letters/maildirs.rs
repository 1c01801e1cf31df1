//! Knocks by mail that come to a Maildir of this host: by a mail server, or by `klopf deliver`.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
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
        Case::new("what_is_delivered_to_the_drop_box_is_the_couriers_alone", &plain, private),
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
    let status = deliver_as(stage, "nobody", &maildir.path, letter.as_bytes())?;
    ensure!(status == Some(0), "klopf deliver: {status:?}");
    Ok(())
}

/// Runs `klopf deliver` as a user with a strict umask and little memory; its exit status.
fn deliver_as(stage: &Stage, user: &str, maildir: &Path, letter: &[u8]) -> Result<Option<i32>> {
    let mut command = as_user(stage, user)?;
    command.args(["sh", "-c", "umask 077; ulimit -v 200000; exec \"$@\"", "sh"]).arg(program(stage)?);
    command.args(["deliver", "--maildir"]).arg(maildir).stdin(Stdio::piped());
    let mut child = command.spawn()?;
    // It may end before it has read everything.
    let _ = child.stdin.take().ok_or("no pipe")?.write_all(letter);
    Ok(child.wait()?.code())
}

/// Runs the words that are added as a user who is in no group but its own.
fn as_user(stage: &Stage, user: &str) -> Result<Command> {
    let group = stage.server.run("id", &["-g", user])?;
    let mut command = stage.server.command("setpriv");
    command.args([format!("--reuid={user}"), format!("--regid={}", group.trim()), "--clear-groups".to_owned()]);
    Ok(command)
}

/// The box as packaging/klopf.tmpfiles makes it, with `nobody` for the courier.
fn private(stage: &Stage) -> Result {
    let Maildir { path } = Maildir::make(stage, "spool")?;
    for (folder, mode) in [("", 0o711), ("new", 0o3733), ("tmp", 0o3733), ("cur", 0o700)] {
        fs::set_permissions(path.join(folder), fs::Permissions::from_mode(mode))?;
    }
    let status = deliver_as(stage, "daemon", &path, mail("knock", "from daemon").as_bytes())?;
    ensure!(status == Some(0), "daemon: {status:?}");
    let (first, new) = (only(&path.join("new"))?, path.join("new"));
    let own = fs::metadata(&first)?;
    ensure!((own.mode() & 0o7777, own.uid()) == (0o440, 1), "{:o} of {}", own.mode(), own.uid());
    let may = |user: &str, words: &[&str]| -> Result<bool> {
        Ok(as_user(stage, user)?.args(words).stdin(Stdio::null()).output()?.status.success())
    };
    let (file, folder) = (first.to_string_lossy(), new.to_string_lossy());
    ensure!(may("nobody", &["cat", &file])? && may("nobody", &["ls", &folder])?, "the courier cannot read it");
    // Even with its name, which nobody can tell.
    let write = format!("echo forged >> {file}");
    let over = format!("echo forged > {folder}/x && mv -f {folder}/x {file}");
    for words in
        [&["cat", &*file][..], &["sh", "-c", &write], &["sh", "-c", &over], &["rm", "-f", &file], &["ls", &folder]]
    {
        ensure!(!may("bin", words)?, "another user may {words:?}");
    }
    fs::remove_file(new.join("x"))?;
    ensure!(may("nobody", &["rm", "-f", &file])?, "the courier cannot remove it");

    let long = mail("long", &"a line of a long mail\n".repeat(50_000_000 / 22));
    let status = deliver_as(stage, "bin", &path, long.as_bytes())?;
    ensure!(status == Some(0) && fs::metadata(only(&new)?)?.len() == 1 << 20, "a mail of 50 MB: {status:?}");
    ensure!(mails_of(&path)?.len() == 1 && fs::read_dir(path.join("tmp"))?.next().is_none(), "something is left");

    fs::set_permissions(&new, fs::Permissions::from_mode(0o700))?;
    for (what, path) in [("a closed box", &*path), ("no box", &stage.path("none"))] {
        let status = deliver_as(stage, "daemon", path, long.as_bytes())?;
        ensure!(status == Some(75), "{what}: {status:?}");
    }
    ensure!(fs::read_dir(path.join("tmp"))?.next().is_none(), "something is left of a mail that could not be stored");
    Ok(())
}

/// The only file in a folder.
fn only(folder: &Path) -> Result<PathBuf> {
    let files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let [file] = files.as_slice() else { return Err(format!("{files:?}").into()) };
    Ok(file.clone())
}

/// `klopf` where everybody may run it.
fn program(stage: &Stage) -> Result<PathBuf> {
    let path = stage.path("klopf");
    if !path.exists() {
        // By another process: a program that some child still has open to write does not start.
        let (from, to) = (built("klopf")?, &path);
        stage.server.run("install", &["-m", "0755", &from.to_string_lossy(), &to.to_string_lossy()])?;
    }
    Ok(path)
}

fn drop_box(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let maildir = Maildir::make(stage, "mail")?;
    let config = format!("{}{DOOR}", maildir.section("drop-box = true"));
    let mut play = Play::begin(stage, &elsewhere, &config)?;
    deliver(stage, &maildir, &mail("advertisement", "buy this"))?;
    // Files that the courier may not read do not stay in the way of others, whose names come first.
    for number in 0..1100 {
        let file = maildir.path.join(format!("new/~{number}"));
        fs::OpenOptions::new().write(true).create_new(true).mode(0o000).open(file)?;
    }
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
