//! Why nothing was done, and what to do.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::ExitCode;

use crate::cli::fail;

/// Exit codes of sysexits(3) that are used here.
pub(super) mod code {
    /// The command line asks for what cannot be.
    pub(crate) const USAGE: u8 = 64;
    /// A file cannot be read.
    pub(crate) const NO_INPUT: u8 = 66;
    /// The daemon does not answer.
    pub(crate) const UNAVAILABLE: u8 = 69;
    /// The system refused something.
    pub(crate) const SYSTEM: u8 = 71;
    /// A file cannot be made, or is there already.
    pub(crate) const CANNOT_CREATE: u8 = 73;
    /// The line cannot be printed.
    pub(crate) const OUTPUT: u8 = 74;
    /// The daemon says something unknown.
    pub(crate) const PROTOCOL: u8 = 76;
    /// Rights are missing.
    pub(crate) const RIGHTS: u8 = 77;
    /// The configuration has a fault, or does not let the key open the door.
    pub(crate) const CONFIG: u8 = 78;
}

/// What went wrong, what to do, and the exit code. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: u8,
    pub(super) why: String,
    pub(super) help: Option<String>,
}

impl Failure {
    pub(super) fn new(code: u8, why: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code, why: why.into(), help: Some(help.into()) }
    }

    /// A file that cannot be read or written.
    pub(super) fn file(what: &str, path: &Path, error: &io::Error, code: u8) -> Self {
        let why = format!("cannot {what} {}: {error}", path.display());
        match error.kind() {
            ErrorKind::PermissionDenied => Self::new(code::RIGHTS, why, "put sudo before the command"),
            ErrorKind::NotFound if code == code::NO_INPUT => Self::new(code, why, "name klopf.toml with --config FILE"),
            _ => Self { code, why, help: None },
        }
    }

    /// Says it on standard error, and that it is all.
    pub(super) fn tell(&self) -> ExitCode {
        let help = self.help.as_ref().map_or_else(String::new, |help| format!("\nhelp: {help}"));
        fail(format_args!("{}{help}\nNothing was changed.", self.why), self.code)
    }
}
