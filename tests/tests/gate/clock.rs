//! The wall clock is set a year ahead, and a year back: leases end by the time that passes.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use klopf_tests::{CLIENT4, Case, Daemon, Need, Result, SERVER4, Service, Stage, ensure, until};

use crate::scene::{NEEDS, SSH, Scene, door, door_of};

const HTTPS: Service = Service::Tcp(443);
const OTHER: [u16; 3] = [5001, 5003, 5002];
const OPEN_FOR: Duration = Duration::from_secs(2);

pub(crate) fn cases() -> Vec<Case> {
    let needs: Vec<Need> = NEEDS.into_iter().chain([Need::Program("faketime", "faketime")]).collect();
    vec![Case::new("a_clock_that_is_set_changes_nothing", &needs, clock)]
}

fn clock(stage: &Stage) -> Result {
    let short = door("ssh", "guard = [\"tcp/22\"]\nopen-for = \"2s\"");
    let long = door_of("web", &OTHER, "guard = [\"tcp/443\"]\nopen-for = \"600s\"");
    let mut scene = Scene::set(stage, &format!("{short}{long}"))?;
    let set = |offset: &str| stage.write("clock", offset).map(drop);
    set("+0")?;
    let preload = format!("LD_PRELOAD={}", library()?.display());
    let file = format!("FAKETIME_TIMESTAMP_FILE={}", stage.path("clock").display());
    let words = ["env", &preload, &file, "FAKETIME_NO_CACHE=1", "DONT_FAKE_MONOTONIC=1"];
    let mut klopfd = Daemon::Klopfd.start_under(stage, &words)?;
    scene.wire.knock(CLIENT4, SERVER4, &OTHER)?;
    scene.until_open(CLIENT4, SERVER4, HTTPS)?;

    let mut stamps = Vec::new();
    for offset in ["+365d", "-365d"] {
        scene.enter(CLIENT4, SSH)?;
        let entered = Instant::now();
        set(offset)?;
        scene.is_open(CLIENT4, SERVER4, SSH)?;
        scene.until_closed(CLIENT4, SERVER4, SSH)?;
        let open = entered.elapsed();
        let about = OPEN_FOR - Duration::from_millis(500)..OPEN_FOR + Duration::from_secs(2);
        ensure!(about.contains(&open), "with the clock at {offset} it was open for {open:?}");
        scene.is_open(CLIENT4, SERVER4, HTTPS)?;
        klopfd.until("the end is in the log", |log| {
            log.lines().filter(|line| line.contains("closing")).count() > stamps.len()
        })?;
        stamps.extend(klopfd.log()?.lines().rfind(|line| line.contains("closing")).map(year));
    }
    // The daemon has believed it.
    ensure!(
        matches!(stamps.as_slice(), [Some(ahead), Some(back)] if *ahead == back + 2),
        "years in the log: {stamps:?}"
    );

    // A daemon that starts with the clock set back takes over what is left of a lease, and no more.
    klopfd.murder()?;
    let klopfd = Daemon::Klopfd.start_under(stage, &words)?;
    scene.is_open(CLIENT4, SERVER4, HTTPS)?;
    let status = scene.status()?;
    let left = crate::scene::time(status.lease(CLIENT4)?, "left-ms")?;
    ensure!(left <= Duration::from_secs(600) && left > Duration::from_secs(500), "left: {left:?}");
    scene.enter(CLIENT4, SSH)?;
    until("the short lease ends", || Ok(scene.status()?.leases() == 1))?;
    klopfd.terminate().map(drop)
}

/// The year that a line of the log begins with.
fn year(line: &str) -> Option<u32> {
    line.split('-').next()?.parse().ok()
}

/// What makes a program see another time.
fn library() -> Result<PathBuf> {
    let directories = fs::read_dir("/usr/lib")?.flatten().map(|entry| entry.path());
    let mut found = directories.map(|path| path.join("faketime/libfaketime.so.1")).filter(|path| path.is_file());
    Ok(found.next().ok_or("libfaketime.so.1 is nowhere in /usr/lib")?)
}
