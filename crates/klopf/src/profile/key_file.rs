//! Private keys that were made here, before there was an invitation.

use std::path::{Path, PathBuf};

use klopf_spa::{KeyId, Seed};
use zeroize::Zeroizing;

use super::{Folders, files};
use crate::failure::{Failure, code};

/// What a line with a key begins with.
const KEY: &str = "private = \"";

/// The folder of key files.
pub(crate) struct KeyFiles {
    folder: PathBuf,
}

impl KeyFiles {
    pub(crate) fn new(folders: &Folders) -> Self {
        Self { folder: folders.config.join("keys") }
    }

    /// The file of a key.
    pub(crate) fn path(&self, key: KeyId) -> PathBuf {
        self.folder.join(format!("{key}.key"))
    }

    /// Stores a key.
    pub(crate) fn save(&self, seed: &Seed) -> Result<PathBuf, Failure> {
        let path = self.path(seed.public().id());
        let head = "# A private key of Klopf, for nobody else.\n";
        let mut text = Zeroizing::new(String::with_capacity(256));
        for part in [head, KEY, &seed.text(), "\"\n"] {
            text.push_str(part);
        }
        let stored = files::create(&path, text.as_bytes());
        stored.map_err(|error| {
            let why = format_args!("cannot write {}: {error}; nothing was stored", path.display());
            Failure::new(code::CANNOT_WRITE, why)
        })?;
        Ok(path)
    }

    /// Reads the key of an invitation, of this file or where [`KeyFiles::save`] has put it.
    pub(crate) fn load(&self, key: KeyId, file: Option<&Path>) -> Result<Seed, Failure> {
        let path = file.map_or_else(|| self.path(key), Path::to_owned);
        let shown = path.display();
        let text = files::read_private(&path).map_err(|failure| match failure.code {
            code::NO_INPUT => Failure::new(
                code::NO_INPUT,
                format_args!(
                    "the invitation is for the key {key}, which is not here: {failure}\n\
                     Was it made on another device, or for another user? To name its file: klopf join --key FILE"
                ),
            ),
            _ => failure,
        })?;
        let seed =
            parse(&text).map_err(|why| Failure::new(code::DATA, format_args!("{shown} is no key file: {why}")))?;
        let found = seed.public().id();
        if found != key {
            let why = format_args!("the invitation is for the key {key}, and {shown} holds the key {found}");
            return Err(Failure::new(code::DATA, why));
        }
        Ok(seed)
    }
}

/// Reads a key file: remarks, empty lines, and one line with the key.
fn parse(text: &[u8]) -> Result<Seed, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not text".to_owned())?;
    let mut found = None;
    for (number, line) in text.lines().enumerate() {
        let number = number + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = line.strip_prefix(KEY).and_then(|rest| rest.strip_suffix('"'));
        let key = key.ok_or_else(|| format!("line {number} is not `private = \"...\"`"))?;
        let seed = Seed::parse(key).map_err(|why| format!("line {number}: {why}"))?;
        if found.replace(seed).is_some() {
            return Err(format!("line {number} is a second key"));
        }
    }
    found.ok_or_else(|| "there is no key in it".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_key_is_read_as_it_was_stored() {
        let scratch = Scratch::new();
        let files = KeyFiles { folder: scratch.path("keys") };
        let seed = Seed::new([7; 32]);
        let id = seed.public().id();
        assert_eq!(files.load(id, None).unwrap_err().code, 66);
        let path = files.save(&seed).unwrap();
        assert_eq!(files.load(id, None).unwrap(), seed);
        assert_eq!(files.load(id, Some(&path)).unwrap(), seed);
        assert_eq!(files.load(KeyId([1; 8]), Some(&path)).unwrap_err().code, 65);
        assert!(files.save(&seed).is_err(), "a key is never written over");
    }

    #[test]
    fn what_is_wrong_is_said_with_the_line_and_without_the_key() {
        let text = Seed::new([7; 32]).text();
        let good = format!("# key\n\nprivate = \"{}\"\n", *text);
        assert!(parse(good.as_bytes()).is_ok());
        for (broken, why) in [
            (String::new(), "no key in it"),
            (good.replacen(&text[..1], "", 1), "line 3: a key of this kind has 43 characters"),
            (good.replace('"', ""), "line 3 is not"),
            (good.replacen(&text[..1], "!", 1), "line 3: character 1 "),
            (good.clone() + &good, "line 6 is a second key"),
        ] {
            let said = parse(broken.as_bytes()).unwrap_err();
            assert!(said.contains(why) && !said.contains(&text[..12]), "{said}");
        }
        assert!(parse(b"\xff").is_err());
    }
}
