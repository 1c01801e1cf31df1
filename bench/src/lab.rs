//! Two hosts in network namespaces of their own, joined by a veth link, and a scratch directory.
//!
//! The program under measurement runs on the server; frames and real users come from the client. Each user has a number, and by it
//! a user id, an address and a home of its own. Answers to addresses of the flood leave by another link, where nobody
//! is. All of it goes when the value is dropped.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use klopf_sys::{Depth, PacketSocket};
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
/// Where the flood claims to come from: 4,194,304 addresses.
pub(crate) const SPOOFED: (Ipv4Addr, u32) = (Ipv4Addr::new(10, 128, 0, 0), 1 << 22);
/// The server on the link to nowhere, whose other end is down, and who would be there.
const AWAY: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 1);
const NOBODY: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 2);
/// Users are numbered from 0.
pub(crate) const USERS: u8 = 50;
/// The user id of the first of them: of no package and no person.
const FIRST_UID: u32 = 63_100;
/// How often a frame is offered again when the kernel has no room for it, a millisecond apart.
const SEND_TRIES: u32 = 1000;
/// What the names of namespaces begin with.
const TAGS: [&str; 2] = ["kbs", "kbc"];

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
        let [server, client] = TAGS.map(|start| format!("{start}{tag}"));
        let lab = Self { server, client, dir };
        lab.network()?;
        Ok(lab)
    }

    /// Removes what a run that was killed has left.
    pub(crate) fn clear() {
        let names = fs::read_dir("/run/netns").into_iter().flatten().flatten();
        for name in names.filter_map(|entry| entry.file_name().into_string().ok()) {
            let tag = TAGS.iter().find_map(|start| name.strip_prefix(start));
            let Some((pid, _)) = tag.and_then(|tag| tag.split_once('-')) else { continue };
            if !Path::new("/proc").join(pid).exists() {
                empty(&name);
                if let Some(tag) = tag {
                    let _ = fs::remove_dir_all(std::env::temp_dir().join(format!("klopf-bench-{tag}")));
                }
            }
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where a file of the scratch directory is, as text.
    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// Writes a file into the scratch directory, which only root may read; where it is.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<String> {
        let path = self.dir.join(name);
        let written = fs::write(&path, text);
        written.and_then(|()| mode(&path, 0o600)).map_err(Error::io(format!("write {}", path.display())))?;
        Ok(path.display().to_string())
    }

    /// A command that will run on the server.
    pub(crate) fn on_server(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        // Out of reach of Ctrl-C, so that it ends when this program tells it to.
        command.process_group(0).args(["netns", "exec", &self.server]).arg(program);
        command
    }

    /// Runs a command on the server to its end; what it printed.
    pub(crate) fn run_on_server(&self, words: &[String]) -> Result<Vec<u8>> {
        let (program, rest) = words.split_first().ok_or_else(|| Error::Program("no command".into()))?;
        let doing = || words.join(" ");
        let done = self.on_server(Path::new(program)).args(rest).stdin(Stdio::null()).output();
        let done = done.map_err(Error::io(doing()))?;
        if done.status.success() {
            return Ok(done.stdout);
        }
        Err(Error::Program(format!("{}: {}", doing(), String::from_utf8_lossy(&done.stderr).trim())))
    }

    /// Something that listens on the server.
    pub(crate) fn listen(&self, port: u16) -> Result<TcpListener> {
        inside(&self.server, move || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))
            .map_err(Error::io(format!("listen on port {port}")))
    }

    /// The same for datagrams.
    pub(crate) fn listen_udp(&self, port: u16) -> Result<UdpSocket> {
        inside(&self.server, move || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)))
            .map_err(Error::io(format!("listen on port {port}/udp")))
    }

    /// The name of the client's namespace, for [`inside`].
    pub(crate) fn client(&self) -> String {
        self.client.clone()
    }

    /// Makes a user's home; where it is.
    pub(crate) fn home(&self, user: u8) -> Result<PathBuf> {
        let home = self.dir.join(format!("home-{user}"));
        if home.exists() {
            return Ok(home);
        }
        let made = fs::create_dir(&home).and_then(|()| chown(&home, Some(uid(user)), Some(uid(user))));
        made.map_err(Error::io("make a home"))?;
        Ok(home)
    }

    /// The watch's socket for packets, on the server; nothing comes through its filter yet.
    pub(crate) fn packets(&self) -> Result<PacketSocket> {
        inside(&self.server, || PacketSocket::open(Depth::Headers)).map_err(Error::io("open a packet socket"))
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
        }
        let [server_mac, client_mac] = [SERVER_MAC, CLIENT_MAC].map(|mac| mac.map(|b| format!("{b:02x}")).join(":"));
        ip(&format!(
            "-n {client} link add {CLIENT_LINK} address {client_mac} type veth \
             peer name {SERVER_LINK} address {server_mac} netns {server}"
        ))?;
        let (network, hosts) = SPOOFED;
        let prefix = hosts.leading_zeros() + 1;
        let mut on_server = format!(
            "link set lo up\naddr add {SERVER}/16 dev {SERVER_LINK}\nlink set {SERVER_LINK} up\n\
             link add away type veth peer name nowhere\nlink set away up\naddr add {AWAY}/24 dev away\n\
             neigh replace {NOBODY} lladdr {client_mac} dev away nud permanent\n\
             route add {network}/{prefix} via {NOBODY} dev away\nroute add default via {CLIENT}\n\
             neigh replace {CLIENT} lladdr {client_mac} dev {SERVER_LINK} nud permanent\n"
        );
        // Nobody has to ask where the other one is.
        let mut on_client = format!(
            "link set lo up\naddr add {CLIENT}/16 dev {CLIENT_LINK}\nlink set {CLIENT_LINK} up\n\
             neigh replace {SERVER} lladdr {server_mac} dev {CLIENT_LINK} nud permanent\n"
        );
        for user in 0..USERS {
            let (address, uid) = (address(user), uid(user));
            on_server += &format!("neigh replace {address} lladdr {client_mac} dev {SERVER_LINK} nud permanent\n");
            on_client += &format!(
                "addr add {address}/32 dev {CLIENT_LINK}\nrule add uidrange {uid}-{uid} lookup {uid}\n\
                 route add {SERVER} dev {CLIENT_LINK} src {address} table {uid}\n"
            );
        }
        ip_batch(server, &on_server)?;
        ip_batch(client, &on_client)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        empty(&self.server);
        empty(&self.client);
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A user's address.
pub(crate) const fn address(user: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 99, 1, user)
}

/// A user's id.
pub(crate) fn uid(user: u8) -> u32 {
    FIRST_UID + u32::from(user)
}

/// Ends what runs in a namespace, and removes it.
fn empty(namespace: &str) {
    let inside = ip(&format!("netns pids {namespace}")).unwrap_or_default();
    for pid in inside.split_whitespace().filter_map(|word| word.parse().ok()) {
        // One that has ended by itself is fine.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    let _ = ip(&format!("netns del {namespace}"));
}

pub(crate) struct Injector(OwnedFd);

impl Injector {
    /// Sends one SYN to the server.
    pub(crate) fn syn(&self, src: frame::End, port: u16) -> Result<()> {
        self.send(&frame::syn(src, (SERVER, port)))
    }

    /// Sends one datagram to the server.
    pub(crate) fn udp(&self, src: frame::End, port: u16, payload: &[u8]) -> Result<()> {
        self.send(&frame::udp(src, (SERVER, port), payload))
    }

    /// A frame that has come, cut to the length of the buffer; `None` if there is none now.
    pub(crate) fn receive<'a>(&self, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        let length = recv(self.0.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT).ok()?;
        buffer.get(..length)
    }

    /// The socket.
    pub(crate) fn fd(&self) -> i32 {
        self.0.as_raw_fd()
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
pub(crate) fn inside<T: Send + 'static>(
    namespace: &str,
    run: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let namespace = File::open(format!("/run/netns/{namespace}"))?;
    // setns() is for the calling thread, hence one that ends with it.
    let entered = thread::spawn(move || {
        setns(&namespace, CloneFlags::CLONE_NEWNET)?;
        run()
    });
    entered.join().unwrap_or_else(|_| Err(Errno::EIO.into()))
}

/// Sets the permissions of a file.
pub(crate) fn mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
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

/// Runs ip(8) with many lines in a namespace.
fn ip_batch(namespace: &str, lines: &str) -> Result<()> {
    let failed = || Error::io("run ip -batch");
    let mut ip = Command::new("ip");
    let mut ip = ip
        .args(["-n", namespace, "-batch", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed())?;
    ip.stdin.take().map_or(Ok(()), |mut to| to.write_all(lines.as_bytes())).map_err(failed())?;
    let done = ip.wait_with_output().map_err(failed())?;
    if done.status.success() {
        return Ok(());
    }
    Err(Error::Program(format!("ip -batch: {}", String::from_utf8_lossy(&done.stderr).trim())))
}
