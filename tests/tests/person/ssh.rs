//! OpenSSH through a door, by an invitation and `ssh-config`, with nobody thinking of knocking.

use std::time::Duration;

use klopf_tests::{CLIENT4, Case, Host, Result, SERVER4, SERVER6, Stage, ensure};

use crate::device::{DOOR, Device, NEEDS, SERVER, Server, said};

pub(crate) fn cases() -> Vec<Case> {
    let to = |address: std::net::IpAddr| format!("{address} {SERVER}");
    vec![
        Case::new("an_invitation_joined_and_ssh_works_the_first_time", &NEEDS, move |stage| first(stage, &to(SERVER4))),
        Case::new("an_invitation_joined_and_ssh_works_the_first_time_ipv6", &NEEDS, move |stage| {
            first(stage, &to(SERVER6))
        }),
        Case::new("with_both_families_ssh_works_the_first_time", &NEEDS, move |stage| {
            first(stage, &format!("{}\n{}", to(SERVER6), to(SERVER4)))
        }),
        Case::new("ssh_works_a_thousand_times_in_a_row_each_time_from_a_closed_door", &NEEDS, move |stage| {
            many(stage, &format!("{}\n{}", to(SERVER6), to(SERVER4)), 1000)
        })
        .lasting(Duration::from_secs(900)),
        Case::new("behind_address_translation_the_observed_address_is_let_in", &NEEDS, |stage| {
            behind(stage, "observed")
        }),
        Case::new("behind_address_translation_an_address_can_be_named", &NEEDS, |stage| {
            behind(stage, &CLIENT4.to_string())
        }),
        Case::new("scp_copies_and_a_large_stream_comes_through_whole", &NEEDS, copies),
    ]
}

fn scene<'a>(stage: &'a Stage, host: &'a Host, hosts: &str) -> Result<(Server<'a>, Device<'a>)> {
    let server = Server::guarded(stage, DOOR)?;
    let line = server.invite(&["laptop", "--door", "ssh", "--endpoint", SERVER])?;
    let device = Device::new(stage, host, "laptop", hosts)?;
    device.join(&line)?;
    device.configure_ssh(&server.sshd, "laptop")?;
    Ok((server, device))
}

fn works(device: &Device<'_>) -> Result {
    let told = device.runs(device.ssh("ssh", &[SERVER, "echo", "inside"]))?;
    ensure!(told.trim() == "inside", "ssh printed {told:?}");
    Ok(())
}

fn first(stage: &Stage, hosts: &str) -> Result {
    let (server, device) = scene(stage, &stage.client, hosts)?;
    // Without it the door is shut.
    let mut plain = device.ssh("ssh", &["-oProxyCommand=none", "-oConnectTimeout=1", SERVER, "true"]);
    ensure!(!plain.output()?.status.success(), "ssh without a knock is let in");
    works(&device)?;
    let status = server.says(&["status"])?;
    ensure!(status.contains("laptop"), "status:\n{status}");
    let own = device.says(&["status"])?;
    ensure!(own.contains("ssh"), "the person's status:\n{own}");
    Ok(())
}

fn many(stage: &Stage, hosts: &str, times: usize) -> Result {
    let (server, device) = scene(stage, &stage.client, hosts)?;
    let mut slow = 0;
    for time in 1..=times {
        let begun = std::time::Instant::now();
        let done = device.ssh("ssh", &[SERVER, "true"]).output()?;
        ensure!(done.status.success(), "time {time}: {}\n{}", done.status, said(&done));
        slow += usize::from(begun.elapsed() > Duration::from_secs(3));
        server.close()?;
    }
    // A first SYN that is lost costs a second or more.
    ensure!(slow <= times / 100, "{slow} of {times} took more than 3 s");
    Ok(())
}

fn behind(stage: &Stage, allow: &str) -> Result {
    let inside = stage.inside()?;
    let server = Server::guarded(stage, DOOR)?;
    let line = server.invite(&["laptop", "--door", "ssh", "--endpoint", &SERVER4.to_string()])?;
    let device = Device::new(stage, &inside, "laptop", "")?;
    device.join(&line)?;
    device.configure_ssh(&server.sshd, "laptop")?;
    device.says(&["open", "laptop/ssh", "--allow", allow, "--wait", "tcp/22"])?;
    let told = device.runs(device.ssh("ssh", &["-oProxyCommand=none", &SERVER4.to_string(), "echo", "inside"]))?;
    ensure!(told.trim() == "inside", "ssh printed {told:?}");
    let status = server.says(&["status"])?;
    ensure!(status.contains(&CLIENT4.to_string()), "status:\n{status}");
    Ok(())
}

fn copies(stage: &Stage) -> Result {
    let (_server, device) = scene(stage, &stage.client, &format!("{SERVER4} {SERVER}"))?;
    let file = device.path("sent");
    let bytes: Vec<u8> = (0..20_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect();
    std::fs::write(&file, &bytes)?;
    let (to, back) = (stage.path("received"), device.path("back"));
    let remote = format!("{SERVER}:{}", to.display());
    device.runs(device.ssh("scp", &[&file.display().to_string(), &remote]))?;
    device.runs(device.ssh("scp", &[&remote, &back.display().to_string()]))?;
    ensure!(std::fs::read(&to)? == bytes && std::fs::read(&back)? == bytes, "what arrived is not what was sent");
    Ok(())
}
