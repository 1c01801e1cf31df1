//! Who talks to services, and the services: see `src/bin/peer.rs`.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::IpAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use crate::{Host, Result, Running, ensure};

/// How long to wait for an answer of somebody who should not give one.
const SILENCE: Duration = Duration::from_millis(300);
/// How long an answer may take on a loaded machine.
const SOON: Duration = Duration::from_secs(5);

/// What became of a connection, or of something said over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It came about, or was echoed.
    Open,
    /// A reset, or an ICMP message that nobody is there.
    Refused,
    /// It was up, and has been ended by the other side.
    Reset,
    /// Nothing came.
    Silent,
}

/// A TCP or UDP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// `tcp/N`
    Tcp(u16),
    /// `udp/N`
    Udp(u16),
}

impl Display for Service {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(port) => write!(formatter, "tcp/{port}"),
            Self::Udp(port) => write!(formatter, "udp/{port}"),
        }
    }
}

impl Service {
    fn words(self) -> (&'static str, u16) {
        match self {
            Self::Tcp(port) => ("tcp", port),
            Self::Udp(port) => ("udp", port),
        }
    }
}

/// Serves these ports by TCP and UDP, with echoes; `program` is the `peer` of this crate.
///
/// # Errors
/// If a port is taken.
pub fn serve(program: &str, host: &Host, log: &Path, ports: &[u16]) -> Result<Running> {
    let mut command = host.command(program);
    command.arg("serve").args(ports.iter().map(u16::to_string));
    let mut running = Running::start(command, log)?;
    running.until_says("serving")?;
    Ok(running)
}

/// A host's side of connections.
#[derive(Debug)]
pub struct Peer(Dialogue);

impl Peer {
    /// Somebody on this host; `program` is the `peer` of this crate.
    ///
    /// # Errors
    /// If it does not start.
    pub fn at(program: &str, host: &Host) -> Result<Self> {
        Dialogue::start(program, host, &["talk".into()]).map(Self)
    }

    /// Opens a connection from an address of this host, for a moment; waits long for the answer.
    ///
    /// # Errors
    /// If it cannot be tried.
    pub fn meets(&mut self, from: IpAddr, to: IpAddr, service: Service) -> Result<Answer> {
        self.attempt("try", from, to, service, SOON)
    }

    /// As [`Peer::meets`], but does not wait long.
    ///
    /// # Errors
    /// If it cannot be tried.
    pub fn connects(&mut self, from: IpAddr, to: IpAddr, service: Service) -> Result<Answer> {
        self.attempt("try", from, to, service, SILENCE)
    }

    /// Opens a connection that must come about, and keeps it under a name.
    ///
    /// # Errors
    /// If it does not.
    pub fn hold(&mut self, name: &str, from: IpAddr, to: IpAddr, service: Service) -> Result {
        let answer = self.attempt(&format!("hold {name}"), from, to, service, SOON)?;
        ensure!(answer == Answer::Open, "no connection from {from} to {to} {service}: {answer:?}");
        Ok(())
    }

    /// Says something over a connection that is kept, waits long for the echo.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn says(&mut self, name: &str) -> Result<Answer> {
        self.0.ask(&format!("say {name} {}", SOON.as_millis()))
    }

    /// As [`Peer::says`], but does not wait long.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn mutters(&mut self, name: &str) -> Result<Answer> {
        self.0.ask(&format!("say {name} {}", SILENCE.as_millis()))
    }

    /// Closes a connection that is kept.
    ///
    /// # Errors
    /// If the program has ended.
    pub fn close(&mut self, name: &str) -> Result {
        let line = self.0.line(&format!("close {name}"))?;
        ensure!(line == "closed", "close {name}: {line}");
        Ok(())
    }

    fn attempt(&mut self, verb: &str, from: IpAddr, to: IpAddr, service: Service, limit: Duration) -> Result<Answer> {
        let (protocol, port) = service.words();
        self.0.ask(&format!("{verb} {protocol} {from} {to} {port} {}", limit.as_millis()))
    }
}

/// Probes, a thousand a second from each source, each a connection of its own.
#[derive(Debug)]
pub struct Stream(Dialogue);

/// What became of the probes of one source: when each was sent, from the begin of the stream, and whether it was answered.
pub type Probes = Vec<(Duration, bool)>;

impl Stream {
    /// Starts to send to a UDP port of a service, by pairs of source and destination. A second stream on a stage would come
    /// from the same ports again, where connections may still be up.
    ///
    /// # Errors
    /// If an address is not this host's.
    pub fn start(program: &str, host: &Host, port: u16, pairs: &[(IpAddr, IpAddr)]) -> Result<Self> {
        let words = ["stream".to_owned(), port.to_string()].into_iter();
        let pairs = pairs.iter().map(|(from, to)| format!("{from}={to}"));
        let mut stream = Self(Dialogue::start(program, host, &words.chain(pairs).collect::<Vec<_>>())?);
        stream.more(100)?;
        Ok(stream)
    }

    /// Waits until this many more have been sent from each source, and returns the time since the begin of the stream.
    ///
    /// # Errors
    /// If the program has ended.
    pub fn more(&mut self, count: u16) -> Result<Duration> {
        let line = self.0.line(&format!("more {count}"))?;
        let time = line.strip_prefix("ok ").ok_or_else(|| format!("the stream has ended: {line}"))?;
        Ok(Duration::from_micros(time.parse()?))
    }

    /// Ends it, and tells for each pair what became of its probes.
    ///
    /// # Errors
    /// If the program has ended.
    pub fn finish(mut self) -> Result<Vec<Probes>> {
        writeln!(self.0.input, "end")?;
        let mut text = String::new();
        self.0.output.read_to_string(&mut text)?;
        let mut probes: BTreeMap<usize, Probes> = BTreeMap::new();
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [index, sent, outcome] = words.as_slice() else { return Err(format!("not a probe: {line}").into()) };
            let sent = Duration::from_micros(sent.parse()?);
            probes.entry(index.parse()?).or_default().push((sent, *outcome == "answered"));
        }
        ensure!(!probes.is_empty(), "no probe was sent");
        Ok(probes.into_values().collect())
    }
}

/// A program that answers lines.
#[derive(Debug)]
struct Dialogue {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Dialogue {
    fn start(program: &str, host: &Host, arguments: &[String]) -> Result<Self> {
        let mut child = host.command(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().ok_or("no pipe")?;
        let output = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        Ok(Self { child, input, output })
    }

    fn line(&mut self, line: &str) -> Result<String> {
        writeln!(self.input, "{line}")?;
        let mut answer = String::new();
        self.output.read_line(&mut answer)?;
        Ok(answer.trim_end().to_owned())
    }

    fn ask(&mut self, line: &str) -> Result<Answer> {
        match self.line(line)?.as_str() {
            "open" => Ok(Answer::Open),
            "refused" => Ok(Answer::Refused),
            "reset" => Ok(Answer::Reset),
            "silent" => Ok(Answer::Silent),
            other => Err(format!("{line}: {other}").into()),
        }
    }
}

impl Drop for Dialogue {
    fn drop(&mut self) {
        // Fails only for one that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
