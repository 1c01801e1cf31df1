//! Where things are kept on this system.

use std::env;
use std::path::PathBuf;

use crate::failure::{Failure, code};

/// The folders of this user.
#[derive(Clone, Debug)]
pub(crate) struct Folders {
    /// Profiles and keys.
    pub(crate) config: PathBuf,
    /// Counters, and what was opened.
    pub(crate) state: PathBuf,
}

impl Folders {
    /// `KLOPF_CONFIG_DIR` and `KLOPF_STATE_DIR`, else where the system has such things.
    pub(crate) fn find() -> Result<Self, Failure> {
        let set = |name| env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        match (set("KLOPF_CONFIG_DIR"), set("KLOPF_STATE_DIR")) {
            (Some(config), Some(state)) => Ok(Self { config, state }),
            (config, state) => {
                let usual = usual().ok_or_else(|| {
                    let why = "this user has no home folder; set KLOPF_CONFIG_DIR and KLOPF_STATE_DIR";
                    Failure::new(code::CONFIG, why)
                })?;
                Ok(Self { config: config.unwrap_or(usual.config), state: state.unwrap_or(usual.state) })
            }
        }
    }
}

/// `~/.config/klopf` and `~/.local/state/klopf`, or what the XDG variables say.
#[cfg(not(any(windows, target_os = "macos")))]
fn usual() -> Option<Folders> {
    use etcetera::base_strategy::{BaseStrategy, Xdg};
    let base = Xdg::new().ok()?;
    Some(Folders { config: base.config_dir().join("klopf"), state: base.state_dir()?.join("klopf") })
}

/// `~/Library/Application Support/klopf`; `Preferences` is for the system's own files of settings.
#[cfg(target_os = "macos")]
fn usual() -> Option<Folders> {
    use etcetera::base_strategy::{Apple, BaseStrategy};
    let klopf = Apple::new().ok()?.data_dir().join("klopf");
    Some(Folders { config: klopf.clone(), state: klopf.join("state") })
}

/// `%LOCALAPPDATA%\klopf`, which only its owner may read, and which does not follow the user to other computers:
/// the keys are this device's.
#[cfg(windows)]
fn usual() -> Option<Folders> {
    use etcetera::base_strategy::{BaseStrategy, Windows};
    let klopf = Windows::new().ok()?.cache_dir().join("klopf");
    Some(Folders { config: klopf.join("config"), state: klopf.join("state") })
}
