//! What a process and all its descendants use, from /proc.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

/// A process and its descendants at one moment.
#[derive(Default)]
pub(crate) struct Tree {
    pids: HashSet<u32>,
    /// Of CPU, of children that have ended and were waited for.
    ticks: u64,
    running: Duration,
    /// How often one of their threads has gone to sleep by itself, and so was woken up.
    pub(crate) wakeups: u64,
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
                break;
            }
            for stat in found {
                tree.pids.insert(stat.pid);
                tree.ticks += stat.ticks;
            }
        }
        let threads = |pid: &u32| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let threads: Vec<PathBuf> = tree.pids.iter().flat_map(threads).map(|thread| thread.path()).collect();
        tree.running = Duration::from_nanos(threads.iter().filter_map(|thread| running(thread)).sum());
        tree.wakeups = threads.iter().filter_map(|thread| wakeups(thread)).sum();
        Ok(tree)
    }

    /// CPU time: to the nanosecond of all that are there now, to the hundredth of a second of children that were waited for.
    pub(crate) fn cpu(&self) -> Duration {
        let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|n| u64::try_from(n).ok());
        self.running + Duration::from_millis(self.ticks * 1000 / per_second.unwrap_or(100).max(1))
    }

    /// Memory in megabytes (PSS): a page that n processes share counts 1/n for each.
    pub(crate) fn megabytes(&self) -> f64 {
        let rollups = self.pids.iter().filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok());
        rollups.map(|text| pss(&text)).sum::<u64>() as f64 * 1024.0 / 1e6
    }
}

/// Nanoseconds that a thread was on a CPU.
fn running(thread: &Path) -> Option<u64> {
    fs::read_to_string(thread.join("schedstat")).ok()?.split_whitespace().next()?.parse().ok()
}

fn wakeups(thread: &Path) -> Option<u64> {
    let text = fs::read_to_string(thread.join("status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse().ok()
}

/// Kilobytes.
fn pss(rollup: &str) -> u64 {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

struct Stat {
    pid: u32,
    parent: u32,
    /// Of the children it has waited for.
    ticks: u64,
}

impl Stat {
    /// One line of /proc/PID/stat, proc_pid_stat(5). The name may hold anything, so start behind its last bracket.
    fn parse(pid: u32, line: &str) -> Option<Self> {
        let mut fields = line.rsplit_once(')')?.1.split_whitespace().skip(1);
        let parent = fields.next()?.parse().ok()?;
        // cutime and cstime.
        let times: Option<Vec<u64>> = fields.skip(11).take(2).map(|field| field.parse().ok()).collect();
        times.filter(|times| times.len() == 2).map(|times| Self { pid, parent, ticks: times.iter().sum() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_survives_a_name_with_brackets() {
        let line = "7 (a) R 1 (b) R 5 7 7 0 -1 4194304 1 2 3 4 10 20 300 4000 20 0 1 0 99 1 1";
        let stat = Stat::parse(7, line).unwrap();
        assert_eq!((stat.parent, stat.ticks), (5, 4300));
        assert!(Stat::parse(7, "7 (a) S 1 7").is_none());
    }

    #[test]
    fn memory_is_the_line_of_all_that_is_shared_out() {
        assert_eq!(pss("55-7f ---p 0 00:00 0 [rollup]\nRss:     2048 kB\nPss:     1024 kB\nPss_Dirty:   9 kB\n"), 1024);
    }

    #[test]
    fn a_tree_holds_children() {
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let tree = Tree::of(std::process::id()).unwrap();
        assert!(tree.pids.contains(&child.id()) && tree.megabytes() > 0.0 && tree.cpu() > Duration::ZERO);
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
