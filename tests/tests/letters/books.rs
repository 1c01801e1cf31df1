//! Knocks in a guestbook: the real isso, a comment server, behind nginx.

use std::time::{Duration, Instant};

use klopf_tests::scene::{STRANGER4, STRANGER6, text, within};
use klopf_tests::{CLIENT4, CLIENT6, Case, Elsewhere, Isso, Nginx, Result, SHAPES, Stage, ensure, until, wrapped};
use klopf_wire::text::{Language, Shape};

use crate::play::{DOOR, Play, book, needs, nobody};

/// What an interval of a second may be: pauses are uneven on purpose, and a page takes its time.
const INTERVAL: Duration = Duration::from_millis(2000);

pub(crate) fn cases() -> Vec<Case> {
    let needs = needs(&[&Isso::NEEDS]);
    vec![
        Case::new("an_entry_opens_by_the_feed_within_an_interval", &needs, |stage| {
            by(stage, &Isso::feed("book"), "feed")
        }),
        Case::new("an_entry_opens_by_json_within_an_interval", &needs, |stage| by(stage, &Isso::json("book"), "json")),
        Case::new("an_entry_opens_by_the_page_within_an_interval", &needs, |stage| {
            by(stage, "https://book.test/book.html", "html")
        }),
        Case::new("a_feed_json_and_a_page_are_told_apart_without_being_told", &needs, told_apart),
        Case::new("an_entry_opens_in_every_shape_of_text", &needs, shapes),
        Case::new("an_entry_among_those_of_others_opens", &needs, among_others),
        Case::new("entries_that_came_while_nobody_looked_are_caught_up_with", &needs, caught_up),
        Case::new("a_guestbook_that_comes_back_is_looked_at_again", &needs, comes_back),
    ]
}

fn by(stage: &Stage, url: &str, format: &str) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let isso = Isso::start(stage, &elsewhere, &nginx)?;
    isso.write("book", &["What a fine guestbook"])?;
    nginx.publish("book.html", isso.page("book")?)?;
    let config = format!("{}{DOOR}", book(&elsewhere, "book", url, &format!("format = {format:?}")));
    let mut play = Play::begin(stage, &elsewhere, &config)?;
    play.until_fine("book")?;
    for (address, stranger) in [(CLIENT4, STRANGER4), (CLIENT6, STRANGER6)] {
        play.is_closed(address)?;
        let entry = play.token(address, Shape::Prose(Language::English))?;
        isso.write("book", &[&entry])?;
        nginx.publish("book.html", isso.page("book")?)?;
        let written = Instant::now();
        play.opens(address).map_err(|fault| format!("{fault}\n{entry}\n{:?}", isso.entries("book")))?;
        within(Duration::ZERO, INTERVAL, written, "to open by the guestbook")?;
        play.is_closed(stranger)?;
        let status = play.scene.status()?;
        let lease = status.lease(address)?;
        ensure!(text(lease, "who") == "ada" && text(lease, "by") == "guestbook", "lease: {lease}");
    }
    play.courier_is_small()
}

fn told_apart(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let isso = Isso::start(stage, &elsewhere, &nginx)?;
    let urls = [Isso::feed("feed"), Isso::json("json"), "https://book.test/page.html".into()];
    let names = ["feed", "json", "page"];
    let books: String = names.iter().zip(&urls).map(|(name, url)| book(&elsewhere, name, url, "")).collect();
    let mut play = Play::set(stage, &elsewhere, &format!("{books}{DOOR}"), "")?;
    for (name, address) in names.into_iter().zip([CLIENT4, CLIENT6, STRANGER4]) {
        let entry = play.token(address, Shape::Words)?;
        isso.write(name, &[&entry])?;
    }
    nginx.publish("page.html", isso.page("page")?)?;
    play.start()?;
    for address in [CLIENT4, CLIENT6, STRANGER4] {
        play.opens(address)?;
    }
    for name in names {
        play.until_source(name, "has one token", |of| of.get("taken").is_some_and(|taken| taken == 1))?;
    }
    Ok(())
}

fn shapes(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let isso = Isso::start(stage, &elsewhere, &nginx)?;
    let config = format!("{}{DOOR}", book(&elsewhere, "book", &Isso::feed("book"), ""));
    let mut play = Play::begin(stage, &elsewhere, &config)?;
    // Each by itself, and wrapped by who has typed it.
    let addresses: Vec<_> = (50..).map(nobody).take(2 * SHAPES.len()).collect();
    let mut entries = Vec::new();
    for (pair, shape) in addresses.chunks_exact(2).zip(SHAPES) {
        let [one, other] = pair else { continue };
        entries.push((*one, play.token(*one, shape)?));
        entries.push((*other, wrapped(&play.token(*other, shape)?)));
    }
    isso.write("book", &entries.iter().map(|(_, entry)| entry.as_str()).collect::<Vec<_>>())?;
    for (address, entry) in &entries {
        play.until_lease(*address).map_err(|fault| format!("{fault}\n{entry}\n{:?}", isso.entries("book")))?;
    }
    Ok(())
}

fn among_others(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let isso = Isso::start(stage, &elsewhere, &nginx)?;
    let others: Vec<String> = (0..40)
        .map(|number| {
            format!("Entry {number}: greetings from *{number}* & https://example.org/{number}?a=b&c=d\n\n> {number}")
        })
        .collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let config = format!("{}{DOOR}", book(&elsewhere, "book", &Isso::feed("book"), ""));
    let mut play = Play::begin(stage, &elsewhere, &config)?;
    let entry = play.token(CLIENT4, Shape::Prose(Language::German))?;
    isso.write("book", &[&others, &[entry.as_str()][..], &others].concat())?;
    play.opens(CLIENT4)?;
    ensure!(play.count("forged")? == 0, "greetings are taken for tokens");
    Ok(())
}

fn caught_up(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let isso = Isso::start(stage, &elsewhere, &nginx)?;
    let config = format!("{}{DOOR}", book(&elsewhere, "book", &Isso::feed("book"), ""));
    let mut play = Play::set(stage, &elsewhere, &config, "")?;
    let entries = (100..130).map(|last| play.token(nobody(last), Shape::Words)).collect::<Result<Vec<_>>>()?;
    isso.write("book", &entries.iter().map(String::as_str).collect::<Vec<_>>())?;
    play.start()?;
    play.scene.until_status("all have opened", |status| status.leases() == 30)?;
    ensure!(play.count("granted")? == 30, "not 30, but {}", play.count("granted")?);
    Ok(())
}

fn comes_back(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let config = format!("{}{DOOR}", book(&elsewhere, "book", &Isso::feed("book"), ""));
    let mut play = Play::begin(stage, &elsewhere, &config)?;
    let source = play.until_trouble("book", &["unreachable"])?;
    ensure!(text(&source, "state") == "failing" && text(&source, "kind") == "guestbook", "source: {source}");
    let nginx = Nginx::start(stage, &elsewhere)?;
    let source = play.until_trouble("book", &["http-status"])?;
    ensure!(source.get("detail").is_some_and(|detail| detail == 502), "source: {source}");
    let isso = Isso::start(stage, &elsewhere, &nginx)?;
    let entry = play.plain(CLIENT4)?;
    isso.write("book", &[&entry])?;
    until("the guestbook is fine", || Ok(play.until_fine("book").is_ok()))?;
    play.opens(CLIENT4)
}
