//! Knocks spelled in port numbers, seen from outside.
#![expect(clippy::unwrap_used, reason = "in tests a failed assumption may end the test")]

use std::fs;
use std::net::UdpSocket;
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
struct Scene {
    folder: PathBuf,
    server: ServerKey,
    seed: Seed,
    psk: Psk,
}

fn template(whom: Whom, more: bool, transport: Transport) -> Template {
    let fields = Fields { whom, port: more, hold: more, flags: more };
    Template { span: Span::new(40_000, 40_255).unwrap(), transport, fields }
}

impl Scene {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("encoded-{}-{number}", process::id()));
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

    fn klopf(&self) -> Command {
        let mut klopf = cargo_bin_cmd!("klopf");
        klopf.env("KLOPF_CONFIG_DIR", self.folder.join("config")).env("KLOPF_STATE_DIR", self.folder.join("state"));
        klopf.env("LC_ALL", "C.UTF-8").timeout(Duration::from_secs(60));
        klopf
    }

    /// Exit code, standard output and standard error.
    fn run(&self, line: &str) -> (i32, String, String) {
        told(self.klopf().args(line.split_whitespace()).output().unwrap())
    }

    /// What ports say to the server.
    fn claim(&self, door: &str, template: &Template, ports: &[u16]) -> Option<(Claim, Mark)> {
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

fn told(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The ports in the lines of a log.
fn ports(log: &str) -> Vec<u16> {
    let port =
        |line: &str| line.split(' ').find_map(|word| word.strip_prefix("DPT=")).map(|port| port.parse().unwrap());
    log.lines().filter_map(port).collect()
}

#[test]
fn a_log_has_the_hits_of_a_knock_that_opens_for_whom_it_says() {
    let scene = Scene::new();
    let log = "knock-encoded home/ssh --allow 203.0.113.7 --port 22 --for 90m --flag 0 --flag 3 --to-log -";
    let (code, out, err) = scene.run(log);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("A sequence has no 1h30m; it asks for 1h00m."), "{err}");
    let (template, ports) = (template(Whom::V4, true, Transport::Tcp), ports(&out));
    let (first, second) = ports.split_at(template.length());
    assert_eq!(first, second, "two passes of the same");
    let (claim, mark) = scene.claim("ssh", &template, first).unwrap();
    let expected = Claim { allow: Some(([203, 0, 113, 7].into(), 32)), port: Some(22), hold: 3600, flags: 0b1001 };
    assert_eq!(claim, expected);
    assert_eq!(scene.claim("web", &template, first), None);
    for line in out.lines() {
        let words = ["kernel: IN=eth0 ", " SRC=203.0.113.7 DST=127.86.1.1 ", " PROTO=TCP ", " SYN URGP=0"];
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
    }
    // The next one is another, though nothing else has changed.
    let (_, again, _) = scene.run(log);
    let again = one_pass(&again, template.length());
    assert!(scene.claim("ssh", &template, &again).unwrap().1 > mark && again != first);
}

/// The ports of the first pass.
fn one_pass(log: &str, length: usize) -> Vec<u16> {
    ports(log).into_iter().take(length).collect()
}

#[test]
fn a_log_grows_and_says_from_where_hits_come() {
    let scene = Scene::new();
    let log = scene.folder.join("firewall.log");
    let line = format!(
        "knock-encoded /net --allow 2001:db8:1::/48 --ports 1024-33791 --passes 1 --log-source 198.51.100.9 --to-log {}",
        log.display()
    );
    for count in 1..=2 {
        let (code, out, err) = scene.run(&line);
        assert_eq!((code, &*out), (0, ""), "{err}");
        let text = fs::read_to_string(&log).unwrap();
        let template =
            Template { span: Span::new(1024, 33_791).unwrap(), ..template(Whom::V6Net, false, Transport::Udp) };
        assert_eq!(text.lines().count(), count * template.length());
        assert!(text.lines().all(|line| line.contains("SRC=198.51.100.9") && line.contains("PROTO=UDP")), "{text}");
        let (claim, _) = scene.claim("net", &template, &one_pass(&text, template.length())).unwrap();
        assert_eq!(claim.allow, Some(("2001:db8:1::".parse().unwrap(), 48)));
    }
}

#[test]
fn hits_arrive_as_often_as_there_are_passes() {
    let scene = Scene::new();
    let ears: Vec<UdpSocket> = (40_000..40_256).map(|port| UdpSocket::bind(("127.86.1.1", port)).unwrap()).collect();
    ears.iter().for_each(|ear| ear.set_nonblocking(true).unwrap());
    let (code, out, err) = scene.run("open home/seen --via encoded");
    assert_eq!(code, 0, "{err}");
    let length = template(Whom::Observed, false, Transport::Udp).length();
    assert!(out.contains(&format!("(127.86.1.1) with {length} hits, twice for the door seen")), "{out}");
    let heard: Vec<usize> = ears.iter().map(|ear| std::iter::from_fn(|| ear.recv(&mut [0; 8]).ok()).count()).collect();
    assert!(heard.iter().all(|count| [0, 2].contains(count)), "{heard:?}");
    assert_eq!(heard.iter().filter(|count| **count == 2).count(), length);
}

#[test]
fn a_rehearsal_sends_nothing_and_takes_no_number() {
    let scene = Scene::new();
    for line in [
        "knock-encoded home/ssh --allow 203.0.113.7 --port 22 --dry-run",
        "open home --via encoded --allow 203.0.113.7 --for 10m --dry-run",
    ] {
        let (code, out, err) = scene.run(line);
        assert_eq!(code, 0, "{err}");
        for told in ["Nothing is sent", "203.0.113.7", "right: by the key", "20", "tcp/40000-40255"] {
            assert!(out.contains(told), "{told}: {out}");
        }
        assert!(!out.contains(&scene.psk.text()[..8]));
    }
    assert!(!scene.folder.join("state/counters").exists());
}

#[test]
fn what_cannot_be_said_is_refused_with_what_to_do() {
    let scene = Scene::new();
    for (line, code, help) in [
        ("knock-encoded home/web --allow 203.0.113.7", 66, "encoded.\"web\" = {"),
        ("knock-encoded home/code", 64, "asks for a code"),
        ("knock-encoded home/other", 66, "knows no door other"),
        ("knock-encoded home/ssh", 64, "--allow ADDRESS"),
        ("knock-encoded home/ssh --allow 2001:db8::7", 64, "name IPv4 addresses"),
        ("knock-encoded home/ssh --allow 203.0.113.0/24", 64, "no field `net`"),
        ("knock-encoded home/ssh --allow auto", 78, "--allow ADDRESS"),
        ("knock-encoded home/seen --allow 203.0.113.7", 64, "leave out --allow"),
        ("knock-encoded home/seen --for 1h", 64, "no field `for`"),
        ("knock-encoded home/net --allow 2001:db8::7 --flag 1", 64, "no field `flag`"),
        ("knock-encoded home/ssh --ports 40000-40100", 64, "40000-40255"),
        ("knock-encoded home/ssh --fields adr", 64, "did you mean `addr`?"),
        ("knock-encoded home/ssh --flag 4", 64, "4 is not in 0..4"),
        ("knock-encoded home/seen --to-log -", 64, "--log-source ADDRESS"),
        ("open home/ssh --via encoded --code 123456", 64, "--code"),
    ] {
        let (found, out, err) = scene.run(line);
        assert!(found == code && out.is_empty() && err.contains(help), "{line}: {found} {out}{err}");
    }
    assert!(!scene.folder.join("state/counters").exists());
    let (code, out, err) = scene.run("knock-encoded home/web --allow 203.0.113.7 --ports 50000-50255 --to-log -");
    assert_eq!(code, 0, "{err}");
    let fields = Fields { whom: Whom::V4, port: false, hold: false, flags: false };
    let template = Template { span: Span::new(50_000, 50_255).unwrap(), transport: Transport::Tcp, fields };
    assert!(scene.claim("web", &template, &one_pass(&out, template.length())).is_some());
}
