//! What a person does with an invitation, seen from outside. The server is played by the test.
#![expect(clippy::unwrap_used, reason = "in tests a failed assumption may end the test")]

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{self, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, thread};

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin_cmd;
use klopf_spa::{
    Invitation, InvitedKey, Knock, Name, Opener, PacketPort, Psk, Public, Scratch, Seed, ServerKey, Shape, Way,
};

/// A person with folders of their own, and a server that hears and never answers.
struct Scene {
    folder: PathBuf,
    ear: UdpSocket,
    server: ServerKey,
    seed: Seed,
    psk: Psk,
}

impl Scene {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("person-{}-{}", process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        let ear = UdpSocket::bind("127.0.0.1:0").unwrap();
        ear.set_nonblocking(true).unwrap();
        let (server, seed, psk) = (ServerKey::new([1; 32]), Seed::new([2; 32]), Psk::new([3; 32]));
        Self { folder, ear, server, seed, psk }
    }

    fn invitation(&self) -> Invitation {
        let name = |text| Name::new(text).unwrap();
        Invitation {
            name: name("home"),
            server: self.server.public(),
            psk: self.psk.clone(),
            key: InvitedKey::Made(self.seed.clone()),
            endpoints: vec!["127.0.0.1".into()],
            doors: vec![name("ssh"), name("web")],
            way: Way { port: PacketPort::Fixed(self.ear.local_addr().unwrap().port()), shape: Shape::None },
            until: Some(now() + 3600),
            no_clock: false,
            code_doors: vec![name("web")],
            bound: false,
            mail: None,
            shared_doors: Vec::new(),
            encoded_doors: Vec::new(),
        }
    }

    fn klopf(&self) -> Command {
        let mut klopf = cargo_bin_cmd!("klopf");
        klopf.env("KLOPF_CONFIG_DIR", self.folder.join("config")).env("KLOPF_STATE_DIR", self.folder.join("state"));
        klopf
    }

    fn run(&self, line: &str) -> (i32, String, String) {
        common::run(self.klopf(), line)
    }

    fn join(&self, invitation: &Invitation) -> (i32, String, String) {
        let output = self.klopf().args(["join"]).write_stdin(invitation.text().to_string()).output().unwrap();
        told(output)
    }

    fn profile(&self) -> PathBuf {
        self.folder.join("config/profiles/home.toml")
    }

    /// The knocks that have come, opened as the server opens them.
    fn heard(&self, public: Public) -> Vec<Knock> {
        let mut opener = Opener::new(&self.server, Shape::None);
        opener.people([(1, public, self.psk.clone())]);
        let mut knocks = Vec::new();
        let mut datagram = [0; 1500];
        while let Ok(length) = self.ear.recv(&mut datagram) {
            let mut scratch = Scratch::default();
            let packet = opener.check(datagram.get(..length).unwrap(), &mut scratch).unwrap();
            knocks.push(opener.open(&packet).unwrap().1);
        }
        knocks
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

#[test]
fn an_invitation_becomes_a_profile_that_opens() {
    let scene = Scene::new();
    let (code, stdout, stderr) = scene.join(&scene.invitation());
    assert!(code == 0 && stderr.is_empty() && stdout.contains("klopf ssh-config home"), "{stdout}{stderr}");
    assert_eq!(
        scene.run("open"),
        (0, "Knocked at 127.0.0.1 (127.0.0.1) for the door ssh. A knock is never answered.\n".into(), String::new())
    );
    assert_eq!(scene.run("open home/web --for 1h --allow 192.0.2.7 --code 000042").0, 0);
    let heard = scene.heard(scene.seed.public());
    let [first, second] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!((&*first.door, first.hold, first.allow, first.code), ("ssh", 0, None, None));
    assert_eq!((&*second.door, second.hold, second.code), ("web", 3600, Some(42)));
    assert_eq!(second.allow, Some([192, 0, 2, 7].into()));
    assert!(second.counter > first.counter && first.device == second.device && first.device != [0; 16]);
    assert!(first.time.abs_diff(now() * 1000) < 60_000);
    let (code, status, _) = scene.run("status --config /no/such/klopf.toml --socket /no/such/socket");
    assert!(code == 0 && status.contains("192.0.2.7") && status.contains("home"), "{status}");
    let (_, listed, _) = scene.run("profiles");
    assert!(listed.contains("home") && listed.contains("127.0.0.1") && listed.contains("ssh, web"), "{listed}");
    let (_, json, _) = scene.run("profiles --json");
    assert!(json.contains(&scene.seed.public().id().to_string()), "{json}");
}

#[test]
fn no_two_knocks_have_one_number_however_many_programs_send_them() {
    let scene = Scene::new();
    scene.join(&scene.invitation());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(scene.run("open").0, 0));
        }
    });
    let mut counters: Vec<u64> = scene.heard(scene.seed.public()).into_iter().map(|knock| knock.counter).collect();
    counters.sort_unstable();
    counters.dedup();
    assert_eq!(counters.len(), 8);
}

#[test]
fn a_device_without_a_clock_counts() {
    let scene = Scene::new();
    scene.join(&Invitation { no_clock: true, until: Some(1), ..scene.invitation() });
    assert_eq!((scene.run("open").0, scene.run("open").0), (0, 0));
    let heard: Vec<_> = scene.heard(scene.seed.public()).into_iter().map(|knock| (knock.time, knock.counter)).collect();
    assert_eq!(heard, [(0, 1), (0, 2)]);
    // Who joins again goes on counting, and is the same device.
    assert_eq!(
        told(
            scene
                .klopf()
                .args(["join", "--force"])
                .write_stdin(scene.invitation().text().to_string())
                .output()
                .unwrap()
        )
        .0,
        0
    );
    fs::remove_dir_all(scene.folder.join("state")).unwrap();
    fs::write(scene.folder.join("state"), "in the way").unwrap();
    assert_eq!(scene.run("open").0, 0, "with a clock the time will do");
}

#[test]
fn without_a_clock_a_counter_that_cannot_be_kept_sends_nothing() {
    let scene = Scene::new();
    scene.join(&Invitation { no_clock: true, ..scene.invitation() });
    fs::write(scene.folder.join("state"), "in the way").unwrap();
    let (code, _, stderr) = scene.run("open");
    assert!(code == 73 && stderr.contains("nothing was sent"), "{stderr}");
    assert_eq!(scene.heard(scene.seed.public()), []);
}

#[test]
fn what_is_broken_is_told_and_nothing_is_stored() {
    let scene = Scene::new();
    let invitation = scene.invitation();
    let text = invitation.text();
    for broken in ["", "klopf:", "hello", &text[..100], &text.replace('A', "B"), &format!("{}!", &*text)] {
        let output = scene.klopf().args(["join", "-"]).write_stdin(broken.to_owned()).output().unwrap();
        let (code, _, stderr) = told(output);
        assert!(code == 65 && stderr.contains("nothing was stored"), "{stderr}");
    }
    let (code, _, stderr) = scene.join(&Invitation { until: Some(now() - 60), ..invitation.clone() });
    assert!(code == 65 && stderr.contains("Nothing was stored"), "{stderr}");
    assert!(!scene.folder.join("config").exists());
    let (code, _, stderr) = scene.run("open");
    assert!(code == 66 && stderr.contains("klopf join"), "{stderr}");

    assert_eq!(scene.join(&invitation).0, 0);
    let stored = fs::read(scene.profile()).unwrap();
    let (code, _, stderr) = scene.join(&invitation);
    assert!(code == 73 && stderr.contains("--force") && stderr.contains("--name"), "{stderr}");
    assert_eq!(fs::read(scene.profile()).unwrap(), stored);

    let broken = String::from_utf8(stored).unwrap().replace("port = ", "ports = ");
    fs::write(scene.profile(), broken).unwrap();
    let (code, _, stderr) = scene.run("open");
    assert!(code == 78 && stderr.contains("did you mean `port`?") && stderr.contains("home.toml:1"), "{stderr}");
    assert!(!stderr.contains(&scene.seed.text()[..20]), "{stderr}");
    assert_eq!(scene.heard(scene.seed.public()), []);
}

#[cfg(unix)]
#[test]
fn a_profile_that_others_may_read_is_refused_with_the_remedy() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::new();
    scene.join(&scene.invitation());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&scene.profile()), mode(scene.profile().parent().unwrap())), (0o600, 0o700));
    fs::set_permissions(scene.profile(), fs::Permissions::from_mode(0o644)).unwrap();
    for line in ["open", "connect home 22", "connect 127.0.0.1 22", "run home -- true", "ssh-config home", "profiles"] {
        let (code, _, stderr) = scene.run(line);
        assert!(code == 77 && stderr.contains(&format!("chmod 600 {}", scene.profile().display())), "{line}: {stderr}");
    }
    assert_eq!(scene.heard(scene.seed.public()), []);
}

#[test]
fn a_key_of_ones_own_needs_no_key_in_the_invitation() {
    let scene = Scene::new();
    let (code, stdout, _) = scene.run("keygen");
    let public = Public::parse(stdout.trim()).unwrap();
    let invitation = Invitation { key: InvitedKey::Own(public.id()), ..scene.invitation() };
    assert_eq!((code, scene.join(&invitation).0, scene.run("open").0), (0, 0, 0));
    assert_eq!(scene.heard(public).len(), 1);
    let stranger = Invitation { key: InvitedKey::Own(klopf_spa::KeyId([9; 8])), ..scene.invitation() };
    let output =
        scene.klopf().args(["join", "--name", "other"]).write_stdin(stranger.text().to_string()).output().unwrap();
    let (code, _, stderr) = told(output);
    assert!(code == 66 && stderr.contains("--key FILE"), "{stderr}");
}

#[test]
fn a_dry_run_shows_everything_and_sends_nothing() {
    let scene = Scene::new();
    scene.join(&scene.invitation());
    let (code, stdout, _) = scene.run("open --dry-run --for 10m");
    assert_eq!(code, 0);
    for text in ["Nothing is sent", "600: for so many seconds", "\"ssh\", the door", "which device this is"] {
        assert!(stdout.contains(text), "{stdout}");
    }
    assert!(!stdout.contains(&*scene.seed.text()) && !stdout.contains(&*scene.psk.text()));
    assert!(scene.heard(scene.seed.public()).is_empty() && !scene.folder.join("state/counters").exists());
}

#[test]
fn a_door_that_asks_for_a_code_is_not_knocked_at_without() {
    let scene = Scene::new();
    scene.join(&scene.invitation());
    // There may be a terminal where the tests are run, but not for a session of its own.
    if cfg!(target_os = "linux") {
        let mut alone = process::Command::new("setsid");
        alone.arg("--wait").arg(assert_cmd::cargo::cargo_bin!("klopf")).args(["open", "/web"]);
        alone.env("KLOPF_CONFIG_DIR", scene.folder.join("config")).env("KLOPF_STATE_DIR", scene.folder.join("state"));
        let (code, _, stderr) = told(alone.stdin(process::Stdio::null()).output().unwrap());
        assert!(code == 64 && stderr.contains("--code"), "{stderr}");
    }
    let (code, _, stderr) = scene.run("open /cellar");
    assert!(code == 66 && stderr.contains("ssh, web"), "{stderr}");
    assert_eq!(scene.heard(scene.seed.public()), []);
}

#[test]
fn connect_knocks_and_passes_everything_on() {
    let scene = Scene::new();
    scene.join(&scene.invitation());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // On a loaded machine there may be more connections, of which one is used.
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut got = Vec::new();
            let _ = stream.read_to_end(&mut got).and_then(|_| stream.write_all(&got));
        }
    });
    let sent: Vec<u8> = (0..1_000_003_u32).map(|at| u8::try_from(at % 253).unwrap()).collect();
    for host in ["127.0.0.1", "home"] {
        let output =
            scene.klopf().args(["connect", host, &port.to_string()]).write_stdin(sent.clone()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        let (status, got) = (output.status, output.stdout.len());
        assert!(status.success() && output.stdout == sent, "{host}: {status}, {got} bytes: {stderr}");
    }
    assert_eq!(scene.heard(scene.seed.public()).len(), 2);
    let (code, _, stderr) = scene.run("connect other.example 22");
    assert!(code == 66 && stderr.contains("home (127.0.0.1)"), "{stderr}");
}

#[test]
fn what_does_not_answer_is_told_with_the_likely_reasons() {
    let scene = Scene::new();
    scene.join(&scene.invitation());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (code, stdout, stderr) = scene.run(&format!("open --wait tcp/{port} --timeout 1s"));
    assert_eq!((code, stdout.as_str()), (69, ""));
    assert!(stderr.contains("refuses connections") && stderr.contains("klopf status"), "{stderr}");
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (code, stdout, _) = scene.run(&format!("open --wait tcp/{port}"));
    assert!(code == 0 && stdout.contains("answers at tcp/"), "{stdout}");
    drop(listener);
    let profile = fs::read_to_string(scene.profile()).unwrap();
    fs::write(scene.profile(), profile.replace("127.0.0.1", "no-such-host.invalid")).unwrap();
    let (code, _, stderr) = scene.run("open");
    assert!(code == 68 && stderr.contains("'no-such-host.invalid' is unknown"), "{stderr}");
}

#[cfg(unix)]
#[test]
fn a_program_runs_behind_the_knock_with_its_own_exit_code() {
    let scene = Scene::new();
    scene.join(&scene.invitation());
    assert_eq!(scene.run("run home -- false").0, 1);
    let output =
        scene.klopf().args(["run", "home", "--", "sh", "-c", "ulimit -Hc; ulimit -Sc; exit 7"]).output().unwrap();
    let (code, stdout, _) = told(output);
    let limits = told(process::Command::new("sh").args(["-c", "ulimit -Hc; ulimit -Sc"]).output().unwrap()).1;
    assert!(code == 7 && stdout.ends_with(&limits), "{stdout}");
    let (code, _, stderr) = scene.run("run home -- /no/such/program");
    assert!(code == 66 && stderr.contains("/no/such/program"), "{stderr}");
    assert_eq!(scene.heard(scene.seed.public()).len(), 3);
}

#[test]
fn ssh_is_told_to_connect_through_this_program() {
    let scene = Scene::new();
    scene.join(&scene.invitation());
    let (code, stdout, _) = scene.run("ssh-config home");
    assert!(code == 0 && stdout.contains("Host home 127.0.0.1\n"), "{stdout}");
    assert!(stdout.contains(" connect -p home %h %p"), "{stdout}");
}

#[test]
fn an_invitation_in_the_wrong_place_is_not_repeated() {
    let scene = Scene::new();
    let text = scene.invitation().text();
    for command in ["open", "connect", "ssh-config", "join -x", "dance"] {
        let (code, stdout, stderr) = scene.run(&format!("{command} {}", *text));
        assert!(code == 64 && stderr.contains("klopf join"), "{stderr}");
        assert!(!stdout.contains(&text[..20]) && !stderr.contains(&text[..20]), "{stderr}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_crash_leaves_no_keys_behind() {
    use std::io::{BufRead, BufReader};
    let scene = Scene::new();
    scene.join(&scene.invitation());
    let mut proxy = process::Command::new(assert_cmd::cargo::cargo_bin!("klopf"));
    proxy.args(["proxy", "--port", "0"]).stdout(process::Stdio::piped());
    proxy.env("KLOPF_CONFIG_DIR", scene.folder.join("config")).env("KLOPF_STATE_DIR", scene.folder.join("state"));
    let mut proxy = proxy.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(proxy.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let limits = fs::read_to_string(format!("/proc/{}/limits", proxy.id())).unwrap();
    proxy.kill().unwrap();
    proxy.wait().unwrap();
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(cores.split_whitespace().nth(4), Some("0"), "{limits}");
    assert!(line.starts_with("SOCKS5 at 127.0.0.1:"), "{line}");
}
