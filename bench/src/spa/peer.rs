//! fwknopd, which has one key or two for each person and tries them one after the other.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{Error, Result};
use crate::lab::{CLIENT, Lab, SERVER, SERVER_LINK};

/// Its configuration: as many people, each with a stanza.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) people: usize,
}

impl Peer {
    pub(crate) const DAEMON: &str = "/usr/sbin/fwknopd";
    const CLIENT: &str = "/usr/bin/fwknop";
    /// Where its packets go.
    pub(crate) const PORT: u16 = 62_201;

    /// What it calls itself; none if it is not there.
    pub(crate) fn version() -> Option<String> {
        let said = Command::new(Self::DAEMON).arg("--version").stdin(Stdio::null()).output().ok()?;
        let there = Path::new(Self::CLIENT).is_file();
        there.then(|| String::from_utf8_lossy(&said.stdout).lines().next().unwrap_or_default().to_owned())
    }

    /// Writes its files; the options with which it reads them.
    pub(crate) fn write(&self, dir: &Path) -> Result<Vec<String>> {
        let shown = |name: &str| dir.join(name).display().to_string();
        let mut access = String::new();
        for place in 0..self.people {
            let (cipher, hmac) = keys(place);
            let stanza = format!("SOURCE ANY\nKEY_BASE64 {cipher}\nHMAC_KEY_BASE64 {hmac}\nFW_ACCESS_TIMEOUT 60");
            let _ = writeln!(access, "{stanza}");
        }
        let main = format!("PCAP_INTF {SERVER_LINK};\nENABLE_PCAP_PROMISC N;\n");
        fs::create_dir_all(dir.join("fwknop")).map_err(Error::io("make a directory"))?;
        for (name, text) in [("fwknopd.conf", main), ("access.conf", access)] {
            fs::write(dir.join(name), text).map_err(Error::io(format!("write {name}")))?;
        }
        for (name, mode) in [("fwknopd.conf", 0o600), ("access.conf", 0o600), ("fwknop", 0o700)] {
            let set = fs::set_permissions(dir.join(name), fs::Permissions::from_mode(mode));
            set.map_err(Error::io(format!("chmod {name}")))?;
        }
        let pairs = [("-c", "fwknopd.conf"), ("-a", "access.conf"), ("-r", "fwknop"), ("-p", "fwknop/pid")];
        let files = pairs.into_iter().flat_map(|(option, file)| [option.to_owned(), shown(file)]);
        Ok(["-f".to_owned()].into_iter().chain(files).collect())
    }

    /// A packet that asks for the client, of the one in the middle.
    pub(crate) fn packet(&self, lab: &Lab) -> Result<Vec<u8>> {
        let file = lab.dir().join("packet");
        let (cipher, hmac) = keys(self.people / 2);
        let (client, server) = (CLIENT.to_string(), SERVER.to_string());
        let made = Command::new(Self::CLIENT)
            .args(["--no-home-dir", "--no-rc-file", "--no-save-args", "-T", "-E"])
            .arg(lab.dir().join("arguments"))
            .args(["-A", "tcp/22", "-a", &client, "-D", &server])
            .args(["--key-base64-rijndael", &cipher, "--key-base64-hmac", &hmac, "-B"])
            .arg(&file)
            .stdin(Stdio::null())
            .output()
            .map_err(Error::io("run fwknop"))?;
        let said = || Error::Program(format!("fwknop: {}", String::from_utf8_lossy(&made.stderr).trim()));
        let text = fs::read_to_string(&file).map_err(|_| said())?;
        // It does not write over a file.
        fs::remove_file(&file).map_err(Error::io("remove a file"))?;
        Ok(text.trim().as_bytes().to_vec())
    }
}

/// The keys of a person: 32 bytes each, in base64.
fn keys(place: usize) -> (String, String) {
    (format!("{place:0>42}0="), format!("{place:A>42}w="))
}
