//! The daemons: the old program, its face in Klopf, and Klopf itself, given the same doors.

use std::path::PathBuf;
use std::process::Command;

use crate::{Need, Result, Running, Stage, built, configure_klopfd, found};

/// Which daemon plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Daemon {
    /// knockd of the distribution.
    Knockd,
    /// Klopf's `knockd`.
    Face,
    /// `klopfd`.
    Klopfd,
}

/// A door that notes `open NAME IP` and `close NAME IP`.
#[derive(Clone, Debug)]
pub struct Door {
    /// Its name.
    pub name: &'static str,
    /// Its sequence: TCP ports.
    pub ports: Vec<u16>,
    /// How many seconds it stays open; without, it only opens.
    pub open_for: Option<u32>,
}

impl Daemon {
    /// What it needs of the machine.
    #[must_use]
    pub fn needs(self) -> &'static [Need] {
        match self {
            Self::Knockd => &[Need::Program("knockd", "knockd"), Need::Program("knock", "knockd")],
            Self::Face | Self::Klopfd => &[],
        }
    }

    /// Its name in the names of tests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Knockd => "real_knockd",
            Self::Face => "knockd",
            Self::Klopfd => "klopfd",
        }
    }

    /// The program.
    ///
    /// # Errors
    /// If it is missing.
    pub fn program(self) -> Result<PathBuf> {
        match self {
            Self::Knockd => Ok(found("knockd").ok_or("knockd is missing")?),
            Self::Face => built("knockd"),
            Self::Klopfd => built("klopfd"),
        }
    }

    /// A command on the client that knocks; host and ports are still to be added.
    ///
    /// # Errors
    /// If the client program is missing.
    pub fn knocker(self, stage: &Stage) -> Result<Command> {
        Ok(match self {
            Self::Knockd => stage.client.command(found("knock").ok_or("knock is missing")?),
            Self::Face => stage.client.command(built("knock")?),
            Self::Klopfd => {
                let mut command = stage.client.command(built("klopf")?);
                command.arg("knock");
                command
            }
        })
    }

    /// The name of its configuration file on the stage.
    #[must_use]
    pub fn config_name(self) -> &'static str {
        match self {
            Self::Knockd | Self::Face => "knockd.conf",
            Self::Klopfd => "klopf.toml",
        }
    }

    /// Writes its configuration with these doors, for `eth0`.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn configure(self, stage: &Stage, doors: &[Door]) -> Result<PathBuf> {
        let note = stage.note()?;
        match self {
            Self::Knockd | Self::Face => {
                let text: String = doors.iter().map(|door| door.knockd_conf(&note)).collect();
                stage.write(self.config_name(), &text)
            }
            Self::Klopfd => {
                let text: String = doors.iter().map(|door| door.klopf_toml(&note)).collect();
                configure_klopfd(stage, &["eth0"], &text)
            }
        }
    }

    /// The command that starts it in the foreground with the configuration on the stage.
    ///
    /// # Errors
    /// If the program is missing.
    pub fn command(self, stage: &Stage) -> Result<Command> {
        self.command_under(stage, &[])
    }

    /// As [`Daemon::command`], but these words run first, and end by executing what follows them.
    ///
    /// # Errors
    /// If the program is missing.
    pub fn command_under(self, stage: &Stage, words: &[&str]) -> Result<Command> {
        let mut command = stage.server.daemon("env");
        command.args(words).arg(self.program()?);
        let config = stage.path(self.config_name());
        match self {
            Self::Knockd | Self::Face => {
                command.args(["-v", "-i", "eth0", "-c"]).arg(config).arg("-g").arg(stage.path("knockd.log"));
                command.env("KLOPF_STATE_DIR", stage.path("state")).current_dir(stage.path(""));
            }
            Self::Klopfd => {
                command.arg("--config").arg(config);
            }
        }
        Ok(command)
    }

    /// Starts it in the foreground and waits until it is ready.
    ///
    /// # Errors
    /// If it does not come to that.
    pub fn start(self, stage: &Stage) -> Result<Running> {
        self.start_under(stage, &[])
    }

    /// As [`Daemon::start`], with a command as of [`Daemon::command_under`].
    ///
    /// # Errors
    /// If it does not come to that.
    pub fn start_under(self, stage: &Stage, words: &[&str]) -> Result<Running> {
        let starts = || stage.text("knockd.log").matches("starting up").count();
        let before = starts();
        let command = self.command_under(stage, words)?;
        let mut running = Running::start(command, &stage.path(format!("{}.out", self.name())))?;
        match self {
            // In the log file: standard output may be buffered.
            Self::Knockd | Self::Face => running.until("it has started up", |_| starts() > before)?,
            Self::Klopfd => running.until_says("ready")?,
        }
        Ok(running)
    }
}

impl Door {
    /// A door with the sequence of the story, or another.
    #[must_use]
    pub fn new(name: &'static str, ports: &[u16], open_for: Option<u32>) -> Self {
        Self { name, ports: ports.to_vec(), open_for }
    }

    fn knockd_conf(&self, note: &str) -> String {
        let Self { name, open_for, .. } = self;
        let ports = self.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
        let stop =
            open_for.map(|seconds| format!("  cmd_timeout = {seconds}\n  stop_command = {note} close {name} %IP%\n"));
        format!(
            "[{name}]\n  sequence = {ports}\n  seq_timeout = 60\n  tcpflags = syn\n\
             \x20 command = {note} open {name} %IP%\n{}",
            stop.unwrap_or_default(),
        )
    }

    fn klopf_toml(&self, note: &str) -> String {
        let Self { name, ports, open_for } = self;
        let close = open_for.map(|seconds| {
            format!("open-for = \"{seconds}s\"\non-close = [{note:?}, \"close\", \"{{door}}\", \"{{ip}}\"]\n")
        });
        format!(
            "[door.{name}]\nsequence = {ports:?}\nwithin = \"60s\"\n\
             on-open = [{note:?}, \"open\", \"{{door}}\", \"{{ip}}\"]\n{}\n",
            close.unwrap_or_default(),
        )
    }
}
