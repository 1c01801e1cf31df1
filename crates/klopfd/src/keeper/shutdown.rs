//! The end: what is open is closed, commands are waited for, but not for ever.

use std::os::fd::AsFd;
use std::time::Duration;

use klopf_sys::{Signal, Wait, clock, wait};

use super::{Finished, Keeper};
use crate::face::{Event, Face};

/// Milliseconds that opening commands may still take before their doors are closed.
const OPENING: u64 = 3000;
/// Milliseconds that all commands may take.
const ALL: u64 = 6000;

impl<F: Face> Keeper<'_, F> {
    /// Closes what is open and ends.
    pub(super) fn finish(&mut self, why: Finished) -> Finished {
        self.hear();
        if why != Finished::Failed {
            self.face.tell(&Event::Stopping);
        }
        self.watching.stop();
        let begun = clock::boot_ms();
        self.gate.close_all(begun);
        let mut hanging_closed = false;
        loop {
            self.reap();
            let passed = clock::boot_ms().saturating_sub(begun);
            if (self.gate.running() == 0 && !self.watching.alive()) || passed >= ALL {
                break;
            }
            if passed >= OPENING && !std::mem::replace(&mut hanging_closed, true) {
                self.gate.close_hanging(clock::boot_ms());
                self.tell_gate();
            }
            let most = if hanging_closed { ALL } else { OPENING };
            let fds = [Wait { fd: self.signals.as_fd(), write: false }];
            let _ = wait(fds, Some(Duration::from_millis(most.saturating_sub(passed))));
            if self.told_again() {
                break;
            }
        }
        if self.gate.running() > 0 {
            self.face.tell(&Event::LeftRunning(self.gate.running()));
        }
        self.face.work();
        if let Some(path) = self.pid_file.as_ref().filter(|_| self.ready) {
            let _ = std::fs::remove_file(path);
        }
        self.face.tell(&Event::Stopped);
        why
    }

    /// Whether somebody has lost patience.
    fn told_again(&self) -> bool {
        let mut again = false;
        while let Some(signal) = self.signals.next() {
            again |= matches!(signal, Signal::Interrupt | Signal::Terminate);
        }
        again
    }
}
