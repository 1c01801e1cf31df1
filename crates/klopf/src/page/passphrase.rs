//! What seals a page.

use klopf_wire::text::{self, Shape};
use zeroize::Zeroizing;

use crate::failure::{Failure, code};
use crate::profile::random;

/// Whoever finds the file can try as many as they like.
const SHORTEST: usize = 12;
const LEAST_DIFFERENT: usize = 6;
/// Of a passphrase that is made.
const WORDS: usize = 6;

/// A passphrase that is good enough, with one space between its words.
pub(crate) struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes a text, or says what is wrong with it, never what it says.
    pub(crate) fn new(text: &str) -> Result<Self, &'static str> {
        // In one piece from the start, so that no copy is left behind when it grows.
        let mut folded = Zeroizing::new(String::with_capacity(text.len()));
        for word in text.split_ascii_whitespace() {
            if !folded.is_empty() {
                folded.push(' ');
            }
            folded.push_str(word);
        }
        if !folded.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err(
                "it has other characters than letters without accents, digits and signs; a borrowed keyboard may \
                        not have them",
            );
        }
        let mut different: Zeroizing<Vec<u8>> = Zeroizing::new(folded.bytes().collect());
        different.sort_unstable();
        different.dedup();
        if folded.len() < SHORTEST || different.len() < LEAST_DIFFERENT {
            return Err("it is too easy to guess: it needs 12 characters, 6 of them different");
        }
        Ok(Self(folded))
    }

    /// One of six words, of 66 random bits.
    pub(crate) fn generate() -> Result<Self, Failure> {
        let mut bytes = Zeroizing::new([0; 11]);
        random(&mut *bytes)?;
        words(&bytes).ok_or_else(|| Failure::new(code::SYSTEM, "no passphrase can be made of a list of words"))
    }

    /// As it is hashed.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// As it is typed.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

/// The first words of the list of BIP-39 that these bytes are.
fn words(bytes: &[u8; 11]) -> Option<Passphrase> {
    let text = Zeroizing::new(text::write(bytes, Shape::Words, &mut |_| ())?);
    let (end, _) = text.match_indices(' ').nth(WORDS - 1)?;
    Passphrase::new(text.get(..end)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_around_words_does_not_count() {
        let passphrase = Passphrase::new("  correct horse\t battery \r\n").unwrap();
        assert_eq!(passphrase.text(), "correct horse battery");
    }

    #[test]
    fn what_is_guessed_or_cannot_be_typed_is_refused() {
        for text in ["", "   ", "elevenchars", "a b c d e f", "aaaaaaaaaaaaaaaaaaaa", "abcabcabcabcabc"] {
            assert!(Passphrase::new(text).is_err_and(|why| why.contains("guess")), "{text}");
        }
        for text in ["grüne Äpfel am Baum", "correct horse\0battery", "correct\u{a0}horse battery"] {
            assert!(Passphrase::new(text).is_err_and(|why| why.contains("keyboard")), "{text}");
        }
        assert!(Passphrase::new("twelve chars").is_ok());
    }

    #[test]
    fn a_made_one_has_six_words_and_each_bit_of_them_counts() {
        let mut all = std::collections::HashSet::new();
        for bit in 0..66 {
            let mut bytes = [0b1010_1010; 11];
            bytes[bit / 8] ^= 128 >> (bit % 8);
            let made = words(&bytes).unwrap();
            assert!(
                made.text().split(' ').count() == 6 && made.text().split(' ').all(text::is_word),
                "{}",
                made.text()
            );
            all.insert(made.text().to_owned());
        }
        assert_eq!(all.len(), 66);
        assert_ne!(Passphrase::generate().unwrap().text(), Passphrase::generate().unwrap().text());
    }
}
