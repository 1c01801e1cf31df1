//! All that an invitation is, made and checked before anything is written.

use std::path::{Path, PathBuf};

use klopf_config::native::{Config, Door, Key, KeyList, Log, Way, line_of, moment_text};
use klopf_files::{Files, KEYS_DIR, NoServerKey, SERVER_KEY, Unreadable, key_path, remedy, server_key};
use klopf_spa::{EncodedDoor, Invitation, InvitedKey, Name, Psk, Public, Seed, ServerKey, SharedDoor};
use zeroize::Zeroizing;

use super::options::Options;
use super::written::unusable;
use super::{key_file, otpauth};
use crate::failure::{Failure, code};

/// Random bytes, drawn by the caller.
pub(super) struct Chance {
    pub(super) seed: Zeroizing<[u8; 32]>,
    pub(super) psk: Zeroizing<[u8; 32]>,
    pub(super) server: Zeroizing<[u8; 32]>,
    pub(super) totp: Zeroizing<[u8; 20]>,
}

/// What is to be written and told.
pub(super) struct Draft {
    /// The file of the key.
    pub(super) path: PathBuf,
    pub(super) text: Zeroizing<String>,
    /// What was in it, if the key takes the place of another.
    pub(super) before: Option<Zeroizing<Vec<u8>>>,
    /// The server's key, if there is none yet.
    pub(super) server_key: Option<(PathBuf, Zeroizing<String>)>,
    pub(super) invitation: Invitation,
    /// What the key file says.
    pub(super) key: Key,
    pub(super) doors: Vec<Door>,
    /// The first of them that opens by mail.
    pub(super) by_mail: Option<String>,
    pub(super) otpauth: Option<Zeroizing<String>>,
}

impl Draft {
    /// Works all out, and checks it as klopfd would. `now` is in seconds since 1970; at least one endpoint.
    pub(super) fn new(
        options: &Options,
        main: &Path,
        endpoints: Vec<String>,
        now: u64,
        chance: &Chance,
    ) -> Result<Self, Failure> {
        let mut files = read(main)?;
        let name = &options.name;
        let path = key_path(main, name);
        let before = must_be_free(&files, main, &path, options)?;
        let (server, new) = match stored(main)? {
            Some(key) => (key, false),
            None => (ServerKey::new(*chance.server), true),
        };
        if new && files.has_keys() {
            let missing = main.with_file_name(SERVER_KEY);
            let why = format!("there are keys, but not the server's own, {}", missing.display());
            return Err(Failure::new(code::CONFIG, why).help(
                "put it back from a copy; without one all must be invited anew: remove the files in keys.d, and try again",
            ));
        }
        let (seed, psk) = (Seed::new(*chance.seed), Psk::new(*chance.psk));
        let own = options.public.as_deref().map(own).transpose()?;
        let public = own.unwrap_or_else(|| seed.public());
        let text = key_file::text(options, &public, &psk, options.totp.then_some(&*chance.totp), now);
        files.put(path.clone(), Zeroizing::new(text.as_bytes().to_vec()));
        let config = checked(&files, &path)?;
        let key = config.keys.iter().find(|key| key.name == *name).cloned();
        let key = key.ok_or_else(|| Failure::new(code::CONFIG, format_args!("no key {name} would be there")))?;
        if let Some(end) = key.expires.filter(|end| *end <= now) {
            let why = format!("the key would have expired already, {}", moment_text(end));
            return Err(Failure::new(code::USAGE, why).help("write a later date, or a time such as 90d"));
        }
        let mut doors: Vec<Door> = Vec::new();
        for wanted in &options.doors {
            let Some(door) = config.doors.iter().find(|door| *door.name == **wanted) else { continue };
            opens(&key, door, &config, &files, main)?;
            if !doors.contains(door) {
                doors.push(door.clone());
            }
        }
        if key.once && !doors.iter().any(|door| door.takes(Way::Packet)) {
            let why = "a key for one device counts in mails and guestbooks once klopfd has heard a packet of the device, and none of \
                       its doors takes packets";
            return Err(Failure::new(code::USAGE, why).help("add --reusable, or a door that takes packets"));
        }
        let code_doors: Vec<Name> =
            doors.iter().filter(|door| door.second_factor).filter_map(|door| Name::new(&door.name)).collect();
        let shared_doors = doors.iter().map(|door| shared(door, main)).collect::<Result<Vec<_>, _>>()?;
        let shared_doors = shared_doors.into_iter().flatten().collect();
        let account = endpoints.first().map(String::as_str).unwrap_or_default();
        let otpauth = options.totp.then(|| otpauth::uri(account, name, &*chance.totp));
        let invitation = Invitation {
            name: name.clone(),
            server: server.public(),
            psk,
            key: if own.is_some() { InvitedKey::Own(public.id()) } else { InvitedKey::Made(seed) },
            endpoints,
            doors: doors.iter().filter_map(|door| Name::new(&door.name)).collect(),
            way: config.packet.way(&server.public()),
            until: [key.join_before, key.expires].into_iter().flatten().min(),
            no_clock: options.no_clock,
            code_doors,
            bound: key.once,
            mail: options.mail.clone(),
            shared_doors,
            encoded_doors: doors.iter().filter_map(|door| encoded(&config, &key, door)).collect(),
        };
        if let Err(error) = Invitation::parse(&invitation.text()) {
            let why = format!("no client could read the invitation: {error}");
            return Err(Failure::new(code::USAGE, why).help("name fewer doors and endpoints, 32 of each at most"));
        }
        let server_key = new.then(|| {
            let text = Zeroizing::new(format!("{}\n", *server.text()));
            (main.with_file_name(SERVER_KEY), text)
        });
        let by_mail = doors.iter().find(|door| config.opens_by(Way::Mail, &key, door));
        let by_mail = by_mail.map(|door| door.name.clone());
        Ok(Self { path, text, before, server_key, invitation, key, doors, by_mail, otpauth })
    }
}

/// Whether there is a way for the key through the door.
pub(super) fn has_way(config: &Config, key: &Key, door: &Door) -> bool {
    Way::BY_KEY.into_iter().any(|way| config.opens_by(way, key, door))
}

/// What a client must know to spell a knock in ports; none of a door that takes no such from the key.
fn encoded(config: &Config, key: &Key, door: &Door) -> Option<EncodedDoor> {
    // Hits count that the watch sees, and those that a log tells of.
    let in_log = config.opens_by(Way::Log, key, door) && config.logs.iter().any(Log::tells_of_hits);
    let encoded = door.encoded.filter(|_| config.opens_by(Way::Encoded, key, door) || in_log)?;
    Some(EncodedDoor { door: Name::new(&door.name)?, template: encoded.template })
}

/// What a client must know to bring a token in shares; none of a door that takes it whole.
fn shared(door: &Door, main: &Path) -> Result<Option<SharedDoor>, Failure> {
    let Some(books) = door.guestbooks.as_ref().filter(|_| door.quorum > 1 && door.takes(Way::Guestbook)) else {
        return Ok(None);
    };
    let shared = Name::new(&door.name).and_then(|name| SharedDoor::new(name, door.quorum, books.clone()));
    shared.map(Some).ok_or_else(|| {
        let why = format!("no invitation can name the guestbooks of the door {}: {}", door.name, main.display());
        Failure::new(code::CONFIG, why).help("give them shorter names; all together have room in 240 characters")
    })
}

/// The key that a person has made. What it says is not repeated: it may be the private one.
fn own(text: &str) -> Result<Public, Failure> {
    let why = |error| format!("what follows --public is no key: {error}");
    Public::parse(text.trim())
        .map_err(|error| Failure::new(code::USAGE, why(error)).help("copy what klopf keygen has printed"))
}

/// Reads klopf.toml and keys.d.
pub(super) fn read(main: &Path) -> Result<Files, Failure> {
    Files::read(main).map_err(|error| unread(&error))
}

pub(super) fn unread(Unreadable { path, error }: &Unreadable) -> Failure {
    unusable("read", path, error, code::NO_INPUT)
}

/// What the files say together. A fault in the file at `new`, which is not written yet, is one of the command line.
pub(super) fn checked(files: &Files, new: &Path) -> Result<Config, Failure> {
    let faults = match files.parse() {
        Ok(checked) => return Ok(checked.config),
        Err(faults) => faults,
    };
    let new = new.display().to_string();
    let others: Vec<String> = faults.iter().filter(|fault| fault.file != new).map(ToString::to_string).collect();
    Err(match faults.iter().next() {
        Some(fault) if others.is_empty() => Failure::new(code::USAGE, &fault.text).help(&fault.help),
        _ => {
            let why = format!("klopfd would not take the configuration:\n\n{}\n", others.join("\n\n"));
            Failure::new(code::CONFIG, why)
        }
    })
}

/// What is in the file of a key that may be replaced.
fn must_be_free(
    files: &Files,
    main: &Path,
    path: &Path,
    options: &Options,
) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    let name = &options.name;
    if let Some(line) = line_of(files.main(), &["key", name]) {
        let why = format!("there is a key {name} already: {}, line {line}", main.display());
        let help = format!("take another name, or remove the section [key.{name}]");
        return Err(Failure::new(code::CANNOT_WRITE, why).help(help));
    }
    match files.key(path) {
        Some(_) if !options.replace => {
            let why = format!("there is a key {name} already: {}", path.display());
            let help = format!(
                "take another name, remove it with `klopf uninvite {name}`, or add --replace: then the old key opens \
                 nothing any more"
            );
            Err(Failure::new(code::CANNOT_WRITE, why).help(help))
        }
        before => Ok(before.map(|bytes| Zeroizing::new(bytes.to_vec()))),
    }
}

/// The server's key, if it was made before.
fn stored(main: &Path) -> Result<Option<ServerKey>, Failure> {
    let path = main.with_file_name(SERVER_KEY);
    server_key(main).map_err(|problem| match problem {
        NoServerKey::Unreadable(error) => unusable("read", &path, &error, code::NO_INPUT),
        NoServerKey::Wrong(error) => {
            let why = format!("{}: {error}", path.display());
            let help = "put it back from where you keep a copy; without it no key that was given out opens anything";
            Failure::new(code::CONFIG, why).help(help)
        }
    })
}

/// Whether the key opens the door, or what to change.
fn opens(key: &Key, door: &Door, config: &Config, files: &Files, main: &Path) -> Result<(), Failure> {
    let (name, door_name) = (&key.name, &door.name);
    let place = |word: &str| {
        let line = line_of(files.main(), &["door", door_name, word]).map(|line| format!(", line {line}"));
        format!("{}{}", main.display(), line.unwrap_or_default())
    };
    if !Config::may_open(key, door) {
        let why = format!("door {door_name} does not let key {name} open it: {}", place("keys"));
        let mut names: Vec<&str> = match &door.keys {
            Some(KeyList::Named(names)) => names.iter().map(|name| &**name).collect(),
            Some(KeyList::All) | None => Vec::new(),
        };
        names.push(name);
        let listed: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
        let help = format!("write `keys = [{}]` there, then once more klopf invite", listed.join(", "));
        return Err(Failure::new(code::CONFIG, why).help(help));
    }
    if !has_way(config, key, door) {
        let why = format!("door {door_name} opens to no key: {}: {}", no_way(config, door), place("via"));
        return Err(Failure::new(code::CONFIG, why).help("add \"packet\" there, or remove the line"));
    }
    if door.second_factor && key.totp.is_none() {
        let why = format!("door {door_name} asks for a second factor, and the key would have none");
        return Err(Failure::new(code::USAGE, why).help("add --totp, which makes a secret for an authenticator"));
    }
    Ok(())
}

/// Why none of the ways that the door takes is one for a key.
fn no_way(config: &Config, door: &Door) -> &'static str {
    if door.takes(Way::Encoded) || door.takes(Way::Log) {
        return match door.second_factor {
            true => "it asks for a code, which only a packet has, and its `via` leaves out \"packet\"",
            false => "its `via` leaves out \"packet\", and it has no `encoded`",
        };
    }
    match (door.takes(Way::Mail), door.takes(Way::Guestbook)) {
        (false, false) => "its `via` leaves out \"packet\"",
        _ if door.second_factor && !(config.mails.is_empty() && config.guestbooks.is_empty()) => {
            "it asks for a code, which no token has, and its `via` leaves out \"packet\""
        }
        (true, false) => "its `via` has \"mail\", and there is no [mail.NAME]",
        (false, true) => "its `via` has \"guestbook\", and there is no [guestbook.NAME]",
        (true, true) => {
            "its `via` has \"mail\" and \"guestbook\", and there is neither [mail.NAME] nor [guestbook.NAME]"
        }
    }
}

/// Files with secrets that others may read, and what to do.
pub(super) fn exposed(main: &Path) -> Vec<String> {
    let files = Files::read(main).ok();
    let exposed = files.iter().flat_map(Files::exposed);
    exposed.map(|path| format!("others may read {}; {}", path.display(), remedy(path))).collect()
}

/// Where the files of keys are.
pub(super) fn keys_dir(main: &Path) -> PathBuf {
    main.with_file_name(KEYS_DIR)
}
