//! Keys of this server: inviting, listing, taking back.
//!
//! An invitation is a [`draft::Draft`] first, which is checked as klopfd would check it; then the files are written, klopfd reads
//! them, and the line is printed. What fails on the way takes all of it back.

mod draft;
mod endpoints;
mod key_file;
mod keys;
mod options;
mod otpauth;
mod qr;
mod reload;
mod sheet;
mod tell;
#[cfg(test)]
mod tests;
mod uninvite;
mod written;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Subcommand;
use klopf_control::Request;
use klopf_spa::Name;
use klopf_sys::{Signals, clock};
use zeroize::Zeroizing;

use self::draft::{Chance, Draft};
pub(crate) use self::endpoints::own as own_endpoints;
use self::options::Options;
pub(crate) use self::options::{endpoint, key_name};
pub(crate) use self::sheet::revoke as revoke_sheet;
use self::written::Written;
use crate::cli::fail;
use crate::complain;
use crate::daemon::{At, Place};
use crate::failure::{Failure, code};
use crate::profile::{CoreFiles, random};

const INVITE_HELP: &str = "\
Examples:
  sudo klopf invite laptop --door ssh --endpoint host.example
      Makes a key that may open the door ssh, writes keys.d/laptop.toml, has
      klopfd read it, and prints one line that begins with klopf: and holds all
      that the laptop must know. There: klopf join, and paste it. The line is
      good for a day, and for the first device that uses it.

  sudo klopf invite phone --door ssh --door web --qr
      For two doors, and with a QR code to be scanned.

  sudo klopf invite laptop --door ssh | ssh laptop klopf join -
      Nothing but the line is on standard output.

  sudo klopf invite laptop --door ssh --public LcC0...
      With the key that `klopf keygen` has made on the laptop: the line then
      holds no private key.

  sudo klopf invite guest --door web --valid 2h --expires 7d --max-uses 20
      On more terms. They are in the key's file: change them there, and reload.

  sudo klopf invite laptop --door ssh --mail knock@example.org
      The mailbox is one of klopf.toml, [mail.NAME]. The laptop can then open
      the door by mail, too: klopf open --via mail

  sudo klopf invite office --door ssh --hours \"mon-fri 08:00-18:00\"
      By the clock of this host.

Exit codes:
  0   the line is on standard output
  1   klopfd refused, and said why
  64  the command line asks for what cannot be
  66  a file cannot be read
  69  klopfd does not answer
  73  there is such a key already, or its file cannot be written
  74  the line could not be printed
  77  a right is missing
  78  the configuration has a fault, or does not let the key open the door

If it is not 0, nothing was changed.";

const KEYS_HELP: &str = "\
Examples:
  sudo klopf keys
      Which keys there are, the doors they open, and on which terms.

Exit codes:
  0   listed
  66  a file cannot be read
  77  a right is missing
  78  the configuration has a fault";

const UNINVITE_HELP: &str = "\
Examples:
  sudo klopf uninvite laptop
      Removes the key, has klopfd forget it, and ends its leases. Connections
      that are up stay up.

  sudo klopf uninvite laptop --cut
      Ends those as well.

Exit codes:
  0   the key opens nothing any more
  1   klopfd refused, and said why
  66  there is no such key, or a file cannot be read
  69  klopfd does not answer; the key's file is gone all the same
  73  the key's file cannot be removed
  77  a right is missing
  78  the configuration has a fault, or the key is in klopf.toml itself";

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Invite a device or a person: make a key, and the line that is to be pasted there
    #[command(after_help = INVITE_HELP)]
    Invite {
        #[command(flatten)]
        options: Box<Options>,
        #[command(flatten)]
        at: At,
    },
    /// List the keys that open doors of this host
    #[command(after_help = KEYS_HELP)]
    Keys {
        #[command(flatten)]
        at: At,
    },
    /// Remove a key, and end its leases
    #[command(after_help = UNINVITE_HELP)]
    Uninvite {
        /// What the key is called
        #[arg(value_parser = options::name)]
        name: Name,
        /// End connections that are up, too
        #[arg(long)]
        cut: bool,
        #[command(flatten)]
        at: At,
    },
}

/// Runs it.
pub(crate) fn run(task: Task) -> ExitCode {
    let _core_files = CoreFiles::none();
    let done = match task {
        Task::Invite { options, at } => invite(&options, &Place::find(at)),
        Task::Keys { at } => keys::run(&Place::find(at)),
        Task::Uninvite { name, cut, at } => uninvite::run(&name, cut, &Place::find(at)),
    };
    done.unwrap_or_else(|failure| fail(format_args!("{failure}\nNothing was changed."), failure.code))
}

/// Somebody whom `klopf setup` invites, on the usual terms.
pub(crate) struct Invited {
    pub(crate) name: Name,
    pub(crate) door: &'static str,
    /// None: the host's own.
    pub(crate) endpoints: Vec<String>,
    /// For any number of devices.
    pub(crate) reusable: bool,
    /// Where mails that open doors go.
    pub(crate) mail: Option<String>,
}

/// Invites somebody: the line is on standard output.
pub(crate) fn one(invited: Invited, place: &Place) -> Result<(), Failure> {
    let _core_files = CoreFiles::none();
    invite(&Options::usual(invited), place).map(|_| ())
}

fn invite(options: &Options, place: &Place) -> Result<ExitCode, Failure> {
    let main = &place.config;
    let named = !options.endpoints.is_empty();
    let endpoints = if named { options.endpoints.clone() } else { endpoints::own()? };
    let draft = Draft::new(options, main, endpoints, clock::wall_ms() / 1000, &chance()?)?;
    // From here on an interruption, too, takes all back.
    let signals = Signals::open().ok();
    let written = write(&draft, main)?;
    let printed = reload::ask(place, &Request::Reload { confirm: false }, signals.as_ref())
        .and_then(|answer| print(&draft).map(|()| answer));
    let answer = match printed {
        Ok(answer) => answer,
        Err(failure) => {
            drop(written);
            // It may have read what is gone now; one that does not answer has not.
            if failure.code != code::UNAVAILABLE {
                let _ = reload::ask(place, &Request::Reload { confirm: false }, None);
            }
            return Err(failure);
        }
    };
    written.keep();
    tell::all(&draft, named, &answer);
    if options.qr {
        tell::codes(&draft);
    }
    for exposed in draft::exposed(main) {
        complain(format_args!("warning: {exposed}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn chance() -> Result<Chance, Failure> {
    fn bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, Failure> {
        let mut bytes = Zeroizing::new([0; N]);
        random(&mut *bytes)?;
        Ok(bytes)
    }
    Ok(Chance { seed: bytes()?, psk: bytes()?, server: bytes()?, totp: bytes()? })
}

/// Writes the files of an invitation.
fn write(draft: &Draft, main: &std::path::Path) -> Result<Written, Failure> {
    let mut written = Written::default();
    written.folder(&draft::keys_dir(main))?;
    if let Some((path, text)) = &draft.server_key {
        written.make(path, text.as_bytes())?;
    }
    match &draft.before {
        Some(before) => written.replace(&draft.path, draft.text.as_bytes(), before)?,
        None => written.make(&draft.path, draft.text.as_bytes())?,
    }
    Ok(written)
}

/// The line, and nothing else, on standard output.
fn print(draft: &Draft) -> Result<(), Failure> {
    let mut line = draft.invitation.text();
    line.push('\n');
    let mut out = io::stdout().lock();
    let printed = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    printed.map_err(|error| Failure::new(code::OUTPUT, format_args!("cannot print the line: {error}")))
}
