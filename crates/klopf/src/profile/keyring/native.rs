//! The keychain of macOS, and Windows' Credential Manager.

use std::collections::HashMap;
use std::sync::Arc;

use keyring_core::{CredentialStore, Entry, Error};
use zeroize::Zeroizing;

/// By which the entries are known.
const SERVICE: &str = "klopf";

pub(super) fn put(name: &str, _label: &str, secret: &str) -> Result<(), String> {
    entry(name)?.set_password(secret).map_err(|error| error.to_string())
}

pub(super) fn get(name: &str) -> Result<Option<Zeroizing<String>>, String> {
    match entry(name)?.get_password() {
        Ok(secret) => Ok(Some(Zeroizing::new(secret))),
        Err(Error::NoEntry) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

fn entry(name: &str) -> Result<Entry, String> {
    #[cfg(target_os = "macos")]
    let (store, modifiers) = (apple_native_keyring_store::keychain::Store::new(), HashMap::new());
    // The keys are this device's, and do not follow the user to other computers.
    #[cfg(windows)]
    let (store, modifiers) = (windows_native_keyring_store::Store::new(), HashMap::from([("persistence", "Local")]));
    let store: Arc<CredentialStore> = store.map_err(|error| error.to_string())?;
    store.build(SERVICE, name, Some(&modifiers)).map_err(|error| error.to_string())
}
