//! The stage of these tests: services on the server, a friend and a stranger on the client, and what can be asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::{
    Answer, CLIENT4, CLIENT6, Daemon, Need, Peer, Probes, Result, Running, SERVER4, SERVER6, Service, Stage, Stream,
    Wire, built, configure_klopfd, ensure, player, serve, set_klopfd, until, until_some,
};
use serde_json::Value;

/// Another address of the client, from which nobody knocks.
pub const STRANGER4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 3));
/// The same for IPv6.
pub const STRANGER6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, 3));
/// Who knocks, who does not, and where, for both families.
pub const FAMILIES: [(IpAddr, IpAddr, IpAddr); 2] = [(CLIENT4, STRANGER4, SERVER4), (CLIENT6, STRANGER6, SERVER6)];

/// The sequence of the doors of these tests.
pub const PORTS: [u16; 3] = [42000, 23000, 1337];
/// What the server serves, by TCP and UDP.
const SERVED: [u16; 7] = [22, 443, 5000, 60000, 60500, 61000, 61001];
/// What most doors of these tests guard.
pub const SSH: Service = Service::Tcp(22);
/// Where streams of probes go.
pub const PROBED: Service = Service::Udp(5000);

const NFT: Need = Need::Program("nft", "nftables");

/// What all of these tests need of the machine.
pub const NEEDS: [Need; 2] = [Wire::NEEDS[0], NFT];

/// A stage with services, before or while `klopfd` runs.
#[derive(Debug)]
pub struct Scene<'a> {
    /// The hosts.
    pub stage: &'a Stage,
    /// On the client.
    pub peer: Peer,
    /// Puts packets of all kinds of origins on the client's `eth0`.
    pub wire: Wire,
    _services: Running,
}

impl<'a> Scene<'a> {
    /// Services run, and the configuration has these doors.
    ///
    /// # Errors
    /// If something of that does not work.
    pub fn set(stage: &'a Stage, doors: &str) -> Result<Self> {
        stage.client.ip(&format!("addr add {STRANGER4}/24 dev eth0"))?;
        stage.client.ip(&format!("addr add {STRANGER6}/64 dev eth0 nodad"))?;
        let peer = player("peer")?;
        let services = serve(&peer, &stage.server, &stage.path("services.out"), &SERVED)?;
        configure_klopfd(stage, &["eth0"], doors)?;
        let peer = Peer::at(&peer, &stage.client)?;
        Ok(Self { stage, peer, wire: Wire::link(stage, "eth0")?, _services: services })
    }

    /// As [`Scene::set`], and `klopfd` is ready.
    ///
    /// # Errors
    /// As [`Scene::set`], and if it does not become ready.
    pub fn guarded(stage: &'a Stage, doors: &str) -> Result<(Self, Running)> {
        let scene = Self::set(stage, doors)?;
        let klopfd = Daemon::Klopfd.start(stage)?;
        Ok((scene, klopfd))
    }

    /// Starts `klopfd` with trials of so many seconds, and waits until it is ready.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn start_on_trial(&self, seconds: u32) -> Result<Running> {
        let mut command = Daemon::Klopfd.command(self.stage)?;
        command.env("KLOPF_TRIAL_SECONDS", seconds.to_string());
        let mut running = Running::start(command, &self.stage.path("klopfd.out"))?;
        running.until_says("ready")?;
        Ok(running)
    }

    /// Gives the server a link address of all that the client may feign to be. Resets that wait for one take the room of one
    /// socket, which the kernel has for all namespaces: beside such a storm nobody gets any reset.
    ///
    /// # Errors
    /// If the server does not take them.
    pub fn acquaint(&self) -> Result {
        let lines =
            "for last in $(seq 10 254); do echo neigh add 10.99.0.$last lladdr 02:00:00:00:00:63 dev eth0; done";
        self.stage.server.run("sh", &["-c", &format!("{lines} | ip -batch -")]).map(drop)
    }

    /// Sends the sequence.
    ///
    /// # Errors
    /// As [`Wire::knock`].
    pub fn knock(&mut self, from: IpAddr) -> Result {
        self.wire.knock(from, if from.is_ipv4() { SERVER4 } else { SERVER6 }, &PORTS)
    }

    /// Knocks, and waits until that has opened a door, which may have been open already.
    ///
    /// # Errors
    /// If it stays closed.
    pub fn enter(&mut self, from: IpAddr, service: Service) -> Result {
        self.knock(from)?;
        let to = if from.is_ipv4() { SERVER4 } else { SERVER6 };
        self.until_open(from, to, service)
    }

    /// Waits until a service answers an address.
    ///
    /// # Errors
    /// If it does not.
    pub fn until_open(&mut self, from: IpAddr, to: IpAddr, service: Service) -> Result {
        let peer = &mut self.peer;
        until(&format!("{service} of {to} is open to {from}"), || Ok(peer.connects(from, to, service)? == Answer::Open))
    }

    /// Waits until a service is silent to an address.
    ///
    /// # Errors
    /// If it does not come to that.
    pub fn until_closed(&mut self, from: IpAddr, to: IpAddr, service: Service) -> Result {
        let peer = &mut self.peer;
        until(&format!("{service} of {to} is closed to {from}"), || {
            Ok(peer.connects(from, to, service)? == Answer::Silent)
        })
    }

    /// Makes sure that a service answers an address.
    ///
    /// # Errors
    /// If it does not.
    pub fn is_open(&mut self, from: IpAddr, to: IpAddr, service: Service) -> Result {
        let answer = self.peer.meets(from, to, service)?;
        ensure!(answer == Answer::Open, "{service} of {to} is not open to {from}: {answer:?}");
        Ok(())
    }

    /// Makes sure that a service is silent to an address.
    ///
    /// # Errors
    /// If it is not.
    pub fn is_closed(&mut self, from: IpAddr, to: IpAddr, service: Service) -> Result {
        let answer = self.peer.connects(from, to, service)?;
        ensure!(answer == Answer::Silent, "{service} of {to} is not closed to {from}: {answer:?}");
        Ok(())
    }

    /// Probes of the friend and of the stranger.
    ///
    /// # Errors
    /// As [`Stream::start`].
    pub fn stream(&self, pairs: &[(IpAddr, IpAddr)]) -> Result<Stream> {
        let Service::Udp(port) = PROBED else { return Err("streams are of datagrams".into()) };
        Stream::start(&player("peer")?, &self.stage.client, port, pairs)
    }

    /// A command on the server: `klopf` with these arguments and this configuration.
    ///
    /// # Errors
    /// If it is not built.
    pub fn klopf(&self, arguments: &[&str]) -> Result<Command> {
        klopf(self.stage, arguments)
    }

    /// Runs `klopf`, which must succeed, and returns what it says.
    ///
    /// # Errors
    /// If it does not.
    pub fn says(&self, arguments: &[&str]) -> Result<String> {
        self.ends(arguments, 0)
    }

    /// Runs `klopf`, which must end with an exit code, and returns what it says on stdout and stderr.
    ///
    /// # Errors
    /// If it ends with another one.
    pub fn ends(&self, arguments: &[&str], code: i32) -> Result<String> {
        let done = self.klopf(arguments)?.output()?;
        let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        ensure!(done.status.code() == Some(code), "klopf {arguments:?}: {} instead of {code}\n{said}", done.status);
        Ok(said)
    }

    /// What `klopf status --json` says.
    ///
    /// # Errors
    /// If it fails.
    pub fn status(&self) -> Result<Status> {
        let done = self.klopf(&["status", "--json"])?.output()?;
        ensure!(done.status.success(), "klopf status: {done:?}");
        Ok(Status(serde_json::from_slice(&done.stdout)?))
    }

    /// Waits until the status meets a condition.
    ///
    /// # Errors
    /// If it does not come to that.
    pub fn until_status(&self, what: &str, met: impl Fn(&Status) -> bool) -> Result<Status> {
        let mut last = String::new();
        until_some(what, || {
            let status = self.status()?;
            last = status.0.to_string();
            Ok(met(&status).then_some(status))
        })
        .map_err(|fault| format!("{fault}: {last}").into())
    }

    /// Klopf's table as `nft` lists it; nothing if there is none.
    ///
    /// # Errors
    /// If `nft` does not run.
    pub fn table(&self) -> Result<Option<String>> {
        let done = self.stage.server.output("nft", &["list", "table", "inet", "klopf"])?;
        Ok(done.status.success().then(|| String::from_utf8_lossy(&done.stdout).into_owned()))
    }

    /// How many leases the kernel holds: elements with an end in the sets for them.
    ///
    /// # Errors
    /// As [`Scene::table`].
    pub fn leases_in_kernel(&self) -> Result<usize> {
        let table = self.table()?.unwrap_or_default();
        let sets = table.split("\tset ").filter(|set| set.starts_with("open"));
        Ok(sets.map(|set| set.matches(" expires ").count()).sum())
    }

    /// Another configuration for a daemon that is to read it by a reload or a start.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn configure(&self, doors: &str) -> Result {
        configure_klopfd(self.stage, &["eth0"], doors).map(drop)
    }

    /// Gives a key of the daemon's part of the configuration another value, in TOML.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn set_daemon(&self, key: &str, value: &str) -> Result {
        set_klopfd(self.stage, key, value)
    }
}

/// What `klopf status --json` prints.
#[derive(Debug)]
pub struct Status(pub Value);

impl Status {
    /// What is closed.
    pub fn guards(&self) -> &str {
        self.text("guards")
    }

    /// A text of it; empty if there is none.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// A list of it; empty if there is none.
    pub fn list(&self, name: &str) -> &[Value] {
        self.0.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// The only lease of an address.
    ///
    /// # Errors
    /// If there is none, or more than one.
    pub fn lease(&self, address: IpAddr) -> Result<&Value> {
        let address = address.to_string();
        let mut all = self.list("leases").iter().filter(|lease| text(lease, "address") == address);
        match (all.next(), all.next()) {
            (Some(lease), None) => Ok(lease),
            _ => Err(format!("not one lease of {address}: {}", self.0).into()),
        }
    }

    /// How many leases there are.
    pub fn leases(&self) -> usize {
        self.list("leases").len()
    }
}

/// A text of a value; empty if there is none.
pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Time of a value in milliseconds.
///
/// # Errors
/// If it is not there.
pub fn time(value: &Value, name: &str) -> Result<Duration> {
    let millis = value.get(name).and_then(Value::as_u64).ok_or_else(|| format!("no {name} in {value}"))?;
    Ok(Duration::from_millis(millis))
}

/// A command on the server: `klopf` with these arguments and the configuration on the stage.
///
/// # Errors
/// If it is not built.
pub fn klopf(stage: &Stage, arguments: &[&str]) -> Result<Command> {
    let mut command = stage.server.command(built("klopf")?);
    command.args(arguments).arg("--config").arg(stage.path("klopf.toml"));
    Ok(command)
}

/// A door with the usual sequence and these lines.
pub fn door(name: &str, lines: &str) -> String {
    door_of(name, &PORTS, lines)
}

/// A door with a sequence of its own.
pub fn door_of(name: &str, sequence: &[u16], lines: &str) -> String {
    format!("[door.{name}]\nsequence = {sequence:?}\nwithin = \"60s\"\n{lines}\n\n")
}

/// A door that guards `tcp/22` and the port of streams, with leases that outlast every test.
pub fn long_door(lines: &str) -> String {
    door("ssh", &format!("guard = [\"{SSH}\", \"{PROBED}\"]\nopen-for = \"600s\"\n{lines}"))
}

/// Makes sure that the first source's probes were all answered and the others' were not, in this order for each family.
///
/// # Errors
/// Says how many were not as they should be.
pub fn only_friends_were_answered(streams: &[Probes]) -> Result {
    for pair in streams.chunks_exact(2) {
        let [friend, stranger] = pair else { return Err("not a friend and a stranger".into()) };
        let lost: Vec<&Duration> = friend.iter().filter(|(_, answered)| !answered).map(|(sent, _)| sent).collect();
        ensure!(lost.is_empty(), "{} of {} probes with a lease were lost: {lost:?}", lost.len(), friend.len());
        nobody_was_answered(stranger)?;
    }
    Ok(())
}

/// Makes sure that no probe was answered.
///
/// # Errors
/// Says how many were.
pub fn nobody_was_answered(stranger: &Probes) -> Result {
    let let_in: Vec<&Duration> = stranger.iter().filter(|(_, answered)| *answered).map(|(sent, _)| sent).collect();
    ensure!(let_in.is_empty(), "{} of {} probes without a lease got in: {let_in:?}", let_in.len(), stranger.len());
    Ok(())
}

/// Friends and strangers of both families, for [`Scene::stream`] and [`only_friends_were_answered`].
pub fn friends_and_strangers() -> Vec<(IpAddr, IpAddr)> {
    FAMILIES.into_iter().flat_map(|(friend, stranger, server)| [(friend, server), (stranger, server)]).collect()
}

/// Whether a log has a line with all these words, in any case of letters.
pub fn tells(log: &str, words: &[&str]) -> bool {
    let has = |line: &str| words.iter().all(|word| line.contains(&word.to_lowercase()));
    log.lines().any(|line| has(&line.to_lowercase()))
}

/// Takes the time until something has happened, which must lie in a range.
///
/// # Errors
/// If it does not.
pub fn within(from: Duration, to: Duration, begun: Instant, what: &str) -> Result {
    let took = begun.elapsed();
    ensure!((from..=to).contains(&took), "{what} took {took:?}, not {from:?} to {to:?}");
    Ok(())
}
