//! The keeper or the watch is killed or stopped in a storm of grants: nothing opens, and no lease is lost.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use klopf_tests::{
    Case, Daemon, Result, Running, SERVER4, SERVER6, Signal, Stage, Stream, Wire, ensure, gone, process_field, send,
    until, until_some,
};

use crate::scene::{
    FAMILIES, NEEDS, PORTS, PROBED, SSH, Scene, friends_and_strangers, long_door, only_friends_were_answered, tells,
    text,
};

/// How often it happens in the storm.
const TIMES: usize = 2;
/// Probes between.
const PAUSE: u16 = 200;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("watch_killed_in_a_storm_of_grants", &NEEDS, |stage| storm(stage, kill_watch, &["watch"])),
        Case::new("watch_stopped_in_a_storm_of_grants", &NEEDS, |stage| {
            storm(stage, stop_watch, &["watch", "stopped"])
        }),
        Case::new("keeper_killed_in_a_storm_of_grants", &NEEDS, |stage| storm(stage, kill_keeper, &["ready"])),
        Case::new("keeper_stopped_in_a_storm_of_grants", &NEEDS, |stage| storm(stage, stop_keeper, &["ready"])),
    ]
}

type Fault = fn(&Stage, Running, &mut Stream) -> Result<Running>;

fn storm(stage: &Stage, fault: Fault, said: &[&str]) -> Result {
    let (mut scene, mut klopfd) = Scene::guarded(stage, &long_door(""))?;
    for (friend, _, _) in FAMILIES {
        scene.enter(friend, PROBED)?;
    }
    let mut stream = scene.stream(&friends_and_strangers())?;
    let mut wire = Wire::link(stage, "eth0")?;
    scene.acquaint()?;
    let over = AtomicBool::new(false);
    let log = thread::scope(|scope| -> Result<String> {
        let knocks = scope.spawn(|| {
            let outcome = knock_until(&mut wire, &over);
            outcome.map_err(|fault| fault.to_string())
        });
        let mut faults = || -> Result<String> {
            let mut log = String::new();
            let mut before = BTreeSet::new();
            for _ in 0..TIMES {
                let known = before.len();
                before = until_some("the storm gets in", || {
                    let now = leases(&scene)?;
                    Ok((now.len() > known.min(100)).then_some(now))
                })?;
                log.push_str(&klopfd.log()?);
                replace(&mut klopfd, |klopfd| fault(stage, klopfd, &mut stream))?;
                let after = leases(&scene)?;
                let lost: Vec<&String> = before.difference(&after).collect();
                ensure!(lost.is_empty(), "lost {} of {} leases: {lost:?}", lost.len(), before.len());
                stream.more(PAUSE)?;
            }
            Ok(log + &klopfd.log()?)
        };
        let log = faults();
        over.store(true, Ordering::Relaxed);
        knocks.join().map_err(|_| "the storm has panicked")??;
        log
    })?;
    only_friends_were_answered(&stream.finish()?)?;
    ensure!(tells(&log, said), "nothing of {said:?} in the log");
    // All is as it should be afterwards: a knock opens, and the daemon knows what the kernel holds, two ports a lease.
    let last: IpAddr = "10.99.0.250".parse()?;
    until("a knock opens", || {
        scene.knock(last)?;
        Ok(leases(&scene)?.contains(&format!("ssh {last}")))
    })?;
    until("the daemon and the kernel agree", || Ok(scene.leases_in_kernel()? == 2 * leases(&scene)?.len()))?;
    for (_, stranger, server) in FAMILIES {
        scene.is_closed(stranger, server, SSH)?;
    }
    klopfd.terminate().map(drop)
}

/// Puts another daemon in the place of one.
fn replace(place: &mut Running, change: impl FnOnce(Running) -> Result<Running>) -> Result {
    let idle = Running::start(std::process::Command::new("true"), std::path::Path::new("/dev/null"))?;
    *place = change(std::mem::replace(place, idle))?;
    Ok(())
}

/// Asked again if a daemon that has much to do does not answer in time.
fn leases(scene: &Scene<'_>) -> Result<BTreeSet<String>> {
    let name = |lease: &_| format!("{} {}", text(lease, "door"), text(lease, "address"));
    let status = until_some("a status", || Ok(scene.status().ok()))?;
    Ok(status.list("leases").iter().map(name).collect())
}

/// Knocks from many origins, again and again.
fn knock_until(wire: &mut Wire, over: &AtomicBool) -> Result {
    while !over.load(Ordering::Relaxed) {
        for number in 10..240_u16 {
            let (four, six) = (format!("10.99.0.{number}"), format!("fd00:99::{number:x}"));
            wire.knock(four.parse()?, SERVER4, &PORTS)?;
            wire.knock(six.parse()?, SERVER6, &PORTS)?;
        }
    }
    Ok(())
}

fn watch_of(klopfd: &Running) -> Result<Option<u32>> {
    let is_watch = |pid: &u32| process_field(*pid, "Name").is_some_and(|name| name == "klopf-watch");
    Ok(klopfd.children()?.into_iter().find(is_watch))
}

fn hit_watch(klopfd: &Running, signal: Signal) -> Result {
    let watch = until_some("a watch", || watch_of(klopfd))?;
    send(watch, signal)?;
    until("the watch is gone", || Ok(gone(watch)))?;
    until("there is another watch", || Ok(watch_of(klopfd)?.is_some_and(|now| now != watch)))
}

fn kill_watch(_: &Stage, klopfd: Running, _: &mut Stream) -> Result<Running> {
    hit_watch(&klopfd, Signal::KILL)?;
    Ok(klopfd)
}

fn stop_watch(_: &Stage, klopfd: Running, _: &mut Stream) -> Result<Running> {
    hit_watch(&klopfd, Signal::STOP)?;
    Ok(klopfd)
}

fn kill_keeper(stage: &Stage, klopfd: Running, stream: &mut Stream) -> Result<Running> {
    klopfd.murder()?;
    stream.more(PAUSE)?;
    Daemon::Klopfd.start(stage)
}

fn stop_keeper(_: &Stage, klopfd: Running, stream: &mut Stream) -> Result<Running> {
    klopfd.signal(Signal::STOP)?;
    stream.more(2 * PAUSE)?;
    klopfd.signal(Signal::CONT)?;
    Ok(klopfd)
}
