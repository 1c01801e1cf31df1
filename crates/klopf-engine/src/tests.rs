//! The engine as a whole, in virtual time.

use std::net::IpAddr;

use klopf_wire::{FlagMask, Knock, Port, TcpFlags};
use proptest::prelude::*;

use crate::{Door, DoorId, Effect, Engine, Grant, Limits, Millis, Observation, Refusal};

const HERE: &str = "192.0.2.1";

fn door(id: u32, ports: &[u16]) -> Door {
    Door {
        id: DoorId(id),
        sequences: vec![ports.iter().map(|&number| Port::tcp(number)).collect()],
        one_time: false,
        flags: FlagMask { set: TcpFlags::SYN.0, clear: 0 },
        target: None,
        within: 10_000,
        strict: false,
        second_factor: false,
        ways: crate::Ways::default(),
        may_ask: crate::MayAsk::default(),
    }
}

fn strict(id: u32, ports: &[u16]) -> Door {
    Door { strict: true, flags: FlagMask::OPENING, ..door(id, ports) }
}

fn engine(doors: Vec<Door>) -> Engine {
    let mut engine = Engine::new(Limits::default(), [7; 16]);
    engine.reload(doors);
    engine
}

fn hit(origin: u8, port: u16) -> Observation {
    Observation {
        knock: Knock {
            origin: IpAddr::from([192, 0, 2, origin]),
            from_port: 30_000 + port % 1000,
            to: HERE.parse().unwrap(),
            port: Port::tcp(port),
            flags: TcpFlags::SYN,
        },
        here: true,
        service: false,
    }
}

/// Plays hits one millisecond apart and returns everything that came out.
fn play(engine: &mut Engine, from: u64, hits: impl IntoIterator<Item = Observation>) -> Vec<Effect> {
    let mut out = Vec::new();
    for (ms, seen) in (from..).zip(hits) {
        engine.observe(Millis(ms), &seen, &mut out);
    }
    out
}

fn opened(effects: &[Effect]) -> Vec<(u32, IpAddr)> {
    let grants = effects.iter().filter_map(|effect| match effect {
        Effect::Grant(grant) => Some((grant.door.0, grant.address)),
        Effect::Stage { .. } | Effect::TimedOut { .. } | Effect::Broken { .. } => None,
        Effect::Refuse { .. } | Effect::RefuseSealed(_) => None,
    });
    grants.collect()
}

fn opens(doors: Vec<Door>, ports: &[u16]) -> usize {
    opened(&play(&mut engine(doors), 1, ports.iter().map(|&port| hit(9, port)))).len()
}

#[test]
fn a_sequence_opens_stage_by_stage() {
    let effects = play(&mut engine(vec![door(3, &[7, 8, 9])]), 1, [hit(9, 7), hit(9, 8), hit(9, 9)]);
    let (door, origin) = (DoorId(3), IpAddr::from([192, 0, 2, 9]));
    let stage = |stage| Effect::Stage { door, origin, stage };
    let grant = Effect::Grant(Grant { door, address: origin, uses_up: None, sealed: None });
    assert_eq!(effects, [stage(1), stage(2), stage(3), grant]);
}

#[test]
fn knockd_doors_follow_its_rules() {
    let one = || vec![door(1, &[7, 8, 9])];
    for (ports, expected) in [
        (&[7, 8, 9][..], 1),
        (&[7, 8, 9, 7, 8, 9], 2),
        (&[7, 8], 0),
        (&[7, 9, 8, 9], 0),
        (&[7, 9, 7, 8, 9], 1),
        (&[7, 7, 8, 9], 0),
        (&[7, 7, 7, 8, 9], 1),
        (&[7, 1, 8, 2, 9], 1),
        (&[7, 8, 7, 8, 9], 0),
    ] {
        assert_eq!(opens(one(), ports), expected, "{ports:?}");
    }
    assert_eq!(opens(vec![door(1, &[7, 7, 9])], &[7, 7, 9]), 1);
    assert_eq!(opens(vec![door(1, &[7])], &[7, 7]), 2);
}

#[test]
fn doors_with_a_common_beginning_go_on_together() {
    assert_eq!(opens(vec![door(1, &[7, 8]), door(2, &[7, 8, 9])], &[7, 8, 9]), 2);
    assert_eq!(opens(vec![door(1, &[7, 8]), door(2, &[7, 8])], &[7, 8]), 2);
    assert_eq!(opens(vec![door(1, &[7, 8, 9]), door(2, &[7, 8, 10])], &[7, 8, 10]), 1);
    assert_eq!(opens(vec![door(1, &[7, 8, 9]), door(2, &[11, 12])], &[7, 11, 12]), 0);
}

#[test]
fn origins_and_targets_are_kept_apart() {
    let mut engine =
        engine(vec![Door { target: Some("198.51.100.1".parse().unwrap()), ..door(1, &[7, 8]) }, door(2, &[7, 8])]);
    let elsewhere = |port| {
        let mut seen = hit(9, port);
        seen.here = false;
        seen.knock.to = "198.51.100.1".parse().unwrap();
        seen
    };
    let effects = play(&mut engine, 1, [elsewhere(7), hit(9, 7), elsewhere(8), hit(9, 8), hit(5, 7), hit(6, 8)]);
    assert_eq!(opened(&effects).iter().map(|grant| grant.0).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn packets_with_other_flags_are_invisible() {
    let with = |port, flags| {
        let mut seen = hit(9, port);
        seen.knock.flags = TcpFlags(flags);
        seen
    };
    let mut engine = engine(vec![door(1, &[7, 8, 9])]);
    let effects = play(&mut engine, 1, [hit(9, 7), with(9, 0x10), hit(9, 8), with(7, 0x04), with(9, 0x12)]);
    assert_eq!(opened(&effects).len(), 1, "without `!ack` a SYN with ACK counts");
}

#[test]
fn time_limits_hold_to_the_millisecond() {
    let run = |last: u64| {
        let mut engine = engine(vec![Door { within: 2000, ..door(1, &[7, 8]) }]);
        let mut out = Vec::new();
        engine.observe(Millis(500), &hit(9, 7), &mut out);
        engine.observe(Millis(last), &hit(9, 8), &mut out);
        (opened(&out).len(), out.len())
    };
    assert_eq!(run(2499), (1, 3));
    assert_eq!(run(2500), (0, 2), "stage 1 and the time-out");
}

#[test]
fn a_limit_of_zero_opens_single_ports_only() {
    assert_eq!(opens(vec![Door { within: 0, ..door(1, &[7]) }], &[7]), 1);
    assert_eq!(opens(vec![Door { within: 0, ..door(1, &[7, 8]) }], &[7, 8]), 0);
}

#[test]
fn attempts_expire_by_themselves() {
    let mut engine = engine(vec![Door { within: 2000, ..door(1, &[7, 8]) }, Door { within: 500, ..door(2, &[5, 6]) }]);
    let mut out = play(&mut engine, 100, [hit(9, 7), hit(8, 5)]);
    out.clear();
    assert_eq!(engine.next_timeout(), Some(Millis(601)));
    engine.expire(Millis(600), &mut out);
    assert_eq!(out, []);
    engine.expire(Millis(601), &mut out);
    assert_eq!(out, [Effect::TimedOut { door: DoorId(2), origin: IpAddr::from([192, 0, 2, 8]), stage: 1 }]);
    engine.expire(Millis(2100), &mut out);
    assert_eq!((out.len(), engine.next_timeout(), engine.attempts()), (2, None, 0));
}

#[test]
fn strict_doors_are_closed_to_scans() {
    let ascending = || vec![strict(1, &[7000, 8000, 9000])];
    assert_eq!(opens(ascending(), &[7000, 8000, 9000]), 1);
    assert_eq!(opens(ascending(), &[7000, 7001, 8000, 9000]), 0, "a closed port is a wrong hit");
    let scan: Vec<u16> = (6990..9010).collect();
    assert_eq!(opens(ascending(), &scan), 0);
}

#[test]
fn a_wrong_hit_at_a_strict_door_is_told_with_its_port() {
    let (id, origin) = (DoorId(1), IpAddr::from([192, 0, 2, 9]));
    let stage = |stage| Effect::Stage { door: id, origin, stage };
    let broken = |stage, at| Effect::Broken { door: id, origin, stage, at: Port::tcp(at) };
    let played = |door, ports: [u16; 4]| play(&mut engine(vec![door]), 1, ports.map(|port| hit(9, port)));
    let tough = || strict(1, &[7, 8, 9]);
    assert_eq!(played(tough(), [7, 8, 100, 9]), [stage(1), stage(2), broken(2, 100)], "a closed port");
    assert_eq!(played(tough(), [7, 9, 7, 8]), [stage(1), broken(1, 9), stage(1), stage(2)], "out of turn");
    assert_eq!(played(tough(), [7, 8, 7, 8]), [stage(1), stage(2), broken(2, 7), stage(1), stage(2)], "begun anew");
    assert_eq!(played(tough(), [7, 7, 8, 8]), [stage(1), stage(2)], "a repeated packet");
    assert_eq!(played(door(1, &[7, 8, 9]), [7, 9, 9, 9]), [stage(1)], "knockd's doors do not tell");
}

#[test]
fn strict_doors_leave_services_and_other_traffic_alone() {
    let mut engine = engine(vec![strict(1, &[7, 8, 9])]);
    let service = Observation { service: true, ..hit(9, 443) };
    let forwarded = Observation { here: false, ..hit(9, 100) };
    let mut established = hit(9, 100);
    established.knock.flags = TcpFlags(0x10);
    let hits = [hit(9, 7), service, hit(9, 8), forwarded, established, hit(9, 9)];
    assert_eq!(opened(&play(&mut engine, 1, hits)).len(), 1);
}

#[test]
fn a_repeated_packet_is_no_wrong_hit_at_a_strict_door() {
    assert_eq!(opens(vec![strict(1, &[7, 8, 9])], &[7, 7, 8, 8, 8, 9]), 1);
    assert_eq!(opens(vec![strict(1, &[7, 8, 9])], &[7, 8, 7, 9]), 0, "only the last one's");
    assert_eq!(opens(vec![strict(1, &[7, 7, 9])], &[7, 7, 9]), 0, "from the same source port it is one hit");
    let mut second = hit(9, 7);
    second.knock.from_port += 1;
    let hits = [hit(9, 7), second, hit(9, 9)];
    assert_eq!(opened(&play(&mut engine(vec![strict(1, &[7, 7, 9])]), 1, hits)).len(), 1);
    let hits = [hit(9, 7), second, hit(9, 8), hit(9, 9)];
    assert_eq!(opened(&play(&mut engine(vec![strict(1, &[7, 8, 9])]), 1, hits)).len(), 1, "a new knock begins anew");
}

#[test]
fn one_time_sequences_are_used_up() {
    let ports = |numbers: &[u16]| numbers.iter().map(|&number| Port::tcp(number)).collect::<Vec<_>>();
    let list = vec![ports(&[1, 2]), ports(&[3, 4])];
    let mut engine = engine(vec![Door { sequences: list, one_time: true, ..door(1, &[]) }]);
    let effects = play(&mut engine, 1, [1, 2, 1, 2, 3, 4, 3, 4].map(|port| hit(9, port)));
    let used: Vec<_> = effects
        .iter()
        .filter_map(|effect| if let Effect::Grant(grant) = effect { grant.uses_up } else { None })
        .collect();
    assert_eq!(used, [0, 1]);
}

#[test]
fn an_attempt_at_a_used_sequence_is_worth_nothing() {
    let list = vec![vec![Port::tcp(1), Port::tcp(2)], vec![Port::tcp(3), Port::tcp(2)]];
    let mut engine = engine(vec![Door { sequences: list, one_time: true, ..door(1, &[]) }]);
    let effects = play(&mut engine, 1, [hit(8, 1), hit(9, 1), hit(9, 2), hit(8, 2)]);
    assert_eq!(opened(&effects).len(), 1);
}

#[test]
fn a_reload_keeps_attempts_at_doors_that_stay() {
    let mut engine = engine(vec![door(1, &[7, 8, 9]), door(2, &[17, 18])]);
    play(&mut engine, 1, [hit(9, 7), hit(9, 8), hit(8, 17)]);
    engine.reload(vec![door(3, &[17, 18]), door(1, &[7, 8, 9])]);
    let effects = play(&mut engine, 10, [hit(9, 9), hit(8, 18)]);
    assert_eq!(opened(&effects), [(1, IpAddr::from([192, 0, 2, 9]))]);
}

#[test]
fn a_full_table_pushes_out_fresh_attempts_first() {
    let mut engine = Engine::new(Limits { attempts: 100, ..Limits::default() }, [7; 16]);
    engine.reload(vec![door(1, &[7, 8, 9])]);
    let mut out = play(&mut engine, 1, [hit(9, 7), hit(9, 8)]);
    for number in 0..5000u16 {
        let mut seen = hit(0, 7);
        seen.knock.origin = IpAddr::from([10, 0, number.to_be_bytes()[0], number.to_be_bytes()[1]]);
        engine.observe(Millis(10), &seen, &mut out);
        assert!(engine.attempts() <= 100);
    }
    assert_eq!(engine.counters().evicted, 4901);
    engine.observe(Millis(11), &hit(9, 9), &mut out);
    assert_eq!(opened(&out).len(), 1);
}

#[test]
fn grants_have_a_budget_that_refills() {
    let mut engine = Engine::new(Limits { grants_burst: 2, grants_per_second: 10, ..Limits::default() }, [7; 16]);
    engine.reload(vec![door(1, &[7])]);
    let mut out = Vec::new();
    for _ in 0..3 {
        engine.observe(Millis(5000), &hit(9, 7), &mut out);
    }
    assert_eq!(opened(&out).len(), 2);
    let refused = |effect: &Effect| matches!(effect, Effect::Refuse { why: Refusal::TooManyGrants, .. });
    assert_eq!((out.iter().filter(|e| refused(e)).count(), engine.counters().refused(Refusal::TooManyGrants)), (1, 1));
    engine.observe(Millis(5100), &hit(9, 7), &mut out);
    assert_eq!(opened(&out).len(), 3);
}

proptest! {
    /// What one origin does never changes another's attempt.
    #[test]
    fn interleaved_origins_do_as_each_alone(hits in prop::collection::vec((1u8..4, 0usize..5), 0..200), tough: bool) {
        let ports = [7, 8, 9, 17, 100];
        let doors = || vec![
            Door { strict: tough, ..door(1, &[7, 8, 9]) },
            Door { strict: tough, ..door(2, &[7, 8]) },
            Door { strict: tough, ..door(3, &[9, 17, 7, 8]) },
        ];
        let all: Vec<_> = hits.iter().filter_map(|&(origin, port)| Some(hit(origin, *ports.get(port)?))).collect();
        let together = opened(&play(&mut engine(doors()), 1, all.iter().copied()));
        for origin in 1..4 {
            let address = IpAddr::from([192, 0, 2, origin]);
            let own = all.iter().copied().filter(|seen| seen.knock.origin == address);
            let alone = opened(&play(&mut engine(doors()), 1, own));
            let mixed: Vec<_> = together.iter().copied().filter(|grant| grant.1 == address).collect();
            prop_assert_eq!(alone, mixed);
        }
    }

    /// Whatever is played, the table keeps its bound, its lists agree, and it is empty when all time is up.
    #[test]
    fn the_table_is_bounded_and_empties(hits in prop::collection::vec((0u8..30, 0usize..4, 0u64..400), 0..300)) {
        let mut engine = Engine::new(Limits { attempts: 16, ..Limits::default() }, [1; 16]);
        engine.reload(vec![
            Door { within: 900, ..door(1, &[7, 8, 9]) },
            Door { within: 300, ..door(2, &[7, 9]) },
            Door { within: 2000, ..strict(3, &[8, 7, 7]) },
        ]);
        let (mut now, mut out) = (0, Vec::new());
        for (origin, port, pause) in hits {
            now += pause;
            engine.expire(Millis(now), &mut out);
            engine.observe(Millis(now), &hit(origin, [7, 8, 9, 10][port]), &mut out);
            prop_assert!(engine.attempts() <= 16);
            prop_assert_eq!(engine.next_timeout().is_some(), engine.attempts() > 0);
        }
        engine.expire(Millis(now + 2000), &mut out);
        prop_assert_eq!(engine.attempts(), 0);
    }
}
