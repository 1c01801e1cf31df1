//! Knocks as text, seen from outside. Mail server, guestbook and klopfd are played by the test.
#![expect(clippy::panic, clippy::unwrap_used, reason = "in tests a failed assumption may end the test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{self, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, thread};

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin_cmd;
use klopf_spa::{
    Claim, Invitation, InvitedKey, Name, Own, PacketPort, Psk, Seed, ServerKey, Shape, SharedDoor, Way, combine,
    door_hash, is_code_of, open_share, open_token, read_code,
};
use klopf_wire::text;

/// A person who has joined, and what the server knows of them.
struct Scene {
    folder: PathBuf,
    server: ServerKey,
    seed: Seed,
    psk: Psk,
}

impl Scene {
    fn new(bound: bool) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("token-{}-{}", process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(folder.join("config")).unwrap();
        let scene = Self { folder, server: ServerKey::new([1; 32]), seed: Seed::new([2; 32]), psk: Psk::new([3; 32]) };
        let name = |text| Name::new(text).unwrap();
        let books = ["a", "b", "c"].map(name).to_vec();
        let invitation = Invitation {
            name: name("home"),
            server: scene.server.public(),
            psk: scene.psk.clone(),
            key: InvitedKey::Made(scene.seed.clone()),
            endpoints: vec!["127.0.0.1".into()],
            doors: vec![name("ssh"), name("web"), name("vault")],
            way: Way { port: PacketPort::Fixed(9), shape: Shape::None },
            until: None,
            no_clock: false,
            code_doors: vec![name("web")],
            bound,
            mail: Some("knock@example.org".into()),
            shared_doors: vec![SharedDoor::new(name("vault"), 2, books).unwrap()],
            encoded_doors: Vec::new(),
        };
        let joined = scene.klopf().arg("join").write_stdin(invitation.text().to_string()).output().unwrap();
        assert!(joined.status.success());
        scene
    }

    fn klopf(&self) -> Command {
        let mut klopf = cargo_bin_cmd!("klopf");
        klopf.env("KLOPF_CONFIG_DIR", self.folder.join("config")).env("KLOPF_STATE_DIR", self.folder.join("state"));
        klopf.env("LC_ALL", "C.UTF-8").timeout(std::time::Duration::from_secs(60));
        klopf
    }

    /// Exit code, standard output and standard error.
    fn run(&self, line: &str) -> (i32, String, String) {
        told(self.klopf().args(line.split_whitespace().map(|word| word.replace('_', " "))).output().unwrap())
    }

    fn settings(&self, text: &str) {
        fs::write(self.folder.join("config/client.toml"), text).unwrap();
    }

    fn own(&self, bound: bool) -> Own {
        if !bound {
            return Own::psk(&self.psk);
        }
        let profile = fs::read_to_string(self.folder.join("config/profiles/home.toml")).unwrap();
        let device = profile.lines().find_map(|line| line.strip_prefix("device = \"")).unwrap();
        let device = u128::from_str_radix(device.trim_end_matches('"'), 16).unwrap();
        Own::bound(&self.psk, device.to_be_bytes())
    }

    /// What the only token in a text claims.
    fn claim(&self, text: &str, bound: bool) -> Claim {
        let all: Vec<_> = text::find(text).map(|found| found.body).collect();
        let [token] = all.as_slice() else { panic!("{} bodies in {text}", all.len()) };
        open_token(&self.server.public(), self.seed.public().id(), &self.own(bound), token).unwrap()
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

/// A port of the loopback, and what comes of the first connection to it.
fn serve<T: Send + 'static>(answer: impl FnOnce(TcpStream) -> T + Send + 'static) -> (u16, thread::JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (port, thread::spawn(move || answer(listener.accept().unwrap().0)))
}

/// A mail server that says that it can `offers`; all that it was told.
fn smtp(mut stream: TcpStream, offers: &str) -> String {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let mut heard = String::new();
    stream.write_all(b"220 mail.example\r\n").unwrap();
    while let Some(line) = lines.next() {
        heard += &format!("{line}\n");
        let answer = match line.split(' ').next().unwrap() {
            "EHLO" => format!("250-mail.example\r\n250 {offers}\r\n"),
            "AUTH" => "235 welcome\r\n".into(),
            "DATA" => {
                stream.write_all(b"354 go on\r\n").unwrap();
                lines.by_ref().take_while(|line| line != ".").for_each(|line| heard += &format!("{line}\n"));
                "250 taken\r\n".into()
            }
            "QUIT" => "221 bye\r\n".into(),
            _ => "250 fine\r\n".to_owned(),
        };
        if stream.write_all(answer.as_bytes()).is_err() {
            break;
        }
    }
    heard
}

/// A web server that gives this answer; the request's head and body.
fn http(mut stream: TcpStream, status: &str) -> (String, String) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head += &line;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    stream
        .write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes())
        .unwrap();
    (head, String::from_utf8(body).unwrap())
}

/// The text of a form's field or of a link's.
fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        let hex = |rest: &mut std::str::Bytes<'_>| char::from(rest.next().unwrap()).to_digit(16).unwrap();
        bytes.push(match byte {
            b'%' => u8::try_from(hex(&mut rest) * 16 + hex(&mut rest)).unwrap(),
            b'+' => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_token_says_what_was_asked_for_and_none_has_the_number_of_another() {
    for bound in [false, true] {
        let scene = Scene::new(bound);
        let mut counters = Vec::new();
        for (line, door, hold) in [
            ("token --allow 192.0.2.7", "ssh", 0),
            ("token home/vault --allow 192.0.2.7 --for 90m --shape words", "vault", 90),
            ("token /ssh --allow 192.0.2.7 --shape plain --for 30s", "ssh", 1),
        ] {
            let (code, stdout, stderr) = scene.run(line);
            assert!(code == 0 && stdout.lines().count() == 1 && stderr.contains("192.0.2.7"), "{stdout}{stderr}");
            let claim = scene.claim(&stdout, bound);
            assert_eq!((claim.address, claim.door, claim.hold), ([192, 0, 2, 7].into(), door_hash(door), hold));
            assert!(u64::from(claim.time).abs_diff(now()) < 60 && claim.counter.abs_diff(now() * 1000) < 60_000);
            counters.push(claim.counter);
        }
        assert!(counters.is_sorted_by(|a, b| a < b), "{counters:?}");
        assert!(scene.run("token home/vault --allow 192.0.2.7").2.contains("--shares 2/3"));
    }
}

#[test]
fn what_no_token_can_say_is_refused() {
    let scene = Scene::new(false);
    for (line, code, said) in [
        ("token home", 64, "--allow ADDRESS"),
        ("token home --allow observed", 64, "--allow ADDRESS"),
        ("token home --allow auto", 78, "STUN"),
        ("token home/web --allow 192.0.2.7", 64, "code of an authenticator"),
        ("codes home/web", 64, "code of an authenticator"),
        ("token home/none --allow 192.0.2.7", 66, "no door none"),
        ("token home --allow 192.0.2.7 --shares 2/3", 64, "--books a,b,c"),
        ("token home --allow 127.0.0.1", 64, "nobody can be let in"),
        ("token home --allow 192.0.2.7 --shares 4/3", 64, "any 2 of 3"),
        ("open home --via mail", 64, "--allow ADDRESS"),
        ("open home --via mail --allow 192.0.2.7 --dry-run", 64, "klopf token"),
        ("post --all home/ssh --allow 192.0.2.7", 64, "takes no shares"),
        ("post d home/vault --allow 192.0.2.7", 66, "no guestbook d"),
        ("post a,b! home --allow 192.0.2.7", 64, "names have"),
    ] {
        let (exit, stdout, stderr) = scene.run(line);
        assert!(exit == code && stdout.is_empty() && stderr.contains(said), "{line}: {exit}\n{stderr}");
    }
}

#[test]
fn shares_are_a_line_each_in_the_order_of_their_guestbooks() {
    let scene = Scene::new(true);
    for line in ["--shares 2/3", "--shares 2/2 --books x,y --shape words"] {
        let (code, stdout, stderr) = scene.run(&format!("token home/vault --allow 2001:db8::7 {line}"));
        assert_eq!(code, 0, "{stderr}");
        let books: Vec<&str> = stderr.lines().filter_map(|line| line.strip_suffix(':')).collect();
        assert_eq!(books.len(), stdout.lines().count(), "{stderr}{stdout}");
        let shares: Vec<_> = books
            .iter()
            .zip(stdout.lines())
            .map(|(book, line)| open_share(&scene.server.public(), book, &text::read(line).unwrap().body).unwrap())
            .collect();
        let token = combine(shares.get(..2).unwrap()).unwrap();
        let claim = open_token(&scene.server.public(), scene.seed.public().id(), &scene.own(true), &token).unwrap();
        assert_eq!(claim.address, "2001:db8::7".parse::<std::net::IpAddr>().unwrap());
    }
}

#[test]
fn a_mail_is_handed_in_with_a_token_that_reads_like_a_letter() {
    let scene = Scene::new(true);
    let (port, server) = serve(|stream| smtp(stream, "AUTH PLAIN"));
    fs::write(scene.folder.join("config/pass word"), "hunter2\nno more\n").unwrap();
    #[cfg(unix)]
    fs::set_permissions(scene.folder.join("config/pass word"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    scene.settings(&format!(
        "[smtp]\nserver = \"smtp://ada%40example.org@127.0.0.1:{port}\"\ninsecure = true\npassword-file = \"pass word\"\n\
         from = \"ada@example.org\"\n"
    ));
    let (code, stdout, stderr) = scene.run("open home --via mail --allow 192.0.2.7 --for 1h --shape plain");
    assert!(code == 0 && stdout.is_empty() && stderr.contains("Sent to knock@example.org"), "{stdout}{stderr}");
    let heard = server.join().unwrap();
    // "\0ada@example.org\0hunter2" in base64.
    assert!(heard.contains("AUTH PLAIN AGFkYUBleGFtcGxlLm9yZwBodW50ZXIy\n"), "{heard}");
    for said in ["MAIL FROM:<ada@example.org>", "RCPT TO:<knock@example.org>", "\nSubject: ", "@example.org>\n"] {
        assert!(heard.contains(said), "{said}: {heard}");
    }
    let mail = heard.split_once("DATA\n").unwrap().1.replace("=\n", "");
    assert!(!mail.to_lowercase().contains("klopf"), "{mail}");
    assert_eq!(scene.claim(&mail, true).hold, 60);
}

#[test]
fn no_password_and_no_mail_go_to_a_server_without_starttls() {
    let scene = Scene::new(false);
    let (port, server) = serve(|stream| smtp(stream, "AUTH PLAIN"));
    fs::write(scene.folder.join("config/password"), "hunter2").unwrap();
    #[cfg(unix)]
    fs::set_permissions(scene.folder.join("config/password"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    scene.settings(&format!(
        "[smtp]\nserver = \"smtp://ada@127.0.0.1:{port}\"\npassword-file = \"password\"\nfrom = \"ada@example.org\"\n"
    ));
    let (code, link, stderr) = scene.run("open home --via mail --allow 192.0.2.7");
    assert!(code == 69 && stderr.contains("STARTTLS") && !stderr.contains("hunter2"), "{stderr}");
    assert!(link.starts_with("mailto:knock@example.org?"), "{link}");
    let heard = server.join().unwrap();
    assert!(!heard.contains("AUTH") && !heard.contains("DATA"), "{heard}");
}

#[cfg(unix)]
#[test]
fn a_password_that_others_may_read_is_not_used() {
    let scene = Scene::new(false);
    fs::write(scene.folder.join("config/password"), "hunter2").unwrap();
    fs::set_permissions(scene.folder.join("config/password"), std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .unwrap();
    scene.settings(
        "[smtp]\nserver = \"smtps://ada@127.0.0.1:9\"\npassword-file = \"password\"\nfrom = \"a@b.example\"\n",
    );
    let (code, _, stderr) = scene.run("open home --via mail --allow 192.0.2.7");
    assert!(code == 77 && stderr.contains("chmod 600") && !stderr.contains("hunter2"), "{stderr}");
}

#[test]
fn without_a_mail_server_there_is_a_link() {
    let scene = Scene::new(false);
    let (code, stdout, stderr) = scene.run("open home --via mail --allow 192.0.2.7 --to a+b@example.org --shape plain");
    assert!(code == 0 && stderr.contains("[smtp]"), "{stderr}");
    let (head, body) = stdout.trim_end().split_once("&body=").unwrap();
    assert!(head.starts_with("mailto:a%2Bb@example.org?subject=") && !body.contains(' '), "{stdout}");
    assert_eq!(scene.claim(&decoded(body), false).door, door_hash("ssh"));
    // Nobody says where to: no link.
    let profile = scene.folder.join("config/profiles/home.toml");
    let text = fs::read_to_string(&profile).unwrap().replace("mail = ", "# mail = ");
    fs::write(profile, text).unwrap();
    let (code, _, stderr) = scene.run("open home --via mail --allow 192.0.2.7");
    assert!(code == 64 && stderr.contains("--to MAIL"), "{stderr}");
}

#[test]
fn a_mail_can_be_waited_for() {
    let scene = Scene::new(false);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (code, stdout, _) = scene.run(&format!("open home --via mail --allow 192.0.2.7 --wait tcp/{port}"));
    assert!(code == 0 && stdout.contains(&format!("127.0.0.1 answers at tcp/{port}")), "{stdout}");
    drop(listener);
    // Nobody listens there, and nobody else gets it.
    let taken = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    taken.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let port = taken.local_addr().unwrap().as_socket().unwrap().port();
    let line = format!("open home --via mail --allow 192.0.2.7 --wait tcp/{port} --timeout 1s");
    let (code, _, stderr) = scene.run(&line);
    assert!(code == 69 && stderr.contains("still be under way"), "{stderr}");
}

#[test]
fn an_entry_is_posted_as_the_guestbook_wants_it() {
    let scene = Scene::new(false);
    let (form, form_heard) = serve(|stream| http(stream, "303 See Other"));
    let (json, json_heard) = serve(|stream| http(stream, "201 Created"));
    scene.settings(&format!(
        "[guestbook.a]\nurl = \"http://127.0.0.1:{form}/sign?x=1\"\ninsecure = true\n\
         form = {{ author = \"Ada & Bob\", text = \"Hi! {{text}}\" }}\n\
         [guestbook.b]\nurl = \"http://127.0.0.1:{json}/new\"\ninsecure = true\n\
         json = '{{\"entry\": {{\"text\": \"\\\"{{text}}\\\"\", \"tags\": [1, null]}}}}'\n\
         headers = {{ Authorization = \"Bearer hunter2\" }}\n"
    ));
    #[cfg(unix)]
    {
        let (code, _, stderr) = scene.run("post a --allow 192.0.2.7");
        assert!(code == 77 && !stderr.contains("hunter2"), "{stderr}");
        let settings = scene.folder.join("config/client.toml");
        fs::set_permissions(settings, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    let (code, stdout, stderr) = scene.run("post a home/ssh --allow 192.0.2.7 --shape words");
    assert!(code == 0 && stdout.is_empty() && stderr.contains("Posted to the guestbook a."), "{stdout}{stderr}");
    let (head, body) = form_heard.join().unwrap();
    assert!(head.starts_with("POST /sign?x=1 ") && head.contains("application/x-www-form-urlencoded"), "{head}");
    assert!(!head.to_lowercase().contains("klopf") && !head.contains("ureq"), "{head}");
    let text = body.split('&').find_map(|field| field.strip_prefix("text=")).unwrap();
    assert!(body.contains("author=Ada+%26+Bob") && decoded(text).starts_with("Hi! "), "{body}");
    assert_eq!(scene.claim(&decoded(text), false).door, door_hash("ssh"));

    assert_eq!(scene.run("post b --allow 192.0.2.7 --shape plain").0, 0);
    let (head, body) = json_heard.join().unwrap();
    assert!(head.to_lowercase().contains("authorization: bearer hunter2"), "{head}");
    let value: serde_json::Value = serde_json::from_str(&body).unwrap();
    let text = value["entry"]["text"].as_str().unwrap();
    assert!(text.starts_with('"') && value["entry"]["tags"][1].is_null(), "{body}");
    assert_eq!(scene.claim(text, false).address, std::net::IpAddr::from([192, 0, 2, 7]));
}

#[test]
fn each_guestbook_gets_its_share_and_what_cannot_be_posted_is_printed() {
    let scene = Scene::new(false);
    let (a, heard) = serve(|stream| http(stream, "200 OK"));
    let (b, refused) = serve(|stream| http(stream, "403 Forbidden"));
    let book = |name: &str, port| {
        format!(
            "[guestbook.{name}]\nurl = \"http://127.0.0.1:{port}/\"\ninsecure = true\nform = {{ text = \"{{text}}\" }}\n"
        )
    };
    scene.settings(&(book("a", a) + &book("b", b)));
    let (code, stdout, stderr) = scene.run("post --all home/vault --allow 192.0.2.7 --shape plain");
    assert!(code == 69 && stderr.contains("HTTP 403") && stderr.contains("[guestbook.c]"), "{stderr}");
    refused.join().unwrap();
    let (_, body) = heard.join().unwrap();
    let posted = decoded(body.strip_prefix("text=").unwrap());
    let texts: Vec<&str> = stdout.lines().collect();
    let [for_b, for_c] = texts.as_slice() else { panic!("{stdout}") };
    let share = |book, text: &str| open_share(&scene.server.public(), book, &text::read(text).unwrap().body).unwrap();
    let (a, b, c) = (share("a", &posted), share("b", for_b), share("c", for_c));
    for two in [[a.clone(), b.clone()], [b, c.clone()], [a, c]] {
        let token = combine(&two).unwrap();
        let id = scene.seed.public().id();
        assert!(open_token(&scene.server.public(), id, &scene.own(false), &token).is_some());
    }
}

#[test]
fn a_sheet_of_codes_opens_one_door_by_codes_that_can_be_typed() {
    let scene = Scene::new(true);
    let (code, sheet, stderr) = scene.run("codes home/ssh --count 3");
    assert_eq!(code, 0, "{stderr}");
    assert!(sheet.contains("knock@example.org") && sheet.lines().all(|line| line.chars().count() <= 80), "{sheet}");
    let number: u16 = sheet.split([' ', ',']).nth(1).unwrap().parse().unwrap();
    assert!(sheet.contains(&format!("klopf revoke home --sheet {number}")), "{sheet}");
    let codes: Vec<String> = sheet
        .split("\n\n")
        .skip(1)
        .take(3)
        .map(|code| code.split_whitespace().skip(1).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(scene.run(&format!("codes home/ssh --count 3 --sheet {number}")).1, sheet);
    let (server, id) = (scene.server.public(), scene.seed.public().id());
    for (index, words) in codes.iter().enumerate() {
        let body = text::read(words).unwrap().body;
        let place = read_code(&server, &body).unwrap().place;
        assert_eq!((place.sheet, usize::from(place.index)), (number, index));
        assert!(is_code_of(&server, id, &scene.own(true), door_hash("ssh"), &body));
    }
    let typed = codes.first().unwrap().to_uppercase().replace(' ', "_");
    let (code, line, stderr) = scene.run(&format!("open --code {typed} --allow 2001:db8::7"));
    assert!(code == 0 && stderr.contains("The words are right"), "{stderr}");
    let found: Vec<_> = text::find(&line).collect();
    let [found] = found.as_slice() else { panic!("{line}") };
    assert_eq!(found.address, Some("2001:db8::7".parse().unwrap()));
    let (code, link, _) = scene.run(&format!("open home --code {typed} --allow 192.0.2.7 --via mail"));
    assert!(
        code == 0 && link.starts_with("mailto:knock@example.org?") && link.trim_end().ends_with("192.0.2.7"),
        "{link}"
    );

    let mut words: Vec<&str> = codes.first().unwrap().split(' ').collect();
    for (at, word, said) in [(0, "klopf", "word 1 (klopf)"), (3, "", "these are 8"), (8, "", "these are 8")] {
        let right = std::mem::replace(words.get_mut(at).unwrap(), word);
        let (code, stdout, stderr) = scene.run(&format!("open --code {} --allow 192.0.2.7", words.join("_")));
        assert!(code == 65 && stdout.is_empty() && stderr.contains(said), "{stderr}");
        *words.get_mut(at).unwrap() = right;
    }
    let last = words.get_mut(8).unwrap();
    *last = if *last == "zoo" { "able" } else { "zoo" };
    let (code, _, stderr) = scene.run(&format!("open --code {} --allow 192.0.2.7", words.join("_")));
    assert!(code == 65 && stderr.contains("no code"), "{stderr}");
    assert_eq!(scene.run("run home --code able_zoo -- true").0, 64);
}

#[test]
fn a_code_needs_no_profile() {
    let scene = Scene::new(false);
    let sheet = scene.run("codes home --count 1").1;
    let words: Vec<&str> = sheet.split("\n\n").nth(1).unwrap().split_whitespace().skip(1).collect();
    fs::remove_dir_all(scene.folder.join("config")).unwrap();
    let line = format!("open --code {} --allow 192.0.2.7", words.join("_"));
    assert_eq!(scene.run(&line).1, format!("{} 192.0.2.7\n", words.join(" ")));
    let (code, link, _) = scene.run(&format!("{line} --via mail --to knock@example.org"));
    assert!(code == 0 && link.starts_with("mailto:"), "{link}");
    let (code, _, stderr) = scene.run(&format!("{line} --via mail"));
    assert!(code == 64 && stderr.contains("--to MAIL"), "{stderr}");
}

#[cfg(unix)]
#[test]
fn a_mail_is_delivered_from_standard_input() {
    let scene = Scene::new(false);
    let maildir = scene.folder.join("spool");
    ["tmp", "new"].into_iter().for_each(|folder| fs::create_dir_all(maildir.join(folder)).unwrap());
    let deliver = |maildir: &Path| {
        let mut klopf = scene.klopf();
        klopf.arg("deliver").arg("--maildir").arg(maildir).write_stdin("Subject: x\n\ny\n");
        told(klopf.output().unwrap())
    };
    assert_eq!(deliver(&maildir), (0, String::new(), String::new()));
    assert_eq!(fs::read_dir(maildir.join("new")).unwrap().count(), 1);
    let (code, stdout, _) = deliver(&scene.folder.join("none"));
    assert_eq!((code, stdout.as_str()), (75, ""));
}
