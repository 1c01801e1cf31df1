//! `klopf check`: what the daemon would say about a file.

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::process::ExitCode;

use klopf_config::Check;

use crate::cli::fail;
use crate::say;

/// The daemon's own file.
pub(crate) const NATIVE: &str = "/etc/klopf/klopf.toml";
const KNOCKD: &str = "/etc/knockd.conf";

pub(crate) fn run(file: Option<&Path>) -> ExitCode {
    let (name, text) = match file {
        Some(path) if path == Path::new("-") => ("stdin.toml".to_owned(), stdin()),
        Some(path) => (path.display().to_string(), fs::read(path)),
        None => default_file(),
    };
    match text {
        Ok(text) => report(&name, &text),
        Err(error) => fail(format_args!("cannot read {name}: {error}; {}", mend(&error, "klopf check FILE")), 66),
    }
}

fn stdin() -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text)?;
    Ok(text)
}

/// The file the daemon would take.
fn default_file() -> (String, io::Result<Vec<u8>>) {
    match fs::read(NATIVE) {
        Err(error) if error.kind() == ErrorKind::NotFound => match fs::read(KNOCKD) {
            Err(error) if error.kind() == ErrorKind::NotFound => (format!("{NATIVE} or {KNOCKD}"), Err(error)),
            text => (KNOCKD.to_owned(), text),
        },
        text => (NATIVE.to_owned(), text),
    }
}

/// What to do about a file that cannot be read; `how` names another one.
pub(crate) fn mend(error: &io::Error, how: &str) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => "run it as a user who may, such as root".to_owned(),
        ErrorKind::NotFound => format!("name the file: {how}"),
        _ => format!("name a readable file: {how}"),
    }
}

fn report(name: &str, text: &[u8]) -> ExitCode {
    let Check { faults, warnings, doors } = klopf_config::check(name, text);
    for note in faults.iter().chain(&warnings) {
        // Reaches terminals in colour; anything else gets it without.
        say(format_args!("{}\n", note.coloured()));
    }
    let mut findings = Vec::new();
    findings.extend(count(faults.len(), "fault"));
    if faults.is_empty() {
        findings.push("fine".to_owned());
        findings.push(count(doors, "door").unwrap_or_else(|| "no doors".to_owned()));
    }
    findings.extend(count(warnings.len(), "warning"));
    say(format_args!("{name}: {}", findings.join(", ")));
    if faults.is_empty() { ExitCode::SUCCESS } else { 78.into() }
}

/// `2 doors`, or nothing for none.
fn count(number: usize, what: &str) -> Option<String> {
    match number {
        0 => None,
        1 => Some(format!("1 {what}")),
        _ => Some(format!("{number} {what}s")),
    }
}
