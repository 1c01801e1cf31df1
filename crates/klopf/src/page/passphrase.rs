//! What seals a page.

use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::profile::random;

/// Whoever finds the file can try as many as they like.
const SHORTEST: usize = 12;
const LEAST_DIFFERENT: usize = 6;

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

    /// One of six words.
    pub(crate) fn generate() -> Result<Self, Failure> {
        let mut bytes = Zeroizing::new([0; 11]);
        random(&mut *bytes)?;
        todo!()
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
}
