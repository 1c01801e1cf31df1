//! Services that are not on this host: published, forwarded, or only behind it.

use klopf_tests::{
    Answer, CLIENT4, Case, Daemon, Host, Result, Running, SERVER4, Service, Stage, THIRD4, THIRD6, ensure, serve, until,
};

use crate::scene::{FAMILIES, NEEDS, PORTS, SSH, Scene, door, door_of};

const OTHER: [u16; 3] = [5001, 5003, 5002];
/// Served by the host behind alone.
const BEHIND: u16 = 2022;
/// Published as a port of the server.
const PUBLISHED: Service = Service::Tcp(8022);
/// As container engines do it.
const PUBLISH: &str = "table inet engine { chain prerouting { type nat hook prerouting priority dstnat; \
    meta nfproto ipv4 fib daddr type local tcp dport 8022 dnat ip to 10.98.0.2:2022; \
    meta nfproto ipv6 fib daddr type local tcp dport 8022 dnat ip6 to [fd00:98::2]:2022; }; }";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("a_published_service_is_guarded_by_the_same_rule", &NEEDS, published),
        Case::new("what_only_passes_through_is_left_alone", &NEEDS, transit),
        Case::new("forward_leads_a_lease_to_a_host_behind_and_goes_with_it", &NEEDS, forwarded),
        Case::new("forward_without_a_port_keeps_the_port", &NEEDS, forwarded_same),
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
