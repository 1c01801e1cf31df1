//! What `klopf` asks of a daemon, with a daemon that only says what it is told to.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "in tests a failed assumption may end the test")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::{fs, thread};

use assert_cmd::cargo::cargo_bin_cmd;
use klopf_control::{Guards, Reply, Request, Status, Table, TrialNews};

/// Exit code, standard output and standard error.
fn klopf(line: &str) -> (i32, String, String) {
    // Whoever runs the tests may have profiles.
    let nothing = ["KLOPF_CONFIG_DIR", "KLOPF_STATE_DIR"].map(|name| (name, "/no/such/folder"));
    let output = cargo_bin_cmd!("klopf").args(line.split(' ')).envs(nothing).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A daemon for one connection.
struct Fake {
    socket: PathBuf,
    asked: Receiver<Request>,
}

impl Fake {
    /// Says all of these, and then closes; but if the last is news of a trial that goes on, only when the other side does.
    fn new(name: &str, replies: Vec<Reply>) -> Self {
        let socket = std::env::temp_dir().join(format!("klopf-{name}-{}.sock", std::process::id()));
        let _ = fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        let (tell, asked) = channel();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            tell.send(Request::read(line.trim_end().as_bytes()).unwrap()).unwrap();
            for reply in &replies {
                stream.write_all(&reply.line()).unwrap();
            }
            if matches!(replies.last(), Some(Reply::Trial(TrialNews::Begun { .. }))) {
                let _ = reader.read_line(&mut line);
            }
        });
        Self { socket, asked }
    }

    fn line(&self, line: &str) -> String {
        format!("{line} --config /no/such/klopf.toml --socket {}", self.socket.display())
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.socket);
    }
}

/// What the daemon was asked, and what came of it.
fn ask(line: &str, replies: Vec<Reply>) -> (Request, i32, String, String) {
    let fake = Fake::new(&line.replace(|c: char| !c.is_ascii_alphanumeric(), "-"), replies);
    let (code, stdout, stderr) = klopf(&fake.line(line));
    (fake.asked.recv().unwrap(), code, stdout, stderr)
}

fn status() -> Status {
    Status {
        version: "0.1.0".into(),
        pid: 4711,
        uptime_ms: 1,
        guards: Guards::Unlocked,
        trial_left_ms: None,
        table: Table::None,
        doors: vec![],
        leases: vec![],
        refusals: vec![],
        counters: [("knocks".into(), 3)].into(),
        troubles: vec![],
        keys: vec![],
        sources: vec![],
    }
}

fn begun() -> Reply {
    Reply::Trial(TrialNews::Begun { seconds: 120, instructions: vec!["Type this: klopf knock".into()] })
}

#[test]
fn what_is_asked_arrives_and_the_answer_is_shown() {
    let grant =
        |address: &str, for_ms| Request::Grant { door: "ssh".into(), address: address.parse().unwrap(), for_ms };
    let doors = |doors: &[&str]| Request::Lock { doors: doors.iter().map(ToString::to_string).collect() };
    for (line, request) in [
        ("grant ssh 192.0.2.7", grant("192.0.2.7", None)),
        ("grant ssh 2001:db8::7 --for 10m", grant("2001:db8::7", Some(600_000))),
        ("revoke ssh", Request::Revoke { what: "ssh".into(), cut: false }),
        ("revoke 192.0.2.7 --cut", Request::Revoke { what: "192.0.2.7".into(), cut: true }),
        ("lock", doors(&[])),
        ("lock ssh web", doors(&["ssh", "web"])),
        ("unlock", Request::Unlock),
        ("reload", Request::Reload { confirm: false }),
        ("reload --confirm", Request::Reload { confirm: true }),
    ] {
        let answer = ask(line, vec![Reply::Done { text: "as you say".into() }]);
        assert_eq!(answer, (request, 0, "as you say\n".into(), String::new()), "{line}");
    }
}

#[test]
fn a_no_is_shown_with_what_to_do() {
    let no = Reply::Failed { why: "there is no door `shs`".into(), help: Some("did you mean `ssh`?".into()) };
    let (_, code, stdout, stderr) = ask("revoke shs", vec![no]);
    let said = "error: there is no door `shs`\nhelp: did you mean `ssh`?\n";
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (1, "", said));
}

#[test]
fn the_status_is_for_people_and_for_programs() {
    let reply = || vec![Reply::Status(Box::new(status()))];
    let (request, code, stdout, stderr) = ask("status", reply());
    assert_eq!((request, code, stderr.as_str()), (Request::Status, 0, ""));
    assert!(stdout.starts_with("UNLOCKED: ") && stdout.ends_with("Since the start: 3 hits\n"), "{stdout}");

    let (_, code, stdout, _) = ask("status --json", reply());
    // What the daemon says, and then what was opened from here.
    let daemon = status().json();
    assert_eq!((code, stdout), (0, format!("{},\"opened\":[]}}\n", daemon.strip_suffix('}').unwrap())));
}

#[test]
fn a_trial_is_told_to_its_end() {
    let news = |news| Reply::Trial(news);
    let confirmed = vec![
        begun(),
        news(TrialNews::Saw { text: "a knock from 192.0.2.7".into() }),
        news(TrialNews::Left { seconds: 31 }),
        news(TrialNews::Confirmed { text: "ssh stays closed".into() }),
    ];
    let (_, code, stdout, stderr) = ask("lock ssh", confirmed);
    let told = "Closed for 2 minutes, on trial.\n\nType this: klopf knock\n\n2m00s left\nSeen: a knock from 192.0.2.7\n\
        31s left\nConfirmed: ssh stays closed\n";
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, told, ""));

    let undone = vec![
        begun(),
        news(TrialNews::Undone {
            text: "nothing is guarded".into(),
            saw: vec!["a knock from 192.0.2.7".into()],
            not_seen: vec!["a connection from there to tcp/22".into()],
        }),
    ];
    let (_, code, stdout, _) = ask("reload --confirm", undone);
    let told = "Undone: nothing is guarded\n  seen: a knock from 192.0.2.7\n  not seen: a connection from there to \
        tcp/22\n";
    assert!(code == 1 && stdout.ends_with(told), "{code} {stdout}");
}

#[test]
fn who_leaves_a_trial_is_told_that_it_goes_on() {
    let fake = Fake::new("interrupt", vec![begun()]);
    let mut klopf = Command::new(env!("CARGO_BIN_EXE_klopf"))
        .args(fake.line("lock").split(' '))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(klopf.stdout.take().unwrap()).lines();
    assert!(lines.map(Result::unwrap).any(|line| line == "2m00s left"));
    assert!(Command::new("sh").args(["-c", &format!("kill -INT {}", klopf.id())]).status().unwrap().success());
    let output = klopf.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(130) && said.starts_with("The trial goes on without you"), "{said}");
}

#[test]
fn without_a_daemon_it_says_what_that_means() {
    let dead = std::env::temp_dir().join(format!("klopf-dead-{}.sock", std::process::id()));
    drop(UnixListener::bind(&dead).unwrap());
    for socket in [dead.to_str().unwrap(), "/no/such/control.sock"] {
        for line in ["status", "status --json", "grant ssh 192.0.2.7", "revoke ssh", "lock", "reload"] {
            let (code, stdout, stderr) = klopf(&format!("{line} --socket {socket}"));
            assert_eq!((code, stdout.as_str()), (69, ""), "{line}");
            assert!(
                stderr.starts_with(&format!("error: klopfd does not run: nobody listens at {socket}\n")),
                "{stderr}"
            );
            assert!(stderr.contains(" is guarded") || stderr.contains("klopf unlock"), "{stderr}");
            assert!(stderr.contains("\nStart it: "), "{stderr}");
        }
    }
    fs::remove_file(dead).unwrap();
}

#[test]
fn a_daemon_that_ends_is_not_taken_for_one_that_has_done_it() {
    let (_, code, stdout, stderr) = ask("lock", vec![]);
    assert!(code == 69 && stdout.is_empty() && stderr.contains("klopf status"), "{stderr}");
}

#[test]
fn a_daemon_of_another_version_is_named() {
    let (_, code, _, stderr) = ask("status", vec![Reply::Done { text: String::new() }]);
    assert!(code == 76 && stderr.contains("restart klopfd"), "{stderr}");
}

#[test]
fn the_socket_is_where_the_configuration_says() {
    let fake = Fake::new("runtime", vec![Reply::Done { text: "done".into() }]);
    let dir = fake.socket.with_extension("d");
    fs::create_dir(&dir).unwrap();
    let config = dir.join("klopf.toml");
    fs::write(&config, format!("[daemon]\nruntime-dir = \"{}\"\n", dir.display())).unwrap();
    fs::rename(&fake.socket, dir.join("control.sock")).unwrap();
    let line = format!("reload --config {}", config.display());
    let answer = klopf(&line);
    fs::remove_dir_all(&dir).unwrap();
    assert_eq!(answer, (0, "done\n".into(), String::new()));
}

#[test]
fn what_is_mistyped_asks_nothing() {
    for (line, message) in [
        ("grant ssh", "<ADDRESS>"),
        ("grant ssh host", "write it like 192.0.2.7 or 2001:db8::7"),
        ("grant ssh 192.0.2.7 --for 10", "a time is written 30s, 10m, 2h or 1d"),
        ("revoke", "<ADDRESS|DOOR|KEY>"),
    ] {
        let (code, _, stderr) = klopf(line);
        assert!(code == 64 && stderr.contains(message), "{line}: {stderr}");
    }
}
