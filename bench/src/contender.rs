//! What opens a port to those who knock right, each on the server of a lab of its own.

pub(crate) mod fwknop;
pub(crate) mod kernel;
pub(crate) mod klopf;
pub(crate) mod knockd;

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use self::fwknop::Fwknop;
use self::klopf::Setup;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::lab::{Lab, SERVER};
use crate::prober::{Answered, Prober};
use crate::sealer::Sealer;
use crate::usage::Tree;
use crate::user::{Client, Users};

/// The port that is closed until somebody has knocked.
pub(crate) const GUARDED: u16 = 22;
/// A port that is open to all, for datagrams.
pub(crate) const PUBLIC: u16 = 4433;
/// The ports that a sequence hits.
pub(crate) const SEQUENCE: [u16; 3] = [7000, 8000, 9000];
/// Seconds from the first hit to the last.
pub(crate) const WITHIN: u32 = 5;
/// How long it may take to close, and then to open, for the first time.
const START_LIMIT: Duration = Duration::from_secs(90);
/// 198.18.0.0, of the range for measurements (RFC 2544).
const KNOCKS_FROM: u32 = 0xc612_0000;
const FIRST_TRY: Duration = Duration::from_millis(300);
/// A port that answers no probe for so long is closed.
const CLOSED_FOR: Duration = Duration::from_millis(2);
/// After a program was told to end.
const END_LIMIT: Duration = Duration::from_secs(5);

/// The host's own rules, where a command opens: everything is dropped but what is up.
pub(crate) const RULES: &str = "*filter\n:INPUT DROP\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n-A INPUT -i lo -j ACCEPT\n\
                     -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT\n\
                     -A INPUT -p udp --dport 4433 -j ACCEPT\n";

/// A program in one of its ways to open.
#[derive(Clone)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) way: Way,
}

#[derive(Clone)]
pub(crate) enum Way {
    /// klopfd guards the port; the directory of Klopf's programs.
    Klopf(PathBuf, Setup),
    /// A knockd runs iptables: Debian's, or Klopf's.
    Knockd(PathBuf),
    /// fwknopd runs iptables.
    Fwknop(Fwknop),
    /// Rules alone.
    Kernel,
}

/// What opens.
enum Opens {
    /// Hits.
    Sequence,
    Sealed(Sealer),
    Fwknop(Fwknop),
}

/// What a way has begun.
struct Started {
    child: Option<Child>,
    /// The command that ends all leases.
    shut: Vec<String>,
    /// The same for the prober's alone, if that can be said.
    shut_prober: Option<Vec<String>>,
    /// What a user runs; [`klopf`] makes it when there are users.
    client: Client,
}

/// One of them at work.
pub(crate) struct Gate<'a> {
    interrupt: &'a Interrupt,
    name: &'static str,
    prober: Prober,
    opens: Opens,
    knocks: u32,
    started: Started,
    services: (TcpListener, UdpSocket),
    // Last, so that it goes when all else is closed.
    lab: Lab,
}

impl Way {
    /// Whether it is opened by one packet.
    pub(crate) fn is_packet(&self) -> bool {
        match self {
            Self::Klopf(_, setup) => setup.sealer.is_some(),
            Self::Fwknop(_) => true,
            Self::Knockd(_) | Self::Kernel => false,
        }
    }

    /// Where its packets go.
    pub(crate) fn port(&self) -> u16 {
        if matches!(self, Self::Fwknop(_)) { Fwknop::PORT } else { Sealer::PORT }
    }
}

impl<'a> Gate<'a> {
    /// Starts it, and knocks until that opens.
    pub(crate) fn start(contender: &Contender, interrupt: &'a Interrupt) -> Result<Self> {
        interrupt.check()?;
        let lab = Lab::build()?;
        let (prober, services) = (Prober::new(&lab)?, (lab.listen(GUARDED)?, lab.listen_udp(PUBLIC)?));
        services.0.set_nonblocking(true).map_err(Error::io("not wait for connections"))?;
        let (started, opens) = match &contender.way {
            Way::Klopf(bin, setup) => {
                let opens = setup.sealer.clone().map_or(Opens::Sequence, Opens::Sealed);
                (klopf::start(&lab, bin, setup)?, opens)
            }
            Way::Knockd(program) => (knockd::start(&lab, program)?, Opens::Sequence),
            Way::Fwknop(fwknop) => (fwknop.start(&lab)?, Opens::Fwknop(fwknop.clone())),
            Way::Kernel => (kernel::start(&lab)?, Opens::Sequence),
        };
        let name = contender.name;
        let mut gate = Self { interrupt, name, prober, opens, knocks: 0, started, services, lab };
        gate.open_once()?;
        Ok(gate)
    }

    /// The network it is in, and its files.
    pub(crate) fn lab(&self) -> &Lab {
        &self.lab
    }

    /// What it uses now; nothing if it is no process.
    pub(crate) fn usage(&self) -> Result<Tree> {
        match &self.started.child {
            Some(child) => Tree::of(child.id()).map_err(Error::io("read /proc")),
            None => Ok(Tree::default()),
        }
    }

    /// Bytes of what it has written to its log.
    pub(crate) fn log_size(&self) -> u64 {
        let sizes = ["output", "log"].map(|name| fs::metadata(self.lab.dir().join(name)).map_or(0, |file| file.len()));
        sizes.iter().sum()
    }

    /// Real users, as many as there can be.
    pub(crate) fn users(&self, count: u8) -> Result<Users> {
        Users::new(&self.lab, &self.started.client, count)
    }

    /// Ends all leases, and sees to it that the port is closed.
    pub(crate) fn shut(&mut self) -> Result<()> {
        self.lab.run_on_server(&self.started.shut)?;
        self.is_shut()
    }

    /// The same for the prober alone.
    pub(crate) fn shut_prober(&mut self) -> Result<()> {
        self.lab.run_on_server(self.started.shut_prober.as_ref().unwrap_or(&self.started.shut))?;
        self.is_shut()
    }

    fn is_shut(&mut self) -> Result<()> {
        // Connections that were made are taken and closed, for only so many may wait.
        while self.services.0.accept().is_ok() {}
        if self.answers(CLOSED_FOR)?.is_some() { Err(self.fault("does not close")) } else { Ok(()) }
    }

    /// Knocks, a sequence with this pause before its last hit; when the last packet was sent, and the first probe that was answered then.
    pub(crate) fn knock(&mut self, pause: Duration, limit: Duration) -> Result<(Instant, Option<Answered>)> {
        self.knocks += 1;
        // Each from an address of its own, for what one may try is bounded; all for the same one.
        let source = Ipv4Addr::from(KNOCKS_FROM + self.knocks);
        let last = match &self.opens {
            Opens::Sequence => self.prober.knock(pause)?,
            Opens::Sealed(sealer) => self.prober.datagram(source, Sealer::PORT, &sealer.packet(self.knocks.into()))?,
            Opens::Fwknop(fwknop) => self.prober.datagram(source, Fwknop::PORT, &fwknop.packet(&self.lab)?)?,
        };
        Ok((last, self.answers(limit)?))
    }

    fn answers(&mut self, limit: Duration) -> Result<Option<Answered>> {
        self.prober.until_answered(GUARDED, limit, self.interrupt)
    }

    fn open_once(&mut self) -> Result<()> {
        let begin = Instant::now();
        while self.answers(CLOSED_FOR)?.is_some() {
            self.still(begin, "does not close")?;
            thread::sleep(CLOSED_FOR);
        }
        while self.knock(Duration::ZERO, FIRST_TRY)?.1.is_none() {
            self.still(begin, "does not open")?;
        }
        Ok(())
    }

    fn still(&mut self, since: Instant, fault: &str) -> Result<()> {
        let ended = self.started.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))));
        if ended || since.elapsed() > START_LIMIT { Err(self.fault(fault)) } else { Ok(()) }
    }

    fn fault(&self, what: &str) -> Error {
        let said = fs::read_to_string(output(&self.lab)).unwrap_or_default();
        let end = said.len().saturating_sub(2000);
        Error::Program(format!("{} {what}\n{}", self.name, said.get(end..).unwrap_or(&said)))
    }
}

impl Drop for Gate<'_> {
    fn drop(&mut self) {
        let Some(child) = &mut self.started.child else { return };
        // Told to end, so that it ends what it has begun; the lab kills what is left.
        let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
        let deadline = Instant::now() + END_LIMIT;
        while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Starts a daemon on the server; all that it says goes into a file.
fn daemon(lab: &Lab, program: &Path, arguments: &[&str]) -> Result<Child> {
    let written = File::create(output(lab)).map_err(Error::io("make a file"))?;
    let also = written.try_clone().map_err(Error::io("make a file"))?;
    lab.on_server(program)
        .args(arguments)
        .current_dir(lab.dir())
        .stdin(Stdio::null())
        .stdout(written)
        .stderr(also)
        .spawn()
        .map_err(Error::io(format!("start {}", program.display())))
}

/// Puts the host's own rules into force, with these besides; the command that does it again.
fn rules(lab: &Lab, more: &str) -> Result<Vec<String>> {
    let restore = words(&["/usr/sbin/iptables-restore", &lab.write("rules", &format!("{RULES}{more}COMMIT\n"))?]);
    lab.run_on_server(&restore)?;
    Ok(restore)
}

/// The client of those who hit a sequence, after its program's name.
fn hits(program: &str, options: &[&str]) -> Vec<String> {
    let ports = SEQUENCE.map(|port| port.to_string());
    let host = SERVER.to_string();
    let [first, second, third] = &ports;
    let mut words = vec![program];
    words.extend(options);
    words.extend([&*host, first, second, third]);
    self::words(&words)
}

fn output(lab: &Lab) -> PathBuf {
    lab.dir().join("output")
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
