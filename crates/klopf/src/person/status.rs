//! What was opened from here.

use serde_json::json;

use crate::open::unix_ms;
use crate::profile::{Folders, Opened, OpenedList, Store};
use crate::say;
use crate::times::span;

/// What this person has and has opened.
pub(crate) struct Mine {
    /// Whether there are profiles.
    pub(crate) has_profiles: bool,
    pub(crate) opened: Vec<Opened>,
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

    /// Says it, for a person or for programs.
    pub(crate) fn tell(&self, for_programs: bool) {
        if for_programs {
            say(json!({ "opened": self.opened }));
        } else {
            say(self.shown().trim_end());
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn run(for_programs: bool) -> Result<std::process::ExitCode, crate::failure::Failure> {
    let mine = mine();
    if mine.has_profiles || for_programs {
        mine.tell(for_programs);
    } else {
        say("There are no profiles. To make one of an invitation: klopf join");
    }
    Ok(std::process::ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_opened_is_shown_with_its_end_as_far_as_that_is_known() {
        let opened = |allow: &str, until_ms| Opened {
            profile: "home".into(),
            door: "ssh".into(),
            endpoint: "host.example".into(),
            addresses: vec![],
            allow: allow.into(),
            at_ms: 1_000,
            until_ms,
        };
        let opened = vec![opened("observed", Some(121_000)), opened("192.0.2.7", None)];
        let text = Mine { has_profiles: true, opened, now: 61_000 }.shown();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1][..7], ["ssh", "home", "host.example", "you", "1m00s", "ago", "1m00s,"], "{text}");
        assert_eq!(lines[2][3], "192.0.2.7", "{text}");
        assert!(text.contains("as long as the door says"), "{text}");
        let nothing = |has_profiles| Mine { has_profiles, opened: Vec::new(), now: 0 }.shown();
        assert!(nothing(true).contains("nothing") && nothing(false).is_empty());
    }
}
