//! The rest of the Internet: a host behind the server, where mail and web servers are.

use std::path::PathBuf;
use std::process::Command;

use crate::{Authority, Host, Need, Result, Stage};

/// Its names and their addresses.
const NAMES: [(&str, &str); 6] = [
    ("mail.test", Elsewhere::MAIL),
    ("book.test", Elsewhere::BOOK),
    ("a.test", "10.98.0.13"),
    ("b.test", "10.98.0.14"),
    ("c.test", "10.98.0.15"),
    ("evil.test", Elsewhere::EVIL),
];

/// A host with some names, and an authority that certifies them.
#[derive(Debug)]
pub struct Elsewhere {
    /// The host.
    pub host: Host,
    /// Its authority.
    pub authority: Authority,
    /// The lines of `/etc/hosts` with its names.
    pub hosts: PathBuf,
}

impl Elsewhere {
    /// What it needs of the machine.
    pub const NEEDS: [Need; 2] = [Authority::NEEDS[0], Need::Program("python3", "python3")];
    /// The address of `mail.test`.
    pub const MAIL: &str = "10.98.0.11";
    /// The address of `book.test`.
    pub const BOOK: &str = "10.98.0.12";
    /// The address of `evil.test`.
    pub const EVIL: &str = "10.98.0.16";
    /// The network with all of them, for `allow-private`.
    pub const NETWORK: &str = "10.98.0.0/24";

    /// The third host of the stage.
    ///
    /// # Errors
    /// If there is one already.
    pub fn make(stage: &Stage) -> Result<Self> {
        let host = stage.third()?;
        for (_, address) in NAMES {
            host.ip(&format!("addr add {address}/24 dev eth0"))?;
        }
        let lines: String = NAMES.iter().map(|(name, address)| format!("{address} {name}\n")).collect();
        let hosts =
            stage.write("hosts", &format!("127.0.0.1 localhost\n::1 localhost\n10.99.0.1 host.test\n{lines}"))?;
        Ok(Self { host, authority: Self::authority(stage, "authority")?, hosts })
    }

    /// Another authority that certifies the same names.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn authority(stage: &Stage, directory: &str) -> Result<Authority> {
        let names = NAMES.iter().flat_map(|(name, address)| [format!("DNS:{name}"), format!("IP:{address}")]);
        Authority::make(stage, directory, &names.collect::<Vec<_>>())
    }

    /// The words under which a program knows the names, for `Daemon::start_under`.
    #[must_use]
    pub fn words(&self) -> [String; 4] {
        ["sh", "-c", "mount --bind \"$0\" /etc/hosts && exec \"$@\"", &self.hosts.to_string_lossy()].map(str::to_owned)
    }

    /// A command of this host that knows the names.
    pub fn command(&self, program: &str) -> Command {
        let [shell, rest @ ..] = self.words();
        let mut command = self.host.command(shell);
        command.args(rest).arg(program);
        command
    }
}
