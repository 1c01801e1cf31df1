//! The system log, by the C library: ident, facility daemon, priority notice, no process id.

use std::ffi::{CStr, CString};

/// Opens the log under a name. The name is kept for ever, as openlog(3) asks.
pub fn open(name: &'static CStr) {
    // SAFETY: `name` is a C string that lives for ever.
    unsafe { libc::openlog(name.as_ptr(), 0, libc::LOG_DAEMON) };
}

/// Writes a line; what stands behind a zero byte is left out.
pub fn write(line: &str) {
    let line = line.split('\0').next().unwrap_or_default();
    let Ok(text) = CString::new(line) else { return };
    // SAFETY: a constant format with one string argument, which lives through the call.
    unsafe { libc::syslog(libc::LOG_NOTICE | libc::LOG_DAEMON, c"%s".as_ptr(), text.as_ptr()) };
}
