//! A `knockd.conf` as a `klopf.toml`: what is the same by other means, and what is not.

mod command;

use std::collections::BTreeSet;
use std::fmt::Write;

use klopf_wire::{Port, Proto, TcpFlags};

use self::command::{Meaning, argv, meaning};
use crate::knockd::{Config, Door, Sequence, Target};

/// The longest times that a native door has.
const MOST_WITHIN: u64 = 3600;
const MOST_OPEN: u64 = 30 * 86_400;
/// For how long a door is open that knockd never closed.
const OPEN_FOR: &str = "1h";

/// What came of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The `klopf.toml`, without faults.
    pub text: String,
    /// What is another thing now, in the order of the file.
    pub changed: Vec<String>,
    /// What could not be turned, in the order of the file.
    pub left_out: Vec<String>,
}

/// Turns a file into a native one.
#[must_use]
pub fn import(config: &Config) -> Imported {
    let mut out = Imported { text: String::new(), changed: Vec::new(), left_out: Vec::new() };
    out.options(config);
    let pairs = Pairs::of(&config.doors);
    let mut names = BTreeSet::new();
    let mut guards = false;
    for (at, door) in config.doors.iter().enumerate() {
        if let Some(opener) = pairs.opener_of(at) {
            let text = format!(
                "[{}] closed what [{}] opens: no knock closes a door; it closes by itself after `open-for`, or by: klopf revoke",
                door.name, opener.name
            );
            out.changed.push(text);
            continue;
        }
        let name = unique(&door.name, &mut names);
        guards |= out.door(&name, door);
    }
    if guards {
        let text = "the ports in `guard` are closed by klopfd itself, and it opens nothing that another firewall closes: let \
                    your own rules accept these ports";
        out.changed.insert(0, text.to_owned());
    }
    let mut head = "# Made of a knockd.conf by `klopf import`. `klopf check` looks at it; man klopf.toml has all that can stand here.\n"
        .to_owned();
    for (what, notes) in [("Different now", &out.changed), ("Left out", &out.left_out)] {
        if !notes.is_empty() {
            let _ = writeln!(head, "#\n# {what}:");
            for note in notes {
                let _ = writeln!(head, "# - {note}");
            }
        }
    }
    out.text = format!("{head}\n{}", out.text.trim_start_matches('\n'));
    out
}

/// Doors that take back what others do.
struct Pairs<'a> {
    doors: &'a [Door],
    /// What each does to rules of a firewall, and nothing else.
    does: Vec<Option<Meaning>>,
}

impl<'a> Pairs<'a> {
    fn of(doors: &'a [Door]) -> Self {
        let does = |door: &Door| match meaning(door.start.as_deref().map(given)?.ok()?) {
            // With a stop command it is no mere closing.
            Meaning::Closes(_) if door.stop.is_some() => None,
            does @ (Meaning::Opens(_) | Meaning::Closes(_)) => Some(does),
            Meaning::Runs(_) | Meaning::Shell => None,
        };
        Self { doors, does: doors.iter().map(does).collect() }
    }

    /// The door that opens what this one closes.
    fn opener_of(&self, at: usize) -> Option<&'a Door> {
        let Some(Meaning::Closes(ports)) = self.does.get(at)? else { return None };
        let opens = |does: &Option<Meaning>| matches!(does, Some(Meaning::Opens(others)) if others == ports);
        self.doors.get(self.does.iter().position(opens)?)
    }
}

/// A command as text; the bytes are none otherwise.
fn given(line: &[u8]) -> Result<&str, ()> {
    std::str::from_utf8(line).map(str::trim).map_err(|_| ())
}

impl Imported {
    fn options(&mut self, config: &Config) {
        let mut lines = Vec::new();
        if let Some(interface) = &config.interface {
            lines.push(format!("interfaces = [{}]", quoted(interface)));
        }
        let file = config.log_file.as_deref().and_then(|file| given(file).ok()).filter(|file| !file.is_empty());
        match file {
            Some(file) if file.starts_with('/') => lines.push(format!("log = {}", quoted(file))),
            Some(file) => self.left_out.push(format!("LogFile = {file}: write its absolute path")),
            None if config.use_syslog => lines.push("log = \"syslog\"".to_owned()),
            None => {}
        }
        if config.pid_file.is_some() {
            self.left_out.push("PidFile: klopfd stays in the foreground and writes none".to_owned());
        }
        if !lines.is_empty() {
            self.text = format!("[daemon]\n{}\n", lines.join("\n"));
        }
    }

    /// Whether the door guards ports.
    fn door(&mut self, name: &str, door: &Door) -> bool {
        let shown = &door.name;
        let ports = match &door.sequence {
            Sequence::Fixed(ports) if ports.iter().all(|port| port.number > 0) => ports,
            Sequence::Fixed(_) => {
                self.left_out.push(format!("[{shown}]: its sequence has port 0, which nobody hits"));
                return false;
            }
            Sequence::OneTime(_) => {
                let text =
                    "one-time sequences; a sealed knock is as good for one time, and needs no list: klopf invite";
                self.left_out.push(format!("[{shown}]: {text}"));
                return false;
            }
        };
        let Some(lines) = Lines::of(door) else {
            self.left_out.push(format!("[{shown}]: a command of it is no UTF-8"));
            return false;
        };
        self.target(door);
        self.flags(door, ports);
        let mut block = format!("\n[door.{name}]\n");
        let guard = lines.guard();
        if let Some(guard) = &guard {
            let _ = writeln!(block, "guard = [{}]", listed(guard.iter().map(String::as_str)));
        }
        let _ = writeln!(
            block,
            "sequence = [{}]",
            listed(ports.iter().map(|port| in_words(*port)).collect::<Vec<_>>().iter().map(String::as_str))
        );
        let _ = writeln!(block, "within = \"{}s\"", door.seq_timeout_s.clamp(1, MOST_WITHIN));
        if door.seq_timeout_s == 0 && ports.len() > 1 {
            self.changed.push(format!("[{shown}]: with Seq_Timeout = 0 it could not be opened; it has a second now"));
        }
        let ends = lines.stop.is_some() || lines.stop6.is_some();
        match (&guard, ends) {
            (_, true) => {
                let _ = writeln!(block, "open-for = \"{}s\"", door.cmd_timeout_s.clamp(1, MOST_OPEN));
            }
            (Some(_), false) => {
                let _ = writeln!(block, "open-for = \"{OPEN_FOR}\"");
                let text = "it had no end; new connections may come for an hour now, and what is up stays up";
                self.changed.push(format!("[{shown}]: {text}"));
            }
            (None, false) => {}
        }
        let is_rule = |line: Option<&str>| {
            line.is_some_and(|line| matches!(meaning(line), Meaning::Opens(_) | Meaning::Closes(_)))
        };
        for (key, line, line6) in [("on-open", lines.start, lines.start6), ("on-close", lines.stop, lines.stop6)] {
            let commands = [line, line6].map(|line| line.filter(|line| guard.is_none() || !is_rule(Some(line))));
            if let Some(words) = argv(commands) {
                let _ = writeln!(block, "{key} = [{}]", listed(words.iter().map(String::as_str)));
            }
        }
        if guard.is_none() && lines.start.or(lines.start6).or(lines.stop).or(lines.stop6).is_none() {
            self.changed.push(format!("[{shown}]: it runs nothing, and nothing happens when it opens"));
        }
        self.text.push_str(&block);
        guard.is_some()
    }

    fn target(&mut self, door: &Door) {
        let name = &door.name;
        match door.target {
            None => {}
            Some(Target::Address(address)) => {
                self.changed.push(format!(
                    "[{name}]: it counted what is for {address}; now that counts which is for this host"
                ));
            }
            Some(Target::Never) => {
                self.changed.push(format!("[{name}]: its Target was nobody, so it never opened; now it does"));
            }
        }
    }

    /// A native door counts the first packets of connections.
    fn flags(&mut self, door: &Door, ports: &[Port]) {
        let tcp = ports.iter().any(|port| port.proto == Proto::Tcp);
        if tcp && !door.flags.fits(TcpFlags::SYN) {
            let text = "its TCPFlags ask for other packets than those that begin a connection, which alone count now";
            self.changed.push(format!("[{}]: {text}", door.name));
        }
    }
}

/// The commands of a door that are not empty.
struct Lines<'a> {
    start: Option<&'a str>,
    start6: Option<&'a str>,
    stop: Option<&'a str>,
    stop6: Option<&'a str>,
}

impl<'a> Lines<'a> {
    /// None if one is no text.
    fn of(door: &'a Door) -> Option<Self> {
        let line = |line: &'a Option<Vec<u8>>| match line.as_deref().map(given) {
            None => Some(None),
            Some(Ok(line)) => Some(Some(line).filter(|line| !line.is_empty())),
            Some(Err(())) => None,
        };
        Some(Self {
            start: line(&door.start)?,
            start6: line(&door.start6)?,
            stop: line(&door.stop)?,
            stop6: line(&door.stop6)?,
        })
    }

    /// The ports that it opens, if all that opens and closes is about the same ones.
    fn guard(&self) -> Option<Vec<String>> {
        let Meaning::Opens(ports) = meaning(self.start.or(self.start6)?) else { return None };
        let same = |line: Option<&str>, opens: bool| match line.map(meaning) {
            Some(Meaning::Opens(other)) => opens && other == ports,
            Some(Meaning::Closes(other)) => !opens && other == ports,
            // Whatever else is done stays.
            _ => true,
        };
        let all = same(self.start6, true) && same(self.stop, false) && same(self.stop6, false);
        all.then_some(ports)
    }
}

/// `23000/udp`, or the number alone for TCP.
fn in_words(port: Port) -> String {
    match port.proto {
        Proto::Tcp => port.number.to_string(),
        Proto::Udp => format!("{}/udp", port.number),
    }
}

/// A name of a door that no other has.
fn unique(name: &str, names: &mut BTreeSet<String>) -> String {
    let sound = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '-' };
    let mut base: String = name.chars().map(sound).take(56).collect();
    if base.is_empty() {
        base.push_str("door");
    }
    let mut unique = base.clone();
    let mut number = 2;
    while !names.insert(unique.clone()) {
        unique = format!("{base}-{number}");
        number += 1;
    }
    unique
}

fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(quoted).collect::<Vec<_>>().join(", ")
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;
