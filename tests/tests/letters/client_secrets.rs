//! What a person's device keeps to itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use klopf_tests::{Case, Device, Dovecot, Elsewhere, Guestbook, Need, Postfix, Result, Stage, ensure, said};

use crate::client::Guest;
use crate::client_mails::{smtp, with_servers};
use crate::play::{DOOR, book, needs};

const PASSPHRASE: &str = "correct horse battery staple";
const HEADER: &str = "Bearer c2VjcmV0IG9mIHRoZSBib29r";

pub(crate) fn cases() -> Vec<Case> {
    let traced = needs(&[&Dovecot::NEEDS, &Postfix::NEEDS, &[Need::Program("strace", "strace")]]);
    vec![
        Case::new("what_fails_shows_no_secret", &needs(&[&Guestbook::NEEDS]), failing),
        Case::new("a_broken_client_toml_shows_no_secret", &needs(&[]), broken),
        Case::new("no_program_is_started_for_a_letter", &traced, children),
        Case::new("what_a_device_keeps_is_for_its_owner_alone", &needs(&[&Guestbook::NEEDS]), files),
    ]
}

/// Both ways out, with passwords.
fn configure(device: &Device<'_>, elsewhere: &Elsewhere) -> Result {
    smtp(device, elsewhere, "smtps://ada@mail.test", Dovecot::PASSWORD)?;
    let (path, ca) = (device.path(".config/klopf/client.toml"), &elsewhere.authority.ca);
    let text = format!(
        "{}[guestbook.book]\nurl = {:?}\nform = {{ name = \"Ada\", message = \"{{text}}\" }}\n\
         headers = {{ Authorization = {HEADER:?} }}\nca-file = {ca:?}\n",
        fs::read_to_string(path)?,
        Guestbook::URL
    );
    device.configure("client.toml", &text)?;
    device.configure("passphrase", &format!("{PASSPHRASE}\n")).map(drop)
}

/// All that nobody else may know.
fn secrets(device: &Device<'_>) -> Result<Vec<String>> {
    let profile = fs::read_to_string(device.path(".config/klopf/profiles/laptop.toml"))?;
    let value = |name: &str| -> Result<String> {
        let line = profile.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='));
        Ok(line.ok_or_else(|| format!("the profile has no {name}"))?.trim().trim_matches('"').to_owned())
    };
    let mut all = ["private", "psk", "device", "server"].into_iter().map(value).collect::<Result<Vec<_>>>()?;
    all.extend([Dovecot::PASSWORD, PASSPHRASE, HEADER].map(str::to_owned));
    ensure!(all.iter().all(|secret| secret.len() >= 16), "these are no secrets: {all:?}");
    Ok(all)
}

/// Makes sure that none of the secrets stands in a text.
fn hides(secrets: &[String], what: &str, text: &str) -> Result {
    let shown: Vec<&String> = secrets.iter().filter(|secret| text.contains(secret.as_str())).collect();
    ensure!(shown.is_empty(), "{what} shows {shown:?}:\n{text}");
    Ok(())
}

/// All ways to make something of the profile.
const MAKES: [&[&str]; 7] = [
    &["token", "laptop/ssh", "--allow", "10.99.0.2"],
    &["token", "laptop/ssh", "--allow", "10.99.0.2", "--shares", "2/3", "--books", "a,b,c"],
    &["codes", "laptop/ssh", "--count", "2"],
    &["open", "laptop/ssh", "--via", "mail", "--allow", "10.99.0.2"],
    &["post", "book", "laptop/ssh", "--allow", "10.99.0.2"],
    &["profiles"],
    &["status"],
];

fn invited<'a>(stage: &'a Stage, elsewhere: &Elsewhere) -> Result<Guest<'a>> {
    Guest::invited(stage, elsewhere, &format!("{}{DOOR}", book(elsewhere, "book", Guestbook::URL, "")))
}

fn failing(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let Guest { device, .. } = invited(stage, &elsewhere)?;
    configure(&device, &elsewhere)?;
    let secrets = secrets(&device)?;
    let runs = |what: &str, words: &[&str]| -> Result {
        hides(&secrets, &format!("{words:?}, {what},"), &said(&device.klopf(words)?.output()?))
    };
    // Nobody answers, and then somebody refuses.
    MAKES.iter().try_for_each(|words| runs("with servers down", words))?;
    let guestbook = Guestbook::start(stage, &elsewhere)?;
    guestbook.refuses(403)?;
    runs("refused", MAKES[4])?;
    let page = ["page", "laptop", "--passphrase-file", &device.path(".config/klopf/passphrase").display().to_string()];
    runs("that works", &page)?;
    // A profile with a line that is wrong, each line in its turn.
    let path = device.path(".config/klopf/profiles/laptop.toml");
    let good = fs::read_to_string(&path)?;
    for at in 0..good.lines().count() {
        let broken = |(index, line): (usize, &str)| {
            if index == at { line.replacen(" = \"", " = \"#", 1) } else { line.to_owned() }
        };
        let text: Vec<String> = good.lines().enumerate().map(broken).collect();
        device.configure("profiles/laptop.toml", &text.join("\n"))?;
        runs("with a broken profile", MAKES[0])?;
        runs("with a broken profile", MAKES[5])?;
        runs("with a broken profile", &page)?;
    }
    // Folders where files should be.
    device.configure("profiles/laptop.toml", &good)?;
    let counters = device.path(".local/state/klopf/counters");
    fs::rename(&counters, device.path("counters"))?;
    fs::write(&counters, "")?;
    MAKES.iter().try_for_each(|words| runs("with no counters", words))
}

fn broken(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let Guest { device, .. } = invited(stage, &elsewhere)?;
    let secrets = secrets(&device)?;
    let password = Dovecot::PASSWORD;
    for text in [
        format!("[smtp]\nserver = \"smtps://ada:{password}@mail.test\"\nfrom = \"ada@host.test\"\n"),
        format!("[smtp]\nserver = \"smtps://ada@mail.test\"\nfrom = \"ada@host.test\"\npassword = \"{password}\"\n"),
        format!("[smtp]\nserver = \"smtps://ada@mail.test\"\nfrom = \"ada@host.test\"\npasswort = \"{password}\"\n"),
        format!("[smtp]\nserver = {password}\n"),
        format!("[guestbook.book]\nurl = \"https://ada:{password}@a.test/\"\nform = {{ message = \"{{text}}\" }}\n"),
        format!("[guestbook.book]\nurl = \"https://a.test/\"\nheaders = {{ Authorization = \"{HEADER}\" }}\n"),
        format!("[guestbook.book]\nurl = \"https://a.test/\"\nheaders = {{ Authorization = \"{HEADER} }}\n"),
        format!(
            "[guestbook.book]\nurl = \"https://a.test/\"\nform = {{ text = \"{{text}}\" }}\nheaders = [\"{HEADER}\"]\n"
        ),
        format!("[guestbook.book]\nurl = \"https://a.test/\"\njson = '{{\"{HEADER}\": \"{{text}}'\n"),
        format!("{HEADER}\n{password}\n"),
    ] {
        device.configure("client.toml", &text)?;
        for words in [MAKES[3], MAKES[4]] {
            let done = device.klopf(words)?.output()?;
            // The one thing that nobody looks at for a mail is what is posted.
            let is_json = text.contains("json = ");
            let told = said(&done);
            ensure!(is_json || done.status.code() == Some(78), "{words:?} with {text}: {}\n{told}", done.status);
            ensure!(is_json || told.contains("client.toml:"), "{words:?} with {text} says not where:\n{told}");
            hides(&secrets, &format!("{words:?}"), &told)?;
        }
    }
    Ok(())
}

fn children(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let (_dovecot, _postfix, Guest { device, .. }) = with_servers(stage, &elsewhere)?;
    configure(&device, &elsewhere)?;
    let secrets = secrets(&device)?;
    let klopf = klopf_tests::built("klopf")?.display().to_string();
    let trace = stage.path("trace");
    for words in MAKES {
        let mut command = device.command("strace");
        command.args(["-f", "-qq", "-v", "-s", "100000", "-e", "trace=execve,execveat", "-o"]).arg(&trace).arg(&klopf);
        let done = command.args(words).output()?;
        let traced = fs::read_to_string(&trace)?;
        let started: Vec<&str> = traced.lines().filter(|line| line.contains("execve")).collect();
        ensure!(started.len() == 1, "{words:?} starts programs:\n{traced}");
        hides(&secrets, &format!("what starts {words:?}"), &traced)?;
        hides(&secrets, &format!("{words:?}"), &said(&done))?;
    }
    Ok(())
}

fn files(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let Guest { device, .. } = invited(stage, &elsewhere)?;
    device.says(&["keygen"])?;
    for words in MAKES {
        device.klopf(words)?.output()?;
    }
    device.says(&["open", "laptop", "--wait", "tcp/22"])?;
    let mut number = 0;
    for folder in [".config/klopf", ".local/state/klopf"] {
        private(&device.path(folder), &mut number)?;
    }
    ensure!(number >= 4, "there are {number} files");
    Ok(())
}

/// Makes sure that nobody else may look into a folder, nor at a file in it.
fn private(folder: &Path, number: &mut usize) -> Result {
    let mode = |path: &Path| -> Result<u32> { Ok(fs::metadata(path)?.permissions().mode() & 0o777) };
    ensure!(mode(folder)? == 0o700, "{} has mode {:o}", folder.display(), mode(folder)?);
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            private(&path, number)?;
        } else {
            ensure!(mode(&path)? == 0o600, "{} has mode {:o}", path.display(), mode(&path)?);
            *number += 1;
        }
    }
    Ok(())
}
