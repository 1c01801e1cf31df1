//! Leases: as long as they should last, and no connection is cut by their end.

use std::time::{Duration, Instant};

use klopf_tests::{Answer, CLIENT4, Case, Result, SERVER4, Service, Stage, ensure, until};

use crate::scene::{FAMILIES, NEEDS, SSH, STRANGER4, Scene, door, tells, text, time, within};

const FLOW: Service = Service::Udp(5000);

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("knocking_again_renews_the_lease_and_adds_nothing", &NEEDS, renewed),
        Case::new("a_lease_ends_on_time_and_what_is_up_stays_up", &NEEDS, established),
        Case::new("leases_end_on_time_with_the_daemon_dead", &NEEDS, daemon_dead),
        Case::new("max_leases_caps_a_door_and_lets_holders_renew", &NEEDS, capped),
        Case::new("extend_while_connected_renews_until_the_connection_closes", &NEEDS, extended),
        Case::new("close_on_disconnect_ends_the_lease_with_the_last_connection", &NEEDS, disconnected),
        Case::new("commands_of_a_guarded_door_run_at_both_ends_of_a_lease", &NEEDS, commands),
    ]
}

fn renewed(stage: &Stage) -> Result {
    const LEASE: Duration = Duration::from_secs(4);
    let (mut scene, _klopfd) =
        Scene::guarded(stage, &door("ssh", "guard = [\"tcp/22\", \"udp/5000\"]\nopen-for = \"4s\""))?;
    scene.enter(CLIENT4, SSH)?;
    let elements = scene.leases_in_kernel()?;
    ensure!(elements > 0, "no lease in the kernel:\n{:?}", scene.table()?);
    let status = scene.until_status("half of the lease has passed", |status| {
        status.lease(CLIENT4).is_ok_and(|lease| time(lease, "left-ms").is_ok_and(|left| left < LEASE / 2))
    })?;
    let before = time(status.lease(CLIENT4)?, "left-ms")?;
    let again = Instant::now();
    scene.knock(CLIENT4)?;
    let status = scene.until_status("the lease is renewed", |status| {
        status.lease(CLIENT4).is_ok_and(|lease| time(lease, "left-ms").is_ok_and(|left| left > before))
    })?;
    ensure!(status.leases() == 1, "leases: {}", status.0);
    ensure!(scene.leases_in_kernel()? == elements, "{elements} elements, and now:\n{:?}", scene.table()?);
    // The kernel's clock counts, and not what the daemon believes.
    until("the first lease would be over", || Ok(again.elapsed() > before + Duration::from_millis(500)))?;
    scene.is_open(CLIENT4, SERVER4, SSH)?;
    scene.is_open(CLIENT4, SERVER4, FLOW)?;
    scene.until_closed(CLIENT4, SERVER4, SSH)?;
    within(LEASE - Duration::from_millis(100), LEASE + Duration::from_secs(3), again, "the renewed lease")?;
    ensure!(scene.leases_in_kernel()? == 0, "left over:\n{:?}", scene.table()?);
    ensure!(scene.status()?.leases() == 0, "status: {}", scene.status()?.0);
    Ok(())
}

fn established(stage: &Stage) -> Result {
    let lines = "guard = [\"tcp/22\", \"udp/5000\"]\nopen-for = \"2s\"";
    let (mut scene, _klopfd) = Scene::guarded(stage, &door("ssh", lines))?;
    for (friend, _, server) in FAMILIES {
        let begun = Instant::now();
        scene.enter(friend, SSH)?;
        scene.peer.hold("ssh", friend, server, SSH)?;
        scene.peer.hold("flow", friend, server, FLOW)?;
        scene.until_closed(friend, server, SSH)?;
        within(Duration::from_millis(1900), Duration::from_secs(6), begun, "the lease")?;
        scene.is_closed(friend, server, FLOW)?;
        for name in ["ssh", "flow"] {
            let answer = scene.peer.says(name)?;
            ensure!(answer == Answer::Open, "{name} of {friend} is cut: {answer:?}");
        }
    }
    Ok(())
}

fn daemon_dead(stage: &Stage) -> Result {
    let lines = "guard = [\"tcp/22\", \"udp/5000\"]\nopen-for = \"3s\"";
    let (mut scene, klopfd) = Scene::guarded(stage, &door("ssh", lines))?;
    let begun = Instant::now();
    for (friend, _, _) in FAMILIES {
        scene.enter(friend, SSH)?;
    }
    klopfd.murder()?;
    for (friend, stranger, server) in FAMILIES {
        scene.is_open(friend, server, SSH)?;
        scene.is_closed(stranger, server, SSH)?;
    }
    for (friend, _, server) in FAMILIES {
        scene.until_closed(friend, server, SSH)?;
        scene.until_closed(friend, server, FLOW)?;
    }
    within(Duration::from_millis(2900), Duration::from_secs(7), begun, "the leases")?;
    ensure!(scene.leases_in_kernel()? == 0, "left over:\n{:?}", scene.table()?);
    Ok(())
}

fn capped(stage: &Stage) -> Result {
    let lines = "guard = [\"tcp/22\"]\nopen-for = \"600s\"\nmax-leases = 2";
    let (mut scene, mut klopfd) = Scene::guarded(stage, &door("ssh", lines))?;
    let [(friend, stranger, server), (friend6, _, server6)] = FAMILIES;
    scene.enter(friend, SSH)?;
    scene.enter(friend6, SSH)?;
    scene.knock(stranger)?;
    let status = scene.until_status("the third knock is refused", |status| !status.list("refusals").is_empty())?;
    let refusal = status.list("refusals").first().ok_or("no refusal")?;
    ensure!(text(refusal, "door") == "ssh" && text(refusal, "origin") == stranger.to_string(), "refused: {refusal}");
    scene.is_closed(stranger, server, SSH)?;
    klopfd.until("the log says why", |log| tells(log, &["10.99.0.3", "lease"]))?;
    // Who has a lease is not shut out by the cap.
    let status = scene.status()?;
    let opened = time(status.lease(friend)?, "left-ms")?;
    scene.knock(friend)?;
    scene.until_status("a holder renews", |status| {
        status.lease(friend).is_ok_and(|lease| time(lease, "left-ms").is_ok_and(|left| left > opened))
    })?;
    scene.says(&["revoke", &friend6.to_string()])?;
    scene.is_closed(friend6, server6, SSH)?;
    scene.enter(stranger, SSH)
}

fn extended(stage: &Stage) -> Result {
    const LEASE: Duration = Duration::from_secs(2);
    let lines = "guard = [\"tcp/22\"]\nopen-for = \"2s\"\nextend-while-connected = true";
    let (mut scene, _klopfd) = Scene::guarded(stage, &door("ssh", lines))?;
    for (friend, stranger, server) in FAMILIES {
        scene.enter(friend, SSH)?;
        scene.peer.hold("ssh", friend, server, SSH)?;
        let begun = Instant::now();
        // All the time, without a gap.
        until("more than two leases have passed", || {
            scene.is_open(friend, server, SSH)?;
            Ok(begun.elapsed() > LEASE * 2 + LEASE / 2)
        })?;
        scene.is_closed(stranger, server, SSH)?;
        scene.peer.close("ssh")?;
        let closed = Instant::now();
        scene.until_status("the lease ends", |status| status.leases() == 0)?;
        scene.is_closed(friend, server, SSH)?;
        within(Duration::ZERO, LEASE + Duration::from_secs(4), closed, "the end after the connection")?;
    }
    Ok(())
}

fn disconnected(stage: &Stage) -> Result {
    let lines = "guard = [\"tcp/22\"]\nopen-for = \"600s\"\nclose-on-disconnect = true";
    let (mut scene, mut klopfd) = Scene::guarded(stage, &door("ssh", lines))?;
    for (friend, stranger, server) in FAMILIES {
        scene.knock(friend)?;
        scene.until_status("a lease", |status| status.leases() == 1)?;
        scene.peer.hold("first", friend, server, SSH)?;
        scene.peer.hold("second", friend, server, SSH)?;
        scene.peer.close("first")?;
        // One is up, so the lease stays; looked at for longer than the daemon may take to notice.
        let begun = Instant::now();
        until("a while with one connection", || {
            ensure!(scene.status()?.leases() == 1, "the lease has ended with a connection up");
            Ok(begun.elapsed() > Duration::from_secs(2))
        })?;
        scene.is_open(friend, server, SSH)?;
        scene.peer.close("second")?;
        let closed = Instant::now();
        // Not by trying to connect, which would make connections.
        scene.until_status("the lease ends", |status| status.leases() == 0)?;
        within(Duration::ZERO, Duration::from_secs(5), closed, "the end after the last connection")?;
        scene.is_closed(friend, server, SSH)?;
        scene.is_closed(stranger, server, SSH)?;
    }
    klopfd.until("the log says it", |log| tells(log, &["ssh", "10.99.0.2", "connection"]))
}

fn commands(stage: &Stage) -> Result {
    let note = stage.note()?;
    let lines = format!(
        "guard = [\"tcp/22\"]\nopen-for = \"2s\"\n\
         on-open = [{note:?}, \"open\", \"{{ip}}\"]\non-close = [{note:?}, \"close\", \"{{ip}}\"]"
    );
    let (mut scene, _klopfd) = Scene::guarded(stage, &door("ssh", &lines))?;
    scene.enter(CLIENT4, SSH)?;
    stage.until_noted(&format!("open {CLIENT4}"), 1)?;
    // Only a renewal.
    scene.knock(CLIENT4)?;
    scene.until_closed(CLIENT4, SERVER4, SSH)?;
    stage.until_noted(&format!("close {CLIENT4}"), 1)?;
    scene.is_closed(STRANGER4, SERVER4, SSH)?;
    ensure!(stage.notes().len() == 2, "noted: {:?}", stage.notes());
    Ok(())
}
