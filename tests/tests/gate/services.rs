//! Services that run only while somebody is let in: by systemd, or by commands.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use klopf_tests::{
    Answer, CLIENT4, CLIENT6, Case, Daemon, Need, Result, Running, SERVER4, SERVER6, Service, Signal, Stage, Systemd,
    ensure, until,
};

use crate::scene::{NEEDS, Scene, door, tells};

const PEER: &str = env!("CARGO_BIN_EXE_peer");
const SYSTEMD: &str = env!("CARGO_BIN_EXE_systemd");
const UNIT: &str = "echo.service";
/// A port that nothing serves but the unit.
const PORT: u16 = 2222;
const ECHO: Service = Service::Tcp(PORT);
/// More than two looks at what is connected.
const A_WHILE: Duration = Duration::from_secs(3);

pub(crate) fn cases() -> Vec<Case> {
    let needs: Vec<Need> = NEEDS.into_iter().chain([Systemd::NEED]).collect();
    let case = |name: &str, play: fn(&Stage) -> Result| Case::new(name, &needs, play);
    vec![
        case("a_service_runs_only_while_somebody_is_let_in_or_connected", whole),
        case("a_service_outlives_a_daemon_that_is_killed_and_is_stopped_in_the_end", killed),
        case("a_service_is_stopped_whose_last_lease_ended_while_the_daemon_was_dead", ended_meanwhile),
        case("a_service_is_stopped_whose_daemon_was_killed_while_it_started", killed_early),
        case("a_service_that_does_not_start_is_said_and_lets_in_all_the_same", fails),
        Case::new("without_systemd_commands_start_and_stop_a_service", &NEEDS, commands),
    ]
}

/// A stage with a systemd on it; nothing runs yet.
fn set<'a>(stage: &'a Stage, open_for: &str) -> Result<(Scene<'a>, Systemd)> {
    let lines = format!("guard = [\"{ECHO}\"]\nopen-for = \"{open_for}\"\nstart = \"{UNIT}\"");
    let scene = Scene::set(stage, &door("echo", &lines))?;
    let systemd = Systemd::play(SYSTEMD, stage, UNIT, &[PEER, "serve", &PORT.to_string()])?;
    Ok((scene, systemd))
}

fn start(stage: &Stage, systemd: &Systemd) -> Result<Running> {
    let words = systemd.words();
    Daemon::Klopfd.start_under(stage, &words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Connects again and again until that succeeds; nobody must be refused meanwhile.
fn comes_in(scene: &mut Scene<'_>, from: IpAddr, to: IpAddr) -> Result {
    until(&format!("{ECHO} of {to} is open to {from}"), || match scene.peer.connects(from, to, ECHO)? {
        Answer::Open => Ok(true),
        Answer::Silent => Ok(false),
        answer => Err(format!("a connection of {from} met {answer:?}").into()),
    })
}

/// Nothing more than this is asked for in a while.
fn stays(systemd: &Systemd, jobs: &[&str]) -> Result {
    let begun = Instant::now();
    until("a while has passed", || {
        ensure!(systemd.asked()? == jobs, "systemd is asked to {:?}", systemd.asked()?);
        Ok(begun.elapsed() > A_WHILE)
    })
}

fn whole(stage: &Stage) -> Result {
    let (mut scene, mut systemd) = set(stage, "600s")?;
    let klopfd = start(stage, &systemd)?;
    let mut asked = Vec::new();
    for _ in 0..2 {
        scene.is_closed(CLIENT4, SERVER4, ECHO)?;
        systemd.until_asked(&asked)?;
        scene.knock(CLIENT4)?;
        asked.push("start");
        systemd.until_asked(&asked)?;
        // Nobody is let in to a service that does not listen yet: not who has knocked, and not who knocks meanwhile.
        scene.is_closed(CLIENT4, SERVER4, ECHO)?;
        scene.knock(CLIENT6)?;
        scene.until_status("two leases", |status| status.leases() == 2)?;
        scene.is_closed(CLIENT6, SERVER6, ECHO)?;
        ensure!(scene.leases_in_kernel()? == 0, "let in already:\n{:?}", scene.table()?);
        systemd.answer("done")?;
        comes_in(&mut scene, CLIENT4, SERVER4)?;
        comes_in(&mut scene, CLIENT6, SERVER6)?;
        // Who comes later does not start it again.
        scene.says(&["revoke", &CLIENT4.to_string()])?;
        scene.is_closed(CLIENT4, SERVER4, ECHO)?;
        scene.knock(CLIENT4)?;
        comes_in(&mut scene, CLIENT4, SERVER4)?;

        scene.peer.hold("last", CLIENT6, SERVER6, ECHO)?;
        scene.says(&["revoke", &CLIENT6.to_string()])?;
        stays(&systemd, &asked)?;
        scene.says(&["revoke", "echo"])?;
        ensure!(scene.status()?.leases() == 0, "status: {}", scene.status()?.0);
        stays(&systemd, &asked)?;
        let answer = scene.peer.says("last")?;
        ensure!(answer == Answer::Open, "the last connection is cut: {answer:?}");
        scene.peer.close("last")?;
        asked.push("stop");
        systemd.until_asked(&asked)?;
        stage.server.until_listens(PORT, false)?;
    }
    let said = klopfd.log()?;
    ensure!(!tells(&said, &["needs systemd"]) && !tells(&said, &["cannot"]), "it complains:\n{said}");
    klopfd.terminate().map(drop)
}

fn killed(stage: &Stage) -> Result {
    let (mut scene, mut systemd) = set(stage, "600s")?;
    let klopfd = start(stage, &systemd)?;
    scene.knock(CLIENT4)?;
    systemd.answer("done")?;
    comes_in(&mut scene, CLIENT4, SERVER4)?;
    klopfd.murder()?;
    scene.peer.hold("last", CLIENT4, SERVER4, ECHO)?;
    let klopfd = start(stage, &systemd)?;
    scene.knock(CLIENT6)?;
    comes_in(&mut scene, CLIENT6, SERVER6)?;
    stays(&systemd, &["start"])?;
    scene.says(&["revoke", "echo"])?;
    stays(&systemd, &["start"])?;
    scene.peer.close("last")?;
    systemd.until_asked(&["start", "stop"])?;
    stage.server.until_listens(PORT, false)?;
    klopfd.terminate().map(drop)
}

fn ended_meanwhile(stage: &Stage) -> Result {
    let (mut scene, mut systemd) = set(stage, "3s")?;
    let klopfd = start(stage, &systemd)?;
    scene.knock(CLIENT4)?;
    systemd.answer("done")?;
    comes_in(&mut scene, CLIENT4, SERVER4)?;
    klopfd.murder()?;
    scene.until_closed(CLIENT4, SERVER4, ECHO)?;
    ensure!(stage.server.listens(PORT)?, "it has stopped by itself");
    let klopfd = start(stage, &systemd)?;
    systemd.until_asked(&["start", "stop"])?;
    stage.server.until_listens(PORT, false)?;
    klopfd.terminate().map(drop)
}

fn killed_early(stage: &Stage) -> Result {
    let (mut scene, mut systemd) = set(stage, "600s")?;
    let mut klopfd = start(stage, &systemd)?;
    scene.knock(CLIENT4)?;
    systemd.until_asked(&["start"])?;
    // Not `murder`: who waits for systemd lives on.
    klopfd.signal(Signal::KILL)?;
    klopfd.until_ended()?;
    scene.is_closed(CLIENT4, SERVER4, ECHO)?;
    let klopfd = start(stage, &systemd)?;
    scene.is_closed(CLIENT4, SERVER4, ECHO)?;
    systemd.answer("done")?;
    comes_in(&mut scene, CLIENT4, SERVER4)?;
    scene.says(&["revoke", "echo"])?;
    until("it is stopped", || Ok(systemd.asked()?.last().is_some_and(|job| job == "stop")))?;
    stage.server.until_listens(PORT, false)?;
    klopfd.terminate().map(drop)
}

fn fails(stage: &Stage) -> Result {
    let (mut scene, mut systemd) = set(stage, "600s")?;
    let mut klopfd = start(stage, &systemd)?;
    scene.knock(CLIENT4)?;
    systemd.answer("failed")?;
    // Nothing listens, so that is how one sees that the guard lets through.
    until("he is let in", || Ok(scene.peer.connects(CLIENT4, SERVER4, ECHO)? == Answer::Refused))?;
    klopfd.until("the log says it", |log| tells(log, &["start", UNIT, "failed"]))?;
    scene.is_closed(CLIENT6, SERVER6, ECHO)?;
    // The next one who comes is a reason to try again.
    scene.knock(CLIENT6)?;
    systemd.until_asked(&["start", "start"])?;
    scene.is_closed(CLIENT6, SERVER6, ECHO)?;
    systemd.answer("done")?;
    comes_in(&mut scene, CLIENT6, SERVER6)?;
    scene.is_open(CLIENT4, SERVER4, ECHO)?;
    scene.says(&["revoke", "echo"])?;
    systemd.until_asked(&["start", "start", "stop"])
}

fn commands(stage: &Stage) -> Result {
    let serve = format!(
        "cd {} && mkfifo said && {{ {PEER} serve {PORT} > said & }} && echo $! > served.pid && read -r _ < said",
        stage.path("").display(),
    );
    let stop = format!("cd {} && kill \"$(cat served.pid)\" && rm said", stage.path("").display());
    let (open, close) = (stage.script("open", &serve)?, stage.script("close", &stop)?);
    let lines = format!(
        "guard = [\"{ECHO}\"]\nopen-for = \"600s\"\nstart = \"{UNIT}\"\non-open = [{open:?}]\non-close = [{close:?}]"
    );
    let (mut scene, mut klopfd) = Scene::guarded(stage, &door("echo", &lines))?;
    klopfd.until("what is missing is said at the start", |log| tells(log, &["start", "systemd", "on-open"]))?;
    for _ in 0..2 {
        ensure!(!stage.server.listens(PORT)?, "it runs though nobody is let in");
        scene.enter(CLIENT4, ECHO)?;
        klopfd.until("and when it is needed", |log| tells(log, &["cannot start", UNIT]))?;
        scene.is_closed(CLIENT6, SERVER6, ECHO)?;
        scene.says(&["revoke", "echo"])?;
        stage.server.until_listens(PORT, false)?;
    }
    Ok(())
}
