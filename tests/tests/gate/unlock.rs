//! `klopf unlock` takes every guard away, whatever has become of the daemon.

use std::fs;

use klopf_tests::{Answer, Case, Daemon, Need, Result, Running, Service, Signal, Stage, built, ensure, gone, until};

use crate::scene::{FAMILIES, NEEDS, SSH, Scene, door, door_of, tells};

const OTHER: [u16; 3] = [5001, 5003, 5002];
const FIRM: Service = Service::Tcp(443);

pub(crate) fn cases() -> Vec<Case> {
    let needs: Vec<Need> = NEEDS.into_iter().chain([Need::Program("setpriv", "util-linux")]).collect();
    vec![
        Case::new("unlock_with_a_daemon", &NEEDS, |stage| unlocks(stage, |klopfd| Ok(Some(klopfd)))),
        Case::new("unlock_without_a_daemon", &NEEDS, |stage| unlocks(stage, |klopfd| klopfd.murder().map(|()| None))),
        Case::new("unlock_with_a_daemon_that_hangs", &NEEDS, |stage| unlocks(stage, hangs)),
        Case::new("unlock_holds_over_reloads_and_restarts_until_lock", &NEEDS, holds),
        Case::new("unlock_of_nothing_says_so", &NEEDS, nothing),
        Case::new("unlock_by_anybody_else_changes_nothing", &needs, by_anybody),
    ]
}

fn doors() -> String {
    let open = "guard = [\"tcp/22\"]\nopen-for = \"600s\"\nif-klopfd-dies = \"open\"";
    [door("ssh", open), door_of("web", &OTHER, "guard = [\"tcp/443\"]\nopen-for = \"600s\"")].concat()
}

fn all_open(scene: &mut Scene<'_>) -> Result {
    for (friend, stranger, server) in FAMILIES {
        for service in [SSH, FIRM] {
            scene.is_open(friend, server, service)?;
            scene.is_open(stranger, server, service)?;
        }
    }
    Ok(())
}

fn hangs(klopfd: Running) -> Result<Option<Running>> {
    klopfd.signal(Signal::STOP)?;
    Ok(Some(klopfd))
}

fn unlocks(stage: &Stage, change: fn(Running) -> Result<Option<Running>>) -> Result {
    let (mut scene, klopfd) = Scene::guarded(stage, &doors())?;
    let [(friend, stranger, server), _] = FAMILIES;
    scene.enter(friend, SSH)?;
    scene.peer.hold("up", friend, server, SSH)?;
    scene.is_closed(stranger, server, FIRM)?;
    let klopfd = change(klopfd)?;
    scene.says(&["unlock"])?;
    all_open(&mut scene)?;
    let answer = scene.peer.says("up")?;
    ensure!(answer == Answer::Open, "a connection is cut: {answer:?}");
    // One that hung must not close anything when it comes to itself.
    if let Some(klopfd) = &klopfd
        && !gone(klopfd.pid())
    {
        klopfd.signal(Signal::CONT)?;
        all_open(&mut scene)?;
    }
    drop(klopfd);
    let mut klopfd = Daemon::Klopfd.start(stage)?;
    klopfd.until("it says that it guards nothing", |log| tells(log, &["unlock"]))?;
    all_open(&mut scene)?;
    ensure!(scene.status()?.guards() == "unlocked", "status: {}", scene.status()?.0);
    Ok(())
}

fn holds(stage: &Stage) -> Result {
    let scene = Scene::set(stage, &doors())?;
    let klopfd = scene.start_on_trial(60)?;
    let mut scene = scene;
    let [(friend, stranger, server), _] = FAMILIES;
    scene.says(&["unlock"])?;
    all_open(&mut scene)?;
    klopfd.signal(Signal::HUP)?;
    scene.says(&["reload"])?;
    all_open(&mut scene)?;
    klopfd.terminate()?;
    let _klopfd = scene.start_on_trial(60)?;
    all_open(&mut scene)?;
    let status = scene.status()?;
    ensure!(status.guards() == "unlocked", "status: {}", status.0);
    let mut lock = Running::start(scene.klopf(&["lock"])?, &stage.path("trial.out"))?;
    scene.until_closed(stranger, server, SSH)?;
    scene.enter(friend, SSH)?;
    scene.peer.hold("confirming", friend, server, SSH)?;
    scene.until_closed(stranger, server, FIRM)?;
    // The other door wants to be tried as well, or it is one trial for both; each way ssh is confirmed at the latest here.
    scene.wire.knock(friend, server, &OTHER)?;
    scene.until_open(friend, server, FIRM)?;
    scene.peer.hold("confirming-too", friend, server, FIRM)?;
    let code = lock.until_ended()?;
    ensure!(code == 0, "klopf lock ended with {code}:\n{}", lock.log()?);
    ensure!(scene.status()?.guards() == "guarded", "status: {}", scene.status()?.0);
    scene.is_closed(stranger, server, SSH)
}

fn nothing(stage: &Stage) -> Result {
    let scene = Scene::set(stage, &doors())?;
    let said = scene.says(&["unlock"])?;
    ensure!(!said.trim().is_empty(), "it says nothing");
    Ok(())
}

fn by_anybody(stage: &Stage) -> Result {
    let (mut scene, klopfd) = Scene::guarded(stage, &doors())?;
    let [(_, stranger, server), _] = FAMILIES;
    // The build directory need not be open to everybody.
    let program = stage.path("klopf-copy");
    fs::copy(built("klopf")?, &program)?;
    let unlock = |stage: &Stage| -> Result<Option<i32>> {
        let mut command = stage.server.command("setpriv");
        command.args([
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            "--inh-caps=-all",
            "--bounding-set=-all",
        ]);
        command.arg(&program).arg("unlock").arg("--config").arg(stage.path("klopf.toml"));
        Ok(command.output()?.status.code())
    };
    let code = unlock(stage)?;
    ensure!(code == Some(77), "with a daemon: ended with {code:?}");
    scene.is_closed(stranger, server, FIRM)?;
    klopfd.murder()?;
    let code = unlock(stage)?;
    ensure!(code == Some(77), "without a daemon: ended with {code:?}");
    scene.is_closed(stranger, server, FIRM)?;
    until("the right user may", || Ok(scene.says(&["unlock"]).is_ok()))?;
    scene.is_open(stranger, server, FIRM)
}
