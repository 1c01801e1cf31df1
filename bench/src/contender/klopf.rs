//! klopfd, which guards the port by itself.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::{GUARDED, SEQUENCE, Started, WITHIN, daemon, hits, output, words};
use crate::error::{Error, Result};
use crate::lab::{CLIENT, Lab, SERVER, SERVER_LINK};
use crate::sealer::Sealer;
use crate::user::Client;

/// How long it may take until it is ready.
const READY: Duration = Duration::from_secs(120);
/// Doors besides the one that is measured guard ports from here on.
const OTHER_GUARDED: u16 = 10_000;

/// What it is configured with.
#[derive(Clone)]
pub(crate) struct Setup {
    /// Who has keys; without any it opens to a sequence.
    pub(crate) sealer: Option<Sealer>,
    /// How many doors there are, 10,000 at most.
    pub(crate) doors: u16,
    /// Seconds from the first hit to the last.
    pub(crate) within: u32,
}

impl Setup {
    /// One door that opens to a sequence.
    pub(crate) const SEQUENCE: Self = Self { sealer: None, doors: 1, within: WITHIN };

    /// One door that opens to a packet.
    pub(crate) fn sealed(sealer: Sealer) -> Self {
        Self { sealer: Some(sealer), ..Self::SEQUENCE }
    }

    /// The file, with logs on standard error and all that is kept in the scratch directory.
    fn text(&self, dir: &Path) -> String {
        let dir = dir.display();
        let mut text = format!(
            "[daemon]\ninterfaces = [\"{SERVER_LINK}\"]\nlog = \"stderr\"\nstate-dir = \"{dir}/state\"\n\
             runtime-dir = \"{dir}/run\"\n"
        );
        if self.sealer.is_some() {
            let _ = writeln!(text, "[packet]\nport = {}", Sealer::PORT);
        }
        let _ = writeln!(text, "[door.bench]\nguard = [\"tcp/{GUARDED}\"]\nopen-for = \"1h\"");
        if self.sealer.is_none() {
            let _ = writeln!(text, "{}", sequence(SEQUENCE, self.within));
        }
        for other in 1..self.doors {
            let guarded = OTHER_GUARDED + other;
            let _ = writeln!(
                text,
                "[door.other-{other}]\nguard = [\"tcp/{guarded}\"]\n{}",
                sequence(others(other), self.within)
            );
        }
        text
    }
}

/// The sequence of one of the other doors, each of which begins at a port of its own.
pub(crate) fn others(door: u16) -> [u16; 3] {
    let at = |factor: u16| 21_000 + (u32::from(door) * u32::from(factor) % 40_009) as u16;
    [at(3), at(7919), at(104)]
}

fn sequence(ports: [u16; 3], within: u32) -> String {
    let ports = ports.map(|port| format!("\"{port}\"")).join(", ");
    format!("sequence = [{ports}]\nwithin = \"{within}s\"")
}

pub(super) fn start(lab: &Lab, bin: &Path, setup: &Setup) -> Result<Started> {
    let config = lab.write("klopf.toml", &setup.text(lab.dir()))?;
    setup.sealer.as_ref().map_or(Ok(()), |sealer| sealer.write(lab.dir()))?;
    let mut child = daemon(lab, &bin.join("klopfd"), &["--config", &config])?;
    let begin = Instant::now();
    while !fs::read_to_string(output(lab)).unwrap_or_default().lines().any(|line| line == "ready") {
        if begin.elapsed() > READY || !matches!(child.try_wait(), Ok(None)) {
            let _ = child.kill();
            let said = fs::read_to_string(output(lab)).unwrap_or_default();
            return Err(Error::Program(format!("klopfd does not become ready\n{said}")));
        }
        thread::sleep(Duration::from_millis(5));
    }
    let klopf = bin.join("klopf");
    let client = if setup.sealer.is_some() {
        Client::Klopf { program: klopf.clone(), config: PathBuf::from(&config) }
    } else {
        let words = hits("klopf", &["knock"]);
        Client::Command { program: klopf.clone(), words }
    };
    let revoke = |what: &str| words(&[&klopf.display().to_string(), "revoke", "--config", &config, what]);
    let (shut, shut_prober) = (revoke("bench"), Some(revoke(&CLIENT.to_string())));
    Ok(Started { child: Some(child), shut, shut_prober, client })
}

/// Invites a user; the line that is to be given to `klopf join`.
pub(crate) fn invite(lab: &Lab, program: &Path, config: &Path, user: u8) -> Result<Vec<u8>> {
    let (program, config) = (program.display().to_string(), config.display().to_string());
    let (name, host) = (format!("user-{user}"), SERVER.to_string());
    lab.run_on_server(&words(&[&program, "invite", "--config", &config, "--door", "bench", "--endpoint", &host, &name]))
}
