//! How fast a log is followed, and in how much memory.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use klopf_trail::{Place, Trail};
use klopf_wire::line::{Patterns, Preset};

use crate::error::{Error, Result};
use crate::interrupt::Interrupt;

/// Megabytes a second at least.
const SPEED: f64 = 200.0;
/// Megabytes of memory at most.
const MEMORY: f64 = 20.0;
/// Bytes that are read before others would have their turn, as in the watch.
const BUDGET: usize = 1 << 20;
/// One line of so many is a firewall's.
const RARE: u64 = 1000;

#[derive(Clone, clap::Args)]
pub(crate) struct Options {
    /// Megabytes of the log
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    megabytes: u64,
    /// How often it is read
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Where the log is written [default: the folder for temporary files]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// A file that goes with its owner.
struct Log(PathBuf);

impl Drop for Log {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Follows a log as the watch does, asks of each line whether it is a hit, and prints how fast that goes; whether that and the memory
/// are as they should be.
pub(crate) fn measure(options: &Options, interrupt: &Interrupt) -> Result<bool> {
    let patterns = Patterns::new(Some(Preset::Nft), Some("KNOCK "), &[])
        .map_err(|wrong| Error::Program(format!("{} patterns are wrong", wrong.len())))?;
    let folder = options.folder.clone().unwrap_or_else(std::env::temp_dir);
    let log = Log(folder.join(format!("klopf-bench-{}.log", std::process::id())));
    eprintln!("writing {} MB to {}", options.megabytes, log.0.display());
    let written = write(&log.0, options.megabytes * 1_000_000).map_err(Error::io("write a log"))?;
    let mut speeds = Vec::new();
    for _ in 0..options.rounds {
        let start = Instant::now();
        let read = follow(&log.0, interrupt, &|line| patterns.read(line).is_some())?;
        if read != written {
            return Err(Error::Program(format!("{read:?} were read of {written:?}")));
        }
        speeds.push(megabytes(written.bytes) / start.elapsed().as_secs_f64());
    }
    speeds.sort_by(f64::total_cmp);
    let at = |place: usize| speeds.get(place).copied().unwrap_or_default();
    let (speed, memory) = (at(speeds.len() / 2), megabytes(peak_memory() * 1024));
    println!("a log of {} million lines", written.lines / 1_000_000);
    println!("speed   {speed:.0} MB/s, the least {:.0} (target: {SPEED} or more)", at(0));
    println!("memory  {memory:.1} MB at most (target: below {MEMORY})");
    Ok(speed >= SPEED && memory > 0.0 && memory < MEMORY)
}

/// What is in a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Content {
    bytes: u64,
    lines: u64,
    hits: u64,
}

/// Writes a log as rsyslog does; it is in the page cache then, or as much of it as fits.
fn write(path: &Path, bytes: u64) -> std::io::Result<Content> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let (mut file, mut content) = (BufWriter::new(file), Content::default());
    while content.bytes < bytes {
        let number = content.lines;
        let (second, port) = (number / 100 % 60, 1024 + number % 60_000);
        let (source, host) = (number % 251, "Nov 23 10:11");
        let is_hit = number % RARE == RARE - 1;
        let line = if is_hit {
            format!(
                "{host}:{second:02} gate kernel: [{number:>12}.{port:06}] KNOCK IN=eth0 OUT= \
                 MAC=52:54:00:12:34:56:52:54:00:65:43:21:08:00 SRC=192.0.2.{source} DST=198.51.100.7 LEN=60 TOS=0x00 \
                 PREC=0x00 TTL=54 ID={port} DF PROTO=TCP SPT={port} DPT={} WINDOW=64240 RES=0x00 SYN URGP=0\n",
                40_000 + number % 256
            )
        } else {
            match number % 3 {
                0 => format!(
                    "{host}:{second:02} gate sshd[{port}]: Failed password for invalid user admin{source} from \
                     203.0.113.{source} port {port} ssh2\n"
                ),
                1 => format!(
                    "{host}:{second:02} gate systemd[1]: Started session-{number}.scope - Session {number} of User root.\n"
                ),
                _ => format!(
                    "{host}:{second:02} gate postfix/smtpd[{port}]: disconnect from unknown[203.0.113.{source}] ehlo=1 \
                     auth=0/1 commands=1/2\n"
                ),
            }
        };
        file.write_all(line.as_bytes())?;
        content.bytes += line.len() as u64;
        content.lines += 1;
        content.hits += u64::from(is_hit);
    }
    file.flush()?;
    Ok(content)
}

fn follow(path: &Path, interrupt: &Interrupt, is_hit: &impl Fn(&[u8]) -> bool) -> Result<Content> {
    let failed = || Error::io("follow a log");
    let file = File::open(path).map_err(failed())?;
    let (mut trail, mut hits) = (Trail::new(), 0);
    let start = Place::start_of(&file).map_err(failed())?;
    trail.begin(file, &start).map_err(failed())?;
    while trail.read(BUDGET, |line| hits += u64::from(is_hit(line))).map_err(failed())?.more {
        interrupt.check()?;
    }
    let counts = trail.counts();
    Ok(Content { bytes: counts.bytes, lines: counts.lines, hits })
}

/// The most memory that this process has had, in kilobytes; 0 if the kernel does not tell.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1_000_000.0
}
