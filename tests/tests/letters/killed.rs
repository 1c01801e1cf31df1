//! Processes that die in the middle of anything.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use klopf_tests::scene::STRANGER4;
use klopf_tests::{CLIENT4, Case, Dovecot, Elsewhere, Isso, Nginx, Result, Signal, Stage, ensure, mail, send, until};
use klopf_wire::text::Shape;

use crate::play::{DOOR, Play, book, needs, nobody, work};

/// How many tokens come by each way.
const TOKENS: u8 = 25;

pub(crate) fn cases() -> Vec<Case> {
    let needs = needs(&[&Dovecot::NEEDS, &Isso::NEEDS]);
    vec![
        Case::new(
            "a_courier_that_is_killed_in_the_middle_of_anything_loses_no_token_and_takes_none_twice",
            &needs,
            |stage| killed(stage, &["klopf-courier"]),
        )
        .lasting(Duration::from_secs(180)),
        Case::new("courier_and_watch_that_are_killed_in_the_middle_of_anything_lose_no_token", &needs, |stage| {
            killed(stage, &["klopf-courier", "klopf-watch"])
        })
        .lasting(Duration::from_secs(180)),
        Case::new("a_courier_that_was_stopped_for_long_catches_up", &needs, stopped),
    ]
}

fn killed(stage: &Stage, victims: &[&str]) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let isso = Isso::start(stage, &elsewhere, &nginx)?;
    let books = book(&elsewhere, "book", &Isso::feed("book"), "");
    let config = format!("{}{books}{DOOR}", work(stage, &elsewhere, "")?);
    let mut play = Play::begin(stage, &elsewhere, &config)?;
    let mut chance = File::open("/dev/urandom")?;
    let (mut kills, mut sent) = (0, 0);
    until("all have opened", || {
        // A few more of each at a time, so that there is always something under way.
        if sent < TOKENS {
            let more = sent..(sent + 5).min(TOKENS);
            let entries =
                more.clone().map(|at| play.token(nobody(100 + at), Shape::Words)).collect::<Result<Vec<_>>>()?;
            for at in more {
                let letter = mail("knock", &play.plain(nobody(200 + at))?);
                dovecot.deliver(&letter)?;
                sent += 1;
            }
            isso.write("book", &entries.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        let mut dice = [0; 2];
        chance.read_exact(&mut dice)?;
        // Not for ever, or nothing would ever come through.
        if kills < 6 && dice[0] < 128 {
            let victim = victims.get(usize::from(dice[1]) % victims.len()).ok_or("no victim")?;
            if let Some(pid) = play.child(victim)? {
                send(pid, Signal::KILL)?;
                kills += 1;
            }
        }
        Ok(sent == TOKENS && play.scene.status()?.leases() == usize::from(2 * TOKENS))
    })
    .map_err(|fault| match play.scene.status() {
        Ok(status) => format!("{fault}: {}\n{:?}", status.0, isso.entries("book")).into(),
        Err(_) => fault,
    })?;
    ensure!(kills > 0, "nobody was killed");
    // All that is still there was looked at once more by the last courier; nothing is taken twice.
    let marker = mail("marker", &play.plain(CLIENT4)?);
    dovecot.deliver(&marker)?;
    play.opens(CLIENT4)?;
    let entry = play.plain(STRANGER4)?;
    isso.write("book", &[&entry])?;
    play.opens(STRANGER4)?;
    let log = play.log()?;
    for last in (0..TOKENS).flat_map(|at| [100 + at, 200 + at]) {
        let address = nobody(last).to_string();
        let opened = |line: &&str| line.contains("opened") && line.split([' ', ',', ':']).any(|word| word == address);
        let times = log.lines().filter(opened).count();
        ensure!(times == 1, "{address} was let in {times} times");
    }
    if victims.len() == 1 {
        let granted = play.count("granted")?;
        ensure!(granted == u64::from(2 * TOKENS) + 2, "not {}, but {granted}", 2 * TOKENS + 2);
    }
    // What was taken is marked, by whichever courier.
    until("all mails are marked", || {
        Ok(dovecot.mails("INBOX")?.iter().filter(|kept| kept.seen).count() == usize::from(TOKENS) + 1)
    })
}

fn stopped(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let isso = Isso::start(stage, &elsewhere, &nginx)?;
    let books = book(&elsewhere, "book", &Isso::feed("book"), "");
    let config = format!("{}{books}{DOOR}", work(stage, &elsewhere, "")?);
    let mut play = Play::begin(stage, &elsewhere, &config)?;
    play.until_fine("work")?;
    play.until_fine("book")?;
    let courier = play.courier()?;
    send(courier, Signal::STOP)?;
    for last in 100..110 {
        let letter = mail("knock", &play.plain(nobody(last))?);
        dovecot.deliver(&letter)?;
    }
    let entries = (110..120).map(|last| play.plain(nobody(last))).collect::<Result<Vec<_>>>()?;
    isso.write("book", &entries.iter().map(String::as_str).collect::<Vec<_>>())?;
    // The server ends the connection meanwhile, as it does after half an hour.
    dovecot.stop(&elsewhere)?;
    let _dovecot = Dovecot::start(stage, &elsewhere)?;
    play.has_leases(0)?;
    send(courier, Signal::CONT)?;
    play.scene.until_status("all have opened", |status| status.leases() == 20)?;
    ensure!(play.courier()? == courier, "it is another courier");
    Ok(())
}
