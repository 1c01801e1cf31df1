//! The server's clock is set while it runs.

use klopf_tests::scene::{NEEDS, STRANGER4, STRANGER6};
use klopf_tests::{CLIENT4, CLIENT6, Case, Clock, Need, Person, Result, Signal, Stage, now_ms};

use crate::play::{DOOR, Play};

const YEAR: i64 = 365 * 86_400;

pub(crate) fn cases() -> Vec<Case> {
    let needs: Vec<Need> = NEEDS.into_iter().chain(Clock::NEEDS).collect();
    vec![
        Case::new("a_clock_that_is_set_back_brings_no_knock_back", &needs, set_back),
        Case::new("terms_go_with_the_clock_and_bring_no_refused_knock_back", &needs, terms),
    ]
}

fn set_back(stage: &Stage) -> Result {
    let clock = Clock::make(stage)?;
    let (mut ada, mut joe) = (Person::new("ada")?, Person::new("joe")?);
    let mut play = Play::set(stage, DOOR, &[(&ada, ""), (&joe, "no-clock = true")])?;
    play.run(clock.start(stage)?);
    let packet = play.knock(&mut ada, "ssh")?;
    play.opens(CLIENT4, &packet)?;
    play.revoke()?;
    // A year away it is too old, or too new, for all daemons and watches; and back again it was here before.
    for (ahead, signal) in [(YEAR, Signal::KILL), (-YEAR, Signal::TERM)] {
        clock.set(ahead)?;
        play.is_refused(CLIENT4, &play.seal(&ada, &knock_again(&ada)?)?, "wrong-clock")?;
        play.is_refused(CLIENT4, &packet, "replayed")?;
        play.kill_watch(&mut joe, STRANGER4)?;
        play.is_refused(CLIENT4, &packet, "wrong-clock")?;
        play.end(signal)?;
        play.run(clock.start(stage)?);
        play.is_refused(CLIENT4, &packet, "wrong-clock")?;
        clock.set(0)?;
        play.kill_watch(&mut joe, STRANGER4)?;
        play.is_refused(CLIENT4, &packet, "replayed")?;
        play.revoke()?;
    }
    // Whoever knocked while the clock was ahead is not shut out now that it is right.
    clock.set(YEAR)?;
    let packet = play.knock_with(&mut ada, |knock| knock.time += u64::try_from(YEAR).unwrap_or_default() * 1000)?;
    play.opens(CLIENT4, &packet)?;
    clock.set(0)?;
    let packet = play.knock(&mut ada, "ssh")?;
    play.opens(CLIENT6, &packet)
}

/// The last knock, made anew.
fn knock_again(person: &Person) -> Result<klopf_spa::Knock> {
    let mut person = Person { counter: person.counter - 1, ..person.clone() };
    person.knock("ssh")
}

fn terms(stage: &Stage) -> Result {
    let clock = Clock::make(stage)?;
    let mut people = [Person::new("early")?, Person::new("late")?, Person::new("guest")?];
    // By the real clock all of these are an hour away.
    let date = |ahead: i64| -> Result<String> {
        let seconds = (now_ms()? / 1000).checked_add_signed(ahead).ok_or("before 1970")?;
        let date = stage.server.run("date", &["-u", "-d", &format!("@{seconds}"), "+%Y-%m-%dT%H:%M:%SZ"])?;
        Ok(date.trim().to_owned())
    };
    let hour = date(3600)?;
    let terms = ["not-before", "expires", "join-before"].map(|word| format!("{word} = {hour}"));
    let invited: Vec<(&Person, &str)> = people.iter().zip(&terms).map(|(one, terms)| (one, terms.as_str())).collect();
    let mut play = Play::set(stage, DOOR, &invited)?;
    play.run(clock.start(stage)?);
    let [early, late, guest] = &mut people;
    let after = 3700;
    // Made for later, and sent too early: it is used up before its time has come.
    let packet = play.knock(early, "ssh")?;
    play.is_refused(CLIENT4, &packet, "not-yet")?;
    let packet = play.knock(late, "ssh")?;
    play.opens(STRANGER4, &packet)?;
    play.revoke()?;

    clock.set(after)?;
    let ahead = |knock: &mut klopf_spa::Knock| knock.time += u64::try_from(after).unwrap_or_default() * 1000;
    let knock = {
        let mut knock = knock_again(early)?;
        ahead(&mut knock);
        knock
    };
    play.is_refused(CLIENT4, &play.seal(early, &knock)?, "replayed")?;
    let packet = play.knock_with(early, ahead)?;
    play.opens(STRANGER6, &packet)?;
    let packet = play.knock_with(late, ahead)?;
    play.is_refused(CLIENT4, &packet, "expired")?;
    let packet = play.knock_with(guest, ahead)?;
    play.is_refused(CLIENT4, &packet, "invitation-expired")?;
    // Who joins in time stays.
    clock.set(0)?;
    let packet = play.knock(guest, "ssh")?;
    play.opens(STRANGER4, &packet)?;
    clock.set(after)?;
    let packet = play.knock_with(guest, ahead)?;
    play.opens(CLIENT6, &packet)
}
