//! Somebody who has joined and knocks in port numbers, and what the server knows of them.
#![allow(dead_code, reason = "not every test needs all")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin_cmd;
use klopf_spa::encoded::{Claim, Fields, Mark, Span, Template, Transport, Whom, open};
use klopf_spa::{
    EncodedDoor, Invitation, InvitedKey, Name, Own, PacketPort, Psk, Seed, ServerKey, Shape, Way, door_hash,
};

/// A person who has joined, and what the server knows of them.
pub(crate) struct Scene {
    pub(crate) folder: PathBuf,
    pub(crate) server: ServerKey,
    pub(crate) seed: Seed,
    pub(crate) psk: Psk,
}

pub(crate) fn template(whom: Whom, more: bool, transport: Transport) -> Template {
    let fields = Fields { whom, port: more, hold: more, flags: more };
    Template { span: Span::new(40_000, 40_255).unwrap(), transport, fields }
}

impl Scene {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("spelled-{}-{number}", process::id()));
        fs::create_dir_all(folder.join("config")).unwrap();
        let scene = Self { folder, server: ServerKey::new([1; 32]), seed: Seed::new([2; 32]), psk: Psk::new([3; 32]) };
        let name = |text| Name::new(text).unwrap();
        let door = |door, template| EncodedDoor { door: name(door), template };
        let invitation = Invitation {
            name: name("home"),
            server: scene.server.public(),
            psk: scene.psk.clone(),
            key: InvitedKey::Made(scene.seed.clone()),
            endpoints: vec!["127.86.1.1".into()],
            doors: vec![name("ssh"), name("net"), name("seen"), name("web"), name("code")],
            way: Way { port: PacketPort::Fixed(9), shape: Shape::None },
            until: None,
            no_clock: false,
            code_doors: vec![name("code")],
            bound: false,
            mail: None,
            shared_doors: Vec::new(),
            encoded_doors: vec![
                door("ssh", template(Whom::V4, true, Transport::Tcp)),
                door("net", template(Whom::V6Net, false, Transport::Udp)),
                door("seen", template(Whom::Observed, false, Transport::Udp)),
            ],
        };
        let joined = scene.klopf().arg("join").write_stdin(invitation.text().to_string()).output().unwrap();
        assert!(joined.status.success());
        scene
    }

    pub(crate) fn klopf(&self) -> Command {
        let mut klopf = cargo_bin_cmd!("klopf");
        klopf.env("KLOPF_CONFIG_DIR", self.folder.join("config")).env("KLOPF_STATE_DIR", self.folder.join("state"));
        klopf.env("LC_ALL", "C.UTF-8").timeout(Duration::from_secs(60));
        klopf
    }

    /// Exit code, standard output and standard error.
    pub(crate) fn run(&self, line: &str) -> (i32, String, String) {
        told(self.klopf().args(line.split_whitespace()).output().unwrap())
    }

    /// The configuration of a server that knows this person; its path.
    pub(crate) fn server(&self, doors: &str) -> String {
        let folder = self.folder.join("server");
        fs::create_dir_all(folder.join("keys.d")).unwrap();
        let main = folder.join("klopf.toml");
        fs::write(&main, format!("[daemon]\nstate-dir = \"{}\"\n{doors}", folder.display())).unwrap();
        fs::write(folder.join("server.key"), format!("{}\n", *self.server.text())).unwrap();
        let (public, psk) = (self.seed.public().text(), self.psk.text());
        let key = format!("public = \"{public}\"\npsk = \"{}\"\n", *psk);
        fs::write(folder.join("keys.d/laptop.toml"), key).unwrap();
        main.display().to_string()
    }

    /// What ports say to the server.
    pub(crate) fn claim(&self, door: &str, template: &Template, ports: &[u16]) -> Option<(Claim, Mark)> {
        let symbols: Option<Vec<u16>> = ports.iter().map(|port| template.span.symbol(*port)).collect();
        let key = (&self.server.public(), self.seed.public().id(), &Own::psk(&self.psk));
        open(key, door_hash(door), template, &symbols.unwrap(), now())
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

pub(crate) fn told(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The ports in the lines of a log.
pub(crate) fn ports(log: &str) -> Vec<u16> {
    let port =
        |line: &str| line.split(' ').find_map(|word| word.strip_prefix("DPT=")).map(|port| port.parse().unwrap());
    log.lines().filter_map(port).collect()
}

/// The ports of the first pass.
pub(crate) fn one_pass(log: &str, length: usize) -> Vec<u16> {
    ports(log).into_iter().take(length).collect()
}
