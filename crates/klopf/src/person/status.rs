//! What was opened from here.

use serde_json::{Value, json};

use crate::open::unix_ms;
use crate::profile::{Folders, Opened, OpenedList, Store};
use crate::times::span;

/// What this person has and has opened.
pub(crate) struct Mine {
    /// Whether there are profiles.
    pub(crate) has_profiles: bool,
    opened: Vec<Opened>,
    now: u64,
}

/// Looks it up. Whoever has no folders has nothing.
pub(crate) fn mine() -> Mine {
    let now = unix_ms();
    match Folders::find() {
        Ok(folders) => {
            let has_profiles = !Store::new(&folders).names().is_empty();
            Mine { has_profiles, opened: OpenedList::new(&folders.state).now(now), now }
        }
        Err(_) => Mine { has_profiles: false, opened: Vec::new(), now },
    }
}

impl Mine {
    /// For a person; empty if there is nothing to say.
    pub(crate) fn shown(&self) -> String {
        if self.opened.is_empty() {
            return if self.has_profiles { "You have opened nothing lately.\n".to_owned() } else { String::new() };
        }
        let rows = self.opened.iter().map(|one| {
            let left = match one.until_ms {
                Some(until) => format!("{}, unless the door says less", span(until.saturating_sub(self.now))),
                None => "as long as the door says".to_owned(),
            };
            let ago = span(self.now.saturating_sub(one.at_ms));
            let allow = if one.allow == "observed" { "you".to_owned() } else { one.allow.clone() };
            [one.door.clone(), one.profile.clone(), one.endpoint.clone(), allow, format!("{ago} ago"), left]
        });
        let mut text = String::new();
        let heads = ["YOU OPENED", "PROFILE", "SERVER", "FOR", "SINCE", "LEFT"];
        crate::terminal::table(&mut text, heads, rows.collect());
        text
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!(self.opened)
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn run(for_programs: bool) -> Result<std::process::ExitCode, crate::failure::Failure> {
    let mine = mine();
    if for_programs {
        crate::say(json!({ "opened": mine.json() }));
    } else if mine.has_profiles {
        crate::say(mine.shown().trim_end());
    } else {
        crate::say("There are no profiles. To make one of an invitation: klopf join");
    }
    Ok(std::process::ExitCode::SUCCESS)
}
