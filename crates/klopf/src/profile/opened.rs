//! What was opened from here, and until when, as far as this device knows.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files;

/// More are not kept.
const MOST: usize = 64;
/// What has no known end is shown for so long, in milliseconds.
const SHOWN_MS: u64 = 24 * 3600 * 1000;

/// A door that was knocked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Opened {
    /// The profile's name.
    pub(crate) profile: String,
    pub(crate) door: String,
    /// The host as it was named.
    pub(crate) endpoint: String,
    /// Where packets went.
    pub(crate) addresses: Vec<IpAddr>,
    /// For whom: an address, or `observed`.
    pub(crate) allow: String,
    /// When, in milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// Until when; none: as long as the door says.
    pub(crate) until_ms: Option<u64>,
}

/// The list of them.
pub(crate) struct OpenedList(PathBuf);

impl OpenedList {
    pub(crate) fn new(state: &Path) -> Self {
        Self(state.join("opened.json"))
    }

    /// Those that may still be open, newest first. A list that is broken is empty: it is only for looking at.
    pub(crate) fn now(&self, unix_ms: u64) -> Vec<Opened> {
        let text = fs::read(&self.0).unwrap_or_default();
        let mut all: Vec<Opened> = serde_json::from_slice(&text).unwrap_or_default();
        all.retain(|one| one.until_ms.unwrap_or_else(|| one.at_ms.saturating_add(SHOWN_MS)) > unix_ms);
        all
    }

    /// Adds one, in place of an earlier one of the same door.
    pub(crate) fn add(&self, opened: Opened) {
        let mut all = self.now(opened.at_ms);
        all.retain(|one| {
            (&one.profile, &one.door, &one.endpoint, &one.allow)
                != (&opened.profile, &opened.door, &opened.endpoint, &opened.allow)
        });
        all.insert(0, opened);
        all.truncate(MOST);
        // It is only for looking at: nobody needs it to get in.
        let _ = files::replace(&self.0, &serde_json::to_vec_pretty(&all).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn opened(door: &str, at_ms: u64, until_ms: Option<u64>) -> Opened {
        Opened {
            profile: "laptop".into(),
            door: door.into(),
            endpoint: "host.example".into(),
            addresses: vec![[192, 0, 2, 1].into()],
            allow: "observed".into(),
            at_ms,
            until_ms,
        }
    }

    #[test]
    fn what_has_ended_is_not_shown() {
        let scratch = Scratch::new();
        let list = OpenedList::new(&scratch.path("state"));
        assert_eq!(list.now(0), []);
        for one in [opened("ssh", 1000, Some(2000)), opened("web", 1100, None), opened("ssh", 1200, Some(5000))] {
            list.add(one);
        }
        let doors = |now| list.now(now).into_iter().map(|one| one.door).collect::<Vec<_>>();
        assert_eq!(doors(1300), ["ssh", "web"], "the same door once");
        assert_eq!(doors(5000), ["web"]);
        assert_eq!(doors(1100 + SHOWN_MS), [""; 0]);
    }

    #[test]
    fn a_broken_list_is_an_empty_one_and_a_long_one_is_cut() {
        let scratch = Scratch::new();
        let list = OpenedList::new(&scratch.path(""));
        fs::write(&list.0, b"{").unwrap();
        assert_eq!(list.now(0), []);
        (0..70).for_each(|number| list.add(opened(&number.to_string(), 1, None)));
        assert_eq!(list.now(2).len(), MOST);
    }
}
