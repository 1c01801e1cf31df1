//! `klopf status`, `klopf grant` and `klopf revoke`.

use std::time::{Duration, Instant};

use klopf_tests::{Answer, CLIENT4, CLIENT6, Case, Result, SERVER4, SERVER6, Stage, ensure, until};
use serde_json::Value;

use crate::scene::{FAMILIES, NEEDS, PORTS, SSH, STRANGER4, Scene, Status, door, door_of, text, time, within};

const OTHER: [u16; 3] = [5001, 5003, 5002];

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("status_tells_doors_and_leases", &NEEDS, status),
        Case::new("status_tells_why_a_knock_was_refused", &NEEDS, refusals),
        Case::new("grant_opens_by_hand_for_the_time_asked", &NEEDS, grant),
        Case::new("grant_of_an_unknown_door_says_which_there_are", &NEEDS, unknown),
        Case::new("revoke_ends_leases_at_once_by_address_or_door", &NEEDS, revoke),
        Case::new("revoke_cut_ends_connections_too", &NEEDS, cut),
    ]
}

fn doors() -> String {
    let ssh = "guard = [\"tcp/22\"]\nopen-for = \"600s\"\nmax-leases = 50";
    let web = "guard = [\"tcp/443\", \"udp/60000-61000\"]\nopen-for = \"300s\"\nclosed = \"reject\"\n\
               if-klopfd-dies = \"open\"";
    [door("ssh", ssh), door_of("web", &OTHER, web)].concat()
}

fn status(stage: &Stage) -> Result {
    let (mut scene, klopfd) = Scene::guarded(stage, &doors())?;
    scene.enter(CLIENT4, SSH)?;
    scene.peer.hold("ssh", CLIENT4, SERVER4, SSH)?;
    scene.wire.knock(CLIENT6, SERVER6, &OTHER)?;
    let status = scene.until_status("two leases", |status| status.leases() == 2)?;
    ensure!(status.guards() == "guarded" && status.text("table") == "owned", "status: {}", status.0);
    ensure!(status.0.get("pid").and_then(Value::as_u64) == Some(klopfd.pid().into()), "pid: {}", status.0);
    let [ssh, web] = status.list("doors") else { return Err(format!("doors: {}", status.0).into()) };
    let wanted = serde_json::json!({
        "name": "web", "guard": ["tcp/443", "udp/60000-61000"], "closed": "reject", "if-klopfd-dies": "open",
        "guarded": true, "leases": 1, "max-leases": null, "sequence-length": 3,
    });
    ensure!(*web == wanted, "{web} is not {wanted}");
    ensure!(text(ssh, "closed") == "drop" && text(ssh, "if-klopfd-dies") == "stay-closed", "ssh: {ssh}");
    ensure!(ssh.get("max-leases").and_then(Value::as_u64) == Some(50), "ssh: {ssh}");
    for (address, name, whole) in [(CLIENT4, "ssh", 600), (CLIENT6, "web", 300)] {
        let lease = status.lease(address)?;
        ensure!(text(lease, "door") == name && text(lease, "by") == "sequence", "lease: {lease}");
        ensure!(text(lease, "origin") == address.to_string(), "lease: {lease}");
        let left = time(lease, "left-ms")?;
        let whole = Duration::from_secs(whole);
        ensure!(left <= whole && left > whole - Duration::from_secs(30), "left: {lease}");
        ensure!(time(lease, "opened-ms-ago")? < Duration::from_secs(30), "opened: {lease}");
    }
    scene.until_status("the connection is counted", |status| {
        status.lease(CLIENT4).is_ok_and(|lease| lease.get("connections").and_then(Value::as_u64) == Some(1))
    })?;
    // For a person.
    let said = scene.says(&["status"])?;
    for word in ["ssh", "web", "tcp/22", "udp/60000-61000", "10.99.0.2", "fd00:99::2"] {
        ensure!(said.contains(word), "nothing of {word} in\n{said}");
    }
    klopfd.murder()?;
    let said = scene.ends(&["status"], 69)?;
    ensure!(said.contains("kernel"), "it does not say that guards and leases are in the kernel still:\n{said}");
    Ok(())
}

fn refusals(stage: &Stage) -> Result {
    let (mut scene, _klopfd) = Scene::guarded(stage, &door("ssh", "guard = [\"tcp/22\"]"))?;
    let [first, second, _] = PORTS;
    scene.wire.knock(STRANGER4, SERVER4, &[first, second, 7])?;
    let status = scene.until_status("a refusal", |status| !status.list("refusals").is_empty())?;
    let refusal = status.list("refusals").first().ok_or("no refusal")?;
    ensure!(text(refusal, "door") == "ssh" && text(refusal, "origin") == "10.99.0.3", "refused: {refusal}");
    ensure!(!text(refusal, "why").is_empty() && !text(refusal, "text").is_empty(), "refused: {refusal}");
    let said = scene.says(&["status"])?;
    ensure!(said.contains("10.99.0.3") && said.contains(text(refusal, "text")), "it does not say so:\n{said}");
    scene.is_closed(STRANGER4, SERVER4, SSH)
}

fn grant(stage: &Stage) -> Result {
    let (mut scene, _klopfd) = Scene::guarded(stage, &doors())?;
    for (friend, stranger, server) in FAMILIES {
        let begun = Instant::now();
        scene.says(&["grant", "ssh", &friend.to_string(), "--for", "2s"])?;
        scene.is_open(friend, server, SSH)?;
        scene.is_closed(stranger, server, SSH)?;
        let status = scene.status()?;
        ensure!(text(status.lease(friend)?, "by") == "hand", "status: {}", status.0);
        scene.until_closed(friend, server, SSH)?;
        within(Duration::from_millis(1900), Duration::from_secs(8), begun, "the lease")?;
    }
    // Without a time, the door's own.
    scene.says(&["grant", "ssh", "10.99.0.2"])?;
    let status = scene.status()?;
    let left = time(status.lease(CLIENT4)?, "left-ms")?;
    ensure!(left > Duration::from_secs(560), "left: {left:?}");
    scene.is_open(CLIENT4, SERVER4, SSH)
}

fn unknown(stage: &Stage) -> Result {
    let (scene, _klopfd) = Scene::guarded(stage, &doors())?;
    let done = scene.klopf(&["grant", "shh", "10.99.0.2"])?.output()?;
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    ensure!(!done.status.success(), "a door that is not there was opened");
    ensure!(said.contains("shh") && said.contains("ssh"), "it does not say what there is:\n{said}");
    ensure!(scene.status()?.leases() == 0, "status: {}", scene.status()?.0);
    Ok(())
}

fn revoke(stage: &Stage) -> Result {
    let (mut scene, _klopfd) = Scene::guarded(stage, &doors())?;
    let here = |status: &Status| -> Vec<String> {
        status
            .list("leases")
            .iter()
            .map(|lease| format!("{} {}", text(lease, "door"), text(lease, "address")))
            .collect()
    };
    let all = ["ssh 10.99.0.2", "ssh 10.99.0.3", "web 10.99.0.2", "web fd00:99::2"];
    for line in all {
        let (door, address) = line.split_once(' ').ok_or("not two words")?;
        scene.says(&["grant", door, address])?;
    }
    let sorted = |scene: &Scene<'_>| -> Result<Vec<String>> {
        let mut list = here(&scene.status()?);
        list.sort();
        Ok(list)
    };
    ensure!(sorted(&scene)? == all, "leases: {:?}", sorted(&scene)?);
    scene.peer.hold("up", CLIENT4, SERVER4, SSH)?;
    scene.says(&["revoke", "10.99.0.2"])?;
    ensure!(sorted(&scene)? == ["ssh 10.99.0.3", "web fd00:99::2"], "leases: {:?}", sorted(&scene)?);
    scene.is_closed(CLIENT4, SERVER4, SSH)?;
    scene.is_open(STRANGER4, SERVER4, SSH)?;
    scene.says(&["revoke", "web"])?;
    ensure!(sorted(&scene)? == ["ssh 10.99.0.3"], "leases: {:?}", sorted(&scene)?);
    scene.says(&["revoke", "ssh"])?;
    ensure!(sorted(&scene)?.is_empty() && scene.leases_in_kernel()? == 0, "leases: {:?}", scene.table()?);
    scene.is_closed(STRANGER4, SERVER4, SSH)?;
    let answer = scene.peer.says("up")?;
    ensure!(answer == Answer::Open, "the connection is cut: {answer:?}");
    // Nothing to end is said, and no success.
    let done = scene.klopf(&["revoke", "10.99.0.77"])?.output()?;
    ensure!(!done.stderr.is_empty() || !done.stdout.is_empty(), "nothing is said: {done:?}");
    Ok(())
}

fn cut(stage: &Stage) -> Result {
    let (mut scene, _klopfd) = Scene::guarded(stage, &doors())?;
    for address in [CLIENT4, STRANGER4] {
        scene.says(&["grant", "ssh", &address.to_string()])?;
    }
    scene.peer.hold("mine", CLIENT4, SERVER4, SSH)?;
    scene.peer.hold("other", STRANGER4, SERVER4, SSH)?;
    scene.says(&["revoke", "10.99.0.2", "--cut"])?;
    until("the connection is cut", || Ok(scene.peer.mutters("mine")? != Answer::Open))?;
    let answer = scene.peer.says("other")?;
    ensure!(answer == Answer::Open, "another one's connection is cut: {answer:?}");
    scene.is_closed(CLIENT4, SERVER4, SSH)
}
