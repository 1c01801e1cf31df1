//! How things stand with a daemon.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::LONGEST_REPLY;

/// A daemon's whole state. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Time since its start.
    pub uptime_ms: u64,
    /// What is closed.
    pub guards: Guards,
    /// Time until a trial ends.
    pub trial_left_ms: Option<u64>,
    /// Whose the table in the kernel is.
    pub table: Table,
    /// The doors in file order.
    pub doors: Vec<DoorStatus>,
    /// Leases in force.
    pub leases: Vec<LeaseStatus>,
    /// Knocks that did not open, newest first.
    pub refusals: Vec<RefusalStatus>,
    /// Counts since the start, with stable names.
    pub counters: BTreeMap<String, u64>,
    /// What is wrong now, for a person.
    pub troubles: Vec<String>,
    /// The keys of sealed knocks; none of a daemon that does not tell.
    #[serde(default)]
    pub keys: Vec<KeyStatus>,
    /// The mailboxes and guestbooks.
    #[serde(default)]
    pub sources: Vec<SourceStatus>,
}

/// What is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guards {
    /// What the configuration says.
    Guarded,
    /// The same, until the end of a trial.
    Trial,
    /// Nothing, by `klopf unlock` or a trial that nobody confirmed.
    Unlocked,
    /// Nothing, for no door guards anything.
    None,
}

/// Whose the table in the kernel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Table {
    /// The daemon's; the kernel keeps others off.
    Owned,
    /// Others can change it; the daemon restores it.
    Shared,
    /// There is none.
    None,
}

/// How a closed port looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Closed {
    /// As if nothing were there.
    Drop,
    /// As a port on which nothing listens.
    Reject,
}

/// What becomes of a guard when the daemon dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IfKlopfdDies {
    /// It stays.
    StayClosed,
    /// The kernel forgets it.
    Open,
}

/// A door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DoorStatus {
    /// Its name.
    pub name: String,
    /// What it guards, as `tcp/22` or `udp/60000-61000`; empty if it only runs commands.
    pub guard: Vec<String>,
    /// How its ports look when they are closed.
    pub closed: Closed,
    /// What becomes of its guard when the daemon dies.
    pub if_klopfd_dies: IfKlopfdDies,
    /// Whether its ports are closed now.
    pub guarded: bool,
    /// How many leases it has.
    pub leases: usize,
    /// How many it may have.
    pub max_leases: Option<u32>,
    /// How many hits open it.
    pub sequence_length: usize,
}

/// A lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LeaseStatus {
    /// The door's name.
    pub door: String,
    /// For whom: an address, or a network as `10.0.0.0/24`.
    pub address: String,
    /// At which of the door's ports alone; none: at all.
    #[serde(default)]
    pub port: Option<u16>,
    /// The key, if one was used.
    pub who: Option<String>,
    /// From where the knock came.
    pub origin: Option<IpAddr>,
    /// What opened it.
    pub by: OpenedBy,
    /// Time since then.
    pub opened_ms_ago: Option<u64>,
    /// Time until it ends; nothing if only a command or a revocation ends it.
    pub left_ms: Option<u64>,
    /// How many connections are up under it, if that is known.
    pub connections: Option<u32>,
}

/// A key of sealed knocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct KeyStatus {
    /// Its name.
    pub name: String,
    /// How often it has opened a door.
    pub uses: u32,
    /// Whether it belongs to a device.
    pub joined: bool,
}

/// A mailbox or guestbook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// `imap`, `maildir`, `guestbook` or `log`.
    pub kind: String,
    /// `starting`, `listening`, `waiting` or `failing`.
    pub state: String,
    /// The stable name of what is wrong.
    pub trouble: Option<String>,
    /// What belongs to it, such as a status of HTTP; 0: nothing.
    pub detail: u16,
    /// Both for a person.
    pub text: Option<String>,
    /// Time since it was last looked at with success.
    pub last_good_ms_ago: Option<u64>,
    /// Time until it is looked at next; nothing if that is when something comes.
    pub next_ms: Option<u64>,
    /// How many mails, entries or lines were looked at.
    pub looked_at: u32,
    /// How many tokens were taken; of a log how many hits and tokens were found.
    pub taken: u32,
}

impl SourceStatus {
    /// The way that leads through it: `mail`, `guestbook` or `log`.
    #[must_use]
    pub fn way(&self) -> &'static str {
        match self.kind.as_str() {
            "guestbook" => "guestbook",
            "log" => "log",
            _ => "mail",
        }
    }
}

/// What opened a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OpenedBy {
    /// A sequence of hits.
    Sequence,
    /// A sealed packet.
    Packet,
    /// A token in a mail.
    Mail,
    /// A token in a guestbook, or shares in several.
    Guestbook,
    /// An encoded sequence.
    Encoded,
    /// What a log told.
    Log,
    /// `klopf grant`.
    Hand,
    /// An earlier daemon; it was found in the kernel.
    Adopted,
}

/// A knock that did not open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RefusalStatus {
    /// The door's name.
    pub door: String,
    /// From where; of a token for whom, if that is known.
    pub origin: Option<IpAddr>,
    /// The mailbox or guestbook that it came by, as `mail NAME`; nothing of packets.
    #[serde(default)]
    pub via: Option<String>,
    /// The reason's stable name.
    pub why: String,
    /// The reason for a person.
    pub text: String,
    /// Time since then.
    pub ms_ago: u64,
}

impl Status {
    /// As a line of JSON without its end.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Leaves out half of the longest list.
    pub(crate) fn shorten(&mut self) {
        let (leases, doors, refusals) = (self.leases.len(), self.doors.len(), self.refusals.len());
        if leases >= doors.max(refusals) {
            self.leases.truncate(leases / 2);
        } else if doors >= refusals {
            self.doors.truncate(doors / 2);
        } else {
            self.refusals.truncate(refusals / 2);
        }
        let text = format!("the status is longer than {} MiB; some of it is left out", LONGEST_REPLY >> 20);
        if self.troubles.last() != Some(&text) {
            self.troubles.push(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reply;

    fn status(leases: usize) -> Status {
        let lease = LeaseStatus {
            door: "ssh".into(),
            address: "192.0.2.0/24".into(),
            port: Some(22),
            who: None,
            origin: Some([192, 0, 2, 7].into()),
            by: OpenedBy::Sequence,
            opened_ms_ago: Some(1_000),
            left_ms: Some(29_000),
            connections: Some(1),
        };
        Status {
            version: "0.1.0".into(),
            pid: 7,
            uptime_ms: 5,
            guards: Guards::Trial,
            trial_left_ms: Some(93_000),
            table: Table::Owned,
            doors: vec![DoorStatus {
                name: "ssh".into(),
                guard: vec!["tcp/22".into()],
                closed: Closed::Drop,
                if_klopfd_dies: IfKlopfdDies::StayClosed,
                guarded: true,
                leases,
                max_leases: None,
                sequence_length: 3,
            }],
            leases: vec![lease; leases],
            refusals: Vec::new(),
            counters: [("knocks".into(), 3)].into(),
            troubles: Vec::new(),
            keys: vec![KeyStatus { name: "laptop".into(), uses: 3, joined: true }],
            sources: Vec::new(),
        }
    }

    #[test]
    fn a_status_looks_like_this() {
        let json = status(1).json();
        assert_eq!(
            json,
            concat!(
                r#"{"version":"0.1.0","pid":7,"uptime-ms":5,"guards":"trial","trial-left-ms":93000,"table":"owned","#,
                r#""doors":[{"name":"ssh","guard":["tcp/22"],"closed":"drop","if-klopfd-dies":"stay-closed","#,
                r#""guarded":true,"leases":1,"max-leases":null,"sequence-length":3}],"#,
                r#""leases":[{"door":"ssh","address":"192.0.2.0/24","port":22,"who":null,"origin":"192.0.2.7","by":"sequence","#,
                r#""opened-ms-ago":1000,"left-ms":29000,"connections":1}],"#,
                r#""refusals":[],"counters":{"knocks":3},"troubles":[],"#,
                r#""keys":[{"name":"laptop","uses":3,"joined":true}],"sources":[]}"#
            )
        );
    }

    #[test]
    fn ten_thousand_leases_have_room_and_more_are_left_out() {
        let read = |count| match Reply::read(&Reply::Status(Box::new(status(count))).line()).unwrap() {
            Reply::Status(status) => *status,
            other => panic!("{other:?}"),
        };
        assert_eq!(read(10_000), status(10_000));
        let many = read(100_000);
        assert_eq!((many.leases.len(), many.troubles.len()), (25_000, 1));
    }
}
