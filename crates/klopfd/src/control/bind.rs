//! Making the socket's file.

use std::fs::{self, DirBuilder, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::{fmt, io};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen as queue, socket_with,
};

/// How many may wait to be accepted.
pub(super) const QUEUE: i32 = 16;

/// Why there is no control socket.
#[derive(Debug)]
pub(crate) enum BindError {
    /// Another daemon answers there.
    InUse(PathBuf),
    /// Something else has the name.
    NoSocket(PathBuf),
    /// The system refused it.
    System(PathBuf, io::Error),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(path) => write!(f, "another klopfd answers at {}; give this one a runtime-dir", path.display()),
            Self::NoSocket(path) => write!(f, "{} is no socket; move it away", path.display()),
            Self::System(path, error) => {
                write!(f, "cannot listen at {}: {}", path.display(), crate::keeper::reason(error))
            }
        }
    }
}

impl std::error::Error for BindError {}

/// The listening socket, and which file it is.
pub(super) fn listen(dir: &Path, path: &Path) -> Result<(OwnedFd, (u64, u64)), BindError> {
    let system = |error| BindError::System(path.to_owned(), error);
    if !dir.is_dir() {
        DirBuilder::new().recursive(true).mode(0o755).create(dir).map_err(system)?;
    }
    let address = SocketAddrUnix::new(path).map_err(|error| system(error.into()))?;
    clear(path, &address)?;
    let listening = || {
        let socket = new()?;
        bind(&socket, &address)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        queue(&socket, QUEUE)?;
        Ok((socket, identity(path)?))
    };
    listening().map_err(system)
}

/// Which file a path is.
pub(super) fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

/// Removes what a dead daemon has left.
fn clear(path: &Path, address: &SocketAddrUnix) -> Result<(), BindError> {
    let system = |error| BindError::System(path.to_owned(), error);
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(system(error)),
        Ok(file) if !file.file_type().is_socket() => return Err(BindError::NoSocket(path.to_owned())),
        Ok(_) => {}
    }
    // One that hangs has a full queue and is there nevertheless.
    match new().and_then(|socket| connect(&socket, address)) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path).map_err(system),
        Ok(()) | Err(Errno::AGAIN) => Err(BindError::InUse(path.to_owned())),
        Err(error) => Err(system(error.into())),
    }
}

fn new() -> rustix::io::Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)
}
