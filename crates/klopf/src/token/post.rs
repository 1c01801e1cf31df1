//! `klopf post`: an entry in guestbooks.

use std::process::ExitCode;

use clap::Args;
use klopf_spa::{Name, SharedDoor};

use super::asking::{Claiming, Shape, Splitting, Writing};
use super::maker::Maker;
use crate::failure::{Failure, code};
use crate::outbox::{Settings, post};
use crate::person::{What, name};
use crate::profile::{Folders, Store};
use crate::{complain, say};

#[derive(Args)]
#[command(
    override_usage = "klopf post [OPTIONS] <BOOK> [PROFILE[/DOOR]]\n       klopf post [OPTIONS] --all [PROFILE[/DOOR]]"
)]
pub(crate) struct Options {
    /// The guestbook, as the server calls it; of a door that takes shares several, as a,b
    #[arg(value_name = "BOOK", required_unless_present = "all")]
    first: Option<String>,
    /// The profile, if there are several, and the door, if it is not the usual one
    #[arg(value_name = "PROFILE[/DOOR]", value_parser = What::parse)]
    what: Option<What>,
    /// In every guestbook of a door that takes shares
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    claiming: Claiming,
    #[command(flatten)]
    writing: Writing,
    #[command(flatten)]
    splitting: Splitting,
}

impl Options {
    /// The guestbooks that were named, none for all of them, and the profile.
    fn read(&self) -> Result<(Vec<Name>, What), Failure> {
        let wrong = |text: &str, why: &str| Failure::new(code::USAGE, format_args!("'{text}': {why}"));
        let text = self.first.as_deref().unwrap_or_default();
        if self.all {
            if self.what.is_some() {
                return Err(Failure::new(code::USAGE, "with --all there is no guestbook to name"));
            }
            let what = self.first.as_deref().map(|text| What::parse(text).map_err(|why| wrong(text, why)));
            return Ok((Vec::new(), what.transpose()?.unwrap_or_default()));
        }
        let books = text.split(',').map(|book| name(book).map_err(|why| wrong(book, why))).collect::<Result<_, _>>()?;
        Ok((books, self.what.clone().unwrap_or_default()))
    }
}

pub(super) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let (named, What { profile, door }) = options.read()?;
    let folders = Folders::find()?;
    let settings = Settings::load(&folders)?;
    let kept = Store::new(&folders).choose(profile.as_ref())?;
    let maker = Maker::new(&folders, &kept, door.as_ref())?;
    let split = options.splitting.split(&maker.door, maker.shared().as_ref())?.or_else(|| maker.shared());
    check(&named, split.as_ref(), &maker)?;
    let address = options.claiming.address(Some(maker.profile()))?;
    let token = maker.token(address, options.claiming.minutes())?;
    let entries = match &split {
        Some(split) => maker.shares(&token, split)?,
        None => named.iter().map(|book| (book.clone(), token.clone())).collect(),
    };
    let mut texts = Vec::new();
    for (book, body) in entries {
        texts.push((book, options.writing.text(&body, Shape::Prose)?));
    }
    complain(match &split {
        Some(shared) => format!(
            "Any {} of {} entries open the door {} of {} for {address}, once.",
            shared.k(),
            shared.books().len(),
            maker.door,
            kept.name
        ),
        None => format!("It opens the door {} of {} for {address}, once.", maker.door, kept.name),
    });
    let mut code = ExitCode::SUCCESS;
    for (book, text) in texts {
        let wanted = named.is_empty() || named.contains(&book);
        match settings.guestbook(&book).filter(|_| wanted).map(|how| post(how, &settings, &text)) {
            Some(Ok(())) => {
                complain(format_args!("Posted to the guestbook {book}."));
                continue;
            }
            Some(Err(failure)) => {
                complain(format_args!("error: {failure}"));
                code = failure.code.into();
            }
            None if wanted => complain(format_args!(
                "How to post to {book} is not told in {}: [guestbook.{book}].",
                settings.path().display()
            )),
            None => {}
        }
        complain(format_args!("To be pasted into the guestbook {book}:"));
        say(text);
    }
    Ok(code)
}

/// Whether these guestbooks are those of the door.
fn check(named: &[Name], split: Option<&SharedDoor>, maker: &Maker) -> Result<(), Failure> {
    let door = &maker.door;
    let Some(books) = split.map(SharedDoor::books) else {
        if named.is_empty() {
            let why = format_args!("the door {door} takes no shares, so one guestbook is enough; name it");
            return Err(Failure::new(code::USAGE, why));
        }
        return Ok(());
    };
    if let Some(unknown) = named.iter().find(|book| !books.contains(book)) {
        let books: Vec<&str> = books.iter().map(|book| &**book).collect();
        let why = format_args!("the door {door} has no guestbook {unknown}; it has {}", books.join(", "));
        return Err(Failure::new(code::NO_INPUT, why));
    }
    Ok(())
}
