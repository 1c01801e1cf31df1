//! What an invitation says of a door that takes shares.

use crate::Name;
use crate::share::SHARES;

/// Bytes of a field.
const LONGEST: usize = 255;

/// A door that takes tokens in shares, from several guestbooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedDoor {
    door: Name,
    k: u8,
    books: Vec<Name>,
}

impl SharedDoor {
    /// Takes a door, how many shares it needs, and the guestbooks in the order of the shares.
    ///
    /// None if there are not 2 to 8 guestbooks, one is there twice, `k` is not 2 to their number, or all the names
    /// with a blank between each, and `k`, are longer than 255 bytes.
    #[must_use]
    pub fn new(door: Name, k: u8, books: Vec<Name>) -> Option<Self> {
        let n = u8::try_from(books.len()).ok().filter(|n| SHARES.contains(n))?;
        let different = books.iter().enumerate().all(|(at, book)| !books.iter().take(at).any(|other| other == book));
        let shared = Self { door, k, books };
        (different && (2..=n).contains(&k) && shared.text().len() <= LONGEST).then_some(shared)
    }

    /// The door.
    #[must_use]
    pub const fn door(&self) -> &Name {
        &self.door
    }

    /// How many shares it needs, 2 to the number of guestbooks.
    #[must_use]
    pub const fn k(&self) -> u8 {
        self.k
    }

    /// The guestbooks, 2 to 8, in the order of the shares, each by the name that the server has for it.
    #[must_use]
    pub fn books(&self) -> &[Name] {
        &self.books
    }

    /// As it stands in the field.
    pub(super) fn text(&self) -> String {
        let books: String = self.books.iter().map(|book| format!(" {book}")).collect();
        format!("{} {}{books}", self.door, self.k)
    }

    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(value).ok()?.split(' ');
        let door = Name::new(words.next()?)?;
        let k = match words.next()?.as_bytes() {
            [digit @ b'2'..=b'8'] => digit - b'0',
            _ => return None,
        };
        // One more than there may be is read, no more.
        let books = words.take(usize::from(*SHARES.end()) + 1).map(Name::new).collect::<Option<_>>()?;
        Self::new(door, k, books)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<SharedDoor> {
        SharedDoor::read(text.as_bytes())
    }

    #[test]
    fn it_is_read_as_it_is_written() {
        for text in ["vault 2 a b", "v 8 a b c d e f g h", "vault 3 first second third.4 fifth"] {
            assert_eq!(read(text).unwrap().text(), text);
        }
        let vault = read("vault 2 a b c").unwrap();
        assert_eq!((&**vault.door(), vault.k(), vault.books().len(), &*vault.books()[2]), ("vault", 2, 3, "c"));
    }

    #[test]
    fn what_no_door_can_be_is_refused() {
        let none = ["", "vault", "vault 2", "vault 2 a", "vault 1 a b", "vault 3 a b", "vault 9 a b", "vault 02 a b"];
        let form = ["vault  2 a b", " vault 2 a b", "vault 2 a b ", "vault 2 a  b", "vault\t2 a b", "va/lt 2 a b"];
        let books = ["vault 2 a a", "vault 2 a b a", "vault 2 a ü", "v 2 a b c d e f g h i", "v 2 a b c d e f g h /"];
        for text in none.into_iter().chain(form).chain(books) {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert_eq!(SharedDoor::read(b"vault 2 a \xff"), None);
    }

    #[test]
    fn names_that_no_field_holds_are_refused() {
        let name = |letter: char| Name::new(&letter.to_string().repeat(61)).unwrap();
        let with = |door: &str| SharedDoor::new(Name::new(door).unwrap(), 2, ('a'..='d').map(name).collect());
        assert_eq!(with("vault").unwrap().text().len(), LONGEST);
        assert_eq!(with("vaults"), None);
    }
}
