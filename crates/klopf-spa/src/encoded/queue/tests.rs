use proptest::prelude::{Strategy, any, prop, prop_assume, proptest};
use proptest::sample::Index;

use super::*;
use crate::encoded::tests::{NOW, sealed, templates, usual};
use crate::encoded::{Mark, Template, all_different};

/// A sequence and its template.
fn sequence() -> impl Strategy<Value = (Template, Vec<u16>)> {
    let template = (8_u8..16, any::<Index>()).prop_map(|(bits, at)| *at.get(&templates(bits).collect::<Vec<_>>()));
    (template, 0_u64..100_000)
        .prop_map(|(template, more)| (template, sealed(&template, Mark(Mark::at(NOW).0 + more % 2000)).0))
}

/// Any hits on a span of 256 ports: the more likely they are to be those of the sequence, too.
fn others() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(0_u16..256, 0..80)
}

/// One in five.
fn some() -> impl Strategy<Value = Vec<bool>> {
    prop::collection::vec(prop::bool::weighted(0.2), LONGEST * 2)
}

/// Each hit that is marked comes twice.
fn doubled(hits: &[u16], marked: &[bool]) -> Vec<u16> {
    let times = marked.iter().map(|twice| if *twice { 2 } else { 1 });
    hits.iter().zip(times).flat_map(|(hit, times)| std::iter::repeat_n(*hit, times)).collect()
}

/// Each hit that is marked changes places with the next, if it has not just done so.
fn swapped(mut hits: Vec<u16>, marked: &[bool]) -> Vec<u16> {
    let mut at = 0;
    while at + 1 < hits.len() {
        if marked[at % marked.len()] {
            hits.swap(at, at + 1);
            at += 1;
        }
        at += 1;
    }
    hits
}

/// Whether the hits, one after another, made the sequence, at some time.
fn decodes(template: &Template, sequence: &[u16], hits: impl IntoIterator<Item = u16>) -> bool {
    let mut queue = Queue::default();
    hits.into_iter().any(|hit| queue.push(hit) && queue.readings(template.length()).any(|read| *read == *sequence))
}

proptest! {
    #[test]
    fn doubled_hits_and_swapped_neighbours_do_no_harm_whatever_was_before(
        (template, sequence) in sequence(), before in others(), double in some(), swap in some(),
    ) {
        let hits = swapped(doubled(&sequence, &double), &swap);
        assert!(decodes(&template, &sequence, before.into_iter().chain(hits)));
    }

    #[test]
    fn all_doubled_and_all_swapped_does_no_harm((template, sequence) in sequence(), first in any::<bool>()) {
        let hits = doubled(&sequence, &[true; LONGEST]);
        let (start, rest) = hits.split_at(first.into());
        let hits = start.iter().copied().chain(swapped(rest.to_vec(), &[true]));
        assert!(decodes(&template, &sequence, hits));
    }

    #[test]
    fn a_double_may_come_however_late_where_nothing_was_before(
        (template, sequence) in sequence(), late in prop::collection::vec((any::<Index>(), any::<Index>()), 0..12),
    ) {
        let mut hits = sequence.clone();
        for (which, place) in late {
            let hit = *which.get(&sequence);
            let first = hits.iter().position(|other| *other == hit).unwrap();
            hits.insert(first + 1 + place.index(hits.len() - first), hit);
        }
        assert!(decodes(&template, &sequence, hits));
    }

    #[test]
    fn a_late_double_of_any_but_the_first_two_does_no_harm_whatever_was_before(
        (template, sequence) in sequence(), before in others(),
        late in prop::collection::vec((any::<Index>(), any::<Index>()), 0..8),
    ) {
        let mut hits = sequence.clone();
        for (which, place) in late {
            let hit = *which.get(&sequence[2..]);
            let first = hits.iter().position(|other| *other == hit).unwrap();
            hits.insert(first + 1 + place.index(hits.len() - first), hit);
        }
        assert!(decodes(&template, &sequence, before.into_iter().chain(hits)));
    }

    #[test]
    fn a_second_pass_without_a_loss_makes_up_for_a_first_with_any(
        (template, sequence) in sequence(), before in others(), lost in some(), more in others(),
        double in some(), swap in some(),
    ) {
        let first = sequence.iter().zip(&lost).filter(|(_, lost)| !**lost).map(|(hit, _)| *hit);
        let second = swapped(doubled(&sequence, &double), &swap);
        assert!(decodes(&template, &sequence, before.into_iter().chain(first).chain(more).chain(second)));
    }

    #[test]
    fn two_passes_make_up_for_each_others_losses(
        (template, sequence) in sequence(), losses in (some(), some()), double in (some(), some()), swap in (some(), some()),
    ) {
        let (mut lost, mut lost_again) = losses;
        // What it takes: as many hits as fit twice, and
        prop_assume!(sequence.len() <= 32);
        // the first two come the first time;
        lost[..2].fill(false);
        lost[sequence.len()..].fill(false);
        // of either kind less than half are lost, of both passes together;
        let mut left = [sequence.len().div_ceil(2), sequence.len() / 2].map(|kind| (kind / 2).saturating_sub(1));
        for at in 0..sequence.len() {
            // what was lost comes the second time, and so does that of its kind before it.
            lost_again[at] &= !(lost[at] || lost[at + 2]);
            for lost in [&mut lost[at], &mut lost_again[at]] {
                *lost &= left[at % 2] > 0;
                left[at % 2] -= usize::from(*lost);
            }
        }
        let pass = |double: &[bool], swap: &[bool], lost: &[bool]| {
            let came = |hit: &u16| sequence.iter().zip(lost).any(|(other, lost)| other == hit && !lost);
            swapped(doubled(&sequence, double), swap).into_iter().filter(came).collect::<Vec<_>>()
        };
        let hits = [pass(&double.0, &swap.0, &lost), pass(&double.1, &swap.1, &lost_again)].concat();
        assert!(decodes(&template, &sequence, hits));
    }

    #[test]
    fn any_hits_are_read_as_different_ones_by_turns(
        hits in prop::collection::vec(any::<u16>(), 0..100), length in 0_usize..80,
    ) {
        let mut queue = Queue::default();
        hits.iter().for_each(|hit| _ = queue.push(*hit));
        let readings: Vec<Symbols> = queue.readings(length).collect();
        assert!(readings.len() <= READINGS && (1..readings.len()).all(|at| !readings[..at].contains(&readings[at])));
        for read in readings {
            assert!(read.len() == length && all_different(&read));
            assert!(read.iter().enumerate().all(|(at, symbol)| usize::from(symbol & 1) == at % 2));
        }
    }
}

#[test]
fn a_queue_is_small_and_a_plain_sequence_is_read_in_one_way() {
    assert_eq!(size_of::<Queue>(), 128);
    let template = usual(8);
    let (symbols, _) = sealed(&template, Mark::at(NOW));
    let mut queue = Queue::default();
    for (at, symbol) in symbols.iter().enumerate() {
        assert!(queue.push(*symbol) && !queue.push(*symbol));
        assert_eq!(queue.readings(template.length()).count(), usize::from(at == symbols.len() - 1));
    }
}

#[test]
fn a_hit_of_somebody_else_among_them_spoils_one_pass_alone() {
    let template = usual(8);
    let (symbols, _) = sealed(&template, Mark::at(NOW));
    let foreign = (0..256).find(|symbol| !symbols.contains(symbol)).unwrap();
    let spoiled = [&symbols[..10], &[foreign], &symbols[10..]].concat();
    assert!(!decodes(&template, &symbols, spoiled.clone()));
    assert!(decodes(&template, &symbols, [spoiled, symbols.clone()].concat()));
}
