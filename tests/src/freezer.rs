//! Processes that hang, and are not stopped, so that their parents hear of nothing.

use std::fs;
use std::path::PathBuf;

use crate::{Result, Stage, until};

/// A control group whose processes do not run on. It goes with its stage.
#[derive(Debug)]
pub struct Freezer(PathBuf);

impl Freezer {
    /// An empty one.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn set(stage: &Stage) -> Result<Self> {
        let name = stage.path("").file_name().ok_or("no name")?.to_owned();
        let group = groups().ok_or("no control groups")?.join(name);
        fs::create_dir(&group)?;
        Ok(Self(group))
    }

    /// Freezes a process; it can still be killed.
    ///
    /// # Errors
    /// If it cannot be put here.
    pub fn freeze(&self, pid: u32) -> Result {
        fs::write(self.0.join("cgroup.procs"), pid.to_string())?;
        fs::write(self.0.join("cgroup.freeze"), "1")?;
        until("it is frozen", || Ok(fs::read_to_string(self.0.join("cgroup.events"))?.contains("frozen 1")))
    }
}

/// Where control groups of version 2 can be made.
pub(crate) fn groups() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (place, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
        (kind == "cgroup2" && options.split(',').any(|option| option == "rw")).then(|| place.into())
    })
}
