//! A person's device: a host with folders of its own for `klopf` and `ssh`.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::{Host, Result, Sshd, Stage, built, ensure};

/// A device with a home of its own.
#[derive(Debug)]
pub struct Device<'a> {
    /// Where it is.
    pub host: &'a Host,
    home: PathBuf,
    hosts: PathBuf,
}

impl<'a> Device<'a> {
    /// `hosts` are lines as of `/etc/hosts`.
    ///
    /// # Errors
    /// If there is one of that name.
    pub fn new(stage: &Stage, host: &'a Host, name: &str, hosts: &str) -> Result<Self> {
        let home = stage.path(name);
        fs::create_dir(&home)?;
        let hosts = stage.write(&format!("{name}.hosts"), &format!("127.0.0.1 localhost\n{hosts}\n"))?;
        Ok(Self { host, home, hosts })
    }

    /// A program of this person's.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
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
    ///
    /// # Errors
    /// If it is not built.
    pub fn klopf(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = self.command(&built("klopf")?.display().to_string());
        command.args(arguments);
        Ok(command)
    }

    /// Runs `klopf`, which must succeed, and returns what it prints.
    ///
    /// # Errors
    /// If it does not.
    pub fn says(&self, arguments: &[&str]) -> Result<String> {
        succeeded(&format!("klopf {arguments:?}"), &self.klopf(arguments)?.output()?)
    }

    /// Runs `klopf`, which must end with an exit code; what it says on stdout and stderr.
    ///
    /// # Errors
    /// If it ends with another one.
    pub fn ends(&self, arguments: &[&str], code: i32) -> Result<String> {
        self.fails(arguments, code).map(|(out, err)| format!("{out}{err}"))
    }

    /// The same, with stdout and stderr apart.
    ///
    /// # Errors
    /// If it ends with another one.
    pub fn fails(&self, arguments: &[&str], code: i32) -> Result<(String, String)> {
        let done = self.klopf(arguments)?.output()?;
        let status = done.status;
        ensure!(status.code() == Some(code), "klopf {arguments:?}: {status} instead of {code}\n{}", said(&done));
        Ok((String::from_utf8(done.stdout)?, String::from_utf8(done.stderr)?))
    }

    /// Takes an invitation, as an argument.
    ///
    /// # Errors
    /// If it is not taken.
    pub fn join(&self, line: &str) -> Result<String> {
        self.says(&["join", line])
    }

    /// Takes an invitation from standard input.
    ///
    /// # Errors
    /// If it is not taken.
    pub fn join_quietly(&self, line: &str) -> Result<String> {
        let mut command = self.klopf(&["join", "-"])?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        child.stdin.take().ok_or("no pipe")?.write_all(line.as_bytes())?;
        succeeded("klopf join -", &child.wait_with_output()?)
    }

    /// Puts into the ssh configuration what `klopf ssh-config` prints, and what a test needs besides.
    ///
    /// # Errors
    /// If there is no such profile.
    pub fn configure_ssh(&self, sshd: &Sshd, profile: &str) -> Result {
        let block = self.says(&["ssh-config", profile])?;
        let rest = format!(
            "Host *\n  User root\n  IdentityFile {}\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  \
             BatchMode yes\n  LogLevel ERROR\n",
            sshd.key.display()
        );
        Ok(fs::write(self.home.join("ssh_config"), format!("{block}\n{rest}"))?)
    }

    /// `ssh`, `scp` or `sftp` with that configuration.
    #[must_use]
    pub fn ssh(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.command(program);
        command.arg("-F").arg(self.home.join("ssh_config")).args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs a command, which must succeed, and returns what it prints.
    ///
    /// # Errors
    /// If it does not.
    pub fn runs(&self, mut command: Command) -> Result<String> {
        let done = command.output()?;
        succeeded(&format!("{command:?}"), &done)
    }

    /// A path in its home.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// Writes a file of the configuration folder that nobody else may read.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn configure(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(".config/klopf").join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(path)
    }
}

/// What a program has said on stdout and stderr.
#[must_use]
pub fn said(done: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
}

/// What a program has printed, which must have succeeded.
///
/// # Errors
/// If it has not.
pub fn succeeded(what: &str, done: &Output) -> Result<String> {
    ensure!(done.status.success(), "{what}: {}\n{}", done.status, said(done));
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
