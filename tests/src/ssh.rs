//! The real OpenSSH, server and client.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;

use crate::{Need, Result, Stage, ensure, found};

/// A server that is ready to be started by a script like those in `/etc/init.d`, and a client with a key for it. The
/// script wants to be run by a [`Host::daemon`](crate::Host::daemon), as it makes sshd's directory in `/run`.
#[derive(Debug)]
pub struct Sshd {
    /// The script; it takes `start` and `stop`.
    pub init: PathBuf,
    /// The client's private key.
    pub key: PathBuf,
}

impl Sshd {
    /// What it needs of the machine.
    pub const NEEDS: [Need; 3] = [
        Need::Program("sshd", "openssh-server"),
        Need::Program("ssh", "openssh-client"),
        Need::Program("ssh-keygen", "openssh-client"),
    ];

    /// Makes keys, configuration and script. Nothing runs yet.
    ///
    /// # Errors
    /// If one of them cannot be made.
    pub fn prepare(stage: &Stage) -> Result<Self> {
        let sshd = found("sshd").ok_or("sshd is missing")?;
        let (host_key, key) = (stage.path("host_key"), stage.path("key"));
        for file in [&host_key, &key] {
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(file).status()?;
            ensure!(made.success(), "ssh-keygen: {made}");
        }
        let pid = stage.path("sshd.pid");
        let config = stage.write(
            "sshd_config",
            &format!(
                "Port 22\nSubsystem sftp internal-sftp\nKexAlgorithms curve25519-sha256\nHostKey {}\nAuthorizedKeysFile {}\nPidFile {}\n\
                 UsePAM no\nStrictModes no\nPermitRootLogin yes\n",
                host_key.display(),
                stage.path("key.pub").display(),
                pid.display(),
            ),
        )?;
        let init = stage.script(
            "init.d/ssh",
            &format!(
                "echo \"ssh $1\" >> {}\n\
                 case \"$1\" in\n\
                 start) mkdir -p /run/sshd && exec {} -f {} ;;\n\
                 stop) kill \"$(cat {})\" ;;\n\
                 *) exit 64 ;;\n\
                 esac",
                stage.path("notes").display(),
                sshd.display(),
                config.display(),
                pid.display(),
            ),
        )?;
        Ok(Self { init, key })
    }

    /// `ssh user@server true` from the client, and whether it succeeds.
    ///
    /// # Errors
    /// If the client does not start.
    pub fn answers(&self, stage: &Stage, server: IpAddr) -> Result<bool> {
        let key = self.key.display().to_string();
        let destination = format!("root@{server}");
        let done = stage.client.output(
            "ssh",
            &[
                "-F/dev/null",
                "-i",
                &key,
                "-oStrictHostKeyChecking=no",
                "-oUserKnownHostsFile=/dev/null",
                "-oBatchMode=yes",
                "-oConnectTimeout=5",
                "-oLogLevel=ERROR",
                &destination,
                "true",
            ],
        )?;
        Ok(done.status.success())
    }

    /// Makes sure that nobody answers: `ssh` fails, and nothing listens.
    ///
    /// # Errors
    /// If somebody does.
    pub fn must_be_silent(&self, stage: &Stage, server: IpAddr) -> Result {
        ensure!(!self.answers(stage, server)?, "ssh answers");
        ensure!(!stage.server.listens(22)?, "port 22 is listened on");
        Ok(())
    }
}
