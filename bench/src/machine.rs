//! On what, when and with which versions a measurement was made.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;

use serde::{Deserialize, Serialize};

use crate::contender::fwknop::Fwknop;
use crate::contender::{kernel, knockd};

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) processor: String,
    pub(crate) memory_mb: u64,
    pub(crate) kernel: String,
    /// Whether it is a virtual machine.
    pub(crate) virtual_machine: bool,
    /// The averages of the load when it began.
    pub(crate) load: String,
    /// The day, as 2027-01-31.
    pub(crate) day: String,
    pub(crate) klopf: String,
    /// Those of other programs.
    pub(crate) peers: Vec<String>,
    pub(crate) rounds: u16,
    pub(crate) debug: bool,
}

impl Machine {
    /// This one, now.
    pub(crate) fn here(bin: &Path, rounds: u16) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpu = read("/proc/cpuinfo");
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let memory = read("/proc/meminfo");
        let kilobytes = memory
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        let peers = [knockd::version(Path::new(knockd::PROGRAM)), Fwknop::version(), kernel::version()];
        Self {
            cores: available_parallelism().map_or(0, usize::from),
            processor: model.map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned()),
            memory_mb: kilobytes.unwrap_or_default() / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            virtual_machine: cpu.lines().any(|line| line.starts_with("flags") && line.contains(" hypervisor")),
            load: read("/proc/loadavg").split_whitespace().take(3).collect::<Vec<_>>().join(" "),
            day: said(Command::new("date").args(["-u", "+%Y-%m-%d"])),
            klopf: said(Command::new(bin.join("klopf")).arg("--version")),
            peers: peers.into_iter().flatten().collect(),
            rounds,
            debug: cfg!(debug_assertions),
        }
    }

    /// In a line.
    pub(crate) fn line(&self) -> String {
        let kind = if self.virtual_machine { "a virtual machine" } else { "a machine" };
        format!(
            "{kind} with {} cores ({}), {} MB, Linux {}; {}; {}",
            self.cores,
            self.processor,
            self.memory_mb,
            self.kernel,
            self.klopf,
            self.peers.join("; ")
        )
    }
}

/// The first line that a command says.
fn said(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).lines().next().unwrap_or_default().to_owned()
}
