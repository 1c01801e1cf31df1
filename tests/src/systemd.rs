//! A bus of its own, and somebody on it who plays systemd: see `src/bin/systemd.rs`.

use std::process::Stdio;

use crate::{Need, Result, Running, Stage, ensure, until};

/// A systemd of one unit, which runs a program on the server.
#[derive(Debug)]
pub struct Systemd {
    player: Running,
    address: String,
    _bus: Running,
}

impl Systemd {
    /// What it needs of the machine.
    pub const NEED: Need = Need::Program("dbus-daemon", "dbus-daemon");

    /// Plays with a unit that has started when its program says something; `player` is the `systemd` of this crate.
    ///
    /// # Errors
    /// If it does not come onto the bus.
    pub fn play(player: &str, stage: &Stage, unit: &str, service: &[&str]) -> Result<Self> {
        let address = format!("unix:path={}", stage.path("bus").display());
        let settings = stage.write(
            "bus.conf",
            &format!(
                "<busconfig><listen>{address}</listen><auth>EXTERNAL</auth><policy context=\"default\">\
                 <allow user=\"*\"/><allow own=\"*\"/><allow send_destination=\"*\"/><allow receive_sender=\"*\"/>\
                 </policy></busconfig>"
            ),
        )?;
        let mut bus = stage.server.command("dbus-daemon");
        bus.args(["--nofork", "--nopidfile", "--print-address=1", "--config-file"]).arg(settings);
        let mut bus = Running::start(bus, &stage.path("bus.out"))?;
        bus.until("there is a bus", |said| said.contains(&address))?;
        let mut command = stage.server.command(player);
        command.arg(unit).args(service).env("DBUS_SESSION_BUS_ADDRESS", &address).stdin(Stdio::piped());
        let mut player = Running::start(command, &stage.path("systemd.out"))?;
        player.until_says("playing")?;
        Ok(Self { player, address, _bus: bus })
    }

    /// The words under which a daemon believes that this is the host's systemd, for `Daemon::start_under`.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let bus = format!("DBUS_SYSTEM_BUS_ADDRESS={}", self.address);
        [&bus, "sh", "-c", "mkdir -p /run/systemd/system && exec \"$@\"", "sh"].map(str::to_owned).into()
    }

    /// The jobs it was asked for so far: `start` or `stop`.
    ///
    /// # Errors
    /// If its output is gone.
    pub fn asked(&self) -> Result<Vec<String>> {
        let said = self.player.log()?;
        Ok(said.lines().filter(|line| ["start", "stop"].contains(line)).map(str::to_owned).collect())
    }

    /// Waits until it was asked for the last of these jobs, and for no others.
    ///
    /// # Errors
    /// If it was not.
    pub fn until_asked(&self, jobs: &[&str]) -> Result {
        until(&format!("systemd is asked to {jobs:?}"), || Ok(self.asked()?.len() >= jobs.len()))?;
        let asked = self.asked()?;
        ensure!(asked == jobs, "systemd was asked to {asked:?} instead of {jobs:?}");
        Ok(())
    }

    /// The result of the next start: `done` lets the program run.
    ///
    /// # Errors
    /// If it has ended.
    pub fn answer(&mut self, result: &str) -> Result {
        self.player.tell(result)
    }
}
