//! `klopf join`: an invitation becomes a profile.

use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueHint};
use klopf_config::profile::{Allow, Books, Keys, Profile};
use klopf_spa::{Invitation, InvitedKey, Name, Seed, SharedDoor};
use zeroize::Zeroizing;

use crate::failure::{Failure, code};
use crate::open::{date, unix_ms};
use crate::profile::{CoreFiles, Folders, Kept, KeyFiles, Secrets, Store, keyring, random};
use crate::{complain, say};

/// No invitation is longer, in bytes.
const LONGEST: u64 = 16 * 1024;

#[derive(Args)]
pub(crate) struct Options {
    /// The invitation, or - for standard input; asked for at the terminal if not given
    #[arg(value_name = "klopf:...|-", hide_default_value = true)]
    invitation: Option<String>,
    /// What to call the profile; as the invitation says if not given
    #[arg(long, value_parser = name)]
    name: Option<Name>,
    /// The file with the private key, if the invitation holds none and klopf keygen has not stored it here
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    key: Option<PathBuf>,
    /// Keep the keys in the desktop's keyring, and not in the profile
    #[arg(long)]
    keyring: bool,
    /// Put it in the place of a profile of the same name
    #[arg(long)]
    force: bool,
}

pub(super) fn run(options: Options) -> Result<ExitCode, Failure> {
    let _core_files = CoreFiles::none();
    let folders = Folders::find()?;
    let store = Store::new(&folders);
    let given = options.invitation.filter(|text| text != "-").map(Zeroizing::new);
    let typed = given.is_some();
    let text = given.map_or_else(asked, Ok)?;
    let invitation = Invitation::parse(&text).map_err(|error| {
        Failure::new(code::DATA, format_args!("this is no invitation: {error}; nothing was stored"))
    })?;
    let now = unix_ms() / 1000;
    if let Some(until) = invitation.until.filter(|until| *until < now && !invitation.no_clock) {
        let why = format_args!(
            "the invitation ended {}; ask for another one. Nothing was stored.\nIs this clock right? It says {}.",
            date(until),
            date(now)
        );
        return Err(Failure::new(code::DATA, why));
    }
    let name = options.name.unwrap_or_else(|| invitation.name.clone());
    if !name.is_plain() {
        let why = format_args!("a profile cannot be called {name}; call it otherwise with --name. Nothing was stored.");
        return Err(Failure::new(code::DATA, why));
    }
    if !options.force {
        store.must_be_free(&name)?;
    }
    let seed = match &invitation.key {
        InvitedKey::Made(seed) => seed.clone(),
        InvitedKey::Own(id) => KeyFiles::new(&folders).load(*id, options.key.as_deref())?,
    };
    let mut profile = profile(&invitation, &name, seed, &store)?;
    if let (true, Keys::Here(seed, psk)) = (options.keyring, &profile.keys) {
        keyring::store(profile.device, &name, seed, psk)?;
        profile.keys = Keys::Keyring;
    }
    let path = store.save(&name, &profile, options.force)?;
    tell(&name, &profile, &path.display().to_string());
    if let Some(until) = invitation.until {
        say(format_args!("It must be used once before {}.", date(until)));
    }
    if typed {
        complain(
            "The line holds a private key. It may be in your shell's history: remove it there. While this ran, others on \
             this machine could see it among its processes; without an argument klopf join asks for it.",
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The invitation from the terminal, without showing it, or from standard input.
fn asked() -> Result<Zeroizing<String>, Failure> {
    let unread = |error: io::Error| Failure::new(code::DATA, format_args!("cannot read the invitation: {error}"));
    if io::stdin().is_terminal() {
        return rpassword::prompt_password("Invitation (it is not shown): ").map(Zeroizing::new).map_err(unread);
    }
    // In one piece from the start, so that no copy is left behind when it grows.
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(LONGEST).unwrap_or(0) + 1));
    io::stdin().lock().take(LONGEST).read_to_string(&mut text).map_err(unread)?;
    Ok(text)
}

fn profile(invitation: &Invitation, name: &Name, seed: Seed, store: &Store) -> Result<Profile, Failure> {
    let device = match known_device(name, &seed, store) {
        Some(device) => device,
        None => {
            let mut device = [0; 16];
            random(&mut device)?;
            device
        }
    };
    let door = invitation.doors.first().cloned().unwrap_or_else(|| invitation.name.clone());
    Ok(Profile {
        endpoints: invitation.endpoints.clone(),
        doors: invitation.doors.clone(),
        code_doors: invitation.code_doors.clone(),
        door,
        allow: Allow::Observed,
        stun: None,
        way: invitation.way,
        clock: !invitation.no_clock,
        bound: invitation.bound,
        mail: invitation.mail.clone(),
        books: invitation.shared_doors.iter().map(books).collect(),
        encoded: invitation.encoded_doors.clone(),
        device,
        server: invitation.server,
        keys: Keys::Here(seed, invitation.psk.clone()),
    })
}

fn books(shared: &SharedDoor) -> Books {
    Books { door: shared.door().clone(), shares: shared.k(), of: shared.books().to_vec() }
}

/// A key can be for one device: who joins again with it is the same one.
fn known_device(name: &Name, seed: &Seed, store: &Store) -> Option<[u8; 16]> {
    let same = |kept: &Kept| match &kept.profile.keys {
        Keys::Here(other, _) => other == seed,
        // The keyring may ask a person, so only for what is replaced.
        Keys::Keyring => kept.name == *name && Secrets::of(kept).is_ok_and(|other| other.seed == *seed),
    };
    store.all().0.into_iter().find(same).map(|kept| kept.profile.device)
}

fn tell(name: &Name, profile: &Profile, path: &str) {
    let doors: Vec<&str> = profile.doors.iter().map(|door| &**door).collect();
    say(format_args!("Stored as the profile {name}, in {path}."));
    say(format_args!("  server: {}", profile.endpoints.join(", ")));
    say(format_args!("  doors:  {}", doors.join(", ")));
    say(format_args!("To open:                   klopf open {name}"));
    say(format_args!("To have ssh do it by itself: klopf ssh-config {name} >> ~/.ssh/config"));
    for encoded in &profile.encoded {
        say(format_args!("To open it by hits on ports: klopf knock-encoded {name}/{}", encoded.door));
    }
}

fn name(text: &str) -> Result<Name, &'static str> {
    Name::new(text)
        .filter(Name::is_plain)
        .ok_or("a name has 1 to 64 characters of A-Z a-z 0-9 _ . - and begins with no . or -")
}
