//! `klopf.toml`, Klopf's own format.

mod access;
mod actions;
pub mod client;
mod daemon;
mod doors;
pub mod encoded;
mod guard;
mod guestbooks;
mod hours;
mod key;
mod keys;
mod logs;
mod mails;
mod may_ask;
mod moment;
mod packet;
pub mod profile;
mod report;
mod secrets;
mod sheets;
mod source;
mod sources;
mod tokens;
mod urls;
mod values;
mod ways;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use klopf_spa::Name;
use klopf_wire::{Port, Proto};
use toml::de::DeTable;

pub use self::actions::Action;
use self::doors::Place;
pub use self::encoded::Encoded;
pub use self::hours::Hours;
pub use self::key::{Key, KeyList, Packet, Totp, Way};
use self::keys::Written;
pub use self::logs::{Log, LogFrom};
pub use self::may_ask::MayAsk;
pub use self::moment::text as moment_text;
pub use self::report::Wrong;
use self::report::{Report, in_order};
pub use self::sheets::with_revoked_sheet;
pub use self::source::{Delivery, Format, Guestbook, Imap, Mail, Mailbox, Maildir, PageUrl, Taken};
use self::sources::Sources;
use crate::fault::{MAX_FAULTS, place};
pub use crate::{Fault, Faults};

/// A longer file is not read, in bytes.
const LONGEST_FILE: usize = 1 << 20;
/// More keys are a fault.
const MOST_KEYS: usize = 100_000;

/// `klopf.toml` with the files of `keys.d`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// `[daemon]`.
    pub daemon: Daemon,
    /// `[door.NAME]`, in file order.
    pub doors: Vec<Door>,
    /// `[packet]`.
    pub packet: Packet,
    /// `[key.NAME]` in file order, then those of `keys.d` as they were given; at most 100,000.
    pub keys: Vec<Key>,
    /// `[mail.NAME]`, in file order; at most 32 together with the guestbooks.
    pub mails: Vec<Mail>,
    /// `[guestbook.NAME]`, in file order.
    pub guestbooks: Vec<Guestbook>,
    /// `[log.NAME]`, in file order; at most 16. Whether they are read says [`Daemon::sources`].
    pub logs: Vec<Log>,
}

/// What concerns the daemon as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// Interfaces to watch; empty means every one.
    pub interfaces: Vec<String>,
    /// Where state survives a restart; `/var/lib/klopf`.
    pub state_dir: String,
    /// Where the control socket is; `/run/klopf`.
    pub runtime_dir: String,
    /// Whom the unprivileged processes run as. `None`: `klopf`, else `nobody`.
    pub user: Option<String>,
    /// Where log lines go. `None`: journal under systemd, else stderr.
    pub log: Option<LogTarget>,
    /// Ports that serve although nothing on this host listens; hits there are never wrong hits.
    pub service_ports: Vec<PortRange>,
    /// Whether to run where the kernel has no seccomp.
    pub seccomp_optional: bool,
    /// Whether other programs may change Klopf's table in the kernel; it is then restored when they do.
    pub share_table: bool,
    /// Whom the courier runs as. `None`: `klopf-courier` if there is such a user, else as `user`.
    pub courier_user: Option<String>,
    /// What is watched.
    pub sources: Watched,
}

/// What is watched for hits and what is sealed; mails and guestbooks are, if there are any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Packets. Without them no packet socket is opened.
    pub packet: bool,
    /// Logs, if there are any.
    pub log: bool,
}

impl Default for Watched {
    fn default() -> Self {
        Self { packet: true, log: true }
    }
}

/// Where log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// systemd's journal.
    Journal,
    /// The syslog socket.
    Syslog,
    /// Standard error.
    Stderr,
    /// A file, by absolute path.
    File(String),
}

/// Ports of one protocol, `first` to `last`, both included; `first <= last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The protocol.
    pub proto: Proto,
    /// The lowest port.
    pub first: u16,
    /// The highest port.
    pub last: u16,
}

impl PortRange {
    /// The ports that are in both.
    #[must_use]
    pub fn common(&self, other: &Self) -> Option<Self> {
        let (first, last) = (self.first.max(other.first), self.last.min(other.last));
        (self.proto == other.proto && first <= last).then_some(Self { proto: self.proto, first, last })
    }
}

/// As in the file: `tcp/443` or `udp/60000-61000`.
impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { proto, first, last } = self;
        if first == last { write!(f, "{proto}/{first}") } else { write!(f, "{proto}/{first}-{last}") }
    }
}

/// A network; the host bits of `address` are clear, `prefix` is at most 32 or 128.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its first address.
    pub address: IpAddr,
    /// How many bits are fixed.
    pub prefix: u8,
}

impl Network {
    /// Whether the address is in the network. An IPv4 address is never in an IPv6 network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && values::masked(address, self.prefix) == self.address
    }
}

/// What somebody without a lease sees of a guarded port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Closed {
    /// Nothing.
    #[default]
    Drop,
    /// What a port without a service answers.
    Reject,
}

/// What becomes of a guard when klopfd dies or hangs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IfKlopfdDies {
    /// It stays.
    #[default]
    StayClosed,
    /// The kernel forgets it.
    Open,
}

/// Where a lease leads instead of to this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Another host; never an IPv4 address written as an IPv6 one.
    pub address: IpAddr,
    /// Its port, only with a single guarded one. `None`: the port that was asked for.
    pub port: Option<u16>,
}

/// `[door.NAME]`: what opens it and what then happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// 1 to 64 characters of `[A-Za-z0-9_.-]`, unique.
    pub name: String,
    /// The hits that open it, at most 32. Empty: none do, or its `via` leaves them out.
    pub sequence: Vec<Port>,
    /// The encoded sequences that open it, by whom of `keys` they are.
    pub encoded: Option<Encoded>,
    /// The keys that may open it, see [`Config::may_open`].
    pub keys: Option<KeyList>,
    /// Whether a sealed knock needs a code (RFC 6238) besides.
    pub second_factor: bool,
    /// The ways it may be opened, at least one. `None`: all that are configured.
    pub via: Option<Vec<Way>>,
    /// From the first hit to the last; 5 s unless written, at most 1 h.
    pub within: Duration,
    /// From the first share of a token to the last that is needed; 1 h unless written, and at most.
    pub share_within: Duration,
    /// How old a token may be, 1 min to 30 d; 1 d unless written.
    pub valid_for: Duration,
    /// The guestbooks that open it, each of them one of [`Config::guestbooks`], at least one. `None`: all.
    pub guestbooks: Option<Vec<Name>>,
    /// In how many guestbooks a share of the token must stand. 1: in one, and the whole token. More, at most 8: there are so many
    /// `guestbooks`, which are no more than 8 either.
    pub quorum: u8,
    /// What is run at the opening, one after the other, at most 16. What has not begun when it closes is left out.
    pub on_open: Vec<Action>,
    /// What is run at the closing, likewise.
    pub on_close: Vec<Action>,
    /// What sealed knocks may ask for.
    pub may_ask: MayAsk,
    /// How long it stays open, at most 30 d.
    pub open_for: Option<Duration>,
    /// Who is never shut out.
    pub always_allow: Vec<Network>,
    /// Ports closed to all without a lease, at most 64 ranges, none touching another. Empty: the door only runs commands,
    /// and what follows has its defaults. Doors with a port in common agree in `closed`, `if_klopfd_dies` and `forward`.
    pub guard: Vec<PortRange>,
    /// What a guarded port looks like.
    pub closed: Closed,
    /// Whether the guard outlives klopfd.
    pub if_klopfd_dies: IfKlopfdDies,
    /// Whether a lease is renewed while a connection under it is up.
    pub extend_while_connected: bool,
    /// Whether a lease ends with its last connection.
    pub close_on_disconnect: bool,
    /// How many leases it may have at once, 1 or more.
    pub max_leases: Option<u32>,
    /// A lease is for all IPv4 addresses with as many first bits in common; 8 to 32.
    pub allow_prefix: u8,
    /// The same for IPv6; 16 to 128.
    pub allow_prefix6: u8,
    /// Where a lease leads.
    pub forward: Option<Forward>,
    /// A systemd unit that runs while there are leases: `NAME.service`, `.socket` or `.target`, at most 255 characters.
    pub start: Option<String>,
}

/// A file without faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What it says.
    pub config: Config,
    /// What works but is hardly meant, in file order.
    pub warnings: Vec<Fault>,
}

/// A file: its name, which serves the messages and names the key of a file in `keys.d`, and its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The name as it is to be shown, with directories or without.
    pub name: &'a str,
    /// What is in it; what is not UTF-8 is a fault.
    pub bytes: &'a [u8],
}

/// Reads and checks a `klopf.toml` without `keys.d`. `file_name` only serves the messages.
///
/// # Errors
/// All faults, in file order, at most a hundred.
pub fn parse(file_name: &str, text: &str) -> Result<Checked, Faults> {
    parse_bytes(file_name, text.as_bytes())
}

/// As [`parse`]; bytes that are not UTF-8 are a fault.
///
/// # Errors
/// As [`parse`].
pub fn parse_bytes(file_name: &str, text: &[u8]) -> Result<Checked, Faults> {
    parse_files(Source { name: file_name, bytes: text }, &[])
}

/// Reads and checks a `klopf.toml` and the files of `keys.d`, each of which is the key by whose name it goes.
///
/// # Errors
/// All faults, by file and in file order, at most a hundred.
pub fn parse_files(main: Source<'_>, keys: &[Source<'_>]) -> Result<Checked, Faults> {
    let (config, faults, warnings) = examine(main, keys);
    if faults.is_empty() { Ok(Checked { config, warnings }) } else { Err(Faults(faults)) }
}

/// What a file says of the daemon, whatever faults it has.
#[must_use]
pub fn daemon_of(text: &[u8]) -> Daemon {
    examine(Source { name: "", bytes: text }, &[]).0.daemon
}

/// Whether a `klopf.toml` has sections of keys, whatever faults it has, and so secrets.
#[must_use]
pub fn holds_keys(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    text.len() <= LONGEST_FILE && DeTable::parse_recoverable(&text).0.get_ref().contains_key("key")
}

/// The line, from 1, in which the key at the end of `path` is written, such as `["door", "ssh", "keys"]`; for a section that of its
/// header.
#[must_use]
pub fn line_of(text: &[u8], path: &[&str]) -> Option<usize> {
    let text = String::from_utf8_lossy(text);
    let (last, sections) = path.split_last()?;
    if text.len() > LONGEST_FILE {
        return None;
    }
    let document = DeTable::parse_recoverable(&text).0.into_inner();
    let mut table = &document;
    for section in sections {
        table = table.get(*section)?.get_ref().as_table()?;
    }
    let (key, _) = table.get_key_value(*last)?;
    Some(place(&text, &key.span()).0)
}

/// The configuration, which only counts without faults, the faults and the warnings.
pub(crate) fn examine(main: Source<'_>, keys: &[Source<'_>]) -> (Config, Vec<Fault>, Vec<Fault>) {
    let texts: Vec<_> = [&main].into_iter().chain(keys).map(|file| String::from_utf8_lossy(file.bytes)).collect();
    let (mut config, mut reports) = (Config::default(), Vec::new());
    let mut read = Sections::default();
    for (index, (file, text)) in [&main].into_iter().chain(keys).zip(&texts).enumerate() {
        let mut report = Report::new(file.name, text, index > 0);
        if let Some(document) = document(file.bytes, text, &mut report) {
            if index > 0 {
                read.keys.push(keys::read_file(file.name, index, &document, &mut report));
            } else {
                read = sections(&document, &mut config, &mut report);
            }
        }
        reports.push(report);
    }
    access::check(&config.doors, &read, &mut reports);
    config.keys = read.keys.into_iter().filter_map(|written| written.key).collect();
    config.mails = read.sources.mails.into_iter().filter_map(|written| written.sound).collect();
    config.logs = read.sources.logs.into_iter().filter_map(|written| written.sound).collect();
    config.guestbooks = read.sources.guestbooks.into_iter().filter_map(|written| written.sound).collect();
    let (mut faults, mut warnings) = (Vec::new(), Vec::new());
    for (faulty, odd) in reports.into_iter().map(Report::finish) {
        faults.extend(faulty);
        warnings.extend(odd);
    }
    faults.truncate(MAX_FAULTS);
    warnings.truncate(MAX_FAULTS);
    (config, faults, warnings)
}

/// What can be read of a file; nothing if that would say nothing.
fn document<'t>(bytes: &[u8], text: &'t str, report: &mut Report<'_>) -> Option<DeTable<'t>> {
    if let Err(e) = std::str::from_utf8(bytes) {
        let at = e.valid_up_to();
        report.unread(at..at + 1, Wrong::new("the file is not UTF-8 here", "save it as UTF-8"));
        return None;
    }
    if text.len() > LONGEST_FILE {
        report.unread(0..0, Wrong::new("the file is longer than 1 MiB", "remove what no door needs"));
        return None;
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        report.syntax(error.span().unwrap_or_default(), error.message(), document.get_ref());
    }
    Some(document.into_inner())
}

/// What is written in `klopf.toml`, and with it the keys of `keys.d`, of which more is to be known than what it says.
#[derive(Default)]
struct Sections {
    /// Those of the doors.
    places: Vec<Place>,
    keys: Vec<Written>,
    sources: Sources,
}

/// The headers of `klopf.toml`.
const HEADERS: [(&str, &str); 7] = [
    ("daemon", "[daemon]"),
    ("door", "[door.NAME]"),
    ("packet", "[packet]"),
    ("key", "[key.NAME]"),
    ("mail", "[mail.NAME]"),
    ("guestbook", "[guestbook.NAME]"),
    ("log", "[log.NAME]"),
];

fn sections(document: &DeTable<'_>, config: &mut Config, report: &mut Report<'_>) -> Sections {
    let mut read = Sections::default();
    for (key, value) in in_order(document) {
        let name = key.get_ref().as_ref();
        let Some(table) = value.get_ref().as_table() else {
            no_section(key, value, report);
            continue;
        };
        match name {
            "daemon" => {
                config.daemon = daemon::read(table, report);
                read.sources.watched = config.daemon.sources;
                read.sources.written = table.get_key_value("sources").map(|(key, _)| key.span());
            }
            "door" => (config.doors, read.places) = doors::read_all(table, report),
            "packet" => config.packet = packet::read(table, report),
            "key" => read.keys = keys::read_all(table, report),
            "mail" => read.sources.mails = mails::read_all(table, report),
            "guestbook" => read.sources.guestbooks = guestbooks::read_all(table, report),
            "log" => read.sources.logs = logs::read_all(table, report),
            _ => report.unknown_key(key, "the file", &HEADERS.map(|(name, _)| name)),
        }
    }
    read
}

/// Tells of a value that stands before the first header, or in the place of a section.
fn no_section(key: &report::Key<'_>, value: &report::Value<'_>, report: &mut Report<'_>) {
    let name = key.get_ref().as_ref();
    // There is a `log` of `[daemon]`, too, and that is no section.
    let header = HEADERS.iter().find(|(section, _)| *section == name && !daemon::KEYS.contains(&name));
    if let Some((_, header)) = header {
        let wrong = Wrong::new(format!("`{name}` must be a section"), format!("write `{header}`"));
        return report.fault(value.span(), wrong);
    }
    let (whose, header) = match name {
        _ if daemon::KEYS.contains(&name) => ("`[daemon]`", "[daemon]"),
        _ if doors::KEYS.contains(&name) => ("a door", "[door.NAME]"),
        _ if packet::KEYS.contains(&name) => ("`[packet]`", "[packet]"),
        _ if keys::KEYS.contains(&name) => ("a key", "[key.NAME]"),
        _ if mails::KEYS.contains(&name) => ("a mail", "[mail.NAME]"),
        _ if guestbooks::KEYS.contains(&name) => ("a guestbook", "[guestbook.NAME]"),
        _ if logs::KEYS.contains(&name) => ("a log", "[log.NAME]"),
        _ if sources::is_password(name) => return report.fault(key.span(), sources::password()),
        _ => return report.unknown_key(key, "the file", &HEADERS.map(|(name, _)| name)),
    };
    let whose = match name {
        _ if mails::KEYS.contains(&name) && guestbooks::KEYS.contains(&name) => "a mail or a guestbook",
        _ => whose,
    };
    let wrong = Wrong::new(format!("`{name}` belongs to {whose}"), format!("move it below a line `{header}`"));
    report.misplaced(key.span(), wrong);
}

#[cfg(test)]
mod tests;
