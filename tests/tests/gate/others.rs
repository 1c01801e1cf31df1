//! Other programs that change nftables: ours is out of their reach, or restored.

use std::process::Stdio;
use std::time::Duration;

use klopf_tests::{Answer, Case, Daemon, Probes, Result, Running, Stage, ensure};

use crate::scene::{
    FAMILIES, NEEDS, PROBED, SSH, Scene, friends_and_strangers, long_door, only_friends_were_answered, tells,
};

/// What another program may do to a table that is anybody's.
const DISASTERS: [&str; 5] = [
    "flush ruleset",
    "delete table inet klopf",
    "flush chain inet klopf guard",
    "flush set inet klopf guarded",
    "flush table inet klopf",
];
/// What it may try with one that is ours.
const ATTEMPTS: [&str; 4] = [
    "delete table inet klopf",
    "flush chain inet klopf guard",
    "flush set inet klopf guarded",
    "insert rule inet klopf guard accept",
];
const RESTORED: Duration = Duration::from_millis(100);
/// On a machine that has other things to do.
const AT_WORST: Duration = Duration::from_secs(1);
const CHANCES: usize = 4;
const MARGIN: u16 = 300;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("nobody_else_can_change_an_owned_table", &NEEDS, owned),
        Case::new("a_shared_table_is_restored_within_100_ms", &NEEDS, shared),
        Case::new("a_shared_table_that_goes_while_the_daemon_is_dead_is_made_again", &NEEDS, |stage| {
            meanwhile(stage, true, "delete table inet klopf")
        }),
        Case::new("a_ruleset_flushed_while_the_daemon_is_dead_is_made_again", &NEEDS, |stage| {
            meanwhile(stage, false, "flush ruleset")
        }),
        Case::new("what_the_kernel_does_not_take_now_is_tried_again", &NEEDS, held_by_another),
    ]
}

fn owned(stage: &Stage) -> Result {
    let (mut scene, klopfd) = Scene::guarded(stage, &long_door(""))?;
    ensure!(scene.status()?.text("table") == "owned", "status: {}", scene.status()?.0);
    for (friend, _, _) in FAMILIES {
        scene.enter(friend, PROBED)?;
    }
    // One that is flushed.
    stage.server.run("nft", &["add", "table", "inet", "another"])?;
    let before = scene.table()?;
    let mut stream = scene.stream(&friends_and_strangers())?;
    stage.server.run("nft", &["flush", "ruleset"])?;
    stream.more(MARGIN)?;
    let tables = stage.server.run("nft", &["list", "tables"])?;
    ensure!(tables.trim() == "table inet klopf", "there are these tables:\n{tables}");
    for attempt in ATTEMPTS {
        let done = stage.server.output("nft", &[attempt])?;
        ensure!(!done.status.success(), "nft {attempt} is possible");
        stream.more(50)?;
    }
    only_friends_were_answered(&stream.finish()?)?;
    let without_times = |table: Option<String>| -> String {
        let text = table.unwrap_or_default();
        text.split_whitespace().filter(|word| !word.ends_with('s') && !word.ends_with("ms")).collect()
    };
    ensure!(without_times(before) == without_times(scene.table()?), "the table is changed:\n{:?}", scene.table()?);
    klopfd.terminate().map(drop)
}

fn shared(stage: &Stage) -> Result {
    let mut scene = Scene::set(stage, &long_door(""))?;
    scene.set_daemon("share-table", "true")?;
    let mut klopfd = Daemon::Klopfd.start(stage)?;
    ensure!(scene.status()?.text("table") == "shared", "status: {}", scene.status()?.0);
    for (friend, _, server) in FAMILIES {
        scene.enter(friend, PROBED)?;
        scene.peer.hold(&format!("up-{friend}"), friend, server, SSH)?;
    }
    // One stream for all: whoever gets in has a connection that stays up, so no port of it may be used twice.
    let mut stream = scene.stream(&friends_and_strangers())?;
    let mut hits = Vec::new();
    for disaster in DISASTERS {
        let before = klopfd.log()?.len();
        // The kernel alone takes some tens of milliseconds for it, and more on a machine that has other things to do.
        for _ in 0..CHANCES {
            let begun = stream.more(1)?;
            stage.server.run("nft", &[disaster])?;
            hits.push((disaster, begun, stream.more(MARGIN)?));
        }
        klopfd.until(&format!("it tells of nft {disaster}"), |log| {
            tells(log.get(before..).unwrap_or_default(), &["table", "restored"])
        })?;
        ensure!(scene.status()?.leases() == 2, "nft {disaster}: {}", scene.status()?.0);
    }
    let streams = stream.finish()?;
    for pair in streams.chunks_exact(2) {
        let [friend, stranger] = pair else { return Err("not a friend and a stranger".into()) };
        let lost = friend.iter().filter(|(_, answered)| !answered).count();
        ensure!(lost == 0, "{lost} probes with a lease were lost");
        for times in hits.chunks_exact(CHANCES) {
            let open: Vec<Duration> =
                times.iter().map(|(_, begun, over)| open_between(stranger, *begun, *over)).collect();
            ensure!(open.iter().any(|open| *open <= RESTORED), "open for {open:?}: {times:?}");
            ensure!(open.iter().all(|open| *open <= AT_WORST), "open for {open:?}: {times:?}");
        }
    }
    for (friend, stranger, server) in FAMILIES {
        scene.is_closed(stranger, server, SSH)?;
        let answer = scene.peer.says(&format!("up-{friend}"))?;
        ensure!(answer == Answer::Open, "a connection of {friend} is cut: {answer:?}");
    }
    // What is restored is a lease like the first: it can be ended.
    scene.says(&["revoke", "ssh"])?;
    for (friend, _, server) in FAMILIES {
        scene.is_closed(friend, server, SSH)?;
    }
    Ok(())
}

/// From the first answer to the last between two times.
fn open_between(probes: &Probes, begun: Duration, over: Duration) -> Duration {
    let inside = probes.iter().filter(|(sent, answered)| *answered && (begun..over).contains(sent));
    let mut answered = inside.map(|(sent, _)| *sent);
    let first = answered.next().unwrap_or_default();
    answered.next_back().unwrap_or(first) - first
}

/// A table without its owner is anybody's; the journal knows what was in it.
fn meanwhile(stage: &Stage, shared: bool, loss: &str) -> Result {
    let mut scene = Scene::set(stage, &long_door(""))?;
    scene.set_daemon("share-table", &shared.to_string())?;
    let klopfd = Daemon::Klopfd.start(stage)?;
    for (friend, _, _) in FAMILIES {
        scene.enter(friend, SSH)?;
    }
    klopfd.murder()?;
    stage.server.run("nft", &[loss])?;
    ensure!(scene.table()?.is_none(), "the table is still there");
    let _klopfd = Daemon::Klopfd.start(stage)?;
    for (friend, stranger, server) in FAMILIES {
        scene.is_closed(stranger, server, SSH)?;
        scene.is_open(friend, server, SSH)?;
    }
    ensure!(scene.status()?.leases() == 2, "status: {}", scene.status()?.0);
    Ok(())
}

/// Another program owns a table of that name, and nobody else may change it while that lives.
fn held_by_another(stage: &Stage) -> Result {
    let mut scene = Scene::set(stage, &long_door(""))?;
    scene.set_daemon("share-table", "true")?;
    let mut klopfd = Daemon::Klopfd.start(stage)?;
    let (friend, stranger, server) = FAMILIES[0];
    scene.enter(friend, SSH)?;
    let mut nft = stage.server.command("nft");
    nft.arg("-i").stdin(Stdio::piped());
    let mut other = Running::start(nft, &stage.path("nft.out"))?;
    // In one batch, so that klopfd finds no moment between them.
    other.tell("delete table inet klopf; add table inet klopf { flags owner; }")?;
    klopfd.until("it cannot restore the table", |log| tells(log, &["kernel's firewall", "belongs to process"]))?;
    scene.is_open(stranger, server, SSH)?;
    other.murder()?;
    scene.until_closed(stranger, server, SSH)?;
    scene.is_open(friend, server, SSH)
}
