//! A lock-down holds only if somebody has come in through the real path; otherwise it is undone.

use std::time::{Duration, Instant};

use klopf_tests::{Answer, Case, Daemon, Result, Running, Service, Signal, Stage, ensure, until};

use crate::scene::{FAMILIES, NEEDS, SSH, Scene, door, door_of, tells, within};

const OTHER: [u16; 3] = [5001, 5003, 5002];
const WEB: Service = Service::Tcp(443);
/// Seconds of a trial that nobody confirms, and of one that somebody has time to.
const SHORT: u32 = 3;
const LONG: u32 = 60;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("lock_that_nobody_confirms_is_undone_and_tells_why", &NEEDS, unconfirmed),
        Case::new("lock_confirmed_by_a_knock_and_a_connection_is_for_good", &NEEDS, confirmed),
        Case::new("lock_is_confirmed_by_a_login_that_is_over_at_once", &NEEDS, short_login),
        Case::new("lock_is_confirmed_by_who_had_a_lease_before", &NEEDS, leased_before),
        Case::new("lock_is_not_confirmed_by_a_knock_without_a_connection", &NEEDS, only_knocked),
        Case::new("lock_is_not_confirmed_by_a_connection_that_was_granted_by_hand", &NEEDS, only_granted),
        Case::new("lock_of_a_daemon_that_is_killed_is_undone_by_the_kernel", &NEEDS, killed),
        Case::new("lock_that_is_interrupted_runs_out_by_itself", &NEEDS, interrupted),
        Case::new("first_start_with_somebody_connected_goes_on_trial", &NEEDS, first_start_undone),
        Case::new("first_start_with_somebody_connected_can_be_confirmed", &NEEDS, first_start_confirmed),
        Case::new("a_new_guard_on_trial_leaves_the_others_alone", &NEEDS, new_guard),
        Case::new("a_plain_reload_over_somebodys_port_goes_on_trial", &NEEDS, plain_reload),
        Case::new("reload_confirm_undoes_what_nobody_confirms", &NEEDS, reload_undone),
        Case::new("reload_confirm_keeps_what_is_confirmed", &NEEDS, reload_confirmed),
    ]
}

fn ssh() -> String {
    door("ssh", "guard = [\"tcp/22\"]\nopen-for = \"600s\"")
}

/// A stage on which everything is unlocked.
fn unlocked<'a>(stage: &'a Stage, seconds: u32) -> Result<(Scene<'a>, Running)> {
    let scene = Scene::set(stage, &ssh())?;
    let klopfd = scene.start_on_trial(seconds)?;
    scene.says(&["unlock"])?;
    ensure!(scene.status()?.guards() == "unlocked", "status: {}", scene.status()?.0);
    Ok((scene, klopfd))
}

/// `klopf lock` or `klopf reload --confirm`, which have begun a trial.
fn trial(scene: &Scene<'_>, arguments: &[&str]) -> Result<Running> {
    let running = Running::start(scene.klopf(arguments)?, &scene.stage.path("trial.out"))?;
    scene.until_status("a trial begins", |status| status.guards() == "trial")?;
    Ok(running)
}

fn unconfirmed(stage: &Stage) -> Result {
    let (mut scene, mut klopfd) = unlocked(stage, SHORT)?;
    let [(_, stranger, server), (_, stranger6, server6)] = FAMILIES;
    scene.is_open(stranger, server, SSH)?;
    scene.peer.hold("up", stranger, server, SSH)?;
    let begun = Instant::now();
    let mut lock = trial(&scene, &["lock"])?;
    scene.is_closed(stranger, server, SSH)?;
    scene.is_closed(stranger6, server6, SSH)?;
    // What to type on the other machine.
    lock.until("it says how to knock", |said| tells(said, &["42000", "23000", "1337"]))?;
    let code = lock.until_ended()?;
    within(Duration::from_secs(2), Duration::from_secs(10), begun, "the trial")?;
    let said = lock.log()?;
    ensure!(code == 1, "klopf lock ended with {code}:\n{said}");
    ensure!(tells(&said, &["knock"]) && tells(&said, &["connection"]), "what it has not seen is not said:\n{said}");
    scene.is_open(stranger, server, SSH)?;
    scene.is_open(stranger6, server6, SSH)?;
    ensure!(scene.status()?.guards() == "unlocked", "status: {}", scene.status()?.0);
    let answer = scene.peer.says("up")?;
    ensure!(answer == Answer::Open, "a connection was cut: {answer:?}");
    klopfd.until("the log says it", |log| tells(log, &["trial"]))
}

fn confirmed(stage: &Stage) -> Result {
    let (mut scene, klopfd) = unlocked(stage, LONG)?;
    let [(friend, stranger, server), _] = FAMILIES;
    let mut lock = trial(&scene, &["lock"])?;
    confirm(&mut scene)?;
    let code = lock.until_ended()?;
    ensure!(code == 0, "klopf lock ended with {code}:\n{}", lock.log()?);
    let status = scene.status()?;
    ensure!(status.guards() == "guarded", "status: {}", status.0);
    scene.is_closed(stranger, server, SSH)?;
    // For good: no lease of the trial's hangs behind it, and the next start asks no more.
    let table = scene.table()?.unwrap_or_default();
    ensure!(!table.contains("elements = { trial") && !tells(&table, &["alive", "expires"]), "a trial in\n{table}");
    klopfd.terminate()?;
    let _klopfd = scene.start_on_trial(SHORT)?;
    ensure!(scene.status()?.guards() == "guarded", "status: {}", scene.status()?.0);
    scene.is_closed(stranger, server, SSH)?;
    scene.is_open(friend, server, SSH)
}

/// As an administrator on another machine does it.
fn confirm(scene: &mut Scene<'_>) -> Result {
    let [(friend, _, server), _] = FAMILIES;
    scene.enter(friend, SSH)?;
    scene.peer.hold("confirming", friend, server, SSH)
}

fn only_knocked(stage: &Stage) -> Result {
    let (mut scene, _klopfd) = unlocked(stage, SHORT)?;
    let [(friend, stranger, server), _] = FAMILIES;
    let mut lock = trial(&scene, &["lock"])?;
    scene.knock(friend)?;
    let code = lock.until_ended()?;
    let said = lock.log()?;
    ensure!(code == 1, "klopf lock ended with {code}:\n{said}");
    ensure!(said.contains(&friend.to_string()), "the knock that it has seen is not told:\n{said}");
    scene.is_open(stranger, server, SSH)
}

fn only_granted(stage: &Stage) -> Result {
    let (mut scene, _klopfd) = unlocked(stage, SHORT)?;
    let [(friend, stranger, server), _] = FAMILIES;
    let mut lock = trial(&scene, &["lock"])?;
    scene.says(&["grant", "ssh", &friend.to_string()])?;
    scene.peer.hold("granted", friend, server, SSH)?;
    let code = lock.until_ended()?;
    ensure!(code == 1, "klopf lock ended with {code}:\n{}", lock.log()?);
    scene.is_open(stranger, server, SSH)
}

fn killed(stage: &Stage) -> Result {
    let (mut scene, klopfd) = unlocked(stage, SHORT)?;
    let [(_, stranger, server), _] = FAMILIES;
    let begun = Instant::now();
    let _lock = trial(&scene, &["lock"])?;
    klopfd.murder()?;
    scene.is_closed(stranger, server, SSH)?;
    // The kernel knows when the trial ends.
    scene.until_open(stranger, server, SSH)?;
    within(Duration::from_secs(2), Duration::from_secs(10), begun, "the opening")?;
    let _klopfd = scene.start_on_trial(SHORT)?;
    scene.is_open(stranger, server, SSH)?;
    ensure!(scene.status()?.guards() == "unlocked", "status: {}", scene.status()?.0);
    Ok(())
}

fn interrupted(stage: &Stage) -> Result {
    let (mut scene, _klopfd) = unlocked(stage, SHORT)?;
    let [(_, stranger, server), _] = FAMILIES;
    let mut lock = trial(&scene, &["lock"])?;
    lock.until("it says how to knock", |said| tells(said, &["42000"]))?;
    lock.signal(Signal::INT)?;
    lock.until_ended()?;
    scene.until_open(stranger, server, SSH)?;
    scene.until_status("the trial is over", |status| status.guards() == "unlocked").map(drop)
}

fn first_start_undone(stage: &Stage) -> Result {
    let mut scene = Scene::set(stage, &ssh())?;
    let [(_, stranger, server), _] = FAMILIES;
    scene.peer.hold("admin", stranger, server, SSH)?;
    let mut klopfd = scene.start_on_trial(SHORT)?;
    ensure!(scene.status()?.guards() == "trial", "status: {}", scene.status()?.0);
    scene.is_closed(stranger, server, SSH)?;
    // That somebody is connected, and what to do.
    klopfd.until("the log warns", |log| tells(log, &["trial", "klopf lock"]))?;
    ensure!(!klopfd.log()?.contains("42000"), "the sequence is in the log:\n{}", klopfd.log()?);
    scene.until_open(stranger, server, SSH)?;
    ensure!(scene.status()?.guards() == "unlocked", "status: {}", scene.status()?.0);
    let answer = scene.peer.says("admin")?;
    ensure!(answer == Answer::Open, "the administrator is cut off: {answer:?}");
    // A start does not close it by the back door.
    scene.peer.close("admin")?;
    klopfd.terminate()?;
    let _klopfd = Daemon::Klopfd.start(stage)?;
    scene.is_open(stranger, server, SSH)
}

fn first_start_confirmed(stage: &Stage) -> Result {
    let mut scene = Scene::set(stage, &ssh())?;
    let [(_, stranger, server), _] = FAMILIES;
    scene.peer.hold("admin", stranger, server, SSH)?;
    let klopfd = scene.start_on_trial(LONG)?;
    confirm(&mut scene)?;
    scene.until_status("the trial is confirmed", |status| status.guards() == "guarded")?;
    klopfd.terminate()?;
    // The second start with somebody connected is no first one.
    let _klopfd = scene.start_on_trial(SHORT)?;
    ensure!(scene.status()?.guards() == "guarded", "status: {}", scene.status()?.0);
    scene.is_closed(stranger, server, SSH)?;
    let answer = scene.peer.says("admin")?;
    ensure!(answer == Answer::Open, "the administrator is cut off: {answer:?}");
    Ok(())
}

fn wider() -> String {
    format!("{}{}", ssh(), door_of("web", &OTHER, "guard = [\"tcp/443\"]\nopen-for = \"600s\""))
}

fn short_login(stage: &Stage) -> Result {
    let (mut scene, klopfd) = unlocked(stage, LONG)?;
    let [(friend, stranger, server), _] = FAMILIES;
    let _lock = trial(&scene, &["lock"])?;
    // Each of its connections is closed as soon as it is there.
    scene.enter(friend, SSH)?;
    scene.until_status("the trial is confirmed", |status| status.guards() == "guarded")?;
    scene.is_closed(stranger, server, SSH)?;
    klopfd.terminate().map(drop)
}

fn leased_before(stage: &Stage) -> Result {
    let (mut scene, klopfd) = unlocked(stage, LONG)?;
    let [(friend, _, _), _] = FAMILIES;
    scene.knock(friend)?;
    scene.until_status("the lease", |status| status.leases() == 1)?;
    let _lock = trial(&scene, &["lock"])?;
    confirm(&mut scene)?;
    scene.until_status("the trial is confirmed", |status| status.guards() == "guarded")?;
    klopfd.terminate().map(drop)
}

/// A start with one more guard, over whose port somebody is connected.
fn new_guard(stage: &Stage) -> Result {
    let mut scene = Scene::set(stage, &ssh())?;
    let [(_, stranger, server), _] = FAMILIES;
    scene.start_on_trial(SHORT)?.terminate()?;
    scene.peer.hold("customer", stranger, server, WEB)?;
    scene.configure(&wider())?;
    let klopfd = scene.start_on_trial(SHORT)?;
    ensure!(scene.status()?.guards() == "trial", "status: {}", scene.status()?.0);
    scene.is_closed(stranger, server, WEB)?;
    scene.until_open(stranger, server, WEB)?;
    scene.is_closed(stranger, server, SSH)?;
    ensure!(scene.status()?.guards() == "guarded", "status: {}", scene.status()?.0);
    // It stays so, until somebody wants it otherwise.
    scene.peer.close("customer")?;
    klopfd.terminate()?;
    let _klopfd = scene.start_on_trial(LONG)?;
    scene.is_open(stranger, server, WEB)?;
    scene.is_closed(stranger, server, SSH)?;
    let _lock = trial(&scene, &["lock"])?;
    scene.is_closed(stranger, server, WEB)?;
    scene.is_closed(stranger, server, SSH)
}

fn plain_reload(stage: &Stage) -> Result {
    let mut scene = Scene::set(stage, &ssh())?;
    let klopfd = scene.start_on_trial(SHORT)?;
    let [(_, stranger, server), _] = FAMILIES;
    scene.peer.hold("admin", stranger, server, WEB)?;
    scene.configure(&wider())?;
    klopfd.signal(Signal::HUP)?;
    scene.until_closed(stranger, server, WEB)?;
    ensure!(scene.status()?.guards() == "trial", "status: {}", scene.status()?.0);
    scene.until_open(stranger, server, WEB)?;
    scene.is_closed(stranger, server, SSH)?;
    let answer = scene.peer.says("admin")?;
    ensure!(answer == Answer::Open, "the administrator is cut off: {answer:?}");
    Ok(())
}

fn reload_undone(stage: &Stage) -> Result {
    let mut scene = Scene::set(stage, &ssh())?;
    let klopfd = scene.start_on_trial(SHORT)?;
    let [(_, stranger, server), _] = FAMILIES;
    scene.configure(&wider())?;
    let mut reload = trial(&scene, &["reload", "--confirm"])?;
    scene.is_closed(stranger, server, WEB)?;
    until("the trial ends", || {
        // What was closed before stays so, whatever becomes of the trial.
        scene.is_closed(stranger, server, SSH)?;
        Ok(scene.status()?.guards() != "trial")
    })?;
    let code = reload.until_ended()?;
    ensure!(code == 1, "klopf reload ended with {code}:\n{}", reload.log()?);
    scene.is_open(stranger, server, WEB)?;
    scene.is_closed(stranger, server, SSH)?;
    klopfd.signal(Signal::TERM)
}

fn reload_confirmed(stage: &Stage) -> Result {
    let mut scene = Scene::set(stage, &ssh())?;
    let klopfd = scene.start_on_trial(LONG)?;
    let [(friend, stranger, server), _] = FAMILIES;
    scene.configure(&wider())?;
    let mut reload = trial(&scene, &["reload", "--confirm"])?;
    scene.wire.knock(friend, server, &OTHER)?;
    scene.until_open(friend, server, WEB)?;
    scene.peer.hold("confirming", friend, server, WEB)?;
    let code = reload.until_ended()?;
    ensure!(code == 0, "klopf reload ended with {code}:\n{}", reload.log()?);
    ensure!(scene.status()?.guards() == "guarded", "status: {}", scene.status()?.0);
    klopfd.terminate()?;
    let _klopfd = scene.start_on_trial(SHORT)?;
    ensure!(scene.status()?.guards() == "guarded", "status: {}", scene.status()?.0);
    scene.is_closed(stranger, server, WEB)
}
