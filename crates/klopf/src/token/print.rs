//! `klopf token`: a knock as text.

use std::process::ExitCode;

use clap::Args;

use super::asking::{Claiming, Shape, Splitting, Writing};
use super::maker::Maker;
use crate::failure::Failure;
use crate::person::What;
use crate::profile::{Folders, Store};
use crate::{complain, say};

#[derive(Args)]
pub(crate) struct Options {
    /// The profile, if there are several, and the door, if it is not the usual one
    #[arg(value_name = "PROFILE[/DOOR]", value_parser = What::parse)]
    what: Option<What>,
    #[command(flatten)]
    claiming: Claiming,
    #[command(flatten)]
    writing: Writing,
    #[command(flatten)]
    splitting: Splitting,
}

pub(super) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let folders = Folders::find()?;
    let What { profile, door } = options.what.clone().unwrap_or_default();
    let kept = Store::new(&folders).choose(profile.as_ref())?;
    let maker = Maker::new(&folders, &kept, door.as_ref())?;
    let split = options.splitting.split(&maker.door, maker.shared().as_ref())?;
    let address = options.claiming.address(Some(maker.profile()))?;
    let token = maker.token(address, options.claiming.minutes())?;
    complain(format_args!("It opens the door {} of {} for {address}, once.", maker.door, kept.name));
    let Some(split) = split else {
        say(options.writing.text(&token, Shape::Plain)?);
        if let Some(shared) = maker.shared() {
            let (k, n) = (shared.k(), shared.books().len());
            complain(format_args!("In guestbooks this door takes shares only: --shares {k}/{n}"));
        }
        return Ok(ExitCode::SUCCESS);
    };
    let (k, n) = (split.k(), split.books().len());
    complain(format_args!("Any {k} of these {n} do, each in the guestbook that it is for."));
    for (book, share) in maker.shares(&token, &split)? {
        complain(format_args!("\n{book}:"));
        say(options.writing.text(&share, Shape::Plain)?);
    }
    Ok(ExitCode::SUCCESS)
}
