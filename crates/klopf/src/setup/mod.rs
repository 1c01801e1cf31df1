//! `klopf setup`: five questions, and a `klopf.toml` of a page.
//!
//! What [`host`] is like and what is asked in [`questions`] become [`answers`], these become [`text`], which `klopf check` has to like
//! before [`output`] writes it. What comes then is in [`next`].

mod answers;
mod draw;
mod host;
mod next;
mod options;
mod output;
mod questions;
mod sound;
mod talk;
#[cfg(test)]
mod tests;
mod text;
mod ways;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use self::host::Host;
pub(crate) use self::options::Options;
use self::output::Output;
use self::questions::Asking;
use self::talk::Talk;
use crate::failure::{Failure, code};
use crate::profile::random;

pub(crate) const HELP: &str = "\
Examples:
  sudo klopf setup
      Asks what to guard, how you want to knock, who may, for how long, and what
      if klopfd dies; writes /etc/klopf/klopf.toml, checks it, invites, and
      offers klopf lock. ? explains a question.

  sudo klopf setup --yes --for-whom laptop
      Asks nothing: ssh, by one sealed packet, for this laptop.

  klopf setup --yes --how sequence --guard tcp/22 --output -
      Shows the file.

  sudo klopf setup --how mail --mail-imap imaps://me%40a.example@mail.a.example
      Asks for the rest.

Exit codes:
  0   the file is written, and what was to be done then is done
  1   stopped, or klopfd refused; it says whether the file is written
  64  the command line is wrong, or an answer is missing and nobody can be asked
  69  the file is written; klopfd does not run, or does not answer
  73  the file is there already, or cannot be written
  77  a right is missing
  78  the keys that are there already do not go with it; nothing was written";

/// Runs it.
pub(crate) fn run(options: &Options) -> ExitCode {
    set_up(options).unwrap_or_else(|failure| failure.tell())
}

fn set_up(options: &Options) -> Result<ExitCode, Failure> {
    let asks = options.ask || !options.yes && io::stdin().is_terminal();
    let missing = if asks { Vec::new() } else { questions::missing(options) };
    if !missing.is_empty() {
        let why = format!("nobody can be asked, and there is no {}", missing.join(", "));
        let help = "add what is missing, --yes for what has a default, or --ask to be asked all the same";
        return Err(Failure::new(code::USAGE, why).help(help));
    }
    let output = Output::find(options, asks)?;
    let host = Host::look();
    // It fails at once, or never.
    random(&mut [0; 8])?;
    let mut chance = || getrandom::u64().unwrap_or_default();
    let (mut input, mut terminal) = (io::stdin().lock(), io::stderr());
    let mut talk = asks.then(|| Talk::new(&mut input, &mut terminal));
    if let Some(talk) = &mut talk {
        talk.say(&format!(
            "Five questions, for {}. Enter takes what is in brackets, ? explains, Ctrl-C stops. Nothing is written before \
             the last answer.",
            options.output.display()
        ));
        talk.say("");
    }
    let mut asking = Asking { options, host: &host, talk, chance: &mut chance };
    let answers = asking.answers()?;
    let mut talk = asking.talk;
    let text = text::text(&answers);
    if let Some(complaint) = sound::complaint(&text) {
        return Err(Failure::new(code::USAGE, format_args!("this cannot be: {complaint}")));
    }
    let written = output.write(&text, talk.as_mut())?;
    Ok(next::steps(options, &answers, &written, talk.as_mut()))
}
