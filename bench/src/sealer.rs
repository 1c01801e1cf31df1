//! Many people with keys, and one who knocks.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use klopf_spa::{Knock, Name, Psk, Public, Seed, ServerKey, Shape, seal};

use crate::error::{Error, Result};
use crate::lab::CLIENT;
use klopf_bench::chance::Chance;

/// The first so many of a crowd.
#[derive(Clone)]
pub(crate) struct Sealer {
    crowd: Arc<Crowd>,
    people: usize,
}

struct Crowd {
    server: ServerKey,
    people: Vec<Member>,
}

struct Member {
    seed: Seed,
    public: Public,
    psk: Psk,
}

impl Sealer {
    /// Where its packets go.
    pub(crate) const PORT: u16 = 51_900;

    /// So many people.
    pub(crate) fn new(people: usize) -> Self {
        // These keys open nothing but doors of a lab, so their chance need not be good.
        let mut chance = Chance(7);
        let server = ServerKey::new(chance.bytes());
        let member = |_| {
            let seed = Seed::new(chance.bytes());
            Member { public: seed.public(), seed, psk: Psk::new(chance.bytes()) }
        };
        let crowd = Crowd { server, people: (0..people).map(member).collect() };
        Self { crowd: Arc::new(crowd), people }
    }

    /// The first of them.
    pub(crate) fn first(&self, people: usize) -> Self {
        Self { people: people.min(self.people), ..self.clone() }
    }

    /// A packet of one of them, each time of another, that asks for the client. Counters must rise.
    pub(crate) fn packet(&self, counter: u64) -> Vec<u8> {
        let place = usize::try_from(counter.wrapping_mul(0x9e37_79b1) >> 7).unwrap_or_default() % self.people.max(1);
        let (Some(member), Some(door)) = (self.crowd.people.get(place), Name::new("bench")) else { return Vec::new() };
        let time = unix_ms();
        let knock = Knock { time, counter, device: [4; 16], allow: Some(CLIENT.into()), hold: 0, code: None, door };
        let mut chance = Chance(time ^ counter << 20);
        let mut random = |out: &mut [u8]| chance.fill(out);
        seal((&self.crowd.server.public(), Shape::None), (&member.seed, &member.psk), &knock, time, &mut random)
    }

    /// Writes the server's key and all keys into a directory.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        write(&dir.join("server.key"), &self.crowd.server.text())?;
        let keys = dir.join("keys.d");
        fs::create_dir_all(&keys).map_err(Error::io(format!("make {}", keys.display())))?;
        for (place, Member { public, psk, .. }) in self.crowd.people.iter().take(self.people).enumerate() {
            let text = format!("public = \"{}\"\npsk = \"{}\"\ndoors = [\"bench\"]\n", public.text(), *psk.text());
            write(&keys.join(format!("person-{place:06}.toml")), &text)?;
        }
        Ok(())
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(Error::io(format!("write {}", path.display())))
}

/// Milliseconds since 1970.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or_default()
}
