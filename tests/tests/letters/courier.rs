//! The courier's process: what it may, when there is one, and what it keeps to itself.

use std::fs;

use klopf_tests::{
    CLIENT4, Case, Dovecot, Elsewhere, Nginx, Result, Signal, Stage, ensure, gone, mail, process_field, send, until,
};

use crate::play::{DOOR, Maildir, Play, book, needs, work};

pub(crate) fn cases() -> Vec<Case> {
    let (mails, both) = (needs(&[&Dovecot::NEEDS]), needs(&[&Dovecot::NEEDS, &Nginx::NEEDS]));
    vec![
        Case::new("the_courier_has_no_capability_and_a_user_of_its_own", &mails, no_rights),
        Case::new("the_courier_listens_nowhere", &both, no_port),
        Case::new("the_courier_is_there_only_while_something_needs_it", &needs(&[]), needed),
        Case::new("the_courier_ends_with_its_keeper", &mails, ends),
        Case::new("secrets_are_in_no_log_status_or_process", &both, secrets),
    ]
}

fn no_rights(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let config = format!("{}{DOOR}", work(stage, &elsewhere, "")?);
    let mut play = Play::set(stage, &elsewhere, &config, "")?;
    play.scene.set_daemon("courier-user", "\"games\"")?;
    play.start()?;
    let letter = mail("knock", &play.plain(CLIENT4)?);
    dovecot.deliver(&letter)?;
    play.opens(CLIENT4)?;
    let courier = play.courier()?;
    let field = |name| process_field(courier, name).ok_or_else(|| format!("{name} is not known"));
    let id = |flag: &str| stage.server.run("id", &[flag, "games"]);
    for (name, flag) in [("Uid", "-u"), ("Gid", "-g")] {
        let (ids, own) = (field(name)?, id(flag)?);
        ensure!(ids.split_whitespace().all(|id| id == own.trim()), "{name}: {ids}");
    }
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        let capabilities = field(name)?;
        ensure!(capabilities.chars().all(|digit| digit == '0'), "{name}: {capabilities}");
    }
    ensure!(field("NoNewPrivs")? == "1", "it may gain privileges");
    ensure!(field("Seccomp")? == "2", "it has no seccomp filter");
    ensure!(field("Groups")?.is_empty(), "it is in groups {}", field("Groups")?);
    let watch = play.child("klopf-watch")?.ok_or("no watch")?;
    ensure!(process_field(watch, "Uid") != Some(field("Uid")?), "watch and courier are the same user");
    Ok(())
}

fn no_port(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let _dovecot = Dovecot::start(stage, &elsewhere)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    nginx.publish("book.html", "hello")?;
    let books = book(&elsewhere, "book", "https://book.test/book.html", "");
    let mut play = Play::begin(stage, &elsewhere, &format!("{}{books}{DOOR}", work(stage, &elsewhere, "")?))?;
    play.until_fine("work")?;
    play.until_fine("book")?;
    let courier = play.courier()?;
    let listening = stage.server.run("ss", &["-Hltunxp", "state", "listening", "state", "unconnected"])?;
    let its = listening.lines().find(|line| line.contains(&format!("pid={courier},")) && !line.contains("u_seq"));
    ensure!(its.is_none(), "the courier listens: {its:?}");
    Ok(())
}

fn needed(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let maildir = Maildir::make(stage, "mail")?;
    let section = maildir.section("");
    let packets = DOOR.replace("\n\n", "\nvia = [\"packet\"]\n\n");
    let mut play = Play::begin(stage, &elsewhere, DOOR)?;
    play.until_no_courier()?;
    let reload = |play: &Play<'_>, config: &str| -> Result {
        play.scene.configure(config)?;
        play.scene.says(&["reload"]).map(drop)
    };
    // A mailbox alone is no need, if no door opens by it.
    reload(&play, &format!("{section}{packets}"))?;
    play.until_no_courier()?;
    reload(&play, &format!("{section}{DOOR}"))?;
    let courier = play.courier()?;
    let letter = mail("knock", &play.plain(CLIENT4)?);
    maildir.deliver("knock", &letter)?;
    play.opens(CLIENT4)?;
    reload(&play, DOOR)?;
    play.until_no_courier()?;
    ensure!(gone(courier), "it lives on");
    ensure!(play.scene.status()?.list("sources").is_empty(), "there are sources yet: {}", play.scene.status()?.0);
    // The last key goes.
    reload(&play, &format!("{section}{DOOR}"))?;
    play.courier()?;
    play.ada.disinvite(stage)?;
    play.scene.says(&["reload"])?;
    play.until_no_courier()
}

fn ends(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let _dovecot = Dovecot::start(stage, &elsewhere)?;
    let mut play = Play::begin(stage, &elsewhere, &format!("{}{DOOR}", work(stage, &elsewhere, "")?))?;
    for signal in [Signal::TERM, Signal::KILL] {
        let courier = play.courier()?;
        play.end(signal)?;
        until("the courier follows", || Ok(gone(courier)))?;
        play.start()?;
    }
    // One that hangs is no reason to live on.
    let courier = play.courier()?;
    send(courier, Signal::STOP)?;
    play.end(Signal::TERM)?;
    until("the courier is gone", || Ok(gone(courier)))
}

fn secrets(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    nginx.publish("book.html", "hello")?;
    let books = book(&elsewhere, "book", "https://book.test/book.html?token=s3cr3t-path", "");
    let mut play = Play::set(stage, &elsewhere, &format!("{}{books}{DOOR}", work(stage, &elsewhere, "")?), "")?;
    play.start()?;
    let token = play.plain(CLIENT4)?;
    dovecot.deliver(&mail("knock", &token))?;
    play.opens(CLIENT4)?;
    play.until_fine("book")?;
    let mut told =
        vec![("the log".to_owned(), play.log()?), ("the status".to_owned(), play.scene.status()?.0.to_string())];
    told.push(("klopf status".to_owned(), play.scene.says(&["status"])?));
    let keeper = play.klopfd()?.pid();
    for pid in play.klopfd()?.children()?.into_iter().chain([keeper]) {
        for file in ["cmdline", "environ"] {
            let bytes = fs::read(format!("/proc/{pid}/{file}"))?;
            told.push((format!("{file} of {pid}"), String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    let secrets =
        [Dovecot::PASSWORD.to_owned(), token, play.ada.psk.text().to_string(), play.server.key.text().to_string()];
    for (what, text) in &told {
        for secret in &secrets {
            ensure!(!text.contains(secret.as_str()), "{what} has a secret:\n{text}");
        }
    }
    // Nor is anything left on the disk.
    let found =
        stage.server.output("grep", &["-rlF", "--", Dovecot::PASSWORD, &stage.path("state").to_string_lossy()])?;
    ensure!(!found.status.success(), "the state has a secret: {found:?}");
    Ok(())
}
