//! The desktop's keyring: the Secret Service of Linux desktops, the keychain of macOS, Windows' Credential Manager.

#[cfg(all(feature = "keyring", any(target_os = "macos", windows)))]
mod native;
#[cfg(all(feature = "keyring", target_os = "linux"))]
mod secret_service;

#[cfg(all(feature = "keyring", any(target_os = "macos", windows)))]
use native as system;
#[cfg(all(feature = "keyring", target_os = "linux"))]
use secret_service as system;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use klopf_spa::{Psk, Seed};
use zeroize::Zeroizing;

use crate::failure::{Failure, code};

/// How long a keyring may take: a person may have to unlock it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Stores the keys of a device.
pub(crate) fn store(device: [u8; 16], label: &str, seed: &Seed, psk: &Psk) -> Result<(), Failure> {
    let (seed, psk) = (seed.text(), psk.text());
    let mut secret = Zeroizing::new(String::with_capacity(seed.len() + 1 + psk.len()));
    for part in [&seed, " ", &psk] {
        secret.push_str(part);
    }
    let (name, label) = (named(device), format!("Klopf: {label}"));
    in_time(move || system::put(&name, &label, &secret))
}

/// Finds the keys of a device.
pub(super) fn find(device: [u8; 16]) -> Result<(Seed, Psk), Failure> {
    let name = named(device);
    let secret = in_time(move || system::get(&name))?;
    let secret = secret.ok_or_else(|| {
        let why = "the keys of this profile are not in the keyring; join again with the invitation: klopf join --force";
        Failure::new(code::NO_INPUT, why)
    })?;
    let parsed = secret.split_once(' ').and_then(|(seed, psk)| Some((Seed::parse(seed).ok()?, Psk::parse(psk).ok()?)));
    parsed.ok_or_else(|| {
        Failure::new(code::CONFIG, "what the keyring has for this profile are no keys; join again: klopf join --force")
    })
}

/// Keeps another secret of this person.
pub(crate) fn keep(name: &str, label: &str, secret: &str) -> Result<(), Failure> {
    let (name, label, secret) = (name.to_owned(), label.to_owned(), Zeroizing::new(secret.to_owned()));
    in_time(move || system::put(&name, &label, &secret))
}

/// Finds what [`keep`] has kept.
pub(crate) fn word(name: &str) -> Result<Option<Zeroizing<String>>, Failure> {
    let name = name.to_owned();
    in_time(move || system::get(&name))
}

fn named(device: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(device))
}

/// Asks aside: not every step of the way to a keyring has a time limit of its own.
fn in_time<T: Send + 'static>(ask: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, Failure> {
    let (sender, receiver) = mpsc::channel();
    let asking = thread::Builder::new().name("keyring".to_owned()).spawn(move || sender.send(ask()));
    let answer = match asking {
        Ok(_) => receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| Err("it does not answer".to_owned())),
        Err(error) => Err(error.to_string()),
    };
    answer.map_err(|why| {
        let why = format_args!("the keyring cannot be used: {why}; secrets can be kept in files instead");
        Failure::new(code::UNAVAILABLE, why)
    })
}

/// Where there is none.
#[cfg(not(all(feature = "keyring", any(target_os = "linux", target_os = "macos", windows))))]
mod system {
    use zeroize::Zeroizing;

    const WHY: &str = "this program was made without it";

    pub(super) fn put(_: &str, _: &str, _: &str) -> Result<(), String> {
        Err(WHY.to_owned())
    }

    pub(super) fn get(_: &str) -> Result<Option<Zeroizing<String>>, String> {
        Err(WHY.to_owned())
    }
}
