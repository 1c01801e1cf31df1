//! A person at a borrowed computer, with a page of `klopf page` in its browser.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use klopf_tests::scene::{STRANGER4, STRANGER6};
use klopf_tests::{
    CLIENT4, CLIENT6, Case, Device, Dovecot, Elsewhere, Isso, Need, Nginx, Result, Stage, ensure, mail, said,
};

use crate::client::Guest;
use crate::client_mails::read_link;
use crate::play::{DOOR, book, count, needs, work};

const BROWSER: [Need; 2] = [Need::Program("chromium", "chromium"), Need::Program("node", "nodejs")];

pub(crate) fn cases() -> Vec<Case> {
    let mails = needs(&[&Dovecot::NEEDS, &BROWSER]);
    let both = needs(&[&Dovecot::NEEDS, &Isso::NEEDS, &BROWSER]);
    vec![
        Case::new("a_token_of_a_page_opens_by_mail_and_guestbook", &both, opens),
        Case::new("a_page_of_a_key_of_one_device_opens_after_its_first_knock", &mails, bound),
        Case::new("a_page_opens_nothing_when_its_key_is_taken_away", &mails, taken_away),
    ]
}

/// Makes a page as a person does, and returns where it is, and the passphrase that was made for it.
fn page(stage: &Stage, device: &Device<'_>) -> Result<(PathBuf, String)> {
    let (html, err) = device.fails(&["page", "laptop", "--generate"], 0)?;
    let line = err.lines().find_map(|line| line.strip_prefix("Passphrase: "));
    let passphrase = line.ok_or_else(|| format!("no passphrase: {err}"))?.to_owned();
    ensure!(html.starts_with("<!doctype html>") && !html.contains(&passphrase), "this is no page");
    Ok((stage.write("knock.html", &html)?, passphrase))
}

/// Opens the page in a browser of its own, and types these into it.
fn typed(device: &Device<'_>, page: &Path, passphrase: &str, address: &str) -> Result<Output> {
    let mut command = device.command("node");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("chromium/drive.mjs")).arg(page);
    Ok(command.args(["--passphrase", passphrase, "--address", address, "--language", "en-GB"]).output()?)
}

/// The token of a page, and its link.
fn token(device: &Device<'_>, page: &Path, passphrase: &str, address: &str) -> Result<(String, String)> {
    let done = typed(device, page, passphrase, address)?;
    ensure!(done.status.success(), "the page makes no token: {}", said(&done));
    Ok((String::from_utf8(done.stdout)?, String::from_utf8(done.stderr)?))
}

fn opens(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let isso = Isso::start(stage, &elsewhere, &nginx)?;
    let books = book(&elsewhere, "book", &Isso::feed("book"), "");
    let config = format!("{}{books}{DOOR}", work(stage, &elsewhere, "")?);
    let Guest { mut play, device } = Guest::invited(stage, &elsewhere, &config)?;
    let (page, passphrase) = page(stage, &device)?;
    let wrong = typed(&device, &page, "correct horse battery staple", &CLIENT4.to_string())?;
    ensure!(said(&wrong).contains("not the passphrase") && wrong.stdout.is_empty(), "it says {}", said(&wrong));
    let (text, link) = token(&device, &page, &passphrase, &CLIENT4.to_string())?;
    let [to, subject, body] = read_link(link.trim_end())?;
    ensure!(to == Dovecot::ADDRESS && body == text.trim_end(), "the link is {link}");
    play.is_closed(CLIENT4)?;
    dovecot.deliver(&mail(&subject, &body))?;
    play.opens(CLIENT4)?;
    play.is_closed(STRANGER4)?;
    let (text, _) = token(&device, &page, &passphrase, &CLIENT6.to_string())?;
    play.is_closed(CLIENT6)?;
    isso.write("book", &[&text])?;
    play.opens(CLIENT6)?;
    play.is_closed(STRANGER6)?;
    // The same once more opens nothing.
    play.revoke()?;
    dovecot.deliver(&mail(&subject, &body))?;
    play.until_refused("replayed", 1)?;
    play.is_closed(CLIENT4)
}

fn bound(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let config = format!("{}{DOOR}", work(stage, &elsewhere, "")?);
    let words = ["--mail", Dovecot::ADDRESS];
    let Guest { mut play, device } = Guest::invited_with(stage, &elsewhere, &config, &words)?;
    let (page, passphrase) = page(stage, &device)?;
    device.says(&["open", "laptop", "--wait", "tcp/22"])?;
    play.revoke()?;
    let (text, _) = token(&device, &page, &passphrase, &CLIENT4.to_string())?;
    dovecot.deliver(&mail("Hi", &text))?;
    play.opens(CLIENT4)?;
    // What the page knows makes no packets, and is no profile.
    let secrets = fs::read_to_string(device.path(".config/klopf/profiles/laptop.toml"))?;
    let html = fs::read_to_string(&page)?;
    for name in ["private", "psk", "device", "server"] {
        let line = secrets.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='));
        let value = line.ok_or_else(|| format!("no {name}"))?.trim().trim_matches('"');
        ensure!(value.len() >= 32 && !html.contains(value), "the page shows {name}");
    }
    Ok(())
}

fn taken_away(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let config = format!("{}{DOOR}", work(stage, &elsewhere, "")?);
    let Guest { mut play, device } = Guest::invited(stage, &elsewhere, &config)?;
    let (page, passphrase) = page(stage, &device)?;
    play.scene.says(&["uninvite", "laptop"])?;
    let (text, _) = token(&device, &page, &passphrase, &CLIENT4.to_string())?;
    dovecot.deliver(&mail("Hi", &text))?;
    play.scene.until_status("nobody has such a key", |status| count(status, "unknown-key") == 1)?;
    play.is_closed(CLIENT4)
}
