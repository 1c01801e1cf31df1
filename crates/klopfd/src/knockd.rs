//! The face of knockd 0.8: the same options, files, log lines and exit codes.

mod cli;
mod doors;
mod log;
mod one_time;

use std::ffi::OsStr;
use std::hash::Hasher;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use klopf_brief::Brief;
use klopf_config::knockd::{self as config, Config};
use klopf_engine::DoorId;
use klopf_gate::Event as Gate;
use klopf_sys::{Ended, PacketSocket};
use klopf_wire::{Knock, PortSet};
use sd_notify::NotifyState;
use siphasher::sip::SipHasher13;

use self::cli::Cli;
pub(crate) use self::cli::man_page;
use self::doors::Doors;
use self::log::{Line, Log};
use crate::face::{Ending, Event, Face, Ordered};
use crate::keeper::{self, Finished, Means, reason};
use crate::native::{CAPABILITY_ADVICE, last_line, user};
use crate::plan::Plan;

/// knockd's exit codes.
const FAILED: u8 = 1;
const INTERRUPTED: u8 = 2;
const TERMINATED: u8 = 15;

/// The interface when none is named.
const DEFAULT_INTERFACE: &str = "eth0";
/// The interface that stands for all.
const ANY_INTERFACE: &str = "any";
/// Daemons with the same configuration and interface that may run at the same time.
const MOST_TWINS: usize = 16;

/// Runs `knockd`.
pub(crate) fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(cli) => run(cli).unwrap_or_else(|()| {
            crate::print(&cli::usage());
            ExitCode::from(FAILED)
        }),
        Err(code) => code,
    }
}

/// Runs as the command line says; an error has been told, and asks for the usage.
fn run(cli: Cli) -> Result<ExitCode, ()> {
    let directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let path = directory.join(&cli.config);
    let config = read(&path, &cli, &directory)?;
    let interface = cli.interface.as_deref().or(config.interface.as_deref()).unwrap_or(DEFAULT_INTERFACE).to_owned();
    let log_file = given(config.log_file.as_deref(), cli.log_file.as_deref(), &directory);
    let pid_file = given(config.pid_file.as_deref(), cli.pid_file.as_deref(), Path::new("/"))
        .or_else(|| config.pid_file.is_none().then(|| PathBuf::from("/var/run/knockd.pid")));
    let mut doors = Doors::new(directory.clone());
    doors.replace(config.doors, true)?;
    let user = user(None).map_err(|problem| crate::say(&problem))?;
    let log = Log::open(log_file, config.use_syslog, cli.verbose, cli.lookup.then_some(user));

    if let Err(error) = PacketSocket::permitted() {
        crate::say(&format!("could not open {interface}: {}", reason(&error)));
        if error.kind() == std::io::ErrorKind::PermissionDenied {
            crate::say(&format!("the capability CAP_NET_RAW is missing: {CAPABILITY_ADVICE}"));
        }
        return Ok(ExitCode::from(FAILED));
    }
    let background = match cli.daemon.then(klopf_sys::to_background).transpose() {
        Ok(background) => background,
        Err(error) => {
            crate::say(&format!("cannot go to the background: {}", reason(&error)));
            return Ok(ExitCode::from(FAILED));
        }
    };
    let means = Means {
        packets: true,
        journals: journals(&path, &interface),
        user,
        courier_user: user,
        seccomp_optional: cli.without_seccomp,
        debug: cli.debug,
        share_journals: true,
        pass_on_outputs: !cli.daemon,
        pid_file: pid_file.filter(|_| cli.daemon),
        background,
        guarding: None,
        dry_run: None,
    };
    let mut face = Knockd { cli, path, directory, interface, log, doors };
    Ok(ExitCode::from(match keeper::run(&mut face, means) {
        Finished::Terminated => TERMINATED,
        Finished::Interrupted => INTERRUPTED,
        Finished::Failed | Finished::InUse | Finished::Unguarded => FAILED,
    }))
}

/// Reads the configuration; faults are told on standard error.
fn read(path: &Path, cli: &Cli, directory: &Path) -> Result<Config, ()> {
    let (config, problems) = check(path, cli, directory);
    for problem in &problems {
        crate::say(problem);
    }
    config.ok_or(())
}

/// The configuration if it has no fault, and what there is to say about it.
fn check(path: &Path, cli: &Cli, directory: &Path) -> (Option<Config>, Vec<String>) {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) => return (None, vec![format!("{}: {}", cli.config, reason(&error))]),
    };
    if cli.debug {
        for line in config::debug_lines(&text) {
            if cli.interface.is_none() || !line.starts_with("config: interface: ") {
                crate::print(&line);
            }
            if let Some((door, file)) = line.split_once(": one time sequences file: ") {
                one_time::debug_lines(door, &directory.join(file)).iter().for_each(|line| crate::print(line));
            }
        }
    }
    let shown = |fault: &config::Fault| {
        let excerpt = if fault.excerpt.is_empty() { String::new() } else { format!("\n    {}", fault.excerpt) };
        format!(
            "{} ({}, line {}, column {}){excerpt}\n    {}",
            fault.text, cli.config, fault.line, fault.column, fault.help
        )
    };
    match config::parse(&text) {
        Ok(checked) => (Some(checked.config), Vec::new()),
        Err(faults) => (None, faults.iter().map(shown).collect()),
    }
}

/// The path in the configuration, else that of the command line. An empty one means none.
fn given(in_file: Option<&[u8]>, on_command_line: Option<&str>, directory: &Path) -> Option<PathBuf> {
    let path = in_file.or_else(|| on_command_line.map(str::as_bytes)).filter(|path| !path.is_empty())?;
    Some(directory.join(OsStr::from_bytes(path)))
}

/// Where what is open is written down. Each configuration on each interface has a journal of its own.
fn journals(config: &Path, interface: &str) -> Vec<PathBuf> {
    let directory = std::env::var_os("KLOPF_STATE_DIR").unwrap_or_else(|| "/var/lib/klopf".into());
    let mut hasher = SipHasher13::new();
    hasher.write(config.as_os_str().as_bytes());
    hasher.write(b"\0");
    hasher.write(interface.as_bytes());
    let name = format!("knockd-{:016x}", hasher.finish());
    (1..=MOST_TWINS).map(|twin| Path::new(&directory).join(format!("{name}-{twin}.journal"))).collect()
}

struct Knockd {
    cli: Cli,
    path: PathBuf,
    directory: PathBuf,
    interface: String,
    log: Log,
    doors: Doors,
}

impl Face for Knockd {
    fn reload(&mut self) -> bool {
        let (config, problems) = check(&self.path, &self.cli, &self.directory);
        for problem in &problems {
            crate::say(problem);
            self.log.write(&Line::text(problem.replace('\n', " ")));
        }
        let config = config.filter(|config| self.doors.replace(config.doors.clone(), false).is_ok());
        let Some(config) = config else {
            self.log.write(&Line::text("the new configuration is broken; the old one stays in force".into()));
            return false;
        };
        let log_file = config.log_file.as_deref().and_then(|file| given(Some(file), None, &self.directory));
        self.log.reopen(log_file, config.use_syslog);
        self.tell_doors();
        true
    }

    fn plan(&mut self) -> Plan {
        let interfaces = (self.interface != ANY_INTERFACE).then(|| vec![self.interface.clone()]);
        let (doors, only_ipv4, services) = (self.doors.plan(), self.cli.only_ipv4, PortSet::default());
        Plan {
            doors,
            interfaces,
            only_ipv4,
            services,
            guards: Vec::new(),
            share_table: false,
            packets: None,
            logs: Vec::new(),
            brief: Brief::default(),
        }
    }

    fn order(&mut self, door: DoorId, address: IpAddr, uses_up: Option<u16>) -> Option<Ordered> {
        let ordered = self.doors.order(door, address, uses_up);
        self.tell_doors();
        ordered
    }

    fn tell(&mut self, event: &Event<'_>) {
        let log = &mut self.log;
        match *event {
            Event::Ready => {
                log.verbose(&format!("listening on {}...", self.interface));
                log.quiet(&format!("starting up, listening on {}", self.interface));
                crate::notify(&[NotifyState::Ready]);
            }
            Event::Watching(confined) => {
                for (lacks, _) in
                    [("seccomp", confined.seccomp), ("landlock", confined.landlock)].iter().filter(|l| !l.1)
                {
                    log.write(&Line::text(format!("the watch runs without {lacks}, which this kernel does not have")));
                }
            }
            Event::NeverWatched(how) => {
                let text = Event::never_watched(how);
                crate::say(&text);
                log.write(&Line::text(text));
            }
            // Its doors are not strict.
            Event::Reloaded | Event::Broken { .. } => {}
            // It has no sealed knocks, and no dry run.
            Event::Would { .. } | Event::SealedGranted { .. } | Event::SealedRefused { .. } | Event::Source { .. } => {}
            Event::Warning(what) | Event::Notice(what) => log.write(&Line::text(what.to_owned())),
            Event::WatchEnded(how) => {
                log.write(&Line::text(format!("the watch has ended ({}) and is started again", Ending(how))));
            }
            Event::Unusable(name, why) => {
                let text = format!("could not open {name}: {why}; waiting for it");
                crate::say(&text);
                log.write(&Line::text(text));
            }
            Event::Found(name) => log.write(&Line::text(format!("{name} can be used now"))),
            Event::Stage { door, origin, stage } => {
                log.write(&Line::of(origin, format!("{door}: Stage {stage}")));
            }
            Event::TimedOut { door, origin, stage } => {
                log.write(&Line::of(origin, format!("{door}: sequence timeout (stage {stage})")).with_blank());
            }
            Event::Granted { door, address } => log.write(&Line::of(address, format!("{door}: OPEN SESAME"))),
            Event::Refused { door, origin, why } => log.write(&Line::of(origin, format!("{door}: refused: {why}"))),
            Event::Silenced(count) => {
                log.write(&Line::text(format!("{count} more stages and timeouts were not logged one by one")));
            }
            Event::Gate(ref event) => tell_gate(log, event),
            Event::Reloading => {
                log.write(&Line::text(format!("re-reading config file: {}", self.cli.config)).with_blank());
            }
            Event::Counts(counts) => {
                let text: Vec<String> = counts.iter().map(|(name, value)| format!("{name}={value}")).collect();
                log.write(&Line::text(format!("counters: {}", text.join(" "))));
            }
            Event::Packet(knock) => crate::print(&packet_line(&knock)),
            Event::NoJournal(problem) => {
                let what = "what is open now stays open if the daemon is killed";
                log.write(&Line::text(format!("no journal in the state directory ({problem}): {what}")));
            }
            Event::Journal(open, damaged) => {
                let lost = if damaged > 0 { format!(", {damaged} damaged lines left out") } else { String::new() };
                log.write(&Line::text(format!("{open} doors were open when the daemon last ended{lost}")));
            }
            Event::Stopping => log.verbose("waiting for child processes..."),
            Event::Left { running, open } => {
                log.write(&Line::text(format!("left as they are: {running} running commands, {open} open doors")));
            }
            Event::Stopped => {
                log.quiet("shutting down");
                log.verbose("closing...");
            }
            Event::Trouble(what) => {
                crate::say(what);
                log.write(&Line::text(what.to_owned()));
            }
        }
    }

    fn waits_for(&self) -> Option<BorrowedFd<'_>> {
        self.log.waits_for()
    }

    fn next(&self) -> Option<u64> {
        self.log.next()
    }

    fn work(&mut self) {
        self.log.work();
    }
}

impl Knockd {
    /// Logs what the doors have to say.
    fn tell_doors(&mut self) {
        for line in self.doors.messages() {
            self.log.write(&line);
        }
    }
}

fn tell_gate(log: &mut Log, event: &Gate) {
    match event {
        Gate::Running { door, command, .. } => {
            log.write(&Line::text(format!("{door}: running command: {command}")).with_blank());
        }
        Gate::Ended { door, how, output, .. } => {
            let text = match how {
                Ended::Status(0) => return,
                Ended::Status(code) => format!("{door}: command returned non-zero status code ({code})"),
                Ended::Signal(number) => format!("{door}: command was killed by signal {number}"),
            };
            crate::say(&text);
            log.write(&Line::text(text));
            let said = last_line(output);
            if !said.is_empty() {
                log.write(&Line::text(format!("{door}: command said: {said}")));
            }
        }
        Gate::NotStarted { door, error, .. } => {
            log.write(&Line::text(format!("{door}: command cannot be started: {}", reason(error))));
        }
        Gate::Due { door, address, .. } => log.write(&Line::of(*address, format!("{door}: command timeout"))),
        Gate::Refused { door, address, why } => {
            log.write(&Line::of(*address, format!("{door}: refused: {}", why.name())));
        }
        // Its doors guard nothing.
        Gate::LetIn { .. } | Gate::Adopted(_) | Gate::Firewall(_) | Gate::Restored { .. } => {}
        Gate::Held { .. } | Gate::Renewed { .. } => {}
        Gate::JournalFailed(error) => {
            log.write(&Line::text(format!("cannot write the journal: {}", reason(error))));
        }
    }
}

/// The line that `knockd -D` prints for a packet, without its size, which the watch does not pass on.
fn packet_line(knock: &Knock) -> String {
    let Knock { origin, from_port, to, port, .. } = knock;
    format!("{}: {}: {origin}:{from_port} -> {to}:{}", klopf_sys::clock::local_second(), port.proto, port.number)
}
