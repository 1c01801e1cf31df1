//! A person's device: a host with folders of its own for `klopf` and `ssh`; and the server that invites it.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use klopf_tests::{Daemon, Host, Need, Result, Running, Sshd, Stage, built, configure_klopfd, ensure};

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

/// A device with a home of its own.
pub(crate) struct Device<'a> {
    pub(crate) host: &'a Host,
    home: PathBuf,
    hosts: PathBuf,
}

impl<'a> Device<'a> {
    /// `hosts` are the lines that say where [`SERVER`] is.
    pub(crate) fn new(stage: &Stage, host: &'a Host, name: &str, hosts: &str) -> Result<Self> {
        let home = stage.path(name);
        std::fs::create_dir(&home)?;
        let hosts = stage.write(&format!("{name}.hosts"), &format!("127.0.0.1 localhost\n{hosts}\n"))?;
        Ok(Self { host, home, hosts })
    }

    /// A program of this person's.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = self.host.command("sh");
        // "ip netns exec" has made the mount namespace.
        command.args(["-c", "mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"", "sh"]).arg(&self.hosts);
        command.arg(program).env("HOME", &self.home);
        for folder in ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"] {
            command.env_remove(folder);
        }
        command
    }

    /// `klopf` with these arguments.
    pub(crate) fn klopf(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = self.command(&built("klopf")?.display().to_string());
        command.args(arguments);
        Ok(command)
    }

    /// Runs `klopf`, which must succeed, and returns what it prints.
    pub(crate) fn says(&self, arguments: &[&str]) -> Result<String> {
        succeeded(&format!("klopf {arguments:?}"), &self.klopf(arguments)?.output()?)
    }

    /// Runs `klopf`, which must end with an exit code; what it says on stdout and stderr.
    pub(crate) fn ends(&self, arguments: &[&str], code: i32) -> Result<String> {
        let done = self.klopf(arguments)?.output()?;
        let said = said(&done);
        ensure!(done.status.code() == Some(code), "klopf {arguments:?}: {} instead of {code}\n{said}", done.status);
        Ok(said)
    }

    /// Takes an invitation.
    pub(crate) fn join(&self, line: &str) -> Result<String> {
        self.says(&["join", line])
    }

    /// Puts into the ssh configuration what `klopf ssh-config` prints, and what a test needs besides.
    pub(crate) fn configure_ssh(&self, sshd: &Sshd, profile: &str) -> Result {
        let block = self.says(&["ssh-config", profile])?;
        let rest = format!(
            "Host *\n  User root\n  IdentityFile {}\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  \
             BatchMode yes\n  LogLevel ERROR\n",
            sshd.key.display()
        );
        Ok(std::fs::write(self.home.join("ssh_config"), format!("{block}\n{rest}"))?)
    }

    /// `ssh`, `scp` or `sftp` with that configuration.
    pub(crate) fn ssh(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.command(program);
        command.arg("-F").arg(self.home.join("ssh_config")).args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs a command, which must succeed, and returns what it prints.
    pub(crate) fn runs(&self, mut command: Command) -> Result<String> {
        let done = command.output()?;
        succeeded(&format!("{command:?}"), &done)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }
}

pub(crate) fn said(done: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
}

fn succeeded(what: &str, done: &Output) -> Result<String> {
    ensure!(done.status.success(), "{what}: {}\n{}", done.status, said(done));
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
