//! State on the disk that is broken, or cannot be written: what is closed stays closed, and no lease is lost.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use klopf_tests::{CLIENT4, Case, Daemon, Disk, Need, Result, Running, SERVER4, Stage, ensure};

use crate::load::grant;
use crate::scene::{FAMILIES, NEEDS, SSH, Scene, door, long_door, tells};

const GARBAGE: &[u8] = b"\xff\xfenonsense\n+ and more of it\n\0\0";

pub(crate) fn cases() -> Vec<Case> {
    let needs: Vec<Need> = NEEDS.into_iter().chain(Disk::NEEDS).collect();
    let mut cases = vec![
        Case::new("full_disk_holds_no_guard_and_no_lease_up", &NEEDS, |stage| {
            unwritable(stage, Disk::FULL, "No space left on device")
        }),
        Case::new("read_only_disk_holds_no_guard_and_no_lease_up", &NEEDS, |stage| {
            unwritable(stage, Disk::READ_ONLY, "Read-only file system")
        }),
        Case::new("a_disk_that_fills_up_loses_no_lease_over_a_restart", &needs, full_meanwhile),
        Case::new("a_disk_with_room_again_has_all_leases", &needs, room_again),
    ];
    for (name, spoil) in SPOILT {
        cases.push(Case::new(format!("state_that_is_{name}_is_said_and_loses_no_lease"), &NEEDS, move |stage| {
            spoilt(stage, spoil)
        }));
    }
    cases
}

fn unwritable(stage: &Stage, mount: &str, why: &str) -> Result {
    let state = stage.path("state");
    fs::create_dir(&state)?;
    let mut scene = Scene::set(stage, &door("ssh", "guard = [\"tcp/22\"]\nopen-for = \"4s\""))?;
    let under = ["sh", "-c", mount, &state.to_string_lossy()];
    let klopfd = Daemon::Klopfd.start_under(stage, &under)?;
    let [(friend, stranger, server), (friend6, _, server6)] = FAMILIES;
    scene.is_closed(stranger, server, SSH)?;
    scene.enter(friend, SSH)?;
    scene.enter(friend6, SSH)?;
    let said = klopfd.log()?;
    ensure!(said.lines().any(|line| line.contains(why)), "it does not say {why}:\n{said}");
    klopfd.murder()?;
    // The kernel has what the disk has not.
    let _klopfd = Daemon::Klopfd.start_under(stage, &under)?;
    scene.is_open(friend, server, SSH)?;
    scene.is_closed(stranger, server, SSH)?;
    ensure!(scene.status()?.leases() == 2, "status: {}", scene.status()?.0);
    scene.until_closed(friend, server, SSH)?;
    scene.until_closed(friend6, server6, SSH)?;
    scene.until_status("the leases end", |status| status.leases() == 0)?;
    // The way out works, too.
    scene.says(&["unlock"])?;
    scene.is_open(stranger, server, SSH)
}

/// Leases from before the disk is full and from after that; one from before has ended since.
fn fills_up(stage: &Stage) -> Result<(Scene<'_>, Disk, Running, usize)> {
    let disk = Disk::mount(stage)?;
    let mut scene = Scene::set(stage, &door("ssh", "guard = [\"tcp/22\"]\nopen-for = \"600s\""))?;
    let klopfd = disk.start(stage)?;
    for (friend, _, _) in FAMILIES {
        scene.enter(friend, SSH)?;
    }
    let [(_, stranger, server), _] = FAMILIES;
    scene.enter(stranger, SSH)?;
    disk.fill()?;
    let says_it = |log: &str| tells(log, &["journal", "No space left on device"]);
    let mut addresses = (1..=250).map(|last| Ipv4Addr::new(10, 0, 0, last));
    let mut leases = 2;
    // The journal has some room until its last block is full.
    while !says_it(&klopfd.log()?) {
        grant(stage, addresses.next().ok_or("what cannot be written is not said")?.into())?;
        leases += 1;
    }
    scene.says(&["revoke", &stranger.to_string()])?;
    scene.is_closed(stranger, server, SSH)?;
    let [(friend, _, _), _] = FAMILIES;
    scene.enter(friend, SSH)?;
    all_stand(&mut scene, leases)?;
    Ok((scene, disk, klopfd, leases))
}

fn all_stand(scene: &mut Scene<'_>, leases: usize) -> Result {
    let status = scene.status()?;
    ensure!(status.leases() == leases, "not {leases} leases but {}: {}", status.leases(), status.0);
    ensure!(scene.leases_in_kernel()? == leases, "not {leases} leases in the kernel:\n{:?}", scene.table()?);
    for (friend, stranger, server) in FAMILIES {
        scene.is_open(friend, server, SSH)?;
        scene.is_closed(stranger, server, SSH)?;
    }
    Ok(())
}

fn full_meanwhile(stage: &Stage) -> Result {
    let (mut scene, disk, klopfd, leases) = fills_up(stage)?;
    klopfd.murder()?;
    let klopfd = disk.start(stage)?;
    all_stand(&mut scene, leases)?;
    klopfd.terminate()?;
    let klopfd = disk.start(stage)?;
    all_stand(&mut scene, leases)?;
    let said = klopfd.log()?;
    ensure!(!tells(&said, &["damaged"]), "the journal is damaged:\n{said}");
    Ok(())
}

/// What is written next brings the journal up to date: it alone brings all leases back.
fn room_again(stage: &Stage) -> Result {
    let (mut scene, disk, klopfd, leases) = fills_up(stage)?;
    disk.make_room()?;
    grant(stage, Ipv4Addr::new(10, 0, 1, 1).into())?;
    klopfd.murder()?;
    stage.server.run("nft", &["flush", "ruleset"])?;
    ensure!(scene.table()?.is_none(), "the table is still there");
    let klopfd = disk.start(stage)?;
    let said = klopfd.log()?;
    ensure!(!tells(&said, &["damaged"]), "the journal is damaged:\n{said}");
    all_stand(&mut scene, leases + 1)
}

type Spoil = fn(&Path) -> Result;

const SPOILT: [(&str, Spoil); 4] =
    [("garbage", garbage), ("truncated", truncated), ("zeros", zeros), ("a_directory", directory)];

fn spoilt(stage: &Stage, spoil: Spoil) -> Result {
    let (mut scene, klopfd) = Scene::guarded(stage, &long_door(""))?;
    for (friend, _, _) in FAMILIES {
        scene.enter(friend, SSH)?;
    }
    klopfd.murder()?;
    let journal = journal(stage)?;
    spoil(&journal)?;
    let broken = fs::read(&journal).ok();
    let mut klopfd = Daemon::Klopfd.start(stage)?;
    for (friend, stranger, server) in FAMILIES {
        scene.is_open(friend, server, SSH)?;
        scene.is_closed(stranger, server, SSH)?;
    }
    ensure!(scene.status()?.leases() == 2, "status: {}", scene.status()?.0);
    klopfd.until("the log says it", |log| tells(log, &["journal"]))?;
    let Some(broken) = broken else { return Ok(()) };
    let aside = fs::read_dir(stage.path("state"))?.flatten().map(|entry| entry.path());
    let aside: Vec<PathBuf> =
        aside.filter(|path| *path != journal && fs::read(path).is_ok_and(|b| b == broken)).collect();
    ensure!(aside.len() == 1, "the broken file is not set aside: {aside:?}");
    scene.says(&["revoke", "ssh"])?;
    scene.is_closed(CLIENT4, SERVER4, SSH)?;
    // And what is written from now on is good.
    scene.enter(CLIENT4, SSH)?;
    klopfd.murder()?;
    let klopfd = Daemon::Klopfd.start(stage)?;
    scene.is_open(CLIENT4, SERVER4, SSH)?;
    let said = klopfd.log()?;
    ensure!(!tells(&said, &["journal"]), "the second start complains again:\n{said}");
    Ok(())
}

fn journal(stage: &Stage) -> Result<PathBuf> {
    let journal = stage.path("state/doors.journal");
    ensure!(journal.is_file(), "there is no {}", journal.display());
    ensure!(!fs::read(&journal)?.is_empty(), "the journal is empty");
    Ok(journal)
}

fn garbage(journal: &Path) -> Result {
    fs::write(journal, GARBAGE)?;
    Ok(())
}

fn truncated(journal: &Path) -> Result {
    let mut bytes = fs::read(journal)?;
    // In the middle of a line.
    let length = bytes.len() / 2;
    bytes.truncate(length - usize::from(bytes.get(length.wrapping_sub(1)) == Some(&b'\n')));
    fs::write(journal, bytes)?;
    Ok(())
}

/// As after a power cut.
fn zeros(journal: &Path) -> Result {
    let length = fs::read(journal)?.len();
    fs::write(journal, vec![0; length])?;
    Ok(())
}

fn directory(journal: &Path) -> Result {
    fs::remove_file(journal)?;
    fs::create_dir(journal)?;
    Ok(())
}
