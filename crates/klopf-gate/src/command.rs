//! What is to be run.

use std::ffi::OsString;
use std::io;
use std::net::IpAddr;

use klopf_sys::{Environment, Output};

/// Where programs are looked for that are not named by their path.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command with everything filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A program and its arguments, with a clean environment.
    Vector(Vec<OsString>),
    /// A line for `/bin/sh`, with the daemon's environment, as in `knockd.conf`. An empty one runs nothing.
    Shell(OsString),
}

impl Command {
    /// Whether there is nothing to run.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Vector(argv) => argv.is_empty(),
            Self::Shell(line) => line.is_empty(),
        }
    }

    /// The command as one would type it, for logs. Bytes that are no text are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Vector(argv) => argv.iter().map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" "),
            Self::Shell(line) => line.to_string_lossy().into_owned(),
        }
    }

    /// Starts it for a door and an address.
    pub(crate) fn start(&self, door: &str, address: IpAddr, output: &Output, errors: &Output) -> io::Result<u32> {
        let own = [("KLOPF_DOOR", door.to_owned()), ("KLOPF_IP", address.to_string())];
        let mut variables: Vec<(OsString, OsString)> = own.map(|(name, value)| (name.into(), value.into())).into();
        match self {
            Self::Vector(argv) => {
                variables.push(("PATH".into(), PATH.into()));
                klopf_sys::start_command(argv, Environment::Only(variables), output, errors)
            }
            Self::Shell(line) => {
                let argv = ["/bin/sh".into(), "-c".into(), line.clone()];
                klopf_sys::start_command(&argv, Environment::Inherited(variables), output, errors)
            }
        }
    }
}
