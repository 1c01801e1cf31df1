//! Tokens that open nothing, and what is told of them.

use klopf_spa::Claim;
use klopf_tests::scene::{STRANGER4, text};
use klopf_tests::{CLIENT4, Case, Dovecot, Elsewhere, Person, Result, Stage, ensure, mail, written};
use klopf_wire::text::Shape;

use crate::play::{DOOR, Maildir, Play, needs, nobody, work};

const HOUR: u32 = 3600;

pub(crate) fn cases() -> Vec<Case> {
    let needs = needs(&[&Dovecot::NEEDS]);
    vec![
        Case::new("a_token_that_opens_nothing_is_told_with_its_reason", &needs, reasons),
        Case::new("a_door_takes_letters_by_the_ways_it_has", &needs, ways),
        Case::new("a_token_of_one_device_opens_when_the_device_is_known", &needs, bound),
        Case::new("a_token_lets_in_for_as_long_as_it_says", &needs, hold),
        Case::new("forged_tokens_open_nothing_and_are_counted", &needs, forged),
    ]
}

fn reasons(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let dovecot = Dovecot::start(stage, &elsewhere)?;
    let other = "[door.other]\nguard = [\"tcp/443\"]\nopen-for = \"600s\"\nkeys = [\"eve\"]\n\n";
    let config = format!("{}{DOOR}{other}", work(stage, &elsewhere, "")?);
    let mut play = Play::set(stage, &elsewhere, &config, "networks = [\"10.99.0.0/24\"]")?;
    let (mut eve, stranger) = (Person::new("eve")?, Person::new("stranger")?);
    eve.invite(stage, "expires = 2020-01-01T00:00:00Z")?;
    play.start()?;
    type Change = fn(&mut Claim);
    let mine: [(&str, Change); 5] = [
        ("too-old", |claim| claim.time -= 25 * HOUR),
        ("wrong-clock", |claim| claim.time += HOUR),
        ("unknown-door", |claim| claim.door = [0xff; 4]),
        ("wrong-door", |claim| claim.door = klopf_spa::door_hash("other")),
        ("wrong-network", |claim| claim.address = [192, 0, 2, 1].into()),
    ];
    let mut letters = Vec::new();
    for (why, change) in mine {
        letters.push((why, "ada", play.token_with(CLIENT4, change)?));
    }
    let claim = eve.claim("ssh", CLIENT4)?;
    letters.push(("expired", "eve", play.server.token(&eve, &claim)?));
    letters.push(("unknown-key", "", play.server.token(&stranger, &claim)?));
    for (why, who, token) in letters {
        dovecot.deliver(&mail(why, &written(&token, Shape::Plain)?))?;
        if who.is_empty() {
            // Anybody can send such, so that it is counted and not told.
            play.scene.until_status(&format!("{why} is counted"), |status| crate::play::count(status, why) == 1)?;
            continue;
        }
        let refusal = play.until_refused(why, 1)?;
        ensure!(text(&refusal, "via") == "mail work", "no way in {refusal}");
        ensure!(refusal.to_string().contains(who), "nobody's name in {refusal}");
        let said = play.scene.says(&["status"])?;
        ensure!(said.contains(why) || said.contains(text(&refusal, "text")), "{why} is not said:\n{said}");
    }
    play.is_closed(CLIENT4)?;
    play.has_leases(0)?;
    // A day is the limit, and an hour ago is fine.
    let token = play.token_with(CLIENT4, |claim| claim.time -= 23 * HOUR)?;
    dovecot.deliver(&mail("fine", &written(&token, Shape::Plain)?))?;
    play.opens(CLIENT4)
}

fn ways(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let maildir = Maildir::make(stage, "mail")?;
    let mut config = maildir.section("");
    for (name, port, via) in [("ssh", 22, "\"packet\", \"mail\""), ("web", 443, "\"packet\"")] {
        config.push_str(&format!(
            "[door.{name}]\nguard = [\"tcp/{port}\"]\nopen-for = \"600s\"\nkeys = [\"*\"]\nvia = [{via}]\n\n"
        ));
    }
    let mut play = Play::begin(stage, &elsewhere, &config)?;
    let token = play.token_with(CLIENT4, |claim| claim.door = klopf_spa::door_hash("web"))?;
    maildir.deliver("web", &mail("web", &written(&token, Shape::Plain)?))?;
    play.until_refused("wrong-way", 1)?;
    let letter = mail("ssh", &play.plain(CLIENT4)?);
    maildir.deliver("ssh", &letter)?;
    play.opens(CLIENT4)
}

fn bound(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let maildir = Maildir::make(stage, "mail")?;
    let mut play = Play::set(stage, &elsewhere, &format!("{}{DOOR}", maildir.section("")), "once = true")?;
    play.start()?;
    let claim = play.ada.claim("ssh", CLIENT4)?;
    let early = play.server.bound_token(&play.ada, &claim)?;
    maildir.deliver("early", &mail("early", &written(&early, Shape::Plain)?))?;
    play.scene.until_status("it is refused", |status| {
        ["unknown-key", "forged"].iter().any(|why| crate::play::count(status, why) == 1)
    })?;
    let knock = play.ada.knock("ssh")?;
    let packet = play.server.seal(&play.ada, &knock)?;
    let port = play.server.port();
    play.scene.wire.packet(&klopf_tests::packet::datagram(STRANGER4, klopf_tests::SERVER4, port, &packet))?;
    play.opens(STRANGER4)?;
    // What came before is looked at again.
    play.opens(CLIENT4)?;
    // Who has the invitation alone can make none.
    let claim = play.ada.claim("ssh", nobody(50))?;
    let stolen = play.server.token(&play.ada, &claim)?;
    maildir.deliver("stolen", &mail("stolen", &written(&stolen, Shape::Plain)?))?;
    let claim = play.ada.claim("ssh", nobody(51))?;
    let good = play.server.bound_token(&play.ada, &claim)?;
    maildir.deliver("good", &mail("good", &written(&good, Shape::Plain)?))?;
    play.until_lease(nobody(51))?;
    let status = play.scene.status()?;
    ensure!(status.lease(nobody(50)).is_err(), "a stolen invitation opens: {}", status.0);
    Ok(())
}

fn hold(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let maildir = Maildir::make(stage, "mail")?;
    let door = DOOR.replace("600s", "10m");
    let mut play = Play::begin(stage, &elsewhere, &format!("{}{door}", maildir.section("")))?;
    for (last, (minutes, seconds)) in (50..).zip([(0, 600), (2, 120), (300, 600)]) {
        let token = play.token_with(nobody(last), |claim| claim.hold = minutes)?;
        maildir.deliver(&format!("m{last}"), &mail("hold", &written(&token, Shape::Plain)?))?;
        let lease = play.until_lease(nobody(last))?;
        let whole = klopf_tests::scene::time(&lease, "left-ms")? + klopf_tests::scene::time(&lease, "opened-ms-ago")?;
        let took = whole.as_millis().div_ceil(1000);
        ensure!(took.abs_diff(seconds) <= 1, "asked for {minutes} min, {took} s: {lease}");
    }
    Ok(())
}

fn forged(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let maildir = Maildir::make(stage, "mail")?;
    let mut play = Play::begin(stage, &elsewhere, &format!("{}{DOOR}", maildir.section("")))?;
    let token = play.token_with(CLIENT4, |_| ())?;
    for at in [20, 35, token.len() - 1] {
        let mut changed = token.clone();
        *changed.get_mut(at).ok_or("too short")? ^= 1;
        maildir.deliver(&format!("m{at}"), &mail("forged", &written(&changed, Shape::Plain)?))?;
    }
    play.scene.until_status("three are forged", |status| crate::play::count(status, "forged") == 3)?;
    play.is_closed(CLIENT4)?;
    maildir.deliver("good", &mail("good", &written(&token, Shape::Plain)?))?;
    play.opens(CLIENT4)
}
