//! knockd's doors in the terms of engine and gate.

use std::collections::HashMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use klopf_config::knockd::{Door as Configured, Sequence, Target};
use klopf_engine::{Door, DoorId};
use klopf_gate::{Action, Command, Order, Scope};

use super::log::{Line, address_text};
use super::one_time::{OneTime, Used};
use crate::face::Ordered;
use crate::plan::Ids;

/// Bytes of a command at most; a longer one is not run.
const MOST_COMMAND: usize = 4095;
/// An address that no packet has: for a target that can never be one.
const NOWHERE: IpAddr = IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED);

/// The doors of a configuration with their ids and one-time files.
pub(super) struct Doors {
    directory: PathBuf,
    doors: Vec<(Configured, Option<OneTime>)>,
    ids: Ids,
    by_id: HashMap<DoorId, usize>,
    messages: Vec<Line>,
}

impl Doors {
    /// No doors; relative paths are seen from `directory`.
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, doors: Vec::new(), ids: Ids::default(), by_id: HashMap::new(), messages: Vec::new() }
    }

    /// What is to be logged since the last call.
    pub(super) fn messages(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.messages)
    }

    /// Takes a configuration's doors and reads their one-time files. At the start, `first`, a file without a usable
    /// line is an error; later it only disables its door.
    ///
    /// # Errors
    /// A file cannot be read or has no sequence; that has been told, and the doors stay as they were.
    pub(super) fn replace(&mut self, doors: Vec<Configured>, first: bool) -> Result<(), ()> {
        let mut new = Vec::new();
        let mut problems = Vec::new();
        for door in doors {
            let Sequence::OneTime(file) = &door.sequence else {
                new.push((door, None));
                continue;
            };
            let path = self.directory.join(OsString::from_vec(file.clone()));
            match OneTime::read(path) {
                Ok(list) => {
                    if list.is_empty() {
                        let line = used_up(&door.name);
                        if first { problems.push(line) } else { self.messages.push(line) }
                    }
                    new.push((door, Some(list)));
                }
                Err(problem) => problems.push(Line::text(problem)),
            }
        }
        for problem in &problems {
            crate::say(&problem.plain());
        }
        if !problems.is_empty() {
            self.messages.extend(problems);
            return Err(());
        }
        self.doors = new;
        Ok(())
    }

    /// The doors for the engine.
    pub(super) fn plan(&mut self) -> Vec<(String, Door)> {
        let mut doors: Vec<(String, Door)> =
            self.doors.iter_mut().map(|(door, list)| (door.name.clone(), recognised_by(door, list.as_mut()))).collect();
        self.ids.assign(&mut doors);
        self.by_id = doors.iter().map(|(_, door)| door.id).zip(0..).collect();
        doors
    }

    /// What a grant leads to. A one-time sequence is marked in its file first; if that fails, the door stays shut.
    pub(super) fn order(&mut self, id: DoorId, address: IpAddr, uses_up: Option<u16>) -> Option<Ordered> {
        let (door, list) = self.doors.get_mut(*self.by_id.get(&id)?)?;
        let replan = match (list, uses_up) {
            (None, None) => false,
            (Some(list), Some(number)) => match list.use_up(number) {
                Ok(Used::MoreLeft) => false,
                Ok(Used::MoreInFile) => true,
                Ok(Used::Last) => {
                    self.messages.push(used_up(&door.name));
                    false
                }
                Err(problem) => {
                    let text = format!("{}: the one time sequence stays unopened: {problem}", door.name);
                    self.messages.push(Line::text(text));
                    return None;
                }
            },
            // Not what this door is: the watch is mistaken, or not to be trusted.
            (None, Some(_)) | (Some(_), None) => return None,
        };
        let order = match order(door, address) {
            Ok(order) => order,
            Err(text) => {
                self.messages.push(Line::text(text.to_owned()));
                None
            }
        };
        Some(Ordered { order, replan })
    }
}

fn used_up(door: &str) -> Line {
    let text = "no more sequences left in the one time sequences file for door";
    Line::text(format!("{text} {door} --> disabling the door")).with_blank()
}

fn recognised_by(door: &Configured, list: Option<&mut OneTime>) -> Door {
    let one_time = list.is_some();
    Door {
        id: DoorId(0),
        sequences: match (&door.sequence, list) {
            (Sequence::Fixed(ports), _) => vec![ports.clone()],
            (Sequence::OneTime(_), list) => list.map(OneTime::hand_out).unwrap_or_default(),
        },
        one_time,
        flags: door.flags,
        target: door.target.as_ref().map(|target| match target {
            Target::Address(address) => *address,
            Target::Never => NOWHERE,
        }),
        within: door.seq_timeout_s.saturating_mul(1000),
        strict: false,
        second_factor: false,
        ways: klopf_engine::Ways::default(),
        may_ask: klopf_engine::MayAsk::default(),
    }
}

/// The commands of an opening; none if there is nothing to run.
fn order(door: &Configured, address: IpAddr) -> Result<Option<Order>, &'static str> {
    let (start, stop) = match address {
        IpAddr::V4(_) => (&door.start, &door.stop),
        IpAddr::V6(_) => (
            door.start6.as_ref().map_or(&door.start, |_| &door.start6),
            door.stop6.as_ref().map_or(&door.stop, |_| &door.stop6),
        ),
    };
    let Some(start) = start.as_ref().filter(|start| !start.is_empty()) else { return Ok(None) };
    let fill = |line: &[u8]| Some(replaced(line, address)).filter(|line| line.len() <= MOST_COMMAND);
    let start = fill(start).ok_or("error: parsed start command has been truncated! --> won't execute it")?;
    let stop = stop
        .as_ref()
        .map(|stop| fill(stop).ok_or("error: parsed stop command has been truncated! --> won't execute start command"));
    let shell = |line| Action::at_once(Command::Shell(OsString::from_vec(line)));
    Ok(Some(Order {
        door: door.name.clone(),
        address,
        scope: Scope::default(),
        open: vec![shell(start)],
        close: stop.transpose()?.map(shell).into_iter().collect(),
        hold: door.cmd_timeout_s.saturating_mul(1000),
        from_end: true,
        renews: false,
        pass: None,
    }))
}

/// Puts the address in for each `%IP%`.
fn replaced(line: &[u8], address: IpAddr) -> Vec<u8> {
    const PLACE: &[u8] = b"%IP%";
    let mut result = Vec::new();
    let mut rest = line;
    while let Some((&byte, after)) = rest.split_first() {
        match rest.strip_prefix(PLACE) {
            Some(after) => {
                result.extend(address_text(address).bytes());
                rest = after;
            }
            None => {
                result.push(byte);
                rest = after;
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders(text: &str, address: &str) -> Result<Option<Order>, &'static str> {
        let config = klopf_config::knockd::parse(text.as_bytes()).unwrap().config;
        order(config.doors.first().unwrap(), address.parse().unwrap())
    }

    fn commands(text: &str, address: &str) -> Option<(String, Option<String>)> {
        let order = orders(&format!("[d]\nsequence = 1,2,3\n{text}"), address).unwrap()?;
        let text = |actions: Vec<Action>| actions.into_iter().next().map(|action| action.run.text());
        Some((text(order.open).unwrap(), text(order.close)))
    }

    #[test]
    fn commands_follow_the_family_of_the_address() {
        let (v4, v6) = ("192.0.2.7", "2001:db8::7");
        let plain = "command = open %IP%%IP% %ip% %IP\nstop_command = close %IP%\n";
        assert_eq!(
            commands(plain, v4),
            Some(("open 192.0.2.7192.0.2.7 %ip% %IP".into(), Some("close 192.0.2.7".into())))
        );
        let both = format!("{plain}command_6 = six %IP%\nstop_command_6 =\n");
        assert_eq!(commands(&both, v6), Some(("six 2001:db8::7".into(), Some(String::new()))));
        assert!(commands(&both, v4).unwrap().0.starts_with("open"));
        assert_eq!(commands(&format!("{plain}command_6 =\n"), v6), None, "an empty one means nothing at all");
        assert_eq!(commands("stop_command = close\n", v4), None);
    }

    #[test]
    fn a_command_that_becomes_too_long_is_not_run() {
        let fits = format!("[d]\nsequence = 1\ncommand = {}\n", "x".repeat(4000));
        assert!(orders(&fits, "192.0.2.7").is_ok());
        let long = format!("[d]\nsequence = 1\ncommand = {}\n", "%IP%".repeat(900));
        assert!(orders(&long, "192.0.2.7").unwrap_err().contains("start command has been truncated"));
        let long = format!("[d]\nsequence = 1\ncommand = x\nstop_command = {}\n", "%IP%".repeat(900));
        assert!(orders(&long, "192.0.2.7").unwrap_err().contains("stop command has been truncated"));
    }
}
