//! `klopf page`: a file that makes tokens on borrowed computers.

use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueHint};
use klopf_config::profile::Profile;
use klopf_spa::{Name, Own, PageKey};
use zeroize::Zeroizing;

use super::What;
use crate::complain;
use crate::failure::{Failure, code};
use crate::page::{Passphrase, html};
use crate::profile::{CoreFiles, Folders, Kept, Secrets, Store};

/// No passphrase is longer, in bytes.
const LONGEST: u64 = 1024;

#[derive(Args)]
pub(crate) struct Options {
    /// The profile, and the door if the page is to be for one alone
    #[arg(value_name = "PROFILE[/DOOR]", value_parser = What::parse)]
    what: What,
    /// The passphrase is the first line of this file, or of standard input (-); asked for at the terminal if not given
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "generate")]
    passphrase_file: Option<PathBuf>,
    /// Make a passphrase of six words, and print it on standard error
    #[arg(long)]
    generate: bool,
}

pub(super) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let _core_files = CoreFiles::none();
    if io::stdout().is_terminal() {
        let why = "this prints a whole page; put it into a file: klopf page PROFILE > knock.html";
        return Err(Failure::new(code::USAGE, why));
    }
    let kept = Store::new(&Folders::find()?).choose(options.what.profile.as_ref())?;
    let doors = doors(&kept, options.what.door.as_ref())?;
    let secrets = Secrets::of(&kept)?;
    let Profile { server, bound, device, mail, .. } = &kept.profile;
    let own = if *bound { Own::bound(&secrets.psk, *device) } else { Own::psk(&secrets.psk) };
    let key = PageKey::new(server, secrets.id(), &own, mail.as_deref(), &doors);
    let page = html(&key, &passphrase(options)?)?;
    io::stdout()
        .write_all(page.as_bytes())
        .map_err(|error| Failure::new(code::CANNOT_WRITE, format_args!("cannot write the page: {error}")))?;
    complain("Open the page once where you are now, and try the passphrase: nobody else knows it.");
    if *bound {
        complain("Its tokens count once this device has knocked by packet: klopf open");
    }
    complain("Whoever has page and passphrase makes tokens of this key until it is taken away: klopf uninvite");
    Ok(ExitCode::SUCCESS)
}

/// The doors that the page is for, the usual one first.
fn doors(kept: &Kept, named: Option<&Name>) -> Result<Vec<Name>, Failure> {
    let Profile { doors, code_doors, door: usual, .. } = &kept.profile;
    if let Some(unknown) = named.filter(|door| !doors.contains(door)) {
        let why = format_args!("the profile {} knows no door {unknown}", kept.name);
        return Err(Failure::new(code::NO_INPUT, why));
    }
    let mut all: Vec<&Name> = named.map_or_else(|| doors.iter().collect(), |door| vec![door]);
    all.sort_by_key(|door| *door != usual);
    let (with_code, without): (Vec<&Name>, Vec<&Name>) = all.into_iter().partition(|door| code_doors.contains(door));
    let refused = with_code.iter().map(|door| &***door).collect::<Vec<_>>().join(", ");
    if without.is_empty() {
        let why =
            format_args!("{refused}: who asks for the code of an authenticator opens by no token; nothing was made");
        return Err(Failure::new(code::USAGE, why));
    }
    if !refused.is_empty() {
        complain(format_args!("Not on the page, for no token opens a door that asks for a code: {refused}"));
    }
    let is_shared = |door: &&&Name| kept.profile.books.iter().any(|books| books.door == ***door);
    for door in without.iter().filter(is_shared) {
        complain(format_args!(
            "By guestbooks the door {door} opens with shares, which the page does not make; by mail it opens."
        ));
    }
    Ok(without.into_iter().cloned().collect())
}

fn passphrase(options: &Options) -> Result<Passphrase, Failure> {
    let refused = |why| {
        let help = "To have one made: klopf page --generate";
        Failure::new(code::USAGE, format_args!("this is no passphrase for a page: {why}\n{help}"))
    };
    if options.generate {
        let made = Passphrase::generate()?;
        complain(format_args!("Passphrase: {}", made.text()));
        return Ok(made);
    }
    if let Some(path) = &options.passphrase_file {
        return Passphrase::new(&first_line(path)?).map_err(refused);
    }
    let asked = |prompt| {
        rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|_| {
            let why = "a page needs a passphrase; give it with --passphrase-file, or at a terminal, or --generate one";
            Failure::new(code::USAGE, why)
        })
    };
    let passphrase = Passphrase::new(&asked("Passphrase of the page (it is not shown): ")?).map_err(refused)?;
    let again = Passphrase::new(&asked("The same again: ")?).ok();
    if again.is_none_or(|again| again.bytes() != passphrase.bytes()) {
        return Err(Failure::new(code::USAGE, "these are two different ones; nothing was made"));
    }
    Ok(passphrase)
}

fn first_line(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let unread = |error: io::Error| {
        Failure::new(code::NO_INPUT, format_args!("cannot read the passphrase from {}: {error}", path.display()))
    };
    // In one piece from the start, so that no copy is left behind when it grows.
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(LONGEST).unwrap_or(0) + 1));
    if path == Path::new("-") {
        io::stdin().lock().take(LONGEST).read_to_string(&mut text).map_err(unread)?;
    } else {
        let file = std::fs::File::open(path).map_err(unread)?;
        file.take(LONGEST).read_to_string(&mut text).map_err(unread)?;
    }
    let end = text.find('\n').unwrap_or(text.len());
    text.truncate(end);
    Ok(text)
}
