use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use clap::Parser;
use klopf_config::native::Config;
use klopf_control::KeyStatus;
use klopf_files::{Files, key_path};
use klopf_spa::{Invitation, InvitedKey, PacketPort, Public, Seed, ServerKey, Shape};
use zeroize::Zeroizing;

use super::draft::{Chance, Draft};
use super::reload::Answer;
use super::{keys, options, sheet, tell, uninvite, write};
use crate::daemon::Place;
use crate::failure::Failure;

/// 2026-11-23T00:00:00Z.
const NOW: u64 = 1_795_392_000;
const DOORS: &str = "\
[door.ssh]
guard = [\"tcp/22\"]
keys = [\"*\"]

[door.web]
guard = [\"tcp/443\"]
second-factor = \"totp\"
";

/// A folder with a configuration for each test, which goes with it.
struct Host(PathBuf);

impl Host {
    fn new(test: &str, config: &str) -> Self {
        let path = std::env::temp_dir().join(format!("klopf-invite-{}-{test}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let host = Self(path);
        fs::write(host.main(), config).unwrap();
        host
    }

    fn main(&self) -> PathBuf {
        self.0.join("klopf.toml")
    }

    fn place(&self) -> Place {
        Place {
            config: self.main(),
            socket: self.0.join("no.sock"),
            runtime_dir: self.0.clone(),
            state_dir: self.0.clone(),
        }
    }

    fn draft(&self, line: &str) -> Result<Draft, Failure> {
        let words = ["invite"].into_iter().chain(line.split(' ')).map(|word| word.replace('+', " "));
        let options = Line::try_parse_from(words).unwrap().options;
        let chance = Chance {
            seed: Zeroizing::new([1; 32]),
            psk: Zeroizing::new([2; 32]),
            server: Zeroizing::new([3; 32]),
            totp: Zeroizing::new([4; 20]),
        };
        Draft::new(&options, &self.main(), vec!["host.example".into()], NOW, &chance)
    }

    /// Invites, and leaves it so.
    fn invite(&self, line: &str) -> Draft {
        let draft = self.draft(line).unwrap_or_else(|failure| panic!("{failure:?}"));
        write(&draft, &self.main()).unwrap().keep();
        draft
    }

    fn config(&self) -> Config {
        Files::read(&self.main()).unwrap().parse().unwrap().config
    }

    /// Every file and folder but klopf.toml, with its rights.
    fn left(&self) -> Vec<(String, u32)> {
        let mut left = Vec::new();
        let mut folders = vec![self.0.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.path() != self.main()) {
                let data = fs::symlink_metadata(entry.path()).unwrap();
                if data.is_dir() {
                    folders.push(entry.path());
                }
                let name = entry.path().strip_prefix(&self.0).unwrap().display().to_string();
                left.push((name, data.permissions().mode() & 0o777));
            }
        }
        left.sort();
        left
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: options::Options,
}

#[test]
fn what_is_invited_may_open_what_the_line_says() {
    let host = Host::new("cycle", DOORS);
    let draft = host.invite("laptop --door ssh");
    let modes = [("keys.d", 0o700), ("keys.d/laptop.toml", 0o600), ("server.key", 0o600)];
    assert_eq!(host.left(), modes.map(|(name, mode)| (name.to_owned(), mode)));

    let read = Invitation::parse(&draft.invitation.text()).unwrap();
    let config = host.config();
    let key = &config.keys[0];
    let InvitedKey::Made(seed) = &read.key else { panic!("no private key") };
    assert_eq!((seed.public(), &read.psk, &read.name), (key.public, &key.psk, &key.name));
    assert_eq!((read.until, key.join_before, key.once), (Some(NOW + 86400), Some(NOW + 86400), true));
    let opens: Vec<_> =
        config.doors.iter().filter(|door| Config::may_open(key, door)).map(|door| &*door.name).collect();
    assert_eq!((opens, read.doors.len(), &*read.doors[0], read.code_doors.len()), (vec!["ssh"], 1, "ssh", 0));
    let server = klopf_files::server_key(&host.main()).unwrap().unwrap();
    assert_eq!((server.public(), server), (read.server, ServerKey::new([3; 32])));
    assert_eq!((read.way.port, read.way.shape), (PacketPort::Fixed(read.server.port()), Shape::None));
}

#[test]
fn every_term_is_in_the_file_and_in_the_line() {
    let host = Host::new("terms", &format!("{DOORS}[packet]\nport = \"hop\"\n"));
    let public = Seed::new([9; 32]).public();
    let line = format!(
        "guest -d ssh,web -d web --totp --public {} --valid never --reusable --expires 2027-01-01 --max-uses 7 \
         --max-open-for 1h --network 192.0.2.0/24,2001:db8::/32 --hours mon-fri+08:00-18:00 --hours sat+10:00-12:00 --no-clock",
        public.text()
    );
    let draft = host.invite(&line);
    let read = Invitation::parse(&draft.invitation.text()).unwrap();
    assert_eq!(read.key, InvitedKey::Own(public.id()));
    assert_eq!((read.until, read.no_clock, read.way.port), (Some(1_798_761_600), true, PacketPort::Hop));
    let names = |doors: &[klopf_spa::Name]| doors.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        (names(&read.doors), names(&read.code_doors)),
        (vec!["ssh".into(), "web".into()], vec!["web".to_owned()])
    );
    let key = &host.config().keys[0];
    assert_eq!((key.public, key.join_before, key.once, key.expires), (public, None, false, Some(1_798_761_600)));
    assert_eq!((key.max_uses, key.max_open_for.unwrap().as_secs(), key.no_clock), (Some(7), 3600, true));
    assert_eq!((key.networks.len(), key.hours.len(), key.totp.as_ref().unwrap().bytes()), (2, 2, &[4; 20][..]));
    assert!(draft.otpauth.unwrap().starts_with("otpauth://totp/Klopf%20host.example:guest?secret=AQCAI"));
    let shown = keys::shown(&host.config(), &[], NOW);
    for term in ["expires 2027-01-01 00:00 UTC", "mon-fri 08:00-18:00", "any device", "7 uses", "one-time codes"] {
        assert!(shown.contains(term), "{term}: {shown}");
    }
}

#[test]
fn the_line_says_what_tokens_need() {
    let config =
        format!(
            "{DOORS}[door.vault]\nguard = [\"tcp/23\"]\nguestbooks = [\"a\", \"b\", \"c\"]\nquorum = 2\n\n\
         [mail.work]\nmaildir = \"/var/spool/klopf\"\n"
        ) + &["a", "b", "c"].map(|book| format!("[guestbook.{book}]\nurl = \"https://{book}.example/\"\n")).concat();
    let host = Host::new("tokens", &config);
    let read = |line: &str| Invitation::parse(&host.draft(line).unwrap().invitation.text()).unwrap();
    let laptop = read("laptop --door ssh,vault --mail knock@example.org");
    assert_eq!((laptop.bound, laptop.mail.as_deref()), (true, Some("knock@example.org")));
    let [vault] = laptop.shared_doors.as_slice() else { panic!("{:?}", laptop.shared_doors) };
    let books: Vec<&str> = vault.books().iter().map(|book| &**book).collect();
    assert_eq!((&**vault.door(), vault.k(), books), ("vault", 2, vec!["a", "b", "c"]));
    let plain = read("tablet --door ssh --reusable");
    assert!(!plain.bound && plain.mail.is_none() && plain.shared_doors.is_empty());
}

#[test]
fn the_line_says_on_which_ports_a_knock_is_spelled() {
    let encoded =
        "guard = [\"tcp/23\"]\nkeys = [\"*\"]\nencoded = { ports = \"40000-40255\", fields = [\"addr\", \"for\"] }\n";
    let host = Host::new("encoded", &format!("{DOORS}[door.old]\nvia = [\"encoded\"]\n{encoded}"));
    let draft = host.draft("laptop --door ssh,old").unwrap();
    let read = Invitation::parse(&draft.invitation.text()).unwrap();
    let [old] = read.encoded_doors.as_slice() else { panic!("{:?}", read.encoded_doors) };
    assert_eq!((&*old.door, old.template.span.first(), old.template.length()), ("old", 40_000, 18));
    let told = tell::lines(&draft, true, &Answer::NoDaemon).join("\n");
    assert!(
        told.contains("No sealed packet opens old, but hits on ports do") && told.contains("klopf ssh-config laptop "),
        "{told}"
    );
    let told = tell::lines(&host.draft("tablet --door old --reusable").unwrap(), true, &Answer::NoDaemon).join("\n");
    assert!(told.contains("  klopf knock-encoded tablet\n"), "{told}");
    // Who may not open it so is not told.
    let host = Host::new("not-encoded", &format!("{DOORS}[door.old]\nvia = [\"packet\"]\n{encoded}"));
    assert!(host.draft("laptop --door old").unwrap().invitation.encoded_doors.is_empty());
}

/// Doors that no packet opens, and one that opens by nothing that is here.
const LETTERS: &str = "\
[door.box]
guard = [\"tcp/22\"]
keys = [\"*\"]
via = [\"mail\"]

[door.book]
guard = [\"tcp/24\"]
keys = [\"*\"]
via = [\"guestbook\"]

[door.both]
guard = [\"tcp/25\"]
keys = [\"*\"]

[mail.work]
maildir = \"/var/spool/klopf\"
";
const BOOK: &str = "[guestbook.a]\nurl = \"https://a.example/\"\n";

#[test]
fn who_is_invited_to_a_door_that_lacks_its_letters_is_told_what_is_missing() {
    for (config, line, why) in [
        (LETTERS.to_owned(), "a -d book --reusable", "there is no [guestbook.NAME]: "),
        (
            LETTERS.replace("[mail.work]\nmaildir = \"/var/spool/klopf\"\n", BOOK),
            "a -d box --reusable",
            "there is no [mail.NAME]: ",
        ),
        (
            LETTERS.replace("[\"mail\"]", "[\"mail\"]\nsecond-factor = \"totp\""),
            "a -d box --totp",
            "asks for a code, which no token has",
        ),
        (LETTERS.replace("[\"mail\"]", "[\"sequence\"]\nsequence = [7, 5, 9]"), "a -d box", "its `via` leaves out"),
    ] {
        let host = Host::new("lacks", &config);
        let failure = host.draft(line).err().unwrap_or_else(|| panic!("{line}"));
        let said = failure.to_string();
        assert!(failure.code == 78 && said.contains(why) && said.contains("klopf.toml, line"), "{line}: {said}");
    }
}

#[test]
fn a_sheet_is_revoked_whatever_else_is_broken_and_only_in_the_file_of_a_key() {
    let host = Host::new("sheet", DOORS);
    host.invite("laptop --door ssh");
    let path = key_path(&host.main(), &klopf_spa::Name::new("laptop").unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let before = fs::read_to_string(&path).unwrap();
    for sheet in [17, 2040, 17] {
        sheet::written_down("laptop", sheet, &host.place()).unwrap();
    }
    assert_eq!(host.config().keys[0].revoked_sheets, [17, 2040]);
    let after = fs::read_to_string(&path).unwrap();
    assert!(before.lines().all(|line| after.lines().any(|other| other == line)), "{after}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);

    fs::write(host.main(), "[key.old]\npublic = \n[door.\n").unwrap();
    fs::write(path.with_file_name("other.toml"), [0xff]).unwrap();
    sheet::written_down("laptop", 18, &host.place()).unwrap();
    assert!(fs::read_to_string(&path).unwrap().contains("[18, 2040, 17]"));
    let failure = |name| sheet::written_down(name, 18, &host.place()).unwrap_err();
    let there = failure("old");
    assert!(there.code == 78 && there.to_string().contains("line 1") && there.to_string().contains("[18]"), "{there}");
    assert_eq!((failure("none").code, failure("../laptop").code, failure("192.0.2.7/24").code), (66, 64, 64));
    fs::remove_file(host.main()).unwrap();
    sheet::written_down("laptop", 19, &host.place()).unwrap();
}

#[test]
fn keys_are_listed_with_what_klopfd_knows_of_them() {
    let host = Host::new("keys", DOORS);
    host.invite("laptop -d ssh --max-uses 5");
    let state = |uses, joined, now| {
        let known = [KeyStatus { name: "laptop".into(), uses, joined }];
        keys::shown(&host.config(), &known, now).lines().skip(1).collect::<Vec<_>>().join("|")
    };
    let waits = "laptop  ssh    not yet  to be joined before 2026-11-24 00:00 UTC,|";
    assert!(state(0, false, NOW).starts_with(waits), "{}", state(0, false, NOW));
    assert!(state(0, false, NOW + 86400).contains("never: too late  was to be joined before"));
    assert_eq!(state(1, true, NOW), "laptop  ssh    once  one device, 4 of 5 uses left|");
    assert_eq!(state(7, true, NOW + 86400), "laptop  ssh    7 times  one device, 0 of 5 uses left|");
}

#[test]
fn what_cannot_be_is_refused_with_what_to_do_and_leaves_nothing() {
    let named = "[door.shell]\nguard = [\"tcp/23\"]\n# no phone\nkeys = [\"b\"]\n[door.hits]\nguard = [\"tcp/24\"]\n\
                 sequence = [9, 5, 7]\nvia = [\"sequence\"]\n";
    let public = Seed::new([8; 32]).public().text();
    let key = format!("[key.b]\npublic = \"{public}\"\npsk = \"{}\"\n", *klopf_spa::Psk::new([8; 32]).text());
    let host = Host::new("refused", &format!("{DOORS}{named}{key}"));
    for (line, code, why, help) in [
        ("a -d shel", 64, "there is no door `shel`", "did you mean `shell`?"),
        ("a -d shell", 78, "does not let key a open it: ", "write `keys = [\"b\", \"a\"]` there"),
        ("a -d shell", 78, "klopf.toml, line 11", ""),
        ("a -d hits", 78, "its `via` leaves out \"packet\": ", "add \"packet\" there"),
        ("a -d web", 64, "asks for a second factor", "add --totp"),
        ("b -d ssh", 73, "there is a key b already: ", "remove the section [key.b]"),
        ("a -d ssh --hours noon", 64, "`noon` is no time of the week", "08:00-18:00"),
        ("a -d ssh --network host", 64, "host", "192.0.2.0/24"),
        ("a -d ssh --max-open-for 31d", 64, "31d", ""),
        ("a -d ssh --expires 2027-01-01T00:00", 64, "", "2027-01-01T00:00"),
        ("a -d ssh --expires 2026-01-01", 64, "would have expired already", "later date"),
        ("a -d ssh --public -private", 64, "follows --public is no key", "klopf keygen"),
        (&format!("a -d ssh --public {public}"), 64, "keys `b` and `a` are one and the same", "public"),
    ] {
        let failure = host.draft(line).err().unwrap_or_else(|| panic!("{line}"));
        let said = failure.to_string();
        assert!(failure.code == code && said.contains(why) && said.contains(help), "{line}: {failure:?}");
        assert_eq!(host.left(), [], "{line}");
    }
    let broken = Host::new("broken", &format!("{DOORS}colour = \"red\"\n"));
    let failure = broken.draft("a -d ssh").err().unwrap();
    assert!(failure.code == 78 && failure.to_string().contains("klopf.toml:8:1"), "{failure:?}");
}

#[test]
fn a_key_is_replaced_only_when_told() {
    let host = Host::new("replace", DOORS);
    host.invite("a -d ssh --reusable");
    let before = fs::read(host.0.join("keys.d/a.toml")).unwrap();
    let failure = host.draft("a -d ssh").err().unwrap();
    assert!(failure.code == 73 && failure.to_string().contains("--replace"));
    let draft = host.draft("a -d ssh --replace").unwrap_or_else(|failure| panic!("{failure:?}"));
    assert!(draft.server_key.is_none(), "the server's key is made once");
    // What fails later puts the old one back.
    drop(write(&draft, &host.main()).unwrap());
    assert_eq!(fs::read(host.0.join("keys.d/a.toml")).unwrap(), before);
    write(&draft, &host.main()).unwrap().keep();
    assert!(host.config().keys[0].once);
    assert_eq!(host.left().len(), 3);
}

#[test]
fn what_cannot_be_written_leaves_nothing() {
    let host = Host::new("unwritten", DOORS);
    let draft = host.draft("a -d ssh").unwrap_or_else(|failure| panic!("{failure:?}"));
    drop(write(&draft, &host.main()).unwrap());
    assert_eq!(host.left(), [], "taken back");

    // Somebody else was faster.
    let key = host.0.join("server.key");
    fs::write(&key, "theirs").unwrap();
    assert_eq!(write(&draft, &host.main()).err().unwrap().code, 73);
    assert_eq!((fs::read(&key).unwrap(), host.left().len()), (b"theirs".to_vec(), 1));
    fs::remove_file(&key).unwrap();

    // No folder for keys can be made, and the server's key is made before.
    std::os::unix::fs::symlink("/no/such/folder", host.0.join("keys.d")).unwrap();
    assert_eq!(write(&draft, &host.main()).err().unwrap().code, 73);
    assert_eq!(host.left().len(), 1);
    fs::remove_file(host.0.join("keys.d")).unwrap();

    // A folder that is only to be read; for root it is not.
    fs::set_permissions(&host.0, fs::Permissions::from_mode(0o500)).unwrap();
    if let Err(failure) = write(&draft, &host.main()) {
        assert!(failure.code == 77 && failure.to_string().contains("sudo"));
    }
    fs::set_permissions(&host.0, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(host.left(), []);
}

#[test]
fn a_server_key_that_is_none_is_not_written_over() {
    let host = Host::new("server", DOORS);
    fs::write(host.0.join("server.key"), "abc\n").unwrap();
    let failure = host.draft("a -d ssh").err().unwrap();
    assert!(failure.code == 78 && failure.to_string().contains("copy"));
    assert_eq!(fs::read(host.0.join("server.key")).unwrap(), b"abc\n");
}

#[test]
fn a_key_is_taken_back_whatever_else_is_broken() {
    let host = Host::new("broken", DOORS);
    host.invite("laptop -d ssh");
    let name = options::name("laptop").unwrap();
    let laptop = key_path(&host.main(), &name);
    fs::write(laptop.with_file_name("other.toml"), "public = 5\n").unwrap();
    fs::create_dir(laptop.with_file_name("folder.toml")).unwrap();
    let done = uninvite::take_back(&name, &host.place()).unwrap();
    assert!(done.contains("is removed. But") && done.contains("other.toml"), "{done}");
    assert!(!laptop.exists());
}

#[test]
fn a_key_that_is_taken_back_opens_nothing() {
    let host = Host::new("uninvite", DOORS);
    host.invite("laptop -d ssh");
    let name = options::name("laptop").unwrap();
    // A door that names it would be left with a name that leads nowhere: the key ends, and its file stays.
    fs::write(host.main(), DOORS.replace("\"*\"", "\"laptop\"")).unwrap();
    let done = uninvite::take_back(&name, &host.place()).unwrap();
    assert!(done.contains("has expired") && done.contains("klopf.toml:3. "), "{done}");
    assert_eq!(host.config().keys[0].expires, Some(1));
    fs::write(host.main(), DOORS).unwrap();
    assert!(uninvite::take_back(&name, &host.place()).unwrap().contains("is removed"));
    assert_eq!(host.config().keys, []);
    assert_eq!(uninvite::take_back(&name, &host.place()).unwrap_err().code, 66);

    let public: Public = Seed::new([1; 32]).public();
    let key =
        format!("[key.laptop]\npublic = \"{}\"\npsk = \"{}\"\n\n", public.text(), *klopf_spa::Psk::new([1; 32]).text());
    fs::write(host.main(), format!("{key}{DOORS}")).unwrap();
    let failure = uninvite::take_back(&name, &host.place()).unwrap_err();
    assert!(failure.code == 78 && failure.to_string().contains("lines 1 to 3"));
}

#[test]
fn who_has_doors_without_packets_is_told_how_to_open_those() {
    let door = |name: &str, via: &str| format!("[door.{name}]\nguard = [\"tcp/22\"]\nkeys = [\"*\"]\nvia = [{via}]\n");
    let config = [
        "[mail.box]\nmaildir = \"/mail\"\n[guestbook.a]\nurl = \"https://a.example/\"\n".to_owned(),
        door("letter", "\"mail\""),
        door("book", "\"guestbook\""),
        door("all", "\"mail\", \"packet\""),
    ];
    let host = Host::new("letters", &config.concat());
    let told = |line: &str| tell::lines(&host.draft(line).unwrap(), true, &Answer::NoDaemon).join("\n");
    let letter = told("ada --door letter --reusable");
    assert!(letter.contains("klopf open ada/letter --via mail") && !letter.contains("UDP"), "{letter}");
    let book = told("ada --door book --reusable");
    assert!(book.contains("klopf token ada/book --allow ADDRESS") && !book.contains("ssh-config"), "{book}");
    let all = told("ada --door book --door all");
    assert!(all.contains("klopf ssh-config ada/all >>") && all.contains("UDP port"), "{all}");
    let first = told("ada --door book,all --mail knock@example.org");
    assert!(first.contains("No packet opens book:") && !first.contains("--mail tells it"), "{first}");
    assert!(letter.contains("--mail tells it") && !book.contains("--mail tells it"), "{letter}\n{book}");
    // What a door takes, and what this host has for it, are two things.
    let either = door("either", "\"mail\", \"guestbook\"") + "[guestbook.a]\nurl = \"https://a.example/\"\n";
    let bookish = Host::new("bookish", &either).draft("ada --door either --reusable").unwrap();
    let either = tell::lines(&bookish, true, &Answer::NoDaemon).join("\n");
    assert!(either.contains("klopf token ada/either") && !either.contains("mail"), "{either}");
    // The list of keys has the doors of each, whatever way leads through them.
    host.invite("ada --door letter --door book --reusable");
    let shown = keys::shown(&host.config(), &[], NOW);
    assert!(shown.contains("ada  letter book "), "{shown}");
    let failure = host.draft("bob --door letter").err().unwrap();
    assert_eq!(failure.code, 64);
}
