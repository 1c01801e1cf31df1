//! Encoded sequences.

use klopf_spa::encoded::{Claim, Fields, Mark, Queue, READINGS, Span, Template, Transport, Whom, open, seal};
use klopf_spa::{Known, door_hash};

use super::{MAKER, NUMBER, OWN, TOKENS, can_be_let_in, plain};

/// When it is, in seconds since 1970: when most of the test vectors were made.
const NOW: u64 = 1_767_225_600;

/// Takes the input for a template and hits, and for what the person seals by it; whether one of them opens.
///
/// Four bytes are the template: its size and fields, and its first port. The rest is symbols, of two bytes each, and the bits of a claim.
pub fn encoded(input: &[u8]) -> bool {
    let Some((&head, rest)) = input.split_first_chunk::<4>() else { return false };
    let Some((template, described)) = template(head) else { return false };
    let hits = rest.chunks_exact(2).map(|two| u16::from_be_bytes([two[0], two[1]]));
    let arrived = arrive(&template, hits);
    let bits: Vec<bool> = rest.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect();
    let Some(said) = bits.get(..plain::sequence_bits(described)) else { return arrived };
    let mark = plain::mark(said, NOW);
    let symbols = MAKER.sequence("ssh", described, said, mark);
    assert_eq!(symbols.len(), template.length());
    let expected = plain::sequence(described, said);
    assert_eq!(opened(&template, &symbols), expected.map(|claim| (claim, Mark(mark))));
    if let Some(claim) = expected {
        let (again, marked) =
            seal((&MAKER.public, MAKER.id, &OWN), "ssh", &template, &claim, Mark(mark)).expect("it has");
        let different = (1..symbols.len()).all(|at| !symbols[..at].contains(&symbols[at]));
        assert_eq!((marked == Mark(mark), again == symbols), (different, different), "there is one way to write it");
        // Whatever was before, the hits of the sequence are found.
        assert!(arrive(&template, rest.iter().map(|byte| (*byte).into()).chain(again)));
    }
    arrived || expected.is_some()
}

/// Whether hits, one after another, are a sequence of the person at some time.
fn arrive(template: &Template, hits: impl Iterator<Item = u16>) -> bool {
    let mut queue = Queue::default();
    let mut any = false;
    for hit in hits {
        if !queue.push(hit) {
            continue;
        }
        let readings: Vec<_> = queue.readings(template.length()).collect();
        assert!(readings.len() <= READINGS && readings.iter().all(|read| read.len() == template.length()));
        let found = readings.iter().any(|read| opened(template, read).is_some());
        if found {
            queue = Queue::default();
        }
        any |= found;
    }
    any
}

/// What the person's key makes of symbols.
fn opened(template: &Template, symbols: &[u16]) -> Option<(Claim, Mark)> {
    let by = TOKENS.of_sequence(template, symbols);
    let own = by.contains(&Known { id: MAKER.id, number: NUMBER });
    assert!(by.iter().all(|known| known.id.0[0] >> 2 == by[0].id.0[0] >> 2));
    let open = |door| open((&MAKER.public, MAKER.id, &OWN), door_hash(door), template, symbols, NOW);
    let found = open("ssh")?;
    assert!(own, "the key is among those that it may be by");
    assert_eq!(open("web"), None);
    found.0.allow.into_iter().for_each(|(address, _)| can_be_let_in(address));
    Some(found)
}

/// What the first bytes describe, and the five bytes by which the page does; none if there is no such template.
fn template([size, fields, f0, f1]: [u8; 4]) -> Option<(Template, [u8; 5])> {
    let (s, first) = (8 + (size & 7), u16::from_be_bytes([f0, f1]));
    let last = u32::from(first) + (1 << s) - 1;
    let whom = [Whom::Observed, Whom::V4, Whom::V4Net, Whom::V6, Whom::V6Net].get(usize::from(fields & 7)).copied()?;
    let is = |bit: u8| fields & bit != 0;
    let transport = if size & 8 == 0 { Transport::Tcp } else { Transport::Udp };
    let protocol = if size & 8 == 0 { 6 } else { 17 };
    let template = Template {
        span: Span::new(first, last.try_into().ok()?)?,
        transport,
        fields: Fields { whom, port: is(8), hold: is(16), flags: is(32) },
    };
    Some((template, [fields & 63, protocol, f0, f1, s]))
}
