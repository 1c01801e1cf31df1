//! A scene with a server that takes encoded sequences, and what becomes of them.

use std::net::IpAddr;

use klopf_spa::encoded::{Claim, Mark, Template, Transport, seal};
use klopf_spa::{Own, Shape};
use klopf_tests::scene::{SSH, Scene, Status, tells, text};
use klopf_tests::{
    Daemon, Person, Receiver, Result, Running, SERVER4, SERVER6, Signal, Stage, ensure, gone, now_ms, packet,
    process_field, send, until,
};
use serde_json::Value;

/// The ports of most doors of these tests.
pub(crate) const PORTS: &str = "40000-40255";

/// A door that everybody with a key may open by an encoded sequence of these fields, with these lines besides.
pub(crate) fn door(fields: &str, lines: &str) -> String {
    format!(
        "[door.ssh]\nguard = [\"tcp/22\"]\nopen-for = \"600s\"\nkeys = [\"*\"]\n\
         encoded = {{ ports = \"{PORTS}\", fields = [{fields}] }}\n{lines}\n\n"
    )
}

/// A scene, the server's key, and somebody with a key.
pub(crate) struct Play<'a> {
    pub(crate) scene: Scene<'a>,
    pub(crate) server: Receiver,
    pub(crate) ada: Person,
    /// The mark of her last sequence.
    mark: Mark,
    klopfd: Option<Running>,
}

impl<'a> Play<'a> {
    /// All files are there, with this configuration, and Ada's key on her terms.
    pub(crate) fn set(stage: &'a Stage, config: &str, terms: &str) -> Result<Self> {
        let (server, ada) = (Receiver::new(Shape::None)?, Person::new("ada")?);
        server.install(stage)?;
        ada.invite(stage, terms)?;
        Ok(Self { scene: Scene::set(stage, config)?, server, ada, mark: Mark(0), klopfd: None })
    }

    /// As [`Play::set`] on no terms, and `klopfd` is ready.
    pub(crate) fn begin(stage: &'a Stage, config: &str) -> Result<Self> {
        let mut play = Self::set(stage, config, "")?;
        play.start()?;
        Ok(play)
    }

    pub(crate) fn start(&mut self) -> Result {
        self.start_under(&[])
    }

    /// Starts `klopfd` with a command that these words begin.
    pub(crate) fn start_under(&mut self, words: &[&str]) -> Result {
        self.klopfd = Some(Daemon::Klopfd.start_under(self.scene.stage, words)?);
        Ok(())
    }

    /// Ends `klopfd`, by its leave or not.
    pub(crate) fn end(&mut self, signal: Signal) -> Result {
        let klopfd = self.klopfd.take().ok_or("it does not run")?;
        if signal == Signal::KILL { klopfd.murder() } else { klopfd.terminate().map(drop) }
    }

    pub(crate) fn klopfd(&mut self) -> Result<&mut Running> {
        Ok(self.klopfd.as_mut().ok_or("it does not run")?)
    }

    /// The process of the watch.
    fn watch(&mut self) -> Result<u32> {
        let is_watch = |pid: &u32| process_field(*pid, "Name").is_some_and(|name| name == "klopf-watch");
        Ok(self.klopfd()?.children()?.into_iter().find(is_watch).ok_or("there is no watch")?)
    }

    /// Kills the watch, and waits until it is gone.
    pub(crate) fn kill_watch(&mut self) -> Result {
        let watch = self.watch()?;
        send(watch, Signal::KILL)?;
        until("the watch is gone", || Ok(gone(watch)))
    }

    /// What the watch has had in memory at most, in kB.
    pub(crate) fn watch_memory(&mut self) -> Result<u64> {
        let most = process_field(self.watch()?, "VmHWM").ok_or("nothing is told of its memory")?;
        Ok(most.trim_end_matches("kB").trim().parse()?)
    }

    /// Waits until the log has a line with all these words.
    pub(crate) fn until_logged(&mut self, words: &[&str]) -> Result {
        self.klopfd()?.until(&format!("the log says {words:?}"), |log| tells(log, words))
    }

    /// The ports of a sequence of Ada's that she makes now.
    pub(crate) fn ports(&mut self, door: &str, template: &Template, claim: &Claim) -> Result<Vec<u16>> {
        let from = Mark::at(now_ms()? / 1000).max(Mark(self.mark.0 + 1));
        let (ports, mark) = self.ports_from(door, template, claim, from)?;
        self.mark = mark;
        Ok(ports)
    }

    /// The ports of a sequence with the first good mark from this one on, and that mark.
    pub(crate) fn ports_from(
        &self,
        door: &str,
        template: &Template,
        claim: &Claim,
        from: Mark,
    ) -> Result<(Vec<u16>, Mark)> {
        let own = Own::psk(&self.ada.psk);
        let sealed_for = (&self.server.key.public(), self.ada.seed.public().id(), &own);
        let (symbols, mark) = seal(sealed_for, door, template, claim, from).ok_or("it does not fit the template")?;
        let ports = symbols.iter().map(|symbol| template.span.port(*symbol)).collect::<Option<_>>();
        Ok((ports.ok_or("a symbol without a port")?, mark))
    }

    /// Hits ports from an address of the client, or one that it feigns.
    pub(crate) fn hit(&mut self, from: IpAddr, transport: Transport, ports: &[u16]) -> Result {
        let to = server_for(from);
        for port in ports {
            let packet = match transport {
                Transport::Tcp => packet::syn(from, to, *port),
                Transport::Udp => packet::datagram(from, to, *port, b""),
            };
            self.scene.wire.packet(&packet)?;
        }
        Ok(())
    }

    /// Waits until an address has a lease that a way has opened, and is let in.
    pub(crate) fn until_let_in(&mut self, address: IpAddr, by: &str) -> Result<Value> {
        let status =
            self.scene.until_status(&format!("{address} has a lease"), |status| status.lease(address).is_ok())?;
        let lease = status.lease(address)?.clone();
        ensure!(text(&lease, "by") == by && text(&lease, "who") == "ada", "the lease: {lease}");
        self.scene.until_open(address, server_for(address), SSH)?;
        Ok(lease)
    }

    /// A counter of the status.
    pub(crate) fn count(&self, name: &str) -> Result<u64> {
        Ok(count(&self.scene.status()?, name))
    }

    /// Makes sure that nobody was let in since: no lease but so many.
    pub(crate) fn has_leases(&self, number: usize) -> Result {
        let status = self.scene.status()?;
        ensure!(status.leases() == number, "not {number} leases: {}", status.0);
        let kernel = self.scene.leases_in_kernel()?;
        ensure!(kernel == number, "not {number} leases in the kernel, but {kernel}");
        Ok(())
    }

    /// Ends all leases.
    pub(crate) fn revoke(&self) -> Result {
        if self.scene.status()?.leases() > 0 { self.scene.says(&["revoke", "ssh"]).map(drop) } else { Ok(()) }
    }
}

/// A counter of a status.
pub(crate) fn count(status: &Status, name: &str) -> u64 {
    status.0.get("counters").and_then(|counters| counters.get(name)).and_then(Value::as_u64).unwrap_or_default()
}

/// The server's address in the family of another one.
pub(crate) fn server_for(address: IpAddr) -> IpAddr {
    if address.is_ipv4() { SERVER4 } else { SERVER6 }
}

/// Doubles one hit of five, and then exchanges as many neighbours, other ones by each seed.
pub(crate) fn shaken(ports: &[u16], seed: usize) -> Vec<u16> {
    let doubled = ports.iter().enumerate().flat_map(|(at, port)| {
        let times = if (at + seed).is_multiple_of(5) { 2 } else { 1 };
        std::iter::repeat_n(*port, times)
    });
    let mut shaken: Vec<u16> = doubled.collect();
    for at in (seed % 5..shaken.len().saturating_sub(1)).step_by(5) {
        shaken.swap(at, at + 1);
    }
    shaken
}
