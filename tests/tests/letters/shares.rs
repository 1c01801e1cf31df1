//! Several guestbooks: a door that opens by two of three, and by no less.

use std::net::IpAddr;

use klopf_tests::scene::{STRANGER4, STRANGER6};
use klopf_tests::{CLIENT4, CLIENT6, Case, Elsewhere, Isso, Nginx, Result, Stage, ensure, until_some, written};
use klopf_wire::text::Shape;

use crate::play::{Play, book, count, needs, nobody};

pub(crate) const BOOKS: [&str; 3] = ["a", "b", "c"];

pub(crate) fn cases() -> Vec<Case> {
    let (isso, pages) = (needs(&[&Isso::NEEDS]), needs(&[&Nginx::NEEDS]));
    vec![
        Case::new("two_of_three_books_open_with_one_down_and_one_with_a_forged_entry", &isso, two_of_three),
        Case::new("one_share_opens_nothing_and_says_nothing", &pages, one),
        Case::new("a_share_in_the_wrong_book_counts_not", &pages, wrong_book),
        Case::new("the_same_share_twice_is_one_share", &pages, twice),
        Case::new("shares_that_come_too_late_open_nothing", &pages, too_late),
        Case::new("a_whole_token_opens_no_door_that_takes_shares", &pages, whole),
        Case::new("shares_of_two_tokens_do_not_mix", &pages, mixed),
        Case::new("shares_that_have_opened_open_nothing_again", &pages, again),
        Case::new("shares_count_over_the_death_of_courier_and_watch", &pages, over_deaths),
    ]
}

/// A door that takes shares, as long as `within` says.
pub(crate) fn door(within: &str) -> String {
    format!(
        "[door.ssh]\nguard = [\"tcp/22\"]\nopen-for = \"600s\"\nkeys = [\"*\"]\nguestbooks = [\"a\", \"b\", \"c\"]\n\
         quorum = 2\nwithin = {within:?}\n\n"
    )
}

/// A page for each book, at nginx.
fn pages(elsewhere: &Elsewhere, within: &str) -> String {
    let books = BOOKS.map(|name| book(elsewhere, name, &format!("https://{name}.test/{name}.html"), "")).concat();
    format!("{books}{}", door(within))
}

/// Entries of the books so far; each is a page of nginx.
struct Pages<'a> {
    nginx: &'a Nginx,
    entries: [Vec<String>; 3],
}

impl<'a> Pages<'a> {
    fn blank(nginx: &'a Nginx) -> Result<Self> {
        let pages = Self { nginx, entries: Default::default() };
        for at in 0..BOOKS.len() {
            pages.publish(at)?;
        }
        Ok(pages)
    }

    /// Writes a body into a book.
    fn write(&mut self, book: usize, body: &[u8]) -> Result {
        let entry = written(body, Shape::Words)?;
        self.entries.get_mut(book).ok_or("no such book")?.push(entry);
        self.publish(book)
    }

    fn publish(&self, book: usize) -> Result {
        let (name, entries) = BOOKS.get(book).zip(self.entries.get(book)).ok_or("no such book")?;
        let entries: String = entries.iter().rev().map(|entry| format!("<p>{entry}</p>\n")).collect();
        self.nginx.publish(&format!("{name}.html"), format!("<h1>Book {name}</h1>\n{entries}"))
    }
}

fn split(play: &mut Play<'_>, address: IpAddr, k: u8) -> Result<Vec<Vec<u8>>> {
    let token = play.token_with(address, |_| ())?;
    play.server.shares(&token, k, &BOOKS)
}

fn two_of_three(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let isso = Isso::start(stage, &elsewhere, &nginx)?;
    let urls = [Isso::feed("a"), Isso::json("b"), "https://c.test:4430/".into()];
    let books: String = BOOKS.iter().zip(&urls).map(|(name, url)| book(&elsewhere, name, url, "")).collect();
    let mut play = Play::begin(stage, &elsewhere, &format!("{books}{}", door("1h")))?;
    for (address, shape) in [(CLIENT4, Shape::Words), (CLIENT6, klopf_tests::SHAPES[2])] {
        let shares = split(&mut play, address, 2)?;
        // Somebody invited writes what looks like another share of the same.
        let forged = split(&mut play, STRANGER4, 2)?;
        for (at, name) in BOOKS.iter().enumerate().take(2) {
            let share = shares.get(at).ok_or("no share")?;
            let forged = forged.get(at).filter(|_| at == 0);
            let entries = forged.into_iter().chain([share]).map(|body| written(body, shape));
            let entries = entries.collect::<Result<Vec<_>>>()?;
            isso.write(name, &entries.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        play.opens(address)?;
        play.is_closed(STRANGER4)?;
    }
    play.until_trouble("c", &["unreachable"])?;
    play.has_leases(2)
}

fn one(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let mut pages_ = Pages::blank(&nginx)?;
    let mut play = Play::begin(stage, &elsewhere, &pages(&elsewhere, "1h"))?;
    let shares = split(&mut play, CLIENT4, 2)?;
    pages_.write(1, shares.get(1).ok_or("no share")?)?;
    looked_at(&play, "b", 1)?;
    play.is_closed(CLIENT4)?;
    let said = play.log()?;
    ensure!(!said.contains("ada"), "it is said whose share it may be:\n{said}");
    pages_.write(2, shares.get(2).ok_or("no share")?)?;
    play.opens(CLIENT4)
}

/// Waits until a book's entries were looked at so many times.
fn looked_at(play: &Play<'_>, name: &str, times: u64) -> Result {
    play.until_source(name, &format!("{times} looked at"), |of| {
        of.get("looked-at").and_then(serde_json::Value::as_u64).is_some_and(|looked| looked >= times)
    })
    .map(drop)
}

fn wrong_book(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let mut pages_ = Pages::blank(&nginx)?;
    let mut play = Play::begin(stage, &elsewhere, &pages(&elsewhere, "1h"))?;
    let shares = split(&mut play, CLIENT4, 2)?;
    let [first, second, third] = shares.as_slice() else { return Err("not three shares".into()) };
    // All of them, each where it does not belong.
    for (at, share) in [second, third, first].into_iter().enumerate() {
        pages_.write(at, share)?;
    }
    let marker = split(&mut play, STRANGER4, 2)?;
    for (at, share) in marker.iter().enumerate() {
        pages_.write(at, share)?;
    }
    play.opens(STRANGER4)?;
    play.is_closed(CLIENT4)?;
    pages_.write(0, first)?;
    pages_.write(2, third)?;
    play.opens(CLIENT4)
}

fn twice(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let mut pages_ = Pages::blank(&nginx)?;
    let mut play = Play::begin(stage, &elsewhere, &pages(&elsewhere, "1h"))?;
    let shares = split(&mut play, CLIENT4, 2)?;
    let share = shares.first().ok_or("no share")?;
    pages_.write(0, share)?;
    pages_.write(0, share)?;
    let marker = split(&mut play, STRANGER4, 2)?;
    for (at, share) in marker.iter().enumerate() {
        pages_.write(at, share)?;
    }
    play.opens(STRANGER4)?;
    play.is_closed(CLIENT4)
}

fn too_late(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let mut pages_ = Pages::blank(&nginx)?;
    let mut play = Play::begin(stage, &elsewhere, &pages(&elsewhere, "3s"))?;
    let late = split(&mut play, CLIENT4, 2)?;
    pages_.write(0, late.first().ok_or("no share")?)?;
    looked_at(&play, "a", 1)?;
    let begun = std::time::Instant::now();
    // Others open meanwhile, until it is too late for the first.
    let mut last = 50;
    until_some("three seconds of knocks", || {
        let marker = split(&mut play, nobody(last), 2)?;
        for (at, share) in marker.iter().enumerate() {
            pages_.write(at, share)?;
        }
        play.until_lease(nobody(last))?;
        last += 1;
        Ok((begun.elapsed() > std::time::Duration::from_secs(4)).then_some(()))
    })?;
    pages_.write(1, late.get(1).ok_or("no share")?)?;
    let marker = split(&mut play, STRANGER4, 2)?;
    for (at, share) in marker.iter().enumerate() {
        pages_.write(at, share)?;
    }
    play.opens(STRANGER4)?;
    play.is_closed(CLIENT4)
}

fn whole(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let mut pages_ = Pages::blank(&nginx)?;
    let mut play = Play::begin(stage, &elsewhere, &pages(&elsewhere, "1h"))?;
    let token = play.token_with(CLIENT4, |_| ())?;
    pages_.write(0, &token)?;
    play.until_refused("needs-shares", 1)?;
    play.is_closed(CLIENT4)?;
    // It was used up by that.
    for (at, share) in play.server.shares(&token, 2, &BOOKS)?.iter().enumerate() {
        pages_.write(at, share)?;
    }
    play.scene.until_status("it is replayed", |status| count(status, "replayed") == 1)?;
    play.is_closed(CLIENT4)
}

fn mixed(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let mut pages_ = Pages::blank(&nginx)?;
    let mut play = Play::begin(stage, &elsewhere, &pages(&elsewhere, "1h"))?;
    let (one, other) = (split(&mut play, CLIENT4, 2)?, split(&mut play, STRANGER6, 2)?);
    pages_.write(0, one.first().ok_or("no share")?)?;
    pages_.write(1, other.get(1).ok_or("no share")?)?;
    looked_at(&play, "a", 1)?;
    looked_at(&play, "b", 1)?;
    play.is_closed(CLIENT4)?;
    play.is_closed(STRANGER6)?;
    pages_.write(2, one.get(2).ok_or("no share")?)?;
    play.opens(CLIENT4)?;
    play.has_leases(1)
}

fn again(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let mut pages_ = Pages::blank(&nginx)?;
    let mut play = Play::begin(stage, &elsewhere, &pages(&elsewhere, "1h"))?;
    let token = play.token_with(CLIENT4, |_| ())?;
    for (at, share) in play.server.shares(&token, 2, &BOOKS)?.iter().enumerate() {
        pages_.write(at, share)?;
    }
    play.opens(CLIENT4)?;
    play.revoke()?;
    // Split anew it is the same token.
    for (at, share) in play.server.shares(&token, 2, &BOOKS)?.iter().enumerate() {
        pages_.write(at, share)?;
    }
    let marker = split(&mut play, STRANGER4, 2)?;
    for (at, share) in marker.iter().enumerate() {
        pages_.write(at, share)?;
    }
    play.opens(STRANGER4)?;
    play.is_closed(CLIENT4)
}

fn over_deaths(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let mut pages_ = Pages::blank(&nginx)?;
    let mut play = Play::begin(stage, &elsewhere, &pages(&elsewhere, "1h"))?;
    for (address, dies) in [(CLIENT4, "klopf-courier"), (CLIENT6, "klopf-watch")] {
        let shares = split(&mut play, address, 2)?;
        pages_.write(0, shares.first().ok_or("no share")?)?;
        play.until_fine("a")?;
        play.kill(dies)?;
        pages_.write(1, shares.get(1).ok_or("no share")?)?;
        play.opens(address).map_err(|fault| format!("after the death of {dies}: {fault}"))?;
    }
    play.has_leases(2)
}
