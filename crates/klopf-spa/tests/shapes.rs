//! A knock in each dress: it opens, and nobody can change a bit of the dress either.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "in tests a failed assumption may end the test")]

mod common;

use common::{chance, knock, opener, sealed};
use klopf_spa::{NotOpened, Scratch, Shape};

#[test]
fn a_knock_opens_in_its_dress_and_in_no_other() {
    let (mut random, mut scratch) = (chance(1), Scratch::default());
    for shape in Shape::ALL {
        for counter in 0..20 {
            let packet = sealed(shape, counter, &mut random);
            for other in Shape::ALL {
                let opener = opener(other);
                let opened = opener.check(&packet, &mut scratch).and_then(|checked| opener.open(&checked));
                let expected = if other == shape { Ok((7, knock(counter))) } else { Err(NotOpened::NoPacket) };
                assert_eq!(opened, expected, "{shape:?} taken for {other:?}");
            }
        }
    }
}

#[test]
fn no_bit_of_a_dress_can_be_changed() {
    let (mut random, mut scratch) = (chance(2), Scratch::default());
    for shape in [Shape::Dns, Shape::Ntp, Shape::Quic] {
        let (packet, opener) = (sealed(shape, 1, &mut random), opener(shape));
        let parts = shape.undress(&packet).unwrap();
        let (end, after) = (parts.before.len(), packet.len() - parts.after.len());
        for bit in (0..end * 8).chain(after * 8..packet.len() * 8) {
            let mut changed = packet.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let checked = opener.check(&changed, &mut scratch).map(|checked| checked.id);
            assert_eq!(checked, Err(NotOpened::NoPacket), "{shape:?}, bit {bit}");
        }
    }
}
