//! What goes in comes out, and nothing else does.

use std::collections::HashSet;

use proptest::prelude::*;

use super::{Dress, Shape};

const NOW: u64 = 1_790_000_000_000;
const DRESSED: [Shape; 3] = [Shape::Dns, Shape::Ntp, Shape::Quic];

/// SplitMix64: enough to vary what is drawn.
fn chance(seed: u64) -> impl FnMut(&mut [u8]) {
    let mut state = seed;
    move |out| {
        for byte in out {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = (mixed ^ (mixed >> 31)).to_le_bytes()[0];
        }
    }
}

fn lengths(shape: Shape) -> impl Iterator<Item = usize> {
    (0..2000).filter(move |length| shape.lengths().has(*length))
}

fn dressed(shape: Shape, length: usize, seed: u64) -> (Dress, Vec<u8>, Vec<u8>) {
    let mut chance = chance(seed);
    let mut sealed = vec![0; length];
    chance(&mut sealed);
    let dress = shape.dress(length, NOW, &mut chance);
    let datagram = [&*dress.before, &sealed, &dress.after].concat();
    (dress, sealed, datagram)
}

#[test]
fn every_length_is_found_again_and_fits_everywhere() {
    for shape in Shape::ALL {
        assert!(lengths(shape).count() > 150, "{shape:?}");
        for length in lengths(shape) {
            for seed in 0..4 {
                let (dress, sealed, datagram) = dressed(shape, length, seed * 5000 + length as u64);
                let parts = shape.undress(&datagram).unwrap();
                assert_eq!((parts.before, parts.sealed, parts.after), (&*dress.before, &*sealed, &*dress.after));
                assert_eq!(dress == Dress::default(), shape == Shape::None);
                assert!(datagram.len() <= 1232, "{shape:?} {length}: {}", datagram.len());
                assert!(shape != Shape::Quic || datagram.len() >= 1200, "{length}: {}", datagram.len());
            }
        }
    }
}

#[test]
fn another_length_gets_no_dress_and_is_not_found() {
    for shape in Shape::ALL {
        let lengths = shape.lengths();
        assert!(lengths.first >= 288 && lengths.has(lengths.first) && lengths.has(lengths.last));
        for length in [0, lengths.first - 1, lengths.last + 1] {
            assert!(!lengths.has(length));
            assert_eq!(shape.dress(length, NOW, &mut chance(1)), Dress::default());
        }
    }
    assert!(!Shape::Ntp.lengths().has(290));
    let with = |length| [b"\x23".to_vec(), vec![0; 47], field(0x0104, 32), field(0x0204, length), last()].concat();
    assert!(Shape::Ntp.undress(&with(288)).is_some());
    assert!(Shape::Ntp.undress(&with(284)).is_none());
    assert!(Shape::Ntp.undress(&with(1076)).is_none());
}

fn field(kind: u16, body: u16) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &(body + 4).to_be_bytes(), &vec![0; body.into()]].concat()
}

fn last() -> Vec<u8> {
    field(0x0404, 36)
}

#[test]
fn lengths_are_drawn_evenly_from_the_first_to_the_last() {
    for shape in Shape::ALL {
        let lengths = shape.lengths();
        assert_eq!(lengths.draw(&mut |out| out.fill(0)), lengths.first);
        assert_eq!(lengths.draw(&mut |out| out.fill(0xff)), lengths.last);
        let mut chance = chance(7);
        let drawn: Vec<usize> = (0..10_000).map(|_| lengths.draw(&mut chance)).collect();
        assert!(drawn.iter().all(|length| lengths.has(*length)));
        let mean = drawn.iter().sum::<usize>() / drawn.len();
        assert!(mean.abs_diff(usize::midpoint(lengths.first, lengths.last)) < 15, "{shape:?}: {mean}");
    }
}

#[test]
fn no_dress_comes_twice() {
    for shape in DRESSED {
        let dresses: HashSet<Vec<u8>> = (0..2000).map(|seed| dressed(shape, 400, seed).0.before).collect();
        assert_eq!(dresses.len(), 2000, "{shape:?}");
    }
}

#[test]
fn what_is_cut_short_or_goes_on_is_not_of_the_shape() {
    for shape in DRESSED {
        for seed in 0..8 {
            let (.., mut datagram) = dressed(shape, 400, seed);
            for end in 0..datagram.len() {
                assert_eq!(shape.undress(&datagram[..end]), None, "{shape:?} cut to {end}");
            }
            for more in 1..64 {
                datagram.push(0);
                assert_eq!(shape.undress(&datagram), None, "{shape:?} and {more} more");
            }
        }
    }
}

#[test]
fn one_shape_is_not_taken_for_another() {
    for shape in DRESSED {
        let (.., datagram) = dressed(shape, 400, 3);
        for other in DRESSED {
            assert_eq!(other.undress(&datagram).is_some(), other == shape, "{shape:?} as {other:?}");
        }
    }
}

#[test]
fn a_client_without_a_clock_says_no_time() {
    for shape in DRESSED {
        for seed in 0..100 {
            let dress = shape.dress(400, 0, &mut chance(seed));
            let datagram = [&*dress.before, &[0; 400], &dress.after].concat();
            assert!(shape.undress(&datagram).is_some());
            // A server's cookie, which has a time, is 24 bytes long with the client's.
            assert!(!dress.before.windows(4).any(|bytes| bytes == [0, 10, 0, 24]), "{shape:?}");
        }
    }
}

#[test]
fn names_and_numbers_are_those_of_the_protocol() {
    assert_eq!(Shape::ALL.map(Shape::name), ["none", "dns", "ntp", "quic"]);
    assert_eq!(Shape::ALL.map(Shape::number), [0, 1, 2, 3]);
    assert_eq!(Shape::ALL.map(Shape::port), [None, Some(53), Some(123), Some(443)]);
    for shape in Shape::ALL {
        assert_eq!(Shape::parse(shape.name()), Some(shape));
        assert_eq!(Shape::of(shape.number()), Some(shape));
    }
    assert_eq!((Shape::parse("DNS"), Shape::of(4)), (None, None));
}

proptest! {
    #[test]
    fn any_bytes_are_taken_apart_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..1500)) {
        for shape in Shape::ALL {
            if let Some(parts) = shape.undress(&bytes) {
                prop_assert_eq!([parts.before, parts.sealed, parts.after].concat(), &*bytes);
            }
        }
    }

    #[test]
    fn a_changed_datagram_is_taken_apart_without_a_panic(
        seed: u64, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        for shape in DRESSED {
            let (.., mut datagram) = dressed(shape, 400, seed);
            for (place, value) in &changes {
                // Where it matters: most changes go into the first bytes.
                let end = if seed.is_multiple_of(4) { datagram.len() } else { 80 };
                datagram[place.index(end)] = *value;
            }
            if let Some(parts) = shape.undress(&datagram) {
                prop_assert!(shape.lengths().has(parts.sealed.len()));
                prop_assert_eq!([parts.before, parts.sealed, parts.after].concat(), datagram);
            }
        }
    }
}
