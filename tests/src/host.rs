//! One host: a network namespace.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

use crate::{Result, ensure, until};

/// A network namespace. It goes with its stage.
#[derive(Debug)]
pub struct Host {
    netns: String,
}

impl Host {
    pub(crate) fn create(netns: String) -> Result<Self> {
        checked(Command::new("ip").args(["netns", "add", &netns]))?;
        let host = Self { netns };
        host.ip("link set lo up")?;
        Ok(host)
    }

    /// The namespace's name.
    #[must_use]
    pub fn netns(&self) -> &str {
        &self.netns
    }

    /// A command that will run on this host. The program is executed in place, so the child's pid is the program's.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.netns]).arg(program).stdin(Stdio::null());
        command
    }

    /// A command with an empty `/run` of its own, which goes with it. Else as [`Host::command`].
    pub fn daemon(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.command("sh");
        // "ip netns exec" has made the mount namespace.
        command.args(["-c", "mount -t tmpfs tmpfs /run && exec \"$@\"", "sh"]).arg(program);
        command
    }

    /// Runs a program to its end, which must be a good one, and returns what it printed on stdout.
    ///
    /// # Errors
    /// If it does not start or exits with a status other than 0; what it printed is in the message.
    pub fn run(&self, program: impl AsRef<OsStr>, arguments: &[&str]) -> Result<String> {
        checked(self.command(program).args(arguments))
    }

    /// Runs a program to its end, good or bad.
    ///
    /// # Errors
    /// If it does not start.
    pub fn output(&self, program: impl AsRef<OsStr>, arguments: &[&str]) -> Result<Output> {
        Ok(self.command(program).args(arguments).output()?)
    }

    /// Runs `ip` with arguments divided by spaces.
    ///
    /// # Errors
    /// As [`Host::run`].
    pub fn ip(&self, arguments: &str) -> Result {
        checked(Command::new("ip").args(["-n", &self.netns]).args(arguments.split(' '))).map(drop)
    }

    /// Whether a TCP port is listened on.
    ///
    /// # Errors
    /// If `ss` does not work.
    pub fn listens(&self, port: u16) -> Result<bool> {
        Ok(!self.run("ss", &["-Hltn", &format!("sport = :{port}")])?.is_empty())
    }

    /// Waits until a TCP port is listened on, or no longer.
    ///
    /// # Errors
    /// If it does not come to that.
    pub fn until_listens(&self, port: u16, wanted: bool) -> Result {
        until(&format!("port {port} listened on: {wanted}"), || Ok(self.listens(port)? == wanted))
    }
}

fn checked(command: &mut Command) -> Result<String> {
    let done = command.stdin(Stdio::null()).output()?;
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    ensure!(done.status.success(), "{command:?}: {}\n{out}{err}", done.status);
    Ok(out.into_owned())
}
