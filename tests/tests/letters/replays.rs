//! A token opens once, ever, whatever has died since.

use klopf_tests::scene::STRANGER4;
use klopf_tests::{CLIENT4, Case, Dovecot, Elsewhere, Nginx, Result, Signal, Stage, mail, written};
use klopf_wire::text::Shape;

use crate::play::{DOOR, Play, book, needs, nobody, work};

pub(crate) fn cases() -> Vec<Case> {
    let needs = needs(&[&Dovecot::NEEDS, &Nginx::NEEDS]);
    vec![
        Case::new("the_same_token_again_opens_nothing_by_whatever_way", &needs, again),
        Case::new("entries_that_stay_for_ever_open_nothing_after_restarts", &needs, |stage| {
            over(stage, |play| {
                play.end(Signal::TERM)?;
                play.start()
            })
        }),
        Case::new("entries_that_stay_for_ever_open_nothing_after_the_keeper_was_killed", &needs, |stage| {
            over(stage, |play| {
                play.end(Signal::KILL)?;
                play.start()
            })
        }),
        Case::new("entries_that_stay_for_ever_open_nothing_after_the_courier_was_killed", &needs, |stage| {
            over(stage, |play| play.kill("klopf-courier"))
        }),
        Case::new("entries_that_stay_for_ever_open_nothing_after_the_watch_was_killed", &needs, |stage| {
            over(stage, |play| play.kill("klopf-watch"))
        }),
        Case::new("entries_that_stay_for_ever_open_nothing_after_a_reload", &needs, |stage| {
            over(stage, |play| play.scene.says(&["reload"]).map(drop))
        }),
    ]
}

fn again(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    nginx.publish("book.html", "hello")?;
    let books = book(&elsewhere, "book", "https://book.test/book.html", "");
    let config = format!("{}{books}{DOOR}", work(stage, &elsewhere, "")?);
    let mut play = Play::begin(stage, &elsewhere, &config)?;
    let token = play.token_with(CLIENT4, |_| ())?;
    dovecot.deliver(&mail("knock", &written(&token, Shape::Plain)?))?;
    play.opens(CLIENT4)?;
    play.revoke()?;
    // In other words, and elsewhere.
    dovecot.deliver(&mail("again", &written(&token, Shape::Words)?))?;
    play.until_refused("replayed", 1)?;
    nginx.publish("book.html", written(&token, klopf_tests::SHAPES[2])?)?;
    play.until_refused("replayed", 2)?;
    play.is_closed(CLIENT4)
}

/// Tokens in a mailbox and a guestbook, opened, and then something happens.
fn over(stage: &Stage, happens: impl Fn(&mut Play<'_>) -> Result) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let books = book(&elsewhere, "book", "https://book.test/book.html", "");
    let config = format!("{}{books}{DOOR}", work(stage, &elsewhere, "")?);
    let mut play = Play::set(stage, &elsewhere, &config, "")?;
    let (letter, entry) = (mail("knock", &play.plain(CLIENT4)?), play.plain(STRANGER4)?);
    let mut page = format!("<p>{entry}</p>");
    nginx.publish("book.html", &page)?;
    play.start()?;
    dovecot.deliver(&letter)?;
    play.opens(CLIENT4)?;
    play.opens(STRANGER4)?;
    play.revoke()?;
    for last in [50, 60] {
        happens(&mut play)?;
        // The same mail once more, unread, and the same page.
        dovecot.deliver(&letter)?;
        page.push_str(&format!("<p>{}</p>", play.plain(nobody(last))?));
        nginx.publish("book.html", &page)?;
        let marker = mail("marker", &play.plain(nobody(last + 1))?);
        dovecot.deliver(&marker)?;
        play.until_lease(nobody(last))?;
        play.until_lease(nobody(last + 1))?;
        play.is_closed(CLIENT4)?;
        play.is_closed(STRANGER4)?;
        play.revoke()?;
    }
    Ok(())
}
