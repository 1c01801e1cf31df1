//! A scene with a server that opens sealed knocks, and what becomes of them.

use std::net::IpAddr;

use klopf_spa::{Knock, Shape};
use klopf_tests::scene::{SSH, Scene, Status, tells, text};
use klopf_tests::{
    Daemon, Person, Receiver, Result, Running, SERVER4, SERVER6, Signal, Stage, ensure, gone, packet, process_field,
    send, until,
};
use serde_json::Value;

/// A door that everybody with a key may open.
pub(crate) const DOOR: &str = "[door.ssh]\nguard = [\"tcp/22\"]\nopen-for = \"600s\"\nkeys = [\"*\"]\n\n";

/// A scene, and the server's key.
pub(crate) struct Play<'a> {
    pub(crate) scene: Scene<'a>,
    pub(crate) server: Receiver,
    /// Where packets go.
    pub(crate) port: u16,
    klopfd: Option<Running>,
}

impl<'a> Play<'a> {
    /// All files are there, with this configuration and these people on their terms.
    pub(crate) fn set(stage: &'a Stage, config: &str, people: &[(&Person, &str)]) -> Result<Self> {
        Self::dressed(stage, Shape::None, config, people)
    }

    /// The same with packets of a shape.
    pub(crate) fn dressed(stage: &'a Stage, shape: Shape, config: &str, people: &[(&Person, &str)]) -> Result<Self> {
        let server = Receiver::new(shape)?;
        server.install(stage)?;
        people.iter().try_for_each(|(person, terms)| person.invite(stage, terms))?;
        let scene = Scene::set(stage, config)?;
        Ok(Self { scene, port: server.port(), server, klopfd: None })
    }

    /// As [`Play::set`], and `klopfd` is ready.
    pub(crate) fn begin(stage: &'a Stage, config: &str, people: &[(&Person, &str)]) -> Result<Self> {
        let mut play = Self::set(stage, config, people)?;
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

    /// Plays with a `klopfd` that was started in another way.
    pub(crate) fn run(&mut self, klopfd: Running) {
        self.klopfd = Some(klopfd);
    }

    /// Ends `klopfd`, by its leave or not.
    pub(crate) fn end(&mut self, signal: Signal) -> Result {
        let klopfd = self.klopfd.take().ok_or("it does not run")?;
        if signal == Signal::KILL { klopfd.murder() } else { klopfd.terminate().map(drop) }
    }

    pub(crate) fn klopfd(&mut self) -> Result<&mut Running> {
        Ok(self.klopfd.as_mut().ok_or("it does not run")?)
    }

    pub(crate) fn log(&mut self) -> Result<String> {
        self.klopfd()?.log()
    }

    /// Waits until the log has a line with all these words.
    pub(crate) fn until_logged(&mut self, words: &[&str]) -> Result {
        self.klopfd()?.until(&format!("the log says {words:?}"), |log| tells(log, words))
    }

    /// Kills the watch, and waits until another one opens sealed knocks; somebody knocks for that, from an address.
    pub(crate) fn kill_watch(&mut self, somebody: &mut Person, from: IpAddr) -> Result {
        let is_watch = |pid: &u32| process_field(*pid, "Name").is_some_and(|name| name == "klopf-watch");
        let watch = self.klopfd()?.children()?.into_iter().find(is_watch).ok_or("there is no watch")?;
        send(watch, Signal::KILL)?;
        until("the watch is gone", || Ok(gone(watch)))?;
        until("a new watch opens", || {
            let packet = self.seal(somebody, &somebody.clone().knock("ssh")?)?;
            somebody.counter += 1;
            self.send(from, &packet)?;
            Ok(self.scene.status()?.lease(from).is_ok())
        })
    }

    pub(crate) fn seal(&self, person: &Person, knock: &Knock) -> Result<Vec<u8>> {
        self.server.seal(person, knock)
    }

    /// A sealed knock of now.
    pub(crate) fn knock(&self, person: &mut Person, door: &str) -> Result<Vec<u8>> {
        let knock = person.knock(door)?;
        self.seal(person, &knock)
    }

    /// A sealed knock of now that is not quite as usual.
    pub(crate) fn knock_with(&self, person: &mut Person, change: impl FnOnce(&mut Knock)) -> Result<Vec<u8>> {
        let mut knock = person.knock("ssh")?;
        change(&mut knock);
        self.seal(person, &knock)
    }

    /// Sends the payload of a datagram from an address of the client, or one that it feigns.
    pub(crate) fn send(&mut self, from: IpAddr, payload: &[u8]) -> Result {
        self.send_to(from, self.port, payload)
    }

    pub(crate) fn send_to(&mut self, from: IpAddr, port: u16, payload: &[u8]) -> Result {
        self.scene.wire.packet(&packet::datagram(from, server_for(from), port, payload))
    }

    /// Sends a packet, which must open the usual port for its sender.
    pub(crate) fn opens(&mut self, from: IpAddr, payload: &[u8]) -> Result {
        self.send(from, payload)?;
        self.scene.until_open(from, server_for(from), SSH)
    }

    /// Sends a packet, which must be refused for a reason that status and log name, and opens nothing for its sender.
    /// Returns what the status says of it.
    pub(crate) fn is_refused(&mut self, from: IpAddr, payload: &[u8], why: &str) -> Result<Value> {
        let origin = from.to_string();
        let mine = |refusal: &&Value| text(refusal, "origin") == origin && text(refusal, "why") == why;
        let told = |status: &Status| status.list("refusals").iter().filter(mine).count();
        let status = self.scene.status()?;
        let (counted, before) = (count(&status, why), told(&status));
        self.send(from, payload)?;
        let status = self.scene.until_status(&format!("{why} is counted, and told of {from}"), |status| {
            count(status, why) == counted + 1 && told(status) == before + 1
        })?;
        self.until_logged(&["refused to", &origin, why])?;
        self.scene.is_closed(from, server_for(from), SSH)?;
        Ok(status.list("refusals").iter().find(mine).cloned().ok_or("it is told no more")?)
    }

    /// Ends all leases.
    pub(crate) fn revoke(&self) -> Result {
        if self.scene.status()?.leases() > 0 { self.scene.says(&["revoke", "ssh"]).map(drop) } else { Ok(()) }
    }

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
}

/// A counter of a status.
pub(crate) fn count(status: &Status, name: &str) -> u64 {
    status.0.get("counters").and_then(|counters| counters.get(name)).and_then(Value::as_u64).unwrap_or_default()
}

/// The server's address in the family of another one.
pub(crate) fn server_for(address: IpAddr) -> IpAddr {
    if address.is_ipv4() { SERVER4 } else { SERVER6 }
}
