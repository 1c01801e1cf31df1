use super::*;

const PEM: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

/// A directory of its own for each test, which goes with it.
struct Directory(PathBuf);

impl Directory {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("klopf-sources-{}-{test}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.0.join(name), bytes).unwrap();
        self.mode(name, 0o600);
    }

    #[cfg(unix)]
    fn mode(&self, name: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(self.0.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    #[cfg(not(unix))]
    fn mode(&self, _: &str, _: u32) {}

    fn read(&self, text: &str) -> SourceFiles {
        let config = klopf_config::native::parse("klopf.toml", text).unwrap().config;
        SourceFiles::read(&self.0.join("klopf.toml"), &config)
    }

    /// With a mail that has these lines besides.
    fn mail(&self, lines: &str) -> SourceFiles {
        self.read(&format!("[mail.m]\nimap = \"imaps://a@mail.example\"\n{lines}"))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn passwords_and_certificates_are_read_for_each_source() {
    let directory = Directory::new("each");
    directory.write("p", "grün und lang \r\nmore\n");
    directory.write("ca.pem", PEM);
    let absolute = directory.0.join("p").display().to_string();
    let files = directory.read(&format!(
        "[mail.a]\nimap = \"imaps://a@mail.example\"\npassword-file = \"p\"\nca-file = \"ca.pem\"\n\
         [mail.b]\nimap = \"imaps://b@mail.example\"\npassword-file = '{absolute}'\n[mail.c]\nmaildir = \"/m\"\n\
         [guestbook.g]\nurl = \"https://example.org\"\nca-file = \"ca.pem\"\n[guestbook.h]\nurl = \"https://example.net\"\n"
    ));
    let all: Vec<_> = files.mails.iter().chain(&files.guestbooks).map(|read| read.as_ref().unwrap()).collect();
    let passwords: Vec<_> = all.iter().map(|file| file.password.as_ref().map(|password| password.as_str())).collect();
    assert_eq!(passwords, [Some("grün und lang "), Some("grün und lang "), None, None, None]);
    assert_eq!(all.iter().map(|file| file.ca.as_deref()).collect::<Vec<_>>(), [Some(PEM), None, None, Some(PEM), None]);
    assert_eq!((files.troubles().count(), &files.exposed), (0, &Vec::new()));
    assert!(!format!("{files:?}").contains("lang"));
}

#[test]
fn what_is_wrong_with_a_file_is_named_and_the_others_are_read() {
    let directory = Directory::new("wrong");
    for (bytes, expected) in [
        (None, "cannot be read: "),
        (Some(&b""[..]), "has no password in its first line"),
        (Some(b"\nhunter2"), "has no password in its first line"),
        (Some(b"hunter2\x1b\n"), "is no text"),
        (Some(b"hunter2\xff"), "is no text"),
        (Some(&[b'x'; 4097]), "is too long"),
    ] {
        if let Some(bytes) = bytes {
            directory.write("p", bytes);
        }
        let files = directory
            .read("[mail.a]\nimap = \"imaps://a@mail.example\"\npassword-file = \"p\"\n[mail.b]\nmaildir = \"/m\"\n");
        let troubles: Vec<_> = files.troubles().map(ToString::to_string).collect();
        let [trouble] = &troubles[..] else { panic!("{troubles:?}") };
        assert!(
            trouble.starts_with("mail `a` is not read: its `password-file`") && trouble.contains(expected),
            "{trouble}"
        );
        assert!(!trouble.contains("hunter2"), "{trouble}");
        assert!(files.mails[1].is_ok());
    }
    directory.write("p", "hunter2");
    for (text, expected) in [
        ("", "has no certificate in it"),
        ("-----BEGIN PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----", "has a private key in it"),
    ] {
        directory.write("ca", text);
        let files = directory.mail("password-file = \"p\"\nca-file = \"ca\"");
        let trouble = files.mails[0].as_ref().unwrap_err();
        assert_eq!((trouble.key, trouble.to_string().ends_with(expected)), ("ca-file", true), "{trouble}");
    }
    fs::create_dir(directory.0.join("d")).unwrap();
    assert!(matches!(directory.mail("password-file = \"d\"").mails[0], Err(SourceTrouble { why: Why::NoFile, .. })));
}

#[test]
fn a_password_in_the_place_of_its_file_is_not_repeated() {
    let directory = Directory::new("repeated");
    let files = directory.mail("password-file = \"hunter2\"");
    let trouble = files.troubles().next().unwrap();
    assert!(!trouble.to_string().contains("hunter2"), "{trouble}");
    let files = directory.mail("password-file = \"/no/such/file\"");
    assert!(files.troubles().next().unwrap().to_string().contains("/no/such/file"));
}

#[cfg(unix)]
#[test]
fn passwords_that_others_may_read_are_told() {
    let directory = Directory::new("exposed");
    directory.write("p", "hunter2");
    directory.write("ca", PEM);
    directory.mode("ca", 0o644);
    for (mode, told) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
        directory.mode("p", mode);
        let files = directory.mail("password-file = \"p\"\nca-file = \"ca\"");
        let expected = if told { vec![directory.0.join("p")] } else { vec![] };
        assert_eq!((files.exposed, files.mails[0].is_ok()), (expected, true), "{mode:o}");
    }
}
