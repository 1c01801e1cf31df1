//! A wall clock that can be set, for the server's daemon and all its processes.

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::Command;

use crate::{Daemon, Need, Result, Running, Stage, ensure, now_ms};

/// Puts the library `$0` into all programs that start here, and executes the rest. The watch is started with no environment,
/// so it takes `/etc/ld.so.preload`; `/run` is this daemon's own.
const PRELOAD: &str = "mkdir /run/etc && cp -a /etc/. /run/etc && echo \"$0\" > /run/etc/ld.so.preload && \
     mount --bind /run/etc /etc && exec \"$@\"";

/// The clock of one stage. It goes on, as the real one does.
#[derive(Debug)]
pub struct Clock {
    /// Where the programs read how many seconds it is ahead of the real one.
    file: File,
    ahead: Cell<i64>,
    library: String,
}

impl Clock {
    /// What it needs of the machine.
    pub const NEEDS: [Need; 1] = [Need::Program("cc", "gcc")];

    /// A clock that is right.
    ///
    /// # Errors
    /// If it cannot be built.
    pub fn make(stage: &Stage) -> Result<Self> {
        let (source, library) = (stage.write("clock.c", include_str!("clock.c"))?, stage.path("clock.so"));
        let path = stage.path("clock");
        let file = File::options().create_new(true).write(true).open(&path)?;
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror"])
            .arg(format!("-DAHEAD={:?}", path.display().to_string()));
        let done = cc.arg("-o").arg(&library).arg(source).arg("-ldl").output()?;
        ensure!(done.status.success(), "{cc:?}: {}", String::from_utf8_lossy(&done.stderr));
        let clock = Self { file, ahead: Cell::new(0), library: library.display().to_string() };
        clock.set(0)?;
        Ok(clock)
    }

    /// Sets it so many seconds ahead of the real one, or behind.
    ///
    /// # Errors
    /// If the file is gone.
    pub fn set(&self, seconds: i64) -> Result {
        self.ahead.set(seconds);
        Ok(self.file.write_all_at(&seconds.to_ne_bytes(), 0)?)
    }

    /// What it shows, in milliseconds since 1970.
    ///
    /// # Errors
    /// If it is before that.
    pub fn now_ms(&self) -> Result<u64> {
        Ok(now_ms()?.checked_add_signed(self.ahead.get() * 1000).ok_or("before 1970")?)
    }

    /// Starts `klopfd` with it, and waits until it is ready.
    ///
    /// # Errors
    /// If it does not come to that.
    pub fn start(&self, stage: &Stage) -> Result<Running> {
        Daemon::Klopfd.start_under(stage, &["sh", "-c", PRELOAD, &self.library])
    }
}
