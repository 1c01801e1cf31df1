//! Codes on paper.

use klopf_tests::scene::STRANGER4;
use klopf_tests::{
    CLIENT4, CLIENT6, Case, Dovecot, Elsewhere, Nginx, Result, SHAPES, Signal, Stage, ensure, mail, written,
};

use crate::play::{DOOR, Play, book, needs, nobody, work};

pub(crate) fn cases() -> Vec<Case> {
    let (mails, both) = (needs(&[&Dovecot::NEEDS]), needs(&[&Dovecot::NEEDS, &Nginx::NEEDS]));
    vec![
        Case::new("codes_open_once_each_out_of_order_by_mail_and_guestbook", &both, once),
        Case::new("a_used_code_opens_nothing_over_restarts", &mails, used),
        Case::new("a_code_without_an_address_opens_nothing", &mails, no_address),
        Case::new("the_codes_of_a_revoked_sheet_open_nothing", &mails, revoked),
        Case::new("a_code_of_another_door_or_key_opens_nothing", &mails, foreign),
    ]
}

fn once(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    nginx.publish("book.html", "<p>hello</p>")?;
    let books = book(&elsewhere, "book", "https://book.test/book.html", "");
    let config = format!("{}{books}{DOOR}", work(stage, &elsewhere, "")?);
    let play = Play::begin(stage, &elsewhere, &config)?;
    // From all ends of the sheet.
    let indices = [31, 0, 7, 6, 30, 1];
    let mut page = String::new();
    for (number, (index, last)) in indices.into_iter().zip(50..).enumerate() {
        let shape = SHAPES.get(number % SHAPES.len()).copied().ok_or("no shape")?;
        let code = written(&play.server.code(&play.ada, "ssh", 5, index)?, shape)?;
        let address = nobody(last);
        if number % 2 == 0 {
            dovecot.deliver(&mail("from paper", &format!("{code}\nfor {address}, please")))?;
        } else {
            page.push_str(&format!("<p>{code} greetings from {address}</p>\n"));
            nginx.publish("book.html", &page)?;
        }
        play.until_lease(address).map_err(|fault| format!("code {index} as {shape:?}: {fault}"))?;
    }
    ensure!(play.count("granted")? == 6, "not six, but {}", play.count("granted")?);
    // By the other way it is the same code.
    let code = written(&play.server.code(&play.ada, "ssh", 5, 0)?, SHAPES[1])?;
    dovecot.deliver(&mail("again", &format!("{code} for {CLIENT4}")))?;
    let mut play = play;
    play.until_refused("replayed", 1)?;
    play.is_closed(CLIENT4)
}

fn used(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let mut play = Play::begin(stage, &elsewhere, &format!("{}{DOOR}", work(stage, &elsewhere, "")?))?;
    let code = written(&play.server.code(&play.ada, "ssh", 1234, 9)?, SHAPES[1])?;
    dovecot.deliver(&mail("code", &format!("{code} for {CLIENT4}")))?;
    play.opens(CLIENT4)?;
    play.revoke()?;
    // Whoever has seen it since.
    dovecot.deliver(&mail("code", &format!("{code} for {STRANGER4}")))?;
    play.until_refused("replayed", 1)?;
    for signal in [Signal::TERM, Signal::KILL] {
        play.end(signal)?;
        play.start()?;
        dovecot.deliver(&mail("code", &format!("{code} for {CLIENT6}")))?;
        let marker = mail("marker", &play.plain(nobody(77))?);
        dovecot.deliver(&marker)?;
        play.until_lease(nobody(77))?;
        for address in [CLIENT4, CLIENT6, STRANGER4] {
            play.is_closed(address)?;
        }
        play.revoke()?;
    }
    Ok(())
}

fn no_address(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let mut play = Play::begin(stage, &elsewhere, &format!("{}{DOOR}", work(stage, &elsewhere, "")?))?;
    let code = written(&play.server.code(&play.ada, "ssh", 1, 1)?, SHAPES[1])?;
    dovecot.deliver(&mail("code", &code))?;
    let marker = mail("marker", &play.plain(STRANGER4)?);
    dovecot.deliver(&marker)?;
    play.opens(STRANGER4)?;
    play.has_leases(1)?;
    // It is still good.
    dovecot.deliver(&mail("code", &format!("{code} for {CLIENT4}")))?;
    play.opens(CLIENT4)
}

fn revoked(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let mut play = Play::begin(stage, &elsewhere, &format!("{}{DOOR}", work(stage, &elsewhere, "")?))?;
    let code = |play: &Play<'_>, sheet, index| -> Result<String> {
        written(&play.server.code(&play.ada, "ssh", sheet, index)?, SHAPES[0])
    };
    play.scene.says(&["revoke", "ada", "--sheet", "7"])?;
    dovecot.deliver(&mail("code", &format!("{} for {CLIENT4}", code(&play, 7, 3)?)))?;
    play.until_refused("sheet-revoked", 1)?;
    play.is_closed(CLIENT4)?;
    dovecot.deliver(&mail("code", &format!("{} for {STRANGER4}", code(&play, 8, 3)?)))?;
    play.opens(STRANGER4)
}

fn foreign(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let mut play = Play::begin(stage, &elsewhere, &format!("{}{DOOR}", work(stage, &elsewhere, "")?))?;
    let eve = klopf_tests::Person::new("eve")?;
    let codes = [play.server.code(&play.ada, "vault", 1, 1)?, play.server.code(&eve, "ssh", 1, 1)?];
    for code in codes {
        dovecot.deliver(&mail("code", &format!("{} for {CLIENT4}", written(&code, SHAPES[0])?)))?;
    }
    let marker = mail("marker", &play.plain(STRANGER4)?);
    dovecot.deliver(&marker)?;
    play.opens(STRANGER4)?;
    play.is_closed(CLIENT4)?;
    ensure!(play.count("forged")? == 1 && play.count("unknown-key")? == 1, "{}", play.scene.status()?.0);
    Ok(())
}
