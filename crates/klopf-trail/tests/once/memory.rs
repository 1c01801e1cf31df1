//! A file system in memory, which gives numbers of files that are gone to new ones at once.

use std::cell::RefCell;
use std::io;
use std::rc::{Rc, Weak};

use klopf_trail::{Facts, FileAt, Place};

use super::life::World;

#[derive(Default)]
pub(crate) struct Node {
    ino: u64,
    bytes: Vec<u8>,
    named: bool,
}

#[derive(Clone)]
pub(crate) struct MemoryFile(Rc<RefCell<Node>>);

impl FileAt for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let node = self.0.borrow();
        let rest = usize::try_from(offset).ok().and_then(|offset| node.bytes.get(offset..)).unwrap_or_default();
        // Some file systems give less than they have.
        let length = rest.len().min(buffer.len()).min(1000);
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn facts(&self) -> io::Result<Facts> {
        let node = self.0.borrow();
        Ok(Facts { dev: 1, ino: node.ino, length: node.bytes.len() as u64, named: node.named })
    }
}

pub(crate) struct Memory {
    /// All files there ever were; those in use have somebody who holds them.
    all: Vec<Weak<RefCell<Node>>>,
    named: Option<MemoryFile>,
    others: Vec<MemoryFile>,
    /// What the writer has open.
    open: Vec<(usize, MemoryFile)>,
    /// What the opener has handed over last.
    handed: Option<MemoryFile>,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self { all: Vec::new(), named: None, others: Vec::new(), open: Vec::new(), handed: None }
    }

    fn is_handed(&self, file: &MemoryFile) -> bool {
        self.handed.as_ref().is_some_and(|handed| Rc::ptr_eq(&handed.0, &file.0))
    }
}

impl World for Memory {
    type File = MemoryFile;

    fn append(&mut self, file: usize, bytes: &[u8]) {
        let node = self.all[file].upgrade().unwrap();
        node.borrow_mut().bytes.extend_from_slice(bytes);
    }

    fn truncate(&mut self) {
        self.named.as_ref().unwrap().0.borrow_mut().bytes.clear();
    }

    fn rename(&mut self) {
        self.others.extend(self.named.take());
    }

    fn remove(&mut self) {
        self.named.take().unwrap().0.borrow_mut().named = false;
    }

    fn create(&mut self) -> usize {
        let used = |ino| self.all.iter().filter_map(Weak::upgrade).any(|node| node.borrow().ino == ino);
        let ino = (1..).find(|ino| !used(*ino)).unwrap();
        let file = MemoryFile(Rc::new(RefCell::new(Node { ino, named: true, ..Node::default() })));
        self.all.push(Rc::downgrade(&file.0));
        // The writer may come to open it.
        self.open.push((self.all.len() - 1, file.clone()));
        self.named = Some(file);
        self.all.len() - 1
    }

    fn close(&mut self, file: usize) {
        self.open.retain(|(open, _)| *open > file);
    }

    fn hear(&mut self) -> Vec<(MemoryFile, Place)> {
        let Some(file) = self.named.clone().filter(|file| !self.is_handed(file)) else { return Vec::new() };
        self.handed = Some(file.clone());
        let place = Place::start_of(&file).unwrap();
        vec![(file, place)]
    }

    fn restart(&mut self, places: &[Place]) -> Vec<(MemoryFile, Place)> {
        self.handed = None;
        let found = |place: &Place| {
            let file = self.others.iter().find(|file| place.is_in(*file).unwrap())?;
            Some((file.clone(), *place))
        };
        let mut opened: Vec<_> = places.iter().filter_map(found).collect();
        if let Some(file) = self.named.clone() {
            self.handed = Some(file.clone());
            let start = Place::start_of(&file).unwrap();
            let place = places.iter().find(|place| place.is_in(&file).unwrap()).copied().unwrap_or(start);
            opened.push((file, place));
        }
        opened
    }

    fn number(&self, ino: u64) -> Option<usize> {
        let is = |node: &Weak<RefCell<Node>>| node.upgrade().is_some_and(|node| node.borrow().ino == ino);
        self.all.iter().position(is)
    }
}
