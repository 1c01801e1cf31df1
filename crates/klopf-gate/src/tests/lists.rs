//! Lists of commands, and leases for a part of a door.

use super::*;

/// Commands that write a word each, at these milliseconds.
fn words(log: &Path, all: &[(&str, u64)]) -> Vec<Action> {
    let run = |word: &str| Command::Shell(format!("echo {word} >> {}", log.display()).into());
    all.iter().map(|&(word, after)| Action { run: run(word), after }).collect()
}

fn several(log: &Path) -> Order {
    let open = words(log, &[("one", 0), ("two", 0), ("late", 400)]);
    Order { open, close: words(log, &[("shut", 0), ("bolt", 200)]), ..order(log) }
}

#[test]
fn commands_are_run_one_after_the_other_each_at_its_time() {
    let (_serial, scratch) = (serial(), Scratch::new("list"));
    let (log, mut gate) = (scratch.file("log"), gate(None));
    gate.grant(100, several(&log));
    settle(&mut gate, 150);
    assert_eq!((read(&log).as_str(), gate.next_due()), ("one\ntwo\n", Some(500)));
    gate.tick(499);
    assert_eq!(gate.running(), 0);
    gate.tick(500);
    settle(&mut gate, 501);
    assert_eq!((read(&log).as_str(), gate.next_due()), ("one\ntwo\nlate\n", Some(1100)));
    gate.tick(1100);
    settle(&mut gate, 1101);
    assert_eq!((read(&log).as_str(), gate.leases(), gate.next_due()), ("one\ntwo\nlate\nshut\n", 1, Some(1300)));
    gate.tick(1300);
    settle(&mut gate, 1301);
    assert_eq!((read(&log).as_str(), gate.leases(), gate.next_due()), ("one\ntwo\nlate\nshut\nbolt\n", 0, None));
}

#[test]
fn what_has_not_begun_when_a_lease_ends_is_left_out() {
    type Ending = fn(&mut Gate);
    let endings: [(&str, Ending); 3] = [
        ("by hand", |gate| assert_eq!(gate.revoke(300, &|_| true), 1)),
        ("with the daemon", |gate| gate.close_all(300)),
        ("by its time", |gate| gate.tick(1100)),
    ];
    for (how, ends) in endings {
        let (_serial, scratch) = (serial(), Scratch::new("left-out"));
        let (log, mut gate) = (scratch.file("log"), gate(None));
        let open = words(&log, &[("one", 0), ("late", 1200)]);
        gate.grant(100, Order { open, ..several(&log) });
        settle(&mut gate, 150);
        ends(&mut gate);
        settle(&mut gate, 301);
        gate.tick(5000);
        settle(&mut gate, 5001);
        assert_eq!((read(&log).as_str(), gate.leases(), gate.next_due()), ("one\nshut\nbolt\n", 0, None), "{how}");
    }
}

#[test]
fn the_end_of_the_daemon_waits_for_no_delay() {
    let (_serial, scratch) = (serial(), Scratch::new("hurry"));
    let (log, mut gate) = (scratch.file("log"), gate(None));
    gate.grant(100, Order { close: words(&log, &[("shut", 0), ("bolt", 60_000)]), ..order(&log) });
    gate.grant(100, Order { open: words(&log, &[("never", 60_000)]), close: Vec::new(), renews: false, ..order(&log) });
    settle(&mut gate, 101);
    gate.tick(1100);
    settle(&mut gate, 1101);
    assert_eq!((read(&log).lines().last(), gate.next_due()), (Some("shut"), Some(60_100)));
    gate.close_all(1200);
    settle(&mut gate, 1201);
    assert_eq!((read(&log).lines().last(), gate.leases(), gate.next_due()), (Some("bolt"), 0, None));
}

#[test]
fn a_command_without_a_lease_waits_for_its_time_all_the_same() {
    let (_serial, scratch) = (serial(), Scratch::new("alone"));
    let (log, mut gate) = (scratch.file("log"), gate(None));
    let open = words(&log, &[("late", 5000)]);
    gate.grant(100, Order { open, close: Vec::new(), renews: false, ..order(&log) });
    assert_eq!((gate.running(), gate.leases(), gate.next_due()), (0, 0, Some(5100)));
    gate.tick(5100);
    settle(&mut gate, 5101);
    assert_eq!((read(&log).as_str(), gate.next_due()), ("late\n", None));
}

#[test]
fn one_that_fails_is_tried_again_with_the_others_by_a_renewal() {
    let (_serial, scratch) = (serial(), Scratch::new("fails"));
    let (log, mut gate) = (scratch.file("log"), gate(None));
    let mut open = words(&log, &[("one", 0), ("two", 0)]);
    open.insert(1, Action::at_once(Command::Shell("exit 3".into())));
    for now in [100, 200] {
        gate.grant(now, Order { open: open.clone(), ..order(&log) });
        settle(&mut gate, now);
    }
    assert_eq!(read(&log), "one\ntwo\none\ntwo\n");
}

#[test]
fn a_renewal_while_commands_are_to_come_begins_none_twice() {
    let (_serial, scratch) = (serial(), Scratch::new("once"));
    let (log, mut gate) = (scratch.file("log"), gate(None));
    for now in [100, 200] {
        gate.grant(now, several(&log));
        settle(&mut gate, now);
    }
    gate.tick(500);
    settle(&mut gate, 501);
    assert_eq!((read(&log).as_str(), gate.next_due()), ("one\ntwo\nlate\n", Some(1200)));
}

#[test]
fn after_a_kill_all_closing_commands_are_run() {
    let (_serial, scratch) = (serial(), Scratch::new("killed-list"));
    let (log, path) = (scratch.file("log"), scratch.file("journal"));
    let now = klopf_sys::clock::boot_ms();
    let scope = Scope { port: Some(22), prefix: Some(24), flags: 5 };
    for ends_before in [false, true] {
        let mut killed = gate(Some(Journal::open(&path).unwrap()));
        killed.grant(now, Order { scope, ..several(&log) });
        settle(&mut killed, now);
        if ends_before {
            // The first closing command has run, the second one waits.
            killed.tick(now + 1000);
            settle(&mut killed, now + 1000);
        }
        drop(killed);
        std::fs::remove_file(&log).unwrap();

        let mut next = gate(Some(Journal::open(&path).unwrap()));
        let lease = next.in_force().next().unwrap();
        assert_eq!((lease.port, lease.address.prefix, lease.address.address), (Some(22), 24, [192, 0, 2, 0].into()));
        next.tick(now + 1000);
        settle(&mut next, now + 1001);
        next.tick(now + 1200);
        settle(&mut next, now + 1201);
        assert_eq!((read(&log).as_str(), read(&path).as_str()), ("shut\nbolt\n", ""));
        std::fs::remove_file(&log).unwrap();
    }
}

#[test]
fn leases_for_parts_of_a_door_are_leases_of_their_own() {
    let (_serial, scratch) = (serial(), Scratch::new("parts"));
    let mut gate = gate(None);
    let part = |port, prefix, flags| Order {
        scope: Scope { port, prefix, flags },
        open: Vec::new(),
        ..order(&scratch.file("log"))
    };
    let parts = [(None, None, 0), (Some(22), None, 0), (Some(22), Some(24), 0), (None, None, 1)];
    for (now, (port, prefix, flags)) in (100..).zip(parts.into_iter().chain(parts)) {
        gate.grant(now, part(port, prefix, flags));
    }
    gate.grant(200, Order { address: [192, 0, 2, 99].into(), ..part(Some(22), Some(24), 0) });
    let mut found: Vec<_> = gate.in_force().map(|lease| (lease.port, lease.address.to_string(), lease.due)).collect();
    found.sort();
    let expected = [
        (None, "192.0.2.7", 1104),
        (None, "192.0.2.7", 1107),
        (Some(22), "192.0.2.0/24", 1200),
        (Some(22), "192.0.2.7", 1105),
    ];
    assert_eq!(found, expected.map(|(port, address, due)| (port, address.to_owned(), due)));
}
