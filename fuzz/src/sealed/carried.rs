//! Shares, and codes for paper.

use klopf_spa::{CodePlace, Known, Share, combine, door_hash, is_code_of, make_code, open_share, read_code};

use super::{MAKER, NUMBER, OWN, TOKENS, plain};

/// Takes the input for a share, for the part that somebody invited seals, and for opened shares; whether one of them opens, or a
/// token comes of them.
pub fn share(input: &[u8]) -> bool {
    let public = &MAKER.public;
    let opened = open_share(public, "a", input);
    if let Some(share) = &opened {
        // It is one of the seeds, for its seal cannot be guessed.
        assert_eq!(open_share(public, "b", input), None);
        assert!([70, 82].contains(&input.len()) && share.values.len() + 21 == input.len());
    }
    let made = open_share(public, "a", &MAKER.share("a", input));
    assert_eq!(made, plain::share(input));
    let shares = listed(input);
    let token = combine(&shares);
    assert_eq!(token, plain::token(&shares));
    opened.is_some() || made.is_some() || token.is_some()
}

/// Shares one after another: group, k, x, the number of values, and these; as far as there are whole ones.
fn listed(mut input: &[u8]) -> Vec<Share> {
    let mut shares = Vec::new();
    while let Some((&[a, b, c, d, k, x, length], rest)) = input.split_first_chunk::<7>() {
        let Some((values, rest)) = rest.split_at_checked(length.into()) else { break };
        shares.push(Share { group: [a, b, c, d], k, x, values: values.to_vec() });
        input = rest;
    }
    shares
}

/// Takes the input for a code, and for a place and a door of which one is made; whether one of them counts.
pub fn code(input: &[u8]) -> bool {
    let read = read_code(&MAKER.public, input);
    assert_eq!(read.is_some(), input.len() == 11);
    assert_eq!(TOKENS.of_code(input).map(|(read, _)| read), read);
    let mut any = ["ssh", "web"].into_iter().any(|door| counts(door, input));
    let Some((&[s0, s1, index], door)) = input.split_first_chunk::<3>() else { return any };
    let place = CodePlace { sheet: u16::from_be_bytes([s0, s1]), index };
    let door = String::from_utf8_lossy(door);
    let made = make_code(&MAKER.public, MAKER.id, &OWN, &door, place);
    assert_eq!(made.is_some(), place.sheet < 2048 && place.index < 32);
    if let Some(made) = made {
        assert_eq!(read_code(&MAKER.public, &made).map(|read| read.place), Some(place));
        assert!(counts(&door, &made) && !counts(&format!("{door}-"), &made));
        any = true;
    }
    any
}

/// Whether it is a code of the person for the door.
fn counts(door: &str, code: &[u8]) -> bool {
    let counts = is_code_of(&MAKER.public, MAKER.id, &OWN, door_hash(door), code);
    let of = TOKENS.of_code(code).map(|(_, known)| known.contains(&Known { id: MAKER.id, number: NUMBER }));
    assert!(!counts || of == Some(true), "the key is among those that it may be by");
    counts
}
