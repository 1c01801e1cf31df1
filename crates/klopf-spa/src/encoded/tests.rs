use proptest::prelude::{any, prop, proptest};

use super::*;
use crate::{Known, Psk, ServerKey, Tokens};

pub(super) const NOW: u64 = 1_790_000_000;
const ID: KeyId = KeyId([0x5b, 2, 2, 2, 2, 2, 2, 2]);
const WHOM: [Whom; 5] = [Whom::Observed, Whom::V4, Whom::V4Net, Whom::V6, Whom::V6Net];

pub(super) fn server() -> ServerPublic {
    ServerKey::new([1; 32]).public()
}

pub(super) fn own() -> Own {
    Own::bound(&Psk::new([3; 32]), [4; 16])
}

fn span(bits: u8) -> Span {
    Span::new(20_000, 19_999 + (1 << bits)).unwrap()
}

/// Address, port and time, as most want it.
pub(super) fn usual(bits: u8) -> Template {
    let fields = Fields { whom: Whom::V4, port: true, hold: true, flags: false };
    Template { span: span(bits), transport: Transport::Tcp, fields }
}

/// All that there are on a span.
pub(super) fn templates(bits: u8) -> impl Iterator<Item = Template> {
    let fields = WHOM.into_iter().flat_map(|whom| {
        (0..8).map(move |set| Fields { whom, port: set & 1 != 0, hold: set & 2 != 0, flags: set & 4 != 0 })
    });
    let of = move |fields| {
        [Transport::Tcp, Transport::Udp].map(|transport| Template { span: span(bits), transport, fields })
    };
    fields.flat_map(of)
}

/// Something that uses all fields of a template.
fn claim(fields: Fields) -> Claim {
    let allow = match fields.whom {
        Whom::Observed => None,
        Whom::V4 => Some(("192.0.2.7", 32)),
        Whom::V4Net => Some(("198.51.96.0", 19)),
        Whom::V6 => Some(("2001:db8::7", 128)),
        Whom::V6Net => Some(("2001:db8::", 33)),
    };
    Claim {
        allow: allow.map(|(text, prefix)| (text.parse().unwrap(), prefix)),
        port: fields.port.then_some(22),
        hold: if fields.hold { 1800 } else { 0 },
        flags: if fields.flags { 9 } else { 0 },
    }
}

pub(super) fn sealed(template: &Template, from: Mark) -> (Vec<u16>, Mark) {
    seal((&server(), ID, &own()), "ssh", template, &claim(template.fields), from).unwrap()
}

pub(super) fn opened(template: &Template, symbols: &[u16]) -> Option<(Claim, Mark)> {
    open((&server(), ID, &own()), door_hash("ssh"), template, symbols, NOW)
}

#[test]
fn address_port_and_time_take_20_hits_at_most() {
    let lengths =
        |fields: Fields| [8, 9, 10, 11, 12, 13, 14, 15].map(|bits| Template { fields, ..usual(bits) }.length());
    let plain = |whom| Fields { whom, port: false, hold: false, flags: false };
    let full = |whom| Fields { whom, port: true, hold: true, flags: true };
    let asked = usual(8).fields;
    // 256, 512 and so on to 32,768 ports.
    assert_eq!(lengths(asked), [20, 18, 16, 14, 13, 12, 11, 10]);
    assert_eq!(lengths(plain(Whom::Observed)), [13, 11, 10, 9, 8, 8, 7, 7]);
    assert_eq!(lengths(plain(Whom::V4)), [17, 15, 14, 12, 11, 10, 10, 9]);
    assert_eq!(lengths(full(Whom::V4Net)), [22, 19, 17, 15, 14, 13, 12, 11]);
    assert_eq!(lengths(Fields { whom: Whom::V6, ..asked }), [34, 30, 27, 24, 22, 20, 19, 17]);
    assert_eq!(lengths(full(Whom::V6Net)), [LONGEST, 31, 28, 25, 23, 21, 19, 18]);
}

#[test]
fn every_template_on_every_span_is_opened_as_it_was_sealed() {
    let mut tokens = Tokens::new(&server());
    let known = Known { id: ID, number: 7 };
    tokens.keys([known, Known { id: KeyId([0x5c; 8]), number: 8 }, Known { id: KeyId([0x57; 8]), number: 9 }]);
    for template in (8..16).flat_map(templates) {
        let from = Mark(Mark::at(NOW).0 + 3);
        let (symbols, mark) = sealed(&template, from);
        assert_eq!(symbols.len(), template.length(), "{template:?}");
        assert!(all_different(&symbols) && mark >= from && (64..78).contains(&template.tag_bits()));
        assert_eq!(opened(&template, &symbols), Some((claim(template.fields), mark)), "{template:?}");
        assert_eq!(tokens.of_sequence(&template, &symbols), [known]);
        assert_eq!(tokens.of_sequence(&template, &symbols[1..]), []);
    }
}

#[test]
fn sequences_are_for_one_server_key_door_template_and_hour() {
    let template = usual(10);
    let (symbols, _) = sealed(&template, Mark::at(NOW));
    let who = |server: &ServerPublic, id, own: &Own, door| {
        open((server, id, own), door_hash(door), &template, &symbols, NOW).is_some()
    };
    let psk = Own::psk(&Psk::new([3; 32]));
    assert!(who(&server(), ID, &own(), "ssh"));
    assert!(!who(&server(), ID, &own(), "web"));
    assert!(!who(&ServerKey::new([9; 32]).public(), ID, &own(), "ssh"));
    assert!(!who(&server(), KeyId([0x5b; 8]), &own(), "ssh"));
    assert!(!who(&server(), ID, &psk, "ssh"));
    let at = |now| open((&server(), ID, &own()), door_hash("ssh"), &template, &symbols, now).is_some();
    assert!(at(NOW - 4000) && at(NOW + 4000));
    // What is sent of the time comes again, but not the time.
    assert!(!at(NOW + 8192) && !at(NOW - 8192));
    let moved =
        [Span::new(20_001, 21_024), Span::new(1024, 2047)].map(|span| Template { span: span.unwrap(), ..template });
    let others = (8..16).flat_map(templates).filter(|other| *other != template).chain(moved);
    assert!(others.into_iter().all(|other| opened(&other, &symbols).is_none()));
}

#[test]
fn no_changed_bit_and_no_changed_order_opens() {
    for template in (8..16).map(usual) {
        let (symbols, _) = sealed(&template, Mark::at(NOW));
        for (at, bit) in (0..symbols.len()).flat_map(|at| (0..16).map(move |bit| (at, bit))) {
            let mut changed = symbols.clone();
            changed[at] ^= 1 << bit;
            assert_eq!(opened(&template, &changed), None, "bit {bit} of {at}");
        }
        for (a, b) in (0..symbols.len()).flat_map(|b| (0..b).map(move |a| (a, b))) {
            let mut changed = symbols.clone();
            changed.swap(a, b);
            assert_eq!(opened(&template, &changed), None, "{a} and {b}");
        }
        assert_eq!(opened(&template, &symbols[1..]), None);
        assert_eq!(opened(&template, &[&symbols[..], &symbols[..1]].concat()), None);
    }
}

#[test]
fn marks_that_make_all_hits_different_are_near() {
    let fields = Fields { whom: Whom::V6Net, port: true, hold: true, flags: true };
    let longest = Template { fields, ..usual(8) };
    let (mut next, mut usuals) = (Mark::at(NOW), Mark::at(NOW));
    for _ in 0..40 {
        let (symbols, mark) = sealed(&longest, next);
        assert!(symbols.len() == LONGEST && all_different(&symbols));
        next = Mark(mark.0 + 1);
        usuals = Mark(sealed(&usual(8), usuals).1.0 + 1);
    }
    // One in twelve will do, and one in two.
    assert!((200..1000).contains(&(next.0 - Mark::at(NOW).0)), "{next:?}");
    assert!((50..150).contains(&(usuals.0 - Mark::at(NOW).0)), "{usuals:?}");
}

#[test]
fn what_has_no_room_or_makes_no_sense_is_not_sealed() {
    let seals = |whom, change: &dyn Fn(&mut Claim), all: bool| {
        let fields = Fields { whom, port: all, hold: all, flags: all };
        let mut said = claim(fields);
        change(&mut said);
        let template = Template { fields, ..usual(12) };
        seal((&server(), ID, &own()), "ssh", &template, &said, Mark::at(NOW)).is_some()
    };
    let allow = |text: &str, prefix| Some((text.parse().unwrap(), prefix));
    assert!(seals(Whom::V4, &|_| (), true) && seals(Whom::V4, &|_| (), false));
    assert!(seals(Whom::V4, &|said| said.port = None, true) && !seals(Whom::V4, &|said| said.port = Some(22), false));
    assert!(!seals(Whom::V4, &|said| said.port = Some(0), true));
    assert!(!seals(Whom::V4, &|said| said.hold = 61, true) && !seals(Whom::V4, &|said| said.hold = 60, false));
    assert!(!seals(Whom::V4, &|said| said.flags = 16, true) && !seals(Whom::V4, &|said| said.flags = 1, false));
    for (whom, address, prefix, room) in [
        (Whom::Observed, "192.0.2.7", 32, false),
        (Whom::V4, "2001:db8::7", 128, false),
        (Whom::V4, "192.0.2.0", 24, false),
        (Whom::V4, "127.0.0.1", 32, false),
        (Whom::V4, "224.0.0.1", 32, false),
        (Whom::V4Net, "192.0.2.7", 32, true),
        (Whom::V4Net, "192.0.2.7", 31, false),
        (Whom::V4Net, "192.0.2.6", 31, true),
        (Whom::V4Net, "128.0.0.0", 1, true),
        (Whom::V4Net, "128.0.0.0", 0, false),
        (Whom::V4Net, "128.0.0.0", 33, false),
        (Whom::V6, "192.0.2.7", 32, false),
        (Whom::V6, "::ffff:192.0.2.7", 128, false),
        (Whom::V6Net, "2001:db8::", 32, true),
        (Whom::V6Net, "2001:db8::1", 127, false),
        (Whom::V6Net, "8000::", 1, true),
        (Whom::V6Net, "8000::", 0, false),
        (Whom::V6Net, "8000::", 129, false),
    ] {
        assert_eq!(seals(whom, &|said| said.allow = allow(address, prefix), true), room, "{whom:?} {address}/{prefix}");
    }
    assert!(!seals(Whom::V4, &|said| said.allow = None, true));
    let late = seal((&server(), ID, &own()), "ssh", &usual(8), &claim(usual(8).fields), Mark(u64::MAX));
    assert!(late.is_none_or(|(_, mark)| mark == Mark(u64::MAX)));
}

#[test]
fn a_span_is_a_power_of_two_of_ports_that_there_are() {
    for (first, last) in [(1, 256), (40_000, 40_255), (1024, 17_407), (32_768, 65_535), (1, 32_768), (65_280, 65_535)] {
        let span = Span::new(first, last).unwrap();
        assert_eq!((span.first(), u32::from(span.size())), (first, u32::from(last - first) + 1));
        assert_eq!((span.symbol(first), span.symbol(last)), (Some(0), Some(last - first)));
        assert_eq!((span.port(0), span.port(last - first)), (Some(first), Some(last)));
        assert_eq!((span.symbol(first - 1), span.port(last - first + 1)), (None, None));
        assert_eq!(last.checked_add(1).and_then(|after| span.symbol(after)), None);
    }
    for (first, last) in
        [(0, 255), (40_000, 40_127), (40_000, 40_256), (40_255, 40_000), (0, 65_535), (1, 65_535), (5, 5)]
    {
        assert_eq!(Span::new(first, last), None, "{first}-{last}");
    }
}

proptest! {
    #[test]
    fn any_symbols_are_opened_without_panic(
        bits in 8_u8..16, symbols in prop::collection::vec(any::<u16>(), 0..50), now in any::<u64>(),
    ) {
        let template = usual(bits);
        let fitted = |at: usize, symbol: u16| (symbol % (template.span.size() / 2)) << 1 | u16::from(at % 2 == 1);
        let fit = symbols.iter().enumerate().map(|(at, symbol)| fitted(at, *symbol)).take(template.length());
        for symbols in [symbols.clone(), fit.collect()] {
            assert_eq!(open((&server(), ID, &own()), door_hash("ssh"), &template, &symbols, now), None);
            assert_eq!(Parts::of(&template, &symbols).is_some(), opened_parts(&template, &symbols));
        }
    }
}

/// Whether symbols are such of a template.
fn opened_parts(template: &Template, symbols: &[u16]) -> bool {
    let fits = |(at, symbol): (usize, &u16)| usize::from(symbol & 1) == at % 2 && *symbol < template.span.size();
    symbols.len() == template.length() && symbols.iter().enumerate().all(fits)
}
