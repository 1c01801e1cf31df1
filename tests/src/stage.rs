//! Two hosts on one link, and a scratch directory.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Host, Result, until};

/// The server's IPv4 address on `eth0`.
pub const SERVER4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 1));
/// The client's.
pub const CLIENT4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 2));
/// The server's IPv6 address on `eth0`.
pub const SERVER6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, 1));
/// The client's.
pub const CLIENT6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, 2));

/// The address of the host behind the server, if there is one.
pub const THIRD4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 98, 0, 2));
/// Its IPv6 address.
pub const THIRD6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0x98, 0, 0, 0, 0, 0, 2));

/// How long a test may take in all, unless it says otherwise.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// The place of one test. Both hosts have the other on `eth0`.
#[derive(Debug)]
pub struct Stage {
    /// Where the daemon runs.
    pub server: Host,
    /// Who knocks.
    pub client: Host,
    /// The namespace of the host behind the server, if a test wants one.
    behind: String,
    directory: PathBuf,
    _guard: Guard,
}

impl Stage {
    /// Sets a stage, plays the test on it, for so long at most, and takes it down. A fault is told together with all logs.
    ///
    /// # Errors
    /// Those of the test, and if the stage cannot be set.
    pub fn play(limit: Duration, test: impl FnOnce(&Self) -> Result) -> Result {
        let begun = Instant::now();
        let stage = Self::set(limit)?;
        test(&stage).map_err(|fault| {
            let late = if begun.elapsed() > limit { "stopped because it took too long: " } else { "" };
            format!("{late}{fault}\n{}", stage.logs()).into()
        })
    }

    fn set(limit: Duration) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let tag = format!("{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(format!("klopf-test-{tag}"));
        let (server, client) = (format!("kt{tag}s"), format!("kt{tag}c"));
        let behind = format!("kt{tag}b");
        let guard = Guard::start(&directory, &[&server, &client, &behind], limit)?;
        fs::create_dir(&directory)?;
        // Programs that have given up root look into it.
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755))?;
        let (server, client) = (Host::create(server)?, Host::create(client)?);
        let stage = Self { server, client, behind, directory, _guard: guard };
        stage.link("eth0")?;
        stage.server.ip(&format!("addr add {SERVER4}/24 dev eth0"))?;
        stage.server.ip(&format!("addr add {SERVER6}/64 dev eth0 nodad"))?;
        stage.client.ip(&format!("addr add {CLIENT4}/24 dev eth0"))?;
        stage.client.ip(&format!("addr add {CLIENT6}/64 dev eth0 nodad"))?;
        Ok(stage)
    }

    /// Joins the hosts by one more link, of this name on both sides, up and without addresses.
    ///
    /// # Errors
    /// If there is one already.
    pub fn link(&self, name: &str) -> Result {
        let mac = crate::packet::SERVER_MAC;
        let peer = self.client.netns();
        self.server.ip(&format!("link add {name} address {mac} type veth peer name {name} netns {peer}"))?;
        self.client.ip(&format!("link set {name} up"))?;
        self.server.ip(&format!("link set {name} up"))
    }

    /// Makes a third host, behind the server, which is a router from now on: a link of the server's `eth1` to its `eth0`
    /// with addresses, and routes to and from the client.
    ///
    /// # Errors
    /// If there is one already.
    pub fn third(&self) -> Result<Host> {
        let third = Host::create(self.behind.clone())?;
        self.server.ip(&format!("link add eth1 type veth peer name eth0 netns {}", third.netns()))?;
        for (host, link, last) in [(&self.server, "eth1", 1), (&third, "eth0", 2)] {
            host.ip(&format!("link set {link} up"))?;
            host.ip(&format!("addr add 10.98.0.{last}/24 dev {link}"))?;
            host.ip(&format!("addr add fd00:98::{last}/64 dev {link} nodad"))?;
        }
        self.server
            .run("sh", &["-c", "cd /proc/sys/net && echo 1 > ipv4/ip_forward && echo 1 > ipv6/conf/all/forwarding"])?;
        third.ip("route add default via 10.98.0.1")?;
        third.ip("-6 route add default via fd00:98::1")?;
        self.client.ip(&format!("route add 10.98.0.0/24 via {SERVER4}"))?;
        self.client.ip(&format!("-6 route add fd00:98::/64 via {SERVER6}"))?;
        Ok(third)
    }

    /// Makes a third host, behind the client, which is a router with address translation (IPv4) from now on.
    ///
    /// # Errors
    /// If there is a third one already.
    pub fn inside(&self) -> Result<Host> {
        let inside = Host::create(self.behind.clone())?;
        self.client.ip(&format!("link add eth1 type veth peer name eth0 netns {}", inside.netns()))?;
        for (host, link, last) in [(&self.client, "eth1", 1), (&inside, "eth0", 2)] {
            host.ip(&format!("link set {link} up"))?;
            host.ip(&format!("addr add 10.97.0.{last}/24 dev {link}"))?;
        }
        inside.ip("route add default via 10.97.0.1")?;
        self.client.run("sh", &["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])?;
        let rules =
            "table ip nat { chain post { type nat hook postrouting priority srcnat; oifname eth0 masquerade; }; }";
        self.client.run("nft", &[rules]).map(drop)?;
        Ok(inside)
    }

    /// A path in the scratch directory.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes a file in the scratch directory.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, text)?;
        Ok(path)
    }

    /// Writes an executable shell script.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn script(&self, name: &str, body: &str) -> Result<PathBuf> {
        let path = self.write(name, &format!("#!/bin/sh\n{body}\n"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }

    /// A script that notes its arguments, one line a call, for [`Stage::notes`].
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn note(&self) -> Result<String> {
        let script = self.script("note", &format!("echo \"$@\" >> {}", self.path("notes").display()))?;
        Ok(script.display().to_string())
    }

    /// What has been noted so far.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.text("notes").lines().map(str::to_owned).collect()
    }

    /// How often a line has been noted.
    #[must_use]
    pub fn noted(&self, line: &str) -> usize {
        self.notes().iter().filter(|noted| *noted == line).count()
    }

    /// Waits until a line has been noted so many times.
    ///
    /// # Errors
    /// If it does not come to that.
    pub fn until_noted(&self, line: &str, times: usize) -> Result {
        until(&format!("{line:?} noted {times} times"), || Ok(self.noted(line) >= times))
    }

    /// A file of the scratch directory; empty when it is not there.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).unwrap_or_default()).into_owned()
    }

    fn logs(&self) -> String {
        ["knockd.log", "knockd.out", "klopfd.out", "notes"]
            .iter()
            .map(|name| (name, self.text(name)))
            .filter(|(_, text)| !text.is_empty())
            .map(|(name, text)| format!("--- {name}\n{text}"))
            .collect()
    }
}

/// A shell that takes the stage down when its stdin closes: after the test, when the test is killed, and when it takes
/// too long, so that nothing it waits for can hold it up for ever.
#[derive(Debug)]
struct Guard {
    shell: Child,
    over: Option<Sender<()>>,
}

impl Guard {
    fn start(directory: &Path, namespaces: &[&str], limit: Duration) -> Result<Self> {
        let mut shell = Command::new("sh")
            .args(["-c", include_str!("guard.sh"), "guard"])
            .arg(directory)
            .args(namespaces)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Out of reach of what ends the test.
            .process_group(0)
            .spawn()?;
        let (over, is_over) = mpsc::channel();
        let stdin = shell.stdin.take();
        thread::spawn(move || {
            // Ends early when the sender goes.
            let _ = is_over.recv_timeout(limit);
            drop(stdin);
        });
        Ok(Self { shell, over: Some(over) })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.over.take());
        // Nothing is left to do if it cannot be waited for.
        let _ = self.shell.wait();
    }
}
