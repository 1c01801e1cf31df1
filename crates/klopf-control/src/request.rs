//! Requests and replies.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{LONGEST_REPLY, Status};

/// What is asked of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// How things stand. Answered by [`Reply::Status`].
    Status,
    /// Open a door by hand.
    Grant {
        /// The door's name.
        door: String,
        /// For whom.
        address: IpAddr,
        /// For how long, in milliseconds; as long as the door says if it is not written.
        for_ms: Option<u64>,
    },
    /// End leases.
    Revoke {
        /// An address, a door's name or a key's name.
        what: String,
        /// Whether connections that are up under these leases are ended, too.
        cut: bool,
    },
    /// End the leases that a key was used for; fine if there is none.
    RevokeKey {
        /// The key's name.
        key: String,
        /// Whether connections that are up under these leases are ended, too.
        cut: bool,
    },
    /// Close doors on trial. Answered by [`Reply::Trial`] until the trial ends.
    Lock {
        /// Those of which one must be come in by; none: any guarded one.
        doors: Vec<String>,
    },
    /// Take every guard away.
    Unlock,
    /// Read the configuration again.
    Reload {
        /// Whether guards that change are on trial first, as with [`Request::Lock`].
        confirm: bool,
    },
    /// Watch an interface, with a door of its own, until the connection ends. Answered by [`Reply::Rehearsal`].
    Rehearse {
        /// The interface's name.
        interface: String,
    },
}

/// What the daemon answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Reply {
    /// How things stand.
    Status(Box<Status>),
    /// It was done.
    Done {
        /// What was done, for a person.
        text: String,
    },
    /// It was not done.
    Failed {
        /// Why not, for a person.
        why: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// News of a trial.
    Trial(TrialNews),
    /// The rehearsal has begun.
    Rehearsal {
        /// What to hit, as `42000` or `23000/udp`.
        sequence: Vec<String>,
        /// The port that it opens, as `tcp/49152`.
        port: String,
    },
}

/// What happens in a trial, in this order: begun, then seen things and time left, then one of the two ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum TrialNews {
    /// The doors are closed, on trial.
    Begun {
        /// How long the trial is.
        seconds: u64,
        /// What to do on another machine, a line each.
        instructions: Vec<String>,
    },
    /// Something was seen that counts.
    Saw {
        /// What, for a person.
        text: String,
    },
    /// So much time is left.
    Left {
        /// Of the trial.
        seconds: u64,
    },
    /// The doors stay closed.
    Confirmed {
        /// By what, for a person.
        text: String,
    },
    /// Everything was undone.
    Undone {
        /// How things stand now, for a person.
        text: String,
        /// What was seen.
        saw: Vec<String>,
        /// What was not seen.
        not_seen: Vec<String>,
    },
}

impl Request {
    /// The request as a line, with its end.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        line(self)
    }

    /// Reads a line without its end.
    ///
    /// # Errors
    /// It is no request.
    pub fn read(line: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(line)
    }
}

impl Reply {
    /// The reply as a line, with its end. A status that would be too long is shortened, and says so.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        let whole = line(self);
        match self {
            Self::Status(status) if whole.len() > LONGEST_REPLY => {
                let mut shorter = status.as_ref().clone();
                shorter.shorten();
                Self::Status(Box::new(shorter)).line()
            }
            _ => whole,
        }
    }

    /// Reads a line without its end.
    ///
    /// # Errors
    /// It is no reply.
    pub fn read(line: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(line)
    }
}

/// The types here have no map with odd keys, the only thing that cannot be written.
fn line(what: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(what).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop};
    use proptest::{prop_assert_eq, proptest};

    use super::*;

    fn reads_back(request: &Request, json: &str) {
        assert_eq!(String::from_utf8(request.line()).unwrap(), format!("{json}\n"));
        assert_eq!(&Request::read(json.as_bytes()).unwrap(), request);
    }

    #[test]
    fn requests_look_like_this() {
        reads_back(&Request::Status, r#""status""#);
        let address = "2001:db8::7".parse().unwrap();
        reads_back(
            &Request::Grant { door: "ssh".into(), address, for_ms: Some(600_000) },
            r#"{"grant":{"door":"ssh","address":"2001:db8::7","for-ms":600000}}"#,
        );
        reads_back(&Request::RevokeKey { key: "a".into(), cut: false }, r#"{"revoke-key":{"key":"a","cut":false}}"#);
        reads_back(&Request::Revoke { what: "ssh".into(), cut: true }, r#"{"revoke":{"what":"ssh","cut":true}}"#);
        reads_back(&Request::Lock { doors: vec!["ssh".into()] }, r#"{"lock":{"doors":["ssh"]}}"#);
        reads_back(&Request::Unlock, r#""unlock""#);
        reads_back(&Request::Reload { confirm: false }, r#"{"reload":{"confirm":false}}"#);
        reads_back(&Request::Rehearse { interface: "eth0".into() }, r#"{"rehearse":{"interface":"eth0"}}"#);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for line in [
            "",
            "null",
            r#""dance""#,
            r#"{"grant":{"door":"ssh","address":"host","for-ms":1}}"#,
            r#"{"grant":{"door":"ssh","address":"::1","for-ms":-1}}"#,
            r#"{"lock":{"doors":[],"for":1}}"#,
            r#"{"lock":{"doors":[]}} {}"#,
            &"[".repeat(100_000),
        ] {
            assert!(Request::read(line.as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn news_look_like_this() {
        let news = TrialNews::Undone { text: "open".into(), saw: vec![], not_seen: vec!["a knock".into()] };
        let json = "{\"trial\":{\"undone\":{\"text\":\"open\",\"saw\":[],\"not-seen\":[\"a knock\"]}}}\n";
        assert_eq!(String::from_utf8(Reply::Trial(news.clone()).line()).unwrap(), json);
        assert_eq!(Reply::read(json.trim_end().as_bytes()).unwrap(), Reply::Trial(news));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (Request::read(&bytes), Reply::read(&bytes));
        }

        #[test]
        fn what_is_written_is_read(door in ".*", address: IpAddr, for_ms: Option<u64>) {
            let request = Request::Grant { door, address, for_ms };
            let line = request.line();
            let (end, text) = line.split_last().unwrap();
            prop_assert_eq!((*end, text.contains(&b'\n')), (b'\n', false));
            prop_assert_eq!(Request::read(text).unwrap(), request);
        }
    }
}
