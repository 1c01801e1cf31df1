use klopf_control::{DoorStatus, LeaseStatus, RefusalStatus};

use super::*;

fn door(name: &str, guard: &[&str]) -> DoorStatus {
    DoorStatus {
        name: name.into(),
        guard: guard.iter().map(ToString::to_string).collect(),
        closed: Closed::Drop,
        if_klopfd_dies: IfKlopfdDies::StayClosed,
        guarded: !guard.is_empty(),
        leases: 0,
        max_leases: None,
        sequence_length: 3,
    }
}

fn lease(door: &str, address: &str, by: OpenedBy) -> LeaseStatus {
    LeaseStatus {
        door: door.into(),
        address: address.into(),
        port: None,
        who: None,
        origin: None,
        by,
        opened_ms_ago: None,
        left_ms: None,
        connections: None,
    }
}

fn refusal(number: u8) -> RefusalStatus {
    let (why, text) = match number % 3 {
        0 => ("too-slow", "too slow: ran out of time after hit 2"),
        _ => ("wrong-hit", "wrong hit: 23/tcp after hit 1"),
    };
    let origin: std::net::IpAddr = [192, 0, 2, number].into();
    let (origin, ms_ago) = (Some(origin), u64::from(number) * 61_000);
    RefusalStatus { door: "ssh".into(), origin, via: None, why: why.into(), text: text.into(), ms_ago }
}

fn status() -> Status {
    Status {
        version: "0.1.0".into(),
        pid: 4711,
        uptime_ms: 11_520_000,
        guards: Guards::Guarded,
        trial_left_ms: None,
        table: Table::Owned,
        doors: Vec::new(),
        leases: Vec::new(),
        refusals: Vec::new(),
        counters: std::collections::BTreeMap::new(),
        troubles: Vec::new(),
        keys: Vec::new(),
        sources: Vec::new(),
    }
}

#[test]
fn a_busy_host_reads_like_this() {
    let mut ssh = DoorStatus {
        leases: 2,
        max_leases: Some(8),
        ..door("ssh", &["tcp/22", "udp/60000-61000", "tcp/8000-8010", "tcp/9090"])
    };
    ssh.if_klopfd_dies = IfKlopfdDies::Open;
    let web = DoorStatus { closed: Closed::Reject, guarded: false, ..door("web", &["tcp/443"]) };
    let by_sequence = LeaseStatus {
        origin: Some([198, 51, 100, 7].into()),
        left_ms: Some(252_999),
        connections: Some(1),
        ..lease("ssh", "198.51.100.0/24", OpenedBy::Sequence)
    };
    let by_key = LeaseStatus {
        who: Some("laptop".into()),
        port: Some(22),
        origin: Some("2001:db8::7".parse().unwrap()),
        ..lease("ssh", "2001:db8::7", OpenedBy::Hand)
    };
    let status = Status {
        guards: Guards::Trial,
        trial_left_ms: Some(92_001),
        table: Table::Shared,
        doors: vec![ssh, web, door("command", &[])],
        leases: vec![by_sequence, by_key, lease("web", "192.0.2.1", OpenedBy::Adopted)],
        refusals: (0..12).map(refusal).collect(),
        counters: [
            ("attempts", 3),
            ("attempts-now", 0),
            ("granted", 1),
            ("knocks", 12),
            ("later-fragment", 2),
            ("new-name", 1),
            ("packets", 14),
        ]
        .map(|(name, count)| (name.to_owned(), count))
        .into(),
        troubles: vec!["the journal cannot be written: no space left on device".into()],
        keys: Vec::new(),
        sources: Vec::new(),
        ..status()
    };
    insta::assert_snapshot!(shown(&status), @r#"
    ON TRIAL, 93 s left: undone then, unless somebody comes in from outside.
    Knock from another machine and log in; klopf lock shows what to type there.
    The table in the kernel is shared: klopfd restores what others change.
    Trouble: the journal cannot be written: no space left on device
    klopfd 0.1.0, pid 4711, up 3h12m

    DOOR     HITS  GUARDS                  NOW            IF KLOPFD DIES  LEASES
    ssh      3     tcp/22 udp/60000-61000  closed (drop)  opens           2 of 8
                   tcp/8000-8010 tcp/9090
    web      3     tcp/443                 open to all    -               0
    command  3     -                       -              -               0

    LEASE          WHO                ADDRESS                              LEFT   CONNECTIONS
    ssh            a sequence         198.51.100.0/24 (from 198.51.100.7)  4m12s  1
    ssh (port 22)  laptop             2001:db8::7                          -      -
    web            an earlier klopfd  192.0.2.1                            -      -

    Refused lately: 4 too-slow, 8 wrong-hit
      192.0.2.0 at ssh, 0s ago: too slow: ran out of time after hit 2
      192.0.2.1 at ssh, 1m01s ago: wrong hit: 23/tcp after hit 1
      192.0.2.2 at ssh, 2m02s ago: wrong hit: 23/tcp after hit 1
      192.0.2.3 at ssh, 3m03s ago: too slow: ran out of time after hit 2
      192.0.2.4 at ssh, 4m04s ago: wrong hit: 23/tcp after hit 1
      192.0.2.5 at ssh, 5m05s ago: wrong hit: 23/tcp after hit 1
      192.0.2.6 at ssh, 6m06s ago: too slow: ran out of time after hit 2
      192.0.2.7 at ssh, 7m07s ago: wrong hit: 23/tcp after hit 1
      192.0.2.8 at ssh, 8m08s ago: wrong hit: 23/tcp after hit 1
      192.0.2.9 at ssh, 9m09s ago: too slow: ran out of time after hit 2
      and 2 before; all of them: klopf status --json

    Since the start: 14 packets seen, 12 hits, 3 attempts begun, 1 right knock,
      2 later fragments, 1 new-name
    "#);
}

#[test]
fn a_quiet_host_reads_like_this() {
    insta::assert_snapshot!(shown(&Status { guards: Guards::None, table: Table::None, ..status() }), @r#"
    Nothing to guard: no door has a `guard`.
    klopfd 0.1.0, pid 4711, up 3h12m

    There is no door.

    Nobody is let in.
    "#);
}

#[test]
fn what_keeps_the_doors_open_is_said_first() {
    let line = |guards, table| headline(&Status { guards, table, ..status() });
    assert_eq!(line(Guards::Guarded, Table::Owned), "Guarded.\n");
    assert!(line(Guards::Unlocked, Table::None).starts_with("UNLOCKED: "));
    assert!(line(Guards::Guarded, Table::None).ends_with("BUT THERE IS NO TABLE in the kernel.\n"));
}

#[test]
fn spans_have_two_units_at_most() {
    for (seconds, text) in [
        (0, "0s"),
        (59, "59s"),
        (60, "1m00s"),
        (252, "4m12s"),
        (11_100, "3h05m"),
        (86_400, "1d00h"),
        (187_200, "2d04h"),
    ] {
        assert_eq!(span(seconds * 1000 + 999), text);
    }
}
