//! A person whose door takes shares, with `klopf token --shares` and `klopf post`.

use std::fs;

use klopf_tests::scene::STRANGER4;
use klopf_tests::{CLIENT4, CLIENT6, Case, Device, Elsewhere, Isso, Nginx, Result, Stage, ensure};
use klopf_wire::text;

use crate::client::{Guest, SHAPES};
use crate::client_posts::json;
use crate::play::{book, needs};
use crate::shares::{BOOKS, door};

pub(crate) fn cases() -> Vec<Case> {
    let isso = needs(&[&Isso::NEEDS]);
    vec![
        Case::new("klopf_token_says_which_share_is_for_which_book", &isso, pasted),
        Case::new("klopf_posts_shares_into_three_books_and_two_that_are_there_open", &isso, posted),
        Case::new("klopf_posts_shares_into_those_books_that_are_named", &isso, named),
        Case::new("a_whole_token_for_a_door_that_takes_shares_is_warned_of", &needs(&[]), whole),
    ]
}

/// The books are an isso's, but for `c`, which is down.
fn reader<'a>(stage: &'a Stage, elsewhere: &Elsewhere) -> Result<Guest<'a>> {
    let urls = [Isso::feed("a"), Isso::json("b"), "https://c.test:4430/".into()];
    let books: String = BOOKS.iter().zip(&urls).map(|(name, url)| book(elsewhere, name, url, "")).collect();
    Guest::invited(stage, elsewhere, &format!("{books}{}", door("1h")))
}

/// How to post to all of them.
fn posting(device: &Device<'_>, elsewhere: &Elsewhere) -> Result {
    let down = "[guestbook.c]\nurl = \"https://c.test:4430/\"\nform = { text = \"{text}\" }\n";
    let text = format!("{}{}{down}", json(elsewhere, "a", "a"), json(elsewhere, "b", "b"));
    device.configure("client.toml", &text).map(drop)
}

/// Which text is for which book, as a person reads it at the terminal: `a:`, and the text in the next line.
fn read(told: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = told.lines().collect();
    let pair = |pair: &[&str]| match pair {
        [book, text] => Some((book.strip_suffix(':')?.to_owned(), (*text).to_owned())),
        _ => None,
    };
    lines.windows(2).filter_map(pair).filter(|(_, text)| text::read(text).is_some()).collect()
}

fn pasted(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let isso = Isso::start(stage, &elsewhere, &nginx)?;
    let Guest { mut play, device } = reader(stage, &elsewhere)?;
    for shape in SHAPES.into_iter().step_by(3) {
        let words = [&["token", "laptop/ssh", "--allow", "10.99.0.2", "--shares", "2/3"], shape].concat();
        // At a terminal both come to the same place.
        let file = stage.path("terminal");
        let terminal = fs::File::create(&file)?;
        let status = device.klopf(&words)?.stdout(terminal.try_clone()?).stderr(terminal).status()?;
        let told = fs::read_to_string(&file)?;
        ensure!(status.success(), "{words:?}: {status}\n{told}");
        let texts = read(&told);
        let books: Vec<&str> = texts.iter().map(|(book, _)| book.as_str()).collect();
        ensure!(books == BOOKS, "it is not told which is for which book:\n{told}");
        ensure!(told.contains("2 of these 3"), "it is not told how many are enough:\n{told}");
        for (book, text) in texts.iter().take(2) {
            ensure!(text.chars().count() <= 1200, "too long: {text}");
            play.is_closed(CLIENT4)?;
            isso.write(book, &[text])?;
        }
        play.opens(CLIENT4).map_err(|fault| format!("{shape:?}: {fault}\n{told}"))?;
        play.is_closed(STRANGER4)?;
        play.revoke()?;
    }
    // In a pipe there is nothing but the texts.
    let words = ["token", "laptop", "--allow", "10.99.0.2", "--shares", "2/3"];
    let (out, err) = device.fails(&words, 0)?;
    ensure!(out.lines().all(|line| text::read(line).is_some()) && out.lines().count() == 3, "{out:?} {err:?}");
    let (out, err) = device.fails(&["token", "laptop", "--allow", "10.99.0.2", "--shares", "2/2"], 64)?;
    ensure!(out.is_empty() && err.contains("--books"), "{out:?} {err:?}");
    Ok(())
}

fn posted(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let isso = Isso::start(stage, &elsewhere, &nginx)?;
    let Guest { mut play, device } = reader(stage, &elsewhere)?;
    posting(&device, &elsewhere)?;
    for address in [CLIENT4, CLIENT6] {
        play.is_closed(address)?;
        let (out, err) = device.fails(&["post", "--all", "laptop/ssh", "--allow", &address.to_string()], 69)?;
        for told in ["Posted to the guestbook a", "Posted to the guestbook b", "error", "guestbook c"] {
            ensure!(err.contains(told), "nothing of {told}: {err}");
        }
        ensure!(out.lines().count() == 1 && text::read(&out).is_some(), "the share of c is not printed: {out:?}");
        play.opens(address).map_err(|fault| format!("{fault}\n{:?} {:?}", isso.entries("a"), isso.entries("b")))?;
        play.is_closed(STRANGER4)?;
    }
    play.until_trouble("c", &["unreachable"])?;
    play.has_leases(2)
}

fn named(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let _isso = Isso::start(stage, &elsewhere, &nginx)?;
    let Guest { mut play, device } = reader(stage, &elsewhere)?;
    posting(&device, &elsewhere)?;
    let (out, err) = device.fails(&["post", "a,b", "laptop", "--allow", "10.99.0.2"], 0)?;
    let printed = text::read(&out).is_some() && out.lines().count() == 1;
    ensure!(printed && err.contains("pasted into the guestbook c"), "the share of c is not there: {out:?} {err:?}");
    ensure!(err.matches("Posted").count() == 2, "{err:?}");
    play.opens(CLIENT4)?;
    play.revoke()?;
    // Two runs make two tokens, of which one share each says nothing.
    let (_, err) = device.fails(&["post", "a", "laptop", "--allow", "10.99.0.2"], 0)?;
    ensure!(err.contains("2 of 3"), "it is not told that one is too few: {err}");
    device.fails(&["post", "b", "laptop", "--allow", "10.99.0.2"], 0)?;
    let (_, err) = device.fails(&["post", "d", "laptop", "--allow", "10.99.0.2"], 66)?;
    ensure!(err.contains("a, b, c"), "it does not name the books: {err}");
    device.fails(&["post", "a,b", "laptop", "--allow", &STRANGER4.to_string()], 0)?;
    play.opens(STRANGER4)?;
    play.is_closed(CLIENT4)
}

fn whole(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let Guest { device, .. } = reader(stage, &elsewhere)?;
    let (out, err) = device.fails(&["token", "laptop", "--allow", "10.99.0.2"], 0)?;
    ensure!(text::read(&out).is_some() && err.contains("--shares 2/3"), "{out:?} {err:?}");
    Ok(())
}
