//! Puts packets on a link.

use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use crate::{Host, Need, Result, Stage, ensure, packet};

/// A sender of hand-made packets. Raw sockets and tun devices need `unsafe` in Rust, so Python holds them.
#[derive(Debug)]
pub struct Wire {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    framed: bool,
}

impl Wire {
    /// What it needs of the machine.
    pub const NEEDS: [Need; 1] = [Need::Program("python3", "python3")];

    /// Sends Ethernet frames out of an interface of the client.
    ///
    /// # Errors
    /// If there is no such interface.
    pub fn link(stage: &Stage, interface: &str) -> Result<Self> {
        Self::start(&stage.client, "frame", interface)
    }

    /// Makes a tun device on the server; what is sent comes in by it.
    ///
    /// # Errors
    /// If the device cannot be made.
    pub fn tun(stage: &Stage, name: &str) -> Result<Self> {
        Self::start(&stage.server, "tun", name)
    }

    fn start(host: &Host, kind: &str, name: &str) -> Result<Self> {
        let mut child = host
            .command("python3")
            .args(["-c", include_str!("wire.py"), kind, name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().ok_or("no pipe")?;
        let output = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        let mut wire = Self { child, input, output, framed: kind == "frame" };
        wire.until_ok()?;
        Ok(wire)
    }

    /// Sends SYNs to these ports, in this order.
    ///
    /// # Errors
    /// If the interface is down or gone.
    pub fn knock(&mut self, source: IpAddr, destination: IpAddr, ports: &[u16]) -> Result {
        ports.iter().try_for_each(|port| self.packet(&packet::syn(source, destination, *port)))
    }

    /// Sends an IP packet.
    ///
    /// # Errors
    /// As [`Wire::knock`].
    pub fn packet(&mut self, packet: &[u8]) -> Result {
        if self.framed { self.raw(&packet::frame(packet)) } else { self.raw(packet) }
    }

    /// Sends an IP packet so many times, as fast as that goes, each time with other bytes of chance at its end.
    ///
    /// # Errors
    /// As [`Wire::knock`].
    pub fn flood(&mut self, times: u32, packet: &[u8], chance: usize) -> Result {
        let packet = if self.framed { packet::frame(packet) } else { packet.to_vec() };
        let (head, _) = packet.split_at_checked(packet.len().saturating_sub(chance)).ok_or("a short packet")?;
        writeln!(self.input, "{} {times} {chance}", hex(head))?;
        self.until_ok()
    }

    /// Sends bytes just so.
    ///
    /// # Errors
    /// As [`Wire::knock`].
    pub fn raw(&mut self, bytes: &[u8]) -> Result {
        writeln!(self.input, "{}", hex(bytes))?;
        self.until_ok()
    }

    fn until_ok(&mut self) -> Result {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(line == "ok\n", "the packet could not be sent");
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Drop for Wire {
    fn drop(&mut self) {
        // Fails only for one that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
