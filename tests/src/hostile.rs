//! Servers that mean no good: see `hostile.py`.

use std::fs;
use std::path::PathBuf;

use crate::{Authority, Elsewhere, Need, Result, Running, Stage, until};

/// A server that does to whoever connects what it is told to do.
#[derive(Debug)]
pub struct Hostile {
    running: Running,
    directory: PathBuf,
}

impl Hostile {
    /// What it needs of the machine.
    pub const NEEDS: [Need; 1] = [Need::Program("python3", "python3")];

    /// A server of web pages on `evil.test`, without TLS. `deed` is one of `hostile.py`.
    ///
    /// # Errors
    /// If it does not listen.
    pub fn web(stage: &Stage, elsewhere: &Elsewhere, deed: &str) -> Result<Self> {
        Self::start(stage, elsewhere, &["web", Elsewhere::EVIL, "80"], deed)
    }

    /// The same with TLS at port 443, as this authority certifies.
    ///
    /// # Errors
    /// If it does not listen.
    pub fn secure_web(stage: &Stage, elsewhere: &Elsewhere, authority: &Authority, deed: &str) -> Result<Self> {
        let (certificate, key) = (authority.certificate.display().to_string(), authority.key.display().to_string());
        Self::start(stage, elsewhere, &["web", Elsewhere::EVIL, "443", &certificate, &key], deed)
    }

    /// A server of IMAP on `evil.test`, without TLS, which hands on what that on `mail.test` says, unless it does something
    /// else.
    ///
    /// # Errors
    /// If it does not listen.
    pub fn imap(stage: &Stage, elsewhere: &Elsewhere, deed: &str) -> Result<Self> {
        Self::start(stage, elsewhere, &["imap", Elsewhere::EVIL, "143", Elsewhere::MAIL], deed)
    }

    fn start(stage: &Stage, elsewhere: &Elsewhere, words: &[&str], deed: &str) -> Result<Self> {
        let name = format!("hostile-{}", words.get(..3).unwrap_or_default().join("-"));
        let directory = stage.path(&name);
        fs::create_dir_all(&directory)?;
        fs::write(directory.join("page"), "")?;
        let mut command = elsewhere.host.command("python3");
        command.args(["-c", include_str!("hostile.py")]).arg(&directory).args(words);
        fs::write(directory.join("deed"), deed)?;
        let mut running = Running::start(command, &directory.join("log"))?;
        running.until_says("listening")?;
        Ok(Self { running, directory })
    }

    /// What it does to who connects from now on.
    ///
    /// # Errors
    /// If that cannot be written.
    pub fn does(&self, deed: &str) -> Result {
        let fresh = self.directory.join("fresh");
        fs::write(&fresh, deed)?;
        Ok(fs::rename(fresh, self.directory.join("deed"))?)
    }

    /// The page that it has when it is `good`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn has(&self, page: impl AsRef<[u8]>) -> Result {
        let fresh = self.directory.join("fresh");
        fs::write(&fresh, page)?;
        Ok(fs::rename(fresh, self.directory.join("page"))?)
    }

    /// How often it has done something.
    ///
    /// # Errors
    /// If its log is gone.
    pub fn done(&self, deed: &str) -> Result<usize> {
        Ok(self.running.log()?.lines().filter(|line| *line == deed).count())
    }

    /// Waits until it has done something so many times.
    ///
    /// # Errors
    /// If it does not come to that.
    pub fn until_done(&self, deed: &str, times: usize) -> Result {
        until(&format!("{deed} is done {times} times"), || Ok(self.done(deed)? >= times))
    }
}
