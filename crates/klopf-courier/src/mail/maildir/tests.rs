//! Maildirs in a directory for each test.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use klopf_brief::{State, Taken};

use super::super::tests::{Courier, find};
use super::*;

struct Box {
    root: PathBuf,
    courier: Courier,
    outlet: Outlet,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Box {
    fn new() -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("klopf-maildir-{}-{number}", std::process::id()));
        for inner in ["new", "cur", "tmp"] {
            fs::create_dir_all(root.join(inner)).unwrap();
        }
        let courier = Courier::new();
        let outlet = courier.outlet();
        Self { root, courier, outlet }
    }

    fn brief(&self, taken: Taken) -> Maildir {
        let path = self.root.to_str().unwrap().to_owned();
        Maildir { path, taken, require_dkim: Vec::new(), drop_box: false }
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.root.join(name), format!("Subject: hi\n\n{text}\n")).unwrap();
    }

    /// As a mail server does.
    fn deliver(&self, name: &str, text: &str) {
        self.put(&format!("tmp/{name}"), text);
        fs::rename(self.root.join("tmp").join(name), self.root.join("new").join(name)).unwrap();
    }

    fn look(&self, mailbox: &mut Mailbox<'_>) -> Seen {
        mailbox.look(&self.outlet, &Folder::open(&self.root).unwrap(), true).unwrap()
    }

    fn offers(&self) -> Vec<String> {
        self.courier.offers.try_iter().collect()
    }

    /// All files below, by their paths.
    fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut directories = vec![self.root.clone()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                match entry.file_type().unwrap().is_dir() {
                    true => directories.push(entry.path()),
                    false => files.push(entry.path().strip_prefix(&self.root).unwrap().to_str().unwrap().to_owned()),
                }
            }
        }
        files.sort();
        files
    }
}

impl Drop for Box {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn mailbox(maildir: &Maildir) -> Mailbox<'_> {
    Mailbox { maildir, reader: Reader::new(find, &maildir.require_dkim).unwrap(), waiting: Waiting::default() }
}

#[test]
fn mails_with_a_taken_token_are_marked_and_others_left_alone_and_looked_at_once() {
    let box_ = Box::new();
    box_.put("new/1.a", "knock good");
    box_.put("new/2.b", "hello");
    box_.put("new/3.c", "knock bad");
    box_.put("cur/4.d:2,F", "knock spent");
    box_.put("cur/5.e:2,S", "knock read");
    let brief = box_.brief(Taken::Mark);
    let mut mailbox = mailbox(&brief);
    assert_eq!(box_.look(&mut mailbox), Seen::default());
    let there = ["cur/1.a:2,S", "cur/4.d:2,FS", "cur/5.e:2,S", "new/2.b", "new/3.c"];
    assert_eq!(
        (box_.files(), box_.offers()),
        (there.map(String::from).into(), ["spent", "good", "bad"].map(String::from).into())
    );
    assert_eq!(box_.courier.report().looked_at, 4);
    box_.look(&mut mailbox);
    assert_eq!(box_.offers(), Vec::<String>::new());
    mailbox.waiting.forget_all();
    box_.look(&mut mailbox);
    assert_eq!(box_.offers(), ["bad"], "all that is still there");
}

#[test]
fn mails_are_deleted_or_moved() {
    let box_ = Box::new();
    box_.put("new/1.a", "knock good");
    box_.put("new/2.b", "hello");
    let brief = box_.brief(Taken::Delete);
    box_.look(&mut mailbox(&brief));
    assert_eq!(box_.files(), ["new/2.b"]);
    let brief = box_.brief(Taken::Move("Knocks".into()));
    let mut mailbox = mailbox(&brief);
    for name in ["new/3.c", "cur/4.d:2,"] {
        box_.put(name, "knock good");
        assert_eq!(box_.look(&mut mailbox), Seen::default());
    }
    assert_eq!(box_.files(), [".Knocks/cur/4.d:2,", ".Knocks/maildirfolder", ".Knocks/new/3.c", "new/2.b"]);
}

#[test]
fn a_mail_that_cannot_be_moved_is_said_and_no_other_is_lost() {
    let box_ = Box::new();
    for folder in ["../out", "", ".hidden", "a/b"] {
        box_.put("new/1.a", "knock good");
        let brief = box_.brief(Taken::Move(folder.into()));
        assert!(box_.look(&mut mailbox(&brief)).not_marked, "{folder}");
    }
    box_.put("cur/1.a:2,S", "another one");
    let brief = box_.brief(Taken::Mark);
    assert!(box_.look(&mut mailbox(&brief)).not_marked);
    assert_eq!(box_.files(), ["cur/1.a:2,S", "new/1.a"]);
}

#[test]
fn a_drop_box_is_emptied() {
    let box_ = Box::new();
    for (name, text) in
        [("new/1.a", "knock good"), ("new/2.b", "hello"), ("new/3.c", "knock bad"), ("new/4.d", "knock silent")]
    {
        box_.put(name, text);
    }
    let brief = Maildir { drop_box: true, ..box_.brief(Taken::Mark) };
    box_.look(&mut mailbox(&brief));
    assert_eq!(box_.files(), ["new/4.d"], "which has no answer");
}

#[test]
fn only_plain_files_are_read_and_only_so_much_of_them() {
    let box_ = Box::new();
    let outside = box_.root.join("outside");
    fs::write(&outside, "Subject: knock outside\n\n").unwrap();
    symlink(&outside, box_.root.join("new/1.a")).unwrap();
    fs::create_dir(box_.root.join("new/2.b")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, box_.root.join("new/3.c"), rustix::fs::Mode::RUSR).unwrap();
    box_.put("new/.hidden", "knock hidden");
    let large = fs::File::create(box_.root.join("new/4.d")).unwrap();
    large.set_len(50 << 20).unwrap();
    box_.put("new/5.e", &format!("{}knock late", "x".repeat(300 << 10)));
    fs::write(box_.root.join(OsString::from("new/6.f")), b"Subject: \xff\n\nknock good").unwrap();
    let brief = box_.brief(Taken::Mark);
    let mut mailbox = mailbox(&brief);
    box_.look(&mut mailbox);
    assert_eq!(box_.offers(), ["good"]);
    fs::rename(box_.root.join("cur"), box_.root.join("real")).unwrap();
    symlink(box_.root.join("real"), box_.root.join("cur")).unwrap();
    assert!(Folder::open(&box_.root).is_err());
}

#[test]
fn of_too_many_mails_the_newest_are_looked_at() {
    let box_ = Box::new();
    for number in 0..1100 {
        box_.put(&format!("new/{number:05}.a"), "hello");
    }
    box_.put("new/00000.b", "knock old");
    box_.put("new/99999.b", "knock good");
    let brief = box_.brief(Taken::Mark);
    assert!(box_.look(&mut mailbox(&brief)).too_much);
    assert_eq!(box_.offers(), ["good"]);
}

#[test]
fn a_mail_that_comes_is_offered_at_once_and_all_of_them_again_when_asked() {
    let box_ = Box::new();
    let brief = box_.brief(Taken::Mark);
    let outlet = box_.courier.outlet();
    let source = thread::spawn(move || run(&brief, outlet, find));
    let next = || box_.courier.offers.recv_timeout(Duration::from_secs(20)).unwrap();
    box_.deliver("1.a", "knock bad1");
    assert_eq!(next(), "bad1");
    box_.deliver("2.b", "knock bad2");
    assert_eq!(next(), "bad2");
    box_.courier.again();
    assert_eq!([next(), next()], ["bad1", "bad2"]);
    fs::rename(box_.root.join("new"), box_.root.join("old")).unwrap();
    fs::create_dir(box_.root.join("new")).unwrap();
    box_.deliver("3.c", "knock bad3");
    assert_eq!(next(), "bad3");
    let mut slow = fs::File::create(box_.root.join("new/4.d")).unwrap();
    slow.write_all(b"Subject: hi\n\nkno").unwrap();
    slow.write_all(b"ck bad4\n").unwrap();
    drop(slow);
    assert_eq!(next(), "bad4", "written in its place");
    assert_eq!(box_.courier.report().trouble, None);
    box_.courier.board.lock().ending = true;
    box_.courier.board.alarm();
    source.join().unwrap();
}

#[test]
fn a_directory_that_is_not_there_is_a_trouble_and_may_come_later() {
    let box_ = Box::new();
    let away = box_.root.join("away");
    fs::rename(box_.root.join("new"), &away).unwrap();
    let brief = box_.brief(Taken::Mark);
    let bell = Pair::new().unwrap();
    let mut outlet = box_.courier.outlet();
    assert_eq!(mailbox(&brief).listen(&mut outlet, &bell.0), Err(Trouble::NoAccess));
    outlet.failing(Trouble::NoAccess, PAUSE);
    assert_eq!(box_.courier.report().state, State::Failing);
}
