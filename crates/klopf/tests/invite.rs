//! `klopf invite` as it is typed, with a daemon that only says what it is told to.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "in tests a failed assumption may end the test")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use assert_cmd::cargo::cargo_bin;
use klopf_control::{Reply, Request};
use klopf_spa::{Invitation, InvitedKey, Seed};

const CONFIG: &str = "[door.ssh]\nguard = [\"tcp/22\"]\nkeys = [\"*\"]\n";

/// A folder with a configuration, which goes with the test.
struct Host(PathBuf);

impl Host {
    fn new(test: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("invite-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("klopf.toml"), CONFIG).unwrap();
        Self(path)
    }

    fn klopf(&self, line: &str) -> Command {
        let mut command = Command::new(cargo_bin!("klopf"));
        command.args(line.split(' ')).arg("--config").arg(self.0.join("klopf.toml"));
        command.arg("--socket").arg(self.0.join("sock"));
        command
    }

    /// Exit code, standard output and standard error.
    fn run(&self, line: &str) -> (i32, String, String) {
        let output = self.klopf(line).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// Answers these, a connection each; what was asked.
    fn daemon(&self, replies: Vec<Reply>) -> thread::JoinHandle<Vec<Request>> {
        let listener = UnixListener::bind(self.0.join("sock")).unwrap();
        let answer = move |reply: Reply| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
            stream.write_all(&reply.line()).unwrap();
            Request::read(line.trim_end().as_bytes()).unwrap()
        };
        thread::spawn(move || replies.into_iter().map(answer).collect())
    }

    /// What is there besides klopf.toml and the socket.
    fn left(&self) -> Vec<String> {
        let names = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut left: Vec<_> = names.filter(|name| name != "klopf.toml" && name != "sock").collect();
        left.sort();
        left
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const RELOAD: Request = Request::Reload { confirm: false };

fn done(text: &str) -> Reply {
    Reply::Done { text: text.into() }
}

#[test]
fn the_line_alone_is_on_standard_output() {
    let host = Host::new("line");
    let daemon = host.daemon(vec![done("in force")]);
    let (code, stdout, stderr) = host.run("invite laptop --door ssh --endpoint host.example --qr");
    assert_eq!((code, daemon.join().unwrap()), (0, vec![RELOAD]), "{stderr}");
    let line = stdout.strip_suffix('\n').unwrap();
    let invitation = Invitation::parse(line).unwrap();
    assert_eq!((stdout.lines().count(), invitation.endpoints.as_slice()), (1, &["host.example".to_owned()][..]));
    let port = format!("UDP port {}", invitation.server.port());
    for text in ["laptop may open ssh", "klopf join", "ssh host.example", "klopfd: in force.", "█▀", &port] {
        assert!(stderr.contains(text), "{text}: {stderr}");
    }
    assert!(!stderr.contains(line) && !stderr.contains('\x1b'), "{stderr}");
    let file = fs::read_to_string(host.0.join("keys.d/laptop.toml")).unwrap();
    let InvitedKey::Made(seed) = &invitation.key else { panic!("no private key") };
    assert!(!file.contains(seed.text().as_str()), "the private key stays nowhere");
    assert!(file.contains(&seed.public().text()) && file.contains(invitation.psk.text().as_str()));
}

#[test]
fn without_a_daemon_it_counts_from_the_next_start() {
    let host = Host::new("alone");
    let public = Seed::new([7; 32]).public();
    let (code, stdout, stderr) = host.run(&format!("invite a --door ssh --endpoint h --public {}", public.text()));
    assert!(code == 0 && stderr.contains("klopfd does not run: the key counts as soon as it does."), "{stderr}");
    assert_eq!(Invitation::parse(&stdout).unwrap().key, InvitedKey::Own(public.id()));
    assert_eq!(host.left(), ["keys.d", "server.key"]);
    let (code, stdout, stderr) = host.run("keys");
    assert!(code == 0 && stderr.is_empty() && stdout.contains("a    ssh    to be joined before "), "{stdout}{stderr}");
}

#[test]
fn what_fails_leaves_nothing() {
    let host = Host::new("fails");
    let line = "invite laptop --door ssh --endpoint host.example";
    let no = || Reply::Failed { why: "broken".into(), help: Some("mend it".into()) };
    let daemon = host.daemon(vec![no(), no()]);
    let (code, stdout, stderr) = host.run(line);
    let said = "error: klopfd refused: broken\nhelp: mend it\nNothing was changed.\n";
    assert_eq!((code, stdout.as_str(), stderr.as_str(), host.left().len()), (1, "", said, 0));
    assert_eq!(daemon.join().unwrap(), [RELOAD, RELOAD], "it reads once more what was there before");

    fs::remove_file(host.0.join("sock")).unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = host.klopf(line).stdout(full).stderr(Stdio::piped()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), host.left().len()), (Some(74), 0), "{stderr}");
}

#[test]
fn a_key_and_its_leases_end_together() {
    let host = Host::new("uninvite");
    assert_eq!(host.run("invite laptop --door ssh --endpoint h").0, 0);
    let daemon = host.daemon(vec![done("in force"), done("ended 1 lease")]);
    let (code, stdout, stderr) = host.run("uninvite laptop --cut");
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(
        stdout.contains("laptop opens nothing any more") && stdout.ends_with("klopfd: ended 1 lease.\n"),
        "{stdout}"
    );
    assert_eq!(daemon.join().unwrap(), [RELOAD, Request::RevokeKey { key: "laptop".into(), cut: true }]);
    assert!(!host.0.join("keys.d/laptop.toml").exists());
    let (code, _, stderr) = host.run("uninvite laptop");
    assert!(code == 66 && stderr.starts_with("error: there is no key laptop\n"), "{stderr}");
}
