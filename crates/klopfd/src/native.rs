//! The native face: `klopf.toml`, argument vectors, one log line a decision.

mod cli;
mod doors;
mod letters;
mod log;
mod packets;
mod placeholders;
mod start;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use klopf_config::native::{Checked, Config, LogTarget};
use klopf_engine::{DoorId, Sealed};
use klopf_files::{Files, SourceFiles, Unreadable};
use klopf_gate::Order;
use klopf_gate::firewall::{Firewall, FirewallError};
use klopf_spa::ServerKey;
use klopf_sys::{PacketSocket, User};
use sd_notify::NotifyState;

use self::doors::{Doors, Read};
use self::letters::Letters;
pub(crate) use self::log::{escaped, last_line};
use crate::exit;
use crate::face::{Described, Event, Face, Ordered};
use crate::keeper::{self, Finished, Guarding, Means, reason};
use crate::plan::Plan;

/// Runs `klopfd`.
pub(crate) fn main() -> ExitCode {
    match cli::parse() {
        Ok(cli::Wish::Run { config, dry_run }) => run(&config, dry_run),
        Ok(cli::Wish::Check { config }) => check(&config),
        Ok(cli::Wish::Man { directory }) => cli::write_man_pages(&directory),
        Err(code) => code,
    }
}

fn check(path: &Path) -> ExitCode {
    match read(path) {
        Ok((config, warnings)) => {
            if !warnings.is_empty() {
                crate::say(&warnings);
            }
            let sources = SourceFiles::read(path, &config);
            for trouble in sources.troubles() {
                crate::say(&format!("warning: {trouble}\nhelp: {}", trouble.help()));
            }
            for path in &sources.exposed {
                crate::say(&exposed(path));
            }
            if let Err(problem) = server_key(path, &config) {
                crate::say(&format!("warning: {problem}; sealed knocks open nothing"));
            }
            let doors = config.doors.len();
            crate::print(&format!("{}: fine, {doors} {}", path.display(), if doors == 1 { "door" } else { "doors" }));
            ExitCode::SUCCESS
        }
        Err((code, faults)) => {
            crate::say(&faults);
            ExitCode::from(code)
        }
    }
}

fn run(path: &Path, dry_run: bool) -> ExitCode {
    let (config, warnings, left_out) = match start::read(path) {
        Ok(read) => read,
        Err((code, faults)) => {
            crate::say(&faults);
            return ExitCode::from(code);
        }
    };
    if !warnings.is_empty() {
        crate::say(&warnings);
    }
    let (server, problem) = match server_key(path, &config) {
        Ok(server) => (server, None),
        Err(problem) => (None, Some(format!("{problem}; sealed knocks open nothing"))),
    };
    let (letters, unread) = Letters::read(path, &config);
    let problems: Vec<String> = left_out.into_iter().chain(problem).chain(unread).collect();
    problems.iter().for_each(|problem| crate::say(&format!("error: {problem}")));
    let problem = Some(problems.join("; ")).filter(|all| !all.is_empty());
    let log = if dry_run { Some(&LogTarget::Stderr) } else { config.daemon.log.as_ref() };
    if let Err(problem) = log::start(log) {
        crate::say(&problem);
        return ExitCode::from(exit::CANNOT_CREATE);
    }
    let packets = config.daemon.sources.packet;
    if let Err(error) = packets.then(PacketSocket::permitted).transpose() {
        return cannot_listen(&error);
    }
    let user = match user(config.daemon.user.as_deref()) {
        Ok(user) => user,
        Err(problem) => {
            crate::say(&problem);
            return ExitCode::from(exit::CONFIG);
        }
    };
    let courier_user = match courier_user(config.daemon.courier_user.as_deref(), user) {
        Ok(user) => user,
        Err(problem) => {
            crate::say(&problem);
            return ExitCode::from(exit::CONFIG);
        }
    };
    if courier_user == user && !(config.mails.is_empty() && config.guestbooks.is_empty()) {
        tracing::warn!(
            "mails and guestbooks are fetched by the user that reads packets; better make another: \
             useradd --system --user-group --shell /usr/sbin/nologin klopf-courier"
        );
    }
    let guards = !dry_run && config.doors.iter().any(|door| !door.guard.is_empty());
    let firewall = match guards.then(|| Firewall::open(config.daemon.share_table)).transpose() {
        Ok(firewall) => firewall,
        Err(error) => return cannot_guard(&error),
    };
    if let Some(door) = config.doors.iter().find(|door| door.start.is_some())
        && !crate::unit::available()
    {
        let name = &door.name;
        tracing::warn!("door {name}: `start` needs systemd, which does not run this host; use on-open and on-close");
    }
    let state_dir = PathBuf::from(&config.daemon.state_dir);
    let journal = state_dir.join("doors.journal");
    let runtime_dir = PathBuf::from(&config.daemon.runtime_dir);
    let (guarding, dry_run) = if dry_run {
        tracing::info!("dry run: no port is guarded, no command is run, and nothing is written down");
        (None, Some(state_dir))
    } else {
        (Some(Guarding { firewall, state_dir, runtime_dir, trial: trial_length() }), None)
    };
    let means = Means {
        packets,
        journals: vec![journal],
        user,
        courier_user,
        seccomp_optional: config.daemon.seccomp_optional,
        debug: false,
        share_journals: false,
        pass_on_outputs: false,
        background: None,
        pid_file: None,
        guarding,
        dry_run,
    };
    let mut native =
        Native { path: path.to_owned(), doors: Doors::new((config, server, letters)), before: None, problem };
    match keeper::run(&mut native, means) {
        Finished::Terminated | Finished::Interrupted => ExitCode::SUCCESS,
        Finished::Failed => ExitCode::from(exit::OS_ERROR),
        Finished::Unguarded => ExitCode::from(exit::OS_ERROR),
        Finished::InUse => {
            crate::say("error: another klopfd is running with this state directory");
            crate::say(
                "help: `klopf reload` has it read its configuration again. Two on one host need a `state-dir` and",
            );
            crate::say("      a `runtime-dir` each, and only one of them can guard ports");
            ExitCode::from(exit::TEMPORARY)
        }
    }
}

/// What to do when the packet socket cannot be opened.
pub(crate) const CAPABILITY_ADVICE: &str = "run it as root, or give the program the capability: \
    `setcap cap_net_raw+ep /usr/local/sbin/klopfd`, or `AmbientCapabilities=CAP_NET_RAW` in its systemd unit";

fn cannot_listen(error: &std::io::Error) -> ExitCode {
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        crate::say("error: no right to open a packet socket: the capability CAP_NET_RAW is missing");
        crate::say(&format!("help: {CAPABILITY_ADVICE}"));
        return ExitCode::from(exit::NO_PERMISSION);
    }
    crate::say(&format!("error: cannot open a packet socket: {}", reason(error)));
    ExitCode::from(exit::OS_ERROR)
}

/// What to do when nothing can be guarded.
fn cannot_guard(error: &FirewallError) -> ExitCode {
    crate::say(&format!("error: no port can be guarded: {error}"));
    if error.error.kind() == std::io::ErrorKind::PermissionDenied {
        crate::say("help: the capability CAP_NET_ADMIN is missing: run it as root, or give the program the capability");
        return ExitCode::from(exit::NO_PERMISSION);
    }
    crate::say(
        "help: load the kernel's module nf_tables, or remove `guard` and open ports with `on-open` and another firewall",
    );
    ExitCode::from(exit::OS_ERROR)
}

/// How long a trial is: `KLOPF_TRIAL_SECONDS`, else two minutes.
fn trial_length() -> Duration {
    let seconds = std::env::var("KLOPF_TRIAL_SECONDS").ok().and_then(|text| text.parse().ok());
    seconds.filter(|seconds| (1..=86_400).contains(seconds)).map_or(keeper::TRIAL, Duration::from_secs)
}

/// Whom the watch becomes: the user of the configuration, else `klopf`, else `nobody`.
pub(crate) fn user(named: Option<&str>) -> Result<User, String> {
    const NOBODY: User = User { uid: 65_534, gid: 65_534 };
    match named {
        Some(name) => User::named(name).filter(|user| user.uid != 0).ok_or_else(|| {
            format!("error: [daemon] user = \"{name}\": there is no such user, or it is root\nhelp: make one with `useradd --system --shell /usr/sbin/nologin {name}`, or leave `user` out")
        }),
        None => Ok(User::local("klopf").or_else(|| User::local("nobody")).unwrap_or(NOBODY)),
    }
}

/// Whom the courier becomes: the user of the configuration, else `klopf-courier`, else the one whom the watch becomes.
fn courier_user(named: Option<&str>, watch: User) -> Result<User, String> {
    match named {
        Some(name) => User::named(name).filter(|user| user.uid != 0).ok_or_else(|| {
            format!("error: [daemon] courier-user = \"{name}\": there is no such user, or it is root\nhelp: make one with `useradd --system --shell /usr/sbin/nologin {name}`, or leave `courier-user` out")
        }),
        None => Ok(User::local("klopf-courier").unwrap_or(watch)),
    }
}

/// Reads and checks a configuration: the rendered warnings with it, or the exit code and the rendered faults.
fn read(path: &Path) -> Result<(Config, String), (u8, String)> {
    let files = Files::read(path).map_err(|error| unreadable(path, &error))?;
    let checked = files.parse().map_err(|faults| (exit::CONFIG, faults.to_string()))?;
    Ok(with_warnings(&files, checked))
}

fn unreadable(main: &Path, Unreadable { path, error }: &Unreadable) -> (u8, String) {
    let help = match error.kind() {
        std::io::ErrorKind::PermissionDenied => "run it as root",
        _ if path != main => "let it be a file that klopfd can read, or take it away",
        _ => "name the file with --config; `klopfd --help` shows how one looks",
    };
    (exit::NO_INPUT, format!("error: cannot read {}: {}\nhelp: {help}", path.display(), reason(error)))
}

fn with_warnings(files: &Files, checked: Checked) -> (Config, String) {
    let exposed = files.exposed().into_iter().map(exposed);
    let warnings: Vec<String> = checked.warnings.iter().map(ToString::to_string).chain(exposed).collect();
    (checked.config, warnings.join("\n"))
}

/// Says of a file with secrets that others may read it, and what to do.
fn exposed(path: &Path) -> String {
    let remedy = klopf_files::remedy(path);
    format!("warning: others may read {}, which holds secrets\nhelp: {remedy}", path.display())
}

/// The server's key, or why it cannot be had.
fn server_key(path: &Path, config: &Config) -> Result<Option<ServerKey>, String> {
    packets::server_key(path, config).map_err(|problem| format!("the server's key for sealed knocks: {problem}"))
}

struct Native {
    path: PathBuf,
    doors: Doors,
    /// The configuration before the reloads that are not yet kept.
    before: Option<Read>,
    /// What is wrong with the server's key.
    problem: Option<String>,
}

impl Face for Native {
    fn reload(&mut self) -> bool {
        match read(&self.path) {
            Ok((config, warnings)) => {
                log::lines(tracing::Level::WARN, &warnings);
                self.before.get_or_insert_with(|| self.doors.config());
                let read = server_key(&self.path, &config);
                self.problem = None;
                let server = read.unwrap_or_else(|problem| {
                    let (_, before, _) = self.doors.config();
                    let now =
                        before.as_ref().map_or("sealed knocks open nothing", |_| "the key from before stays in force");
                    let problem = format!("{problem}; {now}");
                    tracing::error!("{problem}");
                    self.problem = Some(problem);
                    before
                });
                let (letters, unread) = Letters::read(&self.path, &config);
                for problem in unread {
                    tracing::error!("{problem}");
                    let before = self.problem.take().map(|before| format!("{before}; ")).unwrap_or_default();
                    self.problem = Some(before + &problem);
                }
                for key in self.doors.replace((config, server, letters)) {
                    tracing::warn!("[daemon] {key} has changed; that takes effect with a restart");
                }
                true
            }
            Err((_, faults)) => {
                log::lines(tracing::Level::ERROR, &faults);
                tracing::error!("the new configuration is broken; the old one stays in force");
                crate::notify(&[NotifyState::Ready]);
                false
            }
        }
    }

    fn plan(&mut self) -> Plan {
        self.doors.plan()
    }

    fn order(&mut self, door: DoorId, address: IpAddr, _: Option<u16>) -> Option<Ordered> {
        self.doors.order(door, address).map(|order| Ordered { order: Some(order), replan: false })
    }

    fn sealed_order(&mut self, door: DoorId, address: IpAddr, who: &str, sealed: &Sealed) -> Option<Order> {
        self.doors.sealed_order(door, address, who, sealed)
    }

    fn doors(&self) -> Vec<Described> {
        self.doors.described()
    }

    fn by_hand(&mut self, door: &str, address: IpAddr, hold: Option<u64>) -> Option<Order> {
        self.doors.by_hand(door, address, hold)
    }

    fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    fn undo_reload(&mut self) {
        if let Some((mut before, _, letters)) = self.before.take() {
            // What was undone are doors. A key that was taken away meanwhile stays so.
            let (now, server, _) = self.doors.config();
            before.keys = now.keys;
            self.doors.replace((before, server, letters));
        }
    }

    fn keep_reloaded(&mut self) {
        self.before = None;
    }

    fn tell(&mut self, event: &Event<'_>) {
        match event {
            Event::Ready => {
                crate::say("ready");
                crate::notify(&[NotifyState::Ready]);
            }
            Event::Reloading => {
                let now = NotifyState::monotonic_usec_now().ok();
                crate::notify(&[Some(NotifyState::Reloading), now].into_iter().flatten().collect::<Vec<_>>());
            }
            Event::Reloaded => crate::notify(&[NotifyState::Ready]),
            Event::Stopping => crate::notify(&[NotifyState::Stopping]),
            _ => {}
        }
        log::tell(event);
    }
}
