//! Services that are not on this host: published, forwarded, or only behind it.

use klopf_tests::{
    Answer, CLIENT4, Capture, Case, Daemon, Host, Need, Result, Running, SERVER4, Service, Stage, THIRD4, THIRD6,
    ensure, packet, serve, until,
};

use crate::scene::{FAMILIES, NEEDS, PORTS, SSH, STRANGER4, Scene, door, door_of};

const OTHER: [u16; 3] = [5001, 5003, 5002];
/// Served by the host behind alone.
const BEHIND: u16 = 2022;
/// Served, and not guarded.
const SERVED: Service = Service::Udp(443);
/// Published as a port of the server.
const PUBLISHED: Service = Service::Tcp(8022);
/// As container engines do it.
const PUBLISH: &str = "table inet engine { chain prerouting { type nat hook prerouting priority dstnat; \
    meta nfproto ipv4 fib daddr type local tcp dport 8022 dnat ip to 10.98.0.2:2022; \
    meta nfproto ipv6 fib daddr type local tcp dport 8022 dnat ip6 to [fd00:98::2]:2022; }; }";

pub(crate) fn cases() -> Vec<Case> {
    let broadcast_needs: Vec<Need> = NEEDS.into_iter().chain(Capture::NEEDS).collect();
    vec![
        Case::new("a_published_service_is_guarded_by_the_same_rule", &NEEDS, published),
        Case::new("broadcasts_do_not_pass_a_guard", &broadcast_needs, broadcasts),
        Case::new("an_earlier_translation_is_no_way_past_a_guard", &NEEDS, translated_early),
        Case::new("what_only_passes_through_is_left_alone", &NEEDS, transit),
        Case::new("forward_leads_a_lease_to_a_host_behind_and_goes_with_it", &NEEDS, forwarded),
        Case::new("forward_without_a_port_keeps_the_port", &NEEDS, forwarded_same),
        Case::new("a_lease_leads_behind_again_when_the_table_is_lost_while_klopfd_is_down", &NEEDS, forwarded_anew),
    ]
}

fn behind(stage: &Stage) -> Result<(Host, Running)> {
    let third = stage.third()?;
    let services = serve(env!("CARGO_BIN_EXE_peer"), &third, &stage.path("behind.out"), &[22, BEHIND])?;
    Ok((third, services))
}

fn published(stage: &Stage) -> Result {
    let mut scene = Scene::set(stage, &door("git", "guard = [\"tcp/8022\"]\nopen-for = \"2s\""))?;
    let _behind = behind(stage)?;
    stage.server.run("nft", &[PUBLISH])?;
    for (friend, _, server) in FAMILIES {
        scene.is_open(friend, server, PUBLISHED)?;
    }
    let _klopfd = Daemon::Klopfd.start(stage)?;
    for (friend, stranger, server) in FAMILIES {
        scene.is_closed(friend, server, PUBLISHED)?;
        scene.enter(friend, PUBLISHED)?;
        scene.is_closed(stranger, server, PUBLISHED)?;
        scene.peer.hold("up", friend, server, PUBLISHED)?;
        scene.until_closed(friend, server, PUBLISHED)?;
        let answer = scene.peer.says("up")?;
        ensure!(answer == Answer::Open, "the connection of {friend} is cut: {answer:?}");
    }
    Ok(())
}

/// Datagrams to all are for this host, too.
fn broadcasts(stage: &Stage) -> Result {
    let (mut scene, _klopfd) = Scene::guarded(stage, &door("ssh", "guard = [\"udp/5000\"]\nopen-for = \"600s\""))?;
    // So that the neighbour is known before anything is answered.
    scene.is_open(STRANGER4, SERVER4, SERVED)?;
    let mut capture = Capture::at(stage, &stage.client, "src host 10.99.0.1 and udp")?;
    let mut answered = |scene: &mut Scene<'_>, end: &[u8]| -> Result<bool> {
        for to in ["10.99.0.255", "255.255.255.255"] {
            scene.wire.packet(&packet::datagram(STRANGER4, to.parse()?, 5000, b"probe"))?;
        }
        scene.wire.packet(&packet::datagram(STRANGER4, SERVER4, 443, end))?;
        let packets = capture.until("the echo", |packets| packets.iter().any(|packet| packet.ends_with(end)))?;
        Ok(packets.iter().any(|packet| packet.ends_with(b"probe")))
    };
    ensure!(!answered(&mut scene, b"first")?, "a broadcast to a guarded port is answered");
    scene.says(&["unlock"])?;
    ensure!(answered(&mut scene, b"second")?, "the service answers no broadcast, so nothing was tested");
    Ok(())
}

/// Another program sends the guarded port elsewhere before anybody else translates.
fn translated_early(stage: &Stage) -> Result {
    let early =
        "table ip early { chain c { type nat hook prerouting priority -150; tcp dport 22 redirect to :443; }; }";
    stage.server.run("nft", &[early])?;
    let lines =
        |closed: &str| door("ssh", &format!("guard = [\"tcp/22\"]\nopen-for = \"600s\"\nclosed = \"{closed}\""));
    let (mut scene, klopfd) = Scene::guarded(stage, &lines("drop"))?;
    scene.is_closed(STRANGER4, SERVER4, SSH)?;
    scene.configure(&lines("reject"))?;
    scene.says(&["reload"])?;
    let answer = scene.peer.meets(STRANGER4, SERVER4, SSH)?;
    ensure!(answer == Answer::Refused, "a stranger gets {answer:?}");
    scene.enter(CLIENT4, SSH)?;
    klopfd.terminate().map(drop)
}

fn transit(stage: &Stage) -> Result {
    let (mut scene, _klopfd) =
        Scene::guarded(stage, &door("ssh", "guard = [\"tcp/22\", \"udp/22\"]\nopen-for = \"600s\""))?;
    let _behind = behind(stage)?;
    for ((friend, _, server), third) in FAMILIES.into_iter().zip([THIRD4, THIRD6]) {
        scene.is_closed(friend, server, SSH)?;
        scene.is_open(friend, third, SSH)?;
        scene.is_open(friend, third, Service::Udp(22))?;
        scene.is_open(friend, third, Service::Tcp(BEHIND))?;
    }
    Ok(())
}

fn forwarded(stage: &Stage) -> Result {
    // The server itself listens on 22, and not on 2222.
    let doors = [
        door("four", "guard = [\"tcp/2222\"]\nopen-for = \"2s\"\nforward = \"10.98.0.2:2022\""),
        door_of("six", &OTHER, "guard = [\"tcp/2226\"]\nopen-for = \"2s\"\nforward = \"[fd00:98::2]:2022\""),
    ];
    let (mut scene, _klopfd) = Scene::guarded(stage, &doors.concat())?;
    let _behind = behind(stage)?;
    for ((friend, stranger, server), (sequence, port)) in FAMILIES.into_iter().zip([(PORTS, 2222), (OTHER, 2226)]) {
        let service = Service::Tcp(port);
        scene.is_closed(friend, server, service)?;
        scene.wire.knock(friend, server, &sequence)?;
        scene.until_open(friend, server, service)?;
        scene.is_closed(stranger, server, service)?;
        scene.peer.hold("up", friend, server, service)?;
        scene.until_closed(friend, server, service)?;
        let answer = scene.peer.says("up")?;
        ensure!(answer == Answer::Open, "the connection of {friend} is cut: {answer:?}");
    }
    until("nothing of the leases is left", || {
        let table = scene.table()?.ok_or("there is no table")?;
        Ok(!table.contains("10.98.0.2 . 2022") && !table.contains("fd00:98::2 . 2022"))
    })
}

fn forwarded_same(stage: &Stage) -> Result {
    let lines = "guard = [\"tcp/2022\"]\nopen-for = \"600s\"\nforward = \"10.98.0.2\"";
    let (mut scene, _klopfd) = Scene::guarded(stage, &door("behind", lines))?;
    let _behind = behind(stage)?;
    let service = Service::Tcp(BEHIND);
    scene.is_closed(CLIENT4, SERVER4, service)?;
    scene.enter(CLIENT4, service)?;
    scene.says(&["revoke", "behind"])?;
    scene.is_closed(CLIENT4, SERVER4, service)
}

fn forwarded_anew(stage: &Stage) -> Result {
    let lines = "guard = [\"tcp/2022\"]\nopen-for = \"600s\"\nforward = \"10.98.0.2\"";
    let mut scene = Scene::set(stage, &door("behind", lines))?;
    let klopfd = Daemon::Klopfd.start(stage)?;
    let _behind = behind(stage)?;
    let service = Service::Tcp(BEHIND);
    scene.enter(CLIENT4, service)?;
    klopfd.murder()?;
    stage.server.run("nft", &["flush ruleset"])?;
    ensure!(scene.table()?.is_none(), "the table is still there");
    let _klopfd = Daemon::Klopfd.start(stage)?;
    scene.is_open(CLIENT4, SERVER4, service)?;
    scene.is_closed(STRANGER4, SERVER4, service)
}
