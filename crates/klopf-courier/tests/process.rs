//! The courier as a process: its descriptors, its rights, its end.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use klopf_brief::{Brief, Maildir, REPORT_SIZE, Report, Source, Taken, What};
use klopf_sys::{Pair, Received, Wait, wait};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

/// A courier and the ends that are not its own.
struct Courier {
    child: Child,
    watch: OwnedFd,
    keeper: Pair,
}

/// Descriptors that the courier inherits.
fn pair() -> (OwnedFd, OwnedFd) {
    let (own, others) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::NONBLOCK, None).unwrap();
    rustix::io::fcntl_setfd(&own, rustix::io::FdFlags::CLOEXEC).unwrap();
    (own, others)
}

fn start(brief: &str) -> Courier {
    let ((watch, his_watch), (keeper, his_keeper)) = (pair(), pair());
    let (read, write) = rustix::pipe::pipe().unwrap();
    rustix::io::fcntl_setfd(&write, rustix::io::FdFlags::CLOEXEC).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_klopf-courier"));
    command.arg("65534:65534").env_clear().stderr(Stdio::null());
    command.args([&read, &his_watch, &his_keeper].map(|fd| fd.as_raw_fd().to_string()));
    let child = command.spawn().unwrap();
    File::from(write).write_all(brief.as_bytes()).unwrap();
    Courier { child, watch, keeper: keeper.into() }
}

impl Courier {
    fn report(&self) -> Option<Report> {
        let mut bytes = [0; REPORT_SIZE];
        loop {
            wait([Wait { fd: std::os::fd::AsFd::as_fd(&self.keeper), write: false }], Some(Duration::from_secs(20)))
                .unwrap();
            match self.keeper.receive(&mut bytes) {
                Received::Message(length) => return Report::decode(&bytes[..length]),
                Received::Nothing => {}
                Received::Closed => return None,
            }
        }
    }
}

#[test]
fn it_has_no_rights_reports_and_ends_with_its_keeper() {
    let what =
        What::Maildir(Maildir { path: "/nowhere".into(), taken: Taken::Mark, require_dkim: vec![], drop_box: false });
    let brief = Brief { sources: vec![Source { id: 7, name: "s".into(), what }] };
    let mut courier = start(&brief.encode());
    // The first report comes from a thread, which is started after everything was given up.
    assert_eq!(courier.report().unwrap().source, 7);
    let status = std::fs::read_to_string(format!("/proc/{}/status", courier.child.id())).unwrap();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert_eq!((field("CapEff:").trim_matches('0'), field("CapBnd:").trim_matches('0').len()), ("", 0), "{status}");
    assert_eq!((field("NoNewPrivs:"), field("Seccomp:")), ("1".into(), "2".into()));
    drop(courier.keeper);
    assert!(courier.child.wait().unwrap().success());
    drop(courier.watch);
}

#[test]
fn it_starts_with_nothing_but_a_brief_and_by_nobody_but_its_keeper() {
    let mut courier = start("{");
    assert_eq!(courier.report(), None);
    assert_eq!(courier.child.wait().unwrap().code(), Some(71));
    let by_hand = Command::new(env!("CARGO_BIN_EXE_klopf-courier")).output().unwrap();
    assert_eq!(by_hand.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&by_hand.stderr).contains("klopfd"));
}
