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

    /// Sends bytes just so.
    ///
    /// # Errors
    /// As [`Wire::knock`].
    pub fn raw(&mut self, bytes: &[u8]) -> Result {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(self.input, "{hex}")?;
        self.until_ok()
    }

    fn until_ok(&mut self) -> Result {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(line == "ok\n", "the packet could not be sent");
        Ok(())
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // Fails only for one that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
