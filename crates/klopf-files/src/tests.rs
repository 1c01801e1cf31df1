use super::*;

const PUBLIC: &str = "Be7hH48GWozJaGJWSJr5NSEwYKV4xfYB7J4UHnhrOw8gWFEQfSBISNAl8l3DGHlgbpWZuBoSsKrLKVSVdoziUA";
const PSK: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";

/// A directory of its own for each test, which goes with it.
struct Directory(PathBuf);

impl Directory {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("klopf-files-{}-{test}", std::process::id()));
        fs::create_dir_all(path.join(KEYS_DIR)).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    #[cfg(unix)]
    fn mode(&self, name: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(self.0.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn read(&self) -> Result<Files, Unreadable> {
        Files::read(&self.0.join("klopf.toml"))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn key() -> String {
    format!("public = \"{PUBLIC}\"\npsk = \"{PSK}\"\n")
}

#[test]
fn keys_are_read_in_the_order_of_their_names() {
    let directory = Directory::new("order");
    directory.write("klopf.toml", "[door.a]\non-open = [\"/x\"]\nkeys = [\"*\"]\n");
    for name in ["b.toml", "a.toml", ".c.toml", "d.toml~", "e.TOML", "README", "f.toml.bak"] {
        directory.write(&format!("keys.d/{name}"), &key());
    }
    let files = directory.read().unwrap();
    let names: Vec<_> = files.keys.iter().map(|file| file.path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["a.toml", "b.toml"]);
    let faults = files.parse().unwrap_err();
    assert!(faults.iter().all(|fault| fault.text == "keys `a` and `b` are one and the same"), "{faults}");
    assert!(faults.iter().all(|fault| fault.file.ends_with("keys.d/b.toml")), "{faults}");
    assert!(!format!("{files:?}").contains(PSK));
}

#[test]
fn keys_d_need_not_be_there() {
    let directory = Directory::new("none");
    fs::remove_dir(directory.0.join(KEYS_DIR)).unwrap();
    directory.write("klopf.toml", "");
    assert_eq!(directory.read().unwrap().parse().unwrap().config.keys, []);
}

#[test]
fn what_cannot_be_read_is_named() {
    let directory = Directory::new("unreadable");
    assert_eq!(directory.read().unwrap_err().path, directory.0.join("klopf.toml"));
    directory.write("klopf.toml", "");
    fs::create_dir(directory.0.join("keys.d/a.toml")).unwrap();
    assert_eq!(directory.read().unwrap_err().path, directory.0.join("keys.d/a.toml"));
    fs::remove_dir(directory.0.join("keys.d/a.toml")).unwrap();
    fs::remove_dir(directory.0.join(KEYS_DIR)).unwrap();
    directory.write(KEYS_DIR, "");
    assert_eq!(directory.read().unwrap_err().path, directory.0.join(KEYS_DIR));
}

#[cfg(unix)]
#[test]
fn files_with_secrets_are_for_their_owner_alone() {
    let directory = Directory::new("exposed");
    let exposed = || -> Vec<String> {
        let files = directory.read().unwrap();
        files.exposed().iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    };
    directory.write("klopf.toml", "[daemon]\n");
    directory.write("server.key", "");
    directory.write("keys.d/a.toml", &key());
    for (name, mode) in [("klopf.toml", 0o644), ("server.key", 0o600), ("keys.d/a.toml", 0o600)] {
        directory.mode(name, mode);
    }
    assert_eq!(exposed(), [""; 0], "klopf.toml has no key");
    for mode in [0o640, 0o604, 0o620, 0o601] {
        directory.mode("server.key", mode);
        directory.mode("keys.d/a.toml", mode);
        assert_eq!(exposed(), ["a.toml", "server.key"], "{mode:o}");
    }
    directory.write("klopf.toml", "[key.b]\n");
    assert_eq!(exposed(), ["klopf.toml", "a.toml", "server.key"]);
}

#[test]
fn a_remedy_can_be_typed() {
    for (path, command) in [
        ("/etc/klopf/keys.d/a.toml", "chmod 600 /etc/klopf/keys.d/a.toml"),
        ("/a b/$x.toml", "chmod 600 -- '/a b/$x.toml'"),
        ("/it's", r"chmod 600 -- '/it'\''s'"),
        ("-x", "chmod 600 -- '-x'"),
    ] {
        assert_eq!(remedy(Path::new(path)), command);
    }
}
