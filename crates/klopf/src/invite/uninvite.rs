//! `klopf uninvite`: a key opens nothing any more.

use std::process::ExitCode;

use klopf_config::native::line_of;
use klopf_control::Request;
use klopf_files::{Files, key_path};
use klopf_spa::Name;
use klopf_sys::clock;
use zeroize::Zeroizing;

use super::reload::{self, Answer};
use super::written::Written;
use super::{draft, key_file};
use crate::cli::fail;
use crate::daemon::Place;
use crate::failure::{Failure, code};
use crate::say;

pub(super) fn run(name: &Name, cut: bool, place: &Place) -> Result<ExitCode, Failure> {
    say(take_back(name, place)?);
    // What is on the disk is right from here on, whatever klopfd says.
    let reloaded = reload::ask(place, &Request::Reload { confirm: false }, None);
    let answer = match reloaded {
        Ok(Answer::NoDaemon) => return Ok(ExitCode::SUCCESS),
        Ok(Answer::Done(_)) => reload::ask(place, &Request::RevokeKey { key: name.to_string(), cut }, None),
        Err(failure) => {
            let why = format_args!("the key counts until klopfd has read its configuration again: {failure}");
            return Ok(fail(why, failure.code));
        }
    };
    Ok(match answer {
        Ok(Answer::Done(text)) => {
            say(format_args!("klopfd: {text}."));
            ExitCode::SUCCESS
        }
        Ok(Answer::NoDaemon) => ExitCode::SUCCESS,
        Err(failure) => fail(format_args!("its leases could not be ended: {failure}"), failure.code),
    })
}

/// Changes the files; what was done.
pub(super) fn take_back(name: &Name, place: &Place) -> Result<String, Failure> {
    let main = &place.config;
    // Another file that cannot be read must not keep a stolen key in force.
    let (mut files, _) = Files::read_some(main).map_err(|error| draft::unread(&error))?;
    let path = key_path(main, name);
    let shown = path.display();
    let Some(before) = files.key(&path).map(|bytes| Zeroizing::new(bytes.to_vec())) else {
        return Err(not_in_keys_d(name, &files, place, |(first, last)| {
            format!(
                "remove its section, lines {first} to {last}, and the name from `keys` of doors; then: klopf reload"
            )
        }));
    };
    let mut written = Written::default();
    let ended = ended(name, &files);
    files.take(&path);
    let done = match draft::checked(&files, &path) {
        Ok(_) => {
            written.remove(&path, &before)?;
            format!("{name} opens nothing any more: {shown} is removed.")
        }
        Err(failure) if ended.is_none() => {
            written.remove(&path, &before)?;
            format!(
                "{shown} is removed. But the configuration has other faults: until they are mended, a klopfd that runs goes \
                 on with what it has read, {name} among it. One that is started anew does without {name}.\n\n{failure}"
            )
        }
        Err(_) => {
            // A door names it. The key must end now, and not when somebody has changed klopf.toml.
            let ended = ended.unwrap_or_default();
            files.put(path.clone(), Zeroizing::new(ended.as_bytes().to_vec()));
            draft::checked(&files, &path)?;
            written.replace(&path, ended.as_bytes(), &before)?;
            format!(
                "{name} opens nothing any more: {shown} says that it has expired.\n\
                 It could not be removed, for a door still names it{}. Take it out there, then once more:\n\
                 klopf uninvite {name}",
                named_at(name, &files, place)
            )
        }
    };
    written.keep();
    Ok(done)
}

/// What ends the key and leaves its name.
fn ended(name: &Name, files: &Files) -> Option<Zeroizing<String>> {
    let config = files.parse().ok()?.config;
    let key = config.keys.iter().find(|key| key.name == *name)?;
    Some(key_file::ended(&key.public, &key.psk, clock::wall_ms() / 1000))
}

/// The lines of klopf.toml in which doors name the key.
fn named_at(name: &Name, files: &Files, place: &Place) -> String {
    use klopf_config::native::KeyList;
    let names =
        |door: &&klopf_config::native::Door| matches!(&door.keys, Some(KeyList::Named(names)) if names.contains(name));
    let config = files.parse().map(|checked| checked.config).unwrap_or_default();
    let lines =
        config.doors.iter().filter(names).filter_map(|door| line_of(files.main(), &["door", &door.name, "keys"]));
    let lines: Vec<String> = lines.map(|line| format!("{}:{line}", place.config.display())).collect();
    if lines.is_empty() { String::new() } else { format!(": {}", lines.join(", ")) }
}

/// Why there is no file of this key; `help` is told the first and the last line of its section in klopf.toml.
pub(super) fn not_in_keys_d(
    name: &Name,
    files: &Files,
    place: &Place,
    help: impl FnOnce((usize, usize)) -> String,
) -> Failure {
    let main = place.config.display();
    let Some(first) = line_of(files.main(), &["key", name]) else {
        let why = format_args!("there is no key {name}");
        return Failure::new(code::NO_INPUT, why).help("klopf keys lists those that there are");
    };
    let text = String::from_utf8_lossy(files.main());
    let length = text.lines().skip(first).take_while(|line| !line.trim_start().starts_with('[')).collect::<Vec<_>>();
    let last = first + length.iter().rposition(|line| !line.trim().is_empty()).map_or(0, |at| at + 1);
    let why = format!("key {name} is in {main} itself, line {first}, which no program changes");
    Failure::new(code::CONFIG, why).help(help((first, last)))
}
