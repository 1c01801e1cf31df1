//! The real rsyslog, which writes what the kernel logs into a file.

use std::fs::{self, File};
use std::path::PathBuf;

use crate::{Need, Result, Running, Stage, until};

/// An rsyslogd that reads the kernel's ring and writes lines with a word in them.
#[derive(Debug)]
pub struct Rsyslog {
    /// The file.
    pub log: PathBuf,
    running: Running,
}

impl Rsyslog {
    /// What it needs of the machine.
    pub const NEEDS: [Need; 2] = [Need::Program("rsyslogd", "rsyslog"), Need::KernelLog];

    /// Starts it and waits until it writes. What the kernel logs of other namespaces has to be allowed by then, see
    /// [`KernelLog`].
    ///
    /// # Errors
    /// If it does not come to that.
    pub fn start(stage: &Stage, word: &str) -> Result<Self> {
        let log = stage.path("kern.log");
        let config = stage.write(
            "rsyslog.conf",
            &format!(
                "global(workDirectory=\"{}\")\nmodule(load=\"imkmsg\")\n\
                 if $msg contains \"{word}\" then action(type=\"omfile\" file=\"{}\" fileCreateMode=\"0640\")\n",
                stage.path("").display(),
                log.display()
            ),
        )?;
        let mut command = stage.server.command("rsyslogd");
        command.arg("-n").arg("-f").arg(config).arg("-i").arg(stage.path("rsyslog.pid"));
        let running = Running::start(command, &stage.path("rsyslog.out"))?;
        // It reads the whole ring at first, so what is told to the ring now comes last.
        fs::write("/dev/kmsg", format!("{word}begins\n"))?;
        until("rsyslog writes", || Ok(fs::read_to_string(&log).is_ok_and(|text| text.contains("begins"))))?;
        Ok(Self { log, running })
    }

    /// Ends it.
    ///
    /// # Errors
    /// If it lives on.
    pub fn stop(self) -> Result {
        self.running.terminate().map(drop)
    }
}

/// As long as it lives the kernel logs what firewalls of all namespaces tell it to. There is one at a time.
#[derive(Debug)]
pub struct KernelLog {
    before: String,
    _alone: File,
}

impl KernelLog {
    /// The kernel's switch for that.
    pub(crate) const SWITCH: &str = "/proc/sys/net/netfilter/nf_log_all_netns";

    /// Switches it on.
    ///
    /// # Errors
    /// If the kernel has no such switch, or somebody else may touch it only.
    pub fn allow() -> Result<Self> {
        let alone = File::create(std::env::temp_dir().join("klopf-test-kernel-log"))?;
        alone.lock()?;
        let before = fs::read_to_string(Self::SWITCH)?;
        fs::write(Self::SWITCH, "1")?;
        Ok(Self { before, _alone: alone })
    }
}

impl Drop for KernelLog {
    fn drop(&mut self) {
        // Fails only where it could not be switched on, either.
        let _ = fs::write(Self::SWITCH, &self.before);
    }
}
