//! Where the daemon's directories are.

use std::fs;
use std::path::PathBuf;

use klopf_config::native::{Daemon, parse_bytes};

use super::At;

pub(crate) struct Place {
    pub(crate) config: PathBuf,
    pub(crate) socket: PathBuf,
    pub(crate) runtime_dir: PathBuf,
    pub(crate) state_dir: PathBuf,
}

impl Place {
    /// What the configuration says; a file that is broken or missing must keep nobody from asking, so the usual places
    /// are taken then.
    pub(super) fn find(at: At) -> Self {
        let name = at.config.display().to_string();
        let read = fs::read(&at.config).ok().and_then(|text| parse_bytes(&name, &text).ok());
        let Daemon { runtime_dir, state_dir, .. } = read.map(|checked| checked.config.daemon).unwrap_or_default();
        let runtime_dir = PathBuf::from(runtime_dir);
        let socket = at.socket.unwrap_or_else(|| runtime_dir.join(klopf_control::SOCKET));
        Self { config: at.config, socket, runtime_dir, state_dir: state_dir.into() }
    }
}
