use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::*;
use crate::Facts;

/// A file in memory. What is to happen is done once, as soon as somebody reads to its end.
#[derive(Clone, Default)]
struct Paper(Rc<Sheet>);

#[derive(Default)]
struct Sheet {
    ino: u64,
    bytes: RefCell<Vec<u8>>,
    nameless: Cell<bool>,
    broken: Cell<bool>,
    at_end: RefCell<Option<Box<dyn FnOnce()>>>,
}

impl Paper {
    fn new(ino: u64, text: &str) -> Self {
        let paper = Self(Rc::new(Sheet { ino, ..Sheet::default() }));
        paper.write(text);
        paper
    }

    fn write(&self, text: &str) {
        self.0.bytes.borrow_mut().extend_from_slice(text.as_bytes());
    }

    fn replace(&self, text: &str) {
        *self.0.bytes.borrow_mut() = text.into();
    }
}

impl FileAt for Paper {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.0.broken.get() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let bytes = self.0.bytes.borrow().clone();
        let rest = bytes.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        if length == 0
            && let Some(act) = self.0.at_end.take()
        {
            act();
        }
        Ok(length)
    }

    fn facts(&self) -> io::Result<Facts> {
        let length = self.0.bytes.borrow().len() as u64;
        Ok(Facts { dev: 1, ino: self.0.ino, length, named: !self.0.nameless.get() })
    }
}

fn follow(papers: &[&Paper]) -> Trail<Paper> {
    let mut trail = Trail::new();
    for paper in papers {
        trail.begin((*paper).clone(), &Place::default()).unwrap();
    }
    trail
}

fn read(trail: &mut Trail<Paper>) -> Vec<String> {
    let mut lines = Vec::new();
    let progress = trail.read(1 << 20, |line| lines.push(String::from_utf8(line.to_vec()).unwrap())).unwrap();
    assert!(!progress.more);
    lines
}

#[test]
fn a_line_is_kept_until_it_is_whole() {
    let paper = Paper::new(1, "one\ntw");
    let mut trail = follow(&[&paper]);
    assert_eq!(read(&mut trail), ["one"]);
    assert_eq!(trail.places().map(|place| place.offset).collect::<Vec<_>>(), [4]);
    paper.write("o");
    assert!(read(&mut trail).is_empty());
    paper.write("\nthree");
    assert_eq!(read(&mut trail), ["two"]);
    assert_eq!((trail.counts().lines, trail.counts().bytes), (2, 8));
}

#[test]
fn what_the_writer_wrote_last_to_the_old_file_comes_before_the_new_one() {
    let (old, new) = (Paper::new(1, "one\n"), Paper::new(2, ""));
    let mut trail = follow(&[&old, &new]);
    let (end, beginning) = (old.clone(), new.clone());
    // Between two looks: the writer ends the old file, opens the new one and goes on there.
    let act = move || {
        end.write(&"two\n".repeat(2000));
        beginning.write("three\n");
    };
    *old.0.at_end.borrow_mut() = Some(Box::new(act));
    let lines = read(&mut trail);
    assert_eq!([lines.first(), lines.get(2000), lines.last()].map(Option::unwrap), ["one", "two", "three"]);
    assert_eq!(lines.len(), 2002);
}

#[test]
fn the_old_file_is_followed_until_it_has_lost_its_name() {
    let (old, new) = (Paper::new(1, "one\nhalf"), Paper::new(2, "two\n"));
    let mut trail = follow(&[&old, &new]);
    assert_eq!(read(&mut trail), ["one", "half", "two"]);
    old.write(" of it\nthree\n");
    assert_eq!(read(&mut trail), ["three"], "another writer was later");
    old.write("four\nno end");
    old.0.nameless.set(true);
    assert_eq!(read(&mut trail), ["four", "no end"]);
    assert_eq!(trail.places().count(), 1);
}

#[test]
fn of_old_files_one_is_kept() {
    let papers: Vec<_> = (1..6).map(|ino| Paper::new(ino, &format!("{ino}\n"))).collect();
    let mut trail = follow(&papers.iter().collect::<Vec<_>>());
    assert_eq!(read(&mut trail), ["1", "2", "3", "4", "5"]);
    assert_eq!(trail.places().map(|place| place.ino).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(trail.counts().given_up, 0);
    let papers: Vec<_> = (1..=10).map(|ino| Paper::new(ino, &format!("{ino}\n"))).collect();
    let mut trail = follow(&papers.iter().collect::<Vec<_>>());
    assert_eq!((read(&mut trail).len(), trail.counts().given_up), (8, 2));
}

#[test]
fn a_file_that_gets_its_name_back_is_read_on() {
    let (first, second) = (Paper::new(1, "one\n"), Paper::new(2, ""));
    let mut trail = follow(&[&first, &second]);
    assert_eq!(read(&mut trail), ["one"]);
    trail.begin(first.clone(), &Place::start_of(&first).unwrap()).unwrap();
    first.write("two\n");
    assert_eq!(read(&mut trail), ["two"]);
    second.write("three\n");
    first.write("four\n");
    assert_eq!(read(&mut trail), ["three", "four"]);
}

#[test]
fn a_truncated_file_is_read_from_its_beginning_however_long_it_is_now() {
    let before = "a line that is as long as another\n".repeat(20);
    for after in ["", "x\n", &before.replace("another", "the next"), &before.to_uppercase().repeat(3)] {
        let paper = Paper::new(1, &before);
        let mut trail = follow(&[&paper]);
        assert_eq!(read(&mut trail).len(), 20);
        paper.replace(after);
        assert_eq!(read(&mut trail).len(), after.lines().count(), "{after}");
        assert_eq!(trail.counts().truncated, 1);
    }
}

#[test]
fn a_hole_that_truncation_leaves_below_a_writer_is_no_part_of_its_next_line() {
    let paper = Paper::new(1, &"before\n".repeat(50_000));
    let mut trail = follow(&[&paper]);
    assert_eq!(read(&mut trail).len(), 50_000);
    paper.replace(&["\0".repeat(350_000).as_str(), "after\nand then\n"].concat());
    assert_eq!(read(&mut trail), ["after", "and then"]);
    assert_eq!((trail.counts().long, trail.counts().truncated), (0, 1));
}

#[test]
fn an_old_file_that_cannot_be_read_does_not_stop_the_log() {
    let (old, new) = (Paper::new(1, "one\n"), Paper::new(2, "two\n"));
    let mut trail = follow(&[&old, &new]);
    old.0.broken.set(true);
    assert_eq!(read(&mut trail), ["two"]);
    assert_eq!((trail.places().count(), trail.counts().given_up), (1, 1));
    new.0.broken.set(true);
    assert!(trail.read(100, |_| ()).is_err());
    new.0.broken.set(false);
    new.write("three\n");
    assert_eq!(read(&mut trail), ["three"]);
}

#[test]
fn a_place_is_found_again_in_its_own_file_alone() {
    let paper = Paper::new(1, "one\ntwo\nthr");
    let mut trail = follow(&[&paper]);
    read(&mut trail);
    let place = trail.places().next().unwrap();
    assert!(place.is_in(&paper).unwrap() && place.is_in(&Paper::new(1, "one\ntwo\nother")).unwrap());
    for other in [Paper::new(2, "one\ntwo\nthr"), Paper::new(1, "one\ntwo"), Paper::new(1, "one\nTwo\nthr")] {
        assert!(!place.is_in(&other).unwrap());
    }
    let mut trail = Trail::new();
    trail.begin(Paper::new(1, "one\nTwo\n"), &place).unwrap();
    assert_eq!(read(&mut trail), ["one", "Two"]);
    paper.write("ee\n");
    let mut trail = Trail::new();
    trail.begin(paper, &place).unwrap();
    assert_eq!(read(&mut trail), ["three"]);
}

#[test]
fn from_the_end_of_a_file_half_a_line_is_left_out() {
    for (text, lines) in
        [("", &["x", "y"][..]), ("one\n", &["x", "y"]), ("one\ntw", &["y"]), ("one\n\0\0", &["x", "y"])]
    {
        let paper = Paper::new(1, text);
        let mut trail = Trail::new();
        trail.begin(paper.clone(), &Place::end_of(&paper).unwrap()).unwrap();
        paper.write("x\ny\n");
        assert_eq!(read(&mut trail), lines, "{text:?}");
    }
}

#[test]
fn a_restart_within_a_line_that_is_too_long_makes_no_line_of_its_rest() {
    let paper = Paper::new(1, &"x".repeat(3000));
    let mut trail = follow(&[&paper]);
    assert_eq!(read(&mut trail), ["x".repeat(2048)]);
    let place = trail.places().next().unwrap();
    paper.write("\0\0");
    let mut trail = Trail::new();
    trail.begin(paper.clone(), &place).unwrap();
    paper.write(" SRC=192.0.2.1\nnext\n");
    assert_eq!(read(&mut trail), ["next"]);
}

#[test]
fn reading_stops_when_the_budget_is_spent() {
    let paper = Paper::new(1, &"x".repeat(999).replace("xxxxxxxxx", "12345678\n").repeat(1000));
    let mut trail = follow(&[&paper]);
    let (mut rounds, mut lines) = (0, 0);
    while trail.read(10_000, |line| lines += usize::from(line == b"12345678")).unwrap().more {
        rounds += 1;
        assert!(lines <= rounds * (10_000 + 2049) / 9);
    }
    assert_eq!(lines, 111_000);
}
