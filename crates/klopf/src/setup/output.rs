//! Where the file goes.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use klopf_config::is_native;
use klopf_files::Files;
use rustix::fs::{Access, access};
use zeroize::Zeroizing;

use super::options::Options;
use super::talk::Talk;
use crate::complain;
use crate::failure::{Failure, code};
use crate::man::CONFIGURATION;
use crate::profile::files;

/// More copies of old files are not kept.
const MOST_COPIES: u32 = 99;
const THERE_HELP: &str = "Beside: as a file of its own, to compare and take over what you like. Instead: the file that is there is kept with \
    .old behind its name.";

/// What is to be written, as far as that is known before the questions.
pub(super) enum Output {
    Stdout,
    New(PathBuf),
    /// In the place of a file with this in it.
    Instead(PathBuf, Zeroizing<Vec<u8>>),
    /// There is one; what becomes of it is asked.
    There(PathBuf, Zeroizing<Vec<u8>>),
}

/// What was written.
pub(super) enum Written {
    Stdout,
    /// The file that was asked for.
    File(PathBuf),
    /// Another one beside it.
    Beside(PathBuf),
}

impl Output {
    /// Looks whether the file can be written at all, before anybody has answered anything.
    pub(super) fn find(options: &Options, asks: bool) -> Result<Self, Failure> {
        let path = &options.output;
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        let shown = path.display();
        if !is_native(&path.to_string_lossy()) {
            let why =
                format!("--output: {shown} does not end in .toml, so klopf check would take it for a file of knockd");
            return Err(Failure::new(code::USAGE, why));
        }
        let mut folder = folder_of(path);
        while !fs::exists(folder).unwrap_or(true) {
            folder = folder_of(folder);
        }
        access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| cannot_write(path, &error.into()))?;
        match fs::read(path).map(Zeroizing::new) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::New(path.clone())),
            Err(error) => Err(cannot_write(path, &error)),
            // What is installed is an example, and nobody's work.
            Ok(before) if options.force || before.as_slice() == CONFIGURATION.as_bytes() => {
                Ok(Self::Instead(path.clone(), before))
            }
            Ok(before) if asks => Ok(Self::There(path.clone(), before)),
            Ok(_) => {
                let help = format!(
                    "--force writes over it and keeps it as {}; --output {} writes beside it",
                    old(path, 1).display(),
                    beside(path, 1).display()
                );
                Err(Failure::new(code::CANNOT_WRITE, format_args!("{shown} is there already")).help(help))
            }
        }
    }

    /// Checks the text with the keys that are there, and writes it.
    pub(super) fn write(self, text: &str, talk: Option<&mut Talk<'_>>) -> Result<Written, Failure> {
        let (path, before) = match self {
            Self::Stdout => {
                let written = io::stdout().write_all(text.as_bytes());
                return match written {
                    Ok(()) => Ok(Written::Stdout),
                    Err(error) => Err(Failure::new(code::OUTPUT, format_args!("cannot print the file: {error}"))),
                };
            }
            Self::New(path) => (path, None),
            Self::Instead(path, before) => (path, Some(before)),
            Self::There(path, before) => match talk.map(|talk| instead(&path, talk)).transpose()? {
                Some(true) => (path, Some(before)),
                _ => {
                    let path = free(&path, beside)?;
                    files::create(&path, text.as_bytes()).map_err(|error| cannot_write(&path, &error))?;
                    return Ok(Written::Beside(path));
                }
            },
        };
        go_with_keys(&path, text)?;
        let done = match before {
            None => files::create(&path, text.as_bytes()),
            Some(before) => {
                let copy = free(&path, old)?;
                files::create(&copy, &before).map_err(|error| cannot_write(&copy, &error))?;
                complain(format_args!("What was in {} is in {} now.", path.display(), copy.display()));
                files::replace(&path, text.as_bytes())
            }
        };
        done.map_err(|error| cannot_write(&path, &error))?;
        Ok(Written::File(path))
    }
}

/// Whether it goes into the place of what is there.
fn instead(path: &Path, talk: &mut Talk<'_>) -> Result<bool, Failure> {
    talk.say("");
    talk.say(&format!("{} is there already. Where to?", path.display()));
    let (beside, old) = (beside(path, 1), old(path, 1));
    let (beside, old) = (format!("{}", beside.display()), format!("and keep what is there as {}", old.display()));
    let choices = [("beside", beside.as_str()), ("instead", old.as_str()), ("nowhere", "stop here")];
    match talk.choose(&choices, THERE_HELP)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Failure::new(code::STOPPED, "stopped; nothing is written")),
    }
}

/// Keys that are there already may name other doors.
fn go_with_keys(path: &Path, text: &str) -> Result<(), Failure> {
    let files = Files::read_beside(path, Zeroizing::new(text.as_bytes().to_vec())).map_err(|error| {
        Failure::new(code::NO_INPUT, format_args!("cannot read {}: {}", error.path.display(), error.error))
    })?;
    let faults: Vec<String> = files.check().faults.iter().map(ToString::to_string).collect();
    if faults.is_empty() {
        return Ok(());
    }
    let why = format!(
        "with the keys that are there klopfd would not take it; nothing was written:\n\n{}",
        faults.join("\n\n")
    );
    Err(Failure::new(code::CONFIG, why).help("mend or remove the files of these keys, or take another --output"))
}

/// `klopf.toml.old`, then `klopf.toml.old2` ...
fn old(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(if number == 1 { ".old".to_owned() } else { format!(".old{number}") });
    name.into()
}

/// `klopf.new.toml`, then `klopf.new2.toml` ...
fn beside(path: &Path, number: u32) -> PathBuf {
    path.with_extension(if number == 1 { "new.toml".to_owned() } else { format!("new{number}.toml") })
}

/// The first name that no file has.
fn free(path: &Path, named: impl Fn(&Path, u32) -> PathBuf) -> Result<PathBuf, Failure> {
    let mut names = (1..=MOST_COPIES).map(|number| named(path, number));
    names.find(|name| matches!(fs::exists(name), Ok(false))).ok_or_else(|| {
        let shown = named(path, MOST_COPIES);
        Failure::new(code::CANNOT_WRITE, format_args!("there are copies up to {}; remove some", shown.display()))
    })
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    let why = format!("cannot write {}: {error}", path.display());
    match error.kind() {
        ErrorKind::PermissionDenied => {
            Failure::new(code::RIGHTS, why).help("put sudo before the command; or look at the file first: --output -")
        }
        _ => Failure::new(code::CANNOT_WRITE, why),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}
