//! Clocks, random bytes, and what tells one boot from another.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds of the monotonic clock.
#[must_use]
pub fn monotonic_ms() -> u64 {
    milliseconds(ClockId::Monotonic)
}

/// Milliseconds since boot, time asleep included.
#[must_use]
pub fn boot_ms() -> u64 {
    milliseconds(ClockId::Boottime)
}

/// Microseconds for which this thread has run.
#[must_use]
pub fn worked_us() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1000
}

/// Milliseconds since 1970 UTC by the wall clock, 0 before that.
#[must_use]
pub fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A text that no two boots of a host share (random(4)); empty where the kernel does not tell.
#[must_use]
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Whether somebody keeps the wall clock right, as far as the kernel was told; none if it does not tell.
#[must_use]
pub fn synchronised() -> Option<bool> {
    // SAFETY: all-zero is a valid timex, which asks and changes nothing; it lives through the call.
    let state = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        libc::adjtimex(&raw mut timex)
    };
    // TIME_ERROR: STA_UNSYNC, or a fault of the clock that the kernel is steered by.
    (state >= 0).then_some(state != libc::TIME_ERROR)
}

/// Random bytes from the kernel.
///
/// # Errors
/// As getrandom(2).
pub fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let length = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    if length == N { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// The local time as `YYYY-MM-DD HH:MM`, of the time zone the host is set to.
#[must_use]
pub fn local_minute() -> String {
    let second = local_second();
    second.get(..16).unwrap_or(&second).to_owned()
}

/// Minutes since the beginning of Monday, local time; 0 to 10,079. The first call of a process reads the host's time
/// zone from a file, later ones do not.
#[must_use]
pub fn minute_of_week() -> u16 {
    let now = local();
    let minutes = (now.tm_wday + 6) % 7 * 1440 + now.tm_hour * 60 + now.tm_min;
    u16::try_from(minutes).unwrap_or(0)
}

fn local() -> libc::tm {
    let now = libc::time_t::try_from(wall_ms() / 1000).unwrap_or(0);
    // SAFETY: all-zero is a valid tm; both pointers are to values that live through the call.
    unsafe {
        let mut tm: libc::tm = std::mem::zeroed();
        libc::localtime_r(&raw const now, &raw mut tm);
        tm
    }
}

/// The local time as `YYYY-MM-DD HH:MM:SS`.
#[must_use]
pub fn local_second() -> String {
    let tm = local();
    let (year, month) = (tm.tm_year + 1900, tm.tm_mon + 1);
    format!("{year:04}-{month:02}-{:02} {:02}:{:02}:{:02}", tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec)
}

fn milliseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    part(now.tv_sec) * 1000 + part(now.tv_nsec) / 1_000_000
}
