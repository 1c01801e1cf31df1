use std::fs::{OpenOptions, create_dir, remove_dir_all, remove_file, rename, write};
use std::io::Write;
use std::os::unix::fs::{lchown, symlink};

use super::*;
use crate::Trail;

/// A folder that is removed with its owner.
struct Scene(PathBuf);

impl Scene {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("klopf-opener-{}-{name}", std::process::id()));
        create_dir(&folder).unwrap();
        Self(folder)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = remove_dir_all(&self.0);
    }
}

fn opener(path: &Path) -> (Opener, Vec<Opened>) {
    let mut opener = Opener::new([path.to_owned()]).unwrap();
    let opened = opener.begin(&Places::default());
    (opener, opened)
}

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn lines(trail: &mut Trail, opened: Vec<Opened>) -> Vec<String> {
    for Opened { file, place, .. } in opened {
        trail.begin(file, &place).unwrap();
    }
    let mut lines = Vec::new();
    trail.read(1 << 20, |line| lines.push(String::from_utf8(line.to_vec()).unwrap())).unwrap();
    lines
}

#[test]
fn a_log_begins_at_its_end_the_first_time_and_where_reading_stopped_the_next_time() {
    let scene = Scene::new("begin");
    let log = scene.at("log");
    append(&log, "old\n");
    let (mut first, opened) = opener(&log);
    let mut trail = Trail::new();
    assert!(lines(&mut trail, opened).is_empty());
    append(&log, "one\n");
    assert_eq!(lines(&mut trail, first.hear()), ["one"]);
    let mut places = Places::default();
    places.set(&log, trail.places());

    append(&log, "two\n");
    rename(&log, scene.at("log.1")).unwrap();
    append(&log, "three\n");
    let mut second = Opener::new([log.clone()]).unwrap();
    let mut trail = Trail::new();
    assert_eq!(lines(&mut trail, second.begin(&places)), ["two", "three"]);
    append(&scene.at("log.1"), "late\n");
    assert_eq!(lines(&mut trail, second.hear()), ["late"]);

    // For a new reader of the same opener.
    places.set(&log, trail.places());
    append(&scene.at("log.1"), "later\n");
    append(&log, "four\n");
    assert_eq!(lines(&mut Trail::new(), second.begin(&places)), ["later", "four"]);
}

#[test]
fn each_new_file_of_the_name_is_handed_over_once() {
    let scene = Scene::new("once");
    let log = scene.at("log");
    let (mut opener, opened) = opener(&log);
    assert!(opened.is_empty() && opener.trouble(0) == Some(Trouble::Missing));
    for text in ["one\n", "two\n"] {
        append(&log, text);
        assert_eq!(
            lines(&mut Trail::new(), opener.hear()),
            [text.trim_end()],
            "a file that comes is read from its start"
        );
        assert_eq!(opener.trouble(0), None);
        append(&log, "more\n");
        fs::hard_link(&log, scene.at("other")).unwrap();
        remove_file(&log).unwrap();
        rename(scene.at("other"), &log).unwrap();
        assert!(opener.hear().is_empty() && opener.look_again().is_empty(), "it is the same file");
        remove_file(&log).unwrap();
        assert!(opener.hear().is_empty());
        assert_eq!(opener.trouble(0), Some(Trouble::Missing));
    }
    append(&scene.at("log.1"), "x\n");
    assert!(opener.hear().is_empty());
}

#[test]
fn the_reader_is_told_of_changes_in_the_file_and_in_the_one_before() {
    let scene = Scene::new("changes");
    let log = scene.at("log");
    append(&log, "old\n");
    let (mut opener, _) = opener(&log);
    let news = Inotify::from(opener.changes().try_clone_to_owned().unwrap());
    assert!(!news.drain());
    append(&log, "one\n");
    assert!(news.drain() && !news.drain());
    for number in 1..=3 {
        rename(&log, scene.at(&format!("log.{number}"))).unwrap();
        append(&log, "");
        assert_eq!(opener.hear().len(), 1);
    }
    let _ = news.drain();
    for (name, told) in [("log", true), ("log.3", true), ("log.2", false), ("log.1", false)] {
        append(&scene.at(name), "x\n");
        assert_eq!(news.drain(), told, "{name}");
    }
    OpenOptions::new().write(true).open(&log).unwrap().set_len(0).unwrap();
    assert!(news.drain(), "of a truncation, too");
    assert!(opener.hear().is_empty(), "and the opener hears nothing of all that");
}

#[test]
fn links_are_followed_and_watched_all_the_way() {
    let scene = Scene::new("links");
    create_dir(scene.at("a")).unwrap();
    create_dir(scene.at("b")).unwrap();
    append(&scene.at("b/log.1"), "old\n");
    symlink("../b/current", scene.at("a/log")).unwrap();
    symlink("log.1", scene.at("b/current")).unwrap();
    let (mut opener, opened) = opener(&scene.at("a/log"));
    let mut trail = Trail::new();
    assert!(lines(&mut trail, opened).is_empty());
    append(&scene.at("b/log.1"), "one\n");
    append(&scene.at("b/log.2"), "two\n");
    symlink("log.2", scene.at("b/new")).unwrap();
    rename(scene.at("b/new"), scene.at("b/current")).unwrap();
    assert_eq!(lines(&mut trail, opener.hear()), ["one", "two"]);
    rename(scene.at("b/log.2"), scene.at("b/log.3")).unwrap();
    append(&scene.at("b/log.2"), "three\n");
    assert_eq!(lines(&mut trail, opener.hear()), ["three"]);
    // A link in a circle, and then none any more.
    remove_file(scene.at("b/current")).unwrap();
    symlink("../a/log", scene.at("b/current")).unwrap();
    assert!(opener.hear().is_empty() && opener.trouble(0) == Some(Trouble::Other));
    remove_file(scene.at("a/log")).unwrap();
    append(&scene.at("a/log"), "four\n");
    assert_eq!(lines(&mut trail, opener.hear()), ["four"]);
}

#[test]
fn a_link_must_be_roots_or_of_whom_the_file_is() {
    let scene = Scene::new("owners");
    append(&scene.at("secret"), "x\n");
    symlink("secret", scene.at("log")).unwrap();
    let (mut opener, opened) = opener(&scene.at("log"));
    assert_eq!(opened.len(), 1, "of the same user");
    let mut link = |uid| {
        remove_file(scene.at("log")).unwrap();
        symlink("secret", scene.at("log")).unwrap();
        lchown(scene.at("log"), Some(uid), None).unwrap();
        opener.begin(&Places::default()).len()
    };
    if !rustix::process::geteuid().is_root() {
        return;
    }
    assert_eq!(link(12345), 0);
    lchown(scene.at("secret"), Some(12345), None).unwrap();
    assert_eq!([link(12345), link(0), link(12346)], [1, 1, 0]);
    assert_eq!(opener.trouble(0), Some(Trouble::ForeignLink));
}

#[test]
fn what_is_no_file_is_not_opened() {
    let scene = Scene::new("kinds");
    let log = scene.at("log");
    create_dir(&log).unwrap();
    let (mut opener, opened) = opener(&log);
    assert!(opened.is_empty() && opener.trouble(0) == Some(Trouble::NotAFile));
    fs::remove_dir(&log).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &log, FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0).unwrap();
    assert!(opener.hear().is_empty() && opener.trouble(0) == Some(Trouble::NotAFile), "nor waited for");
    assert!(super::tests::opener(Path::new("/dev/null")).1.is_empty());
    assert_eq!(super::tests::opener(Path::new("/")).0.trouble(0), Some(Trouble::NotAFile));
    remove_file(&log).unwrap();
    append(&log, "one\n");
    assert_eq!(lines(&mut Trail::new(), opener.hear()), ["one"]);
}

#[test]
fn a_folder_that_comes_is_found_when_looked_for_again() {
    let scene = Scene::new("folder");
    let log = scene.at("folder/log");
    let (mut opener, _) = opener(&log);
    assert_eq!(opener.trouble(0), Some(Trouble::NoFolder));
    for text in ["one\n", "two\n"] {
        create_dir(scene.at("folder")).unwrap();
        assert!(opener.look_again().is_empty());
        write(&log, text).unwrap();
        assert_eq!(lines(&mut Trail::new(), opener.hear()), [text.trim_end()]);
        rename(scene.at("folder"), scene.at(text.trim_end())).unwrap();
        assert!(opener.hear().is_empty() && opener.trouble(0) == Some(Trouble::NoFolder));
    }
}

#[test]
fn many_logs_are_told_apart_by_their_numbers() {
    let scene = Scene::new("many");
    let paths: Vec<_> = (0..20).map(|number| scene.at(&format!("log{number}"))).collect();
    let mut opener = Opener::new(paths.clone()).unwrap();
    assert!(opener.begin(&Places::default()).is_empty());
    append(&paths[7], "seven\n");
    append(&paths[3], "three\n");
    fs::hard_link(&paths[3], &paths[4]).unwrap();
    let numbers: Vec<_> = opener.hear().iter().map(|opened| opened.log).collect();
    assert_eq!(numbers, [3, 4, 7]);
    assert_eq!((opener.trouble(3), opener.trouble(5), opener.trouble(20)), (None, Some(Trouble::Missing), None));
}
