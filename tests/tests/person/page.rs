//! `klopf page`: the file makes tokens in a real browser, and cannot do anything else there.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Command, Output};

use klopf_spa::{Claim, Invitation, InvitedKey, Own, door_hash, open_token};
use klopf_tests::{Case, Need, Result, SERVER4, Stage, ensure, now_ms};
use klopf_wire::text;

use crate::device::{DOOR, Device, NEEDS, SERVER, Server};

const PASSPHRASE: &str = "correct horse battery";
const MAIL: &str = "knock+phone@host.test";
/// Another door, so that the page has to ask which one.
const OTHER: &str = "[door.web]\nguard = [\"tcp/80\"]\nopen-for = \"30s\"\n";

pub(crate) fn cases() -> Vec<Case> {
    let [a, b, c, d] = NEEDS;
    let needs = [a, b, c, d, Need::Program("chromium", "chromium"), Need::Program("node", "nodejs")];
    vec![
        Case::new("a_page_makes_tokens_in_a_browser", &needs, makes),
        Case::new("a_page_refuses_with_what_to_do", &needs, refuses),
        Case::new("a_page_can_reach_nobody", &needs, reaches),
    ]
}

/// Somebody with a page for both doors; their invitation, and the page.
fn paged<'a>(stage: &'a Stage) -> Result<(Device<'a>, Invitation, PathBuf)> {
    let server = Server::guarded(stage, &format!("{DOOR}{OTHER}"))?;
    let line = server.invite(&["phone", "--door", "ssh,web", "--endpoint", SERVER])?;
    let device = Device::new(stage, &stage.client, "phone", &format!("{SERVER4} {SERVER}"))?;
    device.join(&line)?;
    // As for a key of one device, with an address for mails.
    let profile = device.path(".config/klopf/profiles/phone.toml");
    let text = fs::read_to_string(&profile)?;
    let is_other = |line: &&str| !line.starts_with("mail ") && !line.starts_with("bound ");
    let others: Vec<&str> = text.lines().filter(is_other).collect();
    fs::write(&profile, format!("mail = \"{MAIL}\"\nbound = true\n{}\n", others.join("\n")))?;
    let passphrase = stage.write("passphrase", &format!("{PASSPHRASE}\n"))?;
    let page = device.says(&["page", "phone", "--passphrase-file", &passphrase.display().to_string()])?;
    let invitation = Invitation::parse(&line).map_err(|error| error.to_string())?;
    Ok((device, invitation, stage.write("knock.html", &page)?))
}

/// A script of `tests/chromium`, on the device.
fn script(device: &Device<'_>, name: &str) -> Command {
    let mut command = device.command("node");
    command.arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("chromium").join(name));
    command
}

fn driven(device: &Device<'_>, page: &PathBuf, passphrase: &str, rest: &[&str]) -> Result<Output> {
    let mut command = script(device, "drive.mjs");
    Ok(command.arg(page).args(["--passphrase", passphrase]).args(rest).output()?)
}

fn makes(stage: &Stage) -> Result {
    let (device, invitation, page) = paged(stage)?;
    let InvitedKey::Made(seed) = &invitation.key else { return Err("the invitation has no key".into()) };
    let profile = fs::read_to_string(device.path(".config/klopf/profiles/phone.toml"))?;
    let number =
        profile.lines().find_map(|line| line.strip_prefix("device = \"")).ok_or("the profile names no device")?;
    let number = u128::from_str_radix(number.trim_end_matches('"'), 16)?.to_be_bytes();
    let (id, own) = (seed.public().id(), Own::bound(&invitation.psk, number));
    for (address, door, minutes, language) in
        [("203.0.113.7", "ssh", "0", "en-GB"), ("2001:db8::7", "web", "60", "de-DE")]
    {
        let before = now_ms()?;
        let rest = ["--address", address, "--door", door, "--minutes", minutes, "--language", language];
        let done = driven(&device, &page, &format!("  {PASSPHRASE} "), &rest)?;
        ensure!(done.status.success(), "{done:?}");
        let link = String::from_utf8(done.stderr.clone())?;
        ensure!(link.starts_with(&format!("mailto:{MAIL}?")), "the link is {link}");
        let token = text::read(std::str::from_utf8(&done.stdout)?).ok_or_else(|| format!("no token: {done:?}"))?.body;
        let claim = open_token(&invitation.server, id, &own, &token).ok_or("the token does not open")?;
        ensure!((before..=now_ms()?).contains(&claim.counter), "its counter is {}", claim.counter);
        let address: IpAddr = address.parse()?;
        let time = u32::try_from(claim.counter / 1000)?;
        let expected = Claim { address, door: door_hash(door), time, counter: claim.counter, hold: minutes.parse()? };
        ensure!(claim == expected, "{claim:?}");
    }
    Ok(())
}

fn refuses(stage: &Stage) -> Result {
    let (device, _, page) = paged(stage)?;
    for (passphrase, address, language, expected) in [
        ("Correct horse battery", "203.0.113.7", "en-GB", "This is not the passphrase"),
        ("", "203.0.113.7", "de-DE", "Hier gehört die Passphrase hin"),
        (PASSPHRASE, "203.0.113", "en-GB", "This is no address"),
        (PASSPHRASE, "127.0.0.1", "de-DE", "Diese Adresse lässt kein Server ein"),
    ] {
        let done = driven(&device, &page, passphrase, &["--address", address, "--language", language])?;
        let said = String::from_utf8(done.stderr)?;
        ensure!(done.status.code() == Some(1) && said.contains(expected), "{address}: {said}");
        ensure!(done.stdout.is_empty(), "it made a token: {:?}", done.stdout);
    }
    Ok(())
}

fn reaches(stage: &Stage) -> Result {
    let (device, _, page) = paged(stage)?;
    let done = script(&device, "forbidden.mjs").arg(page).output()?;
    ensure!(done.status.success(), "{done:?}");
    Ok(())
}
