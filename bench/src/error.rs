//! Why a measurement did not come about.

use std::fmt;
use std::io;
use std::process::ExitCode;

pub(crate) type Result<T> = std::result::Result<T, Error>;

#[derive(Debug)]
pub(crate) enum Error {
    NotRoot,
    Interrupted,
    /// A program that is needed and not there, and how to get it.
    Missing {
        program: String,
        remedy: &'static str,
    },
    /// What was being done, and what the system said.
    Io {
        doing: String,
        source: io::Error,
    },
    /// A program ended, or never did what it was started for.
    Program(String),
}

impl Error {
    /// As in sysexits(3); 130 after an interrupt.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::NotRoot => 77,
            Self::Interrupted => 130,
            Self::Missing { .. } => 69,
            Self::Io { .. } => 74,
            Self::Program(_) => 70,
        })
    }

    /// For `map_err`: names what was being done.
    pub(crate) fn io<E: Into<io::Error>>(doing: impl Into<String>) -> impl FnOnce(E) -> Self {
        move |source| Self::Io { doing: doing.into(), source: source.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRoot => write!(f, "this needs root: it makes network namespaces and sends raw frames"),
            Self::Interrupted => write!(f, "interrupted"),
            Self::Missing { program, remedy } => write!(f, "{program} is not there; {remedy}"),
            Self::Io { doing, source } => write!(f, "{doing}: {source}"),
            Self::Program(what) => write!(f, "{what}"),
        }
    }
}
