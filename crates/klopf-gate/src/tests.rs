//! The gate with real commands, in virtual time.

mod lists;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use klopf_sys::{Ended, Pair, Reaped, Wait, wait};

use proptest::prelude::{ProptestConfig, prop};
use proptest::{prop_assert, proptest};

use crate::{Action, By, Command, Event, Gate, Journal, JournalError, Order, Scope};

/// A directory of the test's own, removed when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("klopf-gate-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn address() -> IpAddr {
    IpAddr::from([192, 0, 2, 7])
}

fn shell(line: String) -> Vec<Action> {
    vec![Action::at_once(Command::Shell(line.into()))]
}

fn vector(program: &str) -> Vec<Action> {
    vec![Action::at_once(Command::Vector(vec![program.into()]))]
}

fn order(log: &Path) -> Order {
    let log = log.display();
    Order {
        door: "ssh".into(),
        address: address(),
        scope: Scope::default(),
        open: shell(format!("echo open $KLOPF_DOOR $KLOPF_IP >> {log}")),
        close: shell(format!("echo close >> {log}")),
        hold: 1000,
        from_end: false,
        renews: true,
        pass: None,
    }
}

fn gate(journal: Option<Journal>) -> Gate {
    Gate::new(journal, false).unwrap()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Waits for a command of this gate to end: nextest runs each test in a process of its own, and cargo's own runner
/// is told to by `serial`, so that no other test's children are taken.
fn settle(gate: &mut Gate, now: u64) {
    for _ in 0..10_000 {
        if gate.running() == 0 {
            return;
        }
        gate.listen();
        match klopf_sys::reap() {
            Some(Reaped::Ended(pid, how)) => gate.ended(now, pid, how),
            Some(Reaped::Stopped(_)) | None => pause(),
        }
    }
    panic!("commands do not end");
}

fn pause() {
    let (a, _b) = Pair::new().unwrap();
    let fd = std::os::fd::AsFd::as_fd(&a);
    wait([Wait { fd, write: false }], Some(std::time::Duration::from_millis(1))).unwrap();
}

static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn serial() -> std::sync::MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[test]
fn what_was_opened_is_closed_at_its_time() {
    let (_serial, scratch) = (serial(), Scratch::new("closed"));
    let (log, mut gate) = (scratch.file("log"), gate(None));
    gate.grant(100, order(&log));
    settle(&mut gate, 150);
    assert_eq!(gate.next_due(), Some(1100));
    gate.tick(1099);
    assert_eq!(read(&log), "open ssh 192.0.2.7\n");
    gate.tick(1100);
    settle(&mut gate, 1101);
    assert_eq!(read(&log), "open ssh 192.0.2.7\nclose\n");
    assert_eq!((gate.leases(), gate.next_due()), (0, None));
}

#[test]
fn a_second_knock_renews_a_native_lease_and_is_a_second_opening_for_knockd() {
    let (_serial, scratch) = (serial(), Scratch::new("renew"));
    for (renews, expected) in [(true, (1, Some(1900))), (false, (2, Some(1100)))] {
        let mut gate = gate(None);
        for now in [100, 900] {
            gate.grant(now, Order { renews, ..order(&scratch.file("log")) });
            settle(&mut gate, now);
        }
        assert_eq!((gate.leases(), gate.next_due()), expected);
    }
}

#[test]
fn a_shorter_renewal_takes_nothing_from_a_lease() {
    let (_serial, scratch) = (serial(), Scratch::new("shorter"));
    let mut gate = gate(None);
    for (now, hold) in [(100, 60_000), (900, 1000), (1000, 61_000)] {
        gate.grant(now, Order { hold, renews: true, ..order(&scratch.file("log")) });
        settle(&mut gate, now);
    }
    assert_eq!((gate.leases(), gate.next_due()), (1, Some(62_000)));
}

#[test]
fn a_renewal_tries_a_failed_opening_again() {
    let (_serial, scratch) = (serial(), Scratch::new("again"));
    let (log, mut gate) = (scratch.file("log"), gate(None));
    let failing = Order { open: shell(format!("echo try >> {}; exit 3", log.display())), ..order(&log) };
    for now in [100, 200] {
        gate.grant(now, failing.clone());
        settle(&mut gate, now);
    }
    assert_eq!(read(&log), "try\ntry\n");
}

#[test]
fn the_time_may_count_from_the_end_of_the_opening_command() {
    let (_serial, scratch) = (serial(), Scratch::new("from-end"));
    let mut gate = gate(None);
    gate.grant(100, Order { from_end: true, ..order(&scratch.file("log")) });
    gate.tick(5000);
    settle(&mut gate, 5001);
    assert_eq!(gate.next_due(), Some(6001));
}

#[test]
fn a_failing_command_tells_its_status_and_output() {
    let _serial = serial();
    let mut gate = gate(None);
    let fails =
        |line: &str| Order { open: shell(line.into()), close: Vec::new(), renews: false, ..order(Path::new("-")) };
    for (line, expected) in
        [("echo one; echo two >&2; exit 3", (Ended::Status(3), "one\ntwo\n")), ("kill -9 $$", (Ended::Signal(9), ""))]
    {
        gate.grant(1, fails(line));
        settle(&mut gate, 2);
        let ended = gate.events().into_iter().find_map(|event| match event {
            Event::Ended { how, output, .. } => Some((how, String::from_utf8(output).unwrap())),
            _ => None,
        });
        assert_eq!(ended, Some((expected.0, expected.1.to_owned())));
    }
    gate.grant(3, Order { open: vector("/nonexistent/program"), ..fails("") });
    assert!(gate.events().iter().any(|event| matches!(event, Event::NotStarted { .. })));
}

#[test]
fn native_commands_get_a_clean_environment() {
    let (_serial, scratch) = (serial(), Scratch::new("environment"));
    let mut gate = gate(None);
    gate.grant(1, Order { open: vector("/usr/bin/env"), close: Vec::new(), ..order(&scratch.file("log")) });
    settle(&mut gate, 2);
    let output = gate.events().into_iter().find_map(|event| match event {
        Event::Ended { output, .. } => Some(String::from_utf8(output).unwrap()),
        _ => None,
    });
    let mut names: Vec<String> =
        output.unwrap().lines().filter_map(|line| Some(line.split_once('=')?.0.to_owned())).collect();
    names.sort();
    assert_eq!(names, ["KLOPF_DOOR", "KLOPF_IP", "PATH"]);
}

#[test]
fn all_is_closed_when_the_daemon_is_told_to_stop() {
    let (_serial, scratch) = (serial(), Scratch::new("stop"));
    let (log, mut gate) = (scratch.file("log"), gate(None));
    for last in 1..=3 {
        gate.grant(100, Order { address: IpAddr::from([192, 0, 2, last]), ..order(&log) });
    }
    gate.close_all(200);
    settle(&mut gate, 201);
    assert_eq!(read(&log).lines().filter(|line| *line == "close").count(), 3);
    assert_eq!(gate.leases(), 0);
}

#[test]
fn a_hanging_opening_does_not_keep_its_door_open_at_the_end() {
    let (_serial, scratch) = (serial(), Scratch::new("hanging"));
    let (log, go) = (scratch.file("log"), scratch.file("go"));
    let mut gate = gate(Some(Journal::open(&scratch.file("journal")).unwrap()));
    let hangs = format!("for n in $(seq 999); do test -e {} && exit; sleep 0.01; done", go.display());
    gate.grant(100, Order { open: shell(hangs), ..order(&log) });
    gate.close_all(200);
    assert_eq!(gate.running(), 1, "it is waited for");
    gate.close_hanging(3200);
    assert_eq!(gate.running(), 2);
    std::fs::write(&go, "").unwrap();
    settle(&mut gate, 3201);
    assert_eq!((read(&log).as_str(), gate.leases()), ("close\n", 0));
}

#[test]
fn after_a_kill_the_journal_says_what_to_close_and_only_once() {
    let (_serial, scratch) = (serial(), Scratch::new("journal"));
    let (log, path) = (scratch.file("log"), scratch.file("journal"));
    let now = klopf_sys::clock::boot_ms();
    let mut killed = gate(Some(Journal::open(&path).unwrap()));
    killed.grant(now, order(&log));
    killed.grant(now, Order { address: IpAddr::from([192, 0, 2, 8]), hold: 60_000, ..order(&log) });
    settle(&mut killed, now);
    assert!(matches!(Journal::open(&path), Err(JournalError::Locked)));
    drop(killed);

    let mut next = gate(Some(Journal::open(&path).unwrap()));
    assert_eq!((next.leases(), next.next_due()), (2, Some(now + 1000)));
    next.tick(now + 1000);
    settle(&mut next, now + 1001);
    drop(next);
    let mut last = gate(Some(Journal::open(&path).unwrap()));
    assert_eq!((last.leases(), last.next_due()), (1, Some(now + 60_000)));
    last.close_all(now + 2000);
    settle(&mut last, now + 2001);
    assert_eq!(read(&log).lines().filter(|line| *line == "close").count(), 2);
    assert_eq!(read(&path), "", "nothing is left to remember");
}

#[test]
fn a_damaged_journal_loses_only_the_damaged_lines() {
    let scratch = Scratch::new("damaged");
    let path = scratch.file("journal");
    let good = "+\t5\tother-boot\t1\t20\t0\tssh\t192.0.2.7\tvector\t/bin/true\ta%20b\n";
    std::fs::write(&path, format!("{good}nonsense\n+\t6\tboot\n{}", good.get(..40).unwrap())).unwrap();
    let journal = Journal::open(&path).unwrap();
    assert_eq!((journal.len(), journal.damaged()), (1, 3));
}

#[test]
fn a_damaged_journal_is_set_aside_and_written_anew() {
    let scratch = Scratch::new("aside");
    let path = scratch.file("doors.journal");
    let good = "+\t5\tother-boot\t1\t20\t0\tssh\t192.0.2.7\tnone\ng\t5\tsequence\t192.0.2.7\tlap%20top\n";
    let broken = format!("{good}+\t6\tno end of a line");
    std::fs::write(&path, &broken).unwrap();
    assert_eq!(Journal::open(&path).unwrap().damaged(), 1);
    assert_eq!(read(&scratch.file("doors.damaged")), broken);
    let again = Journal::open(&path).unwrap();
    assert_eq!((again.len(), again.damaged()), (1, 0));
    let pass = again.pending().next().and_then(|pending| pending.pass.clone()).unwrap();
    assert_eq!((pass.who.as_deref(), pass.origin, pass.by), (Some("lap top"), Some(address()), By::Sequence));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_bytes_are_read_as_a_journal(lines in prop::collection::vec("[-+=gocs]\t[0-9]{1,3}(\t[ -~]{0,12}){0,9}|[^\n]{0,40}", 0..20)) {
        let scratch = Scratch::new("any");
        let path = scratch.file("journal");
        std::fs::write(&path, lines.join("\n")).unwrap();
        let journal = Journal::open(&path).unwrap();
        prop_assert!(journal.len() + journal.damaged() <= lines.len());
    }
}

#[test]
fn a_journal_that_others_may_write_is_not_believed() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new("mode");
    let path = scratch.file("journal");
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    assert!(matches!(Journal::open(&path), Err(JournalError::NotOurs)));
}

#[test]
fn more_doors_than_commands_may_run_are_all_closed_at_the_end() {
    let (_serial, scratch) = (serial(), Scratch::new("many"));
    let (log, mut gate) = (scratch.file("log"), gate(None));
    for number in 0..400u16 {
        let [high, low] = number.to_be_bytes();
        gate.grant(100, Order { open: Vec::new(), address: IpAddr::from([10, 0, high, low]), ..order(&log) });
    }
    gate.close_all(200);
    settle(&mut gate, 201);
    assert_eq!((read(&log).lines().count(), gate.leases()), (400, 0));
}

#[test]
fn hanging_openings_do_not_keep_other_doors_from_closing() {
    let (_serial, scratch) = (serial(), Scratch::new("share"));
    let (log, go, mut gate) = (scratch.file("log"), scratch.file("go"), gate(None));
    gate.grant(100, Order { open: Vec::new(), ..order(&log) });
    let hangs = format!("for n in $(seq 999); do test -e {} && exit; sleep 0.01; done", go.display());
    for last in 0..70 {
        let address = IpAddr::from([10, 0, 0, last]);
        let order =
            Order { door: "other".into(), address, open: shell(hangs.clone()), close: Vec::new(), ..order(&log) };
        gate.grant(200, order);
    }
    assert_eq!(gate.running(), super::gate::MOST_OPENING_OF_A_DOOR);
    gate.tick(1100);
    std::fs::write(&go, "").unwrap();
    settle(&mut gate, 1101);
    assert_eq!(read(&log), "close\n");
}

#[test]
fn a_knock_while_its_door_is_closing_opens_it_again() {
    let (_serial, scratch) = (serial(), Scratch::new("held"));
    let (log, mut gate) = (scratch.file("log"), gate(None));
    gate.grant(100, order(&log));
    settle(&mut gate, 101);
    gate.tick(1100);
    gate.grant(1100, order(&log));
    settle(&mut gate, 1101);
    assert_eq!(read(&log), "open ssh 192.0.2.7\nclose\nopen ssh 192.0.2.7\n");
    assert_eq!(gate.next_due(), Some(2101));
}

#[test]
fn an_opening_of_which_nothing_is_left_is_done_again() {
    let (_serial, scratch) = (serial(), Scratch::new("again-after-kill"));
    let (log, path) = (scratch.file("log"), scratch.file("journal"));
    let now = klopf_sys::clock::boot_ms();
    for (status, expected) in [("exit 0", "x\n"), ("exit 1", "x\nx\nx\n")] {
        let order = || Order {
            open: shell(format!("echo x >> {}; {status}", log.display())),
            close: vector("/bin/true"),
            hold: 60_000,
            ..order(&log)
        };
        for _ in 0..2 {
            let mut gate = gate(Some(Journal::open(&path).unwrap()));
            gate.grant(now, order());
            settle(&mut gate, now);
        }
        assert_eq!(read(&log), expected, "{status}");
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn after_a_reboot_a_lease_ends_by_the_wall_clock_and_never_late() {
    let scratch = Scratch::new("reboot");
    let path = scratch.file("journal");
    let month = 30 * 24 * 3_600_000u64;
    let wall = klopf_sys::clock::wall_ms();
    let door = |id, due| format!("+\t{id}\tother-boot\t{due}\t2000\t{wall}\tssh\t192.0.2.{id}\tvector\t/bin/true\n");
    let text = [door(1, month), "o\t1\n".into(), format!("=\t1\t{month}\t2000\t{wall}\n"), door(2, month)].concat();
    std::fs::write(&path, text).unwrap();
    let now = klopf_sys::clock::boot_ms();
    let gate = gate(Some(Journal::open(&path).unwrap()));
    assert!(gate.next_due().unwrap() <= now + 2000 && gate.leases() == 2);
}

#[test]
fn a_journal_takes_over_another_and_stays_small() {
    let (_serial, scratch) = (serial(), Scratch::new("adopt"));
    let (log, one, two) = (scratch.file("log"), scratch.file("1"), scratch.file("2"));
    let now = klopf_sys::clock::boot_ms();
    for path in [&one, &two] {
        let mut killed = gate(Some(Journal::open(path).unwrap()));
        killed.grant(now, Order { open: Vec::new(), ..order(&log) });
    }
    let mut journal = Journal::open(&one).unwrap();
    journal.adopt(Journal::open(&two).unwrap()).unwrap();
    assert!(journal.len() == 2 && !two.exists());
    let mut gate = gate(Some(journal));
    for ms in 0..40_000 {
        gate.grant(now + ms, Order { open: Vec::new(), hold: 1 << 40, ..order(&log) });
    }
    assert!(std::fs::metadata(&one).unwrap().len() < 3 << 20);
    gate.close_all(now);
    settle(&mut gate, now + 1);
    gate.finish();
    assert!(!one.exists(), "nothing in it, nothing left of it");
}

#[test]
fn commands_may_print_what_they_like_and_leave_behind_what_they_like() {
    let (_serial, scratch) = (serial(), Scratch::new("print"));
    let (log, mut gate) = (scratch.file("log"), gate(None));
    let left = format!("(set -e; sleep 0.1; head -c 100000 /dev/zero; echo x; echo done > {}) &", log.display());
    let line = format!("head -c 9000000 /dev/zero; {left} echo last; exit 1");
    gate.grant(1, Order { open: shell(line), close: Vec::new(), renews: false, ..order(&log) });
    settle(&mut gate, 2);
    let output = gate.events().into_iter().find_map(|event| match event {
        Event::Ended { output, .. } => Some(output),
        _ => None,
    });
    assert!(output.unwrap().ends_with(b"last\n"));
    let mut done = || {
        gate.listen();
        pause();
        read(&log) == "done\n"
    };
    assert!((0..5000).any(|_| done()), "what was left behind did not get through");
}
