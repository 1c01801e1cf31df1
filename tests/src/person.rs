//! People with keys, and the server that knows them: who seals knocks, and the files by which `klopfd` opens them.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{SystemTime, UNIX_EPOCH};

use klopf_spa::{Knock, Name, Psk, Seed, ServerKey, Shape, seal};

use crate::{Result, Stage};

/// Somebody with a key, on one device.
#[derive(Clone, Debug)]
pub struct Person {
    /// The key's name.
    pub name: &'static str,
    /// The private key.
    pub seed: Seed,
    /// What the server has, too.
    pub psk: Psk,
    /// The device.
    pub device: [u8; 16],
    /// The counter of the last knock.
    pub counter: u64,
}

impl Person {
    /// Somebody with a key and a device of chance.
    ///
    /// # Errors
    /// If there is no chance.
    pub fn new(name: &'static str) -> Result<Self> {
        Ok(Self { name, seed: Seed::new(random()?), psk: Psk::new(random()?), device: random()?, counter: 0 })
    }

    /// A knock of now for the address that it comes from.
    ///
    /// # Errors
    /// If that is not the name of a door.
    pub fn knock(&mut self, door: &str) -> Result<Knock> {
        self.counter += 1;
        let door = Name::new(door).ok_or("not a name")?;
        let (device, counter) = (self.device, self.counter);
        Ok(Knock { time: now_ms()?, counter, device, allow: None, hold: 0, code: None, door })
    }

    /// Writes the key's file, with these lines besides, beside `klopf.toml`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn invite(&self, stage: &Stage, terms: &str) -> Result {
        let (public, psk) = (self.seed.public().text(), self.psk.text());
        let text = format!("public = {public:?}\npsk = {:?}\n{terms}\n", &*psk);
        secret_file(stage, &format!("keys.d/{}.toml", self.name), &text)
    }

    /// Takes the key's file away.
    ///
    /// # Errors
    /// If there is none.
    pub fn disinvite(&self, stage: &Stage) -> Result {
        Ok(fs::remove_file(stage.path(format!("keys.d/{}.toml", self.name)))?)
    }
}

/// Who opens sealed knocks.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Its private key.
    pub key: ServerKey,
    /// What packets are dressed as.
    pub shape: Shape,
}

impl Receiver {
    /// A server with a key of chance.
    ///
    /// # Errors
    /// If there is no chance.
    pub fn new(shape: Shape) -> Result<Self> {
        Ok(Self { key: ServerKey::new(random()?), shape })
    }

    /// Writes `server.key` beside `klopf.toml`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn install(&self, stage: &Stage) -> Result {
        secret_file(stage, "server.key", &format!("{}\n", &*self.key.text()))
    }

    /// The port of packets, if none is configured.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.shape.port().unwrap_or_else(|| self.key.public().port())
    }

    /// Seals a knock as this person: the payload of a datagram.
    ///
    /// # Errors
    /// If there is no chance.
    pub fn seal(&self, person: &Person, knock: &Knock) -> Result<Vec<u8>> {
        let mut chance = File::open("/dev/urandom")?;
        let mut fault = None;
        let mut fill = |bytes: &mut [u8]| fault = chance.read_exact(bytes).err().or_else(|| fault.take());
        let way = (&self.key.public(), self.shape);
        let packet = seal(way, (&person.seed, &person.psk), knock, now_ms()?, &mut fill);
        fault.map_or(Ok(packet), |fault| Err(fault.into()))
    }
}

/// Milliseconds since 1970.
///
/// # Errors
/// If the clock is before that.
pub fn now_ms() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis().try_into()?)
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Writes a file that nobody else may read.
fn secret_file(stage: &Stage, name: &str, text: &str) -> Result {
    let path = stage.path(name);
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    Ok(std::io::Write::write_all(&mut file, text.as_bytes())?)
}
