//! Tokens, shares and codes.

use super::*;
use crate::{Books, Earliest, SourceId};

const MAIL: Source = Source::Mail(SourceId(1));
const DAY: u64 = 86_400_000;

fn books(numbers: &[u16]) -> Source {
    Source::Guestbooks(Books::new(numbers.iter().map(|&number| SourceId(number))))
}

/// A door that opens by mail and two guestbooks, and one that wants shares of both.
fn engine(key: Key) -> Engine {
    let ways = Ways { packet: false, mail: true, guestbooks: vec![SourceId(2), SourceId(3)], ..Ways::default() };
    let vault = Ways { mail: false, quorum: 2, ..ways.clone() };
    let mut engine = super::engine(key);
    let doors = [(SSH, ways), (OTHER, vault)].map(|(id, ways)| Door { ways, second_factor: false, ..door(id) });
    engine.reload(
        doors.into_iter().chain([Door { ways: Ways { mail: true, ..Ways::default() }, ..door(VAULT) }]).collect(),
    );
    engine
}

fn key() -> Key {
    Key { doors: BTreeSet::from([SSH, VAULT, OTHER]), ..Key::new(KEY, ID) }
}

fn token(counter: u64) -> Claim {
    Claim { source: MAIL, form: Form::Token, ..claim(counter) }
}

fn code(sheet: u16, index: u64) -> Claim {
    Claim { form: Form::Code(sheet), time: 0, ..token(index) }
}

#[test]
fn a_token_opens_once_by_whichever_way_it_comes() {
    let mut engine = engine(key());
    let grant = ask_at(&mut engine, NOW, WALL, token(9)).unwrap();
    assert_eq!(grant.sealed.map(|sealed| (sealed.source, sealed.form)), Some((MAIL, Form::Token)));
    for again in [token(9), Claim { source: books(&[2]), ..token(9) }] {
        assert_eq!(ask(&mut engine, again), Err(Refusal::Replayed));
    }
    assert_eq!(ask(&mut engine, Claim { source: books(&[3]), ..token(8) }), Ok(()), "one that was overtaken");
}

#[test]
fn counters_of_packets_tokens_and_sheets_are_apart_and_uses_are_not() {
    let mut engine = engine(Key { max_uses: Some(2), ..key() });
    assert_eq!(ask(&mut engine, Claim { door: Some(VAULT), code: Code::Right, ..claim(5) }), Ok(()));
    assert_eq!(ask(&mut engine, token(5)), Ok(()));
    assert_eq!(engine.marks().get(ID).map(Mark::uses), Some(2));
    let later = Millis(NOW.0 + 3_600_000);
    let refused = ask_at(&mut engine, later, WALL, code(5, 5)).unwrap_err();
    assert_eq!((refused.why, refused.burnt), (Refusal::UsedUp, Some(5)));
}

#[test]
fn a_token_is_good_for_as_long_as_the_door_says() {
    let made = |ms: i64| Claim { time: WALL.unix_ms.saturating_add_signed(ms), ..token(1) };
    let day = i64::try_from(DAY).unwrap();
    for (ms, expected) in [
        (0, Ok(())),
        (-day, Ok(())),
        (-day - 1, Err(Refusal::TooOld)),
        (30_000, Ok(())),
        (30_001, Err(Refusal::WrongClock)),
        (i64::MIN, Err(Refusal::TooOld)),
    ] {
        let mut engine = engine(key());
        let answer = ask_at(&mut engine, NOW, WALL, made(ms));
        assert_eq!(answer.map(|_| ()).map_err(|refused| refused.why), expected, "{ms}");
        let unused = expected.is_err();
        assert_eq!(engine.marks().is_new(Form::Token.mark_of(ID), 1), unused, "its time alone uses up nothing");
    }
    let no_clock = Key { no_clock: true, ..key() };
    assert_eq!(ask(&mut engine(no_clock), Claim { time: 0, ..token(1) }), Ok(()));
    assert_eq!(ask(&mut engine(key()), token(WALL.unix_ms + DAY + 1)), Err(Refusal::Forged));
}

#[test]
fn a_door_says_how_it_opens() {
    let two = books(&[2, 3]);
    for (claim, expected) in [
        (Claim { source: Source::Packet(HERE), form: Form::Packet, ..token(1) }, Err(Refusal::WrongWay)),
        (Claim { source: books(&[4]), ..token(1) }, Err(Refusal::WrongWay)),
        (Claim { door: Some(OTHER), ..token(1) }, Err(Refusal::WrongWay)),
        (Claim { door: Some(OTHER), source: books(&[2]), ..token(1) }, Err(Refusal::NeedsShares)),
        (Claim { door: Some(OTHER), source: two, form: Form::Shares(2), ..token(1) }, Ok(())),
        (Claim { door: Some(VAULT), ..token(1) }, Err(Refusal::NoCode)),
        (Claim { door: None, ..token(1) }, Err(Refusal::UnknownDoor)),
    ] {
        assert_eq!(ask(&mut engine(key()), claim), expected, "{claim:?}");
    }
}

#[test]
fn each_code_of_a_sheet_counts_once_in_any_order_and_for_good() {
    let mut engine = engine(key());
    for index in [32, 1, 17, 31, 2] {
        assert_eq!(ask(&mut engine, code(7, index)), Ok(()));
    }
    for index in (1..=32).rev() {
        let used = [32, 1, 17, 31, 2].contains(&index);
        assert_eq!(ask(&mut engine, code(7, index)), if used { Err(Refusal::Replayed) } else { Ok(()) });
    }
    assert_eq!(ask(&mut engine, code(8, 32)), Ok(()), "another sheet");
    engine.reload_keys(vec![Key { revoked_sheets: BTreeSet::from([9]), ..key() }]);
    assert_eq!(ask(&mut engine, code(9, 1)), Err(Refusal::SheetRevoked));
}

#[test]
fn a_token_that_comes_at_a_bad_time_is_not_lost() {
    let no_grants = Limits { grants_burst: 1, grants_per_second: 1, ..Limits::default() };
    let mut engine = engine_with(no_grants, key());
    engine.reload(vec![Door { ways: Ways { mail: true, ..Ways::default() }, ..door(SSH) }]);
    assert_eq!(ask(&mut engine, token(1)), Ok(()));
    let refused = ask_at(&mut engine, NOW, WALL, token(2)).unwrap_err();
    assert_eq!((refused.why, refused.burnt), (Refusal::TooManyGrants, None));
    assert!(ask_at(&mut engine, Millis(NOW.0 + 1000), WALL, token(2)).is_ok());
}

#[test]
fn where_nothing_is_known_of_before_old_tokens_and_all_codes_are_refused() {
    let mut engine = engine(key());
    engine.set_earliest(Earliest { all: WALL.unix_ms - 1000, packets: 0 });
    assert_eq!(ask(&mut engine, Claim { time: WALL.unix_ms - 1001, ..token(1) }), Err(Refusal::Replayed));
    assert_eq!(ask(&mut engine, Claim { time: WALL.unix_ms - 1000, ..token(1) }), Ok(()));
    assert_eq!(ask(&mut engine, code(1, 1)), Err(Refusal::Replayed));
}
