//! The native log: one line a decision, to the journal, the system log, standard error or a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use klopf_config::native::LogTarget;
use klopf_gate::{Action, Event as Gate, Order, Why};
use klopf_sys::{Ended, syslog};
use tracing::{Level, debug, error, info, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::face::{Ending, Event};
use crate::keeper::reason;

/// Begins to log.
///
/// # Errors
/// Says what cannot be opened, and what to do.
pub(super) fn start(target: Option<&LogTarget>) -> Result<(), String> {
    let by_systemd = std::env::var_os("JOURNAL_STREAM").is_some();
    let target = target.cloned().unwrap_or(if by_systemd { LogTarget::Journal } else { LogTarget::Stderr });
    let cannot = |what: &str, error: &io::Error| {
        format!("error: [daemon] log: cannot open {what}: {}\nhelp: log = \"stderr\" always works", reason(error))
    };
    let registry = tracing_subscriber::registry();
    // The fields stand in the text already, and are for the journal alone.
    let text = debug_fn(|to, field, value| if field.name() == "message" { write!(to, "{value:?}") } else { Ok(()) });
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_target(false).fmt_fields(text);
    match target {
        LogTarget::Journal => {
            let journal = tracing_journald::layer().map_err(|error| cannot("the journal", &error))?;
            registry.with(journal.with_field_prefix(Some("KLOPF".into())).with_filter(LevelFilter::INFO)).init();
        }
        LogTarget::Syslog => {
            syslog::open(c"klopfd");
            let layer = layer.without_time().with_writer(|| SyslogLine(Vec::new()));
            registry.with(layer.with_filter(LevelFilter::INFO)).init();
        }
        LogTarget::Stderr => registry.with(layer.with_writer(io::stderr).with_filter(LevelFilter::INFO)).init(),
        LogTarget::File(path) => {
            let file = LogFile::open(path.clone()).map_err(|error| cannot(&path, &error))?;
            registry.with(layer.with_writer(file).with_filter(LevelFilter::INFO)).init();
        }
    }
    Ok(())
}

/// Logs a text of several lines, such as all faults of a configuration.
pub(super) fn lines(level: Level, text: &str) {
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if level == Level::ERROR { error!("{line}") } else { warn!("{line}") }
    }
}

/// Logs an event: the whole of it in the text, and door and address as fields for the journal.
pub(super) fn tell(event: &Event<'_>) {
    match *event {
        Event::Ready => info!("the doors are watched"),
        Event::Watching(confined) => {
            if !confined.seccomp {
                warn!("the watch runs without seccomp: the kernel has none, and the configuration allows that");
            }
            if !confined.landlock {
                warn!("the watch runs without landlock: the kernel has none (Linux 5.13 or later has)");
            }
        }
        Event::NeverWatched(how) => error!("{}", Event::never_watched(how)),
        Event::WatchEnded(how) => error!("the watch has ended ({}) and is started again", Ending(how)),
        Event::Unusable(name, why) => warn!("interface {name}: {why}; waiting for it"),
        Event::Found(name) => info!("interface {name}: it can be used now"),
        Event::Stage { door, origin, stage } => debug!(door, ip = %origin, "door {door}: {origin}: hit {stage}"),
        Event::TimedOut { door, origin, stage } => {
            debug!(door, ip = %origin, "door {door}: {origin} ran out of time after hit {stage}");
        }
        Event::Broken { door, origin, stage, at } => {
            debug!(door, ip = %origin, "door {door}: {origin} hit {at} after hit {stage}, which was wrong");
        }
        Event::Would { order, who } => would(order, who),
        Event::Granted { door, address } => {
            info!(door, ip = %address, "door {door}: opened by its sequence for {address}");
        }
        Event::Refused { door, origin, why } => {
            warn!(door, ip = %origin, why, "door {door}: refused to {origin}: {why}");
        }
        Event::SealedGranted { door, key, address, via } => {
            let from = if address.to_string() == via { String::new() } else { format!(", asked for by {via}") };
            info!(door, key, ip = %address, "door {door}: opened by key {key} for {address}{from}");
        }
        Event::SealedRefused { key, door, via, refusal } => {
            let why = refusal.why.name();
            let whose = key.map_or_else(String::new, |key| format!("key {key}: "));
            let at = door.map_or_else(String::new, |door| format!("door {door}: "));
            let text = crate::keeper::in_words(refusal);
            warn!(door, key, via, why, "{at}{whose}refused to {via}: {why}: {text}");
        }
        Event::Source { name, trouble: Some((trouble, detail)) } => {
            warn!(why = trouble.name(), "{name}: {}: {}", trouble.name(), trouble.in_words(detail));
        }
        Event::Source { name, trouble: None } => info!("{name}: all is well"),
        Event::Silenced(_) => {}
        Event::Gate(ref event) => tell_gate(event),
        Event::Reloading => info!("reading the configuration again"),
        Event::Reloaded => info!("the new configuration is in force"),
        Event::Counts(counts) => {
            let text: Vec<String> = counts.iter().map(|(name, value)| format!("{name}={value}")).collect();
            info!("counters: {}", text.join(" "));
        }
        Event::Packet(knock) => debug!("{knock:?}"),
        Event::NoJournal(problem) => {
            warn!("no journal in the state directory ({problem}): what is open now stays open if the daemon is killed");
        }
        Event::Journal(open, 0) => info!("doors that were open when the daemon last ended: {open}; they close in time"),
        Event::Journal(open, damaged) => {
            warn!(
                "the journal has {damaged} damaged lines, which are left out, and is set aside as doors.damaged; \
                 {open} doors in it close in time"
            );
        }
        Event::Stopping => info!("told to end; closing what is open"),
        Event::Left { running, open } => {
            warn!(
                "left as they are: {running} commands that still run, {open} open doors; the next start closes those"
            );
        }
        Event::Stopped => info!("ended"),
        Event::Trouble(what) => error!("{what}"),
        Event::Warning(what) => warn!("{what}"),
        Event::Notice(what) => info!("{what}"),
    }
}

/// Tells what an order would lead to.
fn would(order: &Order, who: Option<&str>) {
    let Order { door, address, scope, hold, .. } = order;
    let whom = scope.network(*address);
    let at = scope.port.map_or_else(String::new, |port| format!(" at port {port}"));
    let (seconds, by) =
        (hold.div_ceil(1000), who.map_or_else(|| "its sequence".to_owned(), |who| format!("key {who}")));
    let ends = order.renews || !order.close.is_empty();
    let time = if ends { format!(" for {seconds} s") } else { String::new() };
    let guarded = if order.pass.is_some() { ", and let it in" } else { "" };
    info!(door, ip = %whom, "dry run: would open door {door} for {whom}{at}{time}, by {by}{guarded}");
    for (actions, when) in [(&order.open, ""), (&order.close, " when it closes")] {
        for Action { run, after } in actions {
            let command = escaped(&run.text());
            let later = if *after > 0 { format!(", {} s later", after.div_ceil(1000)) } else { String::new() };
            info!(door, ip = %whom, "dry run: would run{when}{later}: {command}");
        }
    }
}

fn tell_gate(event: &Gate) {
    match event {
        Gate::Running { door, address, command, opens } => {
            let command = escaped(command);
            info!(door, ip = %address, opens, "door {door}: running {command}");
        }
        Gate::Ended { how: Ended::Status(0), .. } => {}
        Gate::Ended { door, address, how, output } => {
            let (how, said) = (Ending(*how), last_line(output));
            let said = if said.is_empty() { "it said nothing".to_owned() } else { format!("it said: {said}") };
            error!(door, ip = %address, "door {door}: the command for {address} failed: {how}; {said}");
        }
        Gate::NotStarted { door, address, error } => {
            error!(door, ip = %address, "door {door}: the command for {address} cannot be started: {}", reason(error));
        }
        Gate::Held { door, address } => {
            info!(door, ip = %address, "door {door}: {address} knocked while it closes; it opens again after that");
        }
        Gate::Renewed { door, address } => {
            info!(door, ip = %address, "door {door}: {address} knocked again; it stays open as long as the longest of its knocks says");
        }
        Gate::Due { door, address, why } => {
            let why = match why {
                Why::Time | Why::Stopping => "",
                Why::Revoked => ", revoked by hand",
                Why::Disconnected => ", for its last connection has ended",
                Why::NoDoor => ", for there is no such door any more",
                Why::Unused => ", for nobody uses it any more",
            };
            info!(door, ip = %address, "door {door}: closing for {address}{why}");
        }
        Gate::LetIn { door, network, port, hold } => {
            let (seconds, at) = (hold.div_ceil(1000), port.map_or_else(String::new, |port| format!(" at port {port}")));
            info!(door, ip = %network, port, seconds, "door {door}: {network} is let in{at} for {seconds} s");
        }
        Gate::Adopted(leases) => info!("leases found in the kernel and taken over: {leases}"),
        Gate::Firewall(error) => error!("the kernel's firewall: {error}"),
        Gate::Restored { by } => {
            let by = escaped(by);
            warn!("{by} has changed or removed the table inet klopf; the guards and leases are restored");
        }
        Gate::Refused { door, address, why } => {
            let why = why.name();
            warn!(door, ip = %address, why, "door {door}: refused to {address}: {why}");
        }
        Gate::JournalFailed(error) => {
            warn!("cannot write the journal: {}: what is open now stays open if the daemon is killed", reason(error));
        }
    }
}

/// The last line that is not empty, escaped and cut.
pub(crate) fn last_line(output: &[u8]) -> String {
    const MOST: usize = 200;
    let text = String::from_utf8_lossy(output);
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    escaped(line).chars().take(MOST).collect()
}

/// Text from outside, with everything that could act on a terminal or a log reader made visible.
pub(crate) fn escaped(text: &str) -> String {
    let one = |c: char| {
        if (c.is_control() && c != '\t') || steers(c) { c.escape_unicode().to_string() } else { c.to_string() }
    };
    text.chars().map(one).collect()
}

/// Characters that end a line or turn the direction of the text.
const fn steers(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A log file that is found again after it was moved away or removed.
struct LogFile {
    path: String,
    file: Mutex<File>,
}

impl LogFile {
    fn open(path: String) -> io::Result<Self> {
        let file = Mutex::new(Self::append(&path)?);
        Ok(Self { path, file })
    }

    fn append(path: &str) -> io::Result<File> {
        OpenOptions::new().append(true).create(true).open(path)
    }

    /// Opens the path again if it no longer leads to the open file.
    fn follow(&self, file: &mut File) {
        use std::os::unix::fs::MetadataExt;
        let identity = |data: std::fs::Metadata| (data.dev(), data.ino());
        let same = std::fs::metadata(&self.path).map(identity).ok() == file.metadata().map(identity).ok();
        if let Some(new) = (!same).then(|| Self::append(&self.path).ok()).flatten() {
            *file = new;
        }
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        self.follow(&mut file);
        Line(file)
    }
}

/// The log file, held for one line.
struct Line<'a>(MutexGuard<'a, File>);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Collects a line and sends it to the system log.
struct SyslogLine(Vec<u8>);

impl Write for SyslogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for SyslogLine {
    fn drop(&mut self) {
        syslog::write(String::from_utf8_lossy(&self.0).trim());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_escaped_and_cut() {
        assert_eq!(last_line(b"one\ntwo \x1b[31m\n\n"), "two \\u{1b}[31m");
        assert_eq!(last_line(&[b'x'; 5000]).len(), 200);
        assert_eq!((last_line(b""), last_line(b"\xff\n")), (String::new(), "\u{fffd}".to_owned()));
    }
}
