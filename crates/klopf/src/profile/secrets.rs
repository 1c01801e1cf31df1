//! Keys in memory.

use klopf_config::profile::Keys;
use klopf_spa::{KeyId, Psk, Seed};

use super::Kept;
use crate::failure::Failure;

/// The private key and the shared one. Wiped when dropped, and never swapped out where the system allows that.
pub(crate) struct Secrets {
    pub(crate) seed: Seed,
    pub(crate) psk: Psk,
}

impl Secrets {
    /// Those of a profile.
    pub(crate) fn of(kept: &Kept) -> Result<Self, Failure> {
        let secrets = match &kept.profile.keys {
            Keys::Here(seed, psk) => Self { seed: seed.clone(), psk: psk.clone() },
            Keys::Keyring => return Err(super::store::no_keyring(&kept.path)),
        };
        lock(secrets.seed.bytes());
        lock(secrets.psk.bytes());
        Ok(secrets)
    }

    /// Which key it is.
    pub(crate) fn id(&self) -> KeyId {
        self.seed.public().id()
    }
}

/// Keeps the page of a key in memory, to the end of the process: other keys may lie in it, too.
fn lock(key: &[u8; 32]) {
    if let Ok(guard) = region::lock(key.as_ptr(), key.len()) {
        std::mem::forget(guard);
    }
}

/// The bound of core files as it was.
pub(crate) struct CoreFiles {
    #[cfg(unix)]
    before: rustix::process::Rlimit,
}

impl CoreFiles {
    /// From here on a crash leaves no picture of this process's memory behind, as far as the system allows that.
    pub(crate) fn none() -> Self {
        // What is written through a pipe knows no bound.
        #[cfg(target_os = "linux")]
        let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
        #[cfg(unix)]
        {
            use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
            let before = getrlimit(Resource::Core);
            let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), ..before });
            Self { before }
        }
        #[cfg(not(unix))]
        Self {}
    }

    /// As before, for a program that is started and gets no key.
    pub(crate) fn restore(self) {
        #[cfg(unix)]
        let _ = rustix::process::setrlimit(rustix::process::Resource::Core, self.before);
    }
}
