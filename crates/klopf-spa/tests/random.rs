//! A packet without a shape cannot be told from random bytes of a random length: not by any byte or bit of it, by its
//! length, or by what came before. All sources of chance here are fixed, so the outcome is, too.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "in tests a failed assumption may end the test")]
#![expect(clippy::indexing_slicing, reason = "in tests a failed assumption may end the test")]

mod common;

use std::collections::{BTreeSet, HashSet};

use common::{chance, sealed};
use klopf_spa::{Lengths, Shape};

const PACKETS: usize = 10_000;
/// A finding is what chance alone would bring about once in a billion tries. About ten thousand things are looked at.
const SIGMAS: f64 = 6.0;
/// How many bytes from the end are looked at from there, too: those of a tag, and some before.
const BACK: usize = 48;
const LENGTHS: Lengths = Shape::None.lengths();
/// A position counts where so many packets have it: ten for each value of a byte.
const ENOUGH: u32 = 2560;

/// What can be told about packets, at a position counted from one of their ends where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Finding {
    /// Some values of the byte are more frequent than others, or all are too evenly so.
    Byte(End, usize),
    /// This bit of the byte is more often one than zero, or the other way round.
    Bit(End, usize, u8),
    /// The byte follows from that of the packet before.
    AfterLast(End, usize),
    /// The byte goes with the length.
    TellsLength(End, usize),
    /// Some lengths are more frequent than others, or one is not allowed.
    Length,
    /// A length follows from that of the packet before.
    LengthAfterLast,
    /// The same eight bytes have come before, from a multiple of 32 on.
    Again,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Front,
    Back,
}

impl Finding {
    fn place(self) -> Option<(End, usize)> {
        match self {
            Self::Byte(end, place)
            | Self::Bit(end, place, _)
            | Self::AfterLast(end, place)
            | Self::TellsLength(end, place) => Some((end, place)),
            Self::Length | Self::LengthAfterLast | Self::Again => None,
        }
    }
}

/// All that can be told about packets.
fn findings(lengths: Lengths, packets: Vec<Vec<u8>>) -> BTreeSet<Finding> {
    let mut found = of_lengths(lengths, &packets);
    found.extend(again(&packets));
    found.extend(of_bytes(packets));
    found
}

fn of_lengths(lengths: Lengths, packets: &[Vec<u8>]) -> BTreeSet<Finding> {
    let mut found = BTreeSet::new();
    let mut counts = vec![0; (lengths.last - lengths.first) / lengths.step + 1];
    for packet in packets {
        match packet.len().checked_sub(lengths.first).filter(|_| lengths.has(packet.len())) {
            Some(more) => counts[more / lengths.step] += 1,
            None => _ = found.insert(Finding::Length),
        }
    }
    if uneven(&counts) {
        found.insert(Finding::Length);
    }
    let centre = (lengths.first + lengths.last) as f64 / 2.0;
    let apart: Vec<f64> = packets.iter().map(|packet| packet.len() as f64 - centre).collect();
    let together: f64 = apart.windows(2).map(|pair| pair[0] * pair[1]).sum();
    let alone: f64 = apart.iter().map(|apart| apart * apart).sum();
    // Without a connection the quotient has a variance of 1 / n.
    if (together / alone).abs() * (packets.len() as f64).sqrt() > SIGMAS {
        found.insert(Finding::LengthAfterLast);
    }
    found
}

fn again(packets: &[Vec<u8>]) -> Option<Finding> {
    let mut seen = HashSet::new();
    // From every place on would make a set of millions.
    let new = packets.iter().flat_map(|packet| packet.chunks_exact(8).step_by(4)).all(|eight| seen.insert(eight));
    (!new).then_some(Finding::Again)
}

fn of_bytes(mut packets: Vec<Vec<u8>>) -> BTreeSet<Finding> {
    let mut found = of_places(End::Front, &packets);
    for packet in &mut packets {
        packet.reverse();
        packet.truncate(BACK);
    }
    found.extend(of_places(End::Back, &packets));
    found
}

/// How often each value comes at a position, how often it is so much more than in the packet before, and than the length.
struct Position {
    value: [u32; 256],
    step: [u32; 256],
    to_length: [u32; 256],
}

fn of_places(end: End, packets: &[Vec<u8>]) -> BTreeSet<Finding> {
    let longest = packets.iter().map(Vec::len).max().unwrap_or_default();
    let mut positions: Vec<Position> =
        (0..longest).map(|_| Position { value: [0; 256], step: [0; 256], to_length: [0; 256] }).collect();
    let mut last: &[u8] = &[];
    for packet in packets {
        let [.., length] = packet.len().to_be_bytes();
        // Plain loops, for these are millions of steps without optimisation.
        let mut place = 0;
        while place < packet.len() {
            let position = &mut positions[place];
            position.value[packet[place] as usize] += 1;
            position.to_length[packet[place].wrapping_sub(length) as usize] += 1;
            if place < last.len() {
                position.step[packet[place].wrapping_sub(last[place]) as usize] += 1;
            }
            place += 1;
        }
        last = packet;
    }
    let mut found = BTreeSet::new();
    for (place, position) in positions.iter().enumerate() {
        for (counts, finding) in [
            (&position.value, Finding::Byte(end, place)),
            (&position.step, Finding::AfterLast(end, place)),
            (&position.to_length, Finding::TellsLength(end, place)),
        ] {
            if counts.iter().sum::<u32>() >= ENOUGH && uneven(counts) {
                found.insert(finding);
            }
        }
        let biased = (0..8).filter(|bit| is_biased(&position.value, *bit));
        found.extend(biased.map(|bit| Finding::Bit(end, place, bit)));
    }
    found
}

/// Pearson's chi-squared test for equal frequencies, on both sides, by the approximation of Wilson and Hilferty.
fn uneven(counts: &[u32]) -> bool {
    let expected = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
    let apart = |count: &u32| (f64::from(*count) - expected).powi(2) / expected;
    let freedom = (counts.len() - 1) as f64;
    let part = 2.0 / (9.0 * freedom);
    let sigmas = ((counts.iter().map(apart).sum::<f64>() / freedom).cbrt() - (1.0 - part)) / part.sqrt();
    sigmas.abs() > SIGMAS
}

fn is_biased(values: &[u32; 256], bit: u8) -> bool {
    let all = f64::from(values.iter().sum::<u32>());
    let ones: u32 = values.iter().enumerate().filter(|(value, _)| value >> bit & 1 == 1).map(|(_, count)| count).sum();
    all >= f64::from(ENOUGH) && (f64::from(ones) * 2.0 - all).abs() / all.sqrt() > SIGMAS
}

/// Packets of random bytes of a random length.
fn random(seed: u8) -> Vec<Vec<u8>> {
    let mut chance = chance(seed);
    let packet = |_| {
        let mut packet = vec![0; LENGTHS.draw(&mut chance)];
        chance(&mut packet);
        packet
    };
    (0..PACKETS).map(packet).collect()
}

/// Random packets that something has been done to; it gets their number, too.
fn changed(seed: u8, mut change: impl FnMut(usize, &mut Vec<u8>)) -> Vec<Vec<u8>> {
    let mut packets = random(seed);
    packets.iter_mut().enumerate().for_each(|(number, packet)| change(number, packet));
    packets
}

#[test]
fn nothing_can_be_told_about_sealed_knocks() {
    let mut random = chance(1);
    let packets = (0..PACKETS).map(|number| sealed(Shape::None, number as u64, &mut random)).collect();
    assert_eq!(findings(LENGTHS, packets), BTreeSet::new());
}

#[test]
fn nothing_is_found_where_there_is_nothing() {
    assert_eq!(findings(LENGTHS, random(2)), BTreeSet::new());
}

#[test]
fn whatever_is_wrong_with_a_byte_is_found_and_nothing_else() {
    let packets = changed(3, |number, packet| {
        let [.., tens, ones] = number.to_be_bytes();
        let [.., length] = packet.len().to_be_bytes();
        packet[40] |= if number % 10 == 0 { 0x08 } else { 0 };
        packet[50] = tens;
        packet[51] = ones;
        packet[60] = length.wrapping_add(99);
        packet.iter_mut().skip(700).take(1).for_each(|byte| *byte = 0x17);
        packet.iter_mut().rev().take(1).for_each(|byte| *byte %= 0xf0);
    });
    let found = of_bytes(packets);
    for expected in [
        Finding::Bit(End::Front, 40, 3),
        Finding::AfterLast(End::Front, 50),
        Finding::AfterLast(End::Front, 51),
        Finding::TellsLength(End::Front, 60),
        Finding::Byte(End::Front, 700),
        Finding::Byte(End::Back, 0),
    ] {
        assert!(found.contains(&expected), "{expected:?}: {found:?}");
    }
    let places: BTreeSet<(End, usize)> = found.iter().filter_map(|finding| finding.place()).collect();
    let front = [40, 50, 51, 60, 700].map(|place| (End::Front, place));
    assert_eq!(places, front.into_iter().chain([(End::Back, 0)]).collect());
}

#[test]
fn a_length_that_comes_too_often_or_is_not_allowed_is_found() {
    for (every, length) in [(100, 512), (PACKETS, 1201), (PACKETS, 287)] {
        let packets = changed(4, |number, packet| {
            if number % every == 0 {
                packet.resize(length, 0);
            }
        });
        assert_eq!(of_lengths(LENGTHS, &packets), [Finding::Length].into(), "{length}");
    }
}

#[test]
fn lengths_that_follow_from_the_ones_before_are_found() {
    let range = LENGTHS.last - LENGTHS.first + 1;
    let packets = changed(5, |number, packet| packet.resize(LENGTHS.first + number % range, 0));
    assert!(of_lengths(LENGTHS, &packets).contains(&Finding::LengthAfterLast));
}

#[test]
fn eight_bytes_that_come_again_are_found() {
    let mut kept = Vec::new();
    let mut packets = changed(6, |number, packet| match number {
        10 => kept = packet[64..72].to_vec(),
        9000 => packet[32..40].copy_from_slice(&kept),
        _ => {}
    });
    assert_eq!(again(&packets), Some(Finding::Again));
    packets.truncate(9000);
    assert_eq!(again(&packets), None);
}
