//! `klopf profiles`: what is stored on this device.

use std::process::ExitCode;

use klopf_config::profile::{Books, Keys};
use serde_json::json;

use crate::failure::Failure;
use crate::profile::{Folders, Kept, Store};
use crate::{complain, say};

pub(super) fn run(for_programs: bool) -> Result<ExitCode, Failure> {
    let folders = Folders::find()?;
    let (all, broken) = Store::new(&folders).all();
    if for_programs {
        let all: Vec<_> = all.iter().map(as_json).collect();
        say(json!(all));
    } else if all.is_empty() && broken.is_empty() {
        say(format_args!("There are no profiles in {}. To make one: klopf join", folders.config.display()));
    } else {
        say(table(&all).trim_end());
    }
    let mut code = ExitCode::SUCCESS;
    for failure in broken {
        complain(format_args!("\nerror: {failure}"));
        code = failure.code.into();
    }
    Ok(code)
}

fn table(all: &[Kept]) -> String {
    let rows = all.iter().map(|Kept { name, profile, .. }| {
        let doors: Vec<&str> = profile.doors.iter().map(|door| &**door).collect();
        let keys = match profile.keys {
            Keys::Here(..) => "file",
            Keys::Keyring => "keyring",
        };
        let mail = profile.mail.clone().unwrap_or_else(|| "-".to_owned());
        [name.to_string(), profile.endpoints.join(", "), doors.join(", "), keys.to_owned(), mail]
    });
    let mut text = String::new();
    crate::terminal::table(&mut text, ["PROFILE", "SERVER", "DOORS", "KEYS", "MAIL"], rows.collect());
    text
}

fn books(Books { door, shares, of }: &Books) -> serde_json::Value {
    let names: Vec<&str> = of.iter().map(|name| &**name).collect();
    json!({ "door": **door, "quorum": shares, "guestbooks": names })
}

fn as_json(Kept { name, path, profile }: &Kept) -> serde_json::Value {
    let doors: Vec<&str> = profile.doors.iter().map(|door| &**door).collect();
    let key = match &profile.keys {
        Keys::Here(seed, _) => Some(seed.public().id().to_string()),
        Keys::Keyring => None,
    };
    json!({
        "name": **name,
        "file": path.display().to_string(),
        "endpoints": profile.endpoints,
        "doors": doors,
        "door": *profile.door,
        "key": key,
        "bound": profile.bound,
        "mail": profile.mail,
        "guestbooks": profile.books.iter().map(books).collect::<Vec<_>>(),
    })
}
