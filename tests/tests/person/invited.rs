//! Invitations: what they are worth, to whom, and how often.

use klopf_tests::{Case, Result, SERVER4, Stage, ensure};

use crate::device::{DOOR, Device, NEEDS, SERVER, Server};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("an_invitation_is_for_the_first_device_alone", &NEEDS, once),
        Case::new("a_key_made_on_the_client_never_leaves_it", &NEEDS, own_key),
        Case::new("a_key_that_is_taken_away_opens_nothing", &NEEDS, taken_away),
        Case::new("broken_invitations_store_nothing", &NEEDS, broken),
        Case::new("a_profile_that_others_can_read_is_refused", &NEEDS, exposed),
    ]
}

fn hosts() -> String {
    format!("{SERVER4} {SERVER}")
}

fn opens(device: &Device<'_>, profile: &str) -> Result {
    device.says(&["open", profile, "--wait", "tcp/22", "--timeout", "10s"]).map(drop)
}

fn does_not_open(device: &Device<'_>, profile: &str) -> Result<String> {
    device.ends(&["open", profile, "--wait", "tcp/22", "--timeout", "1s"], 69)
}

fn once(stage: &Stage) -> Result {
    let server = Server::guarded(stage, DOOR)?;
    let line = server.invite(&["laptop", "--door", "ssh", "--endpoint", SERVER])?;
    let (first, second) =
        (Device::new(stage, &stage.client, "first", &hosts())?, Device::new(stage, &stage.client, "second", &hosts())?);
    first.join(&line)?;
    opens(&first, "laptop")?;
    server.close()?;
    second.join(&line)?;
    does_not_open(&second, "laptop")?;
    let status = server.says(&["status"])?;
    ensure!(status.contains("invitation-used"), "status:\n{status}");
    opens(&first, "laptop")
}

fn own_key(stage: &Stage) -> Result {
    let server = Server::guarded(stage, DOOR)?;
    let device = Device::new(stage, &stage.client, "laptop", &hosts())?;
    let public = device.says(&["keygen"])?;
    let public = public.trim();
    ensure!(public.len() == 86, "keygen printed {public:?}");
    let line = server.invite(&["laptop", "--door", "ssh", "--endpoint", SERVER, "--public", public])?;
    let thief = Device::new(stage, &stage.client, "thief", &hosts())?;
    ensure!(!thief.klopf(&["join", &line])?.output()?.status.success(), "a line without a key is joined elsewhere");
    device.join(&line)?;
    opens(&device, "laptop")
}

fn taken_away(stage: &Stage) -> Result {
    let server = Server::guarded(stage, DOOR)?;
    let line = server.invite(&["laptop", "--door", "ssh", "--endpoint", SERVER])?;
    let device = Device::new(stage, &stage.client, "laptop", &hosts())?;
    device.join(&line)?;
    opens(&device, "laptop")?;
    server.close()?;
    std::fs::remove_file(stage.path("keys.d").join("laptop.toml"))?;
    server.says(&["reload"])?;
    does_not_open(&device, "laptop")?;
    let status = server.says(&["status"])?;
    ensure!(status.contains("unknown-key") || status.contains("no key"), "status:\n{status}");
    Ok(())
}

fn broken(stage: &Stage) -> Result {
    let server = Server::guarded(stage, DOOR)?;
    let line = server.invite(&["laptop", "--door", "ssh", "--endpoint", SERVER])?;
    let device = Device::new(stage, &stage.client, "laptop", &hosts())?;
    let changed = line.replacen(&line[20..24], "AAAA", 1);
    for wrong in ["", "klopf:", "hello", &line[..line.len() - 1], &changed, &line[1..]] {
        let done = device.klopf(&["join", wrong])?.output()?;
        ensure!(!done.status.success(), "{wrong:?} was joined");
    }
    let profiles = device.says(&["profiles"])?;
    ensure!(profiles.starts_with("There are no profiles"), "something was stored:\n{profiles}");
    device.join(&line)?;
    ensure!(device.says(&["profiles"])?.contains("laptop"), "nothing was stored");
    Ok(())
}

fn exposed(stage: &Stage) -> Result {
    let server = Server::guarded(stage, DOOR)?;
    let line = server.invite(&["laptop", "--door", "ssh", "--endpoint", SERVER])?;
    let device = Device::new(stage, &stage.client, "laptop", &hosts())?;
    device.join(&line)?;
    let file = device.path(".config/klopf/profiles/laptop.toml");
    let file = file.display().to_string();
    device.host.run("chmod", &["644", &file])?;
    let said = device.ends(&["open", "laptop"], 77)?;
    ensure!(said.contains("chmod 600") && said.contains(&file), "it said:\n{said}");
    device.host.run("chmod", &["600", &file])?;
    opens(&device, "laptop")
}
