//! The daemon dies or hangs: `if-klopfd-dies` says what becomes of a guard, and the kernel does it.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use klopf_tests::{
    Case, Daemon, Freezer, Need, PATIENCE, Result, Running, Service, Signal, Stage, ensure, gone, process_field, send,
    until,
};

use crate::scene::{FAMILIES, NEEDS, SSH, Scene, door, door_of, tells, within};

const OTHER: [u16; 3] = [5001, 5003, 5002];
const FIRM: Service = Service::Tcp(443);
/// A guard's own lease is 12 s and renewed every 4 s, so it has 8 s to live at least.
const EARLIEST: Duration = Duration::from_secs(7);
const LATEST: Duration = Duration::from_secs(15);
/// How often the service manager wants a sign of life.
const INTERVAL: Duration = Duration::from_secs(2);

pub(crate) fn cases() -> Vec<Case> {
    let needs: Vec<Need> = NEEDS.into_iter().chain([Need::Cgroups]).collect();
    vec![
        Case::new("if_klopfd_dies_open_a_kill_opens_within_15_s", &NEEDS, |stage| reopens(stage, killed)),
        Case::new("if_klopfd_dies_open_a_hang_opens_within_15_s", &NEEDS, |stage| reopens(stage, stopped)),
        Case::new("a_watch_that_is_killed_is_back_within_a_second", &NEEDS, |stage| back(stage, Signal::KILL)),
        Case::new("a_watch_that_is_stopped_is_back_within_a_second", &NEEDS, |stage| back(stage, Signal::STOP)),
        Case::new("a_watch_that_hangs_is_replaced_when_the_service_manager_wants_signs_of_life", &needs, hangs),
        Case::new("the_service_manager_hears_that_it_lives", &NEEDS, watchdog),
    ]
}

fn doors() -> String {
    let open = "guard = [\"tcp/22\"]\nopen-for = \"600s\"\nif-klopfd-dies = \"open\"";
    [door("ssh", open), door_of("web", &OTHER, "guard = [\"tcp/443\"]\nopen-for = \"600s\"")].concat()
}

fn reopens(stage: &Stage, dies: fn(Running) -> Result<Option<Running>>) -> Result {
    let (mut scene, klopfd) = Scene::guarded(stage, &doors())?;
    let [(friend, stranger, server), (_, stranger6, server6)] = FAMILIES;
    scene.enter(friend, SSH)?;
    let died = Instant::now();
    let stopped = dies(klopfd)?;
    scene.is_closed(stranger, server, SSH)?;
    scene.is_closed(stranger6, server6, SSH)?;
    scene.until_open(stranger, server, SSH)?;
    within(EARLIEST, LATEST, died, "the opening")?;
    scene.is_open(stranger6, server6, SSH)?;
    scene.is_open(friend, server, SSH)?;
    // The other door stays closed, which is the default.
    scene.is_closed(stranger, server, FIRM)?;
    scene.is_closed(stranger6, server6, FIRM)?;
    if let Some(klopfd) = stopped {
        klopfd.signal(Signal::CONT)?;
        scene.until_closed(stranger, server, SSH)?;
        scene.is_open(friend, server, SSH)?;
    }
    Ok(())
}

fn killed(klopfd: Running) -> Result<Option<Running>> {
    klopfd.murder().map(|()| None)
}

fn stopped(klopfd: Running) -> Result<Option<Running>> {
    klopfd.signal(Signal::STOP)?;
    Ok(Some(klopfd))
}

fn back(stage: &Stage, signal: Signal) -> Result {
    let (mut scene, mut klopfd) = Scene::guarded(stage, &doors())?;
    let watch = watch_of(&klopfd)?.ok_or("there is no watch")?;
    let died = Instant::now();
    send(watch, signal)?;
    let [(friend, stranger, server), _] = FAMILIES;
    until("a knock opens again", || {
        scene.knock(friend)?;
        Ok(scene.leases_in_kernel()? > 0 && gone(watch))
    })?;
    // And some time for a loaded machine.
    within(Duration::ZERO, Duration::from_secs(2), died, "the return of the watch")?;
    scene.is_open(friend, server, SSH)?;
    scene.is_closed(stranger, server, SSH)?;
    klopfd.until("the log says it", |log| tells(log, &["watch"]))
}

/// One that is frozen is not stopped, so that its parent hears of nothing; it only does not answer.
fn hangs(stage: &Stage) -> Result {
    let mut scene = Scene::set(stage, &doors())?;
    let path = stage.path("notify.sock");
    let _socket = UnixDatagram::bind(&path)?;
    let mut command = Daemon::Klopfd.command(stage)?;
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", INTERVAL.as_micros().to_string());
    let mut klopfd = Running::start(command, &stage.path("klopfd.out"))?;
    klopfd.until_says("ready")?;
    let [(friend, stranger, server), (friend6, _, server6)] = FAMILIES;
    scene.enter(friend6, SSH)?;
    let watch = watch_of(&klopfd)?.ok_or("there is no watch")?;
    Freezer::set(stage)?.freeze(watch)?;
    let hung = Instant::now();
    scene.knock(friend)?;
    scene.is_closed(friend, server, SSH)?;
    until("a knock opens again", || {
        scene.knock(friend)?;
        Ok(scene.status()?.lease(friend).is_ok() && gone(watch))
    })?;
    within(Duration::ZERO, Duration::from_secs(10), hung, "the return of the watch")?;
    scene.is_open(friend, server, SSH)?;
    scene.is_open(friend6, server6, SSH)?;
    scene.is_closed(stranger, server, SSH)?;
    klopfd.until("the log says it", |log| tells(log, &["watch", "not answer"]))
}

fn watch_of(klopfd: &Running) -> Result<Option<u32>> {
    let is_watch = |pid: &u32| process_field(*pid, "Name").is_some_and(|name| name == "klopf-watch");
    Ok(klopfd.children()?.into_iter().find(is_watch))
}

/// Tells the service manager in the way of sd_notify(3): that it is ready, and twice in each watchdog interval that it lives.
fn watchdog(stage: &Stage) -> Result {
    let _scene = Scene::set(stage, &doors())?;
    let path = stage.path("notify.sock");
    let socket = UnixDatagram::bind(&path)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut command = Daemon::Klopfd.command(stage)?;
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", INTERVAL.as_micros().to_string());
    let klopfd = Running::start(command, &stage.path("klopfd.out"))?;
    let hear = |what: &str| -> Result {
        let mut buffer = [0; 1024];
        loop {
            let length = socket.recv(&mut buffer).map_err(|fault| format!("no {what}: {fault}"))?;
            let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
            if text.lines().any(|line| line == what) {
                return Ok(());
            }
        }
    };
    hear("READY=1")?;
    for _ in 0..3 {
        let begun = Instant::now();
        hear("WATCHDOG=1")?;
        within(Duration::ZERO, INTERVAL, begun, "a sign of life")?;
    }
    klopfd.signal(Signal::STOP)?;
    socket.set_read_timeout(Some(INTERVAL))?;
    // What it has said before may still be there.
    while hear("WATCHDOG=1").is_ok() {}
    klopfd.signal(Signal::CONT)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let answer = socket.recv(&mut [0; 1024]);
    ensure!(answer.is_ok(), "no sign of life after the hang: {answer:?}");
    Ok(())
}
