//! Restarts and reloads cut nothing and open nothing: watched by a thousand new connections a second from each side.

use std::fs;

use klopf_tests::{
    Answer, CLIENT4, CLIENT6, Case, Daemon, Result, Running, SERVER4, SERVER6, Service, Signal, Stage, ensure, until,
};

use crate::scene::{
    FAMILIES, NEEDS, PROBED, SSH, Scene, door, door_of, friends_and_strangers, klopf, long_door,
    only_friends_were_answered, time,
};

const OTHER: [u16; 3] = [5001, 5003, 5002];
const OPEN_IF_DEAD: &str = "if-klopfd-dies = \"open\"";
/// Probes before and after what happens.
const MARGIN: u16 = 300;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, lines) in [("", ""), ("_if_klopfd_dies_open", OPEN_IF_DEAD)] {
        cases.extend([
            Case::new(format!("restart_cuts_nothing_and_opens_nothing{name}"), &NEEDS, move |stage| {
                watched(stage, lines, told_to_end)
            }),
            Case::new(format!("kill_and_start_cut_nothing_and_open_nothing{name}"), &NEEDS, move |stage| {
                watched(stage, lines, killed)
            }),
            Case::new(format!("reload_cuts_nothing_and_opens_nothing{name}"), &NEEDS, move |stage| {
                watched(stage, lines, reloaded)
            }),
        ]);
    }
    cases.extend([
        Case::new("another_version_takes_over_and_cuts_nothing_and_opens_nothing", &NEEDS, |stage| {
            watched(stage, "", replaced)
        }),
        Case::new("a_restart_adopts_leases_with_their_time", &NEEDS, adopted),
        Case::new("a_restart_clears_away_what_is_configured_no_more", &NEEDS, cleared),
        Case::new("a_reload_changes_guards_and_keeps_leases", &NEEDS, changed),
        Case::new("connections_from_before_the_first_start_are_never_cut", &NEEDS, from_before),
    ]);
    cases
}

type Change = fn(&Stage, Running) -> Result<Running>;

fn watched(stage: &Stage, lines: &str, change: Change) -> Result {
    let (mut scene, mut klopfd) = Scene::guarded(stage, &long_door(lines))?;
    for (friend, _, server) in FAMILIES {
        scene.enter(friend, PROBED)?;
        scene.peer.hold(&format!("busy-{friend}"), friend, server, SSH)?;
        scene.peer.hold(&format!("idle-{friend}"), friend, server, SSH)?;
    }
    let mut stream = scene.stream(&friends_and_strangers())?;
    stream.more(MARGIN)?;
    for _ in 0..2 {
        klopfd = change(stage, klopfd)?;
        for (friend, _, _) in FAMILIES {
            let answer = scene.peer.says(&format!("busy-{friend}"))?;
            ensure!(answer == Answer::Open, "a connection of {friend} is cut: {answer:?}");
        }
        stream.more(MARGIN)?;
    }
    only_friends_were_answered(&stream.finish()?)?;
    for (friend, _, _) in FAMILIES {
        let answer = scene.peer.says(&format!("idle-{friend}"))?;
        ensure!(answer == Answer::Open, "an idle connection of {friend} is cut: {answer:?}");
    }
    let status = scene.status()?;
    ensure!(status.guards() == "guarded" && status.leases() == 2, "status: {}", status.0);
    klopfd.terminate().map(drop)
}

fn told_to_end(stage: &Stage, klopfd: Running) -> Result<Running> {
    let code = klopfd.terminate()?;
    ensure!(code == 0, "klopfd ended with {code}");
    Daemon::Klopfd.start(stage)
}

fn killed(stage: &Stage, klopfd: Running) -> Result<Running> {
    klopfd.murder()?;
    Daemon::Klopfd.start(stage)
}

fn replaced(stage: &Stage, klopfd: Running) -> Result<Running> {
    klopfd.terminate()?;
    let program = stage.path("klopfd-new");
    fs::copy(Daemon::Klopfd.program()?, &program)?;
    let mut command = stage.server.daemon(&program);
    command.arg("--config").arg(stage.path("klopf.toml"));
    let mut klopfd = Running::start(command, &stage.path("klopfd.out"))?;
    klopfd.until_says("ready")?;
    Ok(klopfd)
}

/// Another door comes or goes with each reload, so that there is something to change.
fn reloaded(stage: &Stage, klopfd: Running) -> Result<Running> {
    let config = stage.path("klopf.toml");
    let before = fs::read_to_string(&config)?;
    let other = door_of("other", &OTHER, "guard = [\"tcp/443\"]");
    let after = before.strip_suffix(&other).map_or_else(|| format!("{before}{other}"), str::to_owned);
    let comes = after.len() > before.len();
    fs::write(config, after)?;
    klopfd.signal(Signal::HUP)?;
    until(&format!("a reload after which the other door is there: {comes}"), || {
        let done = klopf(stage, &["status", "--json"])?.output()?;
        Ok(String::from_utf8_lossy(&done.stdout).contains("\"other\"") == comes)
    })?;
    Ok(klopfd)
}

fn adopted(stage: &Stage) -> Result {
    let (mut scene, klopfd) = Scene::guarded(stage, &long_door(""))?;
    for (friend, _, _) in FAMILIES {
        scene.enter(friend, SSH)?;
    }
    let before = scene.status()?;
    klopfd.murder()?;
    let klopfd = Daemon::Klopfd.start(stage)?;
    let after = scene.status()?;
    ensure!(after.leases() == 2, "status: {}", after.0);
    for (friend, _, server) in FAMILIES {
        let (before, after) = (time(before.lease(friend)?, "left-ms")?, time(after.lease(friend)?, "left-ms")?);
        ensure!(
            after <= before && before - after < std::time::Duration::from_secs(20),
            "{before:?}, and then {after:?}"
        );
        scene.is_open(friend, server, SSH)?;
    }
    // It is a lease as any other: renewed, and revoked.
    scene.knock(CLIENT4)?;
    scene.until_status("an adopted lease is renewed", |status| {
        let left = |status: &crate::scene::Status| status.lease(CLIENT4).and_then(|lease| time(lease, "left-ms")).ok();
        status.leases() == 2 && left(status) > left(&after)
    })?;
    scene.says(&["revoke", "ssh"])?;
    for (friend, _, server) in FAMILIES {
        scene.is_closed(friend, server, SSH)?;
    }
    ensure!(scene.leases_in_kernel()? == 0, "left over:\n{:?}", scene.table()?);
    klopfd.terminate().map(drop)
}

fn cleared(stage: &Stage) -> Result {
    let two = [
        door("ssh", "guard = [\"tcp/22\"]\nopen-for = \"600s\""),
        door_of("web", &OTHER, "guard = [\"tcp/443\"]\nopen-for = \"600s\""),
    ];
    let [ssh, web] = &two;
    let (mut scene, klopfd) = Scene::guarded(stage, &two.concat())?;
    scene.enter(CLIENT4, SSH)?;
    scene.says(&["grant", "web", "10.99.0.2"])?;
    klopfd.terminate()?;
    scene.configure(ssh)?;
    let klopfd = Daemon::Klopfd.start(stage)?;
    let [(friend, stranger, server), _] = FAMILIES;
    scene.is_open(stranger, server, Service::Tcp(443))?;
    scene.is_open(friend, server, SSH)?;
    scene.is_closed(stranger, server, SSH)?;
    ensure!(scene.status()?.leases() == 1 && scene.leases_in_kernel()? == 1, "left over:\n{:?}", scene.table()?);
    klopfd.terminate()?;
    // A lease that is gone does not come back with its door.
    scene.configure(&format!("{web}{}", door("note", &format!("on-open = [{:?}]", stage.note()?))))?;
    let klopfd = Daemon::Klopfd.start(stage)?;
    scene.is_closed(friend, server, Service::Tcp(443))?;
    scene.is_open(stranger, server, SSH)?;
    klopfd.terminate()?;
    scene.configure(&door("note", &format!("on-open = [{:?}]", stage.note()?)))?;
    let _klopfd = Daemon::Klopfd.start(stage)?;
    scene.is_open(stranger, server, Service::Tcp(443))?;
    ensure!(scene.table()?.is_none(), "nothing is guarded, and there is a table:\n{:?}", scene.table()?);
    Ok(())
}

fn changed(stage: &Stage) -> Result {
    let (mut scene, mut klopfd) = Scene::guarded(stage, &door("ssh", "guard = [\"tcp/22\"]\nopen-for = \"600s\""))?;
    let [(friend, stranger, server), _] = FAMILIES;
    scene.enter(friend, SSH)?;
    let wider = "guard = [\"tcp/22\", \"tcp/443\"]\nopen-for = \"600s\"";
    scene.configure(&door("ssh", wider))?;
    klopfd.signal(Signal::HUP)?;
    // Somebody who is connected just then would be a reason for a trial.
    klopfd.until("it is in force", |log| log.contains("the new configuration is in force"))?;
    scene.until_closed(stranger, server, Service::Tcp(443))?;
    scene.is_open(friend, server, SSH)?;
    scene.enter(friend, Service::Tcp(443))?;
    // Without `reload --confirm` a change is for good.
    ensure!(scene.status()?.guards() == "guarded", "status: {}", scene.status()?.0);
    scene.configure(&door("ssh", "guard = [\"tcp/443\"]\nopen-for = \"600s\""))?;
    scene.says(&["reload"])?;
    scene.is_open(stranger, server, SSH)?;
    scene.is_open(friend, server, Service::Tcp(443))?;
    scene.is_closed(stranger, server, Service::Tcp(443))
}

/// No rule needed connections to be tracked when these were made, and one of them says nothing for a long time.
fn from_before(stage: &Stage) -> Result {
    let mut scene = Scene::set(stage, &long_door(""))?;
    for (name, from, to) in [
        ("busy4", CLIENT4, SERVER4),
        ("idle4", CLIENT4, SERVER4),
        ("busy6", CLIENT6, SERVER6),
        ("idle6", CLIENT6, SERVER6),
    ] {
        scene.peer.hold(name, from, to, SSH)?;
    }
    // Somebody is there, so this is a trial, and a long one.
    let klopfd = scene.start_on_trial(600)?;
    let up = |scene: &mut Scene<'_>, names: &[&str]| -> Result {
        for name in names {
            let answer = scene.peer.says(name)?;
            ensure!(answer == Answer::Open, "{name} is cut: {answer:?}");
        }
        scene.is_closed(CLIENT4, SERVER4, SSH)?;
        scene.is_closed(CLIENT6, SERVER6, SSH)
    };
    up(&mut scene, &["busy4", "busy6"])?;
    klopfd.terminate()?;
    up(&mut scene, &["busy4", "busy6"])?;
    let _klopfd = scene.start_on_trial(600)?;
    up(&mut scene, &["busy4", "idle4", "busy6", "idle6"])
}
