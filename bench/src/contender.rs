//! Ways to open a port to those who knock right, each on the server of a lab of its own.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::daemon::SEQUENCE;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::lab::{CLIENT, Lab, SERVER_LINK};
use crate::prober::{Answered, Prober};
use crate::spa::{Peer, Sealer};
use crate::usage::Tree;

pub(crate) const GUARDED: u16 = 22;
/// How long it may take to close, and then to open, for the first time.
const START_LIMIT: Duration = Duration::from_secs(60);
/// 198.18.0.0, of the range for measurements (RFC 2544).
const KNOCKS_FROM: u32 = 0xc612_0000;
const FIRST_TRY: Duration = Duration::from_millis(300);
/// A port that answers no probe for so long is closed.
const CLOSED_FOR: Duration = Duration::from_millis(2);

/// The host's own rules, where a command opens: everything is dropped but what is up.
const RULES: &str = "*filter\n:INPUT DROP\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n-A INPUT -i lo -j ACCEPT\n\
                     -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT\nCOMMIT\n";

pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) way: Way,
}

pub(crate) enum Way {
    /// klopfd guards the port; the directory of Klopf's programs.
    Guard(PathBuf),
    /// A knockd runs iptables.
    Command(PathBuf),
    /// The ruleset of `klopf export nft`, and no daemon; the directory of Klopf's programs.
    Kernel(PathBuf),
    /// klopfd guards the port, and so many people have keys; the directory of Klopf's programs.
    Sealed(PathBuf, Sealer),
    /// fwknopd runs iptables.
    Peer(Peer),
}

/// What opens.
enum Knock {
    /// Hits.
    Sequence,
    Sealed(Sealer),
    Peer(Peer),
}

/// One of them at work.
pub(crate) struct Gate<'a> {
    interrupt: &'a Interrupt,
    name: &'static str,
    prober: Prober,
    opens: Knock,
    knocks: u32,
    /// From its start until it said that it is ready, if it says so.
    pub(crate) ready: Option<Duration>,
    /// What ends a lease.
    shut: Vec<String>,
    child: Option<Child>,
    _service: TcpListener,
    // Last, so that it goes when all else is closed.
    lab: Lab,
}

impl<'a> Gate<'a> {
    /// Starts it, and knocks until that opens.
    pub(crate) fn start(contender: &Contender, interrupt: &'a Interrupt) -> Result<Self> {
        let lab = Lab::build()?;
        let (prober, service) = (Prober::new(&lab)?, lab.listen(GUARDED)?);
        let (child, shut) = match &contender.way {
            Way::Guard(bin) => guard(&lab, bin, &klopf_toml(&lab)?)?,
            Way::Command(program) => command(&lab, program)?,
            Way::Kernel(bin) => kernel(&lab, bin)?,
            Way::Sealed(bin, sealer) => guard(&lab, bin, &sealer.write(lab.dir())?)?,
            Way::Peer(peer) => fwknopd(&lab, peer)?,
        };
        let opens = match &contender.way {
            Way::Sealed(_, sealer) => Knock::Sealed(sealer.clone()),
            Way::Peer(peer) => Knock::Peer(peer.clone()),
            Way::Guard(_) | Way::Command(_) | Way::Kernel(_) => Knock::Sequence,
        };
        let name = contender.name;
        let mut gate =
            Self { interrupt, name, prober, opens, knocks: 0, ready: None, shut, child, _service: service, lab };
        gate.ready = gate.becomes_ready()?;
        gate.open_once()?;
        Ok(gate)
    }

    /// The network it is in, and its files.
    pub(crate) fn lab(&self) -> &Lab {
        &self.lab
    }

    /// What it uses now.
    pub(crate) fn usage(&self) -> Result<Tree> {
        Tree::of(self.pid()?).map_err(Error::io("read /proc"))
    }

    /// Has it read its configuration again.
    pub(crate) fn reload(&self) -> Result<()> {
        kill(Pid::from_raw(self.pid()?.cast_signed()), Signal::SIGHUP).map_err(Error::io("send SIGHUP"))
    }

    /// Sends one datagram to where knocks come in.
    pub(crate) fn datagram(&self, source: Ipv4Addr, payload: &[u8]) -> Result<()> {
        self.prober.datagram(source, self.port(), payload).map(drop)
    }

    fn pid(&self) -> Result<u32> {
        self.child.as_ref().map(Child::id).ok_or_else(|| self.fault("is no process"))
    }

    fn port(&self) -> u16 {
        match self.opens {
            Knock::Peer(_) => Peer::PORT,
            Knock::Sequence | Knock::Sealed(_) => Sealer::PORT,
        }
    }

    /// Waits until klopfd has said so.
    fn becomes_ready(&mut self) -> Result<Option<Duration>> {
        if !matches!(self.opens, Knock::Sealed(_)) {
            return Ok(None);
        }
        let begin = Instant::now();
        while !fs::read_to_string(output(&self.lab)).unwrap_or_default().lines().any(|line| line == "ready") {
            self.interrupt.check()?;
            self.still(begin, "does not become ready")?;
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(Some(begin.elapsed()))
    }

    /// Ends the lease, and sees to it that the port is closed.
    pub(crate) fn shut(&mut self) -> Result<()> {
        self.lab.run_on_server(&self.shut)?;
        if self.answers(CLOSED_FOR)?.is_some() { Err(self.fault("does not close")) } else { Ok(()) }
    }

    /// Knocks; when the last hit was sent, and the first probe that was answered then.
    pub(crate) fn knock(&mut self, limit: Duration) -> Result<(Instant, Option<Answered>)> {
        self.knocks += 1;
        // Each from an address of its own, for what one may try is bounded; all for the same one.
        let source = Ipv4Addr::from(KNOCKS_FROM + self.knocks);
        let last = match &self.opens {
            Knock::Sequence => self.prober.knock()?,
            Knock::Sealed(sealer) => self.prober.datagram(source, Sealer::PORT, &sealer.packet(self.knocks.into()))?,
            Knock::Peer(peer) => self.prober.datagram(source, Peer::PORT, &peer.packet(&self.lab)?)?,
        };
        Ok((last, self.answers(limit)?))
    }

    /// The same with a sealed knock that was made elsewhere.
    pub(crate) fn knock_with(&mut self, packet: &[u8], limit: Duration) -> Result<(Instant, Option<Answered>)> {
        self.knocks += 1;
        let last = self.prober.datagram(Ipv4Addr::from(KNOCKS_FROM + self.knocks), self.port(), packet)?;
        Ok((last, self.answers(limit)?))
    }

    fn answers(&mut self, limit: Duration) -> Result<Option<Answered>> {
        self.prober.until_answered(GUARDED, limit, self.interrupt)
    }

    fn open_once(&mut self) -> Result<()> {
        let begin = Instant::now();
        while self.answers(CLOSED_FOR)?.is_some() {
            self.still(begin, "does not close")?;
        }
        while self.knock(FIRST_TRY)?.1.is_none() {
            self.still(begin, "does not open")?;
        }
        Ok(())
    }

    fn still(&mut self, since: Instant, fault: &str) -> Result<()> {
        let ended = self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))));
        if ended || since.elapsed() > START_LIMIT { Err(self.fault(fault)) } else { Ok(()) }
    }

    fn fault(&self, what: &str) -> Error {
        let said = fs::read_to_string(output(&self.lab)).unwrap_or_default();
        Error::Program(format!("{} {what}\n{said}", self.name))
    }
}

impl Drop for Gate<'_> {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else { return };
        // Told to end, so that it ends what it has begun; the lab kills what is left.
        let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
        let deadline = Instant::now() + Duration::from_secs(3);
        while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

type Started = (Option<Child>, Vec<String>);

fn guard(lab: &Lab, bin: &Path, config: &str) -> Result<Started> {
    let child = start(lab, &bin.join("klopfd"), &["--config", config])?;
    Ok((Some(child), words(&[&bin.join("klopf").display().to_string(), "revoke", "--config", config, "bench"])))
}

fn command(lab: &Lab, program: &Path) -> Result<Started> {
    let (rules, sequence) = (write(lab, "rules", RULES)?, SEQUENCE.map(|port| port.to_string()).join(","));
    let log = lab.dir().join("log").display().to_string();
    let text = format!(
        "[options]\n  logfile = {log}\n[bench]\n  sequence = {sequence}\n  seq_timeout = 10\n  tcpflags = syn\n  \
         command = /usr/sbin/iptables -A INPUT -s %IP% -p tcp --dport {GUARDED} -j ACCEPT\n"
    );
    let config = write(lab, "knockd.conf", &text)?;
    let restore = words(&["/usr/sbin/iptables-restore", &rules]);
    lab.run_on_server(&restore)?;
    let child = start(lab, program, &["-c", &config, "-i", SERVER_LINK])?;
    Ok((Some(child), restore))
}

fn fwknopd(lab: &Lab, peer: &Peer) -> Result<Started> {
    lab.run_on_server(&words(&["/usr/sbin/iptables-restore", &write(lab, "rules", RULES)?]))?;
    let options = peer.write(lab.dir())?;
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let child = start(lab, Path::new(Peer::DAEMON), &options)?;
    Ok((Some(child), words(&["/usr/sbin/iptables", "-F", "FWKNOP_INPUT"])))
}

fn kernel(lab: &Lab, bin: &Path) -> Result<Started> {
    let config = klopf_toml(lab)?;
    let exported = lab.on_server(&bin.join("klopf")).args(["export", "nft", "--config", &config]).output();
    let exported = exported.map_err(Error::io("run klopf export nft"))?;
    let rules = write(lab, "rules", &String::from_utf8_lossy(&exported.stdout))?;
    lab.run_on_server(&words(&["/usr/sbin/nft", "-f", &rules]))?;
    let flush = format!("delete element inet klopf_knock door_bench_open_v4 {{ {CLIENT} }}");
    Ok((None, words(&["/usr/sbin/nft", &flush])))
}

fn klopf_toml(lab: &Lab) -> Result<String> {
    let sequence = SEQUENCE.map(|port| format!("\"{port}\"")).join(", ");
    write(lab, "klopf.toml", &guarding(lab.dir(), &format!("sequence = [{sequence}]\nwithin = \"10s\"\n")))
}

/// A configuration with one door, which guards the port; `door` is the rest of what it says of it, and all behind that.
pub(crate) fn guarding(dir: &Path, door: &str) -> String {
    let dir = dir.display();
    format!(
        "[daemon]\ninterfaces = [\"{SERVER_LINK}\"]\nlog = \"stderr\"\nstate-dir = \"{dir}/state\"\n\
         runtime-dir = \"{dir}/run\"\n[door.bench]\nguard = [\"tcp/{GUARDED}\"]\nopen-for = \"1h\"\n{door}"
    )
}

fn start(lab: &Lab, program: &Path, arguments: &[&str]) -> Result<Child> {
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

fn output(lab: &Lab) -> PathBuf {
    lab.dir().join("output")
}

fn write(lab: &Lab, name: &str, text: &str) -> Result<String> {
    let path = lab.dir().join(name);
    fs::write(&path, text).map_err(Error::io(format!("write {}", path.display())))?;
    Ok(path.display().to_string())
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
