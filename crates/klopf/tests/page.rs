//! `klopf page`, seen from outside.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "in tests a failed assumption may end the test")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin_cmd;

use common::run;

/// A person whose profile `home` has the doors ssh, web and vault, which asks for a code.
struct Person(PathBuf);

impl Person {
    fn new(test: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("page-{}-{test}", std::process::id()));
        let profile = folder.join("config/profiles/home.toml");
        fs::create_dir_all(profile.parent().unwrap()).unwrap();
        let [server, private, psk] = ["B", "C", "D"].map(|letter| format!("{}A", letter.repeat(42)));
        let text = format!(
            "endpoints = [\"host.example\"]\ndoors = [\"ssh\", \"web\", \"vault\"]\ndoor = \"web\"\n\
             code-doors = [\"vault\"]\nport = 1\ndevice = \"{}\"\nserver = \"{server}\"\nprivate = \"{private}\"\n\
             psk = \"{psk}\"\n",
            "0".repeat(32)
        );
        fs::write(&profile, text).unwrap();
        fs::set_permissions(&profile, PermissionsExt::from_mode(0o600)).unwrap();
        Self(folder)
    }

    fn klopf(&self) -> Command {
        let mut klopf = cargo_bin_cmd!("klopf");
        klopf.env("KLOPF_CONFIG_DIR", self.0.join("config")).env("KLOPF_STATE_DIR", self.0.join("state"));
        klopf
    }

    fn page(&self, what: &str, passphrase: &str) -> (i32, String, String) {
        let mut klopf = self.klopf();
        klopf.write_stdin(passphrase);
        run(klopf, &format!("page {what} --passphrase-file -"))
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_page_is_one_file_that_tells_nothing_of_the_profile() {
    let person = Person::new("whole");
    let (code, page, said) = person.page("home", "correct horse battery\nmore\n");
    assert_eq!(code, 0, "{said}");
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    for secret in ["host.example", "vault", "CCCCCCCC", "DDDDDDDD", "correct horse"] {
        assert!(!page.contains(secret) && (secret == "vault" || !said.contains(secret)), "{secret}");
    }
    assert!(said.contains("asks for a code: vault"), "{said}");
}

#[test]
fn a_made_passphrase_is_told_on_standard_error_alone() {
    let person = Person::new("generate");
    let (code, page, said) = run(person.klopf(), "page home/ssh --generate");
    let passphrase = said.lines().find_map(|line| line.strip_prefix("Passphrase: ")).unwrap();
    assert!(code == 0 && passphrase.split(' ').count() == 6 && !page.contains(passphrase), "{said}");
}

#[test]
fn weak_passphrases_and_doors_with_codes_are_refused_with_what_to_do() {
    let person = Person::new("refused");
    for (what, passphrase, code, expected) in [
        ("home", "too short\n", 64, "klopf page --generate"),
        ("home", "", 64, "too easy to guess"),
        ("home", "grünes Gras im Mai\n", 64, "keyboard"),
        ("home/vault", "correct horse battery\n", 64, "opens by no token"),
        ("home/cellar", "correct horse battery\n", 66, "knows no door cellar"),
        ("work", "correct horse battery\n", 66, "there is no profile work"),
    ] {
        let (got, page, said) = person.page(what, passphrase);
        assert!(got == code && page.is_empty() && said.contains(expected), "{what} {passphrase}: {got} {said}");
        assert!(passphrase.is_empty() || !said.contains(passphrase.trim()), "{said}");
    }
}
