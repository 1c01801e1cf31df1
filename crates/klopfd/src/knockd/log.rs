//! knockd's log: a file, the system log, standard output, each as 0.8 writes it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use klopf_sys::{User, clock, syslog};

use crate::keeper::reason;
use crate::names::Names;
use crate::native::escaped;

/// Bytes of a message at most.
const MOST: usize = 1023;

/// A line of the log.
#[derive(Clone, Debug)]
pub(super) struct Line {
    address: Option<IpAddr>,
    text: String,
    /// Whether an empty line follows it in the file.
    blank: bool,
}

impl Line {
    /// A line about no address.
    pub(super) fn text(text: String) -> Self {
        Self { address: None, text, blank: false }
    }

    /// A line that begins with an address, and its name where names are looked up.
    pub(super) fn of(address: IpAddr, text: String) -> Self {
        Self { address: Some(address), text, blank: false }
    }

    pub(super) fn with_blank(self) -> Self {
        Self { blank: true, ..self }
    }

    /// The line without a name in it.
    pub(super) fn plain(&self) -> String {
        self.named(None)
    }

    fn named(&self, name: Option<&str>) -> String {
        let text = match (self.address.map(address_text), name) {
            (Some(address), Some(name)) => format!("{address} ({name}): {}", self.text),
            (Some(address), None) => format!("{address}: {}", self.text),
            (None, _) => self.text.clone(),
        };
        let text = escaped(&text);
        let end = (0..=MOST.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.split_at(end).0.to_owned()
    }
}

/// An address as inet_ntop(3) writes it, in logs and commands: unlike Rust it ends `::10.1.2.3` as IPv4 does.
pub(super) fn address_text(address: IpAddr) -> String {
    match address {
        IpAddr::V6(v6) => match v6.segments() {
            [0, 0, 0, 0, 0, 0, 0, 0 | 1] => v6.to_string(),
            [0, 0, 0, 0, 0, 0, high, low] => format!("::{}", Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))),
            _ => v6.to_string(),
        },
        IpAddr::V4(v4) => v4.to_string(),
    }
}

/// Where lines go.
struct Sinks {
    path: Option<PathBuf>,
    file: Option<File>,
    syslog: bool,
    verbose: bool,
}

/// The log.
pub(super) struct Log {
    sinks: Sinks,
    names: Option<Names<(Line, Reach)>>,
}

/// How far a line goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Everywhere,
    /// Not to standard output.
    Quiet,
    /// To standard output only.
    Verbose,
}

impl Log {
    /// Opens the log. With a user, names are looked up by a helper that becomes it.
    pub(super) fn open(path: Option<PathBuf>, use_syslog: bool, verbose: bool, lookup: Option<User>) -> Self {
        if use_syslog {
            syslog::open(c"knockd");
        }
        let mut sinks = Sinks { path, file: None, syslog: use_syslog, verbose };
        sinks.open_file();
        Self { sinks, names: lookup.map(Names::start) }
    }

    /// Opens the file again, at another path if one is given; what is no longer asked for stays.
    pub(super) fn reopen(&mut self, path: Option<PathBuf>, use_syslog: bool) {
        let sinks = &mut self.sinks;
        if use_syslog && !sinks.syslog {
            syslog::open(c"knockd");
        }
        sinks.syslog |= use_syslog;
        let old = sinks.path.clone();
        sinks.path = path.or_else(|| old.clone());
        if let Some(old) = old.filter(|_| sinks.file.is_some()) {
            sinks.print(&format!("closing log file: {}", old.display()));
        }
        if let Some(path) = sinks.path.clone() {
            let text = format!("re-opening log file: {}", path.display());
            sinks.print(&text);
            sinks.to_syslog(&text);
            sinks.open_file();
        }
    }

    /// Writes a line everywhere.
    pub(super) fn write(&mut self, line: &Line) {
        self.then(line.clone(), Reach::Everywhere);
    }

    /// Writes a line to the file and the system log only.
    pub(super) fn quiet(&mut self, text: &str) {
        self.then(Line::text(text.to_owned()), Reach::Quiet);
    }

    /// Writes a line to standard output, if asked to be verbose.
    pub(super) fn verbose(&mut self, text: &str) {
        self.then(Line::text(text.to_owned()), Reach::Verbose);
    }

    pub(super) fn waits_for(&self) -> Option<BorrowedFd<'_>> {
        self.names.as_ref().and_then(Names::fd)
    }

    pub(super) fn next(&self) -> Option<u64> {
        self.names.as_ref().and_then(Names::next)
    }

    /// Writes the lines that have waited for names long enough.
    pub(super) fn work(&mut self) {
        let ready = self.names.as_mut().map(|names| names.ready(clock::monotonic_ms()));
        for ((line, reach), name) in ready.into_iter().flatten() {
            self.sinks.take(&line, name.as_deref(), reach);
        }
    }

    fn then(&mut self, line: Line, reach: Reach) {
        match &mut self.names {
            None => self.sinks.take(&line, None, reach),
            Some(names) => {
                names.hold(clock::monotonic_ms(), line.address, (line, reach));
                self.work();
            }
        }
    }
}

impl Sinks {
    fn take(&mut self, line: &Line, name: Option<&str>, reach: Reach) {
        let text = line.named(name);
        if reach != Reach::Quiet {
            self.print(&text);
        }
        if reach != Reach::Verbose {
            self.to_syslog(&text);
            self.add_to_file(&text, line.blank);
        }
    }

    fn open_file(&mut self) {
        let Some(path) = &self.path else { return };
        match OpenOptions::new().append(true).create(true).open(path) {
            Ok(file) => self.file = Some(file),
            Err(error) => {
                self.file = None;
                crate::say(&format!("warning: cannot open logfile: {}", reason(&error)));
            }
        }
    }

    fn print(&self, text: &str) {
        if self.verbose {
            crate::print(text);
        }
    }

    fn to_syslog(&self, text: &str) {
        if self.syslog {
            syslog::write(text);
        }
    }

    /// A full disk costs lines, and nothing else.
    fn add_to_file(&mut self, text: &str, blank: bool) {
        if let Some(file) = &mut self.file {
            let blank = if blank { "\n" } else { "" };
            let _ = file.write_all(format!("[{}] {text}\n{blank}", clock::local_minute()).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_by_the_c_library() {
        for text in ["192.0.2.7", "::", "::1", "::0.0.0.2", "::10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1", "fe80::1:2"]
        {
            let address = match text.strip_prefix("::").and_then(|v4| v4.parse::<Ipv4Addr>().ok()) {
                Some(v4) => IpAddr::from(u128::from(u32::from(v4)).to_be_bytes()),
                None => text.parse().unwrap(),
            };
            assert_eq!(address_text(address), text);
        }
    }
}
