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

    /// One of five words that can be spoken, of 80 random bits.
    pub(crate) fn generate() -> Result<Self, Failure> {
        let mut bytes = Zeroizing::new([0; 10]);
        random(&mut *bytes)?;
        Ok(Self(words(&bytes)))
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

/// A word of five letters for each two bytes: consonants for four bits, vowels for two. No letter is one that German and
/// English keyboards have in different places.
fn words(bytes: &[u8; 10]) -> Zeroizing<String> {
    const CONSONANTS: &[u8; 16] = b"bdfghjklmnprstvw";
    const VOWELS: &[u8; 4] = b"aiou";
    let mut out = Zeroizing::new(String::with_capacity(32));
    for pair in bytes.chunks(2) {
        if !out.is_empty() {
            out.push(' ');
        }
        let bits = pair.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        for (shift, letters) in [(12, &CONSONANTS[..]), (10, VOWELS), (6, CONSONANTS), (4, VOWELS), (0, CONSONANTS)] {
            let letter = letters.get(bits >> shift & (letters.len() - 1));
            out.extend(letter.map(|letter| char::from(*letter)));
        }
    }
    out
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
    fn each_bit_of_a_made_one_counts() {
        let mut all = std::collections::HashSet::new();
        for bit in 0..80 {
            let mut bytes = [0; 10];
            bytes[bit / 8] = 1 << (bit % 8);
            let text = words(&bytes);
            assert!(text.len() == 29 && text.split(' ').all(|word| word.len() == 5), "{}", *text);
            all.insert(text.to_string());
        }
        assert_eq!((all.len(), &**words(&[255; 10])), (80, "wuwuw wuwuw wuwuw wuwuw wuwuw"));
        let made = Passphrase::generate().unwrap();
        assert!(Passphrase::new(made.text()).is_ok() && made.text() != Passphrase::generate().unwrap().text());
    }
}
