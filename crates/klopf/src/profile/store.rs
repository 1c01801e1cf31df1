//! The folder of profiles.

use std::path::{Path, PathBuf};
use std::{fs, io};

use klopf_config::profile::{self, Profile};
use klopf_spa::Name;

use super::{Folders, files};
use crate::failure::{Failure, code};

/// More profiles are not looked at.
const MOST: usize = 1000;

/// A profile and its name.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) name: Name,
    pub(crate) path: PathBuf,
    pub(crate) profile: Profile,
}

/// All profiles of this user.
pub(crate) struct Store {
    folder: PathBuf,
}

impl Store {
    pub(crate) fn new(folders: &Folders) -> Self {
        Self { folder: folders.config.join("profiles") }
    }

    /// The file of a profile.
    pub(crate) fn path(&self, name: &Name) -> PathBuf {
        self.folder.join(format!("{name}.toml"))
    }

    /// Names of all profiles, in order.
    pub(crate) fn names(&self) -> Vec<Name> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().take(MOST).flatten();
        let name = |file: std::ffi::OsString| Name::new(file.to_str()?.strip_suffix(".toml")?);
        let mut names: Vec<Name> = entries.filter_map(|entry| name(entry.file_name())).collect();
        names.sort();
        names
    }

    /// Reads a profile.
    ///
    /// # Errors
    /// If there is none of this name, it is broken, or others may read it.
    pub(crate) fn load(&self, name: &Name) -> Result<Kept, Failure> {
        let path = self.path(name);
        if !fs::exists(&path).unwrap_or(true) {
            return Err(self.none(&format!("there is no profile {name}")));
        }
        let text = files::read_private(&path)?;
        let profile = profile::parse(&path.display().to_string(), &text).map_err(|faults| {
            Failure::new(code::CONFIG, format_args!("this profile is broken; nothing was sent\n{faults}"))
        })?;
        Ok(Kept { name: name.clone(), path, profile })
    }

    /// The profile of this name, or the only one there is.
    pub(crate) fn choose(&self, name: Option<&Name>) -> Result<Kept, Failure> {
        match (name, self.names().as_slice()) {
            (Some(name), _) => self.load(name),
            (None, [only]) => self.load(only),
            (None, []) => Err(self.none("there is no profile")),
            (None, _) => {
                let why = format!("name one of the profiles {}", self.listed());
                Err(Failure::new(code::USAGE, why))
            }
        }
    }

    /// Those that can be read, and what is wrong with the others.
    pub(crate) fn all(&self) -> (Vec<Kept>, Vec<Failure>) {
        let (good, bad): (Vec<_>, Vec<_>) = self.names().iter().map(|name| self.load(name)).partition(Result::is_ok);
        (good.into_iter().flatten().collect(), bad.into_iter().filter_map(Result::err).collect())
    }

    /// Stores a profile; in place of another only when told.
    pub(crate) fn save(&self, name: &Name, profile: &Profile, force: bool) -> Result<PathBuf, Failure> {
        let path = self.path(name);
        let text = profile.text();
        let stored = if force { files::replace(&path, text.as_bytes()) } else { files::create(&path, text.as_bytes()) };
        match stored {
            Ok(()) => Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(self.taken(name)),
            Err(error) => {
                let why = format_args!("cannot write {}: {error}; nothing was stored", path.display());
                Err(Failure::new(code::CANNOT_WRITE, why))
            }
        }
    }

    /// Fails if there is a profile of this name.
    pub(crate) fn must_be_free(&self, name: &Name) -> Result<(), Failure> {
        if fs::exists(self.path(name)).unwrap_or(false) { Err(self.taken(name)) } else { Ok(()) }
    }

    fn taken(&self, name: &Name) -> Failure {
        let why = format_args!(
            "there is a profile {name} already; nothing was stored\n\
             To give the new one another name: klopf join --name NAME\nTo put it in its place: klopf join --force"
        );
        Failure::new(code::CANNOT_WRITE, why)
    }

    fn none(&self, why: &str) -> Failure {
        let help = if self.names().is_empty() {
            format!("there are none in {}; to make one of an invitation: klopf join", self.folder.display())
        } else {
            format!("there are {}", self.listed())
        };
        Failure::new(code::NO_INPUT, format_args!("{why}: {help}"))
    }

    /// The names, for a person.
    pub(crate) fn listed(&self) -> String {
        let names: Vec<String> = self.names().iter().map(ToString::to_string).collect();
        names.join(", ")
    }
}

/// This program was made without what asks the keyring.
pub(super) fn no_keyring(path: &Path) -> Failure {
    let why = format_args!("the keys of {} are in a keyring, which this program cannot ask", path.display());
    Failure::new(code::CONFIG, why)
}
