//! A daemon in the foreground.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Result, until, until_some};

/// A program that runs until it is told to end; killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    log: PathBuf,
    /// Length of the log when it was started.
    before: usize,
}

impl Running {
    /// Starts it with stdout and stderr appended to one file.
    ///
    /// # Errors
    /// If the file or the program cannot be opened.
    pub fn start(mut command: Command, log: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        let before = usize::try_from(file.metadata()?.len())?;
        let child = command.stdout(file.try_clone()?).stderr(file).spawn()?;
        Ok(Self { child, log: log.to_owned(), before })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed, without what its predecessors have left in the same file.
    ///
    /// # Errors
    /// If the file is gone.
    pub fn log(&self) -> Result<String> {
        let bytes = fs::read(&self.log)?;
        Ok(String::from_utf8_lossy(bytes.get(self.before..).unwrap_or_default()).into_owned())
    }

    /// Says a line to it, if its command has a pipe for that.
    ///
    /// # Errors
    /// If it has none, or has ended.
    pub fn tell(&mut self, line: &str) -> Result {
        Ok(writeln!(self.child.stdin.as_mut().ok_or("no pipe")?, "{line}")?)
    }

    /// Waits until it has printed a word.
    ///
    /// # Errors
    /// If it does not, or has ended.
    pub fn until_says(&mut self, word: &str) -> Result {
        self.until(&format!("it says {word:?}"), |log| {
            log.split(|letter: char| !letter.is_alphanumeric()).any(|said| said == word)
        })
    }

    /// Waits until what it has printed meets a condition.
    ///
    /// # Errors
    /// If it does not come to that, or the program has ended.
    pub fn until(&mut self, what: &str, condition: impl Fn(&str) -> bool) -> Result {
        until(what, || {
            // Asked first, so that the last words of one that ends are not missed.
            let ended = self.child.try_wait()?;
            match ended {
                _ if condition(&self.log()?) => Ok(true),
                Some(status) => Err(format!("{what}: it has ended with {status}").into()),
                None => Ok(false),
            }
        })
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// If it is gone.
    pub fn signal(&self, signal: Signal) -> Result {
        send(self.pid(), signal)
    }

    /// Waits for its end and returns the exit code; for a death by signal N that is `-N`.
    ///
    /// # Errors
    /// If it lives on.
    pub fn until_ended(&mut self) -> Result<i32> {
        until_some("the daemon ends", || Ok(self.child.try_wait()?)).map(code)
    }

    /// Tells it to end with TERM, and waits for that.
    ///
    /// # Errors
    /// If it lives on.
    pub fn terminate(mut self) -> Result<i32> {
        self.signal(Signal::TERM)?;
        self.until_ended()
    }

    /// Kills it with no chance to tidy up, and waits until its children are gone as well.
    ///
    /// # Errors
    /// If children live on.
    pub fn murder(mut self) -> Result {
        let children = self.children()?;
        self.child.kill()?;
        self.child.wait()?;
        until("the children follow their keeper", || Ok(children.iter().all(|pid| gone(*pid))))
    }

    /// The process ids of its living children.
    ///
    /// # Errors
    /// If it is gone.
    pub fn children(&self) -> Result<Vec<u32>> {
        let pid = self.pid();
        let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        Ok(list.split_whitespace().filter_map(|word| word.parse().ok()).filter(|pid| !gone(*pid)).collect())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails only for one that has ended and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process a test has started.
///
/// # Errors
/// If it is gone.
pub fn send(pid: u32, signal: Signal) -> Result {
    let pid = Pid::from_raw(i32::try_from(pid)?).ok_or("pid 0")?;
    Ok(kill_process(pid, signal)?)
}

/// Whether a process has ended, waited for or not.
#[must_use]
pub fn gone(pid: u32) -> bool {
    process_field(pid, "State").is_none_or(|state| state.starts_with('Z') || state.starts_with('X'))
}

/// A line of `/proc/PID/status`, without its name.
#[must_use]
pub fn process_field(pid: u32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| -status.signal().unwrap_or_default())
}
