//! One-time codes for paper: 11 bytes that open one door once.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key, sign};
use zeroize::Zeroizing;

use crate::keys::derive;
use crate::knock::Reader;
use crate::{KeyId, Own, ServerPublic, door_hash};

/// Bytes of a code.
const LENGTH: usize = 11;
/// Bytes of it that cannot be made without the key.
const TAG: usize = 7;
/// Codes of a sheet.
const INDICES: u8 = 32;
const SHEETS: u16 = 2048;

/// Which code it is of all that there are of a key and a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodePlace {
    /// The sheet, 0 to 2047.
    pub sheet: u16,
    /// Its place on it, 0 to 31.
    pub index: u8,
}

impl CodePlace {
    /// None if there is no such place.
    fn number(self) -> Option<u16> {
        let there = self.sheet < SHEETS && self.index < INDICES;
        there.then(|| self.sheet * u16::from(INDICES) + u16::from(self.index))
    }

    fn of(number: u16) -> Self {
        let [.., low] = number.to_be_bytes();
        Self { sheet: number / u16::from(INDICES), index: low % INDICES }
    }
}

/// What everybody invited reads in a code; nothing of it is shown to be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadCode {
    /// Which it is.
    pub place: CodePlace,
    /// How the id of its key begins.
    pub id: [u8; 2],
}

/// A code for a door. None if there is no such place.
#[must_use]
pub fn make_code(server: &ServerPublic, id: KeyId, own: &Own, door: &str, place: CodePlace) -> Option<[u8; LENGTH]> {
    let place = place.number()?.to_be_bytes();
    let tag = tag(server, id, own, door_hash(door), place);
    let ([p0, p1], [i0, i1, ..]) = (place, id.0);
    let hidden = hide(&Key::new(HMAC_SHA256, &*mask(server)), &tag, [p0, p1, i0, i1]);
    let mut code = [0; LENGTH];
    code.iter_mut().zip(tag.into_iter().chain(hidden)).for_each(|(to, from)| *to = from);
    Some(code)
}

/// What a code says before any key is known; none if its length is not that of one.
#[must_use]
pub fn read_code(server: &ServerPublic, code: &[u8]) -> Option<ReadCode> {
    read(&Key::new(HMAC_SHA256, &*mask(server)), code)
}

/// Whether a code is by this key and for the door with this [`door_hash`].
#[must_use]
pub fn is_code_of(server: &ServerPublic, id: KeyId, own: &Own, door: [u8; 4], code: &[u8]) -> bool {
    let (Some(read), Some(given)) = (read_code(server, code), code.first_chunk::<TAG>()) else { return false };
    let Some(place) = read.place.number() else { return false };
    let right = tag(server, id, own, door, place.to_be_bytes());
    id.0.starts_with(&read.id) && verify_slices_are_equal(&right, given).is_ok()
}

/// Reads a code with the key that [`mask`] is.
pub(crate) fn read(mask: &Key, code: &[u8]) -> Option<ReadCode> {
    let mut from = Reader(code);
    let (tag, hidden) = (from.take::<TAG>()?, from.take()?);
    let [p0, p1, i0, i1] = hide(mask, &tag, hidden);
    from.0.is_empty().then_some(ReadCode { place: CodePlace::of(u16::from_be_bytes([p0, p1])), id: [i0, i1] })
}

/// The key that hides what is beside the tag.
pub(crate) fn mask(server: &ServerPublic) -> Zeroizing<[u8; 32]> {
    derive(server.bytes(), "klopf code 1 mask")
}

/// Hides it, or shows it again.
fn hide(mask: &Key, tag: &[u8; TAG], mut bytes: [u8; 4]) -> [u8; 4] {
    let stream = sign(mask, tag);
    bytes.iter_mut().zip(stream.as_ref()).for_each(|(byte, with)| *byte ^= with);
    bytes
}

fn tag(server: &ServerPublic, id: KeyId, own: &Own, door: [u8; 4], place: [u8; 2]) -> [u8; TAG] {
    let mut context = Context::with_key(&Key::new(HMAC_SHA256, &*own.derive("klopf code 1")));
    for part in [b"klopf code 1", &server.bytes()[..], &id.0, &door, &place] {
        context.update(part);
    }
    // It has 32 bytes.
    context.sign().as_ref().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Psk, ServerKey};

    const ID: KeyId = KeyId([2; 8]);
    const PLACE: CodePlace = CodePlace { sheet: 1234, index: 31 };

    fn server() -> ServerPublic {
        ServerKey::new([1; 32]).public()
    }

    fn own() -> Own {
        Own::bound(&Psk::new([3; 32]), [4; 16])
    }

    #[test]
    fn a_code_is_of_its_key_its_device_its_door_and_its_server_alone() {
        let code = make_code(&server(), ID, &own(), "ssh", PLACE).unwrap();
        assert_eq!(read_code(&server(), &code), Some(ReadCode { place: PLACE, id: [2; 2] }));
        let (ssh, psk) = (door_hash("ssh"), Psk::new([3; 32]));
        assert!(is_code_of(&server(), ID, &own(), ssh, &code));
        assert!(!is_code_of(&server(), ID, &own(), door_hash("web"), &code));
        assert!(!is_code_of(&server(), ID, &Own::psk(&psk), ssh, &code));
        assert!(!is_code_of(&server(), ID, &Own::bound(&psk, [5; 16]), ssh, &code));
        assert!(!is_code_of(&server(), KeyId([2, 2, 9, 9, 9, 9, 9, 9]), &own(), ssh, &code));
        assert!(!is_code_of(&ServerKey::new([9; 32]).public(), ID, &own(), ssh, &code));
    }

    #[test]
    fn no_code_counts_with_a_changed_bit_or_another_length() {
        let code = make_code(&server(), ID, &own(), "ssh", PLACE).unwrap();
        let counts = |code: &[u8]| is_code_of(&server(), ID, &own(), door_hash("ssh"), code);
        for bit in 0..code.len() * 8 {
            let mut changed = code;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!counts(&changed), "bit {bit}");
        }
        assert!(!counts(&code[..10]) && !counts(&[&code[..], &[0]].concat()) && !counts(&[]));
    }

    #[test]
    fn every_place_has_a_code_of_its_own_and_there_are_no_others() {
        let code = |sheet, index| make_code(&server(), ID, &own(), "ssh", CodePlace { sheet, index });
        for (sheet, index) in [(0, 0), (0, 31), (1, 0), (2047, 0), (2047, 31)] {
            let read = read_code(&server(), &code(sheet, index).unwrap()).unwrap();
            assert_eq!(read.place, CodePlace { sheet, index });
        }
        assert_eq!((code(2048, 0), code(0, 32)), (None, None));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, eleven: [u8; 11]) {
            assert_eq!(read_code(&server(), &bytes).is_some(), bytes.len() == LENGTH);
            assert!(!is_code_of(&server(), ID, &own(), door_hash("ssh"), &bytes));
            assert!(!is_code_of(&server(), ID, &own(), door_hash("ssh"), &eleven));
        }
    }
}
