//! The wall clock.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::finding::Findings;
use crate::daemon::Place;

const ABOUT: &str = "clock";
/// No Klopf is older.
const YEAR: u64 = 2024;
const DAY: u64 = 86_400;

pub(super) fn check(place: &Place, findings: &mut Findings) {
    let now = klopf_sys::clock::wall_ms() / 1000;
    let newest = [place.config.as_path(), Path::new("/proc/self/exe")].into_iter().filter_map(written).max();
    let minute = klopf_sys::clock::local_minute();
    let set = "set it: timedatectl set-ntp true, or chronyd, or date -s";
    if let Some(why) = off(now, newest) {
        return findings.wrong(ABOUT, format!("it is {minute} by the clock, {why}"), set);
    }
    let told = fs::exists("/run/systemd/timesync/synchronized").unwrap_or(false);
    if told || klopf_sys::clock::synchronised() == Some(true) {
        findings.fine(ABOUT, format!("{minute}, kept right"));
    } else {
        findings.fine(ABOUT, format!("{minute}; nobody keeps it right, but sequences need no clock"));
    }
}

fn written(path: &Path) -> Option<u64> {
    let since = fs::metadata(path).ok()?.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH);
    since.ok().as_ref().map(Duration::as_secs)
}

/// Why the clock cannot be right; seconds since 1970.
fn off(now: u64, newest: Option<u64>) -> Option<String> {
    if now < (YEAR - 1970) * 365 * DAY {
        return Some(format!("and Klopf was written in {YEAR} or later"));
    }
    let ahead = newest?.checked_sub(now)?;
    (ahead > DAY).then(|| format!("but its own files are {} days newer", ahead / DAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_off_before_klopf_or_its_files() {
        let now = 1_790_000_000;
        assert_eq!(off(now, Some(now + DAY)), None);
        assert_eq!(off(now, Some(now - 900 * DAY)), None);
        assert!(off(now, Some(now + 3 * DAY)).unwrap().contains("3 days"));
        assert!(off(100, None).is_some());
    }
}
