//! A folder on the disk, with the opener.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use klopf_trail::{Opened, Opener, Place, Places};

use super::life::World;

pub(crate) struct Disk {
    folder: PathBuf,
    log: PathBuf,
    opener: Opener,
    /// All files there ever were: what the writer has open of them, and their numbers in the file system.
    all: Vec<(Option<File>, u64)>,
    rotated: u32,
}

impl Disk {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("klopf-trail-{}-{number}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let log = folder.join("log");
        let opener = Opener::new([log.clone()]).unwrap();
        Self { folder, log, opener, all: Vec::new(), rotated: 0 }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn handed(opened: Vec<Opened>) -> Vec<(File, Place)> {
    opened.into_iter().map(|opened| (opened.file, opened.place)).collect()
}

impl World for Disk {
    type File = File;

    fn append(&mut self, file: usize, bytes: &[u8]) {
        self.all[file].0.as_mut().unwrap().write_all(bytes).unwrap();
    }

    fn truncate(&mut self) {
        OpenOptions::new().write(true).open(&self.log).unwrap().set_len(0).unwrap();
    }

    fn rename(&mut self) {
        self.rotated += 1;
        fs::rename(&self.log, self.folder.join(format!("log.{}", self.rotated))).unwrap();
    }

    fn remove(&mut self) {
        fs::remove_file(&self.log).unwrap();
    }

    fn create(&mut self) -> usize {
        let file = OpenOptions::new().append(true).create_new(true).open(&self.log).unwrap();
        let ino = file.metadata().unwrap().ino();
        self.all.push((Some(file), ino));
        self.all.len() - 1
    }

    fn close(&mut self, file: usize) {
        self.all[..=file].iter_mut().for_each(|(file, _)| *file = None);
    }

    fn hear(&mut self) -> Vec<(File, Place)> {
        handed(self.opener.hear())
    }

    fn restart(&mut self, places: &[Place]) -> Vec<(File, Place)> {
        self.opener = Opener::new([self.log.clone()]).unwrap();
        let mut all = Places::default();
        all.set(&self.log, places.iter().copied());
        let (all, damaged) = Places::parse(all.to_text().as_bytes());
        assert_eq!(damaged, 0);
        handed(self.opener.begin(&all))
    }

    fn number(&self, ino: u64) -> Option<usize> {
        self.all.iter().rposition(|(_, known)| *known == ino)
    }
}
