//! Much at once: ten thousand leases, two hundred reloads, no descriptors left, an interface that goes and comes.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use klopf_tests::{
    CLIENT4, CLIENT6, Case, Daemon, Need, Result, SERVER4, SERVER6, Signal, Stage, Wire, ensure, packet, process_field,
    until,
};

use crate::scene::{
    FAMILIES, NEEDS, PROBED, SSH, STRANGER4, STRANGER6, Scene, door, friends_and_strangers, long_door,
    only_friends_were_answered, tells, within,
};

const MANY: u32 = 10_000;
const RELOADS: u16 = 200;
/// Probes from one reload to the next: 200 take 10 s.
const STEP: u16 = 50;

pub(crate) fn cases() -> Vec<Case> {
    let needs: Vec<Need> = NEEDS.into_iter().chain([Need::Program("prlimit", "util-linux")]).collect();
    vec![
        Case::new("ten_thousand_leases_at_once", &NEEDS, ten_thousand),
        Case::new("two_hundred_reloads_in_10_s_under_load", &NEEDS, reloads),
        Case::new("out_of_descriptors_nothing_opens_and_no_lease_is_lost", &needs, no_descriptors),
        Case::new("an_interface_that_goes_and_comes_loses_no_lease", &NEEDS, interface),
    ]
}

/// Asks the daemon for a lease as `klopf grant` does; ten thousand of that would take their time.
pub(crate) fn grant(stage: &Stage, address: IpAddr) -> Result {
    let mut socket = UnixStream::connect(stage.path("run/control.sock"))?;
    let request = serde_json::json!({"grant": {"door": "ssh", "address": address, "for-ms": null}});
    writeln!(socket, "{request}")?;
    let mut reply = String::new();
    BufReader::new(socket).read_line(&mut reply)?;
    ensure!(reply.contains("done"), "grant to {address}: {reply}");
    Ok(())
}

fn ten_thousand(stage: &Stage) -> Result {
    let (mut scene, klopfd) = Scene::guarded(stage, &door("ssh", "guard = [\"tcp/22\"]\nopen-for = \"600s\""))?;
    let begun = Instant::now();
    for number in 0..MANY / 2 {
        grant(stage, std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).into())?;
        grant(stage, std::net::Ipv6Addr::from_bits((0xfd00_0098 << 96) + u128::from(number)).into())?;
    }
    within(Duration::ZERO, Duration::from_secs(30), begun, "ten thousand grants")?;
    let all = usize::try_from(MANY)?;
    ensure!(scene.leases_in_kernel()? == all, "the kernel has {}", scene.leases_in_kernel()?);
    let [(friend, stranger, server), _] = FAMILIES;
    scene.enter(friend, SSH)?;
    scene.is_closed(stranger, server, SSH)?;
    klopfd.murder()?;
    let begun = Instant::now();
    let _klopfd = Daemon::Klopfd.start(stage)?;
    within(Duration::ZERO, Duration::from_secs(10), begun, "the start with ten thousand leases")?;
    let ssh = scene.status()?;
    let count = ssh.list("doors").first().and_then(|door| door.get("leases")).and_then(serde_json::Value::as_u64);
    ensure!(count == Some(u64::from(MANY) + 1), "leases: {count:?}");
    ensure!(scene.leases_in_kernel()? == all + 1, "the kernel has {}", scene.leases_in_kernel()?);
    scene.is_open(friend, server, SSH)?;
    scene.is_closed(stranger, server, SSH)?;
    let begun = Instant::now();
    scene.says(&["revoke", "ssh"])?;
    scene.is_closed(friend, server, SSH)?;
    within(Duration::ZERO, Duration::from_secs(10), begun, "the revocation")?;
    ensure!(scene.leases_in_kernel()? == 0, "the kernel has {}", scene.leases_in_kernel()?);
    Ok(())
}

fn reloads(stage: &Stage) -> Result {
    // A guard that the daemon has to keep alive meanwhile, though it has much to do.
    let (mut scene, klopfd) = Scene::guarded(stage, &long_door("if-klopfd-dies = \"open\""))?;
    for (friend, _, _) in FAMILIES {
        scene.enter(friend, PROBED)?;
    }
    let mut stream = scene.stream(&friends_and_strangers())?;
    let mut wire = Wire::link(stage, "eth0")?;
    scene.acquaint()?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| -> Result {
        let load = scope.spawn(|| junk(&mut wire, &over).map_err(|fault| fault.to_string()));
        let reloads = (0..RELOADS).try_for_each(|_| {
            klopfd.signal(Signal::HUP)?;
            stream.more(STEP).map(drop)
        });
        over.store(true, Ordering::Relaxed);
        load.join().map_err(|_| "the load has panicked")??;
        reloads
    })?;
    // Longer in all than the guard lives by itself.
    stream.more(3000)?;
    only_friends_were_answered(&stream.finish()?)?;
    let status = scene.status()?;
    ensure!(status.leases() == 2 && status.guards() == "guarded", "status: {}", status.0);
    let read = klopfd.log()?.lines().filter(|line| line.contains("reading")).count();
    ensure!(read > usize::from(RELOADS / 4), "only {read} reloads");
    // It has not lost its ears.
    let last = "10.99.0.250".parse()?;
    until("a knock opens", || {
        scene.knock(last)?;
        Ok(scene.status()?.lease(last).is_ok())
    })
}

/// Hits and datagrams to all kinds of ports, from all kinds of origins.
fn junk(wire: &mut Wire, over: &AtomicBool) -> Result {
    for number in (0..u16::MAX).cycle() {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let from: IpAddr = format!("10.99.0.{}", 10 + number % 200).parse()?;
        wire.packet(&packet::syn(from, SERVER4, 1000 + number % 50_000))?;
        wire.packet(&packet::datagram(from, SERVER4, 1000 + number % 50_000, b"junk"))?;
    }
    Ok(())
}

fn no_descriptors(stage: &Stage) -> Result {
    let (mut scene, klopfd) = Scene::guarded(stage, &long_door(""))?;
    let [(friend, stranger, server), (friend6, _, server6)] = FAMILIES;
    scene.enter(friend, SSH)?;
    let pid = klopfd.pid();
    let open = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    limit(pid, &open.to_string())?;
    // Who knocks now may get in or not, but nobody else does, and the daemon lives.
    scene.knock(friend6)?;
    scene.is_closed(stranger, server, SSH)?;
    scene.is_open(friend, server, SSH)?;
    // Somebody waits at the socket, whom it cannot take in: no reason to be busy.
    let waiting = UnixStream::connect(stage.path("run/control.sock"))?;
    let (cpu, begun) = (processor_time(pid)?, Instant::now());
    until("a second has passed", || Ok(begun.elapsed() > Duration::from_secs(1)))?;
    let used = processor_time(pid)? - cpu;
    ensure!(used < 50, "without descriptors it is busy: {used} hundredths of a second in one");
    ensure!(process_field(pid, "State").is_some_and(|state| !state.starts_with('Z')), "it has ended");
    scene.is_open(friend, server, SSH)?;
    drop(waiting);
    limit(pid, "1024")?;
    scene.until_status("it answers again, and has the lease", |status| status.lease(friend).is_ok())?;
    scene.enter(friend6, SSH)?;
    scene.is_open(friend6, server6, SSH)?;
    scene.is_closed(stranger, server, SSH)?;
    let said = klopfd.log()?;
    ensure!(tells(&said, &["files"]) || tells(&said, &["descriptor"]), "it does not say what it lacked:\n{said}");
    Ok(())
}

fn limit(pid: u32, files: &str) -> Result {
    let done = Command::new("prlimit").args(["--pid", &pid.to_string(), &format!("--nofile={files}:")]).output()?;
    ensure!(done.status.success(), "prlimit: {done:?}");
    Ok(())
}

/// Of a process, in hundredths of a second.
fn processor_time(pid: u32) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').ok_or("not a stat")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let [user, system] = [fields.get(11), fields.get(12)].map(|field| field.and_then(|text| text.parse::<u64>().ok()));
    Ok(user.ok_or("no time")? + system.ok_or("no time")?)
}

fn interface(stage: &Stage) -> Result {
    let (mut scene, mut klopfd) = Scene::guarded(stage, &long_door(""))?;
    let [(friend, stranger, server), (friend6, stranger6, server6)] = FAMILIES;
    scene.enter(friend, SSH)?;
    for _ in 0..2 {
        stage.server.ip("link del eth0")?;
        klopfd.until("the log says it", |log| tells(log, &["eth0"]))?;
        ensure!(scene.status()?.leases() >= 1, "status: {}", scene.status()?.0);
        stage.link("eth0")?;
        stage.server.ip(&format!("addr add {SERVER4}/24 dev eth0"))?;
        stage.server.ip(&format!("addr add {SERVER6}/64 dev eth0 nodad"))?;
        for address in [CLIENT4, STRANGER4] {
            stage.client.ip(&format!("addr add {address}/24 dev eth0"))?;
        }
        for address in [CLIENT6, STRANGER6] {
            stage.client.ip(&format!("addr add {address}/64 dev eth0 nodad"))?;
        }
        scene.wire = Wire::link(stage, "eth0")?;
        scene.is_open(friend, server, SSH)?;
        scene.is_closed(stranger, server, SSH)?;
        scene.is_closed(stranger6, server6, SSH)?;
        until("a knock opens at the new interface", || {
            scene.knock(friend6)?;
            Ok(scene.status()?.lease(friend6).is_ok())
        })?;
        scene.is_open(friend6, server6, SSH)?;
        scene.says(&["revoke", &friend6.to_string()])?;
    }
    Ok(())
}
