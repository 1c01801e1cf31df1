//! What comes in at a host, as bytes.

use crate::{Host, Need, Result, Running, Stage};

/// A running capture of TCP and UDP over IPv4 and IPv6.
#[derive(Debug)]
pub struct Capture(Running);

impl Capture {
    /// What it needs of the machine.
    pub const NEEDS: [Need; 1] = [Need::Program("tcpdump", "tcpdump")];

    /// Starts to capture on the server's `eth0`.
    ///
    /// # Errors
    /// If that does not work.
    pub fn start(stage: &Stage) -> Result<Self> {
        Self::at(stage, &stage.server, "tcp or udp")
    }

    /// Starts to capture what comes in at a host's `eth0` and passes a filter.
    ///
    /// # Errors
    /// If that does not work.
    pub fn at(stage: &Stage, host: &Host, filter: &str) -> Result<Self> {
        let mut command = host.command("tcpdump");
        command.args(["-i", "eth0", "-Q", "in", "-n", "-l", "-x", "--immediate-mode", filter]);
        let mut running = Running::start(command, &stage.path("tcpdump.out"))?;
        running.until_says("listening")?;
        Ok(Self(running))
    }

    /// Waits until what has come meets a condition, and returns it: packets from the IP header on.
    ///
    /// # Errors
    /// If it does not come to that.
    pub fn until(&mut self, what: &str, met: impl Fn(&[Vec<u8>]) -> bool) -> Result<Vec<Vec<u8>>> {
        self.0.until(what, |log| met(&packets(log)))?;
        Ok(packets(&self.0.log()?))
    }
}

/// The packets in what tcpdump has printed: a line for each, and then its bytes, as in `0x0000:  4500 0034`.
fn packets(log: &str) -> Vec<Vec<u8>> {
    let mut packets: Vec<Vec<u8>> = Vec::new();
    for line in log.lines() {
        match (line.strip_prefix("\t0x").and_then(|line| line.split_once(':')), packets.last_mut()) {
            (Some((_, words)), Some(packet)) => packet.extend(bytes(words)),
            _ => packets.push(Vec::new()),
        }
    }
    packets.retain(|packet| !packet.is_empty());
    packets
}

fn bytes(words: &str) -> Vec<u8> {
    let digits: Vec<u8> = words.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks_exact(2).filter_map(|pair| std::str::from_utf8(pair).ok());
    pairs.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}
