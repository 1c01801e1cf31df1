//! A person with `klopf post` and `klopf token --shares`: entries in guestbooks, by forms, JSON and hand.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use klopf_tests::scene::{STRANGER4, STRANGER6, text as of};
use klopf_tests::{CLIENT4, CLIENT6, Case, Device, Elsewhere, Guestbook, Isso, Nginx, Result, Stage, ensure};
use klopf_wire::text;

use crate::client::{Guest, SHAPES};
use crate::play::{DOOR, book, needs};

/// What must not be read by others, nor shown.
const TOKEN: &str = "Bearer c2VjcmV0IG9mIHRoZSBib29r";

pub(crate) fn cases() -> Vec<Case> {
    let (form, isso) = (needs(&[&Guestbook::NEEDS]), needs(&[&Isso::NEEDS]));
    vec![
        Case::new("klopf_posts_by_a_form_and_the_door_opens", &form, by_form),
        Case::new("klopf_posts_by_json_and_the_door_opens", &isso, by_json),
        Case::new("a_guestbook_that_refuses_is_said_and_the_entry_is_printed", &form, refused),
        Case::new("a_guestbook_that_cannot_be_reached_is_said_and_the_entry_is_printed", &needs(&[]), unreachable),
        Case::new("without_a_form_klopf_prints_the_entry", &isso, by_hand),
        Case::new("a_password_of_a_guestbook_that_others_may_read_is_not_used", &needs(&[]), exposed),
    ]
}

/// How to post to the guestbook `book` by its form.
fn form(device: &Device<'_>, elsewhere: &Elsewhere) -> Result {
    let (url, ca) = (Guestbook::URL, &elsewhere.authority.ca);
    let text = format!(
        "[guestbook.book]\nurl = {url:?}\nform = {{ name = \"Ada & Bob\", message = \"{{text}}\" }}\n\
         headers = {{ Authorization = {TOKEN:?} }}\nca-file = {ca:?}\n"
    );
    device.configure("client.toml", &text).map(drop)
}

/// The same for an isso's book, by JSON.
pub(crate) fn json(elsewhere: &Elsewhere, name: &str, title: &str) -> String {
    let (ca, url) = (&elsewhere.authority.ca, format!("https://book.test/isso/new?uri=/{title}"));
    format!(
        "[guestbook.{name}]\nurl = {url:?}\n\
         json = '{{\"author\": \"Ada\", \"title\": \"{title}\", \"text\": \"Hello! {{text}}\"}}'\nca-file = {ca:?}\n"
    )
}

const POST: [&str; 5] = ["post", "book", "laptop/ssh", "--allow", "10.99.0.2"];

/// Somebody who has been invited to a server that reads this book.
fn reader<'a>(stage: &'a Stage, elsewhere: &Elsewhere, url: &str) -> Result<Guest<'a>> {
    Guest::invited(stage, elsewhere, &format!("{}{DOOR}", book(elsewhere, "book", url, "")))
}

fn by_form(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let guestbook = Guestbook::start(stage, &elsewhere)?;
    let Guest { mut play, device } = reader(stage, &elsewhere, Guestbook::URL)?;
    form(&device, &elsewhere)?;
    for shape in SHAPES {
        play.is_closed(CLIENT4)?;
        let (out, err) = device.fails(&[&POST[..], shape].concat(), 0)?;
        ensure!(out.is_empty() && err.contains("Posted to the guestbook book"), "{out:?} {err:?}");
        play.opens(CLIENT4).map_err(|fault| format!("{shape:?}: {fault}"))?;
        play.is_closed(STRANGER4)?;
        play.revoke()?;
    }
    let asked = guestbook.asked()?;
    ensure!(asked.contains(&format!("Authorization: {TOKEN}")) || asked.contains(TOKEN), "no header field: {asked}");
    for word in ["klopf", "laptop", "ureq"] {
        ensure!(!asked.to_lowercase().contains(word), "it speaks of {word}: {asked}");
    }
    Ok(())
}

fn by_json(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let isso = Isso::start(stage, &elsewhere, &nginx)?;
    isso.write("book", &["What a fine guestbook"])?;
    let Guest { mut play, device } = reader(stage, &elsewhere, &Isso::json("book"))?;
    device.configure("client.toml", &json(&elsewhere, "book", "book"))?;
    for (address, stranger) in [(CLIENT4, STRANGER4), (CLIENT6, STRANGER6)] {
        play.is_closed(address)?;
        let said = device.fails(&["post", "book", "laptop", "--allow", &address.to_string()], 0)?;
        ensure!(said.0.is_empty() && said.1.contains("Posted"), "{said:?}");
        play.opens(address).map_err(|fault| format!("{fault}\n{:?}", isso.entries("book")))?;
        play.is_closed(stranger)?;
        let status = play.scene.status()?;
        ensure!(of(status.lease(address)?, "by") == "guestbook", "{}", status.0);
    }
    ensure!(isso.entries("book")?.len() == 3, "{:?}", isso.entries("book"));
    Ok(())
}

/// Makes sure that a failed post leaves an entry to be pasted, says these words, and shows no secret.
fn is_left(said: &(String, String), told: &[&str]) -> Result {
    let (out, err) = said;
    ensure!(text::read(out).is_some() && out.lines().count() == 1, "the entry is not printed: {out:?} {err:?}");
    for told in told {
        ensure!(err.contains(told), "it says nothing of {told}: {err}");
    }
    ensure!(!err.contains(TOKEN), "it says the password: {err}");
    Ok(())
}

fn refused(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let guestbook = Guestbook::start(stage, &elsewhere)?;
    let Guest { mut play, device } = reader(stage, &elsewhere, Guestbook::URL)?;
    form(&device, &elsewhere)?;
    for status in [401, 403, 429, 500] {
        guestbook.refuses(status)?;
        let said = device.fails(&POST, 69)?;
        is_left(&said, &["error", "book", &status.to_string(), "pasted"])?;
        play.is_closed(CLIENT4)?;
    }
    Ok(())
}

fn unreachable(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let Guest { device, .. } = reader(stage, &elsewhere, Guestbook::URL)?;
    form(&device, &elsewhere)?;
    is_left(&device.fails(&POST, 69)?, &["error", "book", "pasted"])?;
    // One that nobody vouches for.
    let _guestbook = Guestbook::start(stage, &elsewhere)?;
    let path = device.path(".config/klopf/client.toml");
    let ca = Elsewhere::authority(stage, "other")?.ca.display().to_string();
    let text = fs::read_to_string(path)?.replace(&elsewhere.authority.ca.display().to_string(), &ca);
    device.configure("client.toml", &text)?;
    is_left(&device.fails(&POST, 69)?, &["error", "ertificate", "pasted"])
}

fn by_hand(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let isso = Isso::start(stage, &elsewhere, &nginx)?;
    let Guest { mut play, device } = reader(stage, &elsewhere, &Isso::feed("book"))?;
    let said = device.fails(&POST, 0)?;
    is_left(&said, &["client.toml", "[guestbook.book]", "pasted"])?;
    play.is_closed(CLIENT4)?;
    isso.write("book", &[&said.0])?;
    play.opens(CLIENT4)
}

fn exposed(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let Guest { device, .. } = reader(stage, &elsewhere, Guestbook::URL)?;
    form(&device, &elsewhere)?;
    let file = device.path(".config/klopf/client.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640))?;
    let (out, err) = device.fails(&POST, 77)?;
    ensure!(out.is_empty() && err.contains(&format!("chmod 600 {}", file.display())), "it says {err}");
    ensure!(!err.contains(TOKEN), "it says the password");
    Ok(())
}
