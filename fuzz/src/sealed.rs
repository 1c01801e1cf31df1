//! Sealed knocks, before the outer seal and behind it, tokens, shares, codes and encoded sequences. The keys are those of the test vectors.

mod carried;
mod maker;
mod plain;
mod spelled;

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::LazyLock;

pub use carried::{code, share};
use klopf_spa::{Knock, Known, NotOpened, Opener, Own, Scratch, Seed, Shape, Tokens, open_token, seal_token};
pub use spelled::encoded;

use self::maker::{Maker, array};

/// The server of the test vectors.
const SERVER: &str = "a6e1cc359b897eaa7af77efc6f0ade18bb2ef2dcede917d19118df0de1e45b63";
/// The person.
const SEED: &str = "b81083d3b2b94edfdcce0c82e407286e86d1073127c992b7906cb6fbf7d61236";
const PSK: &str = "0f5db7052fb8e6c9f97121ef192cef7b98b6917670a527fa007f63b18c9daed6";
/// The number of that person.
const NUMBER: u32 = 7;

// How `sealed_middle` reads the rest of its input, by the first byte.
const KNOCK: u8 = 1;
const SIGN: u8 = 2;

static MAKER: LazyLock<Maker> = LazyLock::new(|| Maker::new(array(SERVER), array(SEED), array(PSK)));
static OPENERS: LazyLock<[Opener; 4]> = LazyLock::new(|| {
    Shape::ALL.map(|shape| {
        let mut opener = Opener::new(&MAKER.server, shape);
        // More people, so that there is something to choose from.
        let others = [1, 2, 3].map(|number| (number.into(), Seed::new([number; 32]).public(), MAKER.psk.clone()));
        opener.people([(NUMBER, MAKER.seed.public(), MAKER.psk.clone())].into_iter().chain(others));
        opener
    })
});
/// What the person and the server share, of a key that any device may use.
static OWN: LazyLock<Own> = LazyLock::new(|| Own::psk(&MAKER.psk));
static TOKENS: LazyLock<Tokens> = LazyLock::new(|| {
    let mut tokens = Tokens::new(&MAKER.public);
    // More keys, one of which begins as the person's does.
    let mut alike = MAKER.id;
    alike.0[7] ^= 1;
    let others = [1, 2, 3].map(|number| Seed::new([number; 32]).public().id());
    let known = [MAKER.id, alike].into_iter().chain(others);
    tokens.keys((NUMBER..).zip(known).map(|(number, id)| Known { id, number }));
    tokens
});

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// What an opener of the shape makes of a datagram; the outer result is that of the cheap check.
fn opened(shape: Shape, datagram: &[u8]) -> Result<Result<(u32, Knock), NotOpened>, NotOpened> {
    let opener = &OPENERS[usize::from(shape.number())];
    SCRATCH.with_borrow_mut(|scratch| {
        let packet = opener.check(datagram, scratch)?;
        let known = opener.number(packet.id);
        let opened = opener.open(&packet);
        match &opened {
            Ok((number, knock)) => {
                assert_eq!(known, Some(*number));
                sensible(knock);
            }
            Err(NotOpened::UnknownKey) => assert_eq!(known, None),
            Err(NotOpened::Forged) => assert!(known.is_some()),
            Err(NotOpened::NoPacket) => panic!("it was one before"),
        }
        Ok(opened)
    })
}

/// Holds for each knock that was opened.
fn sensible(knock: &Knock) {
    assert!((1..=64).contains(&knock.door.len()) && knock.door.is_ascii() && !knock.door.contains(['/', '\0', '\n']));
    assert!(knock.code.is_none_or(|code| code < 1_000_000));
    knock.allow.into_iter().for_each(can_be_let_in);
}

fn can_be_let_in(address: IpAddr) {
    assert!(!address.is_unspecified() && !address.is_loopback() && !address.is_multicast());
    assert!(address != IpAddr::from([255; 4]) && address.to_canonical() == address);
}

/// Takes the input for a datagram, of each of the shapes; whether one of them opens.
pub fn sealed_packet(input: &[u8]) -> bool {
    let mut any = false;
    for shape in Shape::ALL {
        let parts = shape.undress(input);
        if let Some(parts) = parts {
            assert_eq!([parts.before, parts.sealed, parts.after].concat(), input, "nothing is lost");
            assert!(shape.lengths().has(parts.sealed.len()));
        }
        let Ok(found) = opened(shape, input).inspect_err(|why| assert_eq!(*why, NotOpened::NoPacket)) else { continue };
        assert!(parts.is_some());
        any |= found.is_ok();
        // It is one of the seeds, for the outer seal cannot be guessed. A change anywhere breaks that seal.
        let mut changed = input.to_vec();
        for at in (0..changed.len()).step_by(29) {
            changed[at] ^= 1 << (at % 8);
            assert_eq!(opened(shape, &changed), Err(NotOpened::NoPacket), "{found:?}, changed at {at}");
            changed[at] ^= 1 << (at % 8);
        }
    }
    any
}

/// What somebody could send who knows the server's public key; whether it opens.
///
/// The first byte of the input says how the rest is read: with `KNOCK` it is a knock, sealed with the person's key, and
/// with `SIGN` the signature is made for it, else it ends in one. Without `KNOCK` it is the middle, sealed as it is.
/// The next two bits are the shape.
pub fn sealed_middle(input: &[u8]) -> bool {
    let Some((&how, rest)) = input.split_first() else { return false };
    let shape = Shape::ALL[usize::from(how >> 2 & 3)];
    if how & KNOCK == 0 {
        let Some(datagram) = MAKER.outer(shape, rest) else { return false };
        let opens = opened(shape, &datagram).expect("the outer seal is right").is_ok();
        if opens {
            // The person has made it, and no part of it could be changed by somebody else.
            for at in [0, 7, 8, 39, 41, 42, 60, rest.len() - 1] {
                let mut changed = rest.to_vec();
                changed[at] ^= 1;
                let datagram = MAKER.outer(shape, &changed).expect("as long as before");
                assert!(opened(shape, &datagram).is_ok_and(|opened| opened.is_err()), "changed at {at}");
            }
        }
        return opens;
    }
    let (knock, signed) = if how & SIGN == 0 { (rest.to_vec(), false) } else { (MAKER.with_signature(rest), true) };
    let Some(datagram) = MAKER.inner(&knock).and_then(|middle| MAKER.outer(shape, &middle)) else { return false };
    let expected = plain::knock(&knock).filter(|_| signed || MAKER.is_signed(&knock));
    let found = opened(shape, &datagram).expect("the outer seal is right");
    assert_eq!(found, expected.map(|knock| (NUMBER, knock)).ok_or(NotOpened::Forged));
    found.is_ok()
}

/// Takes the input for a token, and for a claim that the person seals; whether one of them opens.
pub fn token(input: &[u8]) -> bool {
    let mut any = false;
    let Maker { public, id, .. } = &*MAKER;
    let sealed = MAKER.token(input);
    let expected = plain::claim(input);
    assert_eq!(open_token(public, *id, &OWN, &sealed), expected);
    assert_eq!(is_of(&sealed), [21, 33].contains(&input.len()));
    for token in [input, &*sealed] {
        let own = is_of(token);
        assert!(!own || [49, 61].contains(&token.len()));
        let Some(claim) = open_token(public, *id, &OWN, token) else { continue };
        assert!(own, "it was made for this key");
        can_be_let_in(claim.address);
        any = true;
        let n = &token[..8];
        let again = seal_token(public, *id, &OWN, &claim, &mut |out| out.copy_from_slice(n));
        assert_eq!(again.as_deref(), Some(token), "there is one way to write it");
    }
    any
}

/// Whether a token says that it is by the person.
fn is_of(token: &[u8]) -> bool {
    let of = TOKENS.of_token(token);
    assert!(of.iter().all(|known| known.id.0[..4] == of[0].id.0[..4]));
    of.contains(&Known { id: MAKER.id, number: NUMBER })
}
