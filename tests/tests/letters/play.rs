//! A scene with a server that takes letters, and what becomes of them.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;

use klopf_spa::{Claim, Shape};
use klopf_tests::scene::{NEEDS, SSH, Scene, Status, text};
use klopf_tests::{
    Daemon, Dovecot, Elsewhere, Need, Person, Receiver, Result, Running, SERVER4, SERVER6, Signal, Stage, ensure, gone,
    process_field, send, until, until_some, written,
};
use klopf_wire::text::Shape as Text;
use serde_json::Value;

/// A door that everybody with a key may open.
pub(crate) const DOOR: &str = "[door.ssh]\nguard = [\"tcp/22\"]\nopen-for = \"600s\"\nkeys = [\"*\"]\n\n";
/// What the courier may have in memory, in kB.
const MEMORY: u64 = 64 * 1024;

/// What a test needs besides what all do.
pub(crate) fn needs(more: &[&[Need]]) -> Vec<Need> {
    NEEDS.iter().chain(&Elsewhere::NEEDS).chain(more.iter().copied().flatten()).copied().collect()
}

/// The section of a mailbox at Dovecot, with these lines besides.
pub(crate) fn work(stage: &Stage, elsewhere: &Elsewhere, lines: &str) -> Result<String> {
    let url = format!("imaps://{}@mail.test/INBOX", Dovecot::USER);
    imap(stage, "work", &url, &format!("ca-file = {:?}\n{lines}", elsewhere.authority.ca))
}

/// The section of a mailbox, with these lines besides.
pub(crate) fn imap(stage: &Stage, name: &str, url: &str, lines: &str) -> Result<String> {
    let password = stage.write("mail.password", &format!("{}\n", Dovecot::PASSWORD))?;
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600))?;
    Ok(format!("[mail.{name}]\nimap = {url:?}\npassword-file = {password:?}\n{lines}\n\n"))
}

/// The section of a guestbook elsewhere, which is looked at every second, with these lines besides.
pub(crate) fn book(elsewhere: &Elsewhere, name: &str, url: &str, lines: &str) -> String {
    let ca = &elsewhere.authority.ca;
    let network = Elsewhere::NETWORK;
    format!(
        "[guestbook.{name}]\nurl = {url:?}\nevery = \"1s\"\nallow-private = [{network:?}]\nca-file = {ca:?}\n{lines}\n\n"
    )
}

/// A Maildir of the courier's user.
pub(crate) struct Maildir {
    pub(crate) path: PathBuf,
}

impl Maildir {
    pub(crate) fn make(stage: &Stage, name: &str) -> Result<Self> {
        let path = stage.path(name);
        let nobody: u32 = stage.server.run("id", &["-u", "nobody"])?.trim().parse()?;
        let group: u32 = stage.server.run("id", &["-g", "nobody"])?.trim().parse()?;
        for directory in ["", "new", "cur", "tmp"] {
            fs::create_dir_all(path.join(directory))?;
            chown(path.join(directory), Some(nobody), Some(group))?;
        }
        Ok(Self { path })
    }

    /// Its section of the configuration.
    pub(crate) fn section(&self, lines: &str) -> String {
        format!("[mail.box]\nmaildir = {:?}\n{lines}\n\n", self.path)
    }

    /// Delivers a mail, as a mail server does.
    pub(crate) fn deliver(&self, name: &str, mail: &str) -> Result {
        let (tmp, new) = (self.path.join("tmp").join(name), self.path.join("new").join(name));
        fs::write(&tmp, mail)?;
        let owner = fs::metadata(&self.path)?;
        use std::os::unix::fs::MetadataExt;
        chown(&tmp, Some(owner.uid()), Some(owner.gid()))?;
        Ok(fs::rename(tmp, new)?)
    }
}

/// A scene, the server's key, and somebody with a key.
pub(crate) struct Play<'a> {
    pub(crate) scene: Scene<'a>,
    pub(crate) server: Receiver,
    pub(crate) ada: Person,
    words: [String; 4],
    klopfd: Option<Running>,
}

impl<'a> Play<'a> {
    /// All files are there, with this configuration, and Ada's key on her terms.
    pub(crate) fn set(stage: &'a Stage, elsewhere: &Elsewhere, config: &str, terms: &str) -> Result<Self> {
        let (server, ada) = (Receiver::new(Shape::None)?, Person::new("ada")?);
        server.install(stage)?;
        ada.invite(stage, terms)?;
        Ok(Self { scene: Scene::set(stage, config)?, server, ada, words: elsewhere.words(), klopfd: None })
    }

    /// As [`Play::set`] on no terms, and `klopfd` is ready.
    pub(crate) fn begin(stage: &'a Stage, elsewhere: &Elsewhere, config: &str) -> Result<Self> {
        let mut play = Self::set(stage, elsewhere, config, "")?;
        play.start()?;
        Ok(play)
    }

    pub(crate) fn start(&mut self) -> Result {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        self.klopfd = Some(Daemon::Klopfd.start_under(self.scene.stage, &words)?);
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

    pub(crate) fn log(&mut self) -> Result<String> {
        self.klopfd()?.log()
    }

    /// A child of `klopfd` by its name; none if there is none.
    pub(crate) fn child(&mut self, name: &str) -> Result<Option<u32>> {
        let is = |pid: &u32| process_field(*pid, "Name").is_some_and(|of| of == name);
        Ok(self.klopfd()?.children()?.into_iter().find(is))
    }

    pub(crate) fn courier(&mut self) -> Result<u32> {
        until_some("there is a courier", || self.child("klopf-courier"))
    }

    pub(crate) fn until_no_courier(&mut self) -> Result {
        until("there is no courier", || Ok(self.child("klopf-courier")?.is_none()))
    }

    /// Kills a child, and waits until there is another one.
    pub(crate) fn kill(&mut self, name: &str) -> Result {
        let before = until_some(&format!("there is a {name}"), || self.child(name))?;
        send(before, Signal::KILL)?;
        until(&format!("there is another {name}"), || {
            Ok(gone(before) && self.child(name)?.is_some_and(|pid| pid != before))
        })
    }

    /// Makes sure that the courier never had more memory than it may.
    pub(crate) fn courier_is_small(&mut self) -> Result {
        let courier = self.courier()?;
        let most = process_field(courier, "VmHWM").ok_or("it is not known how much memory it had")?;
        let kilobytes: u64 = most.trim_end_matches("kB").trim().parse()?;
        ensure!(kilobytes < MEMORY, "the courier had {kilobytes} kB");
        Ok(())
    }

    /// A token of Ada's for the usual door.
    pub(crate) fn token(&mut self, address: IpAddr, shape: Text) -> Result<String> {
        let token = self.token_with(address, |_| ())?;
        written(&token, shape)
    }

    /// A token of Ada's in plain text.
    pub(crate) fn plain(&mut self, address: IpAddr) -> Result<String> {
        self.token(address, Text::Plain)
    }

    /// The bytes of a token of Ada's that is not quite as usual.
    pub(crate) fn token_with(&mut self, address: IpAddr, change: impl FnOnce(&mut Claim)) -> Result<Vec<u8>> {
        let mut claim = self.ada.claim("ssh", address)?;
        change(&mut claim);
        self.server.token(&self.ada, &claim)
    }

    /// Waits until the usual door is open to an address.
    pub(crate) fn opens(&mut self, address: IpAddr) -> Result {
        self.scene.until_open(address, server_for(address), SSH).map_err(|fault| {
            let status = self.scene.status().map(|status| status.0.to_string()).unwrap_or_default();
            format!("{fault}: {status}").into()
        })
    }

    /// Makes sure that the usual door is closed to an address.
    pub(crate) fn is_closed(&mut self, address: IpAddr) -> Result {
        self.scene.is_closed(address, server_for(address), SSH)
    }

    /// Waits until an address has a lease.
    pub(crate) fn until_lease(&self, address: IpAddr) -> Result<Value> {
        let status =
            self.scene.until_status(&format!("{address} has a lease"), |status| status.lease(address).is_ok())?;
        status.lease(address).cloned()
    }

    /// Waits until a refusal is counted, and told with the way that it came.
    pub(crate) fn until_refused(&mut self, why: &str, times: u64) -> Result<Value> {
        let status = self.scene.until_status(&format!("{why} is counted {times} times"), |status| {
            count(status, why) == times && status.list("refusals").iter().any(|refusal| text(refusal, "why") == why)
        })?;
        let refusal = status.list("refusals").iter().find(|refusal| text(refusal, "why") == why);
        Ok(refusal.cloned().ok_or("it is told no more")?)
    }

    pub(crate) fn count(&self, name: &str) -> Result<u64> {
        Ok(count(&self.scene.status()?, name))
    }

    /// Waits until a source is as it should be, and returns what the status says of it.
    pub(crate) fn until_source(&self, name: &str, what: &str, met: impl Fn(&Value) -> bool) -> Result<Value> {
        let status =
            self.scene.until_status(&format!("{name}: {what}"), |status| source(status, name).is_some_and(&met))?;
        Ok(source(&status, name).cloned().ok_or("it is gone")?)
    }

    /// Waits until a source is in one of these troubles, which people are told, too.
    pub(crate) fn until_trouble(&self, name: &str, troubles: &[&str]) -> Result<Value> {
        let source = self
            .until_source(name, &format!("in trouble: {troubles:?}"), |of| troubles.contains(&text(of, "trouble")))?;
        Ok(source)
    }

    /// Waits until a source was looked at and nothing is wrong with it.
    pub(crate) fn until_fine(&self, name: &str) -> Result<Value> {
        self.until_source(name, "looked at with success", |of| {
            text(of, "trouble").is_empty() && ["listening", "waiting"].contains(&text(of, "state"))
        })
    }

    /// Ends all leases.
    pub(crate) fn revoke(&self) -> Result {
        if self.scene.status()?.leases() > 0 { self.scene.says(&["revoke", "ssh"]).map(drop) } else { Ok(()) }
    }

    /// Makes sure that there are so many leases.
    pub(crate) fn has_leases(&self, number: usize) -> Result {
        let status = self.scene.status()?;
        ensure!(status.leases() == number, "not {number} leases: {}", status.0);
        Ok(())
    }
}

/// What a status says of a source.
pub(crate) fn source<'a>(status: &'a Status, name: &str) -> Option<&'a Value> {
    status.list("sources").iter().find(|source| text(source, "name") == name)
}

/// A counter of a status.
pub(crate) fn count(status: &Status, name: &str) -> u64 {
    status.0.get("counters").and_then(|counters| counters.get(name)).and_then(Value::as_u64).unwrap_or_default()
}

/// The server's address in the family of another one.
pub(crate) fn server_for(address: IpAddr) -> IpAddr {
    if address.is_ipv4() { SERVER4 } else { SERVER6 }
}

/// An address of the client's network that nobody has.
pub(crate) fn nobody(last: u8) -> IpAddr {
    [10, 99, 0, last].into()
}
