//! The keeper: the process with rights. It starts the watch, tells it where to look, checks what it says against its
//! own doors, and runs the gate. It parses nothing that comes from outside.

mod answers;
mod courier;
mod dry_run;
mod guarding;
mod hearing;
mod lock;
mod logs;
mod packets;
mod rehearsal;
mod replay;
mod sealed;
mod shutdown;
mod watching;

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::Duration;

use klopf_engine::Uses;
use klopf_gate::firewall::Firewall;
use klopf_gate::{Gate, Journal, JournalError};
use klopf_sys::{Background, Changes, Ended, Reaped, Signal, Signals, User, Wait, clock, interfaces, wait};

use self::answers::Memory;
use self::courier::Courier;
use self::lock::State;
pub(crate) use self::lock::TRIAL;
use self::logs::Logs;
use self::packets::Sockets;
use self::rehearsal::Rehearsal;
use self::replay::Replay;
use self::sealed::Granted;
pub(crate) use self::sealed::in_words;
use self::watching::Watching;
use crate::control::Server;
use crate::face::{Event, Face};
use crate::host;
use crate::plan::Plan;

/// Milliseconds after which a hint that services have changed is followed again.
const SERVICES_PAUSE: u64 = 1000;

/// Milliseconds between two looks at the clock while something is open.
const LONGEST_NAP: u64 = 60_000;

/// What the keeper works with.
pub(crate) struct Means {
    /// Whether packets are looked at.
    pub(crate) packets: bool,
    /// What is open is written down here, in the first file that nobody else uses.
    pub(crate) journals: Vec<PathBuf>,
    /// Whom the watch becomes.
    pub(crate) user: User,
    /// Whom the courier becomes.
    pub(crate) courier_user: User,
    /// Whether the watch may do without seccomp.
    pub(crate) seccomp_optional: bool,
    /// Whether every packet is told.
    pub(crate) debug: bool,
    /// Whether another daemon may use the same journals.
    pub(crate) share_journals: bool,
    /// Whether what commands print is passed on to the daemon's standard output and error.
    pub(crate) pass_on_outputs: bool,
    /// Who waits for the daemon to be ready.
    pub(crate) background: Option<Background>,
    /// Where to write the process id.
    pub(crate) pid_file: Option<PathBuf>,
    /// What only a face needs that guards ports.
    pub(crate) guarding: Option<Guarding>,
    /// Set if nothing is to be done, but told what would be: where it is written what was accepted before.
    pub(crate) dry_run: Option<PathBuf>,
}

/// What guarding takes.
pub(crate) struct Guarding {
    /// The way to the kernel, if any door guards ports at the start.
    pub(crate) firewall: Option<Firewall>,
    /// Where it is noted that doors are unlocked.
    pub(crate) state_dir: PathBuf,
    /// Where the control socket is.
    pub(crate) runtime_dir: PathBuf,
    /// How long a trial is.
    pub(crate) trial: Duration,
}

/// Why the keeper ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finished {
    /// By SIGTERM.
    Terminated,
    /// By SIGINT.
    Interrupted,
    /// It could not begin.
    Failed,
    /// Another daemon uses the journal.
    InUse,
    /// The kernel has not taken the guards.
    Unguarded,
}

/// Keeps watch until told to end.
pub(crate) fn run(face: &mut impl Face, means: Means) -> Finished {
    let opened = if means.dry_run.is_some() { None } else { Some(open_journal(face, &means.journals)) };
    let journal = match opened.transpose() {
        Ok(journal) => journal,
        Err(JournalError::Locked) if !means.share_journals => return Finished::InUse,
        Err(error) => {
            // A full disk must not lock anybody out.
            face.tell(&Event::NoJournal(&error));
            None
        }
    };
    match Keeper::begin(face, means, journal) {
        Ok(mut keeper) => {
            keeper.listen();
            keeper.run()
        }
        Err(error) => {
            crate::say(&format!("cannot begin: {error}"));
            Finished::Failed
        }
    }
}

struct Keeper<'a, F: Face> {
    face: &'a mut F,
    plan: Plan,
    /// None where packets are not looked at.
    packets: Option<Sockets>,
    signals: Signals,
    changes: Changes,
    watching: Watching,
    courier: Courier,
    logs: Logs,
    gate: Gate,
    /// Interfaces that could not be used when last looked, and why.
    unusable: Vec<(String, &'static str)>,
    services_read: u64,
    /// Whether services, and perhaps more, must be read again.
    services_stale: bool,
    /// Whether the watch does not know the doors of the plan yet.
    doors_stale: bool,
    counts: Vec<(&'static str, u64)>,
    background: Option<Background>,
    pid_file: Option<PathBuf>,
    /// Whether the daemon has been ready once.
    ready: bool,
    /// Whether it was told that services cannot be known.
    services_told: bool,
    /// Whether it was said that packets of a kind cannot be had, since they last could.
    packets_told: [bool; 2],
    /// The way to the kernel, until the gate has it.
    firewall: Option<Firewall>,
    state: State,
    /// Doors that a trial has left open, while others are guarded.
    left_open: BTreeSet<String>,
    state_dir: PathBuf,
    runtime_dir: Option<PathBuf>,
    /// Milliseconds.
    trial_ms: u64,
    /// Set if nothing is done, but told what would be.
    dry_run: Option<PathBuf>,
    control: Option<Server>,
    memory: Memory,
    rehearsal: Option<Rehearsal>,
    /// What sealed knocks were accepted.
    replay: Replay,
    uses: Uses,
    /// Sealed knocks that were accepted and are not granted yet.
    accepted: Vec<Granted>,
    /// When the ports of sealed knocks change, in milliseconds of the monotonic clock.
    next_hop: Option<u64>,
    /// Whether the counts that come were asked for over the control socket, and are not for the log.
    counts_wanted: bool,
    /// When it began, in milliseconds since boot.
    began: u64,
    /// The same in milliseconds since 1970.
    began_unix: u64,
    /// Milliseconds between two signs of life to the service manager.
    watchdog: Option<u64>,
    next_watchdog: u64,
    /// Why it must end.
    ending: Option<Finished>,
}

impl<'a, F: Face> Keeper<'a, F> {
    fn begin(face: &'a mut F, means: Means, journal: Option<Journal>) -> std::io::Result<Self> {
        klopf_sys::keep_descriptors();
        let signals = Signals::open()?;
        let changes = Changes::watch()?;
        let watching = Watching::new(means.user, means.seccomp_optional, means.debug);
        let gate = Gate::new(journal, means.pass_on_outputs)?;
        let plan = dry_run::planned(face, means.dry_run.is_some());
        let guarding = means.guarding;
        let trial = guarding.as_ref().map_or(TRIAL, |guarding| guarding.trial);
        let state_dir = guarding.as_ref().map(|guarding| guarding.state_dir.clone()).unwrap_or_default();
        let runtime_dir = guarding.as_ref().map(|guarding| guarding.runtime_dir.clone());
        // Twice as often as is asked for.
        let watchdog = sd_notify::watchdog_enabled().map(|most| milliseconds(most) / 2);
        let mut keeper = Self {
            face,
            plan,
            packets: means.packets.then(Sockets::default),
            signals,
            changes,
            watching,
            courier: Courier::new(means.courier_user)?,
            logs: Logs::default(),
            gate,
            unusable: Vec::new(),
            services_read: 0,
            services_stale: false,
            doors_stale: true,
            counts: Vec::new(),
            background: means.background,
            pid_file: means.pid_file,
            ready: false,
            services_told: false,
            packets_told: [false; 2],
            firewall: guarding.and_then(|guarding| guarding.firewall),
            state: State::Locked,
            left_open: BTreeSet::new(),
            state_dir,
            runtime_dir,
            trial_ms: milliseconds(trial),
            dry_run: means.dry_run,
            control: None,
            memory: Memory::default(),
            rehearsal: None,
            replay: Replay::nowhere(clock::random()?),
            uses: Uses::new(clock::random()?),
            accepted: Vec::new(),
            next_hop: None,
            counts_wanted: false,
            began: clock::boot_ms(),
            began_unix: clock::wall_ms(),
            watchdog,
            next_watchdog: 0,
            ending: None,
        };
        keeper.remember_packets();
        keeper.start_watch();
        Ok(keeper)
    }

    /// Opens the control socket, and says where this process is to be found. Without them doors open all the same.
    fn listen(&mut self) {
        let Some(directory) = self.runtime_dir.clone() else { return };
        match Server::bind(&directory) {
            Ok(server) => self.control = Some(server),
            Err(error) => return self.trouble(&format!("no control socket: {error}")),
        }
        let path = directory.join(klopf_gate::PID_FILE);
        if let Err(error) = std::fs::write(&path, format!("{}\n", std::process::id())) {
            self.trouble(&format!("cannot write {}: {}", path.display(), reason(&error)));
        }
    }

    fn run(mut self) -> Finished {
        loop {
            self.wait_for_something();
            // First: somebody may wait for a door.
            self.hear();
            while let Some(signal) = self.signals.next() {
                match signal {
                    Signal::Child => self.reap(),
                    Signal::Hangup => drop(self.reload()),
                    Signal::User1 => {
                        self.watching.ask_counts();
                        self.counts_wanted = false;
                    }
                    Signal::Terminate => return self.finish(Finished::Terminated),
                    Signal::Interrupt => return self.finish(Finished::Interrupted),
                }
            }
            if self.changes.any() {
                self.look_anew();
            }
            let now = clock::monotonic_ms();
            if self.next_hop.is_some_and(|due| due <= now) {
                self.look_anew();
            }
            if self.services_stale && now.saturating_sub(self.services_read) >= SERVICES_PAUSE {
                self.look_anew();
            }
            self.hear_courier();
            self.start_courier(now);
            self.tend_logs(now);
            self.watching.kill_overdue(now);
            if self.watching.due(now) {
                self.start_watch();
            }
            self.gate.listen();
            self.gate.heard(clock::boot_ms());
            self.gate.look_on(clock::boot_ms());
            self.gate.tick(clock::boot_ms());
            self.tell_gate();
            self.look_at_trial();
            self.answer();
            self.show_life(now);
            self.face.work();
            if let Some(why) = self.ending {
                return self.finish(why);
            }
            if self.watching.given_up() {
                return self.finish(Finished::Failed);
            }
        }
    }

    fn wait_for_something(&mut self) {
        let (now, boot) = (clock::monotonic_ms(), clock::boot_ms());
        let services = self.services_stale.then(|| self.services_read + SERVICES_PAUSE);
        let watchdog = self.watchdog.map(|_| self.next_watchdog);
        let (watch, courier) = (self.watching.next(), self.courier.next());
        let others = [self.face.next(), watch, courier, self.logs.next(), services, watchdog, self.next_hop];
        let monotonic = others.into_iter().flatten().min();
        // Leases end by a clock that goes on while the host sleeps, which waiting does not: look up in between.
        let gate = [self.gate.next_due(), self.state.next(), self.memory.next()].into_iter().flatten().min();
        let gate = gate.map(|due| due.saturating_sub(boot).min(LONGEST_NAP));
        let most = [monotonic.map(|at| at.saturating_sub(now)), gate].into_iter().flatten().min();
        let fallback: BorrowedFd<'_> = self.signals.as_fd();
        let fds = [
            Wait { fd: self.signals.as_fd(), write: false },
            Wait { fd: self.changes.as_fd(), write: false },
            Wait { fd: self.watching.fd().unwrap_or(fallback), write: self.watching.unsent() },
            Wait { fd: self.face.waits_for().unwrap_or(fallback), write: false },
            Wait { fd: self.courier.fd().unwrap_or(fallback), write: false },
            Wait { fd: self.logs.fd().unwrap_or(fallback), write: false },
            Wait { fd: self.gate.fd(), write: false },
            Wait { fd: self.gate.news().unwrap_or(fallback), write: false },
            Wait { fd: self.gate.looking().unwrap_or(fallback), write: false },
            Wait { fd: self.control.as_ref().map_or(fallback, Server::as_fd), write: false },
        ];
        // All of them are looked at in any case; an error here would be one of the descriptors' own.
        let _ = wait(fds, most.map(Duration::from_millis));
    }

    fn reap(&mut self) {
        while let Some(reaped) = klopf_sys::reap() {
            match reaped {
                Reaped::Ended(pid, how) if self.watching.reaped(pid) => self.watch_ended(how),
                Reaped::Ended(pid, how) if self.courier.is(pid) => self.courier_ended(how),
                Reaped::Ended(pid, _) if self.journal_ended(pid) => {}
                Reaped::Ended(pid, how) => self.gate.ended(clock::boot_ms(), pid, how),
                Reaped::Stopped(pid) if self.watching.is(pid) => {
                    self.trouble("the watch was stopped; it is started again");
                    self.watching.kill();
                }
                Reaped::Stopped(_) => {}
            }
        }
        self.tell_gate();
    }

    fn watch_ended(&mut self, how: Ended) {
        // What it said last still counts.
        while self.hear() {}
        if !self.watching.stopping() {
            self.memory.trouble(&format!("the watch has ended ({}) and was started again", crate::face::Ending(how)));
            self.face.tell(&if self.ready { Event::WatchEnded(how) } else { Event::NeverWatched(how) });
        }
        self.counts.clear();
        self.watching.ended(clock::monotonic_ms(), self.ready);
    }

    fn start_watch(&mut self) {
        // A new watch gets new sockets: it would not know how far the rings of the old ones had been read.
        self.packets = self.packets.take().map(|_| Sockets::default());
        if let Err(error) = self.watching.start(self.courier.letters(), clock::monotonic_ms()) {
            self.face.tell(&Event::Trouble(&format!("cannot start the watch: {error}")));
        }
        self.logs.hand_over_anew();
        self.apply_anew();
    }

    /// Reads the configuration again; a broken one changes nothing, and false is returned.
    fn reload(&mut self) -> bool {
        self.face.tell(&Event::Reloading);
        let read = self.face.reload();
        if read {
            let plan = self.new_plan();
            let before = std::mem::replace(&mut self.plan, plan);
            let begins = self.take_reload(&before);
            self.apply();
            if begins {
                self.begin_trial(None);
            }
            self.face.tell(&Event::Reloaded);
            klopf_sys::Code::find().release();
        }
        read
    }

    /// Puts the face's plan into force.
    fn apply_anew(&mut self) {
        self.plan = self.new_plan();
        self.apply();
    }

    /// Puts the plan into force.
    fn apply(&mut self) {
        if let Some(rehearsal) = &self.rehearsal {
            rehearsal.add_to(&mut self.plan);
        }
        self.doors_stale = true;
        self.remember_packets();
        if self.ready {
            let done = self.put_guards();
            if self.tell_unguarded(done) && matches!(self.state, State::Locked) && self.rehearsal.is_none() {
                self.note_guards();
            }
            self.engage_courier();
        }
        self.look_anew();
        self.engage_logs();
    }

    /// Says that something is wrong, and remembers it for who asks.
    fn trouble(&mut self, what: &str) {
        self.face.tell(&Event::Trouble(what));
        self.memory.trouble(what);
    }

    /// Says what the administrator should know of.
    fn warn(&mut self, what: &str) {
        self.face.tell(&Event::Warning(what));
    }

    /// Tells the service manager that all is well, and asks the watch whether it is.
    fn show_life(&mut self, now: u64) {
        if let Some(every) = self.watchdog.filter(|_| self.next_watchdog <= now) {
            self.next_watchdog = now + every;
            crate::notify(&[sd_notify::NotifyState::Watchdog]);
            if self.watching.is_hung(now) {
                self.trouble("the watch does not answer; it is started again");
                self.watching.kill();
            }
            self.watching.ping(now);
        }
    }

    /// Reads interfaces, addresses and services, and tells the watch and the kernel's filter; of the doors, too, if they
    /// have changed. What cannot be read now is read again in a while.
    fn look_anew(&mut self) {
        self.services_read = clock::monotonic_ms();
        let found = match interfaces() {
            Ok(found) => found,
            Err(error) => {
                self.services_stale = true;
                return self.face.tell(&Event::Trouble(&format!("cannot read the interfaces: {error}")));
            }
        };
        self.services_stale = false;
        let services = self.plan.strict().then(klopf_sys::services).transpose().unwrap_or_else(|error| {
            if !std::mem::replace(&mut self.services_told, true) {
                let what = format!("hits on closed ports count as nothing: cannot tell which ports serve: {error}");
                self.face.tell(&Event::Trouble(&what));
            }
            None
        });
        let unix_ms = clock::wall_ms();
        self.next_hop = self.next_hop(unix_ms);
        let view = host::view(&self.plan, &found, services.as_ref(), unix_ms);
        // The filter goes first: what it lets through before the watch has heard of it, the watch leaves alone.
        let sockets = self.packets.as_mut().map(|packets| packets.listen(&view)).into_iter().flatten();
        for ((socket, told), what) in sockets.zip(&mut self.packets_told).zip(["sequences", "sealed knocks"]) {
            let failed = socket.is_err();
            match socket {
                Ok(new) => new.into_iter().for_each(|(message, socket)| self.watching.hand(&message, socket)),
                Err(error) if !*told => self.face.tell(&Event::Trouble(&format!("cannot listen for {what}: {error}"))),
                Err(_) => (),
            }
            self.services_stale |= failed;
            *told = failed;
        }
        let doors_changed = std::mem::take(&mut self.doors_stale);
        // Without a file nobody knows what was accepted before this daemon.
        let earliest = self.replay.earliest(self.began_unix);
        self.watching.tell(view.messages, doors_changed, &self.plan, self.replay.marks(), earliest);

        for (name, why) in view.unusable.iter().filter(|unusable| !self.unusable.contains(unusable)) {
            self.face.tell(&Event::Unusable(name, why));
        }
        let still = |name: &String| view.unusable.iter().any(|(unusable, _)| unusable == name);
        for (name, _) in self.unusable.iter().filter(|(name, _)| !still(name)) {
            self.face.tell(&Event::Found(name));
        }
        self.unusable = view.unusable;
    }

    fn tell_gate(&mut self) {
        let events = self.gate.events();
        self.tell_gate_of(events);
    }

    fn tell_gate_of(&mut self, events: Vec<klopf_gate::Event>) {
        for event in events {
            match &event {
                klopf_gate::Event::Refused { door, address, why } => {
                    self.memory.refused(door, *address, why.name(), why.text().to_owned());
                }
                klopf_gate::Event::Firewall(error) => self.memory.trouble(&format!("the kernel's firewall: {error}")),
                klopf_gate::Event::JournalFailed(error) => {
                    self.memory.trouble(&format!("the journal cannot be written: {}", reason(error)));
                }
                klopf_gate::Event::Restored { by } => {
                    self.memory.trouble(&format!("{by} has changed or removed the guards' table; it was restored"));
                }
                _ => {}
            }
            self.face.tell(&Event::Gate(event));
        }
    }
}

/// Opens the first journal that nobody else uses, and takes over what is in the others that nobody uses.
fn open_journal(face: &mut impl Face, paths: &[PathBuf]) -> Result<Journal, JournalError> {
    let mut journal: Option<Journal> = None;
    for path in paths {
        if let Some(directory) = path.parent() {
            // If it cannot be made, opening the journal says why.
            let _ = std::fs::create_dir_all(directory);
        }
        match &mut journal {
            None => match Journal::open(path) {
                Ok(opened) => journal = Some(opened),
                Err(JournalError::Locked) => {}
                Err(error) => return Err(error),
            },
            Some(journal) if path.exists() => {
                // One that is in use, or cannot be read, is not ours to take.
                let adopted = Journal::open(path).map(|other| journal.adopt(other));
                if let Ok(Err(error)) = adopted {
                    face.tell(&Event::Trouble(&format!("cannot take over {}: {error}", path.display())));
                }
            }
            Some(_) => {}
        }
    }
    let journal = journal.ok_or(JournalError::Locked)?;
    if !journal.is_empty() || journal.damaged() > 0 {
        face.tell(&Event::Journal(journal.len(), journal.damaged()));
    }
    Ok(journal)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// An error as the C library words it, without Rust's number behind it.
pub(crate) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
