//! The program under measurement, running on the server of a lab of its own.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::lab::{Injector, Lab, SERVER_LINK};
use crate::usage::Tree;

pub(crate) const SEQUENCE: [u16; 3] = [7000, 8000, 9000];
const SOURCE_PORT: u16 = 40000;
/// How long it may take to open for the first time.
const START_LIMIT: Duration = Duration::from_secs(15);
const FIRST_TRY: Duration = Duration::from_millis(300);

/// A knockd, ours or the real one.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) path: PathBuf,
    /// The first line of `-V`.
    pub(crate) version: String,
}

impl Program {
    /// `None` when there is no such file.
    pub(crate) fn find(name: &'static str, path: &Path) -> Result<Option<Self>> {
        if !path.is_file() {
            return Ok(None);
        }
        let said = Command::new(path).arg("-V").stdin(Stdio::null()).output();
        let said = said.map_err(Error::io(format!("run {} -V", path.display())))?;
        let text = String::from_utf8_lossy(&said.stdout);
        let version = text.lines().next().unwrap_or_default().to_owned();
        Ok(Some(Self { name, path: path.to_owned(), version }))
    }
}

pub(crate) struct Opening {
    pub(crate) source: Ipv4Addr,
    pub(crate) at: Instant,
}

pub(crate) struct Daemon<'a> {
    program: &'a Program,
    interrupt: &'a Interrupt,
    child: Child,
    injector: Injector,
    openings: File,
    seen: VecDeque<Opening>,
    log: PathBuf,
    // Last, so that it goes when all else is closed.
    _lab: Lab,
}

impl<'a> Daemon<'a> {
    /// Starts it with one door and knocks until that opens, so that it is known to listen.
    pub(crate) fn start(program: &'a Program, seq_timeout: u32, interrupt: &'a Interrupt) -> Result<Self> {
        let lab = Lab::build()?;
        let [config, log, fifo, output] = ["knockd.conf", "log", "opened", "output"].map(|name| lab.dir().join(name));
        mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR).map_err(Error::io("make a fifo"))?;
        // Opened for writing as well, it neither blocks here nor ever reads as ended.
        let openings = OpenOptions::new().read(true).write(true).open(&fifo).map_err(Error::io("open the fifo"))?;
        let text = config_text(&log, &fifo, seq_timeout);
        fs::write(&config, text).map_err(Error::io("write the configuration"))?;
        let injector = lab.injector()?;
        let written = File::create(&output).map_err(Error::io("make a file"))?;
        let also = written.try_clone().map_err(Error::io("make a file"))?;
        let child = lab
            .on_server(&program.path)
            .arg("-c")
            .arg(&config)
            .args(["-i", SERVER_LINK])
            .current_dir(lab.dir())
            .stdin(Stdio::null())
            .stdout(written)
            .stderr(also)
            .spawn()
            .map_err(Error::io(format!("start {}", program.path.display())))?;
        let seen = VecDeque::new();
        let mut daemon = Self { program, interrupt, child, injector, openings, seen, log, _lab: lab };
        daemon.open_once(&output)?;
        Ok(daemon)
    }

    /// One hit on the port `stage` (from 0) of the sequence.
    pub(crate) fn hit(&self, source: Ipv4Addr, stage: usize) -> Result<()> {
        SEQUENCE.get(stage).map_or(Ok(()), |port| self.injector.syn((source, SOURCE_PORT), *port))
    }

    /// The whole sequence; the moment before the last hit was sent.
    pub(crate) fn knock(&self, source: Ipv4Addr) -> Result<Instant> {
        let mut last = Instant::now();
        for stage in 0..SEQUENCE.len() {
            last = Instant::now();
            self.hit(source, stage)?;
        }
        Ok(last)
    }

    /// Waits for the start of a command for `source`; those for others are passed over.
    pub(crate) fn opened(&mut self, source: Ipv4Addr, limit: Duration) -> Result<Option<Opening>> {
        let deadline = Instant::now() + limit;
        loop {
            while let Some(opening) = self.seen.pop_front() {
                if opening.source == source {
                    return Ok(Some(opening));
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.interrupt.check()?;
            self.read_openings(left)?;
        }
    }

    /// An error when the program has ended.
    pub(crate) fn usage(&mut self) -> Result<Tree> {
        match self.child.try_wait().map_err(Error::io("wait for the daemon"))? {
            None => Tree::of(self.child.id()).map_err(Error::io("read /proc")),
            Some(status) => Err(Error::Program(format!("{} ended, {status}", self.program.path.display()))),
        }
    }

    /// Bytes.
    pub(crate) fn log_size(&self) -> u64 {
        fs::metadata(&self.log).map_or(0, |meta| meta.len())
    }

    fn open_once(&mut self, output: &Path) -> Result<()> {
        let begin = Instant::now();
        // Each try from an address of its own: the daemon may have caught only the end of the one before.
        for host in 1..=254 {
            let source = Ipv4Addr::new(192, 0, 2, host);
            self.knock(source)?;
            if self.opened(source, FIRST_TRY)?.is_some() {
                return Ok(());
            }
            let ended = self.child.try_wait().map_err(Error::io("wait for the daemon"))?;
            if ended.is_some() || begin.elapsed() > START_LIMIT {
                let state = ended.map_or_else(|| "does not open".to_owned(), |status| format!("ended, {status}"));
                let said = fs::read_to_string(output).unwrap_or_default();
                return Err(Error::Program(format!("{} {state}\n{said}", self.program.path.display())));
            }
        }
        Err(Error::Program(format!("{} does not open", self.program.path.display())))
    }

    /// Takes in what arrives within `limit`, at most 100 ms, so that an interrupt is noticed.
    fn read_openings(&mut self, limit: Duration) -> Result<()> {
        let millis = u8::try_from(limit.as_millis()).unwrap_or(u8::MAX).clamp(1, 100);
        let mut ready = [PollFd::new(self.openings.as_fd(), PollFlags::POLLIN)];
        // An error here is an interrupted call, which the caller's loop repeats.
        if poll(&mut ready, PollTimeout::from(millis)).unwrap_or(0) == 0 {
            return Ok(());
        }
        let at = Instant::now();
        let mut buffer = [0; 4096];
        let length = self.openings.read(&mut buffer).map_err(Error::io("read the fifo"))?;
        let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
        let sources = text.lines().filter_map(|line| line.parse().ok());
        self.seen.extend(sources.map(|source| Opening { source, at }));
        Ok(())
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        // Told to end, so that it removes what it made; the lab kills what is left.
        let told = Pid::from_raw(self.child.id().cast_signed());
        let _ = kill(told, Signal::SIGTERM);
        let deadline = Instant::now() + Duration::from_secs(3);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command is a builtin of the shell that writes into a fifo: all that it costs is the shell, the same for all.
fn config_text(log: &Path, fifo: &Path, seq_timeout: u32) -> String {
    let sequence = SEQUENCE.map(|port| port.to_string()).join(",");
    format!(
        "[options]\n  logfile = {}\n[bench]\n  sequence = {sequence}\n  seq_timeout = {seq_timeout}\n  \
         tcpflags = syn\n  command = echo %IP% > {}\n",
        log.display(),
        fifo.display()
    )
}
