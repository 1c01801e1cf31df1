//! A person with a sheet of paper: `klopf codes`, and what becomes of the codes.

use klopf_tests::scene::{STRANGER4, STRANGER6};
use klopf_tests::{
    CLIENT4, CLIENT6, Case, Dovecot, Elsewhere, Guestbook, Isso, Nginx, Postfix, Result, Stage, ensure, mail,
};

use crate::client::Guest;
use crate::client_mails::{smtp, with_servers};
use crate::play::{DOOR, book, count, needs, nobody, work};

/// Words of a code, with the one that checks the others.
const WORDS: usize = 9;

pub(crate) fn cases() -> Vec<Case> {
    let mails = needs(&[&Dovecot::NEEDS]);
    vec![
        Case::new("a_sheet_of_codes_is_for_people", &needs(&[]), sheet_of_paper),
        Case::new("codes_of_a_sheet_open_by_mail_and_in_a_guestbook", &needs(&[&Dovecot::NEEDS, &Isso::NEEDS]), used),
        Case::new("klopf_checks_a_code_and_sends_it", &needs(&[&Dovecot::NEEDS, &Postfix::NEEDS]), sent),
        Case::new("klopf_says_which_word_of_a_code_is_wrong", &needs(&[]), mistyped),
        Case::new("the_line_on_the_sheet_revokes_it", &mails, revoked),
        Case::new("a_sheet_is_printed_again_and_another_one_is_another", &mails, again),
    ]
}

/// A sheet as a person reads it.
struct Sheet {
    codes: Vec<String>,
    text: String,
}

impl Sheet {
    fn print(guest: &Guest<'_>, words: &[&str]) -> Result<Self> {
        let (text, err) = guest.device.fails(&[&["codes", "laptop/ssh"], words].concat(), 0)?;
        ensure!(err.contains("Whoever has this sheet"), "nobody is warned: {err}");
        let mut codes: Vec<String> = Vec::new();
        for line in text.lines().skip(1) {
            let number = line.get(..3).unwrap_or_default().trim();
            let words = line.get(3..).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
            if number.parse() == Ok(codes.len() + 1) {
                codes.push(words);
            } else if let Some(last) = codes.last_mut().filter(|_| number.is_empty() && line.starts_with("     ")) {
                *last = format!("{last} {words}");
            }
        }
        let whole = |code: &String| code.split(' ').count() == WORDS;
        ensure!(codes.iter().all(whole), "not {WORDS} words each:\n{text}");
        Ok(Self { codes, text })
    }

    /// A code by its number, from 1 on.
    fn code(&self, number: usize) -> Result<&str> {
        Ok(self.codes.get(number - 1).ok_or("no such code")?)
    }

    /// The line that says how it is revoked, without the program's name.
    fn revoke(&self) -> Result<Vec<&str>> {
        let line = self.text.split("On the server:").nth(1).ok_or("how to revoke it is not said")?;
        Ok(line.split('(').next().unwrap_or_default().split_whitespace().skip(1).collect())
    }
}

fn invited<'a>(stage: &'a Stage, elsewhere: &Elsewhere) -> Result<Guest<'a>> {
    Guest::invited(stage, elsewhere, &format!("{}{DOOR}", work(stage, elsewhere, "")?))
}

fn sheet_of_paper(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let config = format!("{}{DOOR}", book(&elsewhere, "book", Guestbook::URL, ""));
    let guest = Guest::invited(stage, &elsewhere, &config)?;
    let sheet = Sheet::print(&guest, &["--count", "20"])?;
    ensure!(sheet.codes.len() == 20, "{} codes:\n{}", sheet.codes.len(), sheet.text);
    ensure!(sheet.text.lines().all(|line| line.chars().count() <= 80), "too wide:\n{}", sheet.text);
    ensure!(sheet.text.lines().count() <= 72, "too long for a page:\n{}", sheet.text);
    for told in ["ssh", "host.test", Dovecot::ADDRESS, "klopf open --code", "klopf revoke laptop --sheet"] {
        ensure!(sheet.text.contains(told), "it says nothing of {told}:\n{}", sheet.text);
    }
    let mut different = sheet.codes.clone();
    different.sort();
    different.dedup();
    ensure!(different.len() == 20, "two codes are the same:\n{}", sheet.text);
    ensure!(Sheet::print(&guest, &[])?.codes.len() == 20, "not as many as it is told");
    for count in ["0", "33", "many"] {
        guest.device.fails(&["codes", "laptop", "--count", count], 64)?;
    }
    guest.device.fails(&["codes", "laptop/cellar"], 66).map(drop)
}

fn used(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let isso = Isso::start(stage, &elsewhere, &nginx)?;
    let books = book(&elsewhere, "book", &Isso::feed("book"), "");
    let mut guest = Guest::invited(stage, &elsewhere, &format!("{}{books}{DOOR}", work(stage, &elsewhere, "")?))?;
    let sheet = Sheet::print(&guest, &["--count", "20"])?;
    let play = &mut guest.play;
    dovecot.deliver(&mail("Hi", &format!("{}\n203.0.113.7 was wrong, sorry", sheet.code(20)?)))?;
    play.until_lease([203, 0, 113, 7].into())?;
    play.is_closed(CLIENT4)?;
    dovecot.deliver(&mail("Hi", &format!("{} {CLIENT4}", sheet.code(7)?)))?;
    play.opens(CLIENT4)?;
    play.is_closed(STRANGER4)?;
    isso.write("book", &[&format!("What a nice place! {}\n{CLIENT6}. See you, Ada", sheet.code(1)?.to_uppercase())])?;
    play.opens(CLIENT6)?;
    play.is_closed(STRANGER6)?;
    // Whoever reads the book and the mails has nothing.
    play.revoke()?;
    isso.write("book", &[&format!("{} {STRANGER4}", sheet.code(7)?)])?;
    // Of a book that is only counted, for there it stays for ever.
    play.scene.until_status("it is a replay", |status| count(status, "replayed") == 1)?;
    dovecot.deliver(&mail("Hi", &format!("{} {STRANGER4}", sheet.code(1)?)))?;
    play.until_refused("replayed", 2)?;
    for address in [STRANGER4, CLIENT4, CLIENT6] {
        play.is_closed(address)?;
    }
    play.has_leases(0)
}

fn sent(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let (dovecot, _postfix, mut guest) = with_servers(stage, &elsewhere)?;
    let sheet = Sheet::print(&guest, &["--count", "3"])?;
    // Checked, and left to the person.
    let typed = sheet.code(1)?.to_uppercase().replace(' ', "  ");
    let (line, err) = guest.device.fails(&["open", "--code", &typed, "--allow", "10.99.0.2"], 0)?;
    ensure!(err.contains("right") && line.lines().count() == 1, "{line:?} {err:?}");
    guest.play.is_closed(CLIENT4)?;
    dovecot.deliver(&mail("Hello", &line))?;
    guest.play.opens(CLIENT4)?;
    guest.play.revoke()?;
    // Sent.
    smtp(&guest.device, &elsewhere, "smtps://ada@mail.test", Dovecot::PASSWORD)?;
    let words = ["open", "--via", "mail", "--allow", "10.99.0.2", "--wait", "tcp/22", "--code"];
    guest.device.fails(&[&words[..], &[sheet.code(2)?]].concat(), 0)?;
    guest.play.opens(CLIENT4)?;
    guest.play.revoke()?;
    // Once.
    let words = ["open", "--via", "mail", "--allow", "10.99.0.2", "--code"];
    guest.device.fails(&[&words[..], &[sheet.code(2)?]].concat(), 0)?;
    guest.play.until_refused("replayed", 1)?;
    guest.play.is_closed(CLIENT4)
}

fn mistyped(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let config = format!("{}{DOOR}", book(&elsewhere, "book", Guestbook::URL, ""));
    let guest = Guest::invited(stage, &elsewhere, &config)?;
    let sheet = Sheet::print(&guest, &["--count", "1"])?;
    let words: Vec<&str> = sheet.code(1)?.split(' ').collect();
    let with = |at: usize, word: &str| {
        let word = |(index, own): (usize, &&str)| if index == at { word.to_owned() } else { (*own).to_owned() };
        words.iter().enumerate().map(word).collect::<Vec<_>>().join(" ")
    };
    let other = if words.first() == Some(&"zoo") { "able" } else { "zoo" };
    for (typed, told) in [
        (with(3, "xyzzy"), "word 4 (xyzzy)"),
        (with(0, other), "one of them is another one"),
        (words.get(..8).unwrap_or_default().join(" "), "has 9 words, and these are 8"),
        ("hello".to_owned(), "these are 1"),
        ("Guten Morgen".to_owned(), "1 (guten), 2 (morgen)"),
    ] {
        let (out, err) = guest.device.fails(&["open", "--code", &typed, "--allow", "10.99.0.2"], 65)?;
        ensure!(out.is_empty() && err.contains(told) && err.contains("Nothing was sent"), "{typed}: {out:?} {err:?}");
    }
    let (_, err) = guest.device.fails(&["open", "--code", sheet.code(1)?], 64)?;
    ensure!(err.contains("--allow ADDRESS"), "{err}");
    let (_, err) =
        guest.device.fails(&["open", "--code", sheet.code(1)?, "--allow", "10.99.0.2", "--for", "2h"], 64)?;
    ensure!(err.contains("--for"), "{err}");
    Ok(())
}

fn revoked(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let mut guest = invited(stage, &elsewhere)?;
    let (lost, kept) = (Sheet::print(&guest, &["--sheet", "1234"])?, Sheet::print(&guest, &["--sheet", "1235"])?);
    dovecot.deliver(&mail("Hi", &format!("{} {CLIENT4}", lost.code(1)?)))?;
    guest.play.opens(CLIENT4)?;
    let told = guest.play.scene.says(&lost.revoke()?)?;
    ensure!(told.contains("1234") && told.contains("laptop"), "it says {told}");
    guest.play.revoke()?;
    for number in [2, 3, 20] {
        dovecot.deliver(&mail("Hi", &format!("{} {CLIENT4}", lost.code(number)?)))?;
    }
    guest.play.until_refused("sheet-revoked", 3)?;
    guest.play.is_closed(CLIENT4)?;
    dovecot.deliver(&mail("Hi", &format!("{} {STRANGER4}", kept.code(2)?)))?;
    guest.play.opens(STRANGER4)?;
    // It stays so.
    guest.play.end(klopf_tests::Signal::KILL)?;
    guest.play.start()?;
    dovecot.deliver(&mail("Hi", &format!("{} {CLIENT4}", lost.code(4)?)))?;
    guest.play.until_refused("sheet-revoked", 1)?;
    guest.play.is_closed(CLIENT4)
}

fn again(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let guest = invited(stage, &elsewhere)?;
    let sheet = Sheet::print(&guest, &["--sheet", "77", "--count", "4"])?;
    dovecot.deliver(&mail("Hi", &format!("{} {}", sheet.code(2)?, nobody(50))))?;
    guest.play.until_lease(nobody(50))?;
    let same = Sheet::print(&guest, &["--sheet", "77", "--count", "5"])?;
    ensure!(same.codes.starts_with(&sheet.codes) && same.codes.len() == 5, "{}\n{}", same.text, sheet.text);
    let other = Sheet::print(&guest, &["--sheet", "78", "--count", "4"])?;
    ensure!(other.codes.iter().all(|code| !sheet.codes.contains(code)), "{}\n{}", other.text, sheet.text);
    dovecot.deliver(&mail("Hi", &format!("{} {}", other.code(2)?, nobody(51))))?;
    guest.play.until_lease(nobody(51)).map(drop)
}
