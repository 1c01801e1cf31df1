//! Two hosts in network namespaces of their own, joined by a veth link, and a scratch directory.
//!
//! The daemon runs on the server, frames are sent from the client. All of it goes when the value is dropped.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send, socket};
use nix::unistd::Pid;

use crate::error::{Error, Result};
use crate::frame::{self, CLIENT_MAC, SERVER_MAC};

pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);
pub(crate) const SERVER_LINK: &str = "eth0";
const CLIENT_LINK: &str = "cl0";
/// How often a frame is offered again when the kernel has no room for it, a millisecond apart.
const SEND_TRIES: u32 = 1000;

static LABS: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Lab {
    server: String,
    client: String,
    dir: PathBuf,
}

impl Lab {
    pub(crate) fn build() -> Result<Self> {
        let tag = format!("{}-{}", std::process::id(), LABS.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(format!("klopf-bench-{tag}"));
        fs::create_dir(&dir).map_err(Error::io(format!("make {}", dir.display())))?;
        let lab = Self { server: format!("kbs{tag}"), client: format!("kbc{tag}"), dir };
        lab.network()?;
        Ok(lab)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A command that will run on the server.
    pub(crate) fn on_server(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        // Out of reach of Ctrl-C, so that it ends when this program tells it to.
        command.process_group(0).args(["netns", "exec", &self.server]).arg(program);
        command
    }

    /// Runs a command on the server, and waits for its end.
    pub(crate) fn run_on_server(&self, words: &[String]) -> Result<()> {
        let (program, rest) = words.split_first().ok_or_else(|| Error::Program("no command".into()))?;
        let doing = || words.join(" ");
        let done = self.on_server(Path::new(program)).args(rest).stdin(Stdio::null()).output();
        let done = done.map_err(Error::io(doing()))?;
        if done.status.success() {
            return Ok(());
        }
        Err(Error::Program(format!("{}: {}", doing(), String::from_utf8_lossy(&done.stderr).trim())))
    }

    /// Something that listens on the server.
    pub(crate) fn listen(&self, port: u16) -> Result<TcpListener> {
        inside(&self.server, move || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))
            .map_err(Error::io(format!("listen on port {port}")))
    }

    /// A socket for raw frames on the client's end of the link, that only sends.
    pub(crate) fn injector(&self) -> Result<Injector> {
        self.packet_socket(None)
    }

    /// The same, and what comes of IPv4 can be taken from it.
    pub(crate) fn wire(&self) -> Result<Injector> {
        self.packet_socket(Some(SockProtocol::EthIp))
    }

    fn packet_socket(&self, protocol: Option<SockProtocol>) -> Result<Injector> {
        inside(&self.client, move || Ok(packet_socket(protocol)?))
            .map(Injector)
            .map_err(Error::io(format!("open a packet socket on {CLIENT_LINK}")))
    }

    fn network(&self) -> Result<()> {
        let Self { server, client, .. } = self;
        for namespace in [server, client] {
            ip(&format!("netns add {namespace}"))?;
            // No router solicitations and the like on the link.
            for name in ["all", "default"] {
                ip(&format!("netns exec {namespace} sysctl -qw net.ipv6.conf.{name}.disable_ipv6=1"))?;
            }
            ip(&format!("-n {namespace} link set lo up"))?;
        }
        let [server_mac, client_mac] = [SERVER_MAC, CLIENT_MAC].map(|mac| mac.map(|b| format!("{b:02x}")).join(":"));
        ip(&format!(
            "-n {client} link add {CLIENT_LINK} address {client_mac} type veth \
             peer name {SERVER_LINK} address {server_mac} netns {server}"
        ))?;
        for (namespace, link, address) in [(server, SERVER_LINK, SERVER), (client, CLIENT_LINK, CLIENT)] {
            ip(&format!("-n {namespace} addr add {address}/24 dev {link}"))?;
            ip(&format!("-n {namespace} link set {link} up"))?;
        }
        // Nobody has to ask where the other one is.
        ip(&format!("-n {server} neigh replace {CLIENT} lladdr {client_mac} dev {SERVER_LINK} nud permanent"))?;
        ip(&format!("-n {client} neigh replace {SERVER} lladdr {server_mac} dev {CLIENT_LINK} nud permanent"))?;
        Ok(())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for namespace in [&self.server, &self.client] {
            let inside = ip(&format!("netns pids {namespace}")).unwrap_or_default();
            for pid in inside.split_whitespace().filter_map(|word| word.parse().ok()) {
                // One that has ended by itself is fine.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            let _ = ip(&format!("netns del {namespace}"));
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

pub(crate) struct Injector(OwnedFd);

impl Injector {
    /// Sends one SYN to the server.
    pub(crate) fn syn(&self, src: (Ipv4Addr, u16), port: u16) -> Result<()> {
        self.send(&frame::syn(src, (SERVER, port)))
    }

    /// Sends one datagram to the server.
    pub(crate) fn udp(&self, src: (Ipv4Addr, u16), port: u16, payload: &[u8]) -> Result<()> {
        self.send(&frame::udp(src, (SERVER, port), payload))
    }

    /// A frame that has come, cut to the length of the buffer; `None` if there is none now.
    pub(crate) fn receive<'a>(&self, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        let length = recv(self.0.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT).ok()?;
        buffer.get(..length)
    }

    fn send(&self, frame: &[u8]) -> Result<()> {
        for _ in 0..SEND_TRIES {
            match send(self.0.as_raw_fd(), frame, MsgFlags::empty()) {
                Err(Errno::ENOBUFS) => thread::sleep(Duration::from_millis(1)),
                Err(Errno::EINTR) => {}
                other => return other.map(drop).map_err(Error::io("send a frame")),
            }
        }
        Err(Error::Io { doing: "send a frame".into(), source: Errno::ENOBUFS.into() })
    }
}

/// Runs something in a network namespace.
fn inside<T: Send + 'static>(namespace: &str, run: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    let namespace = File::open(format!("/run/netns/{namespace}"))?;
    // setns() is for the calling thread, hence one that ends with it.
    let entered = thread::spawn(move || {
        setns(&namespace, CloneFlags::CLONE_NEWNET)?;
        run()
    });
    entered.join().unwrap_or_else(|_| Err(Errno::EIO.into()))
}

/// Without a protocol it sends, and receives nothing.
fn packet_socket(protocol: Option<SockProtocol>) -> nix::Result<OwnedFd> {
    let address = getifaddrs()?
        .filter(|entry| entry.interface_name == CLIENT_LINK)
        .find_map(|entry| entry.address?.as_link_addr().copied())
        .ok_or(Errno::ENODEV)?;
    let raw = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    bind(raw.as_raw_fd(), &address)?;
    Ok(raw)
}

/// Runs ip(8) with these words and returns what it printed.
fn ip(words: &str) -> Result<String> {
    let doing = || format!("ip {words}");
    let done =
        Command::new("ip").args(words.split_whitespace()).stdin(Stdio::null()).output().map_err(Error::io(doing()))?;
    if !done.status.success() {
        return Err(Error::Program(format!("{}: {}", doing(), String::from_utf8_lossy(&done.stderr).trim())));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
