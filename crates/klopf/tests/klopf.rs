//! `klopf`, seen from outside.
#![expect(clippy::unwrap_used, reason = "in tests a failed assumption may end the test")]

mod common;

use std::path::{Path, PathBuf};
use std::{fs, process};

use assert_cmd::cargo::cargo_bin_cmd;

fn klopf(line: &str) -> (i32, String, String) {
    common::run(cargo_bin_cmd!("klopf"), line)
}

#[test]
fn a_knock_is_sent() {
    let (ear, port) = common::udp_ear();
    let line = format!("knock -v -d 1ms 127.0.0.1 7 {port}/udp");
    let said = format!("knocking at 127.0.0.1 7/tcp\nknocking at 127.0.0.1 {port}/udp\n");
    assert_eq!(klopf(&line), (0, said, String::new()));
    let mut datagram = [1; 8];
    assert_eq!(ear.recv(&mut datagram).unwrap(), 1);
    assert_eq!(datagram[0], 0);
}

#[test]
fn exit_codes_follow_sysexits() {
    for (line, code, message) in [
        ("", 64, "Usage: klopf"),
        ("dance", 64, "unrecognized subcommand 'dance'"),
        ("knock 127.0.0.1", 64, "<PORT[/PROTO]>"),
        ("knock 127.0.0.1 7 70000", 64, "a port is a number from 1 to 65535"),
        ("knock 127.0.0.1 7:icmp", 64, "the protocol after the port is tcp or udp"),
        ("knock -d soon 127.0.0.1 7", 64, "a pause is written 50, 50ms or 2s"),
        ("knock -4 -6 127.0.0.1 7", 64, "cannot be used with"),
        ("knock no-such-host.invalid 7", 68, "error: host 'no-such-host.invalid' is unknown: "),
        ("knock -4 ::1 7", 68, "error: host '::1' has no IPv4 address; leave out -4"),
        ("knock 224.0.0.1 7", 69, "error: cannot send to 224.0.0.1 port 7: "),
        ("check /no/such/klopf.toml", 66, "error: cannot read /no/such/klopf.toml: "),
    ] {
        let (got, stdout, stderr) = klopf(line);
        assert_eq!((got, stdout.as_str()), (code, ""), "{line}: {stderr}");
        assert!(stderr.contains(message), "{line}: {stderr}");
    }
    for line in ["--help", "--version", "knock --help", "check -h", "help knock"] {
        let (code, stdout, stderr) = klopf(line);
        assert_eq!((code, stdout.is_empty(), stderr.as_str()), (0, false, ""), "{line}");
    }
}

#[test]
fn a_file_of_knockd_is_turned_into_a_native_one() {
    let dir = Dir::new("import");
    let rule = "-s %IP% -p tcp --dport 22 -j ACCEPT";
    let pair = format!(
        "[openSSH]\nsequence = 42000,1337,23000\ncommand = /sbin/iptables -A INPUT {rule}\n\
         [closeSSH]\nsequence = 9000,8000,7000\ncommand = /sbin/iptables -D INPUT {rule}\n"
    );
    let old = dir.file("knockd.conf", &pair);
    let (code, shown, stderr) = klopf(&format!("import {old}"));
    assert_eq!(code, 0, "{stderr}");
    assert!(shown.contains("guard = [\"tcp/22\"]") && !shown.contains("[door.closeSSH]"), "{shown}");
    assert!(stderr.contains("different now: the ports in `guard` are closed by klopfd itself"), "{stderr}");

    let new = dir.path().join("klopf.toml");
    let line = format!("import {old} --output {}", new.display());
    let (code, stdout, stderr) = klopf(&line);
    assert!(code == 0 && stdout.is_empty() && stderr.contains("Next: klopf check"), "{stdout}{stderr}");
    assert_eq!(fs::read_to_string(&new).unwrap(), shown);
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(&new).unwrap()) & 0o777, 0o600);
    assert!(klopf(&format!("check {}", new.display())).1.contains("fine, 1 door"));
    let (code, _, stderr) = klopf(&line);
    assert!(code == 73 && stderr.contains("it is not written over"), "{stderr}");

    let once = dir.file("once.conf", "[a]\none_time_sequences = /etc/once\ncommand = true\n");
    let (code, _, stderr) = klopf(&format!("import {once}"));
    assert!(code == 65 && stderr.contains("left out: [a]: one-time sequences"), "{stderr}");
    let broken = dir.file("broken.conf", "[a]\nsequence = 1,2,3\nwhat\n");
    let (code, stdout, stderr) = klopf(&format!("import {broken}"));
    assert!(code == 78 && stdout.is_empty() && stderr.contains("broken.conf:3:1"), "{stderr}");
}

#[test]
fn a_file_is_checked() {
    const DOOR: &str = "[door.ssh]\nsequence = [\"42000\", \"1337\", \"23000/udp\"]\non-open = [\"/bin/true\"]\n";
    let dir = Dir::new("check");

    let fine = dir.file("fine.toml", DOOR);
    assert_eq!(klopf(&format!("check {fine}")), (0, format!("{fine}: fine, 1 door\n"), String::new()));

    let old = dir.file("knockd.conf", "[ssh]\nsequence = 7000,9000:udp,8000\ncommand = true\ntcpflags = syn\n");
    let (code, stdout, _) = klopf(&format!("check {old}"));
    assert_eq!(code, 0, "{stdout}");
    assert!(stdout.lines().last().unwrap().starts_with(&format!("{old}: fine, 1 door")), "{stdout}");

    let poor = dir.file("poor.toml", &DOOR.replace("\"42000\", \"1337\", \"23000/udp\"", "7, 8, 9"));
    let (code, stdout, _) = klopf(&format!("check {poor}"));
    assert_eq!(code, 0, "{stdout}");
    assert!(stdout.lines().last().unwrap().starts_with(&format!("{poor}: fine, 1 door, ")), "{stdout}");

    let broken = dir.file("broken.toml", &format!("{DOOR}colour = \"red\"\nwithin = \"soon\"\n"));
    let (code, stdout, _) = klopf(&format!("check {broken}"));
    assert_eq!(code, 78, "{stdout}");
    assert_eq!(stdout.lines().last(), Some(format!("{broken}: 2 faults").as_str()), "{stdout}");
    assert!(stdout.contains(&format!("{broken}:4:1")) && stdout.contains(&format!("{broken}:5:")), "{stdout}");
    assert!(!stdout.contains('\x1b'), "colour without a terminal");

    let output = cargo_bin_cmd!("klopf").args(["check", "-"]).write_stdin(DOOR).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "stdin.toml: fine, 1 door\n");
}

#[cfg(unix)]
#[test]
fn keys_beside_the_file_are_checked_too() {
    use std::os::unix::fs::PermissionsExt;
    const KEY: &str = "public = \"Be7hH48GWozJaGJWSJr5NSEwYKV4xfYB7J4UHnhrOw8gWFEQfSBISNAl8l3DGHlgbpWZuBoSsKrLKVSVdoziUA\"\n\
                       psk = \"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE\"\n";
    let dir = Dir::new("keys");
    let main = dir.file("klopf.toml", "[door.ssh]\nguard = [\"tcp/22\"]\nkeys = [\"laptop\"]\n");
    let (code, stdout, _) = klopf(&format!("check {main}"));
    assert!(code == 78 && stdout.contains("there is no key `laptop`"), "{stdout}");

    fs::create_dir(dir.path().join("keys.d")).unwrap();
    let laptop = dir.file("keys.d/laptop.toml", KEY);
    fs::set_permissions(&laptop, fs::Permissions::from_mode(0o600)).unwrap();
    let (code, stdout, _) = klopf(&format!("check {main}"));
    assert!(code == 0 && stdout.contains("server.key, is not there: no sealed knock opens anything"), "{stdout}");
    let server = dir.file("server.key", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE\n");
    fs::set_permissions(&server, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(klopf(&format!("check {main}")), (0, format!("{main}: fine, 1 door, 1 key\n"), String::new()));

    fs::set_permissions(&laptop, fs::Permissions::from_mode(0o640)).unwrap();
    let (code, stdout, _) = klopf(&format!("check {main}"));
    assert!(code == 0 && stdout.contains(&format!("others may read {laptop}, which holds secrets")), "{stdout}");
    assert!(
        stdout.contains(&format!("help: chmod 600 {laptop}")) && stdout.ends_with("1 key, 1 warning\n"),
        "{stdout}"
    );

    let (code, stdout, stderr) = klopf(&format!("export nft -c {main}"));
    assert!(code == 78 && stdout.is_empty() && stderr.contains("door ssh is left out"), "{stderr}");

    dir.file("keys.d/laptop.toml", &KEY.replace("\"AQ", "\""));
    let (code, stdout, _) = klopf(&format!("check {main}"));
    assert!(code == 78 && stdout.contains(&format!("{laptop}:2:7")) && !stdout.contains("EBAQEB"), "{stdout}");

    fs::create_dir(dir.path().join("keys.d/phone.toml")).unwrap();
    let (code, _, stderr) = klopf(&format!("check {main}"));
    assert!(code == 66 && stderr.contains("cannot read") && stderr.contains("keys.d/phone.toml"), "{stderr}");
}

#[cfg(unix)]
#[test]
fn files_of_mails_and_guestbooks_are_checked_too() {
    use std::os::unix::fs::PermissionsExt;
    let dir = Dir::new("sources");
    let mail = "[mail.work]\nimap = \"imaps://ada@mail.example\"\npassword-file = \"password\"\n";
    let book = "[guestbook.a]\nurl = \"https://example.org\"\n[door.a]\nguard = [\"tcp/22\"]\nkeys = [\"*\"]\n";
    let main = dir.file("klopf.toml", &format!("{mail}{book}"));
    let (code, stdout, _) = klopf(&format!("check {main}"));
    assert!(stdout.starts_with("warning: mail `work` is not read: its `password-file` beside "), "{stdout}");
    assert!(code == 0 && stdout.ends_with("fine, 1 door, 1 mail, 1 guestbook, 2 warnings\n"), "{stdout}");

    let password = dir.file("password", "hunter2\n");
    for (mode, expected) in [(0o600, 1), (0o644, 2)] {
        fs::set_permissions(&password, fs::Permissions::from_mode(mode)).unwrap();
        let (_, stdout, _) = klopf(&format!("check {main}"));
        assert_eq!(stdout.matches("warning: ").count(), expected, "{stdout}");
        assert_eq!(stdout.contains(&format!("help: chmod 600 {password}")), expected == 2, "{stdout}");
    }

    let wrong = dir.file("wrong.toml", &mail.replace("ada@", "ada:hunter2@"));
    let (code, stdout, _) = klopf(&format!("check {wrong}"));
    assert!(code == 78 && stdout.contains("a password does not belong into `imap`"), "{stdout}");
    assert!(!stdout.contains("hunter2"), "{stdout}");
}

#[test]
fn doors_are_exported() {
    let dir = Dir::new("export");
    let door = "[door.ssh]\nguard = [\"tcp/22\"]\nsequence = [\"42000\", \"1337\", \"23000/udp\"]\n";
    let file = dir.file("klopf.toml", door);
    let (code, stdout, stderr) = klopf(&format!("export nft --config {file}"));
    assert!(code == 0 && stderr.is_empty(), "{stderr}");
    assert!(stdout.contains("table inet klopf_knock {") && stdout.contains("tcp dport 22 drop"), "{stdout}");

    for (file, code, message) in [
        ("/no/such/klopf.toml".to_owned(), 66, "error: cannot read /no/such/klopf.toml: "),
        (dir.file("broken.toml", &format!("{door}colour = \"red\"\n")), 78, "colour"),
        (dir.file("empty.toml", ""), 78, "guard = [\"tcp/22\"]"),
    ] {
        let (got, stdout, stderr) = klopf(&format!("export nft -c {file}"));
        assert_eq!((got, stdout.as_str()), (code, ""), "{stderr}");
        assert!(stderr.contains(message), "{stderr}");
    }
}

#[test]
fn every_shell_has_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (code, script, _) = klopf(&format!("completions {shell}"));
        assert!(code == 0 && script.contains("knock"), "{shell}");
    }
}

#[test]
fn man_pages_say_what_help_says() {
    let dir = Dir::new("man");
    let (code, stdout, stderr) = klopf(&format!("man {}", dir.path().display()));
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, "", ""));
    let mut names: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let everywhere = [
        "check",
        "completions",
        "codes",
        "connect",
        "export",
        "import",
        "join",
        "keygen",
        "explain",
        "knock",
        "knock-encoded",
        "open",
        "page",
        "post",
        "profiles",
        "proxy",
        "run",
        "ssh-config",
        "status",
        "token",
    ]
    .as_slice();
    let linux: &[&str] = if cfg!(target_os = "linux") {
        &["doctor", "grant", "invite", "keys", "lock", "reload", "revoke", "setup", "uninvite", "unlock"]
    } else {
        &[]
    };
    let unix: &[&str] = if cfg!(unix) { &["deliver"] } else { &[] };
    let mut expected: Vec<_> =
        [everywhere, linux, unix].concat().iter().map(|task| format!("klopf-{task}.1")).collect();
    expected.push("klopf-client.toml.5".to_owned());
    expected.sort();
    expected.extend(["klopf.1", "klopf.toml.5", "knock.1"].map(Into::into));
    assert_eq!(names, expected);

    let page = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    let (_, usage, _) = common::run(cargo_bin_cmd!("knock"), "-h");
    for help in usage.lines().filter(|line| line.starts_with("  -")).map(|line| line[22..].trim()) {
        assert!(page("knock.1").contains(help), "{help}");
    }
    for option in klopf::command().find_subcommand("knock").unwrap().get_opts() {
        let long = option.get_long().unwrap();
        assert!(page("klopf-knock.1").contains(&format!(r"\-\-{long}")), "{long}");
    }
    assert!(page("klopf.toml.5").contains(r#"#if\-klopfd\-dies = "open""#), "not every key is there");
    assert!(page("klopf-post.1").contains("or the STUN server does not answer"), "an exit code is cut off");
    assert!(page("klopf-client.toml.5").contains("password\\-file"), "not every key is there");
}

/// A new directory, removed with all in it at the end.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file and names it.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
