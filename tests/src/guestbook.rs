//! A guestbook with a form, for who posts: see `guestbook.py`. The real one is [`crate::Isso`].

use std::fs;
use std::path::PathBuf;

use crate::{Elsewhere, Need, Result, Running, Stage};

/// A guestbook on `a.test`.
#[derive(Debug)]
pub struct Guestbook {
    _running: Running,
    directory: PathBuf,
}

impl Guestbook {
    /// What it needs of the machine.
    pub const NEEDS: [Need; 2] = Elsewhere::NEEDS;
    /// Its page, which takes entries, too: fields `name` and `message`.
    pub const URL: &str = "https://a.test:4431/";

    /// Starts it, and waits until it listens.
    ///
    /// # Errors
    /// If it does not come to that.
    pub fn start(stage: &Stage, elsewhere: &Elsewhere) -> Result<Self> {
        let directory = stage.path("guestbook");
        fs::create_dir(&directory)?;
        let mut command = elsewhere.command("python3");
        command.args(["-c", include_str!("guestbook.py")]).arg(&directory).args(["a.test", "4431"]);
        command.arg(&elsewhere.authority.certificate).arg(&elsewhere.authority.key);
        let mut running = Running::start(command, &directory.join("log"))?;
        running.until_says("listening")?;
        Ok(Self { _running: running, directory })
    }

    /// Refuses all entries from now on, with this status.
    ///
    /// # Errors
    /// If it cannot be told so.
    pub fn refuses(&self, status: u16) -> Result {
        Ok(fs::write(self.directory.join("answer"), status.to_string())?)
    }

    /// The requests that were to bring entries: path, header fields and body of each.
    ///
    /// # Errors
    /// If there was none.
    pub fn asked(&self) -> Result<String> {
        Ok(fs::read_to_string(self.directory.join("asked"))?)
    }
}
