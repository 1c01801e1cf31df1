//! Real users: each runs the real client of the program, and then a new process that connects.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::contender::fwknop::Fwknop;
use crate::contender::{GUARDED, klopf};
use crate::error::{Error, Result};
use crate::lab::{self, Lab, SERVER, uid};

/// The first repetition of a SYN comes after a second (RFC 6298).
const FIRST_SYN: Duration = Duration::from_millis(900);

/// How users knock.
#[derive(Clone)]
pub(crate) enum Client {
    /// With a program and its words, the same for all.
    Command { program: PathBuf, words: Vec<String> },
    /// With `klopf open`, after an invitation each.
    Klopf { program: PathBuf, config: PathBuf },
    /// With `fwknop`, each for the own address.
    Fwknop(Fwknop),
}

/// Users that are ready to knock.
pub(crate) struct Users {
    namespace: String,
    /// Program, words and home of each.
    all: Vec<(PathBuf, Vec<String>, PathBuf)>,
    connector: PathBuf,
}

/// What became of a knock and the connection behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Visit {
    /// Not in, within the time it had.
    Out,
    /// In so long after the client had ended.
    In(Duration),
}

impl Visit {
    /// Whether the first SYN was answered.
    pub(crate) fn at_once(self) -> bool {
        matches!(self, Self::In(late) if late < FIRST_SYN)
    }
}

impl Users {
    pub(crate) fn new(lab: &Lab, client: &Client, count: u8) -> Result<Self> {
        // Where the programs are, others than root may not be let in.
        let copied = |from: &Path, name: &str| {
            let to = lab.dir().join(name);
            let done = if to.exists() { Ok(()) } else { fs::copy(from, &to).and_then(|_| lab::mode(&to, 0o755)) };
            done.map(|()| to).map_err(Error::io("copy a program"))
        };
        let own = std::env::current_exe().map_err(Error::io("find this program"))?;
        let connector = copied(&own, "connector")?;
        let mut all = Vec::new();
        for user in 0..count.min(lab::USERS) {
            let home = lab.home(user)?;
            let (program, words) = match client {
                Client::Command { program, words } => {
                    let program =
                        if program.starts_with("/usr") { program.clone() } else { copied(program, "client")? };
                    (program, words.clone())
                }
                Client::Klopf { program, config } => {
                    let line = klopf::invite(lab, program, config, user)?;
                    let program = copied(program, "client")?;
                    join(&program, user, &home, &line)?;
                    (program, vec!["klopf".to_owned(), "open".to_owned()])
                }
                Client::Fwknop(fwknop) => {
                    let words = fwknop.client(&lab::address(user).to_string(), &home);
                    (words.first().map(PathBuf::from).unwrap_or_default(), words)
                }
            };
            all.push((program, words, home));
        }
        Ok(Self { namespace: lab.client(), all, connector })
    }

    /// Has one of them knock, and connect as soon as the client has ended, for so long. To be called in a thread.
    pub(crate) fn visit(&self, user: u8, limit: Duration) -> io::Result<Visit> {
        let (program, words, home) = self.all.get(usize::from(user)).cloned().ok_or(io::ErrorKind::InvalidInput)?;
        let connector = self.connector.clone();
        lab::inside(&self.namespace, move || {
            let knocked = command(&program, user, &home).args(words.iter().skip(1)).output()?;
            let begin = Instant::now();
            if !knocked.status.success() {
                let said = String::from_utf8_lossy(&knocked.stderr).trim().to_owned();
                return Err(io::Error::other(format!("{}: {said}", program.display())));
            }
            let mut process =
                command(&connector, user, &home).args(["connect", &limit.as_millis().to_string()]).spawn()?;
            let mut said = [0; 1];
            // It says one byte when it is in, and nothing if it gives up.
            let came = process.stdout.take().map_or(Ok(0), |mut from| from.read(&mut said))?;
            let late = begin.elapsed();
            process.wait()?;
            Ok(if came > 0 { Visit::In(late) } else { Visit::Out })
        })
    }
}

/// Stores the invitation.
fn join(program: &Path, user: u8, home: &Path, line: &[u8]) -> Result<()> {
    let failed = || Error::io("run klopf join");
    let mut joining =
        command(program, user, home).args(["join", "-"]).stdin(Stdio::piped()).spawn().map_err(failed())?;
    joining.stdin.take().map_or(Ok(()), |mut to| to.write_all(line)).map_err(failed())?;
    let done = joining.wait_with_output().map_err(failed())?;
    if done.status.success() {
        return Ok(());
    }
    Err(Error::Program(format!("klopf join: {}", String::from_utf8_lossy(&done.stderr).trim())))
}

/// A command as this user.
fn command(program: &Path, user: u8, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.uid(uid(user)).gid(uid(user)).current_dir(home).env("HOME", home).env("USER", "bench");
    for name in ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "KLOPF_CONFIG_DIR", "KLOPF_STATE_DIR"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What the new process does: connects, and says one byte when that has been done.
pub(crate) fn connect(limit: Duration) -> ExitCode {
    match TcpStream::connect_timeout(&SocketAddr::from((SERVER, GUARDED)), limit) {
        Ok(_) => {
            let mut out = io::stdout();
            let _ = out.write_all(b"+").and_then(|()| out.flush());
            ExitCode::SUCCESS
        }
        Err(_) => ExitCode::FAILURE,
    }
}
