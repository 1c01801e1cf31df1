//! Where programs are.

use std::env;
use std::path::{Path, PathBuf};

use crate::Result;

/// A program of the machine, looked for in `PATH` and where only root's `PATH` leads.
#[must_use]
pub fn found(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}

/// A program under test: from `KLOPF_BIN_DIR`, else from the directory this profile is built in.
///
/// # Errors
/// If it is not built. A missing program under test is a failure, never a skip.
pub fn built(name: &str) -> Result<PathBuf> {
    let file = match env::var_os("KLOPF_BIN_DIR") {
        Some(directory) => Path::new(&directory).join(name),
        // target/PROFILE/deps/TEST
        None => env::current_exe()?.parent().and_then(Path::parent).ok_or("no target directory")?.join(name),
    };
    if file.is_file() { Ok(file) } else { Err(format!("{} is missing: `cargo build` first", file.display()).into()) }
}

/// A file of what is built or installed for all profiles, by its path in the target directory.
///
/// # Errors
/// If it is not there.
pub fn built_in(path: &str) -> Result<PathBuf> {
    // target/PROFILE/deps/TEST
    let file = env::current_exe()?.ancestors().nth(3).ok_or("no target directory")?.join(path);
    if file.exists() { Ok(file) } else { Err(format!("{} is missing", file.display()).into()) }
}

/// A program of these tests that plays a part, from the directory this profile is built in.
///
/// # Errors
/// If it is not built.
pub fn player(name: &str) -> Result<String> {
    // target/PROFILE/deps/TEST
    let file = env::current_exe()?.parent().and_then(Path::parent).ok_or("no target directory")?.join(name);
    if file.is_file() { Ok(file.display().to_string()) } else { Err(format!("{} is missing", file.display()).into()) }
}
