//! `klopf revoke KEY --sheet N`: the codes of a sheet open nothing any more.

use std::fs;
use std::io::ErrorKind;
use std::process::ExitCode;

use klopf_config::native::with_revoked_sheet;
use klopf_control::Request;
use klopf_files::{Files, key_path};
use klopf_spa::Name;
use zeroize::Zeroizing;

use super::draft;
use super::reload::{self, Answer};
use super::uninvite::not_in_keys_d;
use super::written::unusable;
use crate::cli::fail;
use crate::daemon::Place;
use crate::failure::{Failure, code};
use crate::profile::files;
use crate::say;

/// Runs it; `sheet` is 0 to 2047.
pub(crate) fn revoke(name: &str, sheet: u16, place: &Place) -> ExitCode {
    match written_down(name, sheet, place) {
        Ok(done) => say(done),
        Err(failure) => return fail(format_args!("{failure}\nNothing was changed."), failure.code),
    }
    // What is on the disk is right from here on, whatever klopfd says.
    match reload::ask(place, &Request::Reload { confirm: false }, None) {
        Ok(Answer::Done(text)) => {
            say(format_args!("klopfd: {text}."));
            ExitCode::SUCCESS
        }
        Ok(Answer::NoDaemon) => ExitCode::SUCCESS,
        Err(failure) => {
            let why = format_args!("the sheet counts until klopfd has read its configuration again: {failure}");
            fail(why, failure.code)
        }
    }
}

/// Changes the file of the key, and looks at no other: what is broken elsewhere must not keep a lost sheet in force.
pub(super) fn written_down(name: &str, sheet: u16, place: &Place) -> Result<String, Failure> {
    let name = Name::new(name).filter(Name::is_plain).ok_or_else(|| {
        Failure::new(code::USAGE, "with --sheet the name of a key is wanted")
            .help("klopf keys lists those that there are")
    })?;
    let main = &place.config;
    let path = key_path(main, &name);
    let shown = path.display();
    let before = match fs::read(&path).map(Zeroizing::new) {
        Ok(before) => before,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let (files, _) = Files::read_some(main).map_err(|error| draft::unread(&error))?;
            let help = format!("write `revoked-sheets = [{sheet}]` there, or add {sheet} to it; then: klopf reload");
            return Err(not_in_keys_d(&name, &files, place, |_| help));
        }
        Err(error) => return Err(unusable("read", &path, &error, code::NO_INPUT)),
    };
    let text = std::str::from_utf8(&before).ok().and_then(|text| with_revoked_sheet(text, sheet)).map(Zeroizing::new);
    let Some(text) = text else {
        let why = format!("{shown} is broken, so that no sheet can be written into it");
        let help = format!("write `revoked-sheets = [{sheet}]` there; or end the key: klopf uninvite {name}");
        return Err(Failure::new(code::CONFIG, why).help(help));
    };
    if text.as_bytes() == before.as_slice() {
        return Ok(format!("Sheet {sheet} of {name} was revoked before: {shown}."));
    }
    files::change(&path, text.as_bytes()).map_err(|error| unusable("write", &path, &error, code::CANNOT_WRITE))?;
    Ok(format!("Sheet {sheet} of {name} opens nothing any more: {shown} says so."))
}
