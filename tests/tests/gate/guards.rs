//! Ports are closed from `ready` on, to all but those who have a lease.

use klopf_tests::{
    Answer, CLIENT4, CLIENT6, Case, Daemon, Result, SERVER4, SERVER6, Service, Signal, Stage, ensure, packet, until,
};

use crate::scene::{FAMILIES, NEEDS, SSH, STRANGER4, Scene, door, door_of};

const OTHER: [u16; 3] = [5001, 5003, 5002];
const UDP: [Service; 3] = [Service::Udp(60000), Service::Udp(60500), Service::Udp(61000)];
const HTTPS: Service = Service::Tcp(443);

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("guard_closes_at_ready_and_a_knock_opens_for_the_knocker_alone", &NEEDS, alone),
        Case::new("several_ports_and_a_range_open_together", &NEEDS, several),
        Case::new("any_lease_opens_a_port_of_two_doors", &NEEDS, two_doors),
        Case::new("always_allowed_networks_pass_by_the_kernel_alone", &NEEDS, always),
        Case::new("always_allowed_networks_are_those_of_their_door", &NEEDS, always_of_its_door),
        Case::new("allow_prefix_widens_a_lease_that_far", &NEEDS, prefix),
        Case::new("loopback_is_never_closed", &NEEDS, loopback),
        Case::new("a_host_without_guards_gets_no_table", &NEEDS, no_table),
        Case::new("hits_on_guarded_ports_count_as_hits", &NEEDS, guarded_hits),
        Case::new("fragments_do_not_pass_a_guard", &NEEDS, fragments),
    ]
}

fn alone(stage: &Stage) -> Result {
    let mut scene = Scene::set(stage, &door("ssh", "guard = [\"tcp/22\"]\nopen-for = \"600s\""))?;
    for (friend, _, server) in FAMILIES {
        scene.is_open(friend, server, SSH)?;
    }
    let _klopfd = Daemon::Klopfd.start(stage)?;
    for (friend, stranger, server) in FAMILIES {
        scene.is_closed(friend, server, SSH)?;
        scene.is_closed(stranger, server, SSH)?;
        // The same number over the other protocol, and another port.
        scene.is_open(stranger, server, Service::Udp(22))?;
        scene.is_open(stranger, server, HTTPS)?;
    }
    for (friend, stranger, server) in FAMILIES {
        scene.enter(friend, SSH)?;
        scene.is_closed(stranger, server, SSH)?;
    }
    let table = scene.table()?.ok_or("there is no table")?;
    for name in ["set open4", "set open6", "set guarded", "chain guard"] {
        ensure!(table.contains(name), "no {name} in\n{table}");
    }
    Ok(())
}

fn several(stage: &Stage) -> Result {
    let lines = "guard = [\"tcp/22\", \"udp/60000-61000\", \"tcp/443\"]\nopen-for = \"600s\"";
    let (mut scene, _klopfd) = Scene::guarded(stage, &door("all", lines))?;
    let guarded: Vec<Service> = [SSH, HTTPS].into_iter().chain(UDP).collect();
    for (friend, stranger, server) in FAMILIES {
        for service in &guarded {
            scene.is_closed(friend, server, *service)?;
        }
        // Beyond the range, and in it over the other protocol.
        scene.is_open(stranger, server, Service::Udp(61001))?;
        scene.is_open(stranger, server, Service::Tcp(60500))?;
        scene.enter(friend, SSH)?;
        for service in &guarded {
            scene.is_open(friend, server, *service)?;
            scene.is_closed(stranger, server, *service)?;
        }
    }
    Ok(())
}

fn two_doors(stage: &Stage) -> Result {
    let doors = [
        door("one", "guard = [\"tcp/22\"]\nopen-for = \"600s\""),
        door_of("two", &OTHER, "guard = [\"tcp/20-25\", \"tcp/443\"]\nopen-for = \"1s\""),
    ];
    let (mut scene, _klopfd) = Scene::guarded(stage, &doors.concat())?;
    scene.wire.knock(CLIENT4, SERVER4, &OTHER)?;
    scene.until_open(CLIENT4, SERVER4, SSH)?;
    scene.until_closed(CLIENT4, SERVER4, SSH)?;
    // Both leases on the port; the one that ends must not take the other along.
    scene.enter(CLIENT4, SSH)?;
    scene.is_closed(CLIENT4, SERVER4, HTTPS)?;
    scene.wire.knock(CLIENT4, SERVER4, &OTHER)?;
    scene.until_open(CLIENT4, SERVER4, HTTPS)?;
    scene.until_closed(CLIENT4, SERVER4, HTTPS)?;
    scene.is_open(CLIENT4, SERVER4, SSH)
}

fn always(stage: &Stage) -> Result {
    let lines = "guard = [\"tcp/22\", \"udp/60000-61000\"]\nopen-for = \"1s\"\n\
                 always-allow = [\"192.0.2.0/24\", \"10.99.0.2/31\", \"fd00:99::2/128\"]";
    let (mut scene, klopfd) = Scene::guarded(stage, &door("ssh", lines))?;
    stage.client.ip("addr add 10.99.0.4/24 dev eth0")?;
    let other = "10.99.0.4".parse()?;
    let holds = |scene: &mut Scene<'_>| -> Result {
        for service in [SSH, Service::Udp(60500)] {
            scene.is_open(CLIENT4, SERVER4, service)?;
            scene.is_open(STRANGER4, SERVER4, service)?;
            scene.is_open(CLIENT6, SERVER6, service)?;
            scene.is_closed(other, SERVER4, service)?;
            scene.is_closed(crate::scene::STRANGER6, SERVER6, service)?;
        }
        Ok(())
    };
    holds(&mut scene)?;
    // A lease that ends takes nothing away.
    scene.knock(CLIENT4)?;
    scene.enter(other, SSH)?;
    scene.until_closed(other, SERVER4, SSH)?;
    holds(&mut scene)?;
    klopfd.murder()?;
    holds(&mut scene)
}

fn always_of_its_door(stage: &Stage) -> Result {
    let doors = [
        door("one", "guard = [\"tcp/22\"]\nopen-for = \"600s\"\nalways-allow = [\"10.99.0.2\"]"),
        door_of("two", &OTHER, "guard = [\"tcp/443\"]\nopen-for = \"600s\""),
    ];
    let (mut scene, _klopfd) = Scene::guarded(stage, &doors.concat())?;
    scene.is_open(CLIENT4, SERVER4, SSH)?;
    scene.is_closed(CLIENT4, SERVER4, HTTPS)
}

fn prefix(stage: &Stage) -> Result {
    let doors = [
        door("wide", "guard = [\"tcp/22\"]\nopen-for = \"600s\"\nallow-prefix = 30\nallow-prefix6 = 126"),
        door_of("narrow", &OTHER, "guard = [\"tcp/443\"]\nopen-for = \"600s\""),
    ];
    let (mut scene, _klopfd) = Scene::guarded(stage, &doors.concat())?;
    stage.client.ip("addr add 10.99.0.4/24 dev eth0")?;
    stage.client.ip("addr add fd00:99::4/64 dev eth0 nodad")?;
    let beyond = ["10.99.0.4".parse()?, "fd00:99::4".parse()?];
    for ((friend, neighbour, server), beyond) in FAMILIES.into_iter().zip(beyond) {
        scene.is_closed(neighbour, server, SSH)?;
        scene.enter(friend, SSH)?;
        scene.is_open(neighbour, server, SSH)?;
        scene.is_closed(beyond, server, SSH)?;
        // Off unless it is asked for.
        scene.wire.knock(friend, server, &OTHER)?;
        scene.until_open(friend, server, HTTPS)?;
        scene.is_closed(neighbour, server, HTTPS)?;
    }
    // The neighbour's knock is for the same lease.
    let before = scene.status()?.leases();
    scene.knock(STRANGER4)?;
    scene.wire.knock(STRANGER4, SERVER4, &OTHER)?;
    scene.until_open(STRANGER4, SERVER4, HTTPS)?;
    let after = scene.status()?;
    ensure!(after.leases() == before + 1, "{before} leases, and then: {}", after.0);
    Ok(())
}

fn loopback(stage: &Stage) -> Result {
    let (scene, _klopfd) = Scene::guarded(stage, &door("ssh", "guard = [\"tcp/22\"]"))?;
    let mut local = klopf_tests::Peer::at(env!("CARGO_BIN_EXE_peer"), &scene.stage.server)?;
    for (from, to) in [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("10.99.0.1", "10.99.0.1")] {
        let answer = local.meets(from.parse()?, to.parse()?, SSH)?;
        ensure!(answer == Answer::Open, "{to} is not open to {from}: {answer:?}");
    }
    Ok(())
}

fn no_table(stage: &Stage) -> Result {
    let note = stage.note()?;
    let lines = format!("on-open = [{note:?}, \"open\", \"{{ip}}\"]");
    let (mut scene, _klopfd) = Scene::guarded(stage, &door("commands", &lines))?;
    ensure!(scene.table()?.is_none(), "there is a table: {:?}", scene.table()?);
    ensure!(scene.status()?.guards() == "none", "status: {}", scene.status()?.0);
    scene.knock(CLIENT4)?;
    stage.until_noted(&format!("open {CLIENT4}"), 1)?;
    scene.is_open(STRANGER4, SERVER4, SSH)
}

/// The knock's own ports may be guarded ones: the gate is behind the place where knocks are seen.
fn guarded_hits(stage: &Stage) -> Result {
    let sequence = [443, 22, 60500];
    let doors = door_of("ssh", &sequence, "guard = [\"tcp/22\", \"tcp/443\", \"tcp/60500\"]\nopen-for = \"600s\"");
    let (mut scene, klopfd) = Scene::guarded(stage, &doors)?;
    scene.is_closed(CLIENT4, SERVER4, SSH)?;
    // That was a hit, too, and perhaps the end of an attempt; so this is tried until it counts.
    until("a knock at guarded ports opens", || {
        scene.wire.knock(CLIENT4, SERVER4, &sequence)?;
        Ok(scene.leases_in_kernel()? > 0)
    })?;
    scene.is_open(CLIENT4, SERVER4, SSH)?;
    klopfd.signal(Signal::TERM)
}

/// The first fragment has the ports, the others have none: no piece of a datagram gets to a service without a lease.
fn fragments(stage: &Stage) -> Result {
    let (mut scene, _klopfd) = Scene::guarded(stage, &door("vpn", "guard = [\"udp/5000\"]\nopen-for = \"600s\""))?;
    let received = || -> Result<u64> {
        let text = stage.server.run("cat", &["/proc/net/snmp"])?;
        let counts = text.lines().filter(|line| line.starts_with("Udp:")).nth(1).ok_or("no counters")?;
        Ok(counts.split_whitespace().nth(1).ok_or("no counter")?.parse()?)
    };
    let whole = packet::datagram(STRANGER4, SERVER4, 5000, &[7; 1024]);
    let other = packet::datagram(STRANGER4, SERVER4, 443, &[7; 1024]);
    let before = received()?;
    for piece in pieces(&whole).into_iter().chain(pieces(&other)) {
        scene.wire.packet(&piece)?;
    }
    // In order: when the datagram to the open port is there, the other one has had its chance.
    until("the datagram in pieces arrives", || Ok(received()? > before))?;
    ensure!(received()? == before + 1, "the guarded port got a datagram in pieces");
    Ok(())
}

/// An IPv4 packet as two fragments.
fn pieces(packet: &[u8]) -> Vec<Vec<u8>> {
    const MORE: u16 = 0x2000;
    let (header, body) = packet.split_at(20);
    let (first, second) = body.split_at(512);
    [(first, MORE), (second, 64)]
        .into_iter()
        .map(|(part, place)| {
            let mut piece = header.to_vec();
            let length = u16::try_from(20 + part.len()).unwrap_or_default();
            // Total length, identification, place; the checksum is made anew.
            let fields = [length.to_be_bytes(), [0, 77], place.to_be_bytes()].concat();
            piece.splice(2..8, fields);
            piece.splice(10..12, [0, 0]);
            let sum = packet::checksum(&piece);
            piece.splice(10..12, sum.to_be_bytes());
            piece.extend_from_slice(part);
            piece
        })
        .collect()
}
