//! Waiting for events, never for time to pass.

use std::thread;
use std::time::{Duration, Instant};

use crate::Result;

/// How long an event may take on a loaded machine before the test fails: longer than the courier has patience with a
/// server (30 s).
pub const PATIENCE: Duration = Duration::from_secs(45);

const PAUSE: Duration = Duration::from_millis(10);

/// Waits until the condition holds.
///
/// # Errors
/// After [`PATIENCE`], or when the condition cannot be looked at.
pub fn until(what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result {
    until_some(what, || Ok(condition()?.then_some(())))
}

/// Waits until there is a value.
///
/// # Errors
/// After [`PATIENCE`], or when the value cannot be looked for.
pub fn until_some<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = look()? {
            return Ok(value);
        }
        if Instant::now() > deadline {
            return Err(format!("waited {} s in vain: {what}", PATIENCE.as_secs()).into());
        }
        thread::sleep(PAUSE);
    }
}
