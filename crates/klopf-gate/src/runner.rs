//! Running commands, and what they print.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use klopf_sys::{Output, Outputs, PassOn};

use crate::Command;

/// Outputs of ended commands that somebody still writes to; with more, the oldest is left alone.
const MOST_LEFT_BEHIND: usize = 256;

/// What a command is run for.
pub(crate) struct Running {
    pub(crate) door: String,
    pub(crate) address: IpAddr,
    pub(crate) opens: bool,
    /// Of which steps it is one.
    pub(crate) steps: u64,
}

/// Starts commands and keeps what they print.
pub(crate) struct Runner {
    running: HashMap<u32, (Running, Vec<(u64, Output)>)>,
    /// Whether what commands print is passed on to the daemon's own outputs.
    pass_on: bool,
    outputs: Outputs,
    next_output: u64,
    left_behind: BTreeMap<u64, Output>,
}

impl Runner {
    pub(crate) fn new(pass_on: bool) -> io::Result<Self> {
        let outputs = Outputs::new()?;
        Ok(Self { running: HashMap::new(), pass_on, outputs, next_output: 0, left_behind: BTreeMap::new() })
    }

    /// Starts a command.
    pub(crate) fn start(&mut self, command: &Command, running: Running) -> io::Result<()> {
        let outputs = self.outputs()?;
        let ends = outputs.first().zip(outputs.last()).ok_or(io::ErrorKind::InvalidInput)?;
        let pid = command.start(&running.door, running.address, &ends.0.1, &ends.1.1)?;
        self.running.insert(pid, (running, outputs));
        Ok(())
    }

    /// Takes in that a process has ended: what it was run for and the end of what it printed, if it was one of these.
    pub(crate) fn ended(&mut self, pid: u32) -> Option<(Running, Vec<u8>)> {
        let (running, outputs) = self.running.remove(&pid)?;
        let printed: Vec<Vec<u8>> = outputs.into_iter().map(|output| self.leave(output)).collect();
        // What it complained of says more than what it said.
        Some((running, printed.into_iter().rfind(|printed| !printed.is_empty()).unwrap_or_default()))
    }

    /// Takes in what commands print.
    pub(crate) fn listen(&mut self) {
        for number in self.outputs.ready() {
            let of_running = self.running.values_mut().flat_map(|(_, outputs)| outputs);
            match of_running.into_iter().find(|(own, _)| *own == number) {
                // Its end is the command's end.
                Some((_, output)) => drop(output.drain()),
                None if self.left_behind.get_mut(&number).is_some_and(Output::drain) => {}
                None => drop(self.left_behind.remove(&number)),
            }
        }
    }

    /// What runs.
    pub(crate) fn running(&self) -> impl Iterator<Item = &Running> + Clone {
        self.running.values().map(|(running, _)| running)
    }

    /// What to wait for; [`Runner::listen`] when it is ready.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.outputs.as_fd()
    }

    /// The end of what a command printed. What it left behind is read on, so that it need not wait.
    fn leave(&mut self, (number, mut output): (u64, Output)) -> Vec<u8> {
        let tail = output.ended().to_vec();
        self.left_behind.insert(number, output);
        if self.left_behind.len() > MOST_LEFT_BEHIND {
            self.left_behind.pop_first();
        }
        tail
    }

    /// Places for what a command prints.
    fn outputs(&mut self) -> io::Result<Vec<(u64, Output)>> {
        let kinds: &[PassOn] = if self.pass_on { &[PassOn::Stdout, PassOn::Stderr] } else { &[PassOn::Not] };
        let mut outputs = Vec::new();
        for &kind in kinds {
            let output = Output::new(kind)?;
            self.next_output += 1;
            self.outputs.add(&output, self.next_output)?;
            outputs.push((self.next_output, output));
        }
        Ok(outputs)
    }
}
