//! fwknopd, which has two keys for each person and tries them one after the other.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Started, daemon, rules, words};
use crate::error::{Error, Result};
use crate::lab::{self, Lab, SERVER, SERVER_LINK};
use crate::user::Client;

/// Its configuration.
#[derive(Clone)]
pub(crate) struct Fwknop {
    /// How many people there are, each with a stanza.
    pub(crate) people: usize,
    /// Whether it takes packets from a socket of its own, which its manual calls a good alternative; else from libpcap.
    pub(crate) socket: bool,
}

impl Fwknop {
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

    pub(super) fn start(&self, lab: &Lab) -> Result<Started> {
        let mine = format!("-A INPUT -p udp --dport {} -j ACCEPT\n", Self::PORT);
        rules(lab, if self.socket { &mine } else { "" })?;
        let mut access = String::new();
        for place in 0..self.people {
            let (cipher, hmac) = keys(place);
            let stanza = format!("SOURCE ANY\nKEY_BASE64 {cipher}\nHMAC_KEY_BASE64 {hmac}\nFW_ACCESS_TIMEOUT 60");
            let _ = writeln!(access, "{stanza}");
        }
        let server = if self.socket { "Y" } else { "N" };
        let main = format!("PCAP_INTF {SERVER_LINK};\nENABLE_PCAP_PROMISC N;\nENABLE_UDP_SERVER {server};\n");
        let (main, access) = (lab.write("fwknopd.conf", &main)?, lab.write("access.conf", &access)?);
        let run = lab.dir().join("fwknop");
        let made = fs::create_dir_all(&run).and_then(|()| lab::mode(&run, 0o700));
        made.map_err(Error::io("make a directory"))?;
        let (run, pid) = (run.display().to_string(), run.join("pid").display().to_string());
        let options = ["-f", "-c", &main, "-a", &access, "-r", &run, "-p", &pid];
        let child = daemon(lab, Path::new(Self::DAEMON), &options)?;
        let shut = words(&["/usr/sbin/iptables", "-F", "FWKNOP_INPUT"]);
        Ok(Started { child: Some(child), shut, shut_prober: None, client: Client::Fwknop(self.clone()) })
    }

    /// The client of the one in the middle, that asks for this address and keeps what it keeps in this directory.
    pub(crate) fn client(&self, address: &str, home: &Path) -> Vec<String> {
        let (cipher, hmac) = keys(self.people / 2);
        let server = SERVER.to_string();
        let options = ["--no-home-dir", "--no-rc-file", "--no-save-args", "-A", "tcp/22", "-a", address, "-D", &server];
        let kept = home.join("arguments").display().to_string();
        let keys = ["-E", &kept, "--key-base64-rijndael", &cipher, "--key-base64-hmac", &hmac];
        words(&[&[Self::CLIENT][..], &options, &keys].concat())
    }

    /// A packet that asks for the client.
    pub(crate) fn packet(&self, lab: &Lab) -> Result<Vec<u8>> {
        let file = lab.dir().join("packet");
        let all = self.client(&lab::CLIENT.to_string(), lab.dir());
        let made = Command::new(Self::CLIENT)
            .args(all.iter().skip(1))
            .args(["-T", "-B"])
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
