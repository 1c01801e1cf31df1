//! `klopf.toml` on the stage.

use std::fs;
use std::path::PathBuf;

use crate::{Result, Stage};

/// Writes `klopf.toml`: the daemon's part, and these doors as they are.
///
/// # Errors
/// If it cannot be written.
pub fn configure_klopfd(stage: &Stage, interfaces: &[&str], doors: &str) -> Result<PathBuf> {
    let text = format!(
        "[daemon]\ninterfaces = {interfaces:?}\nstate-dir = {:?}\nruntime-dir = {:?}\n\
         user = \"nobody\"\nlog = \"stderr\"\n\n{doors}",
        stage.path("state"),
        stage.path("run"),
    );
    stage.write("klopf.toml", &text)
}

/// Gives a key of the daemon's part of `klopf.toml` another value, in TOML, or adds it.
///
/// # Errors
/// If the file cannot be read or written.
pub fn set_klopfd(stage: &Stage, key: &str, value: &str) -> Result {
    let path = stage.path("klopf.toml");
    let text = fs::read_to_string(&path)?;
    let (daemon, doors) = text.split_once("\n\n").ok_or("no part of the daemon")?;
    let old = format!("{key} = ");
    let others: Vec<&str> = daemon.lines().filter(|line| !line.starts_with(&old)).collect();
    Ok(fs::write(&path, format!("{}\n{old}{value}\n\n{doors}", others.join("\n")))?)
}
