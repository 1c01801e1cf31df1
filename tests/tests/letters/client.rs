//! A person with `klopf` and nothing else: tokens that are pasted into mails and guestbooks.

use std::fs;
use std::time::Duration;

use klopf_tests::scene::{STRANGER4, STRANGER6, text as of, time};
use klopf_tests::{
    CLIENT4, CLIENT6, Case, Device, Dovecot, Elsewhere, Isso, Nginx, Result, Stage, ensure, mail, said, succeeded,
    wrapped,
};
use klopf_wire::text;

use crate::play::{DOOR, Play, book, needs, nobody, work};

/// How a person asks for each shape of text.
pub(crate) const SHAPES: [&[&str]; 4] = [
    &["--shape", "plain"],
    &["--shape", "words"],
    &["--shape", "prose", "--language", "en"],
    &["--shape", "prose", "--language", "de"],
];
/// No text of a token is longer, in characters.
const LONGEST: usize = 900;

pub(crate) fn cases() -> Vec<Case> {
    let (mails, both) = (needs(&[&Dovecot::NEEDS]), needs(&[&Dovecot::NEEDS, &Isso::NEEDS]));
    vec![
        Case::new("what_klopf_token_prints_opens_by_mail_and_guestbook", &both, pasted),
        Case::new("what_klopf_token_prints_is_one_text_and_never_the_same", &needs(&[]), printed),
        Case::new("a_token_for_a_time_opens_for_that_time", &mails, for_a_time),
        Case::new("a_token_is_written_into_the_middle_of_a_letter", &mails, in_a_letter),
        Case::new("what_cannot_be_a_token_is_refused_with_what_to_do", &needs(&[]), refused),
    ]
}

/// A server that takes letters, and somebody whom it has invited, with `klopf` on a device of their own.
pub(crate) struct Guest<'a> {
    pub(crate) play: Play<'a>,
    pub(crate) device: Device<'a>,
}

impl<'a> Guest<'a> {
    /// Has joined by an invitation for any number of devices, so that tokens count at once.
    pub(crate) fn invited(stage: &'a Stage, elsewhere: &Elsewhere, config: &str) -> Result<Self> {
        Self::invited_with(stage, elsewhere, config, &["--reusable", "--mail", Dovecot::ADDRESS])
    }

    /// Has joined by an invitation with these words.
    pub(crate) fn invited_with(stage: &'a Stage, elsewhere: &Elsewhere, config: &str, words: &[&str]) -> Result<Self> {
        let play = Play::begin(stage, elsewhere, config)?;
        let invite = [&["invite", "laptop", "--door", "ssh", "--endpoint", "host.test"], words].concat();
        let line = succeeded("klopf invite", &play.scene.klopf(&invite)?.output()?)?;
        let device = Device::new(stage, &stage.client, "laptop", &fs::read_to_string(&elsewhere.hosts)?)?;
        device.join_quietly(&line)?;
        Ok(Self { play, device })
    }

    /// What `klopf token laptop/ssh` prints with these words.
    pub(crate) fn token(&self, words: &[&str]) -> Result<String> {
        let printed = self.device.says(&[&["token", "laptop/ssh"], words].concat())?;
        let text = printed.strip_suffix('\n').ok_or("no line")?;
        ensure!(!text.contains('\n'), "not one line: {printed}");
        Ok(text.to_owned())
    }
}

fn pasted(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let isso = Isso::start(stage, &elsewhere, &nginx)?;
    let books = book(&elsewhere, "book", &Isso::feed("book"), "");
    let config = format!("{}{books}{DOOR}", work(stage, &elsewhere, "")?);
    let Guest { mut play, device } = Guest::invited(stage, &elsewhere, &config)?;
    let guest = |address: &str, shape: &[&str]| -> Result<String> {
        device.says(&[&["token", "laptop/ssh", "--allow", address], shape].concat())
    };
    for shape in SHAPES {
        let token = guest(&CLIENT4.to_string(), shape)?;
        play.is_closed(CLIENT4)?;
        dovecot.deliver(&mail("hello", &token))?;
        play.opens(CLIENT4).map_err(|fault| format!("{shape:?} by mail: {fault}\n{token}"))?;
        play.is_closed(STRANGER4)?;
        let entry = guest(&CLIENT6.to_string(), shape)?;
        play.is_closed(CLIENT6)?;
        isso.write("book", &[&entry])?;
        play.opens(CLIENT6).map_err(|fault| format!("{shape:?} in a book: {fault}\n{entry}"))?;
        play.is_closed(STRANGER6)?;
        let status = play.scene.status()?;
        for (address, by) in [(CLIENT4, "mail"), (CLIENT6, "guestbook")] {
            let lease = status.lease(address)?;
            ensure!(of(lease, "who") == "laptop" && of(lease, "by") == by, "lease: {lease}");
        }
        play.revoke()?;
    }
    Ok(())
}

fn printed(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    // Only something that reads letters makes a door take them.
    let config = format!("{}{DOOR}", book(&elsewhere, "book", "https://book.test/", ""));
    let Guest { device, .. } = Guest::invited(stage, &elsewhere, &config)?;
    let mut bodies = Vec::new();
    for shape in SHAPES {
        for address in ["203.0.113.7", "2001:db8:ffff:ffff:ffff:ffff:ffff:fff7"] {
            let mut texts = Vec::new();
            for _ in 0..3 {
                let done = device
                    .klopf(&[&["token", "laptop", "--allow", address, "--for", "2h"], shape].concat())?
                    .output()?;
                let told = String::from_utf8_lossy(&done.stderr).into_owned();
                let printed = succeeded("klopf token", &done)?;
                let found = text::read(&printed).ok_or_else(|| format!("no token: {}", said(&done)))?;
                ensure!(printed.trim_end().chars().count() <= LONGEST, "too long: {printed}");
                ensure!(printed.ends_with('\n') && printed.lines().count() == 1, "not one line: {printed:?}");
                ensure!(told.contains(address) && told.contains("ssh"), "it is not told what it opens: {told:?}");
                bodies.push(found.body);
                texts.push(printed);
            }
            texts.sort();
            texts.dedup();
            ensure!(texts.len() == 3, "two are alike: {texts:?}");
        }
    }
    let all = bodies.len();
    bodies.sort();
    bodies.dedup();
    ensure!(bodies.len() == all, "the same token was made twice");
    Ok(())
}

fn for_a_time(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let guest = Guest::invited(stage, &elsewhere, &format!("{}{DOOR}", work(stage, &elsewhere, "")?))?;
    // The door's own time is ten minutes.
    for (words, address, least, most) in [
        (&["--for", "5m"][..], nobody(50), 240, 300),
        (&["--for", "30s"], nobody(51), 30, 60),
        (&[], nobody(52), 540, 600),
    ] {
        let token = guest.token(&[&["--allow", &address.to_string()], words].concat())?;
        dovecot.deliver(&mail("hello", &token))?;
        let left = time(&guest.play.until_lease(address)?, "left-ms")?;
        ensure!((Duration::from_secs(least)..=Duration::from_secs(most)).contains(&left), "{words:?}: {left:?}");
    }
    Ok(())
}

fn in_a_letter(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let guest = Guest::invited(stage, &elsewhere, &format!("{}{DOOR}", work(stage, &elsewhere, "")?))?;
    for (shape, last) in SHAPES.into_iter().zip(50..) {
        let address = nobody(last);
        let token = guest.token(&[&["--allow", &address.to_string()], shape].concat())?;
        let letter = format!(
            "Dear server,\n\nI am in the hotel of last year again, room 12.\n\n{}\n\nYours, Ada\n-- \nAda, +49 30 12345\n",
            wrapped(&token)
        );
        dovecot.deliver(&mail("From the road", &letter))?;
        guest.play.until_lease(address).map_err(|fault| format!("{shape:?}: {fault}\n{letter}"))?;
    }
    Ok(())
}

fn refused(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let config = format!("{}{DOOR}", book(&elsewhere, "book", "https://book.test/", ""));
    let Guest { device, .. } = Guest::invited(stage, &elsewhere, &config)?;
    for (words, code, told) in [
        // Nobody sees where a text comes from.
        (&["laptop"][..], 64, "--allow ADDRESS"),
        (&["laptop", "--allow", "observed"], 64, "--allow ADDRESS"),
        (&["laptop", "--allow", "auto"], 78, "stun"),
        (&["laptop", "--allow", "203.0.113"], 64, "203.0.113"),
        (&["laptop", "--allow", "127.0.0.1"], 64, "127.0.0.1"),
        (&["laptop/cellar", "--allow", "203.0.113.7"], 66, "cellar"),
        (&["nobody", "--allow", "203.0.113.7"], 66, "nobody"),
        (&["laptop", "--allow", "203.0.113.7", "--shares", "2/3"], 64, "--books"),
    ] {
        let (out, err) = device.fails(&[&["token"], words].concat(), code)?;
        ensure!(out.is_empty() && err.contains(told), "{words:?}: it prints {out:?} and says {err:?}");
    }
    Ok(())
}
