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
    pub(super) fn finish(mut self, why: Finished) -> Finished {
        self.hear();
        if !matches!(why, Finished::Failed | Finished::Unguarded) {
            self.face.tell(&Event::Stopping);
        }
        self.watching.stop();
        self.courier.dismiss();
        self.dismiss_logs();
        let begun = clock::boot_ms();
        self.gate.close_all(begun);
        let mut hanging_closed = false;
        loop {
            self.reap();
            let passed = clock::boot_ms().saturating_sub(begun);
            let nothing_left = self.gate.running() == 0 && self.gate.leases() == 0 && !self.watching.alive();
            let nothing_left = nothing_left && !self.courier.alive();
            if nothing_left || passed >= ALL {
                break;
            }
            if passed >= OPENING && !std::mem::replace(&mut hanging_closed, true) {
                self.gate.close_hanging(clock::boot_ms());
                self.tell_gate();
            }
            let most = if hanging_closed { ALL } else { OPENING };
            let signals = Wait { fd: self.signals.as_fd(), write: false };
            let fds = [signals, Wait { fd: self.gate.fd(), write: false }];
            let _ = wait(fds, Some(Duration::from_millis(most.saturating_sub(passed))));
            self.gate.listen();
            if self.told_again() {
                break;
            }
        }
        // Nothing is heard from the watch any more, so no mark follows.
        self.replay.end();
        let left = (self.gate.running(), self.gate.leases());
        if left != (0, 0) {
            self.face.tell(&Event::Left { running: left.0, open: left.1 });
        }
        self.face.work();
        if let Some(path) = self.pid_file.as_ref().filter(|_| self.ready) {
            let _ = std::fs::remove_file(path);
        }
        if let Some(directory) = self.runtime_dir.as_ref().filter(|_| self.control.is_some()) {
            let _ = std::fs::remove_file(directory.join(klopf_gate::PID_FILE));
        }
        self.face.tell(&Event::Stopped);
        self.gate.finish();
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
