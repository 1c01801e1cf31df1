//! A knock in each dress: it opens, and nobody can change a bit of the dress either.
#![forbid(unsafe_code)]

use klopf_spa::{Knock, Name, NotOpened, Opener, Psk, Scratch, Seed, ServerKey, Shape, seal};

const NOW: u64 = 1_790_000_000_000;
const DRESSED: [Shape; 3] = [Shape::Dns, Shape::Ntp, Shape::Quic];

/// Chance that is the same each time (SplitMix64).
fn chance() -> impl FnMut(&mut [u8]) {
    let mut state = 1_u64;
    move |out| {
        for part in out.chunks_mut(8) {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            part.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes()[..part.len()]);
        }
    }
}

fn knock() -> Knock {
    let door = Name::new("ssh").unwrap();
    Knock { time: NOW, counter: 1, device: [4; 16], allow: None, hold: 0, code: None, door }
}

fn sealed(shape: Shape, random: &mut impl FnMut(&mut [u8])) -> Vec<u8> {
    let (server, seed, psk) = (ServerKey::new([1; 32]), Seed::new([2; 32]), Psk::new([3; 32]));
    seal((&server.public(), shape), (&seed, &psk), &knock(), NOW, random)
}

fn opener(shape: Shape) -> Opener {
    let mut opener = Opener::new(&ServerKey::new([1; 32]), shape);
    opener.people([(7, Seed::new([2; 32]).public(), Psk::new([3; 32]))]);
    opener
}

#[test]
fn a_knock_opens_in_its_dress_and_in_no_other() {
    let (mut random, mut scratch) = (chance(), Scratch::default());
    for shape in Shape::ALL {
        for _ in 0..20 {
            let packet = sealed(shape, &mut random);
            for other in Shape::ALL {
                let opener = opener(other);
                let opened = opener.check(&packet, &mut scratch).and_then(|checked| opener.open(&checked));
                let expected = if other == shape { Ok((7, knock())) } else { Err(NotOpened::NoPacket) };
                assert_eq!(opened, expected, "{shape:?} taken for {other:?}");
            }
        }
    }
}

#[test]
fn no_bit_of_a_dress_can_be_changed() {
    let (mut random, mut scratch) = (chance(), Scratch::default());
    for shape in DRESSED {
        let (packet, opener) = (sealed(shape, &mut random), opener(shape));
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
