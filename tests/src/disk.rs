//! Disks for the state that take nothing, or not for long.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Command;

use crate::{Daemon, Need, Result, Running, Stage, ensure};

/// Mount a small disk at the directory `$0`, and keep it.
const SMALL: &str = "mount -t tmpfs -o size=64k tmpfs \"$0\" && echo mounted && exec sleep infinity";

/// A small disk for the state, in a mount namespace where daemons come and go.
#[derive(Debug)]
pub struct Disk {
    holder: Running,
    state: PathBuf,
}

impl Disk {
    /// What it needs of the machine.
    pub const NEEDS: [Need; 1] = [Need::Program("nsenter", "util-linux")];
    /// A command of the shell that mounts a full disk at the directory `$0` and executes the rest.
    pub const FULL: &str =
        "mount -t tmpfs -o size=64k tmpfs \"$0\" && { cat /dev/zero > \"$0/full\" 2> /dev/null; exec \"$@\"; }";
    /// The same with one that cannot be written.
    pub const READ_ONLY: &str = "mount -t tmpfs -o ro tmpfs \"$0\" && exec \"$@\"";

    /// An empty one, which goes with its stage.
    ///
    /// # Errors
    /// If it cannot be mounted.
    pub fn mount(stage: &Stage) -> Result<Self> {
        let state = stage.path("state");
        fs::create_dir(&state)?;
        let mut command = stage.server.daemon("sh");
        command.args(["-c", SMALL]).arg(&state);
        let mut holder = Running::start(command, &stage.path("disk.out"))?;
        holder.until_says("mounted")?;
        Ok(Self { holder, state })
    }

    /// Starts `klopfd` with it, and waits until it is ready.
    ///
    /// # Errors
    /// If it does not come to that.
    pub fn start(&self, stage: &Stage) -> Result<Running> {
        Daemon::Klopfd.start_under(stage, &["nsenter", &format!("--mount=/proc/{}/ns/mnt", self.holder.pid())])
    }

    /// Makes it `ro`, or `rw` again.
    ///
    /// # Errors
    /// If a file is open for writing on it, for one.
    pub fn remount(&self, option: &str) -> Result {
        let pid = self.holder.pid().to_string();
        let mut command = Command::new("nsenter");
        command.args(["-t", &pid, "-m", "mount", "-o", &format!("remount,{option}")]).arg(&self.state);
        let done = command.output()?;
        ensure!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
        Ok(())
    }

    /// What takes the room.
    fn ballast(&self) -> String {
        format!("/proc/{}/root{}/full", self.holder.pid(), self.state.display())
    }

    /// Takes all room that is left.
    ///
    /// # Errors
    /// If it can still be written.
    pub fn fill(&self) -> Result {
        let fault = fs::write(self.ballast(), [0; 1 << 20]).err();
        ensure!(fault.as_ref().is_some_and(|fault| fault.kind() == ErrorKind::StorageFull), "not full: {fault:?}");
        Ok(())
    }

    /// Gives that room back.
    ///
    /// # Errors
    /// If it was not taken.
    pub fn make_room(&self) -> Result {
        Ok(fs::remove_file(self.ballast())?)
    }
}
