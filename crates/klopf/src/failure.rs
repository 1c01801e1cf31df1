//! Why a command could not be done.

use std::fmt;
use std::process::ExitCode;

/// Exit codes of sysexits(3) that are used here.
pub(crate) mod code {
    /// The command line is wrong.
    pub(crate) const USAGE: u8 = 64;
    /// What was given as data is broken.
    pub(crate) const DATA: u8 = 65;
    /// Whoever asked has stopped it.
    #[cfg(target_os = "linux")]
    pub(crate) const STOPPED: u8 = 1;
    /// Something that was named is not there.
    pub(crate) const NO_INPUT: u8 = 66;
    /// The host is unknown.
    pub(crate) const NO_HOST: u8 = 68;
    /// Something does not answer.
    pub(crate) const UNAVAILABLE: u8 = 69;
    /// The system refused.
    pub(crate) const SYSTEM: u8 = 71;
    /// A file cannot be written.
    pub(crate) const CANNOT_WRITE: u8 = 73;
    /// What was asked for cannot be printed.
    #[cfg(target_os = "linux")]
    pub(crate) const OUTPUT: u8 = 74;
    /// It may work later: a mail server tries again.
    #[cfg(unix)]
    pub(crate) const TEMPORARY: u8 = 75;
    /// The other side says something unknown.
    #[cfg(target_os = "linux")]
    pub(crate) const PROTOCOL: u8 = 76;
    /// Rights are missing, or there are too many.
    pub(crate) const RIGHTS: u8 = 77;
    /// A file that was stored here is broken.
    pub(crate) const CONFIG: u8 = 78;
}

/// What went wrong, what to do, and the exit code. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    why: String,
    help: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: u8, why: impl fmt::Display) -> Self {
        Self { code, why: why.to_string(), help: None }
    }

    /// With what to do about it.
    #[cfg(target_os = "linux")]
    pub(crate) fn help(self, help: impl fmt::Display) -> Self {
        Self { help: Some(help.to_string()), ..self }
    }

    /// Says it on standard error.
    pub(crate) fn tell(&self) -> ExitCode {
        crate::cli::fail(self, self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "\nhelp: {help}"))
    }
}
