//! The keeper's end of the courier: starting it while something needs it, and hearing how its sources are.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use klopf_brief::{Brief, REPORT_SIZE, Report, State, What};
use klopf_control::SourceStatus;
use klopf_engine::{Budget, Millis};
use klopf_sys::{Ended, Pair, Received, User, clock};
use rustix::fs::MemfdFlags;

use super::Keeper;
use crate::face::{Ending, Event, Face};

/// The program's name.
const PROGRAM: &str = "klopf-courier";
/// Where it is, seen from the directory of this program.
const PLACES: [&str; 2] = ["", "../libexec/klopf"];
/// Milliseconds before a courier that died is started again, the first time and at most.
const PAUSES: (u64, u64) = (200, 30_000);
/// A courier that lived for so long has earned a quick restart.
const LONG_LIFE: u64 = 60_000;
/// Reports that are taken in before signals are looked at again.
const REPORTS_AT_ONCE: usize = 64;
/// Lines of the log that its reports may cause at once, and a second.
const LINES: (u32, u32) = (64, 1);

/// The courier as the keeper sees it.
pub(super) struct Courier {
    user: User,
    /// The ends of the pair between watch and courier. Both are kept here, so that each of the two may die and come again.
    watch_end: Pair,
    courier_end: Pair,
    brief: Brief,
    pid: Option<u32>,
    pair: Option<Pair>,
    started: u64,
    pause: u64,
    start_at: Option<u64>,
    /// It ends because it was told to.
    dismissed: bool,
    /// The last report of each source, with what was looked at and taken by all couriers of this brief.
    reports: BTreeMap<u16, Report>,
    /// As the reports, without the courier that is at work.
    before: BTreeMap<u16, Report>,
    lines: Budget,
}

impl Courier {
    pub(super) fn new(user: User) -> io::Result<Self> {
        let (watch_end, courier_end) = Pair::new()?;
        Ok(Self {
            user,
            watch_end,
            courier_end,
            brief: Brief::default(),
            pid: None,
            pair: None,
            started: 0,
            pause: PAUSES.0,
            start_at: None,
            dismissed: false,
            reports: BTreeMap::new(),
            before: BTreeMap::new(),
            lines: Budget::new(LINES.0, LINES.1),
        })
    }

    /// The watch's end of the pair between the two.
    pub(super) fn letters(&self) -> &Pair {
        &self.watch_end
    }

    /// Has one at work with this brief, or with one that has no source none.
    fn engage(&mut self, brief: &Brief, now: u64) {
        if self.brief == *brief {
            return;
        }
        self.brief = brief.clone();
        self.reports = brief.sources.iter().map(|source| (source.id, Report::starting(source.id))).collect();
        self.before.clear();
        self.dismiss();
        self.pause = PAUSES.0;
        self.start_at = (!brief.sources.is_empty()).then_some(now);
    }

    /// Ends it.
    pub(super) fn dismiss(&mut self) {
        self.dismissed = self.pid.is_some();
        self.start_at = None;
        self.pid.into_iter().for_each(klopf_sys::kill);
    }

    /// When it is to be started.
    pub(super) fn next(&self) -> Option<u64> {
        self.start_at.filter(|_| self.pid.is_none())
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pair.as_ref().map(Pair::as_fd)
    }

    /// Whether a process is this one.
    pub(super) fn is(&self, pid: u32) -> bool {
        self.pid == Some(pid)
    }

    pub(super) fn alive(&self) -> bool {
        self.pid.is_some()
    }

    fn start(&mut self, now: u64) -> Result<(), String> {
        (self.started, self.start_at) = (now, None);
        let program = program()?;
        let begun = self.begin(&program).map_err(|error| format!("{}: {}", program.display(), super::reason(&error)));
        if begun.is_err() {
            self.later(now);
        }
        begun
    }

    fn begin(&mut self, program: &Path) -> io::Result<()> {
        let (mine, theirs) = Pair::new()?;
        let mut brief: std::fs::File = rustix::fs::memfd_create(c"klopf brief", MemfdFlags::CLOEXEC)?.into();
        brief.write_all(self.brief.encode().as_bytes())?;
        brief.rewind()?;
        let user = format!("{}:{}", self.user.uid, self.user.gid);
        let descriptors = [brief.as_fd(), self.courier_end.as_fd(), theirs.as_fd()];
        let pid = klopf_sys::start_program(program, OsStr::new("klopf: courier"), &[OsStr::new(&user)], &descriptors)?;
        (self.pid, self.pair) = (Some(pid), Some(mine));
        Ok(())
    }

    /// Takes in that it has ended; whether nobody had told it to.
    fn ended(&mut self, now: u64) -> bool {
        (self.pid, self.pair) = (None, None);
        for report in self.reports.values_mut() {
            (report.state, report.next) = (State::Starting, 0);
        }
        self.before.clone_from(&self.reports);
        let dismissed = std::mem::take(&mut self.dismissed);
        if !dismissed {
            self.later(now);
        }
        !dismissed
    }

    /// Tries again after a pause that grows.
    fn later(&mut self, now: u64) {
        if now.saturating_sub(self.started) >= LONG_LIFE {
            self.pause = PAUSES.0;
        }
        self.start_at = Some(now + self.pause);
        self.pause = (self.pause * 2).min(PAUSES.1);
    }

    /// The next thing that it says; an error if it is nothing that it may say.
    fn receive(&mut self) -> Option<Result<Report, ()>> {
        let pair = self.pair.as_ref()?;
        let mut bytes = [0; REPORT_SIZE];
        match pair.receive(&mut bytes) {
            Received::Nothing => None,
            // Its end is heard of by SIGCHLD.
            Received::Closed => {
                self.pair = None;
                None
            }
            Received::Message(length) => {
                let report = bytes.get(..length).and_then(Report::decode);
                Some(report.filter(|report| self.reports.contains_key(&report.source)).ok_or(()))
            }
        }
    }
}

/// The courier's program.
fn program() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| super::reason(&error))?;
    let directory = own.parent().unwrap_or_else(|| Path::new("/"));
    let mut places = PLACES.iter().map(|place| directory.join(place).join(PROGRAM));
    places.find(|path| path.is_file()).ok_or_else(|| {
        let place = directory.join(PROGRAM);
        format!("it is not installed: neither {} nor in ../libexec/klopf", place.display())
    })
}

impl<F: Face> Keeper<'_, F> {
    /// Has a courier at work if the plan needs one.
    pub(super) fn engage_courier(&mut self) {
        // It would mark mails as read.
        if self.dry_run.is_some() {
            return;
        }
        self.courier.engage(&self.plan.brief, clock::monotonic_ms());
    }

    /// Starts one that is due.
    pub(super) fn start_courier(&mut self, now: u64) {
        if self.courier.next().is_some_and(|due| due <= now)
            && let Err(why) = self.courier.start(now)
        {
            self.trouble(&format!("cannot start the courier, so no mail and no guestbook is read: {why}"));
        }
    }

    pub(super) fn courier_ended(&mut self, how: Ended) {
        self.hear_courier();
        let on_its_own = self.courier.ended(clock::monotonic_ms());
        if on_its_own && how != Ended::Status(i32::from(klopf_brief::ANEW)) {
            self.trouble(&format!("the courier has ended ({}) and is started again", Ending(how)));
        }
    }

    /// Hears how its sources are.
    pub(super) fn hear_courier(&mut self) {
        for _ in 0..REPORTS_AT_ONCE {
            match self.courier.receive() {
                None => return,
                Some(Ok(report)) => self.take_report(report),
                Some(Err(())) => {
                    self.trouble("the courier said something it must not; it is started again");
                    self.courier.pid.into_iter().for_each(klopf_sys::kill);
                    self.courier.pair = None;
                }
            }
        }
    }

    fn take_report(&mut self, mut report: Report) {
        if let Some(before) = self.courier.before.get(&report.source) {
            report.looked_at = report.looked_at.saturating_add(before.looked_at);
            report.taken = report.taken.saturating_add(before.taken);
            if report.state == State::Starting {
                // What was wrong may well be so still.
                (report.trouble, report.detail) = (before.trouble, before.detail);
                report.last_good = before.last_good;
            }
        }
        let before = self.courier.reports.insert(report.source, report);
        let (was, is) = (before.and_then(|before| before.trouble), report.trouble);
        if was == is || !self.courier.lines.take(Millis(clock::monotonic_ms())) {
            return;
        }
        let name = self.source_name(klopf_engine::SourceId(report.source));
        self.face.tell(&Event::Source { name: &name, trouble: is.map(|trouble| (trouble, report.detail)) });
    }

    /// How mailboxes and guestbooks are, for who asks.
    pub(super) fn source_status(&self) -> Vec<SourceStatus> {
        let unix_s = clock::wall_ms() / 1000;
        let one = |source: &klopf_brief::Source| {
            let report = self.courier.reports.get(&source.id).copied().unwrap_or_else(|| Report::starting(source.id));
            let kind = match source.what {
                What::Imap(_) => "imap",
                What::Maildir(_) => "maildir",
                What::Guestbook(_) => "guestbook",
            };
            let seconds = |from: u64, to: u64| to.saturating_sub(from).saturating_mul(1000);
            SourceStatus {
                name: source.name.clone(),
                kind: kind.to_owned(),
                state: report.state.name().to_owned(),
                trouble: report.trouble.map(|trouble| trouble.name().to_owned()),
                detail: report.detail,
                text: report.trouble.map(|trouble| trouble.in_words(report.detail)),
                last_good_ms_ago: (report.last_good > 0).then(|| seconds(report.last_good, unix_s)),
                next_ms: (report.next > 0).then(|| seconds(unix_s, report.next)),
                looked_at: report.looked_at,
                taken: report.taken,
            }
        };
        self.plan.brief.sources.iter().map(one).collect()
    }
}
