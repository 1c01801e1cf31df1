//! Sealed knocks through the whole engine, in virtual time.

mod tokens;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use klopf_wire::FlagMask;
use proptest::prelude::*;

use crate::{
    Asks, Claim, Code, Door, DoorId, Earliest, Effect, Engine, Form, Grant, Hold, Hours, Key, KeyRef, Limits, Mark,
    MayAsk, Millis, Network, Refusal, Sealed, SealedRefusal, Source, Wall, Ways,
};

/// A Wednesday, 12:34 in local time.
const WALL: Wall = Wall { unix_ms: 1_800_000_000_000, minute_of_week: 2 * 1440 + 12 * 60 + 34 };
const NOW_S: u64 = WALL.unix_ms / 1000;
const NOW: Millis = Millis(5_000_000);
const WINDOW: u64 = 30_000;

/// From where packets come.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));

const ID: [u8; 8] = [3; 8];
const KEY: KeyRef = KeyRef(3);
const SSH: DoorId = DoorId(1);
const VAULT: DoorId = DoorId(2);
const OTHER: DoorId = DoorId(3);

fn door(id: DoorId) -> Door {
    Door {
        id,
        sequences: Vec::new(),
        one_time: false,
        flags: FlagMask::OPENING,
        target: None,
        within: 0,
        strict: true,
        second_factor: id == VAULT,
        ways: Ways::default(),
        may_ask: MayAsk { ports: vec![(22, 22)], prefix: 24, flags: 1, ..MayAsk::default() },
    }
}

/// A key without terms for two of the three doors.
fn key() -> Key {
    Key { doors: BTreeSet::from([SSH, VAULT]), ..Key::new(KEY, ID) }
}

/// A claim with nothing wrong about it.
fn claim(counter: u64) -> Claim {
    Claim {
        key: KEY,
        door: Some(SSH),
        source: Source::Packet(HERE),
        form: Form::Packet,
        address: HERE,
        time: WALL.unix_ms,
        counter,
        device: [8; 16],
        hold: 0,
        asks: Asks::default(),
        code: Code::Absent,
    }
}

fn engine_with(limits: Limits, key: Key) -> Engine {
    let mut engine = Engine::new(limits, [7; 16]);
    engine.reload(vec![door(SSH), door(VAULT), door(OTHER)]);
    engine.reload_keys(vec![Key { key: KeyRef(70), id: [70; 8], ..self::key() }, key]);
    engine.set_window(WINDOW);
    engine
}

fn engine(key: Key) -> Engine {
    engine_with(Limits::default(), key)
}

/// What comes of a claim, made and seen at the same time.
fn ask_at(engine: &mut Engine, now: Millis, wall: Wall, claim: Claim) -> Result<Grant, SealedRefusal> {
    let mut out = Vec::new();
    engine.observe_claim(now, wall, &claim, &mut out);
    match out.as_slice() {
        [Effect::Grant(grant)] => Ok(*grant),
        [Effect::RefuseSealed(refusal)] => Err(*refusal),
        other => panic!("a claim has one answer, not {other:?}"),
    }
}

fn ask(engine: &mut Engine, claim: Claim) -> Result<(), Refusal> {
    ask_at(engine, NOW, WALL, claim).map(drop).map_err(|refusal| refusal.why)
}

/// What becomes of a first claim with a key.
fn asked(key: Key, claim: Claim) -> Result<(), Refusal> {
    ask(&mut engine(key), claim)
}

fn hold(key: Key, seconds: u32) -> Option<Hold> {
    let granted = ask_at(&mut engine(key), NOW, WALL, Claim { hold: seconds, ..claim(1) });
    granted.ok().and_then(|grant| grant.sealed).map(|sealed| sealed.hold)
}

#[test]
fn a_claim_with_nothing_wrong_is_granted_with_all_that_it_says() {
    let mut engine = engine(key());
    let sealed = Some(Sealed {
        key: KEY,
        source: Source::Packet(HERE),
        form: Form::Packet,
        counter: 41,
        ahead: false,
        device: [8; 16],
        hold: Hold::AsDoor,
        asks: Asks::default(),
    });
    let grant = Grant { door: SSH, address: IpAddr::from([192, 0, 2, 9]), uses_up: None, sealed };
    assert_eq!(ask_at(&mut engine, NOW, WALL, claim(41)), Ok(grant));
    let address = "2001:db8::7".parse().unwrap();
    let other = ask_at(&mut engine, NOW, WALL, Claim { address, ..claim(42) });
    assert_eq!(other.map(|grant| grant.address), Ok(address));
    assert_eq!((engine.counters().sealed, engine.counters().granted), (2, 2));
}

#[test]
fn what_is_asked_for_is_granted_as_far_as_the_door_says() {
    let asks = Asks { port: Some(22), prefix: Some(24), flags: 1 };
    let granted = ask_at(&mut engine(key()), NOW, WALL, Claim { asks, ..claim(1) });
    assert_eq!(granted.map(|grant| grant.sealed.map(|sealed| sealed.asks)), Ok(Some(asks)));
}

#[test]
fn each_refusal_has_its_name_and_its_count() {
    let used = |mark: Mark, key: Key| {
        let mut engine = engine(key);
        engine.restore(ID, &mark);
        engine
    };
    let night = Hours { days: 0x7f, from: 22 * 60, to: 6 * 60 };
    let office = Network { address: IpAddr::from([198, 51, 100, 0]), prefix: 24 };
    let here = Network { address: IpAddr::from([192, 0, 2, 9]), prefix: 32 };
    let right = claim(7);
    let asking = |port, prefix, flags| Claim { asks: Asks { port, prefix, flags }, ..right };
    let no_grants = Limits { grants_burst: 0, grants_per_second: 0, ..Limits::default() };
    for (mut engine, claim, name) in [
        (engine(key()), Claim { key: KeyRef(4), ..right }, "unknown-key"),
        (engine(key()), Claim { time: 0, ..right }, "wrong-clock"),
        (used(Mark::new(7, [], 0, None), key()), right, "replayed"),
        (used(Mark::new(0, [7], 0, None), key()), right, "replayed"),
        (used(Mark::new(0, [], 0, Some([9; 16])), Key { once: true, ..key() }), right, "invitation-used"),
        (engine(Key { join_before: Some(NOW_S), ..key() }), right, "invitation-expired"),
        (engine(key()), Claim { door: None, ..right }, "unknown-door"),
        (engine(key()), Claim { door: Some(DoorId(99)), ..right }, "unknown-door"),
        (engine(key()), Claim { door: Some(OTHER), ..right }, "wrong-door"),
        (engine(Key { expires: Some(NOW_S), ..key() }), right, "expired"),
        (engine(Key { not_before: Some(NOW_S + 1), ..key() }), right, "not-yet"),
        (engine(Key { hours: vec![night], ..key() }), right, "wrong-hour"),
        (used(Mark::new(0, [], 3, None), Key { max_uses: Some(3), ..key() }), right, "used-up"),
        (engine(Key { networks: vec![office], ..key() }), right, "wrong-network"),
        (engine(Key { networks: vec![here], ..key() }), asking(None, Some(24), 0), "wrong-network"),
        (engine(key()), asking(None, Some(23), 0), "wrong-network"),
        (engine(key()), asking(Some(23), None, 0), "wrong-port"),
        (engine(key()), asking(None, None, 2), "wrong-flags"),
        (engine(key()), Claim { door: Some(VAULT), ..right }, "no-code"),
        (engine(key()), Claim { door: Some(VAULT), code: Code::Wrong, ..right }, "wrong-code"),
        (engine_with(no_grants, key()), right, "too-many-grants"),
    ] {
        let refusal = ask_at(&mut engine, NOW, WALL, claim).unwrap_err();
        assert_eq!(refusal.why.name(), name);
        assert_eq!(refusal.key, Some(KEY).filter(|_| name != "unknown-key"), "{name}");
        assert_eq!((refusal.door, refusal.source), (claim.door, claim.source), "{name}");
        let before = ["unknown-key", "wrong-clock", "replayed"].contains(&name);
        assert_eq!(refusal.burnt, Some(7).filter(|_| !before), "{name}");
        assert_eq!(refusal.clock_ahead.is_some(), name == "wrong-clock", "{name}");
        assert_eq!((engine.counters().refused(refusal.why), engine.counters().granted), (1, 0), "{name}");
    }
}

#[test]
fn what_is_refused_elsewhere_is_counted_too() {
    let mut engine = engine(key());
    engine.count_refusal(Refusal::Forged);
    let origin = IpAddr::from([192, 0, 2, 9]);
    let _ = [engine.admit(NOW, origin, ID, [1; 12]), engine.admit(NOW, origin, ID, [1; 12])];
    assert_eq!([Refusal::Forged, Refusal::Replayed].map(|why| engine.counters().refused(why)), [1, 1]);
}

#[test]
fn the_first_of_many_reasons_is_told() {
    let terms = Key {
        once: true,
        expires: Some(0),
        not_before: Some(u64::MAX),
        max_uses: Some(0),
        hours: vec![Hours { days: 0, from: 0, to: 0 }],
        networks: vec![Network { address: IpAddr::from([127, 0, 0, 1]), prefix: 32 }],
        doors: BTreeSet::new(),
        ..key()
    };
    let asks = Asks { port: Some(1), prefix: Some(1), flags: 255 };
    let all = Claim { door: Some(VAULT), code: Code::Wrong, asks, ..claim(1) };
    let told = |key: &Key, claim: Claim| {
        let mut engine = engine(key.clone());
        engine.restore(ID, &Mark::new(1, [], 0, Some([9; 16])));
        ask(&mut engine, claim).unwrap_err()
    };
    let mut key = terms;
    assert_eq!(told(&key, Claim { time: 0, ..all }), Refusal::WrongClock);
    assert_eq!(told(&key, all), Refusal::Replayed);
    let all = Claim { counter: 2, ..all };
    assert_eq!(told(&key, all), Refusal::InvitationUsed);
    key.once = false;
    assert_eq!(told(&key, Claim { door: None, ..all }), Refusal::UnknownDoor);
    assert_eq!(told(&key, all), Refusal::WrongDoor);
    key.doors = BTreeSet::from([VAULT]);
    assert_eq!(told(&key, all), Refusal::Expired);
    key.expires = None;
    assert_eq!(told(&key, all), Refusal::NotYet);
    key.not_before = None;
    assert_eq!(told(&key, all), Refusal::WrongHour);
    key.hours.clear();
    assert_eq!(told(&key, all), Refusal::UsedUp);
    key.max_uses = None;
    assert_eq!(told(&key, all), Refusal::WrongNetwork);
    key.networks.clear();
    assert_eq!(told(&key, all), Refusal::WrongPort);
    let all = Claim { asks: Asks { port: Some(22), ..asks }, ..all };
    assert_eq!(told(&key, all), Refusal::WrongNetwork);
    let all = Claim { asks: Asks { prefix: Some(24), ..all.asks }, ..all };
    assert_eq!(told(&key, all), Refusal::WrongFlags);
    let all = Claim { asks: Asks { flags: 1, ..all.asks }, ..all };
    assert_eq!(told(&key, all), Refusal::WrongCode);
}

#[test]
fn the_window_holds_to_the_millisecond_and_says_by_how_much() {
    let at = |time| ask_at(&mut engine(key()), NOW, WALL, Claim { time, ..claim(1) });
    assert!(at(WALL.unix_ms + WINDOW).is_ok() && at(WALL.unix_ms - WINDOW).is_ok());
    let ahead = |time| at(time).unwrap_err().clock_ahead;
    assert_eq!(ahead(WALL.unix_ms + WINDOW + 1), Some(30_001));
    assert_eq!(ahead(WALL.unix_ms - WINDOW - 1), Some(-30_001));
    assert_eq!(ahead(u64::MAX), Some(i64::MAX));
    for time in [0, u64::MAX] {
        assert_eq!(asked(Key { no_clock: true, ..key() }, Claim { time, ..claim(1) }), Ok(()));
    }
}

#[test]
fn a_knock_with_a_wrong_clock_burns_nothing() {
    let mut engine = engine(key());
    assert_eq!(ask(&mut engine, Claim { time: 0, ..claim(1) }), Err(Refusal::WrongClock));
    assert!(engine.marks().is_empty());
    assert_eq!(ask(&mut engine, claim(1)), Ok(()));
}

#[test]
fn a_knock_that_is_played_again_is_refused_in_any_order() {
    let mut engine = engine(key());
    let played = [5, 3, 5, 3, 4, 6, 4].map(|counter| ask(&mut engine, claim(counter)).is_ok());
    assert_eq!(played, [true, true, false, false, true, true, false]);
    let other = Claim { key: KeyRef(70), ..claim(5) };
    assert_eq!(ask(&mut engine, other), Ok(()), "each key has its own counters");
}

#[test]
fn what_a_term_refuses_cannot_be_played_again_when_it_would_not() {
    let mut engine = engine(Key { not_before: Some(NOW_S + 10), ..key() });
    assert_eq!(ask(&mut engine, claim(1)), Err(Refusal::NotYet));
    let later = Wall { unix_ms: WALL.unix_ms + 10_000, ..WALL };
    let why = |answer: Result<Grant, SealedRefusal>| answer.map(drop).map_err(|refusal| refusal.why);
    assert_eq!(why(ask_at(&mut engine, NOW, later, claim(1))), Err(Refusal::Replayed));
    assert_eq!(why(ask_at(&mut engine, NOW, later, claim(2))), Ok(()));
}

#[test]
fn a_key_is_good_from_its_first_second_to_before_its_last() {
    let key = |not_before, expires| Key { not_before: Some(not_before), expires: Some(expires), ..key() };
    assert_eq!(asked(key(NOW_S, NOW_S + 1), claim(1)), Ok(()));
    assert_eq!(asked(Key { join_before: Some(NOW_S + 1), ..self::key() }, claim(1)), Ok(()));
}

#[test]
fn a_key_is_good_in_any_of_its_hours() {
    let noon = WALL.minute_of_week % 1440;
    let hours = |days| vec![Hours { days: 1, from: 0, to: 1 }, Hours { days, from: noon, to: noon + 1 }];
    assert_eq!(asked(Key { hours: hours(1 << 2), ..key() }, claim(1)), Ok(()));
    assert_eq!(asked(Key { hours: hours(1 << 3), ..key() }, claim(1)), Err(Refusal::WrongHour));
}

#[test]
fn a_key_may_let_in_its_networks_wherever_the_packet_comes_from() {
    let network = |address: &str, prefix| Network { address: address.parse().unwrap(), prefix };
    let key = Key { networks: vec![network("198.51.100.0", 24), network("2001:db8::", 32)], ..key() };
    let letting_in = |address: &str| asked(key.clone(), Claim { address: address.parse().unwrap(), ..claim(1) });
    assert_eq!([letting_in("198.51.100.255"), letting_in("2001:db8:1::1")], [Ok(()), Ok(())]);
    assert_eq!(letting_in("198.51.101.0"), Err(Refusal::WrongNetwork));
    let from_inside = Claim { source: Source::Packet(IpAddr::from([198, 51, 100, 1])), ..claim(1) };
    let to_outside = Claim { address: "203.0.113.1".parse().unwrap(), ..from_inside };
    assert_eq!(asked(key.clone(), to_outside), Err(Refusal::WrongNetwork));
}

#[test]
fn only_a_door_that_asks_for_a_code_looks_at_it() {
    let vault = |counter, code| Claim { door: Some(VAULT), code, ..claim(counter) };
    assert_eq!(asked(key(), vault(1, Code::Right)), Ok(()));
    assert_eq!(asked(key(), Claim { code: Code::Wrong, ..claim(1) }), Ok(()));
    let mut engine = engine(key());
    for counter in 1..=5 {
        assert_eq!(ask(&mut engine, vault(counter, Code::Wrong)), Err(Refusal::WrongCode));
    }
    engine.reload_keys(vec![Key { key: KeyRef(5), ..key() }]);
    let guess = Claim { key: KeyRef(5), ..vault(6, Code::Right) };
    assert_eq!(ask(&mut engine, guess), Err(Refusal::WrongCode), "a reload is no way around waiting");
    assert_eq!(ask(&mut engine, Claim { key: KeyRef(5), ..claim(7) }), Ok(()), "other doors do not care");
}

#[test]
fn a_lease_is_as_long_as_asked_if_door_or_key_allow_it() {
    let door = 60_000;
    let capped = |most| Key { max_open_for: Some(most), ..key() };
    for (key, seconds, lease) in [
        (key(), 0, door),
        (key(), 10, 10_000),
        (key(), 600, door),
        (key(), u32::MAX, door),
        (capped(300_000), 0, door),
        (capped(30_000), 0, 30_000),
        (capped(300_000), 10, 10_000),
        (capped(300_000), 200, 200_000),
        (capped(300_000), u32::MAX, 300_000),
    ] {
        let most = key.max_open_for;
        assert_eq!(hold(key, seconds).map(|hold| hold.lease(door)), Some(lease), "{seconds} of at most {most:?}");
    }
}

#[test]
fn a_key_for_one_device_is_the_first_ones_that_opens_a_door() {
    let once = || Key { once: true, max_uses: Some(2), ..key() };
    let from = |device, counter| Claim { device: [device; 16], ..claim(counter) };
    let mut engine = engine(once());
    assert_eq!(ask(&mut engine, Claim { door: Some(OTHER), ..from(9, 1) }), Err(Refusal::WrongDoor));
    assert_eq!(engine.marks().get(ID).map(|mark| (mark.device(), mark.uses())), Some((None, 0)));
    assert_eq!(ask(&mut engine, from(8, 2)), Ok(()));
    assert_eq!(ask(&mut engine, from(9, 3)), Err(Refusal::InvitationUsed));
    assert_eq!(engine.marks().get(ID).map(|mark| (mark.device(), mark.uses())), Some((Some([8; 16]), 1)));

    let mut restarted = self::engine(once());
    restarted.restore(ID, &engine.marks().get(ID).cloned().unwrap());
    assert_eq!(ask(&mut restarted, from(9, 4)), Err(Refusal::InvitationUsed));
    assert_eq!(ask(&mut restarted, from(8, 3)), Err(Refusal::Replayed));
    assert_eq!(ask(&mut restarted, from(8, 5)), Ok(()));
    assert_eq!(ask(&mut restarted, from(8, 6)), Ok(()), "within a minute it is the same use");
    let later = ask_at(&mut restarted, NOW.plus(60_000), WALL, from(8, 7)).map_err(|refusal| refusal.why);
    assert_eq!(later, Err(Refusal::UsedUp), "uses go on after a restart");
}

#[test]
fn an_invitation_that_was_taken_up_in_time_does_not_run_out() {
    let key = Key { join_before: Some(NOW_S + 1), no_clock: true, ..key() };
    let later = Wall { unix_ms: WALL.unix_ms + 1000, ..WALL };
    let mut engine = engine(key.clone());
    assert_eq!(ask(&mut engine, claim(1)), Ok(()));
    assert!(ask_at(&mut engine, NOW, later, claim(2)).is_ok());
    assert!(ask_at(&mut engine, NOW, later, Claim { device: [9; 16], ..claim(3) }).is_ok(), "it is for any device");
    let late = ask_at(&mut self::engine(key), NOW, later, claim(1)).map_err(|refusal| refusal.why);
    assert_eq!(late, Err(Refusal::InvitationExpired));
}

#[test]
fn only_grants_are_uses() {
    let limits = Limits { grants_burst: 1, grants_per_second: 1, ..Limits::default() };
    let mut engine = engine_with(limits, Key { max_uses: Some(2), ..key() });
    assert_eq!(ask(&mut engine, claim(1)), Ok(()));
    assert_eq!(ask(&mut engine, claim(2)), Err(Refusal::TooManyGrants));
    assert!(ask_at(&mut engine, NOW.plus(60_000), WALL, claim(3)).is_ok());
    let more = ask_at(&mut engine, NOW.plus(120_000), WALL, claim(4)).map_err(|refusal| refusal.why);
    assert_eq!(more, Err(Refusal::UsedUp));
}

#[test]
fn a_reload_forgets_keys_but_not_what_they_did() {
    let mut engine = engine(key());
    assert_eq!(ask(&mut engine, claim(5)), Ok(()));
    engine.reload_keys(Vec::new());
    assert_eq!(ask(&mut engine, claim(6)), Err(Refusal::UnknownKey));
    engine.reload_keys(vec![Key { key: KeyRef(4), ..key() }]);
    assert_eq!(ask(&mut engine, claim(6)), Err(Refusal::UnknownKey), "it was checked as another key");
    assert_eq!(ask(&mut engine, Claim { key: KeyRef(4), ..claim(5) }), Err(Refusal::Replayed));
    assert_eq!(ask(&mut engine, Claim { key: KeyRef(4), ..claim(6) }), Ok(()));
}

#[test]
fn restoring_never_makes_a_counter_new_again() {
    let mut engine = engine(key());
    assert_eq!(ask(&mut engine, claim(5)), Ok(()));
    engine.restore(ID, &Mark::new(0, [4], 7, None));
    let later = NOW.plus(60_000);
    let granted = [5, 4, 3].map(|counter| ask_at(&mut engine, later, WALL, claim(counter)).is_ok());
    assert_eq!(granted, [false, false, true]);
    assert_eq!(engine.marks().get(ID).map(Mark::uses), Some(8));
    engine.restore(ID, &Mark::new(0, [], 2, None));
    assert_eq!(engine.marks().get(ID).map(Mark::uses), Some(8), "nor a use undone");
}

#[test]
fn a_door_that_is_gone_is_opened_by_no_key() {
    let mut engine = engine(key());
    engine.reload(vec![door(VAULT)]);
    assert_eq!(ask(&mut engine, claim(1)), Err(Refusal::UnknownDoor));
}

#[test]
fn a_hundred_thousand_keys_are_judged_each_by_its_own_terms() {
    let mut engine = engine(key());
    let id = |number: u32| <[u8; 8]>::try_from([[9; 4], number.to_be_bytes()].concat()).unwrap();
    let expires = |number: u32| Some(0).filter(|_| number.is_multiple_of(2));
    let keys = (0..100_000).map(|n| Key { key: KeyRef(n), id: id(n), expires: expires(n), ..key() });
    engine.reload_keys(keys.collect());
    for number in [0u32, 1, 49_999, 99_998, 99_999] {
        let expected = if number.is_multiple_of(2) { Err(Refusal::Expired) } else { Ok(()) };
        assert_eq!(ask(&mut engine, Claim { key: KeyRef(number), ..claim(1) }), expected);
    }
}

proptest! {
    /// Whatever is played in whatever order, over restarts too, no knock opens a door twice.
    #[test]
    fn no_knock_opens_a_door_twice(played in prop::collection::vec((1u64..120, prop::bool::weighted(0.05)), 0..300)) {
        let mut engine = engine_with(Limits { grants_burst: 1000, ..Limits::default() }, key());
        let mut opened = BTreeSet::new();
        for (counter, restarts) in played {
            if restarts {
                let mark = engine.marks().get(ID).cloned().unwrap_or_default();
                engine = engine_with(Limits { grants_burst: 1000, ..Limits::default() }, key());
                engine.restore(ID, &mark);
            }
            if ask(&mut engine, claim(counter)).is_ok() {
                prop_assert!(opened.insert(counter), "{} opened twice", counter);
            }
        }
    }
}

#[test]
fn where_it_is_not_known_what_was_accepted_only_new_knocks_count() {
    let mut engine = engine(key());
    engine.set_earliest(Earliest { all: WALL.unix_ms - 10, packets: 0 });
    let made_at = |time, counter| Claim { time, ..claim(counter) };
    assert_eq!(ask(&mut engine, made_at(WALL.unix_ms - 11, 5)), Err(Refusal::Replayed));
    assert_eq!(ask(&mut engine, made_at(WALL.unix_ms - 10, 5)), Ok(()));
    engine.reload_keys(vec![Key { no_clock: true, ..key() }]);
    assert_eq!(ask(&mut engine, made_at(0, 6)), Err(Refusal::Replayed), "nobody knows when it was made");
    engine.set_earliest(Earliest::default());
    assert_eq!(ask(&mut engine, made_at(0, 6)), Ok(()));
}

#[test]
fn where_packets_alone_may_be_forgotten_only_dated_packets_must_be_new() {
    let earliest = Earliest { all: 0, packets: WALL.unix_ms - 10 };
    let mut engine = engine(key());
    engine.set_earliest(earliest);
    let made_at = |time, counter| Claim { time, ..claim(counter) };
    assert_eq!(ask(&mut engine, made_at(WALL.unix_ms - 11, 5)), Err(Refusal::Replayed));
    assert_eq!(ask(&mut engine, made_at(WALL.unix_ms - 10, 5)), Ok(()));
    engine.reload_keys(vec![Key { no_clock: true, ..key() }]);
    assert_eq!(ask(&mut engine, made_at(0, 6)), Ok(()), "these are on the disk before they open");
}

#[test]
fn a_grant_says_whether_its_clock_is_ahead() {
    let mut engine = engine(key());
    let mut ahead = |time, counter| {
        let grant = ask_at(&mut engine, NOW, WALL, Claim { time, ..claim(counter) });
        grant.ok().and_then(|grant| grant.sealed).map(|sealed| sealed.ahead)
    };
    assert_eq!(ahead(WALL.unix_ms, 5), Some(false));
    assert_eq!(ahead(WALL.unix_ms + 1, 6), Some(true));
}

#[test]
fn a_counter_far_above_the_time_stands_in_nobodys_way() {
    let mut engine = engine(key());
    let day = 86_400_000;
    assert_eq!(ask(&mut engine, claim(WALL.unix_ms + day + 1)), Err(Refusal::Forged));
    assert_eq!(ask(&mut engine, claim(u64::MAX)), Err(Refusal::Forged));
    assert_eq!(ask(&mut engine, claim(WALL.unix_ms + day)), Ok(()));
    assert_eq!(ask(&mut engine, claim(WALL.unix_ms)), Ok(()));
    let mut engine = self::engine(Key { no_clock: true, ..key() });
    assert_eq!(
        ask(&mut engine, Claim { time: 0, ..claim(7) }),
        Ok(()),
        "without a clock there is nothing to compare with"
    );
}
