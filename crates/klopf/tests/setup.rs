//! `klopf setup` as it is typed, and as a script calls it.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "in tests a failed assumption may end the test")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use assert_cmd::cargo::cargo_bin;
use klopf_spa::Invitation;

/// A folder for a configuration, which goes with the test.
struct Host(PathBuf);

impl Host {
    fn new(test: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("setup-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Exit code, standard output and standard error of a run with this as standard input.
    fn run(&self, line: &str, typed: &str) -> (i32, String, String) {
        let mut command = Command::new(cargo_bin!("klopf"));
        command.arg("setup").args(line.split_whitespace()).current_dir(&self.0);
        if !line.contains("--output") {
            command.args(["--output", "klopf.toml"]);
        }
        command.arg("--socket").arg(self.0.join("sock")).env("SSH_CONNECTION", "203.0.113.7 50022 192.0.2.1 22");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut klopf = command.spawn().unwrap();
        // One that asks nothing may have ended already.
        let _ = klopf.stdin.take().unwrap().write_all(typed.as_bytes());
        let output = klopf.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// What `klopf check` says, and its exit code.
    fn check(&self, file: &str) -> (i32, String) {
        let output = Command::new(cargo_bin!("klopf")).arg("check").arg(self.0.join(file)).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).unwrap()
    }

    fn files(&self) -> Vec<String> {
        let names = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn five_answers_make_a_file_and_an_invitation() {
    let host = Host::new("dialogue");
    let typed = "tcp/22 tcp/8443\npacket\nlaptop\n?\n1m\nyes\nstay-closed\ny\n";
    let (code, stdout, stderr) = host.run("--ask --endpoint host.example", typed);
    assert_eq!(code, 0, "{stderr}");
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!((lines.len(), lines[1]), (2, "klopf.toml: fine, 1 door, 1 key"), "{stdout}");
    let invitation = Invitation::parse(lines[0]).unwrap();
    assert_eq!((&*invitation.doors[0], invitation.endpoints), ("services", vec!["host.example".to_owned()]));
    for said in
        ["Five questions, for klopf.toml.", "Half a minute is", "klopf.toml is written.", "klopf join", "klopf lock"]
    {
        assert!(stderr.contains(said), "{said}: {stderr}");
    }
    let text = host.read("klopf.toml");
    for line in ["guard = [\"tcp/22\", \"tcp/8443\"]", "open-for = \"1m\"", "always-allow = [\"203.0.113.7\"]"] {
        assert!(text.lines().any(|other| other == line), "{line}: {text}");
    }
    assert_eq!(fs::metadata(host.0.join("klopf.toml")).unwrap().mode() & 0o777, 0o600);
    assert_eq!(host.files(), ["keys.d", "klopf.toml", "server.key"]);
}

#[test]
fn every_way_makes_a_file_that_is_fine() {
    let host = Host::new("ways");
    let log = host.0.join("log");
    fs::write(&log, "").unwrap();
    fs::write(host.0.join("pw"), "secret\n").unwrap();
    fs::set_permissions(host.0.join("pw"), PermissionsExt::from_mode(0o600)).unwrap();
    for (number, way) in [
        "packet",
        "sequence",
        "encoded",
        "mail --mail-imap imaps://k%40b.example@b.example/INBOX --password-file pw",
        "mail --maildir /var/mail/knock",
        "guestbook --url https://b.example/book",
        "log --preset nft --log-file LOG",
        "log --preset iptables --log-file LOG",
        "log --preset ufw --log-file LOG",
        "log --preset web --log-file LOG",
    ]
    .into_iter()
    .enumerate()
    {
        let file = format!("{number}.toml");
        let way = way.replace("LOG", log.to_str().unwrap());
        let line = format!("--yes --guard 22 --how {way} --if-klopfd-dies open --output {file}");
        let (code, stdout, stderr) = host.run(&line, "");
        assert_eq!(code, 0, "{way}: {stderr}");
        let (code, said) = host.check(&file);
        let rest = said.replace("warning: there is no key yet that opens door `ssh`", "");
        assert!(code == 0 && !rest.contains("warning:"), "{way}: {said}");
        assert!(stdout.contains(&format!("{file}: fine, 1 door")), "{stdout}");
        assert!(host.read(&file).lines().count() < 30);
        let next = if way == "sequence" { "klopf knock HOST " } else { "klopf invite NAME --door ssh" };
        assert!(stderr.contains(next), "{way}: {stderr}");
    }
    let (_, _, stderr) = host.run("--yes --mail-imap imaps://k%40b.example@b.example --output p.toml", "");
    assert!(
        stderr.contains("install -m 600 /dev/null mail.password") && stderr.contains("--mail k@b.example"),
        "{stderr}"
    );
}

#[test]
fn whoever_knocks_by_a_log_is_told_of_the_ports() {
    let host = Host::new("log");
    fs::write(host.0.join("log"), "").unwrap();
    let log = host.0.join("log");
    let line = format!("--yes --guard 22 --preset nft --log-file {} --for-whom laptop --endpoint h", log.display());
    let (code, stdout, stderr) = host.run(&line, "");
    assert_eq!(code, 0, "{stderr}");
    let invitation = Invitation::parse(stdout.lines().next().unwrap()).unwrap();
    assert_eq!((invitation.encoded_doors.len(), invitation.bound), (1, false));
    assert!(stderr.contains("klopf knock-encoded laptop"), "{stderr}");
}

#[test]
fn where_nobody_can_be_asked_it_says_what_is_missing() {
    let host = Host::new("missing");
    let (code, stdout, stderr) = host.run("--how packet --guard 22", "\n\n\n\n");
    assert_eq!((code, stdout.as_str()), (64, ""));
    let said = "error: nobody can be asked, and there is no --for-whom or --no-invite, --open-for, --if-klopfd-dies\n";
    assert!(stderr.starts_with(said), "{stderr}");
    for (line, why) in [
        ("--yes --how mail", "--mail-imap or --maildir"),
        ("--yes --how dance", "invalid value 'dance'"),
        ("--yes --url http://b.example/", "--url: `url` would be read without TLS"),
        ("--yes --open-for 99d", "write `30d` or less"),
        ("--yes --for-whom=-x", "--for-whom"),
        ("--yes --output klopf.conf", "does not end in .toml"),
    ] {
        let (code, _, stderr) = host.run(line, "");
        assert!(code == 64 && stderr.contains(why), "{line}: {code} {stderr}");
    }
    assert_eq!(host.files(), [""; 0]);
}

#[test]
fn who_stops_has_written_nothing() {
    let host = Host::new("stops");
    for typed in ["", "22\n", "22\n1\nlaptop\n", "22\n1\nlaptop\n30s\nno\n"] {
        let (code, stdout, stderr) = host.run("--ask --endpoint h", typed);
        assert_eq!((code, stdout.as_str()), (1, ""), "{typed:?}");
        assert!(stderr.ends_with("error: no more answers, so it stops; nothing is written\n"), "{stderr}");
    }
    assert_eq!(host.files(), [""; 0]);
}

#[test]
fn nobodys_work_is_written_over() {
    const OWN: &str = "# mine\n[door.a]\nguard = [\"tcp/1\"]\nsequence = [9, 7000, 8]\n";
    let host = Host::new("there");
    fs::write(host.0.join("klopf.toml"), OWN).unwrap();
    let (code, _, stderr) = host.run("--yes", "");
    assert_eq!(code, 73, "{stderr}");
    assert!(stderr.contains("klopf.toml is there already") && stderr.contains("klopf.new.toml"), "{stderr}");

    let answers = "\n\n\n\n\n\n\n";
    let (code, stdout, stderr) = host.run("--ask", &format!("{answers}beside\n"));
    assert_eq!((code, host.read("klopf.toml").as_str()), (0, OWN), "{stderr}");
    assert!(stdout.starts_with("klopf.new.toml is written; klopf.toml is as it was.\n"), "{stdout}");
    let (code, _, stderr) = host.run("--ask", &format!("{answers}nowhere\n"));
    assert!(code == 1 && stderr.ends_with("stopped; nothing is written\n"), "{stderr}");

    let (code, _, stderr) = host.run("--yes --force", "");
    assert_eq!((code, host.read("klopf.toml.old").as_str()), (0, OWN), "{stderr}");
    let new = host.read("klopf.toml");
    assert_eq!(new, host.read("klopf.new.toml"));
    assert_eq!(host.run("--ask --how sequence", "\n\n\n\n\n2\n").0, 0);
    assert_eq!((host.read("klopf.toml.old").as_str(), host.read("klopf.toml.old2")), (OWN, new));
    assert_eq!(host.files(), ["klopf.new.toml", "klopf.toml", "klopf.toml.old", "klopf.toml.old2"]);
}

#[test]
fn the_example_as_it_was_installed_is_nobodys_work() {
    let host = Host::new("example");
    let example = include_str!("../../../examples/klopf.toml");
    fs::write(host.0.join("klopf.toml"), example).unwrap();
    let (code, _, stderr) = host.run("--yes", "");
    assert_eq!((code, host.read("klopf.toml.old").as_str()), (0, example), "{stderr}");
}

#[test]
fn what_does_not_go_with_the_keys_is_not_written() {
    let host = Host::new("keys");
    fs::create_dir(host.0.join("keys.d")).unwrap();
    fs::write(host.0.join("keys.d/old.toml"), "doors = [\"other\"]\n").unwrap();
    let (code, stdout, stderr) = host.run("--yes", "");
    assert_eq!((code, stdout.as_str()), (78, ""));
    assert!(stderr.contains("nothing was written") && stderr.contains("there is no door `other`"), "{stderr}");
    assert_eq!(host.files(), ["keys.d"]);
    let (code, _, stderr) = host.run("--yes --for-whom old --endpoint h", "");
    assert!(code == 64 && stderr.contains("--for-whom: there is a key old already"), "{stderr}");
}

#[test]
fn the_file_alone_is_on_standard_output() {
    let host = Host::new("stdout");
    let (code, stdout, stderr) = host.run("--yes --for-whom laptop --output -", "");
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("# ") && stdout.contains("[door.ssh]") && stdout.ends_with('\n'), "{stdout}");
    assert_eq!(stderr, "When it is in its place: klopf invite laptop --door ssh\n");
    assert_eq!(host.files(), [""; 0]);
}
