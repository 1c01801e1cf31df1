//! Terms on which keys open doors, each with what it refuses and what it does not.

use klopf_spa::totp_code;
use klopf_tests::scene::{FAMILIES, NEEDS, SSH, STRANGER4, STRANGER6, text};
use klopf_tests::{CLIENT4, CLIENT6, Case, Person, Result, SERVER4, Service, Signal, Stage, ensure, now_ms, until};

use crate::play::{DOOR, Play, server_for};

const MINUTE: u64 = 60_000;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// "12345678901234567890" in base32, from RFC 6238.
const TOTP: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const TOTP_BYTES: &[u8] = b"12345678901234567890";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("a_clock_that_is_wrong_is_refused_and_the_log_says_by_how_much", &NEEDS, clocks),
        Case::new("a_key_without_a_clock_opens_at_any_time", &NEEDS, no_clock),
        Case::new("a_key_opens_in_its_time_alone", &NEEDS, times),
        Case::new("a_key_opens_as_often_as_it_may_over_restarts", &NEEDS, uses),
        Case::new("a_key_opens_its_doors_alone", &NEEDS, doors),
        Case::new("a_key_lets_in_its_networks_alone", &NEEDS, networks),
        Case::new("an_invitation_is_for_the_first_device_over_restarts", &NEEDS, once),
        Case::new("an_invitation_ends_unless_it_was_taken", &NEEDS, join_before),
        Case::new("a_second_factor_is_asked_for_and_cannot_be_guessed", &NEEDS, second_factor),
    ]
}

fn clocks(stage: &Stage) -> Result {
    let mut ada = Person::new("ada")?;
    let mut play = Play::begin(stage, &format!("[packet]\nwindow = \"90s\"\n\n{DOOR}"), &[(&ada, "")])?;
    type Change = fn(u64, u64) -> u64;
    let (ahead, behind): (Change, Change) = (|time, by| time + by, |time, by| time - by);
    for (change, word) in [(ahead, "ahead"), (behind, "behind")] {
        for (by, least, most) in [(2 * MINUTE, 110, 130), (24 * 60 * MINUTE, 86_380, 86_420)] {
            let packet = play.knock_with(&mut ada, |knock| knock.time = change(knock.time, by))?;
            let told = play.is_refused(CLIENT4, &packet, "wrong-clock")?;
            let said = play.log()?;
            let last = said.lines().rfind(|line| line.contains("wrong-clock")).unwrap_or_default();
            for said in [last, text(&told, "text")] {
                ensure!(said.contains(&format!(" s {word}")) && said.contains("key ada"), "it says {said:?}");
                let seconds: u64 = number_before(said, &format!(" s {word}")).ok_or("it does not say by how much")?;
                ensure!((least..=most).contains(&seconds), "{by} ms are {seconds} s: {said}");
            }
        }
        // Just inside.
        let from = if word == "ahead" { STRANGER4 } else { CLIENT6 };
        let packet = play.knock_with(&mut ada, |knock| knock.time = change(knock.time, MINUTE))?;
        play.opens(from, &packet)?;
    }
    // No clock at all is a wrong one here, and a wild one breaks nothing.
    for time in [0, u64::MAX] {
        let packet = play.knock_with(&mut ada, |knock| knock.time = time)?;
        play.is_refused(CLIENT4, &packet, "wrong-clock")?;
    }
    play.has_leases(2)
}

/// The number that stands before a word.
fn number_before(text: &str, word: &str) -> Option<u64> {
    text.split(word).next()?.rsplit(' ').next()?.parse().ok()
}

fn no_clock(stage: &Stage) -> Result {
    let mut ada = Person::new("ada")?;
    let mut play = Play::begin(stage, DOOR, &[(&ada, "no-clock = true")])?;
    for (from, time) in [(CLIENT4, 0), (CLIENT6, 1), (STRANGER4, u64::MAX), (STRANGER6, now_ms()?)] {
        let packet = play.knock_with(&mut ada, |knock| knock.time = time)?;
        play.opens(from, &packet)?;
    }
    // What counts is the counter.
    play.revoke()?;
    ada.counter -= 1;
    let packet = play.knock(&mut ada, "ssh")?;
    play.is_refused(CLIENT4, &packet, "replayed").map(drop)
}

fn times(stage: &Stage) -> Result {
    let today: usize = stage.server.run("date", &["+%u"])?.trim().parse()?;
    // The day may end while this runs.
    let days =
        |away: [usize; 3]| away.map(|days| DAYS.get((today + 6 + days) % 7).copied().unwrap_or_default()).join(",");
    let (around, others) = (days([6, 0, 1]), days([2, 3, 4]));
    let terms = [
        ("before", "not-before = 2999-01-01T00:00:00Z".to_owned(), Some("not-yet")),
        ("after", "expires = 2020-01-01T00:00:00+02:00".to_owned(), Some("expired")),
        ("other-days", format!("hours = [\"{others} 00:00-24:00\"]"), Some("wrong-hour")),
        ("these-days", format!("hours = [\"{others} 00:00-01:00\", \"{around} 00:00-24:00\"]"), None),
        ("within", "not-before = 2020-01-01T00:00:00Z\nexpires = 2999-01-01T00:00:00Z".to_owned(), None),
    ];
    let people = terms.map(|(name, terms, why)| Ok((Person::new(name)?, terms, why)));
    let mut people = people.into_iter().collect::<Result<Vec<_>>>()?;
    let invited: Vec<(&Person, &str)> = people.iter().map(|(person, terms, _)| (person, terms.as_str())).collect();
    let mut play = Play::begin(stage, DOOR, &invited)?;
    for (person, terms, why) in &mut people {
        let packet = play.knock(person, "ssh")?;
        match why {
            Some(why) => drop(play.is_refused(CLIENT4, &packet, why)?),
            None => play.opens(CLIENT4, &packet).map_err(|fault| format!("{terms}: {fault}"))?,
        }
        play.revoke()?;
    }
    Ok(())
}

fn uses(stage: &Stage) -> Result {
    let (mut ada, mut eve) = (Person::new("ada")?, Person::new("eve")?);
    let mut play = Play::begin(stage, DOOR, &[(&ada, "max-uses = 3"), (&eve, "")])?;
    for (from, signal) in [(CLIENT4, Signal::TERM), (CLIENT6, Signal::KILL)] {
        let packet = play.knock(&mut ada, "ssh")?;
        play.opens(from, &packet)?;
        // What is refused is no use.
        let packet = play.knock(&mut ada, "nowhere")?;
        play.is_refused(STRANGER4, &packet, "unknown-door")?;
        play.end(signal)?;
        play.start()?;
    }
    play.revoke()?;
    let packet = play.knock(&mut ada, "ssh")?;
    play.opens(STRANGER6, &packet)?;
    play.revoke()?;
    // Within a minute it is the same use: a client knocks until it is answered.
    let packet = play.knock(&mut ada, "ssh")?;
    play.opens(CLIENT4, &packet)?;
    play.revoke()?;
    play.end(Signal::TERM)?;
    play.start()?;
    let packet = play.knock(&mut ada, "ssh")?;
    play.is_refused(CLIENT4, &packet, "used-up")?;
    play.kill_watch(&mut eve, STRANGER4)?;
    let packet = play.knock(&mut ada, "ssh")?;
    play.is_refused(CLIENT4, &packet, "used-up")?;
    for signal in [Signal::TERM, Signal::KILL] {
        play.end(signal)?;
        play.start()?;
        let packet = play.knock(&mut ada, "ssh")?;
        play.is_refused(CLIENT4, &packet, "used-up")?;
    }
    Ok(())
}

fn doors(stage: &Stage) -> Result {
    const WEB: Service = Service::Tcp(443);
    // Nothing goes by the order of keys and doors: each has its own.
    let config = "[door.ssh]\nguard = [\"tcp/22\"]\nopen-for = \"600s\"\nkeys = [\"ada\"]\n\n\
                  [door.web]\nguard = [\"tcp/443\"]\nopen-for = \"600s\"\nkeys = [\"*\"]\n\n";
    let (mut ada, mut eve) = (Person::new("ada")?, Person::new("eve")?);
    let mut play = Play::begin(stage, config, &[(&ada, "doors = [\"ssh\"]"), (&eve, "")])?;
    let packet = play.knock(&mut eve, "ssh")?;
    let told = play.is_refused(CLIENT4, &packet, "wrong-door")?;
    ensure!(text(&told, "door") == "ssh" && text(&told, "text").contains("key eve"), "told: {told}");
    let packet = play.knock(&mut ada, "web")?;
    play.is_refused(CLIENT4, &packet, "wrong-door")?;
    play.scene.is_closed(CLIENT4, SERVER4, WEB)?;
    for name in ["nowhere", "SSH", "ssh.", "x".repeat(64).as_str()] {
        let packet = play.knock(&mut ada, name)?;
        let told = play.is_refused(CLIENT4, &packet, "unknown-door")?;
        ensure!(text(&told, "door") == "-", "told: {told}");
    }
    play.has_leases(0)?;
    let packet = play.knock(&mut ada, "ssh")?;
    play.opens(CLIENT4, &packet)?;
    play.scene.is_closed(CLIENT4, SERVER4, WEB)?;
    let packet = play.knock(&mut eve, "web")?;
    play.send(STRANGER4, &packet)?;
    play.scene.until_open(STRANGER4, SERVER4, WEB)?;
    play.scene.is_closed(STRANGER4, SERVER4, SSH)
}

fn networks(stage: &Stage) -> Result {
    let mut ada = Person::new("ada")?;
    let terms = format!("networks = [\"10.99.0.2/32\", \"{STRANGER6}/128\", \"192.0.2.0/24\"]");
    let mut play = Play::begin(stage, DOOR, &[(&ada, &terms)])?;
    for [(own, other), (right, wrong)] in
        [[(CLIENT4, STRANGER4), (STRANGER6, CLIENT6)], [(STRANGER6, CLIENT6), (CLIENT4, STRANGER4)]]
    {
        let packet = play.knock(&mut ada, "ssh")?;
        play.is_refused(other, &packet, "wrong-network")?;
        // What counts is whom it lets in, not where it comes from.
        let packet = play.knock_with(&mut ada, |knock| knock.allow = Some(wrong))?;
        let told = play.is_refused(own, &packet, "wrong-network")?;
        ensure!(text(&told, "text").contains(&wrong.to_string()), "told: {told}");
        play.has_leases(0)?;
        let packet = play.knock(&mut ada, "ssh")?;
        play.opens(own, &packet)?;
        let packet = play.knock_with(&mut ada, |knock| knock.allow = Some(right))?;
        play.send(other, &packet)?;
        play.scene.until_open(right, server_for(right), SSH)?;
        play.revoke()?;
    }
    Ok(())
}

fn once(stage: &Stage) -> Result {
    let (mut first, mut eve) = (Person::new("ada")?, Person::new("eve")?);
    let mut play = Play::begin(stage, DOOR, &[(&first, "once = true"), (&eve, "")])?;
    let mut second = Person { device: [7; 16], counter: 1000, ..first.clone() };
    // Who gets no further than to a refusal was not first.
    let packet = play.knock(&mut second, "nowhere")?;
    play.is_refused(CLIENT4, &packet, "unknown-door")?;
    let packet = play.knock_with(&mut first, |knock| knock.counter = 2000)?;
    play.opens(CLIENT4, &packet)?;
    first.counter = 2000;
    play.revoke()?;
    let refused = |play: &mut Play<'_>, second: &mut Person, last: u64| -> Result {
        let packet = play.knock_with(second, |knock| knock.counter = 3000 + last)?;
        play.is_refused(CLIENT4, &packet, "invitation-used").map(drop)
    };
    refused(&mut play, &mut second, 0)?;
    play.kill_watch(&mut eve, STRANGER4)?;
    refused(&mut play, &mut second, 1)?;
    for (last, signal) in (2..).zip([Signal::TERM, Signal::KILL]) {
        play.end(signal)?;
        play.start()?;
        refused(&mut play, &mut second, last)?;
    }
    let packet = play.knock_with(&mut first, |knock| knock.counter = 4000)?;
    play.opens(CLIENT4, &packet)
}

fn join_before(stage: &Stage) -> Result {
    const OVER: &str = "join-before = 2020-01-01T00:00:00Z";
    const TO_COME: &str = "join-before = 2999-01-01T00:00:00Z\nonce = true";
    let (mut ada, mut eve) = (Person::new("ada")?, Person::new("eve")?);
    let mut play = Play::begin(stage, DOOR, &[(&ada, OVER), (&eve, TO_COME)])?;
    let packet = play.knock(&mut ada, "ssh")?;
    play.is_refused(CLIENT4, &packet, "invitation-expired")?;
    let packet = play.knock(&mut eve, "ssh")?;
    play.opens(CLIENT4, &packet)?;
    // Who has joined stays, also when its time is over, and the daemon was started again since.
    play.end(Signal::KILL)?;
    eve.invite(stage, &format!("{OVER}\nonce = true"))?;
    play.start()?;
    play.revoke()?;
    let packet = play.knock(&mut eve, "ssh")?;
    play.opens(CLIENT4, &packet)
}

fn second_factor(stage: &Stage) -> Result {
    let with_factor = DOOR.replace("keys", "second-factor = \"totp\"\nkeys");
    let config = format!("{with_factor}[door.web]\nguard = [\"tcp/443\"]\nopen-for = \"600s\"\nkeys = [\"*\"]\n\n");
    let (mut ada, mut eve) = (Person::new("ada")?, Person::new("eve")?);
    let totp = format!("totp = \"{TOTP}\"");
    let mut play = Play::begin(stage, &config, &[(&ada, &totp), (&eve, "doors = [\"ssh\"]")])?;
    let code = |past: u64| -> Result<u32> { Ok(totp_code(TOTP_BYTES, now_ms()? / 1000 - past)) };
    let [right, hour_old] = [code(0)?, code(3600)?];
    let wrong = if hour_old == right { (right + 1) % 1_000_000 } else { hour_old };
    let mut with = |play: &Play<'_>, code| play.knock_with(&mut ada, |knock| knock.code = code);

    let packet = with(&play, None)?;
    play.is_refused(CLIENT4, &packet, "no-code")?;
    let packet = with(&play, Some(wrong))?;
    play.is_refused(CLIENT4, &packet, "wrong-code")?;
    // A key without a secret has no right code.
    let packet = play.knock_with(&mut eve, |knock| knock.code = Some(right))?;
    play.is_refused(CLIENT4, &packet, "wrong-code")?;
    let packet = with(&play, Some(code(0)?))?;
    play.opens(CLIENT4, &packet)?;
    play.revoke()?;
    // A clock may be half a minute late.
    let packet = with(&play, Some(code(30)?))?;
    play.opens(CLIENT4, &packet)?;
    play.revoke()?;
    // After five guesses none is right for a while, not even the right one.
    let before = play.count("wrong-code")?;
    for _ in 0..4 {
        let packet = with(&play, Some(wrong))?;
        play.send(STRANGER4, &packet)?;
    }
    until("the guesses are counted", || Ok(play.count("wrong-code")? == before + 4))?;
    let packet = with(&play, Some(code(0)?))?;
    play.is_refused(CLIENT4, &packet, "wrong-code")?;
    // Elsewhere a code is not asked for.
    let knock = ada.knock("web")?;
    let packet = play.seal(&ada, &knock)?;
    play.send(CLIENT4, &packet)?;
    play.scene.until_open(CLIENT4, SERVER4, Service::Tcp(443))?;
    let [(_, stranger, server), _] = FAMILIES;
    play.scene.is_closed(stranger, server, SSH)
}
