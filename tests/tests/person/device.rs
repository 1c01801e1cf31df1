//! The server that invites a person's device.

use std::process::Output;

use klopf_tests::{Daemon, Need, Result, Running, Sshd, Stage, built, configure_klopfd, ensure, succeeded};
pub(crate) use klopf_tests::{Device, said};

/// The server's name, which both sides know by /etc/hosts of their own.
pub(crate) const SERVER: &str = "host.test";
/// Long enough to connect, too short for the next test of the same test.
pub(crate) const DOOR: &str = "[door.ssh]\nguard = [\"tcp/22\"]\nopen-for = \"30s\"\n";

/// What all of these tests need.
pub(crate) const NEEDS: [Need; 4] = [Sshd::NEEDS[0], Sshd::NEEDS[1], Sshd::NEEDS[2], Need::Program("nft", "nftables")];

/// The server: OpenSSH behind a door, and klopfd.
pub(crate) struct Server<'a> {
    stage: &'a Stage,
    pub(crate) klopfd: Running,
    pub(crate) sshd: Sshd,
    _running: Running,
}

impl<'a> Server<'a> {
    /// Guards its port with these doors.
    pub(crate) fn guarded(stage: &'a Stage, doors: &str) -> Result<Self> {
        let sshd = Sshd::prepare(stage)?;
        let mut start = stage.server.daemon(&sshd.init);
        start.arg("start");
        let running = Running::start(start, &stage.path("sshd.out"))?;
        stage.server.until_listens(22, true)?;
        configure_klopfd(stage, &["eth0"], doors)?;
        let klopfd = Daemon::Klopfd.start(stage)?;
        Ok(Self { stage, klopfd, sshd, _running: running })
    }

    /// Runs `klopf` there.
    pub(crate) fn klopf(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.stage.server.command(built("klopf")?);
        command.args(arguments).arg("--config").arg(self.stage.path("klopf.toml"));
        Ok(command.output()?)
    }

    /// Runs `klopf` there, which must succeed, and returns what it prints.
    pub(crate) fn says(&self, arguments: &[&str]) -> Result<String> {
        succeeded(&format!("klopf {arguments:?}"), &self.klopf(arguments)?)
    }

    /// Invites somebody; the line.
    pub(crate) fn invite(&self, arguments: &[&str]) -> Result<String> {
        let line = self.says(&[&["invite"], arguments].concat())?;
        let line = line.trim();
        ensure!(line.starts_with("klopf:") && line.lines().count() == 1, "not one line: {line:?}");
        Ok(line.to_owned())
    }

    /// Ends all leases, so that the next connection is a first one.
    pub(crate) fn close(&self) -> Result {
        self.says(&["revoke", "ssh"]).map(drop)
    }
}
