//! What a process and all its descendants have used, from /proc.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

/// A process and its descendants at one moment.
#[derive(Default)]
pub(crate) struct Tree {
    pids: HashSet<u32>,
    ticks: u64,
    /// One of them is on a CPU or waits for one.
    pub(crate) running: bool,
}

/// Peak memory in kilobytes. In `pss` a page that n processes share counts 1/n for each, in `rss` once for each.
#[derive(Clone, Copy, Default)]
pub(crate) struct Memory {
    pub(crate) pss: u64,
    pub(crate) rss: u64,
}

impl Tree {
    pub(crate) fn of(root: u32) -> io::Result<Self> {
        let mut all: Vec<Stat> = fs::read_dir("/proc")?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(|pid| Stat::parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?))
            .collect();
        let mut tree = Self { pids: HashSet::from([root]), ..Self::default() };
        // A child may have a lower number than its parent, so go on until a pass finds no more.
        loop {
            let found = all.extract_if(.., |stat| stat.pid == root || tree.pids.contains(&stat.parent));
            let found: Vec<Stat> = found.collect();
            if found.is_empty() {
                return Ok(tree);
            }
            for stat in found {
                tree.pids.insert(stat.pid);
                tree.ticks += stat.ticks;
                tree.running |= stat.running;
            }
        }
    }

    /// CPU time, user and system, of the tree and of the children it has waited for.
    pub(crate) fn cpu(&self) -> Duration {
        let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|n| u64::try_from(n).ok());
        Duration::from_millis(self.ticks * 1000 / per_second.unwrap_or(100).max(1))
    }

    /// CPU time of all that are there now, to the nanosecond where the kernel tells.
    pub(crate) fn running_time(&self) -> Duration {
        let threads = |pid: &u32| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let of = |path: PathBuf| -> Option<u64> {
            fs::read_to_string(path.join("schedstat")).ok()?.split_whitespace().next()?.parse().ok()
        };
        Duration::from_nanos(self.pids.iter().flat_map(threads).filter_map(|thread| of(thread.path())).sum())
    }

    pub(crate) fn memory(&self) -> Memory {
        self.pids
            .iter()
            .filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok())
            .map(|text| Memory::parse(&text))
            .fold(Memory::default(), |sum, one| Memory { pss: sum.pss + one.pss, rss: sum.rss + one.rss })
    }
}

impl Memory {
    pub(crate) fn max(self, other: Self) -> Self {
        Self { pss: self.pss.max(other.pss), rss: self.rss.max(other.rss) }
    }

    fn parse(rollup: &str) -> Self {
        let value = |key| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        Self { pss: value("Pss:"), rss: value("Rss:") }
    }
}

struct Stat {
    pid: u32,
    parent: u32,
    running: bool,
    ticks: u64,
}

impl Stat {
    /// One line of /proc/PID/stat, proc_pid_stat(5). The name may hold anything, so start behind its last bracket.
    fn parse(pid: u32, line: &str) -> Option<Self> {
        let mut fields = line.rsplit_once(')')?.1.split_whitespace();
        let running = fields.next()? == "R";
        let parent = fields.next()?.parse().ok()?;
        // utime, stime, and both of the children it has waited for.
        let times: Option<Vec<u64>> = fields.skip(9).take(4).map(|field| field.parse().ok()).collect();
        times.filter(|times| times.len() == 4).map(|times| Self { pid, parent, running, ticks: times.iter().sum() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_survives_a_name_with_brackets() {
        let line = "7 (a) R 1 (b) R 5 7 7 0 -1 4194304 1 2 3 4 10 20 300 4000 20 0 1 0 99 1 1";
        let stat = Stat::parse(7, line).unwrap();
        assert_eq!((stat.parent, stat.running, stat.ticks), (5, true, 4330));
        assert!(Stat::parse(7, "7 (a) S 1 7").is_none());
    }

    #[test]
    fn memory_reads_its_two_lines() {
        let text = "55-7f ---p 0 00:00 0 [rollup]\nRss:     2048 kB\nPss:     1024 kB\nPss_Dirty:   9 kB\n";
        let memory = Memory::parse(text);
        assert_eq!((memory.rss, memory.pss), (2048, 1024));
    }

    #[test]
    fn a_tree_holds_children() {
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let tree = Tree::of(std::process::id()).unwrap();
        assert!(tree.pids.contains(&child.id()) && tree.memory().rss > 0);
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
