//! Where the daemon's directories are.

use std::fs;
use std::path::PathBuf;

use klopf_config::native::{Daemon, daemon_of};

use super::At;

pub(crate) struct Place {
    pub(crate) config: PathBuf,
    pub(crate) socket: PathBuf,
    pub(crate) runtime_dir: PathBuf,
    pub(crate) state_dir: PathBuf,
}

impl Place {
    /// What the configuration says. A file that is broken or missing must keep nobody from asking: what it still says is
    /// taken, and else the usual places.
    pub(crate) fn find(at: At) -> Self {
        let text = fs::read(&at.config).unwrap_or_default();
        let Daemon { runtime_dir, state_dir, .. } = daemon_of(&text);
        let runtime_dir = PathBuf::from(runtime_dir);
        let socket = at.socket.unwrap_or_else(|| runtime_dir.join(klopf_control::SOCKET));
        Self { config: at.config, socket, runtime_dir, state_dir: state_dir.into() }
    }
}
