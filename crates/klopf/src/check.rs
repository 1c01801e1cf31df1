//! `klopf check`: what the daemon would say about a file.

mod logs;

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use klopf_config::Check;
use klopf_files::{Files, NoServerKey, SourceFiles, Unreadable};

use crate::cli::fail;
use crate::say;

/// The daemon's own file.
pub(crate) const NATIVE: &str = "/etc/klopf/klopf.toml";
pub(crate) const KNOCKD: &str = "/etc/knockd.conf";

pub(crate) fn run(file: Option<&Path>) -> ExitCode {
    match file {
        Some(path) if path == Path::new("-") => match stdin() {
            Ok(text) => report("stdin.toml", klopf_config::check("stdin.toml", &text), &[], 0),
            Err(error) => unreadable(Path::new("standard input"), &error),
        },
        Some(path) => check(path),
        None => default_file(),
    }
}

/// A file, and the keys beside it if it is in the native format.
fn check(path: &Path) -> ExitCode {
    let name = path.display().to_string();
    if !klopf_config::is_native(&name) {
        return match fs::read(path) {
            Ok(text) => report(&name, klopf_config::check(&name, &text), &[], 0),
            Err(error) => unreadable(path, &error),
        };
    }
    match Files::read(path) {
        Ok(files) => {
            let found = files.check();
            let server_key = klopf_files::server_key(path);
            if found.keys > 0 && !matches!(server_key, Ok(Some(_))) {
                let why = match server_key {
                    Err(NoServerKey::Unreadable(error)) => format!("cannot be read ({error})"),
                    Err(NoServerKey::Wrong(error)) => format!("is none ({error})"),
                    Ok(_) => "is not there".to_owned(),
                };
                let key = path.with_file_name(klopf_files::SERVER_KEY);
                say(format_args!(
                    "warning: the server's key, {}, {why}: no sealed knock opens anything",
                    key.display()
                ));
                say("  help: put it back from a copy; `klopf invite` makes one where there are no keys yet\n");
            }
            let parsed = files.parse().ok();
            let sources = parsed.as_ref().map(|checked| SourceFiles::read(path, &checked.config)).unwrap_or_default();
            for trouble in sources.troubles() {
                say(format_args!("warning: {trouble}\n  help: {}\n", trouble.help()));
            }
            let mut said = sources.troubles().count();
            for log in parsed.iter().flat_map(|checked| &checked.config.logs) {
                let (text, is_warning) = logs::examine(log);
                say(format_args!("{text}\n"));
                said += usize::from(is_warning);
            }
            let exposed: Vec<_> =
                files.exposed().into_iter().chain(sources.exposed.iter().map(PathBuf::as_path)).collect();
            report(&name, found, &exposed, said)
        }
        Err(Unreadable { path, error }) => unreadable(&path, &error),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> ExitCode {
    let name = path.display();
    fail(format_args!("cannot read {name}: {error}; {}", mend(error, "klopf check FILE")), 66)
}

fn stdin() -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text)?;
    Ok(text)
}

/// The file the daemon would take.
fn default_file() -> ExitCode {
    let there = |path: &str| !matches!(fs::metadata(path), Err(error) if error.kind() == ErrorKind::NotFound);
    match [NATIVE, KNOCKD].into_iter().find(|path| there(path)) {
        Some(path) => check(Path::new(path)),
        None => unreadable(Path::new(&format!("{NATIVE} or {KNOCKD}")), &ErrorKind::NotFound.into()),
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

/// What was found, files that others may read, and how many warnings were said before.
fn report(name: &str, found: Check, exposed: &[&Path], said: usize) -> ExitCode {
    let Check { faults, warnings, doors, keys, mails, guestbooks, logs } = found;
    for note in faults.iter().chain(&warnings) {
        // Reaches terminals in colour; anything else gets it without.
        say(format_args!("{}\n", note.coloured()));
    }
    for path in exposed {
        say(format_args!("warning: others may read {}, which holds secrets", path.display()));
        say(format_args!("  help: {}\n", klopf_files::remedy(path)));
    }
    let mut findings = Vec::new();
    findings.extend(count(faults.len(), "fault"));
    if faults.is_empty() {
        findings.push("fine".to_owned());
        findings.push(count(doors, "door").unwrap_or_else(|| "no doors".to_owned()));
        findings.extend(count(keys, "key"));
        findings.extend(count(mails, "mail"));
        findings.extend(count(guestbooks, "guestbook"));
        findings.extend(count(logs, "log"));
    }
    findings.extend(count(warnings.len() + exposed.len() + said, "warning"));
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
